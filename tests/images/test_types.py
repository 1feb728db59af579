import io
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from icc_profiles import ADOBE_RGB, gamma, matrix_profile
from PIL import ExifTags, Image
from project import ROOT

from fastnst import Stylizer
from fastnst.images.levels import as_channels, floats_of, from_levels, levels_of, to_levels
from fastnst.images.srgb import srgb_profile
from fastnst.images.types import to_channels
from fastnst.networks.style_file import StyleFile

NOISE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
TYPES = [np.uint8, np.uint16, np.float16, np.float32, np.float64]


@pytest.fixture
def stylizer(tiny_network) -> Stylizer:
    return Stylizer(StyleFile(tiny_network.eval(), {"name": "wave", "styles": [{"name": "wave"}]}), device="cpu")


@pytest.fixture
def expected(stylizer) -> np.ndarray:
    """The noise, painted by the core, (30, 40, 3) in [0, 1]."""
    photo = torch.from_numpy(NOISE / 255).permute(2, 0, 1)[None].float()
    return stylizer.paint(photo)[0].permute(1, 2, 0).numpy()


def as_type(array: np.ndarray, dtype: type) -> np.ndarray:
    return (
        (array / 255).astype(dtype)
        if np.issubdtype(dtype, np.floating)
        else array.astype(dtype) * (257 ** (dtype == np.uint16))
    )


def shares(painted: object) -> np.ndarray:
    """What was painted, of whatever type, in [0, 1]."""
    array = painted.numpy() if isinstance(painted, torch.Tensor) else np.array(painted)
    return array / np.iinfo(array.dtype).max if array.dtype.kind == "u" else array


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_and_tensors_of_all_levels_are_equal_to_the_bit(dtype) -> None:
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype).reshape(-1, 16, 1).repeat(3, axis=2)
    floats = floats_of(levels)
    assert torch.equal(torch.from_numpy(floats), from_levels(as_channels(levels)))
    assert np.array_equal(levels_of(floats, levels.dtype), levels)
    others = np.random.default_rng(0).uniform(-0.1, 1.1, (1, 3, 50, 70)).astype(np.float32)
    expected = to_levels(torch.from_numpy(others), as_channels(levels).dtype)[0].permute(1, 2, 0)
    assert np.array_equal(levels_of(others, levels.dtype), expected.numpy())


@pytest.mark.parametrize("dtype", TYPES)
def test_an_array_comes_back_as_it_was(stylizer, expected, dtype) -> None:
    array = as_type(NOISE, dtype)
    painted = stylizer(array)
    assert isinstance(painted, np.ndarray)
    assert (painted.shape, painted.dtype, painted.flags.c_contiguous) == (array.shape, dtype, True)
    assert np.abs(shares(painted) - expected).max() < 3 / 255
    batch = stylizer(np.stack([array, array[::-1]]))
    assert batch.shape == (2, 30, 40, 3)
    assert np.abs(shares(batch[0]) - shares(painted)).max() < 3 / 255
    array.setflags(write=False)  # as those that look into an image of Pillow
    assert np.array_equal(stylizer(array[:, ::-1]), stylizer(array[:, ::-1].copy()))


@pytest.mark.parametrize("dtype", TYPES)
def test_a_tensor_comes_back_as_it_was(stylizer, expected, dtype) -> None:
    tensor = torch.from_numpy(as_type(NOISE, dtype)).permute(2, 0, 1)
    for photo in (tensor, tensor[None], torch.stack([tensor, tensor])):
        painted = stylizer(photo)
        assert (painted.shape, painted.dtype, painted.device) == (photo.shape, photo.dtype, photo.device)
        assert not painted.is_inference()
        assert np.abs(shares(painted.reshape(-1, 3, 30, 40)[0]).transpose(1, 2, 0) - expected).max() < 3 / 255


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_a_pillow_image_comes_back_in_its_mode_where_that_can_be(stylizer, mode) -> None:
    image = Image.fromarray(NOISE).convert("L" if mode == "I;16" else mode)
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    if mode == "I;16":
        image = Image.fromarray(np.array(image).astype(np.uint16) * 257)
    before = image.tobytes()
    painted = stylizer(image)
    assert type(painted) is Image.Image and painted.size == image.size
    assert painted.mode == (mode if mode in ("L", "LA", "RGB", "RGBA") else "RGB")
    assert image.tobytes() == before and painted.tobytes() != before
    if mode.endswith("A"):
        assert painted.getchannel("A").tobytes() == image.getchannel("A").tobytes()
    assert np.abs(np.array(stylizer(image, strength=0.0).convert("L")).astype(int) - image_in_grey(image)).max() <= 1


def image_in_grey(image: Image.Image) -> np.ndarray:
    if image.mode == "I;16":
        return np.array(image).astype(int) // 257
    return np.array(image.convert("RGB").convert("L")).astype(int)


def test_a_pillow_image_is_painted_as_its_pixels_are(stylizer, expected) -> None:
    assert np.abs(shares(stylizer(Image.fromarray(NOISE))) - expected).max() < 1 / 255


