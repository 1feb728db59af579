"""Small files that would become gigabytes, and flat pictures that only look like them."""

import io
import re
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fastnst.base.boxes import Box
from fastnst.cli import main
from fastnst.images import decode, stored, write
from fastnst.images.decode import pyvips
from fastnst.images.formats import HELD, ImageError
from fastnst.images.metadata import has_mark
from fastnst.images.picture import Picture
from fastnst.images.read import decode_photo, image_size, load_on_white, read_picture
from fastnst.images.write import save_image
from fastnst.painting import animation
from fastnst.painting.animation import paint_animation, read_animation
from fastnst.painting.apply import apply
from fastnst.painting.settings import ApplySettings


def gif(screen: tuple[int, int], picture: tuple[int, int, int, int], frames: int = 1) -> bytes:
    """A GIF file; each frame says that it covers (left, top, width, height), and holds one pixel."""
    start = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x21\xf9\x04\0\x0a\0\0\0\x2c" + struct.pack("<HHHHB", *picture, 0) + b"\x02\x02\x44\x01\0"
    return start + frame * frames + b"\x3b"


def webp(screen: tuple[int, int], frames: int = 1) -> bytes:
    """A WebP animation, each frame one pixel in the corner of the screen."""
    Image.new("RGB", (1, 1)).save(file := io.BytesIO(), "WEBP", lossless=True)
    sides = b"".join((side - 1).to_bytes(3, "little") for side in screen)
    chunks = [(b"VP8X", b"\x02\0\0\0" + sides), (b"ICCP", b"odd"), (b"ANIM", bytes(6))]
    chunks += [(b"ANMF", bytes(12) + b"\x64\0\0\0" + file.getvalue()[12:])] * frames
    body = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("data", [gif, webp])
def test_a_screen_far_beyond_its_picture_is_refused_before_it_is_decoded(data, frames, tmp_path) -> None:
    screen = (16000, 16000)
    bomb = gif(screen, (15999, 15999, 1, 1), frames) if data is gif else webp(screen, frames)
    assert len(bomb) < 300
    (tmp_path / "bomb").write_bytes(bomb)
    for read in (read_picture, read_animation, image_size, lambda path: decode_photo(path, short_side=64)):
        with pytest.raises(ImageError, match=r"bomb: a screen of 16000 x 16000 pixels, and a picture of 1 on it$"):
            read(tmp_path / "bomb")
    small = gif((900, 900), (899, 899, 1, 1)) if data is gif else webp((900, 900))
    assert read_picture(io.BytesIO(small)).size == (900, 900)


@pytest.mark.parametrize("leaves", [1, 2, 3])  # what is shown after a frame: it, the background, the frame before
def test_a_frame_far_beyond_its_screen_is_refused_before_it_is_filled(leaves, tmp_path: Path) -> None:
    def with_frame(left: int, top: int, width: int, height: int) -> bytes:
        frame = bytearray(gif((1, 1), (left, top, width, height))[19:])  # behind the screen and its two colours
        frame[3] = leaves << 2
        return gif((1, 1), (0, 0, 1, 1))[:-1] + b"odd" + frame  # what is no block is skipped

    (tmp_path / "bomb.gif").write_bytes(with_frame(5, 6, 60000, 60000))
    with pytest.raises(ImageError, match=r"2 frames of 60005 x 60006 are 7,201 megapixels, and the limit is 500"):
        read_animation(tmp_path / "bomb.gif")
    beyond = read_animation(io.BytesIO(with_frame(30, 20, 1, 1)))
    assert [frame.size for frame in beyond.frames] == [(1, 1), (31, 21)]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP", "GIF"])
def test_a_large_white_picture_passes(format, tmp_path: Path) -> None:
    path, (width, height) = tmp_path / f"white.{format.lower()}", (12000, 8000)
    if format == "GIF":
        Image.new("L", (width, height), 255).save(path)
    else:
        white = (pyvips.Image.black(width, height) + 255).cast("uchar")
        options = {"WEBP": {"lossless": True, "effort": 0}, "TIFF": {"compression": "deflate"}}
        white.write_to_file(str(path), **options.get(format, {}))
    assert path.stat().st_size < 2_000_000
    picture = read_picture(path, size=600)
    assert picture.size == (400, 600) and bool((picture.levels == 255).all())


