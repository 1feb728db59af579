from pathlib import Path

import pytest
import torch

from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style


@pytest.fixture
def wave_and_scream(tmp_path, monkeypatch) -> Path:
    """An empty current folder with the styles `wave` and `scream` in ./checkpoints."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": 1}
    for name in ("wave", "scream"):
        info = {"name": name, "styles": [{"name": name}], "network": network}
        save_style(Path(f"checkpoints/{name}.safetensors"), TransformationNetwork(**network), info)
    return tmp_path
