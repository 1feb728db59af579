"""Results of `fastnst apply` are no photos: they are marked, known again, and never painted or replaced unasked."""

from pathlib import Path

import pytest
import torch
from apply_jobs import NOT_UTF8, fastnst, files, make_photo, pixels, planned
from pictures import picture_of
from PIL import ExifTags, Image

from fastnst.images.metadata import MARK, has_mark
from fastnst.images.write import save_image

pytestmark = pytest.mark.usefixtures("wave_and_scream")


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


def test_a_folder_of_nothing_but_results_is_painted() -> None:
    make_photo("in/a.jpg")
    assert fastnst("apply", "in", "--style", "wave", "-o", "out") == 0
    assert planned("out", style="scream", output=Path("again")) == {"out/a.jpg": "again/a.jpg"}
    assert planned(".", style="scream", output=Path("again")) == {"in/a.jpg": "again/in/a.jpg"}


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
