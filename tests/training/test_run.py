import json
import os
import shlex
from pathlib import Path

import pytest
from PIL import Image
from project import ROOT

from fastnst.base.errors import TrainingError
from fastnst.baseline.problem import loss_network_of
from fastnst.baseline.settings import OptimizeSettings
from fastnst.cli import main
from fastnst.images.formats import ImageError
from fastnst.networks.catalog import find_chosen, read_info, usable_name
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.presets import EARLIER_PRESETS, PRESETS
from fastnst.networks.style_file import save_style
from fastnst.perception.objective import load_loss_network
from fastnst.training.checks import check_train
from fastnst.training.data import PhotoDataModule
from fastnst.training.run import Run, from_json, to_json
from fastnst.training.settings import TrainSettings
from fastnst.training.sources import DataError


def from_before() -> dict[str, object]:
    """Settings as they were written before there was a choice."""
    values = to_json(TrainSettings(style=(Path("wave.jpg"),), loss_network="vgg19"))
    del values["padding"], values["margin"]
    return values


def test_settings_survive_json() -> None:
    config = TrainSettings(style=(Path("a.jpg"), Path("b.jpg")), style_weight=3.0, padding="replicate")
    assert from_json(to_json(config)) == config


def test_a_style_file_from_before_the_choice_had_zeros_and_no_margin() -> None:
    assert (TrainSettings().padding, TrainSettings().margin) == ("replicate", 92)
    config = from_json(from_before())
    assert (config.padding, config.margin) == ("zeros", 0)


def test_a_run_from_before_the_choice_goes_on_as_it_began(tmp_path) -> None:
    run = Run("wave", tmp_path)
    run.folder.mkdir(parents=True)
    run.checkpoint.touch()
    run.settings.write_text(json.dumps(from_before()))
    config = run.check_resumed(TrainSettings(resume=True))
    assert (config.padding, config.margin) == ("zeros", 0)


@pytest.mark.parametrize("padding", ["zeros", "replicate"])
def test_training_and_optimising_give_their_loss_network_the_padding(padding) -> None:
    layers = {"style_layers": ("relu1_2",), "content_layers": ("relu1_2",), "padding": padding}
    for network in (
        load_loss_network(TrainSettings(**layers)),
        loss_network_of(OptimizeSettings(style=(Path("wave.jpg"),), **layers), device="cpu"),
    ):
        assert network.padding == padding


@pytest.fixture
def studio(tmp_path, monkeypatch) -> Path:
    """A current folder without styles, in which `fastnst train` writes its file without a training."""
    monkeypatch.chdir(tmp_path)
    for place in ("SHIPPED", "SOURCE_TREE"):
        monkeypatch.setattr(f"fastnst.networks.catalog.{place}", tmp_path / "nowhere")
    network = {"half": 4, "quarter": 4, "num_blocks": 1}

    def written(settings: TrainSettings, **_: object) -> dict[str, object]:
        plan = check_train(settings)
        names = [usable_name(path.stem) for path in plan.settings.style]
        info = {"name": plan.run.name, "styles": [{"name": name} for name in names]}
        info |= {"network": {**network, "num_styles": len(names)}}
        save_style(plan.run.style_file, TransformationNetwork(**info["network"]), info)
        return {**info, "path": str(plan.run.style_file), "steps": 1, "seconds": 1.0, "held_out": {}}

    monkeypatch.setattr("fastnst.training.train.train", written)
    return tmp_path


def picture(path: str | Path, color: str = "navy") -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20), color).save(path, "JPEG")
    return str(path)


def fastnst(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(words)
    return int(stop.value.code)


def pasted(shown: str) -> list[str]:
    """The words of the line that the command prints to be used, as a shell takes them."""
    line = shown.splitlines()[-1]
    assert line.startswith("use it: fastnst apply photo.jpg --style ")
    return shlex.split(line.removeprefix("use it: fastnst "))


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["Photo 12:30.jpg"], "Photo 12-30"),
        (["starry.pt.jpg"], "starry.pt"),
        (["wave.onnx.jpg"], "wave.onnx"),
        (["wave.safetensors.jpg"], "wave"),
        (["./-beach.jpg"], "beach"),
        (["my painting.jpg"], "my painting"),
        (["Dalí's $HOME & `more`;.jpg"], "Dalí's $HOME & `more`;"),
        (["day,night.jpg"], "day-night"),
        (["[bold]wave.jpg"], "[bold]wave"),
        (["...jpg"], "style"),
        (["~beach.jpg"], "~beach"),
        (["wave.jpg.jpg"], "wave.jpg"),
        (["a.jpg", "--name", "wave.safetensors"], "wave"),
        (["a.jpg", "--name", "my wave.pt"], "my wave.pt"),
        (["a.jpg", "--name", "wave.png"], "wave.png"),
        (["a.jpg", "Photo 12:30.jpg"], "a_Photo 12-30"),
    ],
)
def test_any_picture_and_any_name_that_is_taken_give_a_style_that_the_printed_line_finds(studio, words, name, capsys):
    pictures = [picture(word) for word in words if word.endswith(".jpg")]
    for name_of_other in ("wave.jpg", "wave.png"):
        picture(name_of_other)  # a style is found though a picture is called as it is
    assert fastnst("train", "--style", *pictures, *words[len(pictures) :]) == 0
    assert Path(f"checkpoints/{name}.safetensors").is_file()
    words = pasted(capsys.readouterr().err)
    assert words[:3] == ["apply", "photo.jpg", "--style"] and len(words) == 4
    path, mix = find_chosen(words[3])
    assert path.samefile(f"checkpoints/{name}.safetensors") and len(mix or [name]) == len(pictures)
    picture("photo.jpg")
    assert fastnst(*words, "--device", "cpu") == 0
    (painted,) = [path for path in Path().glob("photo-*")]
    assert painted.suffix == ".jpg"


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a:1", "a,b", ".hidden", "-beach", ".."])
def test_a_name_that_style_cannot_find_is_refused_before_anything_is_done(studio, name, capsys) -> None:
    assert fastnst("train", "--style", picture("a.jpg"), f"--name={name}") == 2
    assert 'a name has none of / \\ : , * ? " < > |, and no dot or hyphen in front' in capsys.readouterr().err
    assert not Path("checkpoints").exists() and not Path("runs").exists()


