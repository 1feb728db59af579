"""Settings of `fastnst optimize`, `reconstruct` and `compare`. Imports neither torch nor anything that does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import NonNegativeFloat, PositiveFloat, PositiveInt
from cyclopts.validators import Number

from fastnst.base.options import (
    BRIEF,
    LENGTH,
    LOOK,
    OUTPUT,
    OUTPUT_FILE,
    PATHS,
    SWITCH,
    WHAT,
    WORDS,
    Device,
    Settings,
    Size,
)
from fastnst.perception.settings import (
    DEFAULT_STYLE_WEIGHT,
    LossNetworkName,
    NormalizationName,
    ObjectiveSettings,
    Padding,
    Pooling,
)


@dataclass(frozen=True, kw_only=True)
class OptimizeSettings(Settings):
    """Settings of `fastnst optimize`; defaults are in brackets, so that the help fits a screen."""

    style: Annotated[tuple[Path, ...], WHAT, PATHS] = ()
    """Style images; several are blended, or one a mask."""
    output: Annotated[Path | None, WHAT, OUTPUT_FILE] = None
    """Stylized image [PHOTO-STYLE-optimized.png]."""
    recipe: Annotated[str | None, WHAT] = None
    """Published settings: a shipped name or a YAML file."""
    style_shares: Annotated[tuple[PositiveFloat, ...], WHAT, PATHS] = ()
    """How much of each of several styles [equal]."""
    mask: Annotated[tuple[Path, ...], WHAT, PATHS] = ()
    """White where its style goes; the last gets the rest."""

    size: Annotated[Size, LENGTH, BRIEF] = 512
    """Long side of the result in pixels [512]."""
    scales: Annotated[PositiveInt | None, LENGTH] = None
    """Coarse to fine in so many sizes [1; above 512 more]."""
    iterations: Annotated[PositiveInt, LENGTH, BRIEF] = 200
    """Of the optimiser, at each size [200]."""
    optimizer: Annotated[Literal["lbfgs", "adam"], LENGTH, BRIEF] = "lbfgs"
    """`lbfgs`, with strong Wolfe line search, or `adam`."""
    history: Annotated[PositiveInt, LENGTH, BRIEF] = 20
    """Steps that L-BFGS remembers [20]."""
    rounds: Annotated[PositiveInt, LENGTH, BRIEF] = 1
    """Restarts of L-BFGS, without its history [1]."""
    evaluations: Annotated[PositiveInt | None, LENGTH] = None
    """Of the loss, at most, in a round of L-BFGS."""
    precondition: Annotated[float, LENGTH, BRIEF, Parameter(validator=Number(gte=0, lte=1))] = 0.5
    """L-BFGS favours long waves; 0: plain pixels [0.5]."""
    learning_rate: Annotated[PositiveFloat, LENGTH, BRIEF] = 0.02
    """Of Adam, in pixel values [0.02]."""
    adam_beta: Annotated[float, LENGTH, BRIEF, Parameter(validator=Number(gte=0, lt=1))] = 0.9
    """Of Adam, first moment [0.9]."""
    adam_epsilon: Annotated[PositiveFloat, LENGTH, BRIEF] = 1e-8
    """Of Adam, in gradients by pixel value [1e-8]."""

    init: Annotated[str, LOOK, BRIEF] = "photo"
    """[photo], `noise`, `normal` (noise) or an image."""
    noise: Annotated[tuple[float, float], LOOK, BRIEF] = (0.0, 1.0)
    """Its range, or mean and deviation [0 1]."""
    pixel_range: Annotated[PositiveFloat | None, LOOK] = None
    """Full scale of pixels in the other settings [1]."""
    clamp: Annotated[Literal["objective", "step", "end"], LOOK, BRIEF] = "objective"
    """To range: in the [objective], each `step`, the `end`."""
    style_weight: Annotated[NonNegativeFloat, LOOK, BRIEF] = DEFAULT_STYLE_WEIGHT
    """2.5: a light touch, [10]: strokes and palette."""
    content_weight: Annotated[NonNegativeFloat, LOOK, BRIEF] = 1.0
    """Weight of the photo's content [1]."""
    tv_weight: Annotated[NonNegativeFloat, LOOK, BRIEF] = 0.0
    """Weight of total variation, which smooths [0]."""
    tv_form: Annotated[Literal["l2", "l1", "keras"], LOOK, BRIEF] = "l2"
    """[l2], `l1` or `keras` (power 1.25)."""
    style_size: Annotated[PositiveInt | Literal["auto", "photo", "stretch"], LOOK, BRIEF] = "auto"
    """Long side, or the `photo`'s; `stretch`: its shape [short side 512]."""
    keep_colors: Annotated[Literal["none", "luminance", "histogram"], LOOK, BRIEF] = "none"
    """`luminance` only; style recoloured by `histogram`."""
    style_layers: Annotated[tuple[str, ...], LOOK, WORDS, BRIEF] = ObjectiveSettings.style_layers
    """As `name` or `name:weight` [as in training]."""
    content_layers: Annotated[tuple[str, ...], LOOK, WORDS, BRIEF] = ObjectiveSettings.content_layers
    """Likewise."""
    normalization: Annotated[Literal[NormalizationName, "keras", "pytorch"], LOOK, BRIEF] = "relative"
    """[relative], `moments`, or one of the papers'."""
    unit_means: Annotated[bool, LOOK, SWITCH] = False
    """Rescale the filters to a mean activation of one."""
    feature_scale: Annotated[PositiveFloat, LOOK, BRIEF] = 1.0
    """Divide features by this; not if relative [1]."""
    loss_network: Annotated[LossNetworkName, LOOK, BRIEF] = "vgg19"
    """As for training [vgg19]."""
    loss_weights: Annotated[Path | None, LOOK] = None
    """File with the loss network's weights."""
    pooling: Annotated[Pooling, LOOK, BRIEF] = "max"
    """[max] or `avg`."""
    padding: Annotated[Padding, LOOK, BRIEF] = "replicate"
    """[replicate], or `zeros` as in the papers."""
    seed: Annotated[int, LOOK, BRIEF, Parameter(validator=Number(gte=0, lt=2**32))] = 0
    """Of noise [0]."""

    frames: Annotated[Path | None, OUTPUT] = None
    """Iterations as a folder of PNGs or a video file."""
    frame_every: Annotated[PositiveInt, OUTPUT, BRIEF] = 5
    """Iterations between frames [5]."""
    force: Annotated[bool, OUTPUT, SWITCH] = False
    """Replace existing files."""
    device: Annotated[Device, OUTPUT, BRIEF] = "auto"
    """`cpu`, `cuda` or `mps` [the fastest available]."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print the result as one JSON object."""


