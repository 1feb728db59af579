import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fastnst.base.boxes import everything
from fastnst.images.decode import pyvips
from fastnst.images.formats import ImageError
from fastnst.images.masks import Mask, read_mask


def fitted(values: torch.Tensor, feather: float | None, height: int, width: int, name: str = "m") -> torch.Tensor:
    image = pyvips.Image.new_from_array(values[0, 0].numpy())
    return Mask(name, image, feather).fitted(height, width)(everything((height, width)))


def left_half(height: int = 40, width: int = 60) -> torch.Tensor:
    values = torch.zeros(1, 1, height, width)
    values[..., : width // 2] = 1
    return values


def test_white_is_painted_and_black_and_transparent_are_not(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[:, :2], pixels[:, 2:4] = (255, 255, 255, 255), (255, 255, 255, 0)
    pixels[:, 4:, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png", feather=0)
    assert mask.fitted(4, 6)(everything((4, 6)))[0, 0, 0].tolist() == pytest.approx([1, 1, 0, 0, 0, 0])
    Image.fromarray(pixels).convert("L").save(tmp_path / "grey.png")
    assert read_mask(tmp_path / "grey.png").values.numpy()[0].tolist() == pytest.approx([1, 1, 1, 1, 0, 0])


def test_without_a_feather_the_edge_is_hard() -> None:
    assert torch.equal(fitted(left_half(), 0, 40, 60), left_half())
    doubled = fitted(left_half(), 0, 80, 120)
    assert doubled.shape == (1, 1, 80, 120)
    assert (doubled[..., :58] == 1).all() and (doubled[..., 62:] == 0).all()


@pytest.mark.parametrize("feather", [3, 12, 60])
def test_the_edge_fades_over_as_many_pixels_as_asked_for(feather: int) -> None:
    size = 8 * feather
    found = fitted(left_half(size, size), feather, size, size)
    place = torch.arange(size) + 0.5 - size / 2
    expected = 0.5 * (1 - torch.erf(place / (feather / 2 * math.sqrt(2))))  # half of it is one standard deviation
    assert (found[0, 0] - expected).abs().max() < 0.02
    assert found.amin() >= 0 and found.amax() <= 1
    assert (found[..., : size // 2 - 2 * feather] > 0.999).all()


def test_by_default_the_edge_is_one_hundredth_of_the_long_side() -> None:
    for side in (200, 800):
        assert torch.equal(
            fitted(left_half(200, 200), None, side, side),
            fitted(left_half(200, 200), side / 100, side, side),
        )


@pytest.mark.parametrize("size", [(61, 45), (1, 1), (500, 367), (9, 7)])
def test_a_mask_fits_every_size_of_its_shape(size: tuple[int, int]) -> None:
    found = fitted(torch.ones(1, 1, 122, 90), None, *size)
    assert found.shape == (1, 1, *size)
    assert (found - 1).abs().max() < 1e-6


def test_another_shape_and_a_mask_that_paints_nothing_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"^mask m.png is 60x40 and the photo 40x60: draw the mask on the photo"):
        fitted(left_half(), None, 60, 40, "m.png")
    Image.new("L", (8, 8)).save(tmp_path / "black.png")
    with pytest.raises(ImageError, match=r".*black.png: black everywhere; white is what is painted"):
        read_mask(tmp_path / "black.png")
