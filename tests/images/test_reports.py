"""Files of users' reports, each with what is expected of its kind; see inputs/."""

import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from pictures import alpha_of, dpi_of
from PIL import ExifTags, Image

from fastnst.images.decode import one_line, pyvips
from fastnst.images.formats import ImageError
from fastnst.images.opacity import filled
from fastnst.images.picture import Picture
from fastnst.images.read import decode_photo, load_image, load_on_white, read_picture
from fastnst.images.write import save_image
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import StyleFile, save_style
from fastnst.painting.animation import paint_animation, read_animation
from fastnst.painting.apply import apply
from fastnst.painting.settings import ApplySettings
from fastnst.painting.stylizer import Stylizer

INPUTS = Path(__file__).parent / "inputs"
CUTOUTS = [INPUTS / f"cutout_{name}.png" for name in ("black", "magenta", "noise", "white")]


@pytest.fixture
def stylizer(tiny_network) -> Stylizer:
    return Stylizer(StyleFile(tiny_network.eval(), {"name": "wave", "styles": [{"name": "wave"}]}), device="cpu")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF", "HEIF"])
def test_noise_is_written_at_every_quality(format) -> None:
    noise = torch.rand(1, 3, 90, 130, generator=torch.Generator().manual_seed(0))
    for quality in (1, 50, 90, 94, 95, 100):
        save_image(noise, file := io.BytesIO(), format=format, quality=quality)
        assert load_image(io.BytesIO(file.getvalue())).shape == noise.shape


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("saver", ["jpegsave_target", "pngsave_target", "webpsave_target"])
def test_a_full_disk_is_called_so(saver) -> None:
    noise = pyvips.Image.gaussnoise(300, 300).cast("uchar")
    with (
        Path("/dev/full").open("wb") as full,
        pytest.raises(ImageError, match=r"the disk is full|No space left"),
        one_line("out", writes=True),
    ):
        getattr(noise, saver)(pyvips.Target.new_to_descriptor(full.fileno()))