@dataclass(frozen=True, kw_only=True)
class ReconstructSettings(Settings):
    """Settings of `fastnst reconstruct`."""

    kind: Annotated[Literal["content", "style"], WHAT] = "content"
    """What is kept of the image."""
    layers: Annotated[tuple[str, ...], WHAT, WORDS] = ()
    """Layers; `all` for every one, `block4` for one block [the paper's five]."""
    output: Annotated[Path | None, WHAT, OUTPUT_FILE] = None
    """Folder for sheet, images and losses [IMAGE-KIND]."""
    size: Annotated[Size, LENGTH] = 256
    """Long side in pixels."""
    iterations: Annotated[PositiveInt, LENGTH] = 200
    """Of L-BFGS, for each image."""
    history: Annotated[PositiveInt, LENGTH] = 20
    """Steps that L-BFGS remembers."""
    seed: Annotated[int, LENGTH, Parameter(validator=Number(gte=0, lt=2**32))] = 0
    """Seed of the noise that it starts from."""
    tv_weight: Annotated[NonNegativeFloat, LOOK] = 0.0
    """Weight of total variation, which smooths."""
    loss_network: Annotated[LossNetworkName, LOOK] = "vgg19"
    """Network whose layers are used."""
    loss_weights: Annotated[Path | None, LOOK] = None
    """File with its weights."""
    pooling: Annotated[Pooling, LOOK] = "max"
    """Of that network: `max` or `avg`."""
    force: Annotated[bool, OUTPUT, SWITCH] = False
    """Replace existing files."""
    device: Annotated[Device, OUTPUT] = "auto"
    """Where to compute."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print the result as one JSON object."""


@dataclass(frozen=True, kw_only=True)
class CompareSettings(Settings):
    """Settings of `fastnst compare`."""

    style: Annotated[str, WHAT]
    """A trained style's name or file."""
    style_image: Annotated[Path, WHAT]
    """The painting that it was trained on."""
    output: Annotated[Path | None, WHAT, OUTPUT_FILE] = None
    """Folder for tables, plots and sheets [compare-STYLE]."""
    sizes: Annotated[tuple[Size, ...], LENGTH, WORDS] = (256, 512)
    """Short sides in pixels at which losses are compared."""
    timed_sizes: Annotated[tuple[Size, ...], LENGTH, WORDS] = (256, 512, 1024)
    """Short sides in pixels at which times are taken."""
    iterations: Annotated[PositiveInt, LENGTH] = 100
    """Of L-BFGS from noise."""
    history: Annotated[PositiveInt, LENGTH] = 20
    """Steps that L-BFGS remembers."""
    seed: Annotated[int, LENGTH, Parameter(validator=Number(gte=0, lt=2**32))] = 0
    """Of the noise."""
    loss_weights: Annotated[Path | None, LOOK] = None
    """File with the loss network's weights."""
    force: Annotated[bool, OUTPUT, SWITCH] = False
    """Replace existing files."""
    device: Annotated[Device, OUTPUT] = "auto"
    """Where to compute."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print the result as one JSON object."""
