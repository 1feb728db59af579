import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from safetensors.torch import save_file

from fastnst.exporting.commands import _table
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


@pytest.mark.skipif(sys.getfilesystemencoding() != "utf-8", reason="names of files are ASCII here")
def test_names_are_shown_whole_and_as_they_are_in_80_columns(night, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = ["[bold]wave", "great_wave_" + "x" * 30, "Æther"]
    for name in names:
        shutil.copy(night, night.with_stem(name))
    print_styles(as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(any(line.startswith(f"{name} ") for line in lines) for name in names)


@pytest.mark.skipif(sys.getfilesystemencoding() != "utf-8", reason="names of files are ASCII here")
def test_a_terminal_without_the_letters_shows_their_numbers(night) -> None:
    shutil.copy(night, night.with_stem("Æther"))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "fastnst", "styles"]
    result = subprocess.run(command, cwd=night.parent.parent, env=environment, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()
    assert rb"\xc6ther" in result.stdout


def test_any_name_is_described_as_it_is(night, capsys) -> None:
    for name in ("[bold]wave", ":cat:", os.fsdecode(b"caf\xe9")):
        path = Path("checkpoints") / f"{name}.safetensors"
        shutil.copy(night, path)
        describe_style(name, as_json=True)
        assert json.loads(capsys.readouterr().out)["file"] == str(path)
        if name.isascii():
            describe_style(name, as_json=False)
            assert f"{path} (" in " ".join(capsys.readouterr().out.split())


def test_a_file_that_is_no_style_is_named_as_it_is(night, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    for name in ("[bold]" + "x" * 60, ":cat:"):
        path = Path("checkpoints") / f"{name}.safetensors"
        path.write_bytes(b"no style")
        print_styles(as_json=False)
        assert capsys.readouterr().err.startswith(f"{path} is not a style file")
        path.unlink()


@pytest.mark.parametrize("name", ["[bold]wave.onnx", ":cat:.onnx", "great_wave_" + 90 * "x" + ".onnx"])
def test_the_table_of_exported_files_shows_their_names_whole_and_as_they_are(name, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    size = {"size": (1, 64, 64), "largest_difference": 1e-6, "psnr": 120.0}
    Console().print(_table([{"path": name, "bytes": 10_000_000, "proof": [size, size]}]))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    column = lines[0].index("MB")
    assert "".join(line[:column].strip() for line in lines[1:]) == name