def test_what_cannot_be_seen_does_not_decide_what_is_seen(stylizer) -> None:
    pictures = [read_picture(path) for path in CUTOUTS]
    shown = alpha_of(pictures[0])[0, 0] > 0
    for picture in pictures[1:]:
        assert torch.equal(alpha_of(picture), alpha_of(pictures[0]))
        assert torch.equal(picture.levels[:, :3, shown], pictures[0].levels[:, :3, shown])
        assert not torch.equal(picture.levels, pictures[0].levels)
    ways = [
        lambda picture: picture.visible,
        lambda picture: stylizer.paint(picture.levels),
        lambda picture: stylizer.paint(picture.levels, tile=64),
        lambda picture: torch.from_numpy(stylizer(picture.levels[0].permute(1, 2, 0).numpy())).permute(2, 0, 1)[None],
    ]
    for way in ways:
        first, *others = map(way, pictures)
        assert all(torch.equal(first, other) for other in others)
    first, *others = (decode_photo(path, short_side=100) for path in CUTOUTS)
    for other in others:
        assert np.abs(first.astype(int) - other).max() <= 1  # scaled down with opacity, which is rounded


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_what_cannot_be_seen_does_not_decide_what_is_seen_in_an_animation(stylizer, format) -> None:
    painted = []
    for path in CUTOUTS:
        with Image.open(path) as frame:
            frames = [frame.convert("RGBA"), frame.convert("RGBA").transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
        lossless = {"lossless": True, "exact": True} if format == "WEBP" else {}
        frames[0].save(source := io.BytesIO(), format, save_all=True, append_images=frames[1:], **lossless)
        paint_animation(io.BytesIO(source.getvalue()), target := io.BytesIO(), stylizer.paint, format="PNG")
        painted.append([np.array(each) for each in read_animation(io.BytesIO(target.getvalue())).frames])
    assert len(painted[0]) == 2
    for others in painted[1:]:
        for first, other in zip(painted[0], others, strict=True):
            shown = first[..., 3] > 0
            assert shown.any() and not shown.all() and np.array_equal(first[shown], other[shown])


def test_hidden_pixels_take_the_colours_around_them() -> None:
    image = torch.rand(1, 4, 70, 90)
    image[:, 3] = 1
    assert torch.equal(filled(image), image[:, :3])
    image[:, :3, :, :40], image[:, :3, :, 40:] = torch.tensor([1.0, 0, 0])[None, :, None, None], 0.25
    image[:, 3, 20:50, 10:30] = 0
    image[:, :3, 20:50, 10:30] = 0.7
    found = filled(image)
    assert (found[:, :, 20:50, 10:20] - torch.tensor([1.0, 0, 0])[None, :, None, None]).abs().max() < 0.05
    nothing = torch.cat((image[:, :3], torch.zeros(1, 1, 70, 90)), 1)
    assert torch.equal(filled(nothing), torch.zeros(1, 3, 70, 90))


@pytest.mark.parametrize(
    ("name", "like"), [("float_max_1.02", "float_max_1.00"), ("int32_max_70000", "int32_max_65535")]
)
def test_one_bright_pixel_does_not_choose_the_full_scale(name, like) -> None:
    found, expected = (read_picture(INPUTS / f"{each}.tif").pixels for each in (name, like))
    assert (found - expected).abs().mean() < 1e-3 and float(expected.mean()) == pytest.approx(122.1 / 255, abs=0.01)
    assert ((found - expected).abs() > 1e-4).sum() <= 3  # the pixel itself


def test_highlights_of_a_tenth_of_the_picture_are_clipped() -> None:
    values = np.full((50, 60), 0.5, np.float32)
    values[:4] = 8.0
    Image.fromarray(values).save(file := io.BytesIO(), "TIFF")
    assert read_picture(io.BytesIO(file.getvalue())).pixels[0, 0, 10, 10].item() == pytest.approx(0.5, abs=1e-4)


def test_white_is_zero_is_read_as_a_viewer_shows_it() -> None:
    found, like = (load_image(INPUTS / name) for name in ("grey16_white_is_zero.tif", "int32_max_65535.tif"))
    assert (found - like).abs().max() < 1e-4


@pytest.mark.parametrize("name", ["jpeg_grey_table_1.jpg", "jpeg_table_2.jpg"])
def test_a_jpeg_without_the_first_table_is_read(name) -> None:
    picture = read_picture(INPUTS / name)
    like = load_image(INPUTS / "plain.png")
    like = like.mean(1, keepdim=True).expand_as(like) if "grey" in name else like
    assert (picture.pixels - like).abs().mean() < 0.1 and picture.quality is not None
    assert load_on_white(INPUTS / name).shape == (1, 3, 64, 96)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_metadata_stays_byte_for_byte(suffix, tmp_path) -> None:
    picture = read_picture(INPUTS / "exif_utf8.jpg")
    save_image(picture, tmp_path / f"out{suffix}", stylized=True)
    data = (tmp_path / f"out{suffix}").read_bytes()
    for text in ("José Müller", "© 2024 Zoë Åström", "Übersicht 写真", "Testcam"):
        assert text.encode() in data
    save_image(read_picture(tmp_path / f"out{suffix}"), tmp_path / "again.jpg")
    assert "José Müller".encode() in (tmp_path / "again.jpg").read_bytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_xmp_iptc_and_the_maker_s_notes_stay(suffix, tmp_path) -> None:
    exif = Image.Exif()
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.MakerNote: b"maker's own bytes \0\1\2" * 9,
        ExifTags.Base.LensModel: "50 mm",
    }
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">rated</x:xmpmeta>'
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "in.jpg", exif=exif, xmp=xmp, dpi=(240, 240))
    picture = read_picture(tmp_path / "in.jpg")
    save_image(picture, tmp_path / f"out{suffix}", stylized=True)
    data = (tmp_path / f"out{suffix}").read_bytes()
    assert read_picture(tmp_path / f"out{suffix}").image.get("xmp-data") == xmp  # compressed in a PNG file
    assert b"maker's own bytes \0\1\2" * 9 in data and b"50 mm" in data
    if suffix not in (".webp", ".avif"):
        assert dpi_of(read_picture(tmp_path / f"out{suffix}")) == pytest.approx((240, 240), abs=0.1)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_iptc_stays_byte_for_byte(suffix, tmp_path) -> None:
    caption = "Bergsee, früh am Morgen".encode()
    record = b"\x1c\x02\x78" + struct.pack(">H", len(caption)) + caption
    block = (
        b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record + b"\0" * (len(record) % 2)
    )
    Image.new("RGB", (40, 30), "teal").save(file := io.BytesIO(), "JPEG")
    segment = b"\xff\xed" + struct.pack(">H", 2 + len(block)) + block
    (tmp_path / "in.jpg").write_bytes(b"\xff\xd8" + segment + file.getvalue()[2:])
    save_image(read_picture(tmp_path / "in.jpg"), tmp_path / f"out{suffix}", stylized=True)
    assert record in (tmp_path / f"out{suffix}").read_bytes()
    save_image(read_picture(tmp_path / f"out{suffix}"), tmp_path / "again.jpg")
    assert block in (tmp_path / "again.jpg").read_bytes()