@pytest.mark.long
@pytest.mark.parametrize("format", ["AVIF", "HEIF", "JPEG2000", "BMP", "PPM", "TGA"])
def test_one_of_a_format_that_is_decoded_as_a_whole_passes_or_says_what_memory_it_needs(format, tmp_path: Path) -> None:
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    fast = {"quality": 10, "chroma": 420, "enc_params": {"preset": "ultrafast"}}
    options = {"AVIF": {"speed": 10}, "HEIF": fast, "TGA": {"compression": "tga_rle"}}
    path = tmp_path / f"white.{format.lower()}"
    Image.new("L" if format in ("BMP", "PPM") else "RGB", (12000, 8000), "white").save(
        path, format, **options.get(format, {})
    )
    try:
        picture = read_picture(path, size=600)
    except ImageError as error:
        line = (
            rf"white.{format.lower()}: a file of this kind \({format}\) is decoded as a whole, which takes [12].\d GB"
        )
        assert re.search(line, str(error)), error
        return
    assert picture.size == (400, 600) and bool((picture.levels >= 254).all())


def test_the_pixels_of_all_frames_of_an_animation_are_limited(tmp_path: Path, capsys) -> None:
    frames = [Image.fromarray(np.full((900, 1200), level, np.uint8)) for level in (0, 100, 200)]
    for suffix in ("gif", "webp", "png"):
        path = tmp_path / f"moving.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        settings = ApplySettings(style="great_wave", device="cpu", max_megapixels=3, output=tmp_path / "out", size=32)
        with pytest.raises(ImageError, match="nothing was painted"):
            apply([str(path)], settings)
        assert not (tmp_path / "out").exists()
        with pytest.raises(ImageError, match="3 frames of 1200 x 900 are 3 megapixels, and the limit is 3 megapixels"):
            read_animation(path, max_pixels=3_000_000)
        assert len(read_animation(path, max_pixels=3_240_000, size=32).frames) == 3


def test_frames_have_a_limit_of_their_own(tmp_path: Path, monkeypatch) -> None:
    assert animation.MOST_FRAMES == 10_000
    monkeypatch.setattr(animation, "MOST_FRAMES", 3)
    refused = pytest.raises(ImageError, match="4 frames, and the limit is 3: make it a video")
    for frames, told in ((3, nullcontext()), (4, refused)):
        (tmp_path / "many.gif").write_bytes(gif((1, 1), (0, 0, 1, 1), frames))
        with told:
            assert len(read_animation(tmp_path / "many.gif").frames) == 3


