"""The folder of a run: where its files are, with which settings it was started, and whether it may start or go on."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fastnst.config import TrainConfig
from fastnst.errors import UserError
from fastnst.style_file import SUFFIX

FREE_TO_CHANGE = ("resume", "quiet", "json", "force", "name", "workers")  # they change no number of a run


class TrainingError(UserError):
    """A run that cannot begin or go on."""


@dataclass(frozen=True)
class Run:
    """Names and places of a run."""

    name: str

    @classmethod
    def of(cls, config: TrainConfig) -> "Run":
        """The run of some settings: its name, or the names of its style images."""
        if not (config.name or config.style):
            raise TrainingError("a style image is needed: fastnst train --style painting.jpg")
        return cls(config.name or "_".join(path.stem for path in config.style))

    @property
    def folder(self) -> Path:
        """Checkpoint, TensorBoard events, previews."""
        return Path("runs") / self.name

    @property
    def checkpoint(self) -> Path:
        """What `--resume` goes on from; there only while the run is unfinished."""
        return self.folder / "last.ckpt"

    @property
    def settings(self) -> Path:
        """The settings that the run was started with."""
        return self.folder / "settings.json"

    @property
    def style_file(self) -> Path:
        """The result."""
        return Path("checkpoints") / f"{self.name}{SUFFIX}"

    def begin(self, config: TrainConfig) -> TrainConfig:
        """Check that a new run may begin; with `force`, drop what an unfinished one left.

        Raises:
            TrainingError: Settings that exclude each other, or files that would be lost.
        """
        if not config.style:
            raise TrainingError("a style image is needed: fastnst train --style painting.jpg")
        if config.budget is not None and config.steps is not None:
            raise TrainingError("--budget and --steps exclude each other, got both")
        if config.force:
            self.checkpoint.unlink(missing_ok=True)
        elif self.checkpoint.exists():
            raise TrainingError(
                f"{self.folder} holds an unfinished run: --resume goes on, --force starts anew, --name takes another"
            )
        elif self.style_file.exists():
            raise TrainingError(f"{self.style_file} exists: choose another --name, or --force to replace it")
        return config

    def resume(self, config: TrainConfig) -> TrainConfig:
        """The settings of the unfinished run; what is asked for now must not contradict them.

        Raises:
            TrainingError: There is no unfinished run, or a contradiction.
        """
        if not self.checkpoint.exists() or not self.settings.exists():
            raise TrainingError(f"no unfinished run in {self.folder}; one that can go on has a last.ckpt there")
        saved = json.loads(self.settings.read_text())
        asked, defaults = to_json(config), to_json(TrainConfig())
        for key in saved.keys() - set(FREE_TO_CHANGE):
            if asked[key] not in (defaults[key], saved[key]):
                flag = f"--{key.replace('_', '-')}"
                raise TrainingError(f"the run was started with {flag} {saved[key]}, not {asked[key]}: leave {flag} out")
        return from_json({**saved, **{key: asked[key] for key in FREE_TO_CHANGE}})

    def write_settings(self, config: TrainConfig) -> None:
        """Keep the settings for `--resume`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings.write_text(json.dumps(to_json(config), indent=1) + "\n")


def to_json(config: TrainConfig) -> dict[str, Any]:
    """Settings as JSON values."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(config), default=str))
    return values


def from_json(values: dict[str, Any]) -> TrainConfig:
    """Settings from what `to_json` gave; names that this version does not know are left out."""
    known = {field.name for field in fields(TrainConfig)}
    settings: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if key in known
    }
    settings["style"] = tuple(Path(path) for path in values["style"])
    settings["loss_weights"] = Path(values["loss_weights"]) if values["loss_weights"] else None
    return TrainConfig(**settings)
