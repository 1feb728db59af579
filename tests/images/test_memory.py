"""Pictures whose decoders need more memory than there is are refused; those that are read in strips are not."""

from pathlib import Path

import pytest
from PIL import Image

from fastnst.images import decode
from fastnst.images.formats import ImageError
from fastnst.images.read import read_picture

WHOLE = {  # suffix and how it is written, and bytes a pixel
    "bmp": ({}, 9),
    "tga": ({}, 9),
    "webp": ({}, 8),
    "gif": ({}, 8),
    "jpg": ({"progressive": True}, 6),
}
STRIPS = {"jpg": {}, "png": {}, "tif": {}}
SIDE = 200


@pytest.mark.parametrize("suffix", WHOLE)
def test_a_picture_that_does_not_fit_is_refused_before_it_is_decoded(suffix, tmp_path: Path, monkeypatch) -> None:
    options, each = WHOLE[suffix]
    path = tmp_path / f"photo.{suffix}"
    Image.new("RGB", (SIDE, SIDE), "teal").save(path, **options)
    monkeypatch.setattr(decode, "free_memory", lambda: SIDE * SIDE * each)
    read_picture(path)
    monkeypatch.setattr(decode, "free_memory", lambda: SIDE * SIDE * each - 1)
    with pytest.raises(ImageError, match=r"^\S+: to decode it takes 0\.0 GB of memory, and 0\.0 GB are free; TIFF"):
        read_picture(path)


@pytest.mark.parametrize("suffix", STRIPS)
def test_a_picture_that_is_read_in_strips_always_fits(suffix, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / f"photo.{suffix}"
    Image.new("RGB", (SIDE, SIDE), "teal").save(path)
    monkeypatch.setattr(decode, "free_memory", lambda: 0)
    assert read_picture(path).size == (SIDE, SIDE)
