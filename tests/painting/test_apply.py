import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from fastnst.cli import main
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style
from fastnst.painting.apply import apply
from fastnst.painting.settings import ApplySettings


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty current folder with the style `wave` in ./checkpoints."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    info = {
        "name": "wave",
        "styles": [{"name": "wave"}],
        "network": {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": 1},
    }
    save_style(Path("checkpoints/wave.safetensors"), TransformationNetwork(**info["network"]), info)
    return tmp_path


def make_photo(path: str, size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: object) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path)).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path, **options)
    return Path(path)


def run(*photos: str, **settings: object) -> int:
    return apply(photos, ApplySettings(**{"style": "wave", "quiet": True, "device": "cpu", **settings}))


def test_one_photo_becomes_the_named_file() -> None:
    make_photo("a.jpg")
    assert run("a.jpg", output=Path("new/out.png")) == 0
    with Image.open("new/out.png") as image:
        assert image.size == (40, 30) and image.format == "PNG"


def test_without_an_output_the_result_stands_beside_its_photo() -> None:
    make_photo("photos/a.jpg")
    run("photos/a.jpg")
    assert Path("photos/a-wave.jpg").exists()
    run("sample:rocket", size=40)
    assert Path("rocket-wave.jpg").exists()


def test_a_folder_keeps_its_names_and_subfolders_and_any_mix_of_sizes() -> None:
    for name, size in {"in/a.jpg": (40, 30), "in/deep/er/b.png": (17, 61), "in/c.bmp": (8, 5)}.items():
        make_photo(name, size)
    assert run("in", output=Path("out")) == 0
    sizes = {}
    for path in sorted(Path("out").rglob("*.*")):
        with Image.open(path) as image:
            sizes[path.as_posix()] = image.size
    assert sizes == {"out/a.jpg": (40, 30), "out/c.png": (8, 5), "out/deep/er/b.png": (17, 61)}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_every_format_is_written(suffix) -> None:
    make_photo("a.png")
    run("a.png", output=Path(f"out.{suffix}"))
    with Image.open(f"out.{suffix}") as image:
        assert image.size == (40, 30)
        assert image.format == {"jpg": "JPEG"}.get(suffix, suffix.upper())


def test_alpha_is_kept_and_exif_turns_the_photo() -> None:
    make_photo("see_through.png", mode="RGBA")
    run("see_through.png", output=Path("out.png"))
    with Image.open("see_through.png") as before, Image.open("out.png") as after:
        assert np.array_equal(np.array(before)[..., 3], np.array(after)[..., 3])
    exif = Image.Exif()
    exif[0x0112] = 6
    make_photo("turned.jpg", (40, 30), exif=exif)
    run("turned.jpg", output=Path("upright.jpg"))
    with Image.open("upright.jpg") as image:
        assert image.size == (30, 40)
        assert image.getexif().get(0x0112, 1) == 1


def test_size_shrinks_the_long_side() -> None:
    make_photo("a.png", (80, 40))
    run("a.png", output=Path("out.png"), size=32)
    with Image.open("out.png") as image:
        assert image.size == (32, 16)


