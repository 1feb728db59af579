"""The folder of a run: its files, the settings it was started with, and whether it may start or be resumed."""

import json
import shlex
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fastnst.base.errors import TrainingError, told_of
from fastnst.base.files import make_folder, pasted, read_whole, sha256, to_disk, write_json
from fastnst.base.options import check_values
from fastnst.networks.catalog import SUFFIX, usable_name
from fastnst.networks.presets import EARLIER_PRESETS, PRESETS, NetworkName, fewest_weights, is_network
from fastnst.training.settings import EARLIER, TrainSettings

# What a resumed run takes from the new command line; of the second line, only what is not the default.
NEW_ALWAYS = ("resume", "quiet", "json", "force", "name", "workers", "device", "devices", "num_nodes")
NEW_IF_GIVEN = ("data", "style", "loss_weights", "learning_rate", "save_every", "eval_every", "preview_every")


@dataclass(frozen=True)
class Run:
    """Name and files of a run.

    Args:
        name: Name of the style file.
        root: The folder of `runs/` and `checkpoints/`.
    """

    name: str
    root: Path = Path()

    @classmethod
    def of(cls, settings: TrainSettings, root: Path = Path()) -> "Run":
        """The run of these settings; it is named as they say, or after its style images.

        Raises:
            TrainingError: No name, or one that a style file cannot have.
        """
        if not (settings.name or settings.style):
            raise TrainingError("a style image is needed: fastnst train --style painting.jpg")
        name = (settings.name or "_".join(usable_name(path.stem) for path in settings.style)).removesuffix(SUFFIX)
        if name != (usable := usable_name(name)):
            reason = 'a name has none of / \\ : , * ? " < > |, and no dot or hyphen in front'
            raise TrainingError(f"{reason}, got {name!r}: for example --name {pasted(usable)}")
        return cls(name, root)

    @property
    def folder(self) -> Path:
        """The folder of checkpoint, TensorBoard events and previews."""
        return self.root / "runs" / self.name

    @property
    def checkpoint(self) -> Path:
        """The checkpoint for `--resume`; exists only while the run is unfinished."""
        return self.folder / "last.ckpt"

    @property
    def settings(self) -> Path:
        """The settings that the run was started with."""
        return self.folder / "settings.json"

    @property
    def style_file(self) -> Path:
        """The resulting style file."""
        return self.root / "checkpoints" / f"{self.name}{SUFFIX}"

    def check_new(self, settings: TrainSettings) -> TrainSettings:
        """Check that a new run may start; changes nothing.

        Raises:
            TrainingError: Settings that exclude each other, or files that would be lost.
        """
        names = [usable_name(path.stem) for path in settings.style]
        if not names:
            raise TrainingError("a style image is needed: fastnst train --style painting.jpg")
        if len(set(names)) < len(names):
            raise TrainingError(f"styles are told apart by their file names, got {', '.join(names)}: rename one")
        if settings.budget is not None and settings.steps is not None:
            raise TrainingError("--budget and --steps exclude each other, got both")
        if settings.style_weight == "auto" and settings.normalization not in ("moments", "relative"):
            raise TrainingError("--style-weight auto needs relative losses: leave out --normalization")
        if self.checkpoint.exists() and not settings.force:
            raise TrainingError(
                f"{self.folder} holds an unfinished run: --resume goes on, --force starts anew, --name takes another"
            )
        if self.style_file.exists() and not settings.force:
            raise TrainingError(f"{self.style_file} exists: choose another --name, or --force to replace it")
        return settings

    def check_resumed(self, settings: TrainSettings) -> TrainSettings:
        """The settings of the unfinished run; the new settings must not contradict them.

        A flag with the default value cannot be told from one that was not given; the run's own setting then applies.

        Raises:
            TrainingError: No unfinished run, unreadable settings, or a contradiction.
        """
        if not self.checkpoint.exists() or not self.settings.exists():
            finished = f"; {self.style_file} is finished: --force trains anew" if self.style_file.exists() else ""
            raise TrainingError(f"no unfinished run in {self.folder}, which would have a last.ckpt there{finished}")
        asked, defaults = to_json(settings), to_json(TrainSettings())
        try:
            saved = {**defaults, **EARLIER, **json.loads(read_whole(self.settings))}
            from_json(saved)
        except (ValueError, TypeError, KeyError, RecursionError):
            raise TrainingError(f"{self.settings} is damaged: start anew with --force") from None
        for key in defaults.keys() - {*NEW_ALWAYS, *NEW_IF_GIVEN}:
            if asked[key] not in (defaults[key], saved[key]):
                flag = f"--{key.replace('_', '-')}"
                raise TrainingError(f"the run was started with {flag} {saved[key]}, not {asked[key]}: leave {flag} out")
        given = [key for key in NEW_IF_GIVEN if asked[key] != defaults[key]]
        for key, files in (("style", settings.style), ("loss_weights", (settings.loss_weights,))):
            if key in given and asked[key] != saved[key]:
                self._check_same_files(key, files, saved.get(f"{key}_sha256", []))
        force = settings.force or bool(saved["force"])
        if self.style_file.exists() and not force:
            raise TrainingError(f"{self.style_file} exists: --force replaces it")
        return from_json({**saved, **{key: asked[key] for key in (*NEW_ALWAYS, *given)}, "force": force})

    def _check_same_files(self, key: str, files: Iterable[Path | None], hashes: list[str]) -> None:
        """Refuse other files than those that the run was started with; the same ones may have moved."""
        if [sha256(path) for path in files if path and path.is_file()] != hashes:
            flag = f"--{key.replace('_', '-')}"
            raise TrainingError(f"the run was started with another file for {flag}: leave {flag} out")

    def unfinished(self, error: OSError, command: str) -> TrainingError:
        """What is said when the style file cannot be written: where the network is, and what finishes it."""
        if not self.checkpoint.exists():
            return TrainingError(f"{error}; there was no place for {self.checkpoint} either: nothing is kept")
        force = " --force" if isinstance(error, FileExistsError) else ""
        how = f"fastnst {command} --resume{force} --name {shlex.quote(self.name)}"
        return TrainingError(f"{error}; the run is kept in {self.checkpoint}, to finish it: {how}")

    def sizes(self, network: NetworkName) -> dict[str, int]:
        """Arguments of the network that the run was started with; `check_resumed` comes before.

        Raises:
            TrainingError: They are not those of a network that the checkpoint could hold.
        """
        saved: Any = json.loads(read_whole(self.settings)).get("sizes")
        if not saved:
            return {**PRESETS, **EARLIER_PRESETS}[network]
        if not is_network(saved) or 4 * fewest_weights(saved) > self.checkpoint.stat().st_size:  # 4 bytes each
            wrong = self.settings if zipfile.is_zipfile(self.checkpoint) else self.checkpoint
            raise TrainingError(f"{wrong} is damaged: start anew with --force")
        return dict(saved)

    def photos_a_step(self) -> int:
        """Photos of a step over all processes, as the run was started; `check_resumed` comes before."""
        saved: dict[str, int] = {**to_json(TrainSettings()), **json.loads(read_whole(self.settings))}
        return saved["batch_size"] * saved["devices"] * saved["num_nodes"]

    def begin(self, settings: TrainSettings, sizes: dict[str, int]) -> None:
        """Make the folders, remove an unfinished run's files, write the settings and the hashes of the style images.

        Args:
            settings: Settings of the training.
            sizes: Arguments of the network.

        Raises:
            OSError: A folder or file that cannot be made.
        """
        hashes: dict[str, Any] = {"style_sha256": [sha256(path) for path in settings.style]}
        if settings.loss_weights:
            hashes["loss_weights_sha256"] = [sha256(settings.loss_weights)]
        self.begin_with({**to_json(settings), **hashes, "sizes": sizes})

    def begin_with(self, values: dict[str, Any]) -> None:
        """As `begin`, with settings of another kind as JSON values."""
        self.checkpoint.unlink(missing_ok=True)
        with told_of(self.folder):
            to_disk(make_folder(self.folder))  # or a power cut could leave the old checkpoint with the new settings
        write_json(self.settings, values)
        with told_of(self.style_file):
            make_folder(self.style_file.parent)


def to_json(settings: TrainSettings) -> dict[str, Any]:
    """Settings as JSON values."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(settings), default=str))
    return values


def from_json(values: dict[str, Any]) -> TrainSettings:
    """Settings from the values of `to_json`; names that this version does not know are ignored.

    Raises:
        ValueError: A value of another type, or beyond its limits: the file may be a stranger's.
        TypeError: Likewise.
        KeyError: A value is missing.
    """
    values = {**EARLIER, **values}
    known = {field.name for field in fields(TrainSettings)}
    settings: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if key in known
    }
    settings["style"] = tuple(Path(path) for path in values["style"])
    settings["loss_weights"] = Path(values["loss_weights"]) if values["loss_weights"] else None
    found = TrainSettings(**settings)
    check_values(found)
    return found
