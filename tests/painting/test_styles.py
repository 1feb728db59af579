import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file

from fastnst.networks.style_file import save_style
from fastnst.painting.styles import describe_style, print_styles


def test_styles_are_listed_and_foreign_files_are_named(tiny_network, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fastnst.networks.catalog.SHIPPED", tmp_path / "nowhere")
    monkeypatch.setattr("fastnst.networks.catalog.SOURCE_TREE", tmp_path / "nowhere")
    print_styles(as_json=False)
    assert "no style yet" in capsys.readouterr().out
    network = {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": 1}
    info = {"name": "night", "styles": [{"name": "night"}], "network": network, "preview": "x" * 1000}
    save_style(tmp_path / "checkpoints" / "night.safetensors", tiny_network, info)
    save_file(tiny_network.state_dict(), tmp_path / "checkpoints" / "foreign.safetensors")
    print_styles(as_json=True)
    captured = capsys.readouterr()
    (line,) = captured.out.splitlines()
    assert json.loads(line)["name"] == "night" and "preview" not in json.loads(line)
    assert "foreign.safetensors" in captured.err
    print_styles(as_json=False)
    assert "night" in capsys.readouterr().out


@pytest.fixture
def night(tiny_network, tmp_path, monkeypatch) -> Path:
    """The only style there is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fastnst.networks.catalog.SHIPPED", tmp_path / "nowhere")
    monkeypatch.setattr("fastnst.networks.catalog.SOURCE_TREE", tmp_path / "nowhere")
    network = {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": 1}
    info = {"name": "night", "styles": [{"name": "night"}], "network": network, "held_out": {"total": 1.25}}
    info |= {"settings": {"padding": "replicate", "style_weight": 3.0}, "preview": "x" * 1000}
    path = tmp_path / "checkpoints" / "night.safetensors"
    save_style(path, tiny_network, info)
    return path


def test_a_style_is_described_with_its_loss_and_what_that_depends_on(night, capsys) -> None:
    describe_style("night", as_json=False)
    told = capsys.readouterr().out
    assert "total 1.250" in told and "style weight 3.0" in told and "padding replicate" in told
    describe_style("night", as_json=True)
    described = json.loads(capsys.readouterr().out)
    assert described["held_out"] == {"total": 1.25} and "preview" not in described


def test_names_are_shown_whole_and_as_they_are_in_80_columns(night, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = ["[bold]wave", "great_wave_" + "x" * 30, "Æther"]
    for name in names:
        shutil.copy(night, night.with_stem(name))
    print_styles(as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(any(line.startswith(f"{name} ") for line in lines) for name in names)


def test_a_terminal_without_the_letters_shows_their_numbers(night) -> None:
    shutil.copy(night, night.with_stem("Æther"))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "fastnst", "styles"]
    result = subprocess.run(command, cwd=night.parent.parent, env=environment, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()
    assert rb"\xc6ther" in result.stdout
