"""Settings of the wing's commands. Imports neither torch nor anything that does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.types import PositiveFloat, PositiveInt
from cyclopts.validators import Number

from fastnst.base.options import (
    BRIEF,
    LENGTH,
    LOOK,
    OUTPUT,
    OUTPUT_FILE,
    SWITCH,
    TRAINING,
    WHAT,
    WORDS,
    Device,
    Duration,
    Settings,
)
from fastnst.networks.presets import NetworkName
from fastnst.perception.settings import (
    ObjectiveSettings,
)

Workers = Annotated[int, Parameter(validator=Number(gte=0, lte=256))]
#: The highest in a training from nothing, and in one from a trained network, whose filters are seven times as long: a
#: norm follows them, so that a step of the same length turns them less.
LEARNING_RATE, LEARNING_RATE_FROM_START = 1e-3, 3e-3
#: How far each photo has the style by itself. In a training from nothing wholly: where photos shared it, white blobs
#: lay in dark places after 860 steps.
STYLE_PER_PHOTO, STYLE_PER_PHOTO_FROM_START = 1.0, 0.25
Share = Annotated[float, Parameter(validator=Number(gte=0, lte=1))]


@dataclass(frozen=True, kw_only=True)
class TrainSettings(ObjectiveSettings):
    """Settings of `fastnst train`; those of the loss are inherited."""

    style: Annotated[tuple[Path, ...], WHAT, Parameter(consume_multiple=True, negative=(), show_default=False)] = ()
    """Style images; several make one file of styles."""
    data: Annotated[str | None, WHAT] = None
    """Photos: a folder, `coco`, `hub:ID` [a few samples]."""
    max_photos: Annotated[PositiveInt | None, WHAT] = None
    """Use so many at most [all; 20000 of the Hub]."""
    network: Annotated[NetworkName, WHAT, BRIEF] = "small"
    """`small`, `live` (video) or `johnson` (paper) [small]."""
    init_from: Annotated[str, WHAT, BRIEF] = "auto"
    """Style to start from; `none`: random weights [predictor]."""

    budget: Annotated[Duration | None, LENGTH] = None
    """Wall-clock time: 90s, 20m, 1.5h [20m]."""
    steps: Annotated[PositiveInt | None, LENGTH] = None
    """Steps in place of a budget; repeats to the bit."""
    resume: Annotated[bool, LENGTH, SWITCH] = False
    """Resume the unfinished run of this name."""

    margin: Annotated[int, LOOK, BRIEF, Parameter(validator=Number(gte=0))] = 92
    """Pixels around crops, for the network only [92]."""
    style_per_photo: Annotated[Share | None, LOOK, BRIEF] = None
    """Style each photo has alone [0.25; 1 from nothing]."""
    calm: Annotated[float, LOOK, BRIEF, Parameter(validator=Number(gte=0))] = 0.0
    """Fewer strokes in skies and on faces: 1 to 5 [0]."""

    batch_size: Annotated[PositiveInt, TRAINING] = 1
    """Photos a step, on each device."""
    visits: Annotated[PositiveInt, TRAINING, BRIEF] = 4
    """Steps that share a crop, its features kept [4]."""
    crop_size: Annotated[int, TRAINING, Parameter(validator=Number(gte=32))] = 256
    """Side of the final crops in pixels."""
    optimizer: Annotated[Literal["muon", "adam"], TRAINING, BRIEF] = "muon"
    """`muon` for the filters, or `adam` for all [muon]."""
    learning_rate: Annotated[PositiveFloat | None, TRAINING, BRIEF] = None
    """Of Adam; 0.001 from nothing, else 0.003."""
    seed: Annotated[int, TRAINING, Parameter(validator=Number(gte=0, lt=2**32))] = 0
    """Same seed, same numbers (--steps, CPU)."""
    device: Annotated[Device, TRAINING, BRIEF] = "auto"
    """Where to train: `auto`, `cpu`, `cuda`, `mps` [auto]."""
    devices: Annotated[PositiveInt, TRAINING] = 1
    """Devices of this machine to share the work."""
    num_nodes: Annotated[PositiveInt, TRAINING] = 1
    """Machines to share it (torchrun or SLURM)."""
    workers: Annotated[Workers | None, TRAINING] = None
    """Processes that decode photos [1; 8 with a GPU]."""
    eval_every: Annotated[PositiveInt, TRAINING] = 1000
    """Steps between validation losses."""
    preview_every: Annotated[PositiveInt, TRAINING] = 250
    """Steps between previews in TensorBoard."""
    save_every: Annotated[Duration, TRAINING] = 60.0
    """Time between resumable checkpoints."""

    name: Annotated[str | None, OUTPUT] = None
    """Name of style file and run [the image's]."""
    force: Annotated[bool, OUTPUT, SWITCH] = False
    """Replace a run and style file of this name."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print the result as one JSON object."""


#: Settings of trainings that had no choice yet: their style files do not name them.
EARLIER = {"padding": "zeros", "margin": 0, "visits": 1, "style_per_photo": 1.0, "calm": 0.0}


@dataclass(frozen=True, kw_only=True)
class ProbeSettings(Settings):
    """Settings of `fastnst probe`."""

    style: Annotated[Path, WHAT]
    """Style image, or `sample:NAME`."""
    data: Annotated[str | None, WHAT] = None
    """Photos to train on, as for `train` [a few samples]."""
    photo: Annotated[tuple[str, ...], WHAT, WORDS] = ("sample:astronaut", "sample:coffee", "sample:chelsea")
    """Photos for the sheet."""
    output: Annotated[Path | None, WHAT, OUTPUT_FILE] = None
    """Folder for sheet, style files and numbers [probe-STYLE]."""
    weights: Annotated[tuple[PositiveFloat, ...], LOOK, WORDS] = (2.5, 5.0, 10.0, 20.0, 40.0)
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


def _crop(_: Any, side: int) -> None:
    if side < 32 or side % 16:
        raise ValueError(f"crops are multiples of 16 px, at least 32; got {side}")


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(Settings):
    """Settings that `fastnst train-universal` and `fastnst train-base` share."""

    data: Annotated[str | None, WHAT] = None
    """Photos: a folder, `coco`, `hub:ID` [a few samples]."""
    max_photos: Annotated[PositiveInt | None, WHAT] = None
    """Use so many at most [all; 20000 of the Hub]."""

    budget: Annotated[Duration | None, LENGTH] = None
    """Wall-clock time: 90s, 20m, 1.5h [1h]."""
    steps: Annotated[PositiveInt | None, LENGTH] = None
    """Steps in place of a budget; repeats to the bit."""
    resume: Annotated[bool, LENGTH, SWITCH] = False
    """Resume the unfinished run of this name."""
    init_from: Annotated[str | None, LENGTH] = None
    """File of an earlier training to go on from."""

    batch_size: Annotated[PositiveInt, TRAINING] = 1
    """Photos a step."""
    visits: Annotated[PositiveInt, TRAINING] = 4
    """Steps that share a crop, its features kept."""
    crop_size: Annotated[int, TRAINING, Parameter(validator=_crop)] = 128
    """Side of the final crops in pixels."""
    learning_rate: Annotated[PositiveFloat, TRAINING, BRIEF] = 1e-3
    """Highest of Adam; of Muon ten times as high [0.001]."""
    seed: Annotated[int, TRAINING, Parameter(validator=Number(gte=0, lt=2**32))] = 0
    """Same seed, same numbers (--steps, CPU)."""
    device: Annotated[Device, TRAINING] = "auto"
    """Where to train."""
    workers: Annotated[Workers | None, TRAINING] = None
    """Processes that decode photos [1; 8 with a GPU]."""
    eval_every: Annotated[PositiveInt, TRAINING] = 1000
    """Steps between validations."""
    preview_every: Annotated[PositiveInt, TRAINING] = 250
    """Steps between previews in TensorBoard."""
    save_every: Annotated[Duration, TRAINING] = 60.0
    """Time between resumable checkpoints."""

    name: Annotated[str, OUTPUT] = "network"
    """Name of the file in ./checkpoints and of the run."""
    force: Annotated[bool, OUTPUT, SWITCH] = False
    """Replace a run and a file of this name."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print the result as one JSON object."""


@dataclass(frozen=True, kw_only=True)
class UniversalSettings(NetworkSettings):
    """Settings of `fastnst train-universal`."""

    encoder: Annotated[Literal["slim", "vgg19"], WHAT] = "slim"
    """`slim`: learnt from VGG19, a quarter of its channels; `vgg19`: itself."""
    batch_size: Annotated[PositiveInt, TRAINING] = 5
    """Photos a step; each is decoded from another level."""
    visits: Annotated[PositiveInt, TRAINING] = 5
    """Steps that share a crop, VGG19's features kept."""
    crop_size: Annotated[int, TRAINING, Parameter(validator=_crop)] = 192
    """Side of the final crops in pixels."""
    name: Annotated[str, OUTPUT] = "universal"
    """Name of the file in ./checkpoints and of the run."""


@dataclass(frozen=True, kw_only=True)
class BaseSettings(NetworkSettings):
    """Settings of `fastnst train-base`."""

    paintings: Annotated[tuple[str, ...], WHAT, WORDS] = ()
    """Folders of paintings, some hundreds at least."""
    max_paintings: Annotated[PositiveInt | None, WHAT] = None
    """Use so many at most [all]."""
    painting_size: Annotated[int | None, WHAT, Parameter(validator=Number(gte=32))] = None
    """Short side of the paintings in pixels; smaller ones stay [twice --crop-size]."""
    network: Annotated[NetworkName, WHAT] = "small"
    """As for `train`; with --init-from that of the file."""
    style_per_photo: Annotated[Share, LOOK] = 1.0
    """Style each photo has alone; below 1, those of a step share a painting."""
    calm: Annotated[float, LOOK, Parameter(validator=Number(gte=0))] = 0.0
    """As for `train`."""
    margin: Annotated[int, TRAINING, Parameter(validator=Number(gte=0))] = 48
    """Pixels around crops, for the network only."""
    crop_size: Annotated[int, TRAINING, Parameter(validator=_crop)] = 128
    """Side of the crops in pixels."""
    name: Annotated[str, OUTPUT] = "predictor"
    """Name of the file in ./checkpoints and of the run."""