def test_a_photo_is_turned_as_its_exif_says_and_keeps_the_rest(stylizer) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 6, "Camera"
    Image.fromarray(NOISE).save(file := io.BytesIO(), "PNG", exif=exif, dpi=(300, 300))
    with Image.open(file) as photo:
        painted = stylizer(photo, strength=0.0)
        assert photo.size == (40, 30) and photo.getexif()[ExifTags.Base.Orientation] == 6  # as it was
    assert painted.size == (30, 40)
    assert np.array_equal(np.array(painted), np.rot90(NOISE, -1))
    assert painted.getexif()[ExifTags.Base.Make] == "Camera" and ExifTags.Base.Orientation not in painted.getexif()
    assert painted.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_a_profile_is_applied_and_replaced(stylizer) -> None:
    Image.new("RGB", (20, 20), (200, 60, 60)).save(
        file := io.BytesIO(), "PNG", icc_profile=matrix_profile(ADOBE_RGB, gamma(2.2))
    )
    with Image.open(file) as photo:
        painted = stylizer(photo, strength=0.0)
    assert painted.getpixel((5, 5))[0] > 220  # more red in sRGB
    assert painted.info["icc_profile"] == srgb_profile()


def test_a_list_comes_back_as_a_list_of_what_was_in_it(stylizer) -> None:
    tensor = torch.rand(3, 20, 24)
    painted = stylizer([NOISE, tensor, Image.fromarray(NOISE)], strength=0.5)
    assert [type(each) for each in painted] == [np.ndarray, torch.Tensor, Image.Image]
    assert torch.equal(painted[1], stylizer(tensor, strength=0.5))
    assert stylizer([]) == [] and len(stylizer((NOISE,))) == 1


def test_looks_and_tiles_are_the_same_for_every_type(stylizer) -> None:
    for look in ({"keep_colors": True}, {"stroke": 2.0}, {"tile": 64, "strength": 0.3}):
        painted = stylizer(NOISE, **look)
        assert np.array_equal(np.array(stylizer(Image.fromarray(NOISE), **look)), painted)
        assert torch.equal(
            stylizer(torch.from_numpy(NOISE).permute(2, 0, 1), **look), torch.from_numpy(painted).permute(2, 0, 1)
        )
        assert not np.array_equal(painted, stylizer(NOISE))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        ("photo.jpg", TypeError, r"a PIL image; an array .* got str; open files first: PIL.Image.open\(path\)"),
        (Path("photo.jpg"), TypeError, "open files first"),
        (None, TypeError, "got NoneType$"),
        (NOISE.astype(np.int64), TypeError, "floats from 0 to 1, uint8 or uint16; got an array of int64"),
        (torch.zeros(3, 20, 20, dtype=torch.int32), TypeError, "got a tensor of int32"),
        (NOISE[..., 0], ValueError, r"expected an array \(H, W, 3\) or \(B, H, W, 3\), got \(30, 40\)"),
        (NOISE.transpose(2, 0, 1), ValueError, r"got \(3, 30, 40\)"),
        (NOISE[:0], ValueError, r"got \(0, 40, 3\)"),
        (torch.zeros(20, 20, 3), ValueError, r"expected a tensor \(3, H, W\) or \(B, 3, H, W\), got \(20, 20, 3\)"),
        (NOISE.astype(np.float32), ValueError, "floats are from 0 to 1, got 0 to 255"),
        (torch.rand(3, 20, 20) * 2 - 1, ValueError, "floats are from 0 to 1, got -"),
        (Image.new("RGB", (0, 5)), ValueError, "expected an image with pixels, got 0 x 5"),
    ],
)  # fmt: skip
def test_what_cannot_be_painted_is_told_in_one_line(stylizer, image, error, message) -> None:
    with pytest.raises(error, match=message) as caught:
        stylizer(image)
    assert "\n" not in str(caught.value)


def test_floats_a_little_outside_come_from_resizing_and_are_taken() -> None:
    assert to_channels(torch.tensor([-0.05, 1.05, 0.5]).view(3, 1, 1))[0].shape == (1, 3, 1, 1)
    assert from_levels(torch.tensor([65535], dtype=torch.uint16)).item() == 1


def test_threads_may_share_a_stylizer(stylizer) -> None:
    sizes = [(20 + 3 * index, 50 - 2 * index) for index in range(12)]
    photos = [
        np.random.default_rng(index).integers(0, 256, (*size, 3), dtype=np.uint8) for index, size in enumerate(sizes)
    ]
    images = [Image.fromarray(photo) for photo in photos]
    for look in ({}, {"tile": 64, "stroke": 0.5}):
        serial = [np.array(stylizer(image, **look)) for image in images]
        with ThreadPoolExecutor(6) as pool:
            together = list(pool.map(lambda image, look=look: np.array(stylizer(image, **look)), images))
        assert all(np.array_equal(one, other) for one, other in zip(serial, together, strict=True))


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, fastnst; assert not {'torch', 'PIL', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(ImportError, match="cannot import name 'Styliser'"):
        from fastnst import Styliser  # noqa: F401


@pytest.mark.slow  # without its cache mypy reads all of torch
def test_mypy_knows_that_what_goes_in_comes_out(tmp_path) -> None:
    (tmp_path / "user.py").write_text(
        """import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from fastnst import Stylizer

def use(paint: Stylizer, photo: Image.Image, array: NDArray[np.uint8], tensor: torch.Tensor) -> None:
    reveal_type(paint(photo))
    reveal_type(paint(Image.open("a.png"), strength=0.5))
    reveal_type(paint(array))
    reveal_type(paint(tensor, keep_colors=True))
    reveal_type(paint([photo, photo]))
    paint("photo.jpg")
"""
    )
    config = ROOT / "pyproject.toml"
    output, _, _ = pytest.importorskip("mypy.api").run(["--config-file", str(config), str(tmp_path / "user.py")])
    shown = re.findall(r'Revealed type is "([^"]*)"', output)
    assert shown[:2] == ["PIL.Image.Image"] * 2 and shown[4] == "list[PIL.Image.Image]"
    assert shown[2].startswith("numpy.ndarray") and shown[3].endswith("Tensor")
    assert output.count(": error:") == 1
