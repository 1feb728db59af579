"""ICC profiles: conversion of pixels to sRGB. Knows nothing of files or tensors."""

import functools
import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

FULL_SCALE = 65535  # of 16 bit
_NO_PROFILE = (ImageCms.PyCMSError, OSError, TypeError, ValueError)  # LittleCMS, for a broken or unsuitable profile


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An 8-bit image as sRGB, RGB or with an alpha channel RGBA; a broken or unsuitable profile is ignored."""
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    image = converted(image, {"LA": "L", "RGBA": "RGB"}.get(image.mode, image.mode))
    try:
        in_srgb = ImageCms.applyTransform(image, _transform(profile, image.mode)) if profile else None
    except _NO_PROFILE:
        in_srgb = None
    image = in_srgb or converted(image, "RGB")
    if alpha is not None:
        image.putalpha(alpha)
    return image


def converted(image: Image.Image, mode: str) -> Image.Image:
    """Pillow's `convert` without a copy if the image has the mode already: a large one takes half a gigabyte."""
    return image if image.mode == mode else image.convert(mode)


def to_srgb_floats(values: NDArray[np.uint16], profile: bytes | None) -> NDArray[np.float32] | None:
    """Numbers of 16 bit as sRGB in [0, 1], without rounding to 8 bit on the way.

    Pillow gives LittleCMS no RGB of more than 8 bit, so here is the formula of profiles made of curves and a matrix
    (ICC.1:2022, annex F.3): those of screens, cameras and working spaces such as Adobe RGB, Display P3 and ProPhoto.
    Colours outside sRGB are clipped, as LittleCMS clips them.

    Args:
        values: `(H, W, 1)` grey or `(H, W, 3)` RGB.
        profile: As in the file; none, a broken one or one for another kind of image stands for sRGB.

    Returns:
        `(H, W, 3)`; None for a profile made of tables (some scanners and printers), which `to_srgb` converts.
    """
    kind = "RGB" if values.shape[2] == 3 else "L"
    tags = _tags(profile) if profile and _is_usable(profile, kind) else {}
    if profile is None or tags in ({}, _tags(srgb_profile())):
        return np.repeat(values, 3 // values.shape[2], axis=2).astype(np.float32) / np.float32(FULL_SCALE)
    curves = (b"rTRC", b"gTRC", b"bTRC") if kind == "RGB" else (b"kTRC",)
    if not tags.keys() >= set(curves) or profile[20:24] != b"XYZ ":
        return None
    light = np.stack([_curve(tags[name])[values[..., channel]] for channel, name in enumerate(curves)], axis=2)
    if kind == "RGB":  # from the profile's primaries to those of sRGB, by way of XYZ
        light = light @ (np.linalg.inv(_primaries(_tags(srgb_profile()))) @ _primaries(tags)).T.astype(np.float32)
    return np.repeat(_srgb_of_light(light), 3 // light.shape[2], axis=2)


@functools.cache
def srgb_profile() -> bytes:
    """The sRGB profile, which every written file gets."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    created = np.array([2000, 1, 1, 0, 0, 0], dtype=">u2").tobytes()  # not now: same image, same bytes
    return profile[:24] + created + profile[36:]


@functools.lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")


def _is_usable(profile: bytes, mode: str) -> bool:
    """Whether LittleCMS can convert images of this mode with it."""
    try:
        return bool(_transform(profile, mode))
    except _NO_PROFILE:
        return False


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """The profile's parts by name (ICC.1:2022, 7.3)."""
    (count,) = struct.unpack_from(">I", profile, 128)
    places = (struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(count))
    return {name: profile[start : start + length] for name, start, length in places}


def _primaries(tags: dict[bytes, bytes]) -> NDArray[np.float64]:
    """XYZ of red, green and blue as the columns of a matrix `(3, 3)`; numbers are s15Fixed16."""
    columns = [np.frombuffer(tags[name], ">i4", 3, offset=8) / 2**16 for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    return np.stack(columns, axis=1)


def _curve(tag: bytes) -> NDArray[np.float32]:
    """Linear light for each of the 65536 values; a curve of samples or a formula (ICC.1:2022, 10.6 and 10.18)."""
    values = np.linspace(0, 1, FULL_SCALE + 1)
    if tag[:4] == b"para":
        return _formula(tag, values).clip(0, 1).astype(np.float32)
    (count,) = struct.unpack_from(">I", tag, 8)
    samples = np.frombuffer(tag, ">u2", count, offset=12)
    if count <= 1:  # none: as they are; one: an exponent, u8Fixed8
        return np.asarray(values ** (samples[0] / 2**8 if count else 1.0), np.float32)
    return np.interp(values, np.linspace(0, 1, count), samples / FULL_SCALE).astype(np.float32)


def _formula(tag: bytes, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(a x + b)^g + e from d on, below it c x + f; kinds 0 to 4 state more and more of the seven numbers."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    numbers = [float(number) / 2**16 for number in np.frombuffer(tag, ">i4", (1, 3, 4, 5, 7)[kind], offset=12)]
    g, a, b, c, d, e, f = [*numbers, *(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)[len(numbers) - 1 :]]
    if kind in (1, 2):  # below -b / a they stay at the constant that kind 2 calls c
        c, d, e, f = 0.0, -b / a, c, c
    return np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)


def _srgb_of_light(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """IEC 61966-2-1: linear light, clipped to [0, 1], to sRGB."""
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)
