import json
import logging
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from fastnst.exporting.export import export, export_file
from fastnst.exporting.formats import FORMATS
from fastnst.exporting.settings import ExportSettings
from fastnst.exporting.writers import Graph
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.networks.network import ConditionalInstanceNorm, TransformationNetwork
from fastnst.networks.style_file import StyleFile, load_style, save_style
from fastnst.perception.loss_network import LossNetwork

# What a user has set for terminals, warnings and caches does not change a test.
OF_THE_USER = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
for variable in (*OF_THE_USER, "PYTHONIOENCODING", "PYTHONWARNINGS", "XDG_CACHE_HOME", "SDL_VIDEODRIVER"):
    os.environ.pop(variable, None)
os.environ["HF_HUB_OFFLINE"] = "1"  # read by huggingface_hub when it is first imported: nothing is downloaded
# Tiny tensors: threads only wait for each other, and hinder whoever else uses the cores. Also of the processes that
# tests start: 40 steps of a training took 46 s on a busy machine, with one thread 23 s.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """The command takes over the package's log; the next test finds it as it was."""
    log = logging.getLogger("fastnst")
    before = log.handlers[:], log.level, log.propagate
    yield
    log.handlers, log.propagate = before[0], before[2]
    log.setLevel(before[1])


@pytest.fixture(autouse=True)
def in_float32(monkeypatch) -> None:
    """The same numbers on every processor: bfloat16 has tests of its own."""
    monkeypatch.setattr("fastnst.networks.runtime.has_bfloat16_units", lambda device: False)


@pytest.fixture
def tiny_network() -> TransformationNetwork:
    torch.manual_seed(0)
    return TransformationNetwork(half=4, quarter=8, num_blocks=1)


@pytest.fixture(scope="session")
def random_vgg() -> LossNetwork:
    return LossNetwork(("relu1_2", "relu2_2"), weights=None)


@pytest.fixture(scope="session")
def photo() -> torch.Tensor:
    """The astronaut, (1, 3, 96, 96)."""
    return load_image(resolve_photo("sample:astronaut"), size=96)


@pytest.fixture(scope="session")
def sky(tmp_path_factory) -> Path:
    """A style file with the styles day and night; the network has every kind of layer of the preset `small`."""
    torch.manual_seed(0)
    sizes = {"half": 4, "quarter": 4, "eighth": 4, "num_blocks": 1, "num_deep_blocks": 0}
    settings = {**sizes, "antialias": 1, "skip": 1, "fine": 1, "num_styles": 2}
    network = TransformationNetwork(**settings)
    for norm in network.modules():
        if isinstance(norm, ConditionalInstanceNorm):
            torch.nn.init.normal_(norm.scale)
            torch.nn.init.normal_(norm.shift)
    path = tmp_path_factory.mktemp("styles") / "checkpoints" / "sky.safetensors"
    save_style(path, network, {"name": "sky", "styles": [{"name": "day"}, {"name": "night"}], "network": settings})
    return path


@pytest.fixture(scope="session")
def dusk(sky) -> tuple[StyleFile, torch.Tensor, Graph]:
    """The style file, a mix of its styles, and the graph of that, which takes seconds to record."""
    file, mix = load_style(sky), torch.tensor([[0.25, 0.75]])
    return file, mix, Graph(file.network, mix)


@pytest.fixture(scope="session")
def exported(dusk, tmp_path_factory) -> dict[str, Path]:
    """The mix as a float32 file of each format."""
    for package in ("onnxruntime", "onnxscript", "openvino"):
        pytest.importorskip(package)
    file, mix, graph = dusk
    folder = tmp_path_factory.mktemp("exported")
    paths = {name: folder / f"dusk{format.suffix}" for name, format in FORMATS.items()}
    for format, path in paths.items():
        description = {"name": "dusk", "precision": "float32"}
        export_file(graph, partial(file.network, style=mix), path, format=format, description=description)
    return paths


@pytest.fixture(scope="session")
def all_styles(sky, tmp_path_factory) -> Path:
    """Both styles as one ONNX file, with what the export said beside it as JSON."""
    for package in ("onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    path = tmp_path_factory.mktemp("all_styles") / "sky.onnx"
    result = export(ExportSettings(style=str(sky), styles_as_input=True, output=path, quiet=True))
    path.with_suffix(".json").write_text(json.dumps(result))
    return path
