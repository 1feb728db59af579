"""What `fastnst apply` paints and where: each photo once, no results, and no input stops the others."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import picture_of
from PIL import ExifTags, Image

from fastnst.cli import main
from fastnst.images.formats import ImageError
from fastnst.images.metadata import MARK, has_mark
from fastnst.images.picture import Picture
from fastnst.images.write import save_image
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style
from fastnst.painting import apply
from fastnst.painting.jobs import plan
from fastnst.painting.settings import ApplySettings

NOT_UTF8 = os.fsdecode(b"caf\xe9")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty current folder with the styles `wave` and `scream` in ./checkpoints."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": 1}
    for name in ("wave", "scream"):
        info = {"name": name, "styles": [{"name": name}], "network": network}
        save_style(Path(f"checkpoints/{name}.safetensors"), TransformationNetwork(**network), info)
    return tmp_path


def pixels(seed: int = 0, size: tuple[int, int] = (24, 20)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def make_photo(path: str, **options: object) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(len(path))).save(path, **options)
    return path


def make_moving(path: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    first, *others = (Image.fromarray(pixels(seed)) for seed in range(3))
    first.save(path, save_all=True, append_images=others, duration=50)
    return path


def make_deep(path: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_image(picture_of(torch.linspace(0.1, 0.9, 24).expand(1, 3, 20, 24), depth=16), Path(path))
    return path


def make_video(path: str) -> str:
    av = pytest.importorskip("av")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4" if path.endswith(".avi") else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for seed in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels(seed, (32, 32)))))
        container.mux(stream.encode(None))
    return path


def planned(*photos: str, **settings: object) -> dict[str, str]:
    """Photos and their outputs."""
    jobs = plan(photos, ApplySettings(**{"style": "wave", **settings}))
    return {str(job.photo): str(job.output) for job in jobs}


def fastnst(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main([*words, "--device", "cpu"] if "--" not in words else words)
    return int(stop.value.code)


def files(folder: str = ".") -> set[str]:
    found = (path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file())
    return {path.as_posix() for path in found if path.suffix != ".safetensors"}


# Each photo once.


@pytest.mark.parametrize(
    "photos",
    [
        ("in/a.jpg", "in/a.jpg"),
        ("in", "in/a.jpg"),
        ("in/a.jpg", "in"),
        ("in", "in/"),
        ("in", "./in/../in"),
        ("in", "to"),
    ],
)
def test_a_photo_that_is_given_twice_is_painted_once(photos) -> None:
    make_photo("in/a.jpg")
    Path("to").symlink_to("in")
    assert fastnst("apply", *photos, "--style", "wave", "-o", "out") == 0
    assert files("out") == {"a.jpg"}


def test_a_link_to_a_photo_is_that_photo() -> None:
    make_photo("in/a.jpg")
    Path("in/b.jpg").symlink_to("a.jpg")
    assert planned("in", output=Path("out")) == {"in/a.jpg": "out/a.jpg"}
    assert planned("in/b.jpg", "in/a.jpg", output=Path("out")) == {"in/b.jpg": "out/b.jpg"}


def test_a_photo_by_its_whole_path_is_that_photo(tmp_path) -> None:
    make_photo("a.jpg")
    assert list(planned("a.jpg", str(tmp_path / "a.jpg"))) == ["a.jpg"]


# One input does not stop the others.


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("missing.jpg", id="missing"),
        pytest.param("empty", id="empty folder"),
        pytest.param("sample:nothing", id="no sample"),
        pytest.param("x" * 300 + ".jpg", id="too long"),
        pytest.param("loop.jpg", id="link to itself"),
        pytest.param("gone.jpg", id="link to nothing"),
        pytest.param("~nobody.jpg", id="no home"),
        pytest.param("text.jpg", id="no picture"),
    ],
)
def test_an_input_that_is_nothing_does_not_stop_the_others(wrong, capsys) -> None:
    make_photo("in/a.jpg"), make_photo("b.png")
    Path("empty").mkdir()
    Path("text.jpg").write_text("no picture")
    Path("loop.jpg").symlink_to("loop.jpg")
    Path("gone.jpg").symlink_to("nothing.jpg")
    words = ("in", wrong, "b.png", "--style", "wave", "-o", "out")
    assert fastnst("apply", *words, "--json") == 3
    shown = capsys.readouterr()
    assert files("out") == {"a.jpg", "b.png"}
    lines = [json.loads(line) for line in shown.out.splitlines()]
    assert [line["photo"] for line in lines] == ["in/a.jpg", wrong, "b.png"]
    assert ["error" in line for line in lines] == [False, True, False]
    (line,) = shown.err.splitlines()
    assert line == lines[1]["error"]


@pytest.mark.parametrize("output", [(), ("-o", "out")])
def test_an_empty_current_folder_does_not_stop_the_others(output, tmp_path, monkeypatch, capsys) -> None:
    make_photo("a.jpg")
    Path("empty").mkdir()
    monkeypatch.chdir("empty")
    style = str(tmp_path / "checkpoints/wave.safetensors")
    assert fastnst("apply", ".", "../a.jpg", "--style", style, *output) == 3
    assert "no photo or video in . or below" in capsys.readouterr().err
    assert Path("out/a.jpg" if output else "../a-wave.jpg").is_file()


def test_a_link_to_itself_in_a_folder_does_not_stop_the_folder() -> None:
    make_photo("in/a.jpg")
    Path("in/b.jpg").symlink_to("b.jpg")
    assert fastnst("apply", "in", "--style", "wave", "-o", "out") == 3
    assert files("out") == {"a.jpg"}


def test_a_missing_photo_alone_or_nothing_but_missing_ones_is_bad_usage(capsys) -> None:
    assert fastnst("apply", "x.jpg", "--style", "wave") == 2
    assert capsys.readouterr().err == "fastnst: x.jpg: no such file\n"
    assert fastnst("apply", "x.jpg", "y.jpg", "--style", "wave") == 2
    assert "none of 2 photos could be painted" in capsys.readouterr().err


def test_a_missing_photo_takes_no_name_from_another_one() -> None:
    make_photo("there/a.jpg")
    assert fastnst("apply", "missing/a.jpg", "there/a.jpg", "--style", "wave", "-o", "out") == 3
    assert files("out") == {"a.jpg"}


# Names of results.


def test_photos_that_would_become_one_file_get_two_names() -> None:
    make_photo("in/a.jpg"), make_photo("in/a.bmp"), make_photo("in/b.bmp")
    assert fastnst("apply", "in", "--style", "wave", "--format", "jpeg") == 0
    assert files("in") - {"a.jpg", "a.bmp", "b.bmp"} == {"a-wave.jpg", "a-wave-bmp.jpg", "b-wave.jpg"}
    assert planned("in", output=Path("out"), format="jpeg") == {
        "in/a.bmp": "out/a-bmp.jpg",
        "in/a.jpg": "out/a.jpg",
        "in/b.bmp": "out/b.jpg",
    }
    assert planned("in", output=Path("out"))["in/a.bmp"] == "out/a.png"  # another name already
    make_photo("in/b.png")
    assert {planned("in", output=Path("out"))[f"in/b.{kind}"] for kind in ("png", "bmp")} == {
        "out/b.png",
        "out/b-bmp.png",
    }


def test_photos_of_two_folders_that_would_become_one_file_are_numbered() -> None:
    make_photo("one/a.jpg"), make_photo("two/a.jpg"), make_photo("two/a-2.jpg")
    assert planned("one", "two", output=Path("out")) == {
        "one/a.jpg": "out/a.jpg",
        "two/a-2.jpg": "out/a-2.jpg",
        "two/a.jpg": "out/a-3.jpg",
    }
    assert len(planned("one", "two")) == 3


def test_a_folder_of_nothing_but_results_is_painted() -> None:
    make_photo("in/a.jpg")
    assert fastnst("apply", "in", "--style", "wave", "-o", "out") == 0
    assert planned("out", style="scream", output=Path("again")) == {"out/a.jpg": "again/a.jpg"}
    assert planned(".", style="scream", output=Path("again")) == {"in/a.jpg": "again/in/a.jpg"}


def test_a_file_that_appears_while_others_are_painted_stays(monkeypatch, capsys) -> None:
    make_photo("in/a.png"), make_photo("in/b.png")
    read = apply.read_picture

    def other_writes(*args: object, **settings: object) -> Picture:
        Path("out").mkdir(exist_ok=True)
        Path("out/b.png").write_bytes(b"of another process")
        return read(*args, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(apply, "read_picture", other_writes)
        assert fastnst("apply", "in", "--style", "wave", "-o", "out") == 3
    assert "out/b.png exists by now: --force replaces it" in capsys.readouterr().err
    assert Path("out/b.png").read_bytes() == b"of another process" and files("out") == {"a.png", "b.png"}
    assert fastnst("apply", "in", "--style", "wave", "-o", "out", "--force") == 0
    assert has_mark(Path("out/b.png"))


# Results are no photos.

MAKERS = {
    "a.jpg": make_photo,
    "a.png": make_photo,
    "a.tif": make_photo,
    "a.webp": make_photo,
    "a.avif": make_photo,
    "a.gif": make_photo,
    "deep.tif": make_deep,
    "deep.png": make_deep,
    "moving.gif": make_moving,
    "moving.webp": make_moving,
    "moving.png": make_moving,
    "clip.mp4": make_video,
    "clip.mkv": make_video,
    "clip.mov": make_video,
    "clip.avi": make_video,
    "with - hyphens-in it.jpg": make_photo,
    f"{NOT_UTF8}.jpg": make_photo,
}


@pytest.mark.parametrize("name", MAKERS)
def test_results_of_an_earlier_style_are_not_painted_again(name) -> None:
    photo = MAKERS[name](f"in/{name}")
    assert fastnst("apply", "in", "--style", "wave") == 0
    (result,) = files("in") - {name}
    jobs = planned("in", style="scream")
    assert jobs == {photo: f"in/{Path(name).stem}-scream{Path(result).suffix}"}
    assert planned("in", f"in/{result}", style="scream").keys() == {photo, f"in/{result}"}  # named: meant
    assert fastnst("apply", f"in/{result}", "--style", "scream", "-o", f"named{Path(result).suffix}") == 0


def test_a_heic_result_is_not_painted_again() -> None:
    pytest.importorskip("pillow_heif")
    make_photo("in/a.png")
    assert fastnst("apply", "in/a.png", "--style", "wave", "-o", "in/a-wave.heic") == 0
    assert planned("in", style="scream") == {"in/a.png": "in/a-scream.png"}


@pytest.mark.parametrize("strength", ["0", "0.5"])
def test_results_are_known_whatever_their_look_and_format(strength) -> None:
    make_photo("in/a.bmp"), make_photo("in/b.jpg")
    assert fastnst("apply", "in", "--style", "wave", "--format", "webp", "--strength", strength) == 0
    assert planned("in", style="scream").keys() == {"in/a.bmp", "in/b.jpg"}


def test_results_in_a_folder_among_the_photos_are_not_painted_again() -> None:
    make_photo("a.jpg"), make_photo("deep/b.png")
    assert fastnst("apply", ".", "--style", "wave", "-o", "painted") == 0
    assert files("painted") == {"a.jpg", "deep/b.png"}
    assert planned(".", style="scream", output=Path("other")) == {
        "a.jpg": "other/a.jpg",
        "deep/b.png": "other/deep/b.png",
    }
    assert planned("painted", style="scream").keys() == {"painted/a.jpg", "painted/deep/b.png"}  # named: meant


def test_results_are_not_painted_again_when_a_photo_that_changes_their_names_is_new() -> None:
    make_photo("a.png")
    assert fastnst("apply", ".", "--style", "wave", "-o", "out") == 0
    make_photo("a.bmp")
    assert planned(".", output=Path("out"), skip_existing=True).keys() == {"a.png", "a.bmp"}


def test_a_result_with_a_name_of_its_own_is_not_painted_again() -> None:
    make_photo("in/a.jpg")
    assert fastnst("apply", "in/a.jpg", "--style", "wave", "-o", "in/sunset.jpg") == 0
    assert planned("in", style="scream") == {"in/a.jpg": "in/a-scream.jpg"}


def test_a_photo_that_is_called_like_a_result_is_painted() -> None:
    make_photo("in/a.jpg"), make_photo("in/a-beach.jpg"), make_photo("in/a-wave.jpg")
    assert planned("in", style="scream").keys() == {"in/a.jpg", "in/a-beach.jpg", "in/a-wave.jpg"}
    assert fastnst("apply", "in", "--style", "scream", "-o", "out") == 0
    assert files("out") == {"a.jpg", "a-beach.jpg", "a-wave.jpg"}


@pytest.mark.parametrize("maker", [make_photo, make_video])
def test_a_photo_that_is_called_as_the_result_of_another_is_never_replaced(maker) -> None:
    suffix = ".mp4" if maker is make_video else ".jpg"
    maker(f"in/a{suffix}")
    before = Path(maker(f"in/a-wave{suffix}")).read_bytes()
    for more in ((), ("--force",)):
        assert fastnst("apply", "in", "--style", "wave", *more) == 2
        assert Path(f"in/a-wave{suffix}").read_bytes() == before
    assert files("in") == {f"a{suffix}", f"a-wave{suffix}"}


def test_what_the_camera_said_stays_beside_the_mark() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model], exif[ExifTags.Base.Software] = "Nikon", "F3", "Capture 5"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] = 400
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    make_photo("a.jpg", exif=exif)
    assert not has_mark(Path("a.jpg"))
    for suffix in ("jpg", "png", "webp", "tif", "avif"):
        assert fastnst("apply", "a.jpg", "--style", "wave", "-o", f"out/a.{suffix}") == 0
        assert has_mark(Path(f"out/a.{suffix}"))
        with Image.open(f"out/a.{suffix}") as image:
            kept = image.getexif()
            assert (kept[ExifTags.Base.Make], kept[ExifTags.Base.Model]) == ("Nikon", "F3"), suffix
            assert kept[ExifTags.Base.Software] == f"Capture 5; {MARK}", suffix
            assert kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 400, suffix
            assert kept.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N", suffix


def test_a_photo_made_with_other_software_is_no_result() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = exif[ExifTags.Base.ProcessingSoftware] = "GIMP 2.10"
    make_photo("in/a.jpg"), make_photo("in/a-2.jpg", exif=exif), make_photo("in/a-3.gif", comment=b"a gif")
    assert planned("in").keys() == {"in/a.jpg", "in/a-2.jpg", "in/a-3.gif"}


# Any name is a name.


@pytest.mark.parametrize(
    "name",
    [
        "-beach.jpg",
        "--force.jpg",
        "~beach.jpg",
        "a b.jpg",
        "[bold].jpg",
        "a:1.jpg",
        "*.jpg",
        "%s.jpg",
        f"{NOT_UTF8}.jpg",
    ],
)
def test_any_name_of_a_photo_is_a_name(name, capsys) -> None:
    make_photo(name)
    assert fastnst("apply", "--style", "wave", "--device", "cpu", "-o", "out.jpg", "--", name) == 0
    assert fastnst("apply", "--style", "wave", "--device", "cpu", "--", name) == 0
    assert files() == {name, "out.jpg", f"{Path(name).stem}-wave.jpg"}
    capsys.readouterr()
    assert fastnst("apply", "--style", "wave", "--device", "cpu", "--json", "--force", "--", name) == 0
    assert json.loads(capsys.readouterr().out)["photo"] == name


def test_without_two_hyphens_a_word_with_one_is_an_option_and_the_way_out_is_told(capsys) -> None:
    make_photo("-beach.jpg")
    assert fastnst("apply", "-beach.jpg", "--style", "wave") == 2
    assert "unknown option -beach.jpg" in capsys.readouterr().err


CHECKS = {
    "train": "training.checks.check_train",
    "probe": "training.checks.check_probe",
    "apply": "painting.jobs.plan",
    "optimize": "baseline.checks.check_optimize",
    "reconstruct": "baseline.checks.check_reconstruct",
    "compare": "baseline.checks.check_compare",
}


@pytest.mark.parametrize(
    "line",
    [
        "train --style --",
        "train --style painting.jpg --data --",
        "probe --style --",
        "apply --style wave --",
        "apply photo.jpg --style wave --mask --",
        "optimize --style painting.jpg --",
        "optimize photo.jpg --style --",
        "reconstruct --",
        "compare --style wave --style-image painting.jpg --",
        "compare photo.jpg --style wave --style-image --",
    ],
)
@pytest.mark.parametrize("name", ["-beach.jpg", "--force", "[bold]wave.jpg", "{a}.jpg", "1.jpg", f"{NOT_UTF8}.jpg"])
def test_every_command_takes_a_file_of_any_name(line, name, monkeypatch, capsys) -> None:
    taken: list[object] = []

    def checked(*arguments: object) -> None:
        taken.extend(arguments)
        raise ImageError("enough")

    command, *words = line.split()
    monkeypatch.setattr(f"fastnst.{CHECKS[command]}", checked)
    assert fastnst(command, *words, name) == 2
    assert capsys.readouterr().err == "fastnst: enough\n"
    *photos, settings = taken
    values = [*photos, *vars(settings).values()]
    places = [each for value in values for each in (value if isinstance(value, tuple) else (value,))]
    assert name in {os.path.normpath(place) for place in places if isinstance(place, str | Path)}
