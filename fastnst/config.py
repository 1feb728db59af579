"""Every setting once: name, type, unit, default and help. Imports neither torch nor anything that does.

Command-line flags, `--config` files and Python share these dataclasses: flags win over the file, the file over the
defaults written here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter
from cyclopts.types import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from cyclopts.validators import Number

NetworkName = Literal["small", "live", "johnson"]
LossNetworkName = Literal["vgg19", "vgg16", "vgg19-torchvision", "densenet121", "squeezenet1_1"]
NormalizationName = Literal["relative", "gatys", "johnson"]
Pooling = Literal["max", "avg"]
Padding = Literal["replicate", "zeros"]
ExportFormat = Literal["onnx", "pt2", "torchscript", "openvino"]
Device = Literal["auto", "cpu", "cuda", "mps"]
RuntimeName = Literal["auto", "torch", "openvino"]

WHAT, LENGTH, LOOK, TRAINING, FILES, OUTPUT = (
    Parameter(group=Group.create_ordered(name)) for name in ("What", "How long", "Look", "Training", "Files", "Output")
)
SWITCH = Parameter(negative=(), show_default=False)
SMALLEST_TILE = 64  # pixels; smaller ones are little but overlap
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds of `90s`, `20m`, `1.5h` or a plain number of seconds.

    Example:
        >>> parse_duration("20m")
        1200.0
    """
    number, unit = (text[:-1], text[-1:]) if text[-1:] in SECONDS else (text, "s")
    try:
        seconds = float(number) * SECONDS[unit]
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"a duration is a positive number with s, m or h, such as 90s, 20m or 1.5h; got {text!r}")
    return seconds


def _duration(_: Any, tokens: Sequence[Any]) -> float:
    return parse_duration(tokens[0].value)


def _tile(_: Any, side: int | None) -> None:
    if side is not None and side != 0 and side < SMALLEST_TILE:
        raise ValueError(f"a tile has at least {SMALLEST_TILE} pixels a side, and 0 is for none; got {side}")


