"""Style files of strangers: one line for each that is not what it says, and nothing allocated before."""

import copy
import json
import os
import random
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from malformed import ODD_VALUES, with_odd_values
from safetensors.torch import load_file, save, save_file

from fastnst.base.archives import check_archive
from fastnst.cli import main
from fastnst.networks.catalog import FORMAT_VERSION, StyleFileError, names_in, read_info
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import load_style, save_style
from fastnst.painting.styles import describe_style, print_styles

ABOUT = {
    "name": "night",
    "styles": [{"name": "night", "sha256": "0" * 64}],
    "network": {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": 1},
    "settings": {"style_weight": 10.0, "padding": "zeros"},
    "began_at": {"name": "base", "styles": ["mean"]},
    "data": {"source": "photos", "photos": 30, "held_out": 2},
    "held_out": {"total": 1.5},
    "steps": 10,
    "seconds": 3.5,
    "hardware": "cpu",
    "versions": {"torch": "2", "onnx": None},
    "preview": "",
}


@pytest.fixture
def styles(tiny_network, tmp_path, monkeypatch) -> Path:
    """An empty folder of styles, the only one in which names are looked up."""
    monkeypatch.chdir(tmp_path)
    for place in ("SHIPPED", "SOURCE_TREE"):
        monkeypatch.setattr(f"fastnst.networks.catalog.{place}", tmp_path / "nowhere")
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def written(path: Path, network: TransformationNetwork, info: object) -> Path:
    """A file with any JSON value as its description."""
    header = json.dumps({"format_version": FORMAT_VERSION, **info} if isinstance(info, dict) else info)
    save_file({name: value.half() for name, value in network.state_dict().items()}, path, {"fastnst": header})
    return path


def test_a_description_with_any_value_anywhere_is_read_or_refused_in_a_line(styles, tiny_network, capsys) -> None:
    refused = 0
    for seed in range(250):
        info = with_odd_values(copy.deepcopy(ABOUT), random.Random(seed))
        path = written(styles / "odd.safetensors", tiny_network, info)
        names_in(path)
        print_styles(as_json=False)
        try:
            describe_style(str(path), as_json=False)
            load_style(path)
        except StyleFileError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 60 < refused < 250
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err and "\u202e" not in said.out + said.err


@pytest.mark.parametrize("value", [*ODD_VALUES, [ABOUT]], ids=lambda value: repr(value)[:20])
def test_a_description_that_is_no_object_is_refused(styles, tiny_network, value) -> None:
    with pytest.raises(StyleFileError, match=r"description that cannot be read|not one that fastnst wrote"):
        read_info(written(styles / "odd.safetensors", tiny_network, value if value != {} else [value]))


@pytest.mark.parametrize(
    "change",
    [
        {"painter.bias": torch.full((12,), 1e6)},
        {"painter.bias": torch.zeros(12, dtype=torch.int64)},
        {"painter.bias": torch.zeros(12, dtype=torch.float64)},
        {"painter.bias": torch.zeros(12, dtype=torch.bool)},
        {"painter.bias": torch.zeros(12).to(torch.float8_e4m3fn)},
        {"more": torch.zeros(1)},
    ],
    ids=["absurd", "int64", "float64", "bool", "float8", "more"],
)
def test_weights_that_no_training_gives_are_refused(styles, tiny_network, change) -> None:
    path = written(styles / "odd.safetensors", tiny_network, ABOUT)
    load_style(path)
    weights = load_file(path) | change
    path.write_bytes(save(weights, {"fastnst": json.dumps({"format_version": FORMAT_VERSION, **ABOUT})}))
    with pytest.raises(StyleFileError, match="the weights do not fit"):
        load_style(path)


def test_what_is_no_file_or_has_an_endless_header_is_refused_at_once(styles, tiny_network, capsys) -> None:
    os.mkfifo(styles / "pipe.safetensors")
    (styles / "folder.safetensors").mkdir()
    (styles / "endless.safetensors").symlink_to("/dev/zero")
    (styles / "circle.safetensors").symlink_to("circle.safetensors")
    (styles / "empty.safetensors").touch()
    (styles / "long.safetensors").write_bytes(struct.pack("<Q", 90_000_000) + b" " * 1000)
    (styles / "deep.safetensors").write_bytes(
        save({"a": torch.zeros(1)}, {"fastnst": "[" * 100_000})  # which Python's reader of JSON cannot end
    )
    print_styles(as_json=False)
    said = capsys.readouterr()
    assert said.err.count("\n") == 7 and "Traceback" not in said.err, said.err


def test_a_preview_too_large_for_the_header_is_left_out(styles, tiny_network) -> None:
    save_style(styles / "many.safetensors", tiny_network, {**ABOUT, "preview": "A" * 2**20})
    assert read_info(styles / "many.safetensors")["preview"] == ""


THOUSAND = """
import resource, sys, time
from fastnst.cli import app
from fastnst.painting.styles import print_styles
import numpy, rich.console, safetensors
app.parse_args(["styles"], exit_on_error=False, print_error=False)
started, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print_styles(as_json=False)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(time.process_time() - started, grown / 1024, file=sys.stderr)
"""


def test_a_thousand_files_of_strangers_are_listed_in_a_second_of_processor_time_and_100_mb(
    styles, tiny_network, tmp_path
) -> None:
    (tmp_path / "one").mkdir()
    header = {"preview": "A" * 20_000}  # as in a file that ships
    honest = written(tmp_path / "one" / "honest.safetensors", tiny_network, {**ABOUT, **header}).read_bytes()
    chance = random.Random(0)
    for number in range(1000):
        data = bytearray(honest)
        for _ in range(number % 4):  # a quarter are whole
            data[chance.randrange(min(len(data), 26_000))] = chance.randrange(256)
        (styles / f"{number}.safetensors").write_bytes(data[: len(data) if number % 5 else chance.randrange(30_000)])
    done = subprocess.run([sys.executable, "-c", THOUSAND], cwd=tmp_path, capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stderr.splitlines()[-1].split())
    assert len(done.stdout.splitlines()) > 250
    assert seconds < 1 and megabytes < 100, f"{seconds:.2f} s, {megabytes:.0f} MB"


def test_no_name_in_a_file_commands_the_terminal(styles, tiny_network, capsys) -> None:
    written(styles / "a.safetensors", tiny_network, {**ABOUT, "hardware": "\x1b[2Jgone\u202e"})
    for words in (["styles"], ["styles", "a"], ["apply", "x.jpg", "--style", "\x1b[2J"]):
        with pytest.raises(SystemExit):
            main(words)
    said = capsys.readouterr()
    assert "?[2Jgone?" in said.out and "\x1b" not in said.out + said.err and "\u202e" not in said.out


def zipped(path: Path, members: dict[str, bytes], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_archives_that_grow_or_reach_outside_are_refused_before_they_are_read(tmp_path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "honest.pt")
    check_archive(tmp_path / "honest.pt")
    bomb = zipped(tmp_path / "bomb.pt", {"archive/data/0": bytes(20_000_000)}, compression=zipfile.ZIP_DEFLATED)
    outside = [zipped(tmp_path / f"{n}.pt", {name: b""}) for n, name in enumerate(("../x", "/x", "a/../../x", "C:\\x"))]
    data = bytearray(zipped(tmp_path / "twice.pt", {f"a/{n}": bytes(1000) for n in range(9)}).read_bytes())
    start = data.index(b"PK\x01\x02")
    for n in range(9):  # all nine are said to be the first, which is said to be longer than the file
        place = data.index(b"PK\x01\x02", start + 49 * n)
        data[place + 20 : place + 28] = struct.pack("<II", 8000, 8000)
        data[place + 42 : place + 46] = struct.pack("<I", 0)
    (tmp_path / "twice.pt").write_bytes(data)
    (tmp_path / "text.pt").write_text("text")
    for path in (bomb, *outside, tmp_path / "twice.pt", tmp_path / "text.pt"):
        with pytest.raises(ValueError, match=r"outside|larger|no archive"):
            check_archive(path)
