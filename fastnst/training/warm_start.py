"""Warm start: the weights of a trained network as the start for new styles.

Knows nothing of runs and files of photos.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastnst.networks.catalog import StyleFileError, read_info
from fastnst.networks.description import PREDICTOR
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import load_style
from fastnst.perception.perceptual_loss import PerceptualLoss
from fastnst.universal.file import load_predictor
from fastnst.universal.predictor import StylePredictor, continued, predicted_parameters

OF_STYLES = ("norm.scale", "norm.shift")  # (num_styles, C)


class Start(NamedTuple):
    """The file that a training starts from.

    Args:
        path: Of the file.
        network: Its network, on the CPU.
        info: Its description.
        predictor: Predicts the norms of a style from its painting, if the file holds one.
    """

    path: Path
    network: TransformationNetwork
    info: dict[str, Any]
    predictor: StylePredictor | None = None


def load_start(path: Path) -> Start:
    """Read a style file, or the file of a predictor.

    Raises:
        StyleFileError: It cannot be used.
    """
    if read_info(path).get("kind") == PREDICTOR:
        network, predictor = load_predictor(path)
        return Start(path, network, read_info(path), predictor)
    file = load_style(path)
    return Start(path, file.network, file.info)


@torch.no_grad()
def warm_start(
    network: TransformationNetwork,
    start: Start,
    objective: PerceptualLoss,
    photos: Tensor,
    hashes: Sequence[str] = (),
    paintings: Sequence[Tensor] = (),
) -> list[str]:
    """Give a network the weights of a file.

    Convolutions are copied. A style that a style file has already starts from its own norms. Any other starts from
    those of the old style, or of the mean of all old styles, whose pictures have the lowest loss. From the file of a
    predictor, every style starts from what is predicted for its painting.

    Args:
        network: Changed in place; on the photos' device.
        start: What to start from.
        objective: The loss, with as many styles as the network.
        photos: A few, `(B, 3, H, W)`.
        hashes: SHA-256 of each style image, if known.
        paintings: The style images `(1, 3, H, W)`, of the size that they have for the first crops; a predictor needs
            them.

    Returns:
        For each new style, the name of the old one, or `mean` or `predicted`.

    Raises:
        StyleFileError: It holds a network of another size.
    """
    if _shapes(start.network) != _shapes(network):
        raise StyleFileError(f"{start.path} holds a network of another size: choose its --network, or --init-from none")
    if start.predictor:
        return _start_as_predicted(network, start.network, start.predictor, paintings)
    old = start.network.to(photos.device)
    count = old.num_styles
    # One row for each old style, and where there are several one for their mean.
    rows = torch.cat([torch.eye(count), torch.full((1, count), 1 / count)])[: count + (count > 1)].to(photos)
    targets = objective.content_targets(photos)
    painted = [old(photos, row[None]) for row in rows]
    chosen, had = [], [style.get("sha256") for style in start.info["styles"]]
    for style, digest in zip(
        torch.eye(network.num_styles).to(photos), hashes or [""] * network.num_styles, strict=True
    ):
        if digest in had:
            chosen.append(had.index(digest))
            continue
        totals = torch.stack([objective(image, targets, style[None]).total.mean() for image in painted])
        chosen.append(int(totals.argmin()))
    mix = rows[chosen]  # (num_styles, count)
    state = old.state_dict()
    for name, values in state.items():
        if name.endswith(OF_STYLES):
            state[name] = mix @ values
    network.load_state_dict(state)
    names = [style["name"] for style in start.info["styles"]]
    return [(*names, "mean")[index] for index in chosen]


def _start_as_predicted(
    network: TransformationNetwork, old: TransformationNetwork, predictor: StylePredictor, paintings: Sequence[Tensor]
) -> list[str]:
    numbers = predictor(torch.cat([predictor.statistics(continued(painting.cpu())) for painting in paintings]))
    network.load_state_dict({**old.state_dict(), **predicted_parameters(old, numbers)})
    return ["predicted"] * len(paintings)


def _shapes(network: TransformationNetwork) -> dict[str, torch.Size]:
    """Of all parameters, whatever the number of styles."""
    state = network.state_dict()
    return {name: value.shape[1:] if name.endswith(OF_STYLES) else value.shape for name, value in state.items()}
