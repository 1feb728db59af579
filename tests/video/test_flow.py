"""Motion that is known is found, what was hidden is not trusted, and what is steadied follows the motion."""

import numpy as np
import pytest
import torch
from torch import Tensor

from fastnst.base.errors import UserError
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.video.flow import Motion, MotionEstimator, load_opencv, trusted, warp, warping_error
from fastnst.video.steady import SHARE_BEFORE, Steady


@pytest.fixture(scope="module")
def scene() -> Tensor:
    return load_image(resolve_photo("sample:coffee"), size=300)  # (1, 3, 200, 300)


def window(scene: Tensor, across: int, down: int) -> Tensor:
    """A part of the scene, 120 by 160 pixels."""
    return scene[..., 20 + down : 140 + down, 20 + across : 180 + across]


def constant(across: float, down: float, height: int = 120, width: int = 160) -> np.ndarray:
    return np.broadcast_to(np.float32([across, down]), (height, width, 2)).copy()


@pytest.mark.parametrize(("across", "down"), [(0, 0), (3, 0), (-2, 4)])
def test_a_known_motion_is_found_and_trusted(scene: Tensor, across: int, down: int) -> None:
    motion_of = MotionEstimator()
    assert motion_of(window(scene, 0, 0)) is None
    motion = motion_of(window(scene, across, down))  # the camera moves: what is seen at (x, y) was at (x + across, ...)
    error = np.linalg.norm(motion.flow - (across, down), axis=-1)[10:-10, 10:-10]
    assert np.median(error) < 0.2
    assert motion.flow.shape == (120, 160, 2) and motion.trust.shape == (1, 1, 120, 160)
    assert motion.trust.mean() > 0.8


def test_a_cut_has_no_motion_and_the_next_picture_has(scene: Tensor) -> None:
    motion_of = MotionEstimator()
    other = load_image(resolve_photo("sample:astronaut"))[..., 100:220, 150:310]
    assert motion_of(window(scene, 0, 0)) is None
    assert motion_of(other) is None
    assert motion_of(other) is not None


def test_what_comes_from_behind_an_object_is_not_trusted(scene: Tensor) -> None:
    obj = load_image(resolve_photo("sample:astronaut"))[..., 40:100, 190:250]

    def picture(left: int) -> Tensor:
        image = window(scene, 0, 0).clone()
        image[..., 30:90, left : left + 60] = obj
        return image

    motion_of = MotionEstimator()
    motion_of(picture(30))
    trust = motion_of(picture(42)).trust[0, 0]
    assert trust[35:85, 31:41].mean() < 0.3  # uncovered
    assert trust[40:80, 50:94].mean() > 0.9  # the object itself
    assert trust[:, 120:].mean() > 0.9


def test_flows_that_lead_back_are_trusted_by_the_published_bound() -> None:
    there = constant(4, 0)
    for back, is_trusted in ((-4.0, True), (-3.4, True), (-2.9, False), (4.0, False)):
        # |4 + back|² against 0.01 (16 + back²) + 0.5
        assert (trusted(there, constant(back, 0)) == float(is_trusted)).all(), back
    assert trusted(there, constant(-4, 0)).shape == (60, 80)


def test_a_picture_is_moved_by_whole_and_half_pixels(scene: Tensor) -> None:
    image = window(scene, 0, 0)
    moved = warp(image, constant(5, -3))
    torch.testing.assert_close(moved[..., 3:, :-5], image[..., :-3, 5:], atol=1e-5, rtol=0)
    ramp = torch.linspace(0, 1, 160).expand(1, 3, 120, 160)
    torch.testing.assert_close(warp(ramp, constant(0.5, 0))[..., 5:-5], ramp[..., 5:-5] + 0.5 / 159, atol=1e-3, rtol=0)
    assert warp(image, constant(0.3, 0.3)).amax() <= 1


def test_the_warping_error_is_the_mean_square_where_nothing_was_hidden(scene: Tensor) -> None:
    trust = torch.zeros(1, 1, 120, 160)
    trust[..., 20:100, 20:140] = 1
    motion = Motion(constant(3, 2), trust)
    first, second = window(scene, 0, 0), window(scene, 3, 2)
    assert warping_error([first, second], [motion]) < 1e-9
    wrong = second.clone()
    wrong[:, 0] += 0.3  # one of three channels
    wrong[..., :20, :] = 0  # where it does not count
    assert warping_error([first, wrong], [motion]) == pytest.approx(0.09 / 3, rel=1e-4)
    assert warping_error([first, second, wrong], [motion, Motion(constant(0, 0), trust)]) == pytest.approx(
        0.09 / 6, rel=1e-4
    )


def flickering(seed: int = 0):
    """A painter with noise of its own in every picture."""
    noise = torch.Generator().manual_seed(seed)
    return lambda photo: (0.5 * photo + 0.25 + 0.1 * torch.randn(photo.shape, generator=noise)).clamp(0, 1)


def test_steady_halves_the_flicker_of_a_moving_picture(scene: Tensor) -> None:
    photos = [window(scene, 2 * number, number) for number in range(6)]
    trust = torch.zeros(1, 1, 120, 160)
    trust[..., 15:-15, 15:-15] = 1
    motions = [Motion(constant(2, 1), trust)] * 5
    errors = [
        warping_error([paint(photo) for photo in photos], motions) for paint in (flickering(), Steady(flickering()))
    ]
    assert errors[1] < 0.5 * errors[0]


def test_steady_begins_anew_after_a_cut_and_blends_by_its_share(scene: Tensor) -> None:
    photo, other = window(scene, 0, 0), load_image(resolve_photo("sample:astronaut"))[..., 100:220, 150:310]
    greys = iter((0.2, 0.6, 0.6, 0.8))
    steady = Steady(lambda photo: torch.full_like(photo, next(greys)))
    assert steady(photo).mean() == pytest.approx(0.2)
    inside = (slice(None), slice(None), slice(30, 90), slice(30, 130))
    expected = 0.6 + SHARE_BEFORE * (0.2 - 0.6)
    torch.testing.assert_close(steady(photo)[inside].mean(), torch.tensor(expected), atol=0.01, rtol=0)
    assert steady(other).mean() == pytest.approx(0.6)
    assert steady(photo).mean() == pytest.approx(0.8)


def test_without_opencv_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(UserError, match=r"pip install 'fastnst\[video\]'"):
        MotionEstimator()
    with pytest.raises(UserError, match="mine"):
        load_opencv("mine")