def test_large_pictures_are_kept_in_files_that_are_gone_with_them(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(stored, "IN_MEMORY", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    values = torch.randint(0, 255, (1, 3, 60, 80), dtype=torch.uint8)
    Image.fromarray(values[0].permute(1, 2, 0).numpy()).save(tmp_path / "photo.png")
    picture = read_picture(tmp_path / "photo.png")
    assert torch.equal(picture.levels, values) and not list((tmp_path / "temporary").iterdir())
    painted = picture.painted([((slice(0, 60), slice(0, 80)), 255 - values)])
    assert torch.equal(painted.levels, 255 - values) and len(stored._files) >= 2

    def parts() -> Iterator[tuple[Box, Tensor]]:
        for top in (0, 30):
            rows = slice(top, top + 30)
            yield (rows, slice(0, 80)), values[..., rows, :]
            assert not list((tmp_path / "temporary").iterdir())  # also while it is written

    assert torch.equal(picture.painted(parts()).levels, values)
    assert torch.equal(picture.levels, values) and torch.equal(painted.levels, 255 - values)


@pytest.mark.parametrize("suffix", ["bmp", "ppm", "tga", "jp2", "gif", "webp", "avif", "interlaced.png", "plain.png"])
def test_what_is_decoded_as_a_whole_is_refused_where_memory_is_short(suffix, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / f"photo.{suffix}"
    image = Image.new("RGB", (300, 200), "teal")
    if suffix == "interlaced.png":
        pyvips.Image.new_from_array(np.array(image)).pngsave(str(path), interlace=True)
    else:
        image.save(path)
    monkeypatch.setattr(decode, "LARGE_SCREEN", 1000)  # smaller ones are not looked at
    assert read_picture(path).size == (200, 300)
    monkeypatch.setattr(decode, "free_memory", lambda: 500_000)
    if suffix == "plain.png":  # row by row
        assert read_picture(path).size == (200, 300)
        return
    format = path.suffix[1:].upper().replace("JP2", "JPEG2000").replace("INTERLACED.", "")
    line = rf"photo.{suffix}: a file of this kind \({format}\) is decoded as a whole, which takes 0.0 GB of memory"
    with pytest.raises(ImageError, match=line):
        read_picture(path)


@pytest.mark.parametrize(("suffix", "mode"), [("avif", "RGB"), ("webp", "RGBA"), ("heic", "RGB")])
def test_what_a_decoder_is_known_to_hold_must_be_left(suffix, mode, tmp_path: Path, monkeypatch) -> None:
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    Image.new(mode, (300, 200), (0, 128, 128, 99)[: len(mode)]).save(path := tmp_path / f"photo.{suffix}")
    monkeypatch.setattr(decode, "LARGE_SCREEN", 1000)
    held = HELD[{"HEIC": "HEIF"}.get(suffix.upper(), suffix.upper())]
    needed = 60_000 * (held.decoded_rich if mode == "RGBA" else held.decoded)
    assert needed > 60_000 * 12
    monkeypatch.setattr(decode, "free_memory", lambda: needed)
    assert read_picture(path).size == (200, 300)
    monkeypatch.setattr(decode, "free_memory", lambda: needed - 1)
    with pytest.raises(ImageError, match=r"is decoded as a whole, which takes 0\.0 GB of memory"):
        read_picture(path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("suffix", ["avif", "webp", "gif", "heic"])
def test_what_takes_more_memory_to_encode_than_is_left_is_refused(suffix, mode, tmp_path: Path, monkeypatch) -> None:
    if suffix == "heic":
        pytest.importorskip("pillow_heif")
    picture = Picture.of(torch.full((1, len(mode), 200, 300), 99, dtype=torch.uint8))
    monkeypatch.setattr(decode, "LARGE_SCREEN", 1000)
    held = HELD[{"HEIC": "HEIF"}.get(suffix.upper(), suffix.upper())]
    needed = 60_000 * (held.encoded_rich if mode == "RGBA" else held.encoded)
    monkeypatch.setattr(decode, "free_memory", lambda: needed)
    save_image(picture, tmp_path / f"out.{suffix}")
    monkeypatch.setattr(decode, "free_memory", lambda: needed - 1)
    with pytest.raises(
        ImageError, match=rf"new\.{suffix}: a file of this kind .* is encoded as a whole, which"
    ) as error:
        save_image(picture, tmp_path / f"new.{suffix}")
    assert "\n" not in str(error.value) and [path.name for path in tmp_path.iterdir()] == [f"out.{suffix}"]


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_what_is_encoded_row_by_row_needs_no_memory_for_that(suffix, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(decode, "LARGE_SCREEN", 1000)
    monkeypatch.setattr(decode, "free_memory", lambda: 0)
    save_image(torch.rand(1, 3, 200, 300), tmp_path / f"out.{suffix}")


def test_a_result_that_cannot_be_encoded_is_told_before_it_is_painted(tmp_path: Path, monkeypatch, capsys) -> None:
    Image.new("RGB", (300, 200), "teal").save(tmp_path / "photo.png")
    monkeypatch.setattr(decode, "LARGE_SCREEN", 1000)
    monkeypatch.setattr(decode, "free_memory", lambda: 1_000_000)
    monkeypatch.setattr(Picture, "painted", lambda *_: pytest.fail("it is painted"))
    words = ("apply", str(tmp_path / "photo.png"), "--style", "great_wave_live", "-o", str(tmp_path / "out.avif"))
    with pytest.raises(SystemExit) as stop:
        main([*words, "--device", "cpu", "--runtime", "torch"])
    assert stop.value.code == 2 and capsys.readouterr().err.count("out.avif: a file of this kind (AVIF), unlike") == 1


def test_frames_of_an_animation_must_fit_into_memory_together(tmp_path: Path, monkeypatch) -> None:
    frames = [Image.new("RGB", (300, 200), color) for color in ("red", "green", "blue")]
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(decode, "LARGE_SCREEN", 1000)
    for left, known in ((3 * 720_000, True), (3 * 720_000 - 1, False)):
        monkeypatch.setattr(decode, "free_memory", lambda left=left: left)
        if known:
            assert len(read_animation(tmp_path / "moving.png").frames) == 3
        else:
            with pytest.raises(ImageError, match=r"moving.png: a file of this kind \(PNG\) is decoded as a whole"):
                read_animation(tmp_path / "moving.png")


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "AVIF"])
def test_an_animation_that_takes_more_memory_to_encode_than_is_left_is_refused(format, tmp_path, monkeypatch) -> None:
    frames = [Image.new("RGB", (300, 200), color) for color in ("red", "green", "blue")]
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:])
    needed = 60_000 * (HELD[format].moving + 3 * HELD[format].frame)
    left = iter((needed, needed - 1))

    def read(*words: object, **options: object) -> animation.Animation:
        """Reading them is counted for itself."""
        frames = read_animation(*words, **options)
        monkeypatch.setattr(decode, "LARGE_SCREEN", 3 * 60_000 - 1)
        memory = next(left)
        monkeypatch.setattr(decode, "free_memory", lambda: memory)
        return frames

    monkeypatch.setattr(animation, "read_animation", read)
    paint_animation(tmp_path / "moving.png", tmp_path / "out", lambda frame: frame, format=format)
    line = (
        rf"new: an animation \({format}\) is encoded as a whole, which takes 0\.\d GB of memory, and 0\.\d GB are left"
    )
    monkeypatch.setattr(decode, "free_memory", lambda: 2**40)
    with pytest.raises(ImageError, match=line):
        paint_animation(tmp_path / "moving.png", tmp_path / "new", lambda _: pytest.fail("painted"), format=format)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["moving.png", "out"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc tells what is in memory")
def test_what_is_read_of_a_temporary_file_does_not_stay_in_memory(tmp_path: Path) -> None:
    def mapped() -> int:
        """Bytes of files in this process's memory."""
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))

    noise = pyvips.Image.new_from_array(np.random.default_rng(0).integers(0, 9, (500, 6000, 3), dtype=np.uint8))
    picture = Picture(stored.stored(noise.replicate(1, 12).copy(interpretation="srgb")))  # 36 megapixels, 108 MB
    before, most = mapped(), []
    let_go = write.let_go
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "let_go", lambda: (let_go(), most.append(mapped())))
        save_image(picture, tmp_path / "out.tif")
    assert len(most) > 20 and max(most) - before < 30_000_000
    assert picture.levels.shape == (1, 3, 6000, 6000)
    assert mapped() - before < 30_000_000


