"""L-BFGS and Adam on the pixels of one image, one iteration at a time.

Knows nothing of photos, styles or files: any function from an image to `Losses` can be minimised. The caller iterates,
and decides what to show and when to stop.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fastnst.base.errors import UserError
from fastnst.perception.perceptual_loss import Losses

Objective = Callable[[Tensor], Losses]  # of an image (1, 3, H, W)
FIRST_STEP = 0.01  # mean change of a pixel value that L-BFGS tries first
LINE_SEARCH = 25  # evaluations at most
SHORTEST_WAVE, LONGEST_WAVE = 8, 100  # pixels; the scale of waves is constant beyond these lengths
REMEMBERED = 3  # evaluations; a line search almost always ends at one of its last points
ROUNDING = 1e-4  # in pixel values, of the transform to the optimiser's values and back


@dataclass(frozen=True)
class Method:
    """Settings of the optimiser.

    Args:
        optimizer: `lbfgs` (Nocedal & Wright, 2006, algorithm 7.5, with a line search for the strong Wolfe conditions)
            or `adam` (Kingma & Ba, 2015).
        iterations: Largest number of iterations, in each round.
        history: Pairs of steps and gradient changes that L-BFGS keeps.
        learning_rate: Learning rate of Adam, in pixel values from 0 to 1.
        betas, epsilon: Of Adam; epsilon is added to gradients with respect to pixel values from 0 to 1.
        rounds: Number of times that L-BFGS starts, each time without history.
        evaluations: Largest number of evaluations of the loss in each round.
        clamp: `objective`: minimise the loss of the image clamped to [0, 1]; `step`: clamp the start and after each
            iteration; `end`: minimise without bounds, and clamp the result.
        precondition: L-BFGS sees the image with every wave of frequency f scaled by f to this power, so that a step
            moves long waves further than short ones; 0 for plain pixels. 0.5 saves a third of the
            evaluations (records/LOG.md). Differs from Gatys et al. (2016), who take pixels as they are.
    """

    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    iterations: int = 500
    history: int = 20
    learning_rate: float = 0.02
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    rounds: int = 1
    evaluations: int | None = None
    clamp: Literal["objective", "step", "end"] = "objective"
    precondition: float = 0.0


@dataclass(frozen=True)
class Iterate:
    """State of a minimisation; images are computed when asked for.

    Args:
        iteration: From 1; 0 for the start, if no step lowers the loss.
        evaluations: Number of evaluations of the loss and its gradient so far.
        losses: Losses of the image (with Adam: of the image before its step); scalars, without gradients.
        best_losses: Losses with the lowest total so far.
        values, best_values: The images as the optimiser's values.
        seen: Function from the optimiser's values to an image.
    """

    iteration: int
    evaluations: int
    losses: Losses
    best_losses: Losses
    values: Tensor
    best_values: Tensor
    seen: Callable[[Tensor], Tensor]

    @property
    def image(self) -> Tensor:
        """`(1, 3, H, W)` in [0, 1]."""
        return self.seen(self.values)

    @property
    def best(self) -> Tensor:
        """The image with `best_losses`, `(1, 3, H, W)` in [0, 1]."""
        return self.seen(self.best_values)


class DivergedError(UserError):
    """The loss is not finite any more; `best` of the last iterate is still good."""


def minimize(objective: Objective, start: Tensor, method: Method) -> Iterator[Iterate]:
    """Minimise a loss over the pixels of an image.

    Args:
        objective: Function from an image to its losses; `total` is minimised.
        start: `(1, 3, H, W)`; it is not changed.
        method: See `Method`.

    Yields:
        The state after each iteration, at least one. L-BFGS ends before `iterations` if no step lowers the loss; if
        not even the first does, the start is the only state, as iteration 0.

    Raises:
        DivergedError: The loss is not finite.
    """
    pixels = _Pixels(objective, start, method)
    if method.optimizer == "adam":
        yield from _adam(pixels, method)
    else:
        for _ in range(method.rounds):
            yield from _lbfgs(pixels, method)
        if pixels.iteration == 0:
            yield pixels.state()


def _adam(pixels: "_Pixels", method: Method) -> Iterator[Iterate]:
    optimizer = torch.optim.Adam([pixels.values], lr=method.learning_rate, betas=method.betas, eps=method.epsilon)
    for _ in range(method.iterations):
        optimizer.step(pixels.evaluate)
        pixels.end_iteration()
        yield pixels.state()


def _lbfgs(pixels: "_Pixels", method: Method) -> Iterator[Iterate]:
    """One iteration per call of torch's L-BFGS; the evaluation that begins each call is cached, not repeated."""
    optimizer = torch.optim.LBFGS(
        [pixels.values],
        max_iter=1,
        max_eval=LINE_SEARCH,
        history_size=method.history,
        line_search_fn="strong_wolfe",
        tolerance_grad=0,
        tolerance_change=0,
    )
    before = pixels.evaluations
    for _ in range(method.iterations):
        here = pixels.values.detach().clone()
        try:
            optimizer.step(pixels.evaluate)  # type: ignore[no-untyped-call]
        except DivergedError:
            if pixels.values.isfinite().all():
                raise
            with torch.no_grad():
                pixels.values.copy_(here)  # the line search overflowed, not the loss: there is no lower loss nearby
            pixels.evaluate()
        if torch.equal(pixels.values, here):
            return  # the line search found no lower loss
        pixels.end_iteration()
        pixels.evaluate()  # cached, unless the image was clamped: then it is for the next iteration
        yield pixels.state()
        if method.evaluations is not None and pixels.evaluations - before >= method.evaluations:
            return