def test_iptc_that_stands_alone_in_a_tiff_file_stays(tmp_path) -> None:
    record = b"\x1c\x02\x78\0\x05Alone"
    values, plain = np.zeros((8, 8, 3), np.uint8), {"photometric": "rgb", "metadata": None}
    tifffile.imwrite(tmp_path / "in.tif", values, extratags=[(33723, "B", len(record), record, True)], **plain)
    for suffix in (".jpg", ".tif"):
        save_image(read_picture(tmp_path / "in.tif"), tmp_path / f"out{suffix}")
        assert record in (tmp_path / f"out{suffix}").read_bytes()


def test_a_tiff_file_wider_than_a_jpeg_can_be_is_written(tmp_path) -> None:
    wide = Picture.of(torch.full((1, 3, 2, 70000), 90, dtype=torch.uint8))
    save_image(wide, tmp_path / "wide.tif", stylized=True)
    assert read_picture(tmp_path / "wide.tif").size == (2, 70000)
    with Image.open(tmp_path / "wide.tif") as saved:
        assert saved.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] == 70000


def test_one_bad_tag_does_not_cost_the_others(tmp_path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Artist] = "Camera", "José"
    data = bytearray(exif.tobytes())
    place = data.index(b"\x01\x0f\x00\x02")  # Make: text of a length that the file does not have
    data[place + 4 : place + 8] = b"\x7f\xff\xff\xff"
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "in.jpg", exif=bytes(data))
    save_image(read_picture(tmp_path / "in.jpg"), tmp_path / "out.jpg")
    assert b"Jos" in (tmp_path / "out.jpg").read_bytes()


def test_what_a_format_cannot_hold_is_one_line_and_the_others_go_on(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    network = {"half": 4, "quarter": 4, "num_blocks": 1}
    info = {"name": "wave", "styles": [{"name": "wave"}], "network": {**network, "num_styles": 1}}
    save_style(Path("checkpoints/wave.safetensors"), TransformationNetwork(**network), info)
    photos = [str(INPUTS / name) for name in ("slides_11min.webp", "plain.png", "apng_loop_100000.png", "plain.jpg")]
    for format, failing in {"gif": 2, "webp": 1}.items():
        settings = {"style": "wave", "device": "cpu", "json": True, "output": tmp_path / format, "format": format}
        assert apply(photos, ApplySettings(**settings)) == failing
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        errors = [line["error"] for line in lines if "error" in line]
        assert len(errors) == failing and all("cannot be written" in error and "\n" not in error for error in errors)
        assert len(list((tmp_path / format).iterdir())) == 4 - failing


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_reads_though_libvips_had_threads_before(tmp_path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.effect_noise((300, 200), 60).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(np.linspace(0, 1, 60000, dtype=np.float32).reshape(200, 300)).save(tmp_path / "floats.tif")
    script = """
import os, sys, time
from pathlib import Path
from fastnst.images import stored
from fastnst.images.decode import pyvips
from fastnst.images.picture import Picture
from fastnst.images.read import decode_photo, read_picture
pyvips.Image.gaussnoise(2000, 2000).avg()  # starts threads, which a forked process lacks
child = os.fork()
if child == 0:
    for limit in (2**25, 1000):  # in memory, then in a file
        stored.IN_MEMORY = limit
        for path in map(Path, sys.argv[1:]):
            assert sorted(read_picture(path).levels.shape[2:]) == [200, 300]
            assert min(decode_photo(path, short_side=50).shape[:2]) == 50
    os._exit(7)
for _ in range(600):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        sys.exit(os.waitstatus_to_exitcode(status))
    time.sleep(0.1)
os.kill(child, 9)
"""
    words = [sys.executable, "-c", script, str(tmp_path / "turned.jpg"), str(tmp_path / "floats.tif")]
    assert subprocess.run(words).returncode == 7


def test_a_picture_is_refused_that_has_more_pixels_than_allowed() -> None:
    with pytest.raises(ImageError, match="96 x 64 are 0 megapixels, and the limit is 0 megapixels"):
        read_picture(INPUTS / "plain.png", max_pixels=96 * 64 - 1)
    assert read_picture(INPUTS / "plain.png", max_pixels=96 * 64).size == (64, 96)


def test_without_libvips_one_line_says_what_to_install(tmp_path) -> None:
    script = "import sys; sys.modules['pyvips'] = None; from fastnst.cli import main; main(sys.argv[1:])"
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    words = ["apply", str(tmp_path / "photo.png"), "--style", "great_wave"]
    done = subprocess.run([sys.executable, "-c", script, *words], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fastnst: libvips is missing: pip install 'pyvips[binary]'")
    assert done.stderr.count("\n") == 1
