"""Muon: an optimiser that makes every update of a filter bank equally strong in all directions.

Jordan et al. (2024), "Muon: an optimizer for hidden layers in neural networks". torch's own takes matrices only; here
the weights of a convolution `(O, I, K, K)` are the matrix `(O, I K K)`, and all other parameters are left to Adam.
Knows nothing of networks or losses.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration
ITERATIONS = 5
TINY = 1e-7


def orthogonalize(matrix: Tensor) -> Tensor:
    """The matrix with all of its singular values moved to between about 0.7 and 1.2.

    Five steps of a Newton-Schulz iteration, whose coefficients give speed rather than exactness.

    Args:
        matrix: `(M, N)`, any size and scale; zeros stay zeros.

    Example:
        >>> bool((torch.linalg.svdvals(orthogonalize(torch.tensor([[5.0, 1.0], [0.0, 0.1]]))) > 0.6).all())
        True
    """
    a, b, c = COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
    result: Tensor = wide / (wide.norm() + TINY)
    for _ in range(ITERATIONS):
        squared = result @ result.mT
        result = a * result + (b * squared + c * squared @ squared) @ result
    return result if matrix.shape[0] <= matrix.shape[1] else result.mT


class Muon(torch.optim.Optimizer):
    """Muon for filter banks, Adam (Kingma & Ba, 2015) for the rest.

    Args:
        filters: Weights of convolutions `(O, I, K, K)`. They should be ones that a norm follows: then only their
            direction counts, and a step turns all of them alike.
        others: Everything else.
        lr: Learning rate of Adam.
        ratio: That of Muon is so many times as high.
        momentum: Of Muon, with Nesterov's look ahead.
        betas, eps: Of Adam.
    """

    def __init__(
        self,
        filters: Iterable[Tensor],
        others: Iterable[Tensor],
        *,
        lr: float = 1e-3,
        ratio: float = 10.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        groups = [{"params": list(filters), "muon": True}, {"params": list(others), "muon": False}]
        defaults = {"lr": lr, "ratio": ratio, "momentum": momentum, "betas": betas, "eps": eps}
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the parameters that have a gradient; gives what the closure gave."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            move = self._turn if group["muon"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    move(parameter, parameter.grad, self.state[parameter], group)
        return loss

    @staticmethod
    def _turn(weight: Tensor, gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> None:
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(gradient, 1 - group["momentum"])
        update = orthogonalize(gradient.lerp(state["momentum"], group["momentum"]).flatten(1))
        scale = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
        weight.add_(update.view_as(weight), alpha=-group["lr"] * group["ratio"] * scale)

    @staticmethod
    def _adam(weight: Tensor, gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> None:
        if not state:
            state.update(steps=torch.zeros(()), mean=torch.zeros_like(weight), square=torch.zeros_like(weight))
        state["steps"] += 1
        state["mean"].lerp_(gradient, 1 - group["betas"][0])
        state["square"].lerp_(gradient.square(), 1 - group["betas"][1])
        mean, square = (
            state[key] / (1 - beta ** float(state["steps"]))
            for key, beta in zip(("mean", "square"), group["betas"], strict=True)
        )
        weight.addcdiv_(mean, square.sqrt() + group["eps"], value=-group["lr"])
