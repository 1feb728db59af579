"""Settings of a perceptual loss: layers, weights, loss network. Imports neither torch nor anything that does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import NonNegativeFloat, PositiveFloat
from cyclopts.validators import Number

from fastnst.base.options import BRIEF, LOOK, WORDS, Settings

LossNetworkName = Literal["vgg19", "vgg16", "vgg19-torchvision", "densenet121", "squeezenet1_1", "squeezenet1_0-caffe"]
NormalizationName = Literal["relative", "moments", "gatys", "johnson"]
Pooling = Literal["max", "avg"]
Padding = Literal["replicate", "zeros"]
DEFAULT_STYLE_WEIGHT = 10.0
#: Of what other networks of this kind minimise, 94 to 96 % is at relu4_1; the others keep edges and colours
#: (records/LOG.md).
STYLE_LAYERS = {"relu1_1": 1.0, "relu2_1": 6.0, "relu3_1": 2.0, "relu4_1": 20.0}
CONTENT_LAYERS = ("relu4_2",)
SideOfStyle = Annotated[int, Parameter(validator=Number(gte=32))]


@dataclass(frozen=True, kw_only=True)
class ObjectiveSettings(Settings):
    """Settings of a perceptual loss, apart from the style images."""

    style_weight: Annotated[PositiveFloat | Literal["auto"], LOOK, BRIEF] = DEFAULT_STYLE_WEIGHT
    """2.5: light; 10: strokes, palette; `auto` [10]."""
    content_weight: Annotated[NonNegativeFloat, LOOK] = 1.0
    """Weight of the photo's content."""
    tv_weight: Annotated[NonNegativeFloat, LOOK, BRIEF] = 0.0
    """Weight of total variation, which smooths [0]."""
    style_size: Annotated[SideOfStyle | Literal["auto"] | None, LOOK, BRIEF] = "auto"
    """Long side of the painting [its short side 512]."""
    style_layers: Annotated[tuple[str, ...], LOOK, WORDS, BRIEF] = tuple(
        f"{name}:{weight:g}" for name, weight in STYLE_LAYERS.items()
    )
    """For the style [relu1_1:1 relu2_1:6 relu3_1:2 relu4_1:20]."""
    content_layers: Annotated[tuple[str, ...], LOOK, WORDS] = CONTENT_LAYERS
    """Likewise, for content."""
    normalization: Annotated[NormalizationName, LOOK, BRIEF] = "relative"
    """`relative`, `moments`, `gatys`, `johnson` [relative]."""
    loss_network: Annotated[LossNetworkName, LOOK] = "vgg19"
    """Frozen network that measures the losses."""
    loss_weights: Annotated[Path | None, LOOK] = None
    """File with the loss network's weights."""
    pooling: Annotated[Pooling, LOOK, BRIEF] = "max"
    """Of the loss network: `max` or `avg` [max]."""
    padding: Annotated[Padding, LOOK, BRIEF] = "replicate"
    """Beyond borders: `replicate`, `zeros` [replicate]."""
