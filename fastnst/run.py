"""The folder of a run: where its files are, with which settings it was started, and whether it may start or go on."""

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fastnst.config import EARLIER, TrainConfig
from fastnst.errors import TrainingError
from fastnst.files import write_json
from fastnst.style_file import SUFFIX

# What a resumed run takes from the new command line; of the second line, only what is not the default.
NEW_ALWAYS = ("resume", "quiet", "json", "force", "name", "workers", "device")
NEW_IF_GIVEN = ("learning_rate", "save_every", "eval_every", "preview_every")


@dataclass(frozen=True)
class Run:
    """Names and places of a run.

    Args:
        name: Of the style file.
        root: The folder that `runs/` and `checkpoints/` are in.
    """

    name: str
    root: Path = Path()

    @classmethod
    def of(cls, config: TrainConfig, root: Path = Path()) -> "Run":
        """The run of some settings: its name, or the names of its style images.

        Raises:
            TrainingError: There is no name, or one that a style file cannot have.
        """
        if not (config.name or config.style):
            raise TrainingError("a style image is needed: fastnst train --style painting.jpg")
        name = config.name or "_".join(path.stem for path in config.style)
        if any(character in name for character in "/\\:,") or name.startswith((".", "-")):
            raise TrainingError(f"a name has none of / \\ : , and no dot or hyphen in front, got {name!r}: use --name")
        return cls(name, root)

    @property
    def folder(self) -> Path:
        """Checkpoint, TensorBoard events, previews."""
        return self.root / "runs" / self.name

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
        return self.root / "checkpoints" / f"{self.name}{SUFFIX}"

    def check_new(self, config: TrainConfig) -> TrainConfig:
        """Check that a new run may begin; changes nothing.

        Raises:
            TrainingError: Settings that exclude each other, or files that would be lost.
        """
        names = [path.stem for path in config.style]
        if not names:
            raise TrainingError("a style image is needed: fastnst train --style painting.jpg")
        if len(set(names)) < len(names):
            raise TrainingError(f"styles are told apart by their file names, got {', '.join(names)}: rename one")
        if config.budget is not None and config.steps is not None:
            raise TrainingError("--budget and --steps exclude each other, got both")
        if config.style_weight == "auto" and config.normalization != "relative":
            raise TrainingError("--style-weight auto needs relative losses: leave out --normalization")
        if self.checkpoint.exists() and not config.force:
            raise TrainingError(
                f"{self.folder} holds an unfinished run: --resume goes on, --force starts anew, --name takes another"
            )
        if self.style_file.exists() and not config.force:
            raise TrainingError(f"{self.style_file} exists: choose another --name, or --force to replace it")
        return config

    def check_resumed(self, config: TrainConfig) -> TrainConfig:
        """The settings of the unfinished run; what is asked for now must not contradict them.

        A flag that repeats the default cannot be told from one that was not given; the run's setting holds then.

        Raises:
            TrainingError: There is no unfinished run, its settings cannot be read, or a contradiction.
        """
        if not self.checkpoint.exists() or not self.settings.exists():
            raise TrainingError(f"no unfinished run in {self.folder}; one that can go on has a last.ckpt there")
        asked, defaults = to_json(config), to_json(TrainConfig())
        try:
            saved = {**defaults, **EARLIER, **json.loads(self.settings.read_text())}
        except (ValueError, TypeError):
            raise TrainingError(f"{self.settings} is damaged: start anew with --force") from None
        for key in defaults.keys() - {*NEW_ALWAYS, *NEW_IF_GIVEN}:
            if asked[key] not in (defaults[key], saved[key]):
                flag = f"--{key.replace('_', '-')}"
                raise TrainingError(f"the run was started with {flag} {saved[key]}, not {asked[key]}: leave {flag} out")
        given = [key for key in NEW_IF_GIVEN if asked[key] != defaults[key]]
        return from_json({**saved, **{key: asked[key] for key in (*NEW_ALWAYS, *given)}})

    def begin(self, config: TrainConfig) -> None:
        """Make the folders, drop what an unfinished run left there, keep the settings.

        Raises:
            TrainingError: The style file could not be written at the end.
        """
        for folder in (self.folder, self.style_file.parent):
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise TrainingError(f"{folder} cannot be written to")
        self.checkpoint.unlink(missing_ok=True)
        write_json(self.settings, to_json(config))


def to_json(config: TrainConfig) -> dict[str, Any]:
    """Settings as JSON values."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(config), default=str))
    return values


def from_json(values: dict[str, Any]) -> TrainConfig:
    """Settings from what `to_json` gave; names that this version does not know are left out."""
    values = {**EARLIER, **values}
    known = {field.name for field in fields(TrainConfig)}
    settings: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if key in known
    }
    settings["style"] = tuple(Path(path) for path in values["style"])
    settings["loss_weights"] = Path(values["loss_weights"]) if values["loss_weights"] else None
    return TrainConfig(**settings)
