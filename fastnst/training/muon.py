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


def orthogonalize(matrices: Tensor) -> Tensor:
    """Matrices with all of their singular values moved to between about 0.7 and 1.2.

    Five steps of a Newton-Schulz iteration, X <- (a I + b X X^T + c (X X^T)^2) X, whose coefficients give speed rather
    than exactness. Differs from Jordan et al. (2024) in the order of the products: every step multiplies X from the
    left by a polynomial of X X^T, so the steps are made on that small matrix and X is multiplied once, at the end.

    Args:
        matrices: `(..., M, N)`, any size and scale; zeros stay zeros.

    Example:
        >>> bool((torch.linalg.svdvals(orthogonalize(torch.tensor([[5.0, 1.0], [0.0, 0.1]]))) > 0.6).all())
        True
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    wide = matrices.mT if tall else matrices
    wide = wide / (wide.norm(dim=(-2, -1), keepdim=True) + TINY)
    squared = wide @ wide.mT  # X X^T
    one = torch.eye(wide.shape[-2], dtype=wide.dtype, device=wide.device)
    factor = polynomial = a * one + (b * one + c * squared) @ squared
    for _ in range(ITERATIONS - 1):
        squared = polynomial @ squared @ polynomial
        polynomial = a * one + (b * one + c * squared) @ squared
        factor = polynomial @ factor
    result = factor @ wide
    orthogonal: Tensor = result.mT if tall else result
    return orthogonal


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
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["muon"]:
                # Filters of one shape together: many small products take longer than a few large ones.
                for alike in _by_shape(moved):
                    self._turn(alike, group)
            else:
                for parameter in moved:
                    self._adam(parameter, parameter.grad, self.state[parameter], group)
        return loss

    def _turn(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        gradients = torch.stack([_gradient(weight) for weight in weights])
        momenta = [self.state[weight]["momentum"] for weight in weights]
        for momentum, gradient in zip(momenta, gradients, strict=True):
            momentum.lerp_(gradient, 1 - group["momentum"])
        updates = orthogonalize(gradients.lerp(torch.stack(momenta), group["momentum"]).flatten(2))
        scale = max(1.0, updates.shape[1] / updates.shape[2]) ** 0.5
        for weight, update in zip(weights, updates, strict=True):
            weight.add_(update.view_as(weight), alpha=-group["lr"] * group["ratio"] * scale)

    @staticmethod
    def _adam(weight: Tensor, gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> None:
        if not state:
            state.update(step=torch.zeros(()), mean=torch.zeros_like(weight), square=torch.zeros_like(weight))
        state["step"] += 1
        state["mean"].lerp_(gradient, 1 - group["betas"][0])
        state["square"].lerp_(gradient.square(), 1 - group["betas"][1])
        mean, square = (
            state[key] / (1 - beta ** float(state["step"]))
            for key, beta in zip(("mean", "square"), group["betas"], strict=True)
        )
        weight.addcdiv_(mean, square.sqrt() + group["eps"], value=-group["lr"])


def _gradient(weight: Tensor) -> Tensor:
    assert weight.grad is not None
    return weight.grad


def _by_shape(weights: Iterable[Tensor]) -> list[list[Tensor]]:
    """In order of first appearance."""
    groups: dict[torch.Size, list[Tensor]] = {}
    for weight in weights:
        groups.setdefault(weight.shape, []).append(weight)
    return list(groups.values())
