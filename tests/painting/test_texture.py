from pathlib import Path

import pytest
import torch

from fastnst.cli import main
from fastnst.images.read import load_image
from fastnst.painting.texture import texture


def test_a_texture_has_the_colors_of_its_painting_and_another_seed_gives_another() -> None:
    first, same, other = (texture("sample:wave", size=(64, 96), seed=seed, device="cpu") for seed in (0, 0, 1))
    assert first.shape == (1, 3, 64, 96) and torch.equal(first, same) and not torch.equal(first, other)


def test_the_command_writes_a_file_and_keeps_one_that_is_there(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for code, words in ((0, ()), (2, ()), (0, ("--force",)), (2, ("-o", "x.xyz"))):
        with pytest.raises(SystemExit) as stop:
            main(["texture", "sample:wave", "--size", "48", *words])
        assert int(stop.value.code or 0) == code
    assert load_image(Path("wave-texture.png")).shape == (1, 3, 48, 48)
    assert "exists: --force replaces it" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["texture", "great_wave"])
    assert "not a picture" in capsys.readouterr().err