Duration = Annotated[float, Parameter(converter=_duration)]
TileSide = Annotated[int, Parameter(validator=_tile)]
Size = Annotated[int, Parameter(validator=Number(gte=16))]
PATHS = Parameter(consume_multiple=True, negative=(), show_default=False)
WORDS = Parameter(consume_multiple=True, negative=())
OUTPUT_FILE = Parameter(name=("--output", "-o"))
BRIEF = Parameter(show_default=False, show_choices=False, negative=())
DEFAULT_STYLE_WEIGHT = 8.0
SideOfStyle = Annotated[int, Parameter(validator=Number(gte=32))]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of `fastnst train`."""

    style: Annotated[tuple[Path, ...], WHAT, Parameter(consume_multiple=True, negative=(), show_default=False)] = ()
    """Style images; several make one file of styles."""
    data: Annotated[str | None, WHAT] = None
    """Photos: a folder, `coco` or a Hub id [a few samples]."""
    max_photos: Annotated[PositiveInt | None, WHAT] = None
    """Use so many at most [all; 20000 of a Hub id]."""
    network: Annotated[NetworkName, WHAT, BRIEF] = "small"
    """`small`, `live` (video) or `johnson` (paper) [small]."""
    init_from: Annotated[str, WHAT, BRIEF] = "auto"
    """Style to start from; `none`: from nothing [the base]."""

    budget: Annotated[Duration | None, LENGTH] = None
    """Wall-clock time: 90s, 20m, 1.5h [20m]."""
    steps: Annotated[PositiveInt | None, LENGTH] = None
    """Steps in place of a budget; repeatable to the bit."""
    resume: Annotated[bool, LENGTH, SWITCH] = False
    """Go on with the unfinished run of this name."""

    style_weight: Annotated[PositiveFloat | Literal["auto"], LOOK, BRIEF] = DEFAULT_STYLE_WEIGHT
    """2: a light touch; 8: strokes, palette; `auto` [8]."""
    content_weight: Annotated[NonNegativeFloat, LOOK] = 1.0
    """Weight of the photo's content."""
    tv_weight: Annotated[NonNegativeFloat, LOOK, BRIEF] = 0.0
    """Weight of total variation, which smooths [0]."""
    style_size: Annotated[SideOfStyle | None, LOOK] = None
    """Long side; larger, larger strokes [384]."""
    style_layers: Annotated[tuple[str, ...], LOOK, Parameter(consume_multiple=True, negative=())] = (
        "relu1_2",
        "relu2_2",
        "relu3_3",
        "relu4_3",
    )
    """Loss network layers for style."""
    content_layers: Annotated[tuple[str, ...], LOOK, Parameter(consume_multiple=True, negative=())] = ("relu3_3",)
    """Loss network layers for content."""
    normalization: Annotated[NormalizationName, LOOK] = "relative"
    """Scale of the losses; two as in the papers."""
    loss_network: Annotated[LossNetworkName, LOOK] = "vgg19"
    """Frozen network that measures the losses."""
    loss_weights: Annotated[Path | None, LOOK] = None
    """File with the loss network's weights."""
    pooling: Annotated[Pooling, LOOK, BRIEF] = "max"
    """Of the loss network: `max` or `avg` [max]."""
    padding: Annotated[Padding, LOOK, BRIEF] = "replicate"
    """Likewise: `replicate` or `zeros` [replicate]."""
    margin: Annotated[int, LOOK, BRIEF, Parameter(validator=Number(gte=0))] = 88
    """Pixels around crops, for the network only [88]."""

    batch_size: Annotated[PositiveInt, TRAINING] = 1
    """Photos a step, on each device."""
    visits: Annotated[PositiveInt, TRAINING, BRIEF] = 4
    """Steps that share a crop, its features kept [4]."""
    crop_size: Annotated[int, TRAINING, Parameter(validator=Number(gte=32))] = 256
    """Side of the final crops in pixels."""
    optimizer: Annotated[Literal["muon", "adam"], TRAINING, BRIEF] = "muon"
    """`muon` for the filters, or `adam` for all [muon]."""
    learning_rate: Annotated[PositiveFloat, TRAINING, BRIEF] = 1e-3
    """Highest of Adam; of Muon ten times as high [0.001]."""
    seed: Annotated[int, TRAINING, Parameter(validator=Number(gte=0, lt=2**32))] = 0
    """Same seed, same numbers (--steps, CPU)."""
    device: Annotated[Device, TRAINING] = "auto"
    """Where to train."""
    devices: Annotated[PositiveInt, TRAINING] = 1
    """Devices to share the work (data parallel)."""
    workers: Annotated[NonNegativeInt | None, TRAINING] = None
    """Processes that decode photos [1; 8 with a GPU]."""
    eval_every: Annotated[PositiveInt, TRAINING] = 1000
    """Steps between held-out losses."""
    preview_every: Annotated[PositiveInt, TRAINING] = 250
    """Steps between previews in TensorBoard."""
    save_every: Annotated[Duration, TRAINING] = 60.0
    """Time between resumable checkpoints."""

    name: Annotated[str | None, OUTPUT] = None
    """Of the style file and the run [the image's]."""
    force: Annotated[bool, OUTPUT, SWITCH] = False
    """Replace a run and style file of this name."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print the result as one JSON object."""


#: Settings of trainings from before there was a choice: their files do not name them.
EARLIER = {"padding": "zeros", "margin": 0, "visits": 1}