def test_tiles_paint_the_same_picture_and_large_strokes_another() -> None:
    make_photo("a.png", (150, 90))
    pictures = []
    for settings in ({"tile": 0}, {"tile": 64}, {"stroke": 2.0}, {"stroke": 2.0, "tile": 64}):
        run("a.png", output=Path("out.png"), force=True, **settings)
        with Image.open("out.png") as image:
            pictures.append(np.array(image).astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
    assert np.abs(pictures[2] - pictures[3]).max() <= 1
    assert np.abs(pictures[0] - pictures[2]).mean() > 1


def test_tiles_have_a_line_in_the_progress_bar(monkeypatch) -> None:
    shown = []
    add_task = Progress.add_task
    monkeypatch.setattr(Progress, "add_task", lambda *args, **kw: shown.append((args[1], kw)) or add_task(*args, **kw))
    make_photo("a.png", (150, 90))
    run("a.png", output=Path("out.png"), tile=64, quiet=False)
    lines = {name: settings["total"] for name, settings in shown if settings["visible"]}
    assert lines == {"a.png": 6}


def test_strength_zero_gives_the_photo_back() -> None:
    photo = make_photo("a.png")
    run("a.png", output=Path("out.png"), strength=0.0)
    with Image.open(photo) as before, Image.open("out.png") as after:
        assert np.array_equal(np.array(before), np.array(after))


def test_standard_input_becomes_standard_output(monkeypatch, capsysbinary) -> None:
    data = make_photo("a.jpg").read_bytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    run("-", output=Path("-"), format="webp")
    with Image.open(io.BytesIO(capsysbinary.readouterr().out)) as image:
        assert image.format == "WEBP" and image.size == (40, 30)


def test_json_is_one_object_a_photo_alone_on_stdout(capsys) -> None:
    make_photo("in/a.png")
    Path("in/broken.jpg").write_bytes(b"no picture")
    assert run("in", output=Path("out"), json=True) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["photo"]).name for line in lines] == ["a.png", "broken.jpg"]
    assert lines[0]["width"] == 40 and "error" not in lines[0]
    assert "broken.jpg" in lines[1]["error"] and not Path("out/broken.jpg").exists()