def test_a_jpeg_of_more_scans_than_any_program_writes_is_refused(tmp_path: Path) -> None:
    Image.radial_gradient("L").convert("RGB").save(
        file := io.BytesIO(), "JPEG", progressive=True, comment=b"\xff\xda" * 200
    )
    data = file.getvalue()
    assert read_picture(io.BytesIO(data)).size == (256, 256)  # what only looks like scans does not count
    last = data[data.rindex(b"\xff\xda") : -2]
    hidden = b"\xff\xfe\0\x06\xff\xd9\xff\xd9"  # what only looks like the end, neither
    bomb = data[:-2] + hidden + last * 95 + data[-2:]
    for read in (read_picture, image_size, lambda path: decode_photo(path, short_side=64)):
        with pytest.raises(ImageError, match="more than 100 scans, which no program writes"):
            read(io.BytesIO(bomb) if read is read_picture else _written(tmp_path / "bomb.jpg", bomb))


def _image(format: str) -> bytes:
    Image.new("RGB", (8, 8)).save(file := io.BytesIO(), format)
    return file.getvalue()


def _chunk(name: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


FLOODS = {
    "segments.jpg": lambda data, many: data[:2] + b"\xff\xe1\0\2" * (many // 4) + data[2:],
    "zeros.jpg": lambda data, many: data[:2] + b"\xff" + bytes(many),
    "fill.jpg": lambda data, many: data[:2] + b"\xff" * many + data[2:],
    "behind.jpg": lambda data, many: data[:-2] + b"\xff\xe1\0\2" * (many // 4) + data[-2:],
    "chunks.png": lambda data, many: data[:33] + _chunk(b"abCd") * (many // 12) + data[33:],
    "comments.gif": lambda data, many: data.replace(b"\x2c", b"\x21\xfe\1a\0" * (many // 5) + b"\x2c", 1),
    "pictures.gif": lambda data, many: gif((8, 8), (0, 0, 1, 1), many // 23),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_file_of_millions_of_parts_is_refused_soon(name, tmp_path: Path) -> None:
    data = _image({"jpg": "JPEG"}.get(name[-3:], name[-3:].upper()))
    path = _written(tmp_path / name, FLOODS[name](data, 20_000_000))
    started = time.process_time()
    with pytest.raises(ImageError, match=r"which no program writes|than any program writes|pictures in one file"):
        read_picture(path)
    assert time.process_time() - started < 2  # before: from 3 s to more than a minute
    assert not has_mark(path)
    if name != "zeros.jpg":
        path.write_bytes(FLOODS[name](data, 4000))
        assert image_size(path) == (8, 8) and read_picture(path).size == (8, 8)


def test_large_honest_headers_pass(tmp_path: Path) -> None:
    noise = pyvips.Image.new_from_array(np.random.default_rng(0).integers(0, 256, (1000, 1600, 3), np.uint8))
    noise.write_to_file(str(tmp_path / "large.png"), compression=0)
    assert (tmp_path / "large.png").read_bytes().count(b"IDAT") > 500
    data = _image("JPEG")
    names = [b"\xe2\xea\x70ICC_PROFILE\0" + bytes([number, 200]) for number in range(1, 201)]
    names += [b"\xe1\xea\x70http://ns.adobe.com/xmp/extension/\0"] * 200
    apps = b"".join(b"\xff" + name.ljust(60_017, b"\0") for name in names)  # 12 MB of each
    _written(tmp_path / "large.jpg", data[:2] + apps + data[2:])
    pages = [Image.new("L", (8, 8), page % 256) for page in range(300)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    sizes = {name: image_size(tmp_path / name) for name in ("large.png", "large.jpg", "pages.tif")}
    assert sizes == {"large.png": (1600, 1000), "large.jpg": (8, 8), "pages.tif": (8, 8)}
    assert read_picture(tmp_path / "pages.tif").frames == 300


def test_only_the_header_is_read_to_tell_a_size_also_by_pillow(monkeypatch) -> None:
    bomb = bytearray(_image("JPEG"))
    place = bomb.index(b"\xff\xc0")
    bomb[place + 1] = 0xC5  # of a kind that libvips refuses
    bomb[place + 5 : place + 9] = struct.pack(">HH", 7000, 7000)
    monkeypatch.setattr(decode, "from_pillow", lambda image: pytest.fail("it is decoded"))
    assert image_size(io.BytesIO(bomb)) == (7000, 7000)
    for format in ("BMP", "TGA", "PPM", "JPEG2000"):
        assert image_size(io.BytesIO(_image(format))) == (8, 8)


def test_a_file_is_decoded_as_what_its_first_bytes_say_and_as_nothing_else() -> None:
    photo_cd = bytearray(b"\xff\xd8\xff\1" + bytes(400_000))
    photo_cd[2048:2052] = b"PCD_"
    assert Image.open(io.BytesIO(photo_cd)).format == "PCD"
    with pytest.raises(ImageError, match=r"^image: not an image, or of a kind that is not known$"):
        image_size(io.BytesIO(photo_cd))


def test_a_stream_without_a_name_of_words_is_an_image_in_messages() -> None:
    for kept in (10, 1000):
        with tempfile.SpooledTemporaryFile(kept) as file, pytest.raises(ImageError, match=r"^image: not an image"):
            file.write(b"no picture at all")
            file.seek(0)
            read_picture(file)


@pytest.mark.parametrize("size", [(1, 1_000_000), (200_000, 1), (300, 9000), (40, 150), (150, 40)])
def test_a_painting_measured_by_its_short_side_is_at_most_four_times_as_long(size, tmp_path: Path) -> None:
    height, width = size
    levels = (np.arange(height)[:, None] + np.arange(width)) * 255 // (height + width)
    Image.fromarray(levels.astype(np.uint8)).save(tmp_path / "strip.png")
    painting = load_on_white(tmp_path / "strip.png", size=64, edge=min)
    whole = read_picture(tmp_path / "strip.png", size=64, edge=min).pixels
    if max(size) <= 4 * min(size):
        assert torch.equal(painting, whole)
        return
    assert max(painting.shape[2:]) == 4 * min(painting.shape[2:]) == 4 * min(64, *size)
    assert float(painting.mean()) == pytest.approx(0.5, abs=0.02)  # the middle of the ramp
    assert load_on_white(tmp_path / "strip.png").shape[2:] == size  # a mask stays whole


def test_rows_of_a_million_pixels_are_shrunk_one_by_one() -> None:
    # Else libvips holds all of them at once as floats: 1.5 GB for a file of 41 bytes.
    script = """
import resource
from fastnst.images.srgb import shrunk
from fastnst.images.stored import pixels_of, pyvips
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
wide = pyvips.Image.xyz(786_464, 32)[0].linear(65535 / 786_464, 0).cast("ushort").copy(interpretation="grey16")
wide = wide.bandjoin([wide, wide, 65535]).cast("ushort").copy(interpretation="rgb16")
row = pixels_of(shrunk(wide, 64 / 786_464))[0, :, 0]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
print(max(abs(int(level) - (place + 0.5) / 64 * 65535) for place, level in enumerate(row)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    kilobytes, difference = map(float, done.stdout.split())
    assert kilobytes < 300_000
    assert difference < 65535 / 64 / 2  # half of a pixel of the ramp


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _tiff_with(entries: list[tuple[int, int, int, int]], *, after: int = 0, more: bytes = b"") -> bytes:
    """A grey TIFF file of 8 x 8 px with these entries (tag, type, count, value) too, and the next directory's place."""
    fixed = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    fixed += [(277, 3, 1, 1), (278, 3, 1, 8), (279, 4, 1, 64)]
    packed = b"".join(struct.pack("<HHLL", *each) for each in sorted(fixed + entries))
    directory = struct.pack("<H", len(fixed) + len(entries)) + packed + struct.pack("<L", after)
    return b"II*\0" + struct.pack("<L", 72) + bytes(range(64)) + directory + more


@pytest.mark.parametrize(
    ("entries", "after", "more"),
    [
        ([(315, 2, 4, 0x00636261)], 72, b""),  # followed by itself
        ([(315, 2, 4, 0x00636261), (34665, 4, 1, 72)], 0, b""),  # its own Exif directory
        ([(40000 + i, 1, 2**20, 300) for i in range(40)], 0, bytes(2**20 + 4000)),  # one megabyte, 40 times
    ],
    ids=["next", "inside", "shared"],
)
def test_a_tiff_file_whose_directories_lead_in_circles_is_read_at_once(entries, after, more, tmp_path: Path) -> None:
    data = _tiff_with(entries, after=after, more=more)
    (tmp_path / "circle.tif").write_bytes(data)
    began = time.process_time()
    picture = read_picture(tmp_path / "circle.tif")
    assert picture.size == (8, 8) and picture.levels[0, 0].flatten().tolist() == list(range(64))
    assert time.process_time() - began < 2


def test_what_a_directory_says_of_the_photo_is_kept_whatever_follows_it(tmp_path: Path) -> None:
    (tmp_path / "artist.tif").write_bytes(_tiff_with([(315, 2, 4, 0x00636261)], after=72))
    save_image(read_picture(tmp_path / "artist.tif"), tmp_path / "kept.jpg")
    with Image.open(tmp_path / "kept.jpg") as kept:
        assert kept.getexif()[315] == "abc"
