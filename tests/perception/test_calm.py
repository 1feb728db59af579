import numpy as np
import pytest
import torch
from torch.testing import assert_close

from fastnst.perception.calm import Calm, calmness, fine_detail


def hatched(size: int = 96, amplitude: float = 0.1) -> torch.Tensor:
    """Stripes of 6 px at one slant, `(1, 3, size, size)`."""
    places = torch.arange(size, dtype=torch.float32)
    stripes = torch.sin((places[:, None] + places) * 2 * torch.pi / 6)
    return (0.5 + amplitude * stripes).expand(1, 3, size, size)


def noise(size: int = 96) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((1, 3, size, size), np.float32))


FIRST = torch.tensor([0])


def test_as_much_detail_as_the_painting_has_costs_the_weight_in_a_calm_place_and_little_amid_forms() -> None:
    calm = Calm([hatched()], 3.0)
    sky, wood = torch.full((1, 3, 96, 96), 0.7), noise()
    assert_close(calm(hatched(), sky, FIRST), torch.tensor([3.0]), atol=0.01, rtol=0)
    assert_close(calm(hatched(amplitude=0.05), sky, FIRST), torch.tensor([0.75]), atol=0.01, rtol=0)  # a quarter
    assert float(calm(hatched(), wood, FIRST)) < 0.3
    assert float(calm(sky, sky, FIRST)) == pytest.approx(0, abs=1e-6)


def test_each_photo_is_measured_by_the_painting_of_its_style() -> None:
    calm = Calm([hatched(amplitude=0.2), hatched(amplitude=0.1)], 1.0)
    sky = torch.full((2, 3, 96, 96), 0.5)
    found = calm(hatched().expand(2, -1, -1, -1), sky, torch.tensor([0, 1]))
    assert_close(found, torch.tensor([0.25, 1.0]), atol=0.01, rtol=0)


def test_what_is_wider_than_some_pixels_is_no_detail() -> None:
    ramp = torch.linspace(0, 1, 96).expand(1, 3, 96, 96)
    assert float(fine_detail(ramp)[..., 20:-20].max()) < 1e-6
    assert float(fine_detail(hatched()).mean()) > 0.01


def test_a_place_is_calm_where_grey_is_even() -> None:
    photo = torch.cat((torch.full((1, 3, 96, 48), 0.3), noise()[..., :48]), 3)
    found = calmness(photo)
    assert float(found[..., :30].min()) > 0.99
    assert float(found[..., -30:].max()) < 0.1


def test_a_painting_of_one_colour_is_no_division_by_zero_and_the_gradient_is_finite() -> None:
    calm = Calm([torch.full((1, 3, 40, 40), 0.5)], 1.0)
    stylized = hatched().clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = calm(stylized, torch.full((1, 3, 96, 96), 0.5), FIRST)
    assert loss.dtype == torch.float32
    loss.sum().backward()
    assert stylized.grad is not None and bool(stylized.grad.isfinite().all()) and float(stylized.grad.abs().max()) > 0
