"""Pixels of every kind as RGB or RGBA, sRGB, 8 or 16 bit, upright. Knows nothing of files or tensors.

Everything here only says what is to be done: libvips computes a part of the picture when that part is asked for.
"""

import io
from contextlib import suppress

import numpy as np
from PIL import ImageCms

from fastnst.images.decode import field, pyvips
from fastnst.images.stored import pixels_of, stored

# Full scales of types other than 8 and 16 bit: the first that nine tenths of the pixels do not exceed. What is brighter
# is a highlight, which is clipped.
_FULL_SCALES: dict[str, tuple[float, ...]] = {
    "char": (127.0,),
    "short": (32767.0,),
    "int": (65535.0, 2.0**31 - 1),
    "uint": (65535.0, 2.0**32 - 1),
}
_FULL_SCALES |= dict.fromkeys(("float", "double"), (1.0, 255.0, 65535.0))
_SAMPLE = 1000  # pixels a side that tell the full scale
FLOATS = "fastnst-floats"  # a field of what had floats in its file
SMALL = 1 / 8  # scale
LONG_ROW = 2**16  # pixels; no JPEG file has such rows
_WAY = {"intent": "relative", "black_point_compensation": True}  # of profiles, as photo editors do
_NUM_COLORS = {"cmyk": 4, "lab": 3, "labs": 3}  # channels behind them are opacity, or of no known meaning


def upright_srgb(image: pyvips.Image, scale: float = 1.0) -> pyvips.Image:
    """An image of any kind as RGB or RGBA, sRGB, uint8 or uint16, turned upright, and scaled down if scale < 1.

    A broken profile, or one for another kind of image, is ignored. Colours outside of sRGB are clipped.
    """
    image = _whole_numbers(image)
    image = shrunk(image, scale) if scale < 1 else image
    if field(image, "orientation") not in (None, 1):  # which needs its pixels in another order
        image = stored(image).autorot()
    colors, alpha = _parts(image)
    profile = field(image, "icc-profile-data")
    kind = "GRAY" if colors.bands == 1 else "CMYK" if colors.interpretation == "cmyk" else "RGB"
    if profile and profile != srgb_profile() and profile_kind(profile) == kind:
        with suppress(pyvips.Error):
            return _joined(_by_profile(colors), alpha)
    return _joined(_plain_rgb(colors), alpha)


def in_profile(image: pyvips.Image, profile: bytes | None) -> pyvips.Image:
    """An sRGB image in the colour space of an RGB profile, which it then carries; else, with the sRGB profile."""
    if profile is None or profile_kind(profile) != "RGB" or profile == srgb_profile():
        image = image.copy()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", srgb_profile())
        return image
    colors, alpha = _parts(image)
    xyz = colors.icc_import(input_profile="srgb", pcs="xyz", **_WAY).copy()
    xyz.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return _joined(xyz.icc_export(pcs="xyz", depth=16 if image.format == "ushort" else 8, **_WAY), alpha)


def profile_kind(profile: bytes) -> str | None:
    """What a profile is for: "RGB", "GRAY" or "CMYK"; None if it is broken."""
    with suppress(ImageCms.PyCMSError, OSError):
        return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()
    return None


def _by_profile(colors: pyvips.Image) -> pyvips.Image:
    """An image as sRGB by the profile that it carries; relative colorimetric, as photo editors do."""
    if colors.format == "uchar":
        return colors.icc_transform("srgb", embedded=True, **_WAY)
    # In one step, LittleCMS computes 16 bit by a table of 33 steps; by way of XYZ in floats it keeps within two levels
    # of 8 bit, and mostly far closer.
    xyz = colors.icc_import(embedded=True, pcs="xyz", **_WAY)
    return xyz.icc_export(output_profile="srgb", pcs="xyz", depth=16, **_WAY)


def shrunk(image: pyvips.Image, scale: float) -> pyvips.Image:
    """An image scaled down (Lanczos); colours count as much as they are seen."""
    width, height = (max(1, round(length * scale)) for length in (image.width, image.height))
    has_alpha = _parts(image)[1] is not None
    # In whole numbers a filter's weights are rounded, and the picture gets darker: visibly with many of them, as for
    # much smaller images, which are first shrunk by the mean over squares; and always where 16 bits are meant.
    exact = image.premultiply() if has_alpha else image.cast("float") if image.format == "ushort" else image
    gap = 0 if scale > SMALL else 2
    if image.width > LONG_ROW and (times := image.width // (2 * width)) > 1:
        # One row of the result needs many of the picture: they are shrunk one by one, and not all held at once.
        exact = exact.shrinkh(times).linecache(tile_height=1, access="sequential")
    exact = exact.resize(width / exact.width, vscale=height / image.height, kernel="lanczos3", gap=gap)
    return (exact.unpremultiply() if has_alpha else exact).rint().cast(image.format)


def eight_bit(image: pyvips.Image) -> pyvips.Image:
    """An image of uint8 or uint16 as uint8."""
    return image if image.format == "uchar" else (image / 257).rint().cast("uchar").copy(interpretation="srgb")


def srgb_profile() -> bytes:
    """The sRGB profile, which every written file gets."""
    profile: bytes = pyvips.Image.profile_load("srgb")
    return profile


def _parts(image: pyvips.Image) -> tuple[pyvips.Image, pyvips.Image | None]:
    """Colours and opacity."""
    count = _NUM_COLORS.get(image.interpretation, 1 if image.bands < 3 else 3)
    return (image, None) if image.bands == count else (image.extract_band(0, n=count), image[count])


def _joined(colors: pyvips.Image, alpha: pyvips.Image | None) -> pyvips.Image:
    return colors if alpha is None else colors.bandjoin(alpha.cast(colors.format))


def _whole_numbers(image: pyvips.Image) -> pyvips.Image:
    """An image of another type as uint16, scaled."""
    if image.format in ("uchar", "ushort") or image.interpretation in ("lab", "labs"):
        return image
    image = stored(image)
    step = [max(1, length // _SAMPLE) for length in (image.width, image.height)]
    values = np.nan_to_num(pixels_of(image.subsample(*step)), posinf=0, neginf=0)
    most, scales = np.quantile(values, 0.9), _FULL_SCALES[image.format]
    full = next((scale for scale in scales if most <= scale), scales[-1])
    kind = "grey16" if image.bands < 3 else "rgb16"
    whole = (image * (65535 / full)).rint().cast("ushort").copy(interpretation=kind)
    if image.format == "float":
        whole.set_type(pyvips.GValue.gint_type, FLOATS, 1)
    return whole


def _plain_rgb(image: pyvips.Image) -> pyvips.Image:
    """An image without a profile as RGB; inks are mixed by the simplest formula."""
    if image.interpretation == "cmyk":
        full = 65535 if image.format == "ushort" else 255
        mixed = (full - image[:3]) * ((full - image[3]) / full)
        return mixed.rint().cast(image.format).copy(interpretation="rgb16" if full > 255 else "srgb")
    if image.bands == 1:
        image = image.bandjoin([image, image])
    if image.interpretation in ("lab", "labs"):
        return image.colourspace("srgb")
    return image.copy(interpretation="rgb16" if image.format == "ushort" else "srgb")
