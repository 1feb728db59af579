"""Photos painted by exported files without torch: as with it, and where it is needed after all."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from fastnst.cli import main
from fastnst.images import stored
from fastnst.painting import studio as module
from fastnst.painting.apply import apply
from fastnst.painting.exported import may_be_quick, quick_painter
from fastnst.painting.settings import ApplySettings

NOISE = np.random.default_rng(0).integers(0, 256, (45, 61, 4), dtype=np.uint8)
FORMATS = ["onnx", "openvino"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def make_photo(name: str) -> None:
    """Noise, of the kind that the name says."""
    kind, array = Path(name).stem, NOISE[..., :3]
    if kind == "transparent":
        array = NOISE  # with a few hidden pixels
    elif kind == "translucent":
        array = NOISE.clip(1)
    elif kind == "small":
        array = array[:12]
    elif kind == "grey":
        array = array[..., 0]
    elif kind == "deep":
        array = NOISE[..., 0].astype(np.uint16) * 256 + NOISE[..., 1]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Artist] = 6, "Hokusai"
    frames = {"save_all": True, "append_images": [Image.fromarray(255 - array)]} if kind == "moving" else {}
    Image.fromarray(array).save(name, exif=exif, **frames)


def paint(style: Path, photo: str, output: str, **settings: object) -> bytes:
    apply([photo], ApplySettings(style=str(style), output=Path(output), quiet=True, force=True, **settings))
    return Path(output).read_bytes()


@pytest.fixture
def loads(monkeypatch) -> list[ApplySettings]:
    """The settings for which what paints with torch was made."""
    made, make = [], module._regions
    monkeypatch.setattr(module, "_regions", lambda settings: made.append(settings) or make(settings))
    return made


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("photo", "settings", "needs_torch"),
    [
        ("plain.png", {}, False),
        ("plain.jpg", {"device": "cpu", "size": 40, "quality": 80, "profile": "keep"}, False),
        ("plain.tif", {"steady": True, "json": True}, False),
        ("grey.jpg", {}, False),
        ("deep.png", {}, False),
        ("translucent.png", {}, False),
        ("transparent.png", {}, True),
        ("small.png", {}, True),
        ("moving.webp", {}, True),
        ("plain.png", {"strength": 0.5}, True),
        ("plain.png", {"keep_colors": True}, True),
        ("plain.png", {"stroke": 2.0}, True),
        ("plain.png", {"mask": Path("plain.png")}, True),
    ],
)
def test_files_are_those_that_torch_would_give(
    photo, settings, needs_torch, format, exported, loads, monkeypatch
) -> None:
    make_photo(photo)
    given = paint(exported[format], photo, f"out{Path(photo).suffix}", **settings)
    assert bool(loads) is needs_torch
    monkeypatch.setattr(module, "quick_painter", lambda _: None)
    assert paint(exported[format], photo, f"expected{Path(photo).suffix}", **settings) == given
    assert loads


def test_large_photos_are_the_same_in_temporary_files(exported, monkeypatch) -> None:
    make_photo("plain.png")
    expected = paint(exported["openvino"], "plain.png", "expected.png")
    monkeypatch.setattr(stored, "IN_MEMORY", 1000)
    assert paint(exported["openvino"], "plain.png", "out.png") == expected


def test_in_a_folder_torch_is_loaded_once_and_for_the_photos_that_need_it(exported, loads) -> None:
    Path("in").mkdir()
    for name in ("plain.png", "small.png", "transparent.png", "grey.png"):
        make_photo(f"in/{name}")
    settings = ApplySettings(style=str(exported["onnx"]), output=Path("out"), quiet=True)
    assert apply(["in"], settings) == 0 and len(list(Path("out").iterdir())) == 4
    assert len(loads) == 1


@pytest.mark.parametrize(
    ("style", "settings"),
    [
        ("great_wave", {}),
        ("wave.pt2", {}),
        ("wave.onnx", {"runtime": "torch"}),
        ("wave.onnx", {"precision": "float32"}),
        ("wave.onnx", {"region": ("mask.png=great_wave",)}),
        ("wave.onnx", {"frame_size": (640, 480)}),
    ],
)
def test_what_else_is_asked_for_needs_torch(style, settings) -> None:
    assert may_be_quick(ApplySettings(style="wave.onnx")) and not may_be_quick(ApplySettings(style=style, **settings))


def test_what_is_wrong_with_a_file_is_one_line_before_any_work(exported, capsys) -> None:
    make_photo("plain.png")
    Path("broken.onnx").write_bytes(b"no graph")
    for style, device, line in (
        ("broken.onnx", "auto", "fastnst: broken.onnx is broken, or no .onnx file"),
        ("missing.xml", "cpu", "fastnst: no style named 'missing.xml'"),
        (str(exported["openvino"]), "mps", "fastnst: device mps is not there on this machine"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["apply", "plain.png", "--style", style, "--device", device, "-o", "out.png"])
        said = capsys.readouterr().err.strip()
        assert (stop.value.code, said.count("\n")) == (2, 0) and said.startswith(line)
    assert not Path("out.png").exists()


def make_graph(kind: str, **about: object) -> None:
    """wave.onnx, a graph of one operation."""
    onnx = pytest.importorskip("onnx")
    sides = [onnx.helper.make_tensor_value_info(name, 1, ["B", 3, "H", "W"]) for name in ("image", "stylized")]
    graph = onnx.helper.make_graph([onnx.helper.make_node(kind, ["image"], ["stylized"])], "g", sides[:1], sides[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.helper.set_model_props(model, {"fastnst": json.dumps({"name": "wave", **about})})
    onnx.save(model, "wave.onnx")


def test_files_with_several_styles_and_files_of_numbers_need_torch() -> None:
    settings = ApplySettings(style="wave.onnx")
    make_graph("Identity")
    assert quick_painter(settings) is not None and not may_be_quick(ApplySettings(style="wave.onnx:day"))
    for about in ({"styles_as_input": ["day", "night"]}, {"strength": "strength"}, {"numbers_of_a_style": 1856}):
        make_graph("Identity", **about)
        assert may_be_quick(settings) and quick_painter(settings) is None


def test_a_graph_that_gives_no_picture_fails_the_photo(capsys) -> None:
    make_photo("plain.png")
    make_graph("Log")
    with pytest.raises(SystemExit) as stop:
        main(["apply", "plain.png", "--style", "wave.onnx", "-o", "out.png"])
    assert stop.value.code == 2 and not Path("out.png").exists()
    assert "wave gives no picture of the photo's size" in capsys.readouterr().err
