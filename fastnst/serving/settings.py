"""Settings of `fastnst serve` and `fastnst page`. Imports neither torch nor anything that does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter
from cyclopts.types import PositiveFloat, PositiveInt
from cyclopts.validators import Number

from fastnst.base.options import OUTPUT, OUTPUT_FILE, SWITCH, WHAT, WORDS, Device, Settings
from fastnst.networks.presets import PrecisionName, RuntimeName

LIMITS = Parameter(group=Group.create_ordered("Limits"))
UploadFormat = Literal["jpeg", "png", "webp", "tiff", "gif", "avif"]
KEY = "FASTNST_API_KEY"  # the variable of the environment that holds the key; flags can be seen by others


@dataclass(frozen=True, kw_only=True)
class ServeSettings(Settings):
    """Settings of `fastnst serve`."""

    style: Annotated[str, WHAT] = "great_wave"
    """The style of a request that names none."""
    host: Annotated[str, WHAT] = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets other machines in."""
    port: Annotated[int, WHAT, Parameter(validator=Number(gte=0, lte=65535))] = 8000
    """Port to listen on; 0 takes a free one."""
    max_megabytes: Annotated[PositiveFloat, LIMITS] = 20.0
    """Of a request's body; more is answered with 413."""
    max_megapixels: Annotated[PositiveFloat, LIMITS] = 50.0
    """Of a photo, as its header says; more is answered with 413."""
    formats: Annotated[tuple[UploadFormat, ...], LIMITS, WORDS] = ("jpeg", "png", "webp")
    """Formats that are read; others are answered with 415."""
    queue: Annotated[int, LIMITS, Parameter(validator=Number(gte=0))] = 16
    """Photos that may wait; one more is answered with 429."""
    photos_per_client: Annotated[PositiveInt | None, LIMITS] = None
    """Of one address, waiting or painted at once; one more is answered with 429 [no limit]."""
    seconds: Annotated[PositiveFloat, LIMITS] = 60.0
    """For a photo, waiting included; then it is answered with 504."""
    upload_seconds: Annotated[PositiveFloat, LIMITS] = 30.0
    """For a request to arrive; then it is answered with 408. For a client to take a piece of an answer, too."""
    connections: Annotated[PositiveInt, LIMITS] = 256
    """Open at once; as long as there are so many, every request is answered with 503."""
    threads: Annotated[PositiveInt, OUTPUT] = 2
    """Photos that are painted at once."""
    styles_in_memory: Annotated[PositiveInt, OUTPUT] = 8
    """Styles and mixes that stay loaded, the last ones used."""
    device: Annotated[Device, OUTPUT] = "auto"
    """Where to compute [CUDA, then MPS, then CPU]."""
    runtime: Annotated[RuntimeName, OUTPUT, Parameter(show_choices=False)] = "auto"
    """`torch`, `openvino` (CPU) [the faster for so much work]."""
    precision: Annotated[PrecisionName, OUTPUT, Parameter(show_choices=False)] = "auto"
    """`float32`; `auto`: bfloat16 where it is faster [auto]."""


@dataclass(frozen=True, kw_only=True)
class PageSettings(Settings):
    """Settings of `fastnst page`."""

    output: Annotated[Path, WHAT, OUTPUT_FILE] = Path("site")
    """Folder to write the page into."""
    force: Annotated[bool, OUTPUT, SWITCH] = False
    """Write into a folder that is not empty; its other files stay."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