def test_the_line_for_twelve_styles_with_long_names_works_too(studio, capsys) -> None:
    pictures = [picture(f"a painting with a long name {number:02}.jpg") for number in range(12)]
    assert fastnst("train", "--name", "twelve", "--style", *pictures) == 0
    path, mix = find_chosen(pasted(capsys.readouterr().err)[-1])
    assert path.stem == "twelve" and mix is not None and len(mix) == 12


def test_a_picture_whose_name_is_not_utf8_gives_a_style_that_the_printed_line_finds(studio, capsys) -> None:
    assert fastnst("train", "--style", picture(os.fsdecode(b"caf\xe9.jpg"))) == 0
    name = pasted(capsys.readouterr().err)[-1]
    assert Path(f"checkpoints/{name}.safetensors").is_file()
    path, _ = find_chosen(name)
    assert path.stem == name and read_info(path)["styles"] == [{"name": name}]


def test_a_picture_given_as_a_style_is_painted_like_and_told_the_line_that_trains_it(
    studio, capsys, monkeypatch
) -> None:
    monkeypatch.setattr("fastnst.networks.catalog.SOURCE_TREE", ROOT / "checkpoints")
    for name in ("my painting.jpg", "-beach.jpg"):
        assert fastnst("apply", "sample:rocket", f"--style={picture(name)}", "--size", "64") == 0
        line = capsys.readouterr().err.partition("paints better: fastnst ")[2]
        assert fastnst(*shlex.split(line)) == 0, line


def begun(style: str, **changes: object) -> Run:
    """An unfinished run."""
    settings = TrainSettings(style=(Path(style),), data="photos", device="cpu", **changes)
    run = Run.of(settings)
    run.begin(settings, {})
    run.checkpoint.touch()
    return run


def test_a_run_goes_on_with_the_sizes_of_network_that_it_was_started_with(studio) -> None:
    picture("photos/1.jpg")
    run = begun(picture("wave.jpg"))
    run.checkpoint.write_bytes(bytes(5_000_000))  # which could hold the network
    values = json.loads(run.settings.read_text())
    for saved, expected in (({"sizes": PRESETS["live"]}, PRESETS["live"]), ({}, EARLIER_PRESETS["small"])):
        run.settings.write_text(json.dumps({**values, "sizes": None, **saved}))
        assert check_train(TrainSettings(name="wave", resume=True)).sizes == expected
    johnson = begun("wave.jpg", name="paper", network="johnson")
    johnson.settings.write_text(json.dumps({**json.loads(johnson.settings.read_text()), "sizes": None}))
    assert check_train(TrainSettings(name="paper", resume=True)).sizes == PRESETS["johnson"]


def test_a_run_goes_on_with_photos_that_moved(studio) -> None:
    run = begun(picture("wave.jpg"))
    picture("moved/1.jpg"), picture("moved/2.jpg")
    plan = check_train(TrainSettings(name="wave", data="moved", resume=True))
    assert (plan.run, plan.settings.data, plan.settings.style) == (run, "moved", (Path("wave.jpg"),))
    with pytest.raises(DataError, match="photos: no such folder"):
        check_train(TrainSettings(name="wave", resume=True))
    assert run.checkpoint.exists()


def test_moved_photos_are_vouched_for_by_their_names_below_the_folder(studio) -> None:
    for place in ("before", "after", "others"):
        for name in ("a", "deep/b", "c") if place != "others" else ("a", "deep/b", "d"):
            picture(f"{place}/{name}.jpg")

    def photos(place: str) -> PhotoDataModule:
        return PhotoDataModule(place, batch_size=1, crop_size=lambda step: 8, seed=0, workers=0, eval_size=8)

    state = {**photos("before").state_dict(), "step": 5}
    after = photos("after")
    after.load_state_dict(state)
    assert after.start_step == 5
    with pytest.raises(DataError, match="others: other photos than when the run was started"):
        photos("others").load_state_dict(state)


def test_a_style_image_may_have_moved_and_another_one_is_refused(studio) -> None:
    begun(picture("wave.jpg"))
    Path("moved").mkdir()
    Path("photos").mkdir()
    Path("wave.jpg").rename("moved/wave.jpg")
    plan = check_train(TrainSettings(style=(Path("moved/wave.jpg"),), resume=True))
    assert plan.settings.style == (Path("moved/wave.jpg"),)
    with pytest.raises(ImageError, match=r"wave\.jpg: no such file"):
        check_train(TrainSettings(name="wave", resume=True))
    picture("other/wave.jpg", "red")
    line = r"the run was started with another file for --style: leave --style out"
    for pictures in (["other/wave.jpg"], ["moved/wave.jpg", "other/wave.jpg"]):
        with pytest.raises(TrainingError, match=line):
            check_train(TrainSettings(name="wave", style=tuple(map(Path, pictures)), resume=True))


def test_what_a_resumed_run_cannot_change_is_named(studio) -> None:
    begun(picture("wave.jpg"), crop_size=64)
    with pytest.raises(TrainingError, match="the run was started with --crop-size 64, not 128: leave --crop-size out"):
        check_train(TrainSettings(name="wave", data="photos", crop_size=128, resume=True))
