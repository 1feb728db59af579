"""`Steady`: stylized pictures of a video with less flicker. Knows nothing of networks, files or windows."""

from collections.abc import Callable

import torch
from torch import Tensor

from fastnst.video.flow import MotionEstimator, warp

SHARE_BEFORE = 0.5  # of the previous stylized picture, warped, where the flow can be trusted


class Steady:
    """A function that stylizes the pictures of one video, called in order.

    The previous stylized picture, warped by the optical flow between the photos (Ruder et al., 2016, section 4.1), is
    blended in where nothing was hidden before. After a cut it starts again.

    Args:
        paint: Function from a photo `(1, 3, H, W)` in [0, 1] to a stylized image of the same size.
    """

    # Differs from Ruder et al. (2016): pictures are blended, where theirs minimise their distance (equation in 4.2).

    def __init__(self, paint: Callable[[Tensor], Tensor]) -> None:
        self._paint = paint
        self._motion_of = MotionEstimator()
        self._before: Tensor | None = None

    def __call__(self, photo: Tensor, strength: float | Tensor = 1.0) -> Tensor:
        """Stylize the next photo. The strength, from 0 (the photo) to 1 or a map `(1, 1, H, W)`, is applied last."""
        motion = self._motion_of(photo)
        painted = self._paint(photo)
        if motion is not None and self._before is not None:
            share = SHARE_BEFORE * motion.trust.to(painted.device)
            painted = torch.lerp(painted, warp(self._before, motion.flow), share)
        self._before = painted
        strength = torch.as_tensor(strength).to(photo)
        return painted if bool((strength == 1).all()) else torch.lerp(photo, painted, strength)