@pytest.mark.parametrize(
    ("photos", "settings", "message"),
    [
        (["a.png"], {"output": Path("a.png")}, "is one of the photos"),
        (["a.png"], {"output": Path("a.png"), "force": True}, "is one of the photos"),
        (["a.png"], {"output": Path("there.png")}, "exists: --force"),
        (["a.png"], {"output": Path("b.png"), "mask": Path("b.png"), "force": True}, "b.png is the mask"),
        ([".", "a-wave.png"], {"force": True}, "a-wave.png is one of the photos"),
        (["in"], {"output": Path("in"), "force": True}, "is one of the photos"),
        (["a.png", "b.png"], {"output": Path("out.png")}, "give a folder"),
        (["in"], {"output": Path("out.png")}, "give a folder"),
        (["a.png", "b.png"], {"output": Path("-")}, "one stylized image"),
        (["a.png"], {"output": Path("-"), "json": True}, "nothing else, got --json"),
        (["missing.png"], {}, "missing.png: no such file"),
        (["empty"], {}, "no photo or video in empty"),
        ([], {}, "no photo given"),
        (["a.png"], {"style": "missing.jpg"}, "missing.jpg: no such file"),
        (["broken.jpg"], {}, "nothing was painted"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(photos, settings, message) -> None:
    for name in ("a.png", "b.png", "there.png", "in/a.png", "a-wave.png"):
        make_photo(name)
    Path("empty").mkdir()
    Path("broken.jpg").write_bytes(b"no picture")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=message):
        run(*photos, **settings)
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_force_replaces_the_file() -> None:
    make_photo("a.png")
    make_photo("out.png", (5, 5))
    run("a.png", output=Path("out.png"), force=True)
    with Image.open("out.png") as image:
        assert image.size == (40, 30)


@pytest.mark.parametrize("output", [None, Path("painted")])
def test_a_folder_can_be_painted_again_and_results_are_no_photos(output) -> None:
    for name in ("a.png", "deep/b.png"):
        make_photo(name)
    Path("clip.partial1.mp4").write_bytes(b"a video that was interrupted")

    def files() -> set[str]:
        return {path.as_posix() for path in Path().rglob("*.*") if path.suffix != ".safetensors"}

    assert run(".", output=output) == 0
    before = files()
    assert len(before) == 5
    run(".", output=output, skip_existing=True)
    run(".", output=output, force=True)
    assert files() == before
    with pytest.raises(ValueError, match="exists: --force replaces it"):
        run(".", output=output)


def test_a_photo_called_as_a_sample_is_painted_where_it_is() -> None:
    make_photo("pics/rocket.png")
    run("sample:rocket", "pics/rocket.png", size=40)
    assert Path("rocket-wave.jpg").exists() and Path("pics/rocket-wave.png").exists()


def told(capsys, *words: str) -> tuple[list[str], str]:
    """Lines on stderr, and stdout, of `fastnst apply`."""
    with pytest.raises(SystemExit) as stop:
        main(["apply", *words, "--style", "wave", "--device", "cpu"])
    assert stop.value.code in (0, 3)
    shown = capsys.readouterr()
    return [line for line in shown.err.splitlines() if line.strip()], shown.out


def test_one_photo_is_told_with_its_file_and_its_time(capsys) -> None:
    make_photo("my photo.jpg")
    for words, name in ((["-o", "out/a.png"], "out/a.png"), ([], "my photo-wave.jpg")):
        (line,), out = told(capsys, "my photo.jpg", *words)
        assert re.fullmatch(rf"{re.escape(name)}: painted in \d+\.\d s", line)
        assert out == "" and Path(name).is_file()


def test_several_photos_are_told_with_their_folder_and_their_time(capsys) -> None:
    make_photo("in/a.jpg"), make_photo("in/deep/b.png"), make_photo("c.png")
    for words, line in {
        ("in", "-o", "out"): r"out: 2 pictures in \d+\.\d s",
        ("in",): r"in: 2 pictures in \d+\.\d s",
        ("in", "c.png", "--force"): r"\.: 3 pictures in \d+\.\d s",
        ("in/deep", "c.png", "-o", "out/more"): r"out/more: 2 pictures in \d+\.\d s",
    }.items():
        lines, out = told(capsys, *words)
        *left_out, last = lines
        assert re.fullmatch(line, last) and all("stylized already are left out" in each for each in left_out), lines
        assert out == ""


def test_only_what_was_written_is_told(capsys) -> None:
    for name in ("a", "b", "c"):
        make_photo(f"in/{name}.png")
    Path("in/broken.png").write_bytes(b"no picture")
    told(capsys, "in/a.png", "-o", "out")
    lines, _ = told(capsys, "in", "missing.png", "-o", "out", "--skip-existing")
    assert lines[0] == "1 of 5 are there already"
    assert [line.split(":")[0] for line in lines[1:]] == ["in/broken.png", "missing.png", "out"]
    assert re.fullmatch(r"out: 2 pictures in \d+\.\d s", lines[-1])
    assert told(capsys, "in/a.png", "-o", "out", "--skip-existing") == (["1 of 1 are there already"], "")


@pytest.mark.parametrize("photos", [["in/a.png"], ["in"]])
def test_nothing_is_told_under_quiet_and_only_json_under_json(photos, capsys) -> None:
    make_photo("in/a.png"), make_photo("in/b.png")
    assert told(capsys, *photos, "-o", "out", "--quiet") == ([], "")
    lines, out = told(capsys, *photos, "-o", "out", "--force", "--json")
    assert lines == []
    assert [json.loads(line)["output"] for line in out.splitlines()] == ["out/a.png", "out/b.png"][
        : len(out.splitlines())
    ]


def test_standard_output_holds_the_picture_alone_and_the_time_is_told_beside(monkeypatch, capsysbinary) -> None:
    data = make_photo("a.jpg").read_bytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    with pytest.raises(SystemExit) as stop:
        main(["apply", "-", "-o", "-", "--style", "wave", "--device", "cpu"])
    assert stop.value.code == 0
    shown = capsysbinary.readouterr()
    with Image.open(io.BytesIO(shown.out)) as image:
        assert image.format == "PNG"
    assert re.fullmatch(rb"painted in \d+\.\d s", shown.err.strip())


def test_a_name_with_brackets_is_shown_as_it_is_in_the_progress_bar_and_in_lines(capsys, monkeypatch) -> None:
    name = "[bold]a :cat:.png"
    make_photo(name, (150, 90))
    output = io.StringIO()
    monkeypatch.setattr(
        "fastnst.base.progress.Console", lambda **_: Console(file=output, force_terminal=True, width=120)
    )
    lines, _ = told(capsys, name, "-o", f"out/{name}", "--tile", "64")
    assert name in output.getvalue()
    assert lines[-1].startswith(f"out/{name}: painted in ")