@dataclass(frozen=True, kw_only=True)
class ApplyConfig:
    """Settings of `fastnst apply`."""

    style: Annotated[str, WHAT]
    """A style's name or file; mix one file's styles as `day:0.6,night:0.4`."""
    output: Annotated[Path | None, WHAT, Parameter(name=("--output", "-o"), allow_leading_hyphen=True)] = None
    """File, folder or `-` (stdout) [PHOTO-STYLE.jpg]."""
    camera: Annotated[tuple[str, ...] | None, WHAT, Parameter(consume_multiple=(0, 1), negative=())] = None
    """Paint what camera N [0] sees, in a window; `q` ends."""
    strength: Annotated[float, LOOK, Parameter(validator=Number(gte=0, lte=1))] = 1.0
    """From 0, the photo, to 1, the full style."""
    keep_colors: Annotated[bool, LOOK, SWITCH] = False
    """Keep the photo's colours, take the style's light and strokes."""
    steady: Annotated[bool, LOOK, SWITCH] = False
    """Less flicker in videos, by optical flow."""
    stroke: Annotated[float, LOOK, Parameter(validator=Number(gte=0.1, lte=16))] = 1.0
    """Strokes so many times as large."""
    size: Annotated[PositiveInt | None, LOOK] = None
    """Shrink to this long side in pixels first."""
    mask: Annotated[Path | None, LOOK] = None
    """Image of the photo's shape; only white is painted."""
    feather: Annotated[NonNegativeFloat | None, LOOK] = None
    """Pixels of its soft edge [1 % of the long side]."""
    tile: Annotated[TileSide | None, LOOK] = None
    """Paint in tiles of this side; 0: whole [as memory allows]."""
    format: Annotated[Literal["jpeg", "png", "webp", "tiff", "gif", "avif"] | None, FILES, BRIEF] = None
    """jpeg, png, webp, tiff, gif or avif [the input's]."""
    quality: Annotated[int | None, FILES, Parameter(validator=Number(gte=1, lte=100))] = None
    """Of JPEG, WebP, AVIF, HEIC, videos [as a JPEG, else 95]."""
    force: Annotated[bool, FILES, SWITCH] = False
    """Replace existing files; never the photo itself."""
    skip_existing: Annotated[bool, FILES, SWITCH] = False
    """Leave out photos whose result is there."""
    device: Annotated[Device, OUTPUT] = "auto"
    """Where to paint [CUDA, then MPS, then CPU]."""
    runtime: Annotated[RuntimeName, OUTPUT, BRIEF] = "auto"
    """`torch`, `openvino` (CPU) [the faster for so much work]."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print one JSON object a photo."""


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Settings of `fastnst export`."""

    style: Annotated[str, WHAT]
    """A style's name or file; mix one file's styles as `day:0.6,night:0.4`."""
    format: Annotated[tuple[ExportFormat, ...], WHAT, WORDS, Parameter(show_default=False)] = ("onnx",)
    """One or several [onnx]."""
    precision: Annotated[Literal["float32", "float16", "int8"], WHAT] = "float32"
    """Of weights and arithmetic; input and output are float32."""
    output: Annotated[Path | None, WHAT, OUTPUT_FILE] = None
    """File or folder [STYLE.onnx, .pt2, .pt or .xml]."""
    force: Annotated[bool, OUTPUT, SWITCH] = False
    """Replace existing files."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print the result as one JSON object."""