class _Pixels:
    """The optimiser's values of the image, the cached evaluations, and the best one.

    torch's L-BFGS tries a first step of length one in the sum of absolute values, which for an image is next to
    nothing: its line search then needs several evaluations. L-BFGS therefore sees pixel values divided by a `unit`,
    in which a first step changes each by about `FIRST_STEP`. Its loss is divided by the first value, so that its
    thresholds mean the same for every normalization. Adam sees both as they are.
    """

    def __init__(self, objective: Objective, start: Tensor, method: Method) -> None:
        lbfgs = method.optimizer == "lbfgs"
        self.unit = FIRST_STEP * start.numel() if lbfgs else 1.0
        self._spectrum = _spectrum(start, method.precondition) if lbfgs and method.precondition else None
        image = start.detach().clamp(0, 1) if method.clamp == "step" else start.detach()
        self.values = self._values_of(image.contiguous()).requires_grad_()
        self.evaluations = 0
        self._objective, self._clamp = objective, method.clamp
        self.iteration = 0
        self._scale = 0.0 if lbfgs else 1.0  # 0: not known yet
        self._recent: list[tuple[Tensor, Tensor, Losses, Tensor]] = []  # values, scaled loss, losses, gradient
        self._losses: Losses  # of the last evaluated image
        self._best: tuple[Losses, Tensor] | None = None

    def evaluate(self) -> Tensor:
        """The scaled loss, with the gradient in `values.grad`."""
        for values, loss, losses, gradient in self._recent:
            if torch.equal(values, self.values):
                self.values.grad, self._losses = gradient.clone(), losses
                return loss
        with torch.enable_grad():
            image = self._image_of(self.values)
            losses = self._objective(_Clamp.apply(image) if self._clamp == "objective" else image).mean()
        total = losses.total.item()
        if not abs(total) < float("inf"):
            raise DivergedError(f"the loss is no number after {self.evaluations} evaluations: {total}")
        self._scale = self._scale or abs(total) or 1.0
        if not losses.total.requires_grad:
            raise DivergedError("the loss does not depend on the image")
        loss = losses.total / self._scale
        self.values.grad = None
        torch.autograd.backward(loss)
        self.evaluations += 1
        self._losses = losses = Losses(*(value.detach() for value in losses))
        # With `step`, an image outside of the range, which a line search may try, cannot be the best.
        valid = self._clamp != "step" or bool((image.detach() - 0.5).abs().max() <= 0.5 + ROUNDING)
        if self._best is None or (valid and total < self._best[0].total.item()):
            self._best = losses, self.values.detach().clone()
        assert self.values.grad is not None
        seen = self.values.detach().clone(), loss.detach(), losses, self.values.grad.clone()
        self._recent = [*self._recent[-REMEMBERED + 1 :], seen]
        return loss.detach()

    @torch.no_grad()
    def end_iteration(self) -> None:
        """Count the iteration; clamp, with `step`."""
        self.iteration += 1
        if self._clamp == "step":
            self.values.copy_(self._values_of(self._seen(self.values)))

    def state(self) -> Iterate:
        """The current state."""
        if self._best is None:
            raise RuntimeError("nothing has been evaluated yet")
        best_losses, best = self._best
        here = self.values.detach().clone()
        return Iterate(self.iteration, self.evaluations, self._losses, best_losses, here, best, self._seen)

    def _seen(self, values: Tensor) -> Tensor:
        return self._image_of(values.detach()).clamp(0, 1)

    def _image_of(self, values: Tensor) -> Tensor:
        return self._filtered(values, self._spectrum) * self.unit

    def _values_of(self, image: Tensor) -> Tensor:
        return self._filtered(image, None if self._spectrum is None else 1 / self._spectrum) / self.unit

    @staticmethod
    def _filtered(image: Tensor, spectrum: Tensor | None) -> Tensor:
        if spectrum is None:
            return image
        height, width = image.shape[-2:]
        filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(image) * spectrum, s=(height, width))
        return filtered


def _spectrum(image: Tensor, exponent: float) -> Tensor:
    """Factors `(H, W // 2 + 1)` of the waves of an image: frequency to the power of `-exponent`, one on average."""
    height, width = image.shape[-2:]
    down = torch.fft.fftfreq(height, device=image.device)[:, None]
    across = torch.fft.rfftfreq(width, device=image.device)
    factors = torch.hypot(down, across).clamp(1 / LONGEST_WAVE, 1 / SHORTEST_WAVE) ** -exponent
    return factors / factors.mean()


class _Clamp(torch.autograd.Function):
    """Clamp to [0, 1], with a gradient that leads back into the range.

    The gradient of a plain clamp is zero outside, so a pixel that left the range would stay there.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        ctx.save_for_backward(image)
        return image.clamp(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (image,) = ctx.saved_tensors
        outwards = (image < 0) & (gradients[0] > 0) | (image > 1) & (gradients[0] < 0)
        return gradients[0].masked_fill(outwards, 0.0)
