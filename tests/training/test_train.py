"""A training from start to end: what it writes and refuses, and how it goes on once it was stopped."""

import json
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_training import SHALLOW, same, stripes, weights

from fastnst.base.errors import Interrupted, TrainingError, UserError
from fastnst.networks.catalog import read_info
from fastnst.training.run import Run
from fastnst.training.settings import TrainSettings
from fastnst.training.style_trainer import StyleTrainer
from fastnst.training.train import train

pytestmark = pytest.mark.usefixtures("style_and_photos")


def test_training_lowers_the_loss_and_writes_a_style_file_that_describes_itself() -> None:
    before = train(replace(SHALLOW, steps=1, name="untrained"))
    result = train(replace(SHALLOW, steps=100))
    assert result["held_out"]["total"] < 0.8 * before["held_out"]["total"]
    info = read_info(Path(result["path"]))
    assert info["styles"][0]["name"] == "style" and len(info["styles"][0]["sha256"]) == 64
    assert (info["steps"], info["images"], info["settings"]["seed"]) == (100, 100, 0)
    assert info["data"]["photos"] == 7 and info["data"]["held_out"] == 1
    assert info["settings"]["style"] == ["style.png"] and info["settings"]["data"] == "photos"
    assert info["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert info["preview"] and info["hardware"] and info["seconds"] > 0
    assert Path("runs/style/preview.png").exists()
    assert list(Path("runs/style").glob("events.*"))
    assert not Path("runs/style/last.ckpt").exists()


@pytest.mark.parametrize("bfloat16", [True, False])
def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(monkeypatch, bfloat16) -> None:
    monkeypatch.setattr("fastnst.training.train.multiplies_bfloat16", lambda _: bfloat16)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(replace(SHALLOW, name=name, seed=seed, steps=4))
    assert same(weights("a"), weights("b"))
    assert not same(weights("a"), weights("c"))


def test_held_out_losses_are_in_float32_whatever_the_steps_are_in(monkeypatch) -> None:
    found = []
    for bfloat16 in (True, False):
        monkeypatch.setattr("fastnst.training.train.multiplies_bfloat16", lambda _, answer=bfloat16: answer)
        settings = replace(SHALLOW, name=f"precision{bfloat16}", steps=1, learning_rate=1e-9)
        result = train(settings)
        assert result["precision"] == ("bf16-mixed" if bfloat16 else "32-true")
        found.append(result["held_out"]["total"])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_and_resumed_run_ends_with_the_same_weights_bit_for_bit(monkeypatch, sent) -> None:
    train(replace(SHALLOW, name="whole"))
    step, handler = StyleTrainer.training_step, signal.getsignal(signal.SIGINT)

    def interrupted(self, batch, batch_idx):
        if self.global_step == 3:
            os.kill(os.getpid(), sent)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(StyleTrainer, "training_step", interrupted)
    with pytest.raises(Interrupted, match="saved after step 4; go on with: fastnst train --resume --name style"):
        train(SHALLOW)
    assert not Path("checkpoints/style.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is handler
    monkeypatch.setattr(StyleTrainer, "training_step", step)
    assert train(TrainSettings(resume=True, name="style", quiet=True, workers=1))["steps"] == 6
    assert same(weights("whole"), weights("style"))


def test_a_run_stopped_in_its_last_step_goes_on_without_another_one(monkeypatch) -> None:
    train(replace(SHALLOW, name="whole"))
    step = StyleTrainer.training_step

    def interrupted(self, batch, batch_idx):
        if self.global_step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(StyleTrainer, "training_step", interrupted)
    with pytest.raises(Interrupted, match="after step 6"):
        train(SHALLOW)
    monkeypatch.setattr(StyleTrainer, "training_step", step)
    result = train(TrainSettings(resume=True, name="style", quiet=True))
    assert result["steps"] == 6 and result["held_out"]["total"] > 0
    assert same(weights("whole"), weights("style"))


def test_a_resumed_run_says_when_the_rest_of_its_time_is_over(monkeypatch, caplog) -> None:
    step, save = StyleTrainer.training_step, StyleTrainer.on_save_checkpoint

    def interrupted(self, batch, batch_idx):
        if self.global_step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(StyleTrainer, "training_step", interrupted)
        patch.setattr(
            StyleTrainer, "on_save_checkpoint", lambda self, to: save(self, to) or to.update(spent_seconds=598.0)
        )
        with pytest.raises(Interrupted):
            train(replace(SHALLOW, steps=None, budget=600.0))
    began = time.time()
    with caplog.at_level("INFO", "fastnst"):
        train(TrainSettings(resume=True, name="style"))
    (told,) = re.findall(r"ends at about (\d+:\d+:\d+)", caplog.text)
    assert told in {time.strftime("%H:%M:%S", time.localtime(began + second)) for second in range(60)}


@pytest.mark.parametrize("damaged", ["last.ckpt", "settings.json"])
def test_damaged_files_of_a_run_get_one_clear_line(monkeypatch, damaged) -> None:
    monkeypatch.setattr(StyleTrainer, "on_train_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(SHALLOW)
    path = Path("runs/style") / damaged
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TrainingError, match=rf"{damaged} is damaged: start anew with --force"):
        train(TrainSettings(resume=True, name="style", quiet=True))


def test_a_resumed_run_refuses_other_photos(monkeypatch) -> None:
    monkeypatch.setattr(StyleTrainer, "on_train_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(SHALLOW)
    stripes(64, 11).save("photos/new.jpg")
    with pytest.raises(UserError, match="other photos than when the run was started"):
        train(TrainSettings(resume=True, name="style", quiet=True))


def test_force_loses_no_unfinished_run_to_bad_settings(monkeypatch) -> None:
    monkeypatch.setattr(StyleTrainer, "on_train_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(SHALLOW)
    with pytest.raises(UserError, match="nowhere"):
        train(replace(SHALLOW, force=True, data="nowhere"))
    assert Run("style").checkpoint.exists()


def test_a_resumed_run_refuses_settings_that_contradict_it(monkeypatch) -> None:
    monkeypatch.setattr(StyleTrainer, "on_train_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(SHALLOW)
    with pytest.raises(TrainingError, match=r"started with --style-weight 10\.0, not 3\.0"):
        train(TrainSettings(resume=True, name="style", style_weight=3.0))
    with pytest.raises(TrainingError, match="unfinished run: --resume"):
        train(SHALLOW)
    with pytest.raises(TrainingError, match="no unfinished run in runs/other"):
        train(TrainSettings(resume=True, name="other"))


def test_a_checkpoint_holds_no_loss_network_and_loads_without_running_code(monkeypatch) -> None:
    monkeypatch.setattr(StyleTrainer, "on_train_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(SHALLOW)
    checkpoint = torch.load(Run("style").checkpoint, weights_only=True)
    own = {name for name in checkpoint["state_dict"] if not name.startswith("pooled.")}  # Gram matrices of photos
    assert own == {f"network.{name}" for name in _network_names()}
    assert Run("style").checkpoint.stat().st_size < 12e6


def _network_names() -> set[str]:
    from fastnst.networks.network import TransformationNetwork
    from fastnst.networks.presets import PRESETS

    return set(TransformationNetwork(**PRESETS["small"]).state_dict())


@pytest.mark.long
def test_a_budget_ends_on_time_and_reports_its_own_length() -> None:
    train(replace(SHALLOW, steps=1, name="warm"))  # pays for imports and thread pools
    result = train(replace(SHALLOW, steps=None, budget=5.0))
    assert 4.0 < result["seconds"] < 5.3  # half a second is kept for writing, which tiny runs do not need
    assert result["steps"] > 5


def test_a_loss_that_is_no_number_stops_the_run_with_a_sentence_and_keeps_the_last_good_state(monkeypatch) -> None:
    step = StyleTrainer.training_step

    def spoiled(self, batch, batch_idx):
        result = step(self, batch, batch_idx)
        return {**result, "loss": result["loss"] * float("nan")} if self.global_step == 4 else result

    monkeypatch.setattr(StyleTrainer, "training_step", spoiled)
    with pytest.raises(TrainingError, match="no number at step 4; try a lower --learning-rate; the last good state"):
        train(replace(SHALLOW, save_every=0.01))
    checkpoint = torch.load(Run("style").checkpoint, weights_only=True)
    assert checkpoint["global_step"] == 4
    assert all(tensor.isfinite().all() for tensor in checkpoint["state_dict"].values())
    assert not Path("checkpoints/style.safetensors").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"style": ()}, "a style image is needed"),
        ({"budget": 10.0}, "exclude each other"),
        ({"style_weight": "auto", "normalization": "gatys"}, "needs relative losses"),
        ({"style": (Path("style.png"), Path("photos/style.png"))}, "rename one"),
        ({"name": "a/b"}, "a name has none of"),
        ({"style": (Path("dot.png"),)}, r"dot\.png: the style image needs 16 pixels"),
        ({"style": (Path("missing.png"),)}, "missing.png"),
        ({"data": "nowhere"}, "no such folder"),
        ({"init_from": "nothing"}, "no style named 'nothing'"),
        ({"style_layers": ("relu9_9",)}, "relu9_9"),
        ({"loss_weights": Path("none.pth")}, "none.pth"),
    ],
)
def test_what_cannot_be_trained_is_said_at_once_and_leaves_nothing(settings, message) -> None:
    with pytest.raises((UserError, OSError), match=message):
        train(replace(SHALLOW, **settings))
    assert not Path("runs").exists() and not Path("checkpoints").exists()


def test_an_existing_style_file_is_only_replaced_by_force() -> None:
    train(replace(SHALLOW, steps=1))
    before = Path("checkpoints/style.safetensors").read_bytes()
    with pytest.raises(TrainingError, match="exists: choose another --name, or --force"):
        train(SHALLOW)
    assert Path("checkpoints/style.safetensors").read_bytes() == before
    train(replace(SHALLOW, steps=2, force=True))
    assert Path("checkpoints/style.safetensors").read_bytes() != before


def test_unreadable_photos_are_skipped_and_counted(caplog) -> None:
    for number in range(3):
        Path(f"photos/broken{number}.jpg").write_bytes(b"no picture")
    with caplog.at_level("INFO", logger="fastnst"):
        train(replace(SHALLOW, steps=12))
    assert "unreadable photos were skipped" in caplog.text


def test_a_style_file_does_not_tell_where_its_maker_keeps_files(tmp_path) -> None:
    settings = replace(SHALLOW, style=(tmp_path / "style.png",), data=str(tmp_path / "photos"), steps=1)
    train(replace(settings, name="start"))
    train(replace(settings, init_from=str(tmp_path / "checkpoints/start.safetensors")))
    assert str(tmp_path).encode() not in Path("checkpoints/style.safetensors").read_bytes()
    assert str(tmp_path) in Run("style").settings.read_text()  # the run itself needs it to go on


def test_settings_of_a_run_are_kept_as_json() -> None:
    train(replace(SHALLOW, steps=1))
    assert json.loads(Run("style").settings.read_text())["crop_size"] == 48


def test_a_training_runs_in_a_thread_and_its_settings_take_text_for_paths() -> None:
    """As in a notebook or a program with a window: signals are left to the main thread."""
    settings = replace(SHALLOW, style="style.png", steps=1)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(train, settings, folder=Path("elsewhere")).result()
    assert Path(result["path"]) == Path("elsewhere/checkpoints/style.safetensors") and Path(result["path"]).exists()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
        RuntimeError("received 0 items of ancdata"),
        ConnectionResetError(104, "Connection reset by peer"),
        EOFError(),
    ],
)
def test_a_process_that_dies_while_a_photo_is_on_its_way_is_told_in_a_line(monkeypatch, error) -> None:
    """What Python and torch raise then depends on how far the photo has come."""

    def fit(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("pytorch_lightning.Trainer.fit", fit)
    with pytest.raises(TrainingError, match="a process that decodes photos died"):
        train(SHALLOW)