@dataclass(frozen=True, kw_only=True)
class OptimizeConfig:
    """Settings of `fastnst optimize`; defaults stand in brackets, so that the help fits a screen."""

    style: Annotated[tuple[Path, ...], WHAT, PATHS] = ()
    """Style images; several are blended, or one a mask."""
    output: Annotated[Path | None, WHAT, OUTPUT_FILE] = None
    """Stylized image [PHOTO-STYLE-optimized.png]."""
    recipe: Annotated[str | None, WHAT] = None
    """Published settings: a shipped name or a YAML file."""
    style_shares: Annotated[tuple[PositiveFloat, ...], WHAT, PATHS] = ()
    """How much of each of several styles [equal]."""
    mask: Annotated[tuple[Path, ...], WHAT, PATHS] = ()
    """White where its style goes; the last takes the rest."""

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
    """Full scale of the pixels that numbers mean [1]."""
    clamp: Annotated[Literal["objective", "step", "end"], LOOK, BRIEF] = "objective"
    """To range: in the [objective], each `step`, the `end`."""
    style_weight: Annotated[NonNegativeFloat, LOOK, BRIEF] = 8.0
    """2: a light touch, [8]: strokes and palette."""
    content_weight: Annotated[NonNegativeFloat, LOOK, BRIEF] = 1.0
    """Weight of the photo's content [1]."""
    tv_weight: Annotated[NonNegativeFloat, LOOK, BRIEF] = 0.0
    """Weight of total variation, which smooths [0]."""
    tv_form: Annotated[Literal["l2", "l1", "keras"], LOOK, BRIEF] = "l2"
    """[l2], `l1` or `keras` (power 1.25)."""
    style_size: Annotated[PositiveInt | Literal["photo", "stretch"], LOOK, BRIEF] = 384
    """Long side [384], or the `photo`'s; `stretch`: its shape."""
    keep_colors: Annotated[Literal["none", "luminance", "histogram"], LOOK, BRIEF] = "none"
    """`luminance` only; style recoloured by `histogram`."""
    style_layers: Annotated[tuple[str, ...], LOOK, WORDS, BRIEF] = TrainConfig.style_layers
    """As `name` or `name:weight` [as in training]."""
    content_layers: Annotated[tuple[str, ...], LOOK, WORDS, BRIEF] = TrainConfig.content_layers
    """Likewise."""
    normalization: Annotated[Literal[NormalizationName, "keras", "pytorch"], LOOK, BRIEF] = "relative"
    """[relative], `gatys`, `johnson`, `keras`, `pytorch`."""
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
    """The way there: a folder of PNGs or a video file."""
    frame_every: Annotated[PositiveInt, OUTPUT, BRIEF] = 5
    """Iterations between frames [5]."""
    force: Annotated[bool, OUTPUT, SWITCH] = False
    """Replace existing files."""
    device: Annotated[Device, OUTPUT, BRIEF] = "auto"
    """`cpu`, `cuda` or `mps` [the fastest there is]."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print the result as one JSON object."""


@dataclass(frozen=True, kw_only=True)
class ReconstructConfig:
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
    """Of the noise that it starts from."""
    tv_weight: Annotated[NonNegativeFloat, LOOK] = 0.0
    """Weight of total variation, which smooths."""
    loss_network: Annotated[LossNetworkName, LOOK] = "vgg19"
    """Network whose layers are looked into."""
    loss_weights: Annotated[Path | None, LOOK] = None
    """File with its weights."""
    pooling: Annotated[Pooling, LOOK] = "max"
    """Its pooling."""
    force: Annotated[bool, OUTPUT, SWITCH] = False
    """Replace existing files."""
    device: Annotated[Device, OUTPUT] = "auto"
    """Where to compute."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print the result as one JSON object."""


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
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
    """Short sides at which times are taken."""
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


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """Settings of `fastnst probe`."""

    style: Annotated[Path, WHAT]
    """Style image, or `sample:NAME`."""
    data: Annotated[str | None, WHAT] = None
    """Photos to train on, as for `train` [a few samples]."""
    photo: Annotated[tuple[str, ...], WHAT, WORDS] = ("sample:astronaut", "sample:coffee", "sample:chelsea")
    """Photos for the sheet."""
    output: Annotated[Path | None, WHAT, OUTPUT_FILE] = None
    """Folder for sheet, style files and numbers [probe-STYLE]."""
    weights: Annotated[tuple[PositiveFloat, ...], LOOK, WORDS] = (2.0, 4.0, 8.0, 16.0, 32.0)
    """Style weights to try."""
    network: Annotated[NetworkName, LOOK] = "small"
    """As for `train`."""
    init_from: Annotated[str, LOOK] = "auto"
    """As for `train`."""
    budget: Annotated[Duration, LENGTH] = 540.0
    """Time for all trials together."""
    seed: Annotated[int, LENGTH, Parameter(validator=Number(gte=0, lt=2**32))] = 0
    """The same for each trial."""
    force: Annotated[bool, OUTPUT, SWITCH] = False
    """Replace existing files."""
    device: Annotated[Device, OUTPUT] = "auto"
    """Where to train."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print the result as one JSON object."""
