"""Settings of `fastnst bench` and its subcommands. Imports neither torch nor anything that does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import PositiveInt
from cyclopts.validators import Number

from fastnst.base.options import FILES, LENGTH, OUTPUT, OUTPUT_FILE, PATHS, SWITCH, WHAT, Duration, Settings, Size
from fastnst.networks.presets import NetworkName
from fastnst.painting.settings import TileSide
from fastnst.perception.settings import Padding
from fastnst.training.settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class BenchSettings(Settings):
    """Settings of `fastnst bench`."""

    network: NetworkName = "johnson"
    """Network to train."""
    batch_size: PositiveInt = 4
    """Photos a step."""
    crop_size: Annotated[int, Parameter(validator=Number(gte=32))] = 256
    """Side of the photos in pixels."""
    rounds: PositiveInt = 7
    """Timed steps of each loop, in turn."""
    output: Annotated[Path | None, Parameter(name=("--output", "-o"))] = None
    """Write the JSON here too."""
    json: Annotated[bool, SWITCH] = False
    """Print one JSON object instead of a table."""


@dataclass(frozen=True, kw_only=True)
class BenchOptimizeSettings(Settings):
    """Settings of `fastnst bench optimize`."""

    photo: Annotated[tuple[str, ...], PATHS] = ("sample:astronaut", "sample:coffee", "sample:chelsea")
    """Photos to paint."""
    size: Size = 512
    """Side of the picture in pixels."""
    rounds: PositiveInt = 15
    """Timed evaluations."""
    steps: Annotated[int, Parameter(validator=Number(gte=4))] = 100
    """Steps of pastiche for each photo."""
    output: Annotated[Path | None, OUTPUT_FILE] = None
    """Write the JSON here too."""
    json: Annotated[bool, SWITCH] = False
    """Print one JSON object instead of a table."""


@dataclass(frozen=True, kw_only=True)
class BenchApplySettings(Settings):
    """Settings of `fastnst bench apply`."""

    size: Size = 512
    """Side of the photo in pixels."""
    width: Size = 640
    """Of the video's pictures in pixels."""
    height: Size = 360
    """Likewise."""
    frames: Annotated[int, Parameter(validator=Number(gte=2))] = 96
    """Pictures of the rendered video."""
    rounds: PositiveInt = 9
    """Timed pictures of each candidate, in turn."""
    output: Annotated[Path | None, OUTPUT_FILE] = None
    """Write the JSON here too."""
    json: Annotated[bool, SWITCH] = False
    """Print one JSON object instead of tables."""


@dataclass(frozen=True, kw_only=True)
class BenchVideoSettings(Settings):
    """Settings of `fastnst bench video`."""

    style: str
    """A trained style's name or file."""
    width: Size = 640
    """Of the pictures in pixels."""
    height: Size = 360
    """Likewise."""
    frames: Annotated[int, Parameter(validator=Number(gte=2))] = 48
    """Pictures of the rendered clip."""
    output: Annotated[Path | None, OUTPUT_FILE] = None
    """Write the JSON here too."""
    json: Annotated[bool, SWITCH] = False
    """Print one JSON object instead of a table."""


@dataclass(frozen=True, kw_only=True)
class BenchTilesSettings(Settings):
    """Settings of `fastnst bench tiles`."""

    style: str
    """A trained style's name or file."""
    photo: Annotated[tuple[str, ...], PATHS] = ("sample:astronaut", "sample:coffee", "sample:rocket")
    """Photos to paint."""
    size: Size = 4096
    """Their long side in pixels; smaller ones are enlarged."""
    tile: TileSide = 1024
    """Side of the tiles."""
    output: Annotated[Path | None, OUTPUT_FILE] = None
    """Write a sheet of the pictures here."""
    json: Annotated[bool, SWITCH] = False
    """Print one JSON object instead of a table."""


@dataclass(frozen=True, kw_only=True)
class TargetsSettings(Settings):
    """Settings of `fastnst bench targets`."""

    style: Annotated[Path, WHAT]
    """Style image, or `sample:NAME`."""
    data: Annotated[str | None, WHAT] = None
    """Photos of the training; the validation photos are used [a few samples]."""
    output: Annotated[Path, WHAT, OUTPUT_FILE] = Path("targets.json")
    """JSON file; one that is there is gone on with."""
    iterations: Annotated[PositiveInt, LENGTH] = 100
    """Of L-BFGS, for each photo."""
    padding: Annotated[Padding, LENGTH] = TrainSettings.padding
    """Of the loss network, as for `train`."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print the result as one JSON object."""


