"""Settings of `fastnst apply` and `fastnst texture`. Imports neither torch nor anything that does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.types import NonNegativeFloat, PositiveInt
from cyclopts.validators import Number

from fastnst.base.options import BRIEF, CLUSTER, FILES, LOOK, OUTPUT, OUTPUT_FILE, SWITCH, WHAT, Device, Settings, Size
from fastnst.networks.presets import PrecisionName, RuntimeName

SMALLEST_TILE = 64  # pixels; smaller tiles are mostly overlap


def _tile(_: Any, side: int | None) -> None:
    if side is not None and side != 0 and side < SMALLEST_TILE:
        raise ValueError(f"a tile has at least {SMALLEST_TILE} pixels a side, and 0 is for none; got {side}")


def _frame_size(_: Any, tokens: Sequence[Any]) -> tuple[int, int]:
    width, _, height = tokens[0].value.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ValueError(f"a frame's size is written WIDTHxHEIGHT, such as 640x480; got {tokens[0].value!r}")
    return int(width), int(height)


FrameSize = Annotated[
    tuple[int, int], Parameter(converter=_frame_size, n_tokens=1, negative=(), metavar="WIDTHxHEIGHT")
]
TileSide = Annotated[int, Parameter(validator=_tile)]


@dataclass(frozen=True, kw_only=True)
class ApplySettings(Settings):
    """Settings of `fastnst apply`."""

    style: Annotated[str, WHAT]
    """A name, FILE or FILE:NAME, or any painting; mix as `day:0.6,night:0.4`."""
    output: Annotated[Path | None, WHAT, Parameter(name=("--output", "-o"), allow_leading_hyphen=True)] = None
    """File, folder or `-` (stdout) [PHOTO-STYLE.jpg]."""
    camera: Annotated[tuple[str, ...] | None, WHAT, Parameter(consume_multiple=(0, 1), negative=())] = None
    """Paint what camera N [0] sees, in a window; `q` ends."""
    watch: Annotated[bool, WHAT, SWITCH] = False
    """Go on with what comes into the folders, until Ctrl-C."""
    frame_size: Annotated[FrameSize | None, WHAT] = None
    """Of raw RGB frames on stdin, such as 640x480; frames go to stdout."""
    strength: Annotated[float, LOOK, Parameter(validator=Number(gte=0, lte=1))] = 1.0
    """From 0, the photo, to 1, the full style."""
    alpha: Annotated[float | None, LOOK, BRIEF, Parameter(validator=Number(gte=0, lte=1))] = None
    """For paintings, as Li et al. (2017): strength 1 is 0.6."""
    instant: Annotated[bool, LOOK, SWITCH] = False
    """Predict a trained style from a painting: faster, fit for videos."""
    keep_colors: Annotated[bool, LOOK, SWITCH] = False
    """Keep the photo's colours, take the style's light and strokes."""
    steady: Annotated[bool, LOOK, SWITCH] = False
    """Less flicker in videos, by optical flow."""
    stroke: Annotated[float, LOOK, Parameter(validator=Number(gte=0.1, lte=16))] = 1.0
    """Factor by which strokes get larger."""
    size: Annotated[PositiveInt | None, LOOK] = None
    """Shrink to this long side in pixels first."""
    mask: Annotated[Path | None, LOOK] = None
    """Image of the photo's shape; only white is stylized."""
    region: Annotated[tuple[str, ...], LOOK, Parameter(negative=(), show_default=False)] = ()
    """MASK=STYLE: another style where its mask is white; repeatable."""
    feather: Annotated[NonNegativeFloat | None, LOOK] = None
    """Pixels of its soft edge [1 % of the long side]."""
    tile: Annotated[TileSide | None, LOOK] = None
    """Paint in tiles of this side; 0: whole [as memory allows]."""
    format: Annotated[Literal["jpeg", "png", "webp", "tiff", "gif", "avif"] | None, FILES, BRIEF] = None
    """jpeg, png, webp, tiff, gif or avif [the input's]."""
    quality: Annotated[int | None, FILES, Parameter(validator=Number(gte=1, lte=100))] = None
    """Of JPEG, WebP, AVIF, HEIC, videos [as a JPEG, else 95]."""
    profile: Annotated[Literal["srgb", "keep"], FILES, BRIEF] = "srgb"
    """Colour space written: `srgb`, or `keep` for the photo's own."""
    max_megapixels: Annotated[PositiveInt, FILES] = 500
    """Refuse more; videos: a frame, 40 at most. For strangers' files 32."""
    force: Annotated[bool, FILES, SWITCH] = False
    """Replace existing files; never the photo itself."""
    skip_existing: Annotated[bool, FILES, SWITCH] = False
    """Leave out photos whose result exists."""
    device: Annotated[Device, OUTPUT] = "auto"
    """Where to compute [CUDA, then MPS, then CPU]."""
    runtime: Annotated[RuntimeName, OUTPUT, BRIEF] = "auto"
    """`torch`, `openvino` (CPU) [the faster for so much work]."""
    precision: Annotated[PrecisionName, OUTPUT, BRIEF] = "auto"
    """`float32`; `auto`: bfloat16 where it is faster [auto]."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print one JSON object a photo."""
    cluster: Annotated[bool, CLUSTER, SWITCH] = False
    """On Ray; photos at addresses such as s3://bucket/photos/."""
    column: Annotated[str, CLUSTER, BRIEF] = "path"
    """Of a Parquet or CSV file of addresses [path]."""
    actors: Annotated[PositiveInt | None, CLUSTER] = None
    """Processes that paint, a core each [as many as fit]."""
    gpus: Annotated[float, CLUSTER, BRIEF, Parameter(validator=Number(gte=0))] = 0.0
    """Of each actor, such as 1 or 0.25 [0]."""
    memory: Annotated[float, CLUSTER, BRIEF, Parameter(validator=Number(gte=1))] = 2.0
    """Of each actor, in GB; what needs more is tiled [2]."""
    in_flight: Annotated[PositiveInt, CLUSTER, BRIEF] = 4
    """Photos each reads, and results each writes, at once [4]."""
    max_failures: Annotated[float, CLUSTER, BRIEF, Parameter(validator=Number(gte=0, lte=1))] = 0.05
    """Stop when a larger share of photos failed [0.05]."""


@dataclass(frozen=True, kw_only=True)
class TextureSettings(Settings):
    """Settings of `fastnst texture`."""

    output: Annotated[Path | None, WHAT, OUTPUT_FILE] = None
    """File [PAINTING-texture.png]."""
    size: Annotated[Size, LOOK] = 512
    """Sides in pixels."""
    stroke: Annotated[float, LOOK, Parameter(validator=Number(gte=0.1, lte=4))] = 1.0
    """Factor by which the pattern gets larger."""
    seed: Annotated[int, LOOK, Parameter(validator=Number(gte=0, lt=2**32))] = 0
    """Another one gives another texture."""
    force: Annotated[bool, FILES, SWITCH] = False
    """Replace an existing file."""
    device: Annotated[Device, OUTPUT] = "auto"
    """Where to compute [CUDA, then MPS, then CPU]."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
