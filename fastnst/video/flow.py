"""Optical flow between neighbouring pictures of a video, where it can be trusted, and pictures warped by it.

Knows nothing of files or networks. OpenCV is imported when first used.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastnst.base.errors import UserError
from fastnst.images.levels import Bytes, to_array

Floats = NDArray[np.float32]
LEAST_TRUSTED = 0.3  # share of a picture; at cuts it was at most 0.12, in motion at least 0.6 (measured)


class Motion(NamedTuple):
    """Motion from a picture back to the one before it.

    Attributes:
        flow: `(H, W, 2)` in pixels: what is at (x, y) was at (x, y) + flow[y, x].
        trust: `(1, 1, H, W)` from 0, where that was hidden or the flow is wrong, to 1.
    """

    flow: Floats
    trust: Tensor


class MotionEstimator:
    """The motion of each picture of a video to the one before; call it with the pictures in order.

    Raises:
        UserError: OpenCV is not installed.
    """

    def __init__(self) -> None:
        cv2 = load_opencv()
        # Dense inverse search (Kroeger et al., 2016), both ways 7 ms of a CPU core at 640x360.
        self._search = cv2.DISOpticalFlow.create(cv2.DISOpticalFlow_PRESET_FAST)
        self._before: Bytes | None = None

    def __call__(self, picture: Tensor) -> Motion | None:
        """The motion; None for the first picture and after a cut.

        Args:
            picture: `(1, 3, H, W)` in [0, 1], of one size in all calls.
        """
        cv2 = load_opencv()
        grey = cv2.cvtColor(to_array(picture)[0], cv2.COLOR_RGB2GRAY)
        before, self._before = self._before, grey
        if before is None:
            return None
        flow = self._search.calc(grey, before, None)
        trust = trusted(flow, self._search.calc(before, grey, None))
        if trust.mean() < LEAST_TRUSTED:
            return None
        soft = cv2.resize(cv2.blur(trust, (3, 3)), grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return Motion(flow, torch.from_numpy(soft)[None, None])


def trusted(flow: Floats, forward: Floats) -> Floats:
    """1 where the flow to the picture before and the flow from there lead back to the same place, else 0.

    Disocclusions after Sundaram et al. (2010), as in Ruder et al. (2016), section 4.2:
    |w + v|² > 0.01 (|w|² + |v|²) + 0.5, where v is the forward flow at the place that w points to.

    Args:
        flow: `(H, W, 2)` in pixels, from each pixel to where it was before.
        forward: `(H, W, 2)` in pixels, from the picture before.

    Returns:
        `(H / 2, W / 2)`.
    """
    # Differs from Ruder et al. (2016): half the resolution, which is twice that at which the flow is searched; their
    # second mask, at the edges of motion, is left out.
    flow = flow[::2, ::2]
    back = _sampled(forward, flow, step=2)
    apart = np.square(flow + back).sum(-1)
    lengths = np.square(flow).sum(-1) + np.square(back).sum(-1)
    consistent: Floats = (apart <= 0.01 * lengths + 0.5).astype(np.float32)
    return consistent


def warp(before: Tensor, flow: Floats) -> Tensor:
    """A picture warped to the next one by its flow, bicubic; both `(1, 3, H, W)` in [0, 1]."""
    maps = np.ascontiguousarray(before[0].permute(1, 2, 0).cpu().numpy())
    moved = torch.from_numpy(_sampled(maps, flow))
    return moved.permute(2, 0, 1)[None].clamp(0, 1).to(before.device)


def warping_error(pictures: Sequence[Tensor], motions: Sequence[Motion]) -> float:
    """Mean squared difference between pictures and their warped predecessors, where nothing was hidden.

    The warping error of Lai et al. (2018), section 4.2, as in their code: for each picture the sum of
    M (V(t) - warp(V(t - 1)))² over pixels and channels by the sum of M, then the mean over t.

    Args:
        pictures: `(1, 3, H, W)` in [0, 1].
        motions: Of each but the first of them.
    """
    errors = []
    for before, picture, motion in zip(pictures, pictures[1:], motions, strict=False):
        squares = (picture - warp(before, motion.flow)).square().mean(1, keepdim=True)
        errors.append(float((motion.trust * squares).sum() / motion.trust.sum()))
    return sum(errors) / len(errors)


def load_opencv(missing: str = "motion needs OpenCV: pip install 'fastnst[video]'") -> ModuleType:
    """OpenCV, or a UserError with this line."""
    try:
        import cv2
    except ImportError as error:
        raise UserError(missing) from error
    return cv2


def _sampled(maps: Floats, flow: Floats, *, step: int = 1) -> Floats:
    """Maps `(H, W, C)` at the places that the flow `(H / step, W / step, 2)` of each step-th pixel points to."""
    cv2 = load_opencv()
    places = flow.copy()
    places[..., 0] += step * np.arange(flow.shape[1], dtype=np.float32)
    places[..., 1] += step * np.arange(flow.shape[0], dtype=np.float32)[:, None]
    method = cv2.INTER_LINEAR if maps.shape[-1] == 2 else cv2.INTER_CUBIC
    sampled: Floats = cv2.remap(maps, places, None, method, borderMode=cv2.BORDER_REPLICATE)
    return sampled