@dataclass(frozen=True, kw_only=True)
class QualitySettings(Settings):
    """Settings of `fastnst bench quality`."""

    style: Annotated[Path, WHAT]
    """Style image, or `sample:NAME`."""
    data: Annotated[str | None, WHAT] = None
    """Photos to train on, as for `train` [a few samples]."""
    budget: Annotated[Duration, WHAT] = 180.0
    """Of the training."""
    network: Annotated[NetworkName, WHAT] = "small"
    """As for `train`."""
    init_from: Annotated[str, WHAT] = "none"
    """As for `train`; `none`: from random weights."""
    seed: Annotated[int, WHAT, Parameter(validator=Number(gte=0, lt=2**32))] = 0
    """Of the training."""
    iterations: Annotated[PositiveInt, LENGTH] = 100
    """Of L-BFGS, for each held-out photo."""
    padding: Annotated[Padding, LENGTH] = TrainSettings.padding
    """Of the loss network, as for `train`."""
    margin: Annotated[int, LENGTH, Parameter(validator=Number(gte=0))] = TrainSettings.margin
    """Around crops, as for `train`."""
    targets: Annotated[Path | None, FILES] = None
    """Losses of L-BFGS; measured if missing [targets-STYLE.json]."""
    folder: Annotated[Path | None, FILES] = None
    """For the trained style [quality-STYLE-...]."""
    output: Annotated[Path | None, FILES, OUTPUT_FILE] = None
    """Write the JSON here too."""
    force: Annotated[bool, FILES, SWITCH] = False
    """Train anew into an existing folder."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print one JSON object instead of a table."""


@dataclass(frozen=True, kw_only=True)
class ReferenceSettings(Settings):
    """Settings of `fastnst bench reference`."""

    style: Annotated[Path, WHAT]
    """Style image, or `sample:NAME`."""
    data: Annotated[str | None, WHAT] = None
    """Photos to train on, as for `train` [a few samples]."""
    output: Annotated[Path, WHAT, OUTPUT_FILE] = Path("reference.json")
    """JSON file; one that is there is gone on with."""
    budget: Annotated[Duration, LENGTH] = 3600.0
    """Training time in all, without evaluations."""
    every: Annotated[Duration, LENGTH] = 300.0
    """Training time between evaluations."""
    padding: Annotated[Padding, LENGTH] = TrainSettings.padding
    """Of the loss network, as for `train`."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print the result as one JSON object."""


@dataclass(frozen=True, kw_only=True)
class BenchLookSettings(Settings):
    """Settings of `fastnst bench look`."""

    style_image: Annotated[Path, WHAT]
    """The painting: a file, or `sample:NAME`."""
    judge: Annotated[Path, WHAT]
    """Weights of SqueezeNet 1.0 (Caffe's input) that judge."""
    style: Annotated[tuple[str, ...], WHAT, PATHS] = ()
    """Styles to judge: names or files."""
    pictures: Annotated[tuple[Path, ...], WHAT, PATHS] = ()
    """Folders of pictures, called as the photos are."""
    photo: Annotated[tuple[str, ...], WHAT, PATHS] = ("sample:astronaut", "sample:coffee", "sample:chelsea")
    """Photos: files, folders or samples."""
    size: Annotated[int, LENGTH, Parameter(validator=Number(gte=128))] = 512
    """Side of the squares that are judged, in pixels."""
    controls: Annotated[bool, LENGTH, SWITCH] = False
    """Judge the photos too, and the photos blurred."""
    sheet: Annotated[Path | None, FILES] = None
    """Write a contact sheet here."""
    output: Annotated[Path | None, FILES, OUTPUT_FILE] = None
    """Write the JSON here too."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print one JSON object instead of a table."""


@dataclass(frozen=True, kw_only=True)
class BenchUniversalSettings(Settings):
    """Settings of `fastnst bench universal`."""

    photo: Annotated[tuple[str, ...], PATHS] = ("sample:astronaut", "sample:coffee", "sample:chelsea")
    """Photos to decode."""
    data: str | None = None
    """A folder of photos in place of them."""
    network: Path | None = None
    """File of the network [the shipped one]."""
    yardstick: Path | None = None
    """`wct_slim16x.safetensors`, to measure beside."""
    size: Size = 512
    """Long side of the painted photo in pixels."""
    rounds: PositiveInt = 5
    """Paintings of each, in turn."""
    output: Annotated[Path | None, OUTPUT_FILE] = None
    """Write the JSON here too."""
    json: Annotated[bool, SWITCH] = False
    """Print one JSON object instead of a table."""
