import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest
from PIL import Image
from project import ROOT

from fastnst.base.options import parse_duration
from fastnst.base.recipes import find_recipe
from fastnst.baseline.settings import CompareSettings, OptimizeSettings, ReconstructSettings
from fastnst.bench.settings import (
    BenchApplySettings,
    BenchLookSettings,
    BenchOptimizeSettings,
    BenchSettings,
    BenchTilesSettings,
    BenchUniversalSettings,
    BenchVideoSettings,
)
from fastnst.cli import app, main
from fastnst.exporting.settings import ExportSettings
from fastnst.painting.settings import ApplySettings, TextureSettings
from fastnst.serving.settings import PageSettings, ServeSettings
from fastnst.training.settings import BaseSettings, TrainSettings, UniversalSettings

COMMANDS = (
    *("train", "probe", "apply", "export", "optimize", "reconstruct", "compare", "styles", "info"),
    *("train-universal", "train-base", "texture", "bench universal", "serve", "page"),
    *(
        "bench",
        "bench optimize",
        "bench apply",
        "bench look",
        "bench tiles",
        "bench video",
        "bench targets",
        "bench quality",
        "bench reference",
    ),
)


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(words)
    return int(stop.value.code)


def parsed(*words: str):
    """The settings that a command line stands for; nothing runs."""
    _, bound, _ = app.parse_args(list(words), exit_on_error=False, print_error=False)
    return bound.arguments


def help_of(command: str, capsys) -> str:
    assert run(*command.split(), "--help") == 0
    return capsys.readouterr().out


LOST = """
import signal, sys, time
from fastnst import cli


class Falls:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def work(words, **options):
    Falls()  # Python itself drops what is raised in there
    time.sleep(60)


cli.app = work
cli.main()
"""


def test_a_ctrl_c_that_falls_into_a_destructor_is_not_lost() -> None:
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (130, "fastnst: stopped before any work was done\n")


def test_help_imports_nothing_heavy_and_answers_in_half_a_second() -> None:
    code = (
        "import sys, time; t = time.perf_counter(); from fastnst.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(time.perf_counter() - t, sorted({'torch', 'numpy', 'PIL', 'datasets'} & set(sys.modules)))"
    )
    results = []
    for _ in range(3):  # the best of three: other processes may hold the cores
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        results.append(result.stdout.splitlines()[-1])
    assert all(line.endswith("[]") for line in results)
    assert min(float(line.split()[0]) for line in results) < 0.5


@pytest.mark.parametrize(
    ("command", "config"),
    [
        ("train", TrainSettings),
        ("apply", ApplySettings),
        ("export", ExportSettings),
        ("optimize", OptimizeSettings),
        ("reconstruct", ReconstructSettings),
        ("compare", CompareSettings),
        ("serve", ServeSettings),
        ("page", PageSettings),
        ("bench", BenchSettings),
        ("bench optimize", BenchOptimizeSettings),
        ("bench look", BenchLookSettings),
        ("bench tiles", BenchTilesSettings),
        ("bench apply", BenchApplySettings),
        ("bench video", BenchVideoSettings),
        ("train-universal", UniversalSettings),
        ("train-base", BaseSettings),
        ("texture", TextureSettings),
        ("bench universal", BenchUniversalSettings),
    ],
)
def test_every_setting_is_a_flag_with_help(command, config, capsys) -> None:
    text = help_of(command, capsys)
    for field in fields(config):
        assert f"--{field.name.replace('_', '-')}" in text, field.name


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_screen_and_ends_in_an_example(command, capsys) -> None:
    lines = help_of(command, capsys).strip().splitlines()
    assert len(lines) <= 60
    assert max(len(line) for line in lines) <= 100
    assert lines[-1].startswith(f"Example: fastnst {command}")


def test_the_examples_in_the_help_parse(capsys) -> None:
    for command in COMMANDS:
        example = help_of(command, capsys).strip().splitlines()[-1].removeprefix("Example: fastnst ")
        parsed(*example.split())


def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("style-weight: 3\nbudget: 90s\nstyle-layers: [relu1_1, relu2_1]\nnetwork: johnson\n")
    settings = parsed("train", "--style", "a.jpg", "b.jpg", "--config", str(file), "--style-weight", "5")["settings"]
    assert settings.style == (Path("a.jpg"), Path("b.jpg"))
    assert settings.style_weight == 5
    assert settings.budget == 90
    assert settings.style_layers == ("relu1_1", "relu2_1")
    assert settings.network == "johnson"
    assert settings.crop_size == TrainSettings().crop_size


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_recipe_loads_by_its_name(path) -> None:
    settings = parsed("train", "--style", "a.jpg", "--config", path.stem)["settings"]
    assert settings != TrainSettings(style=(Path("a.jpg"),))
    if path.stem == "johnson":
        assert settings.padding == "zeros"  # as in the paper
    assert settings.style_layers == ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    assert (settings.normalization, settings.style_weight, settings.style_size) == ("relative", 8, 384)
    assert find_recipe(path.stem).name == path.name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--style", "a.jpg", "--sytle-weight", "3"], "style-weight"),
        (["train", "--style", "a.jpg", "--network", "tiny"], "tiny"),
        (["train", "--style", "a.jpg", "--budget", "soon"], "90s, 20m or 1.5h"),
        (["train", "--style", "a.jpg", "--steps", "-1"], "steps"),
        (["train"], "a style image is needed"),
        (["train", "--style", "missing.jpg", "--steps", "1"], "missing.jpg"),
        (["train", "--style", "a.jpg", "--config", "nothing"], "known names: fastnst-0.2, johnson"),
        (["apply", "photo.jpg"], "style"),
        (["apply", "photo.jpg", "--style", "a", "--tile", "20"], "at least 64 pixels a side"),
        (["apply", "photo.jpg", "--style", "a", "--forse"], "unknown option --forse"),
        (["apply", "photo.jpg", "--style", "painting.jpg"], "painting.jpg: no such file"),
        (["apply", "sample:astronut", "--style", "painting"], "painting"),
        (["paint"], "paint"),
        (["apply", "me.jpg"], "--style is missing: for example fastnst apply"),
        (["apply", "me.jpg", "--stlye", "wave"], "did you mean --style?"),
        (["apply", "sample:coffee", "--style", "grate_wave"], "did you mean great_wave?"),
        (["apply", "sample:coffee", "--style", "great_wave", "-o", "out.xyz"], "expected a name ending in"),
        (["train", "painting.jpg"], "train does not take 'painting.jpg'"),
        (["optimize"], "PHOTO is missing: for example fastnst optimize"),
        (
            ["train", "--style", "starry_night"],
            "starry_night is a trained style: fastnst apply photo.jpg --style starry",
        ),
        (["train", "--style", "a.jpg", "--budget", "5"], "with s, m or h, such as 90s, 20m or 1.5h; got '5'"),
        (["apply", "s3://bucket/a.jpg", "--style", "great_wave"], "s3://bucket/a.jpg is no file of this machine"),
        (
            ["apply", "sample:coffee", "--style", "great_wave", "-o", "s3://bucket/b.jpg"],
            "s3://bucket/b.jpg is no file",
        ),
        (["train", "--style=https://example.com/a.jpg"], "https://example.com/a.jpg is no file of this machine"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(words, message, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and message in captured.err
    assert not list(tmp_path.iterdir())


def test_a_picture_or_a_document_that_is_taken_for_a_style_is_told_apart(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("painting.jpg").touch()
    Path("paper.pdf").write_bytes(b"%PDF-1.4 and so on")
    for style, message in (
        ("painting", "no style named 'painting', but a picture: --style painting.jpg paints like it at once"),
        ("paper.pdf", "paper.pdf is neither a picture nor a style file: give a JPEG or PNG"),
    ):
        assert run("apply", "sample:coffee", "--style", style) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and message in told


def test_the_list_of_commands_says_what_each_does(capsys) -> None:
    assert run("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    for name in (*COMMANDS[:9], "bench"):
        assert any(re.fullmatch(rf" *{name} +[A-Z].+\.", line.rstrip()) for line in lines), name


def test_ctrl_c_while_a_command_is_loaded_is_one_line_and_130(monkeypatch, capsys) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fastnst.painting.styles.print_info", interrupted)
    assert run("info") == 130
    assert capsys.readouterr().err == "fastnst: stopped before any work was done\n"


def test_an_unknown_key_in_a_file_is_named(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text("style-wieght: 3\n")
    assert run("train", "--style", "a.jpg", "--config", "recipe.yaml") == 2
    message = capsys.readouterr().err
    assert "style-wieght" in message and "style-weight" in message and message.count("\n") == 1


def test_a_bug_shows_its_traceback(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("fastnst.painting.styles.print_info", fail)
    with pytest.raises(ZeroDivisionError):
        main(["info"])


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("20m", 1200), ("1.5h", 5400), ("0.5s", 0.5)])
def test_durations(text, seconds) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-3m", "0", "0m", "5", "inf", "infs", "nans", "3 weeks"])
def test_durations_that_are_none(text) -> None:
    with pytest.raises(ValueError, match="such as 90s, 20m or 1.5h".replace(".", r"\.")):
        parse_duration(text)


def test_the_line_that_uses_several_styles_is_one_that_works(monkeypatch) -> None:
    styles = [{"name": "day"}, {"name": "night"}]
    result = {"name": "sky", "styles": styles, "path": "p", "steps": 1, "seconds": 1.0, "held_out": {"total": 1.0}}
    monkeypatch.setattr("fastnst.training.train.train", lambda *_, **__: result)
    monkeypatch.setattr("fastnst.training.checks.check_train", lambda _: None)
    lines: list[str] = []
    monkeypatch.setattr("logging.Logger.info", lambda _, message, *values: lines.append(message % values))
    assert run("train", "--style", "day.jpg", "night.jpg") == 0
    assert "--style day:0.5,night:0.5" in lines[-1]


def test_a_training_without_a_step_is_not_said_to_be_one(monkeypatch) -> None:
    result = {
        "name": "a",
        "styles": [{"name": "a"}],
        "path": "a.safetensors",
        "steps": 0,
        "seconds": 30.0,
        "held_out": {},
    }
    monkeypatch.setattr("fastnst.training.train.train", lambda *_, **__: result)
    monkeypatch.setattr("fastnst.training.checks.check_train", lambda _: None)
    lines: list[str] = []
    monkeypatch.setattr("logging.Logger.info", lambda _, message, *values: lines.append(message % values))
    assert run("train", "--style", "a.jpg") == 0
    assert (
        lines[-1].startswith("a.safetensors is not trained: no step fitted into the budget")
        and "use it" not in lines[-1]
    )


def test_info_and_styles_speak_json(capsys) -> None:
    assert run("info", "--json") == 0
    assert json.loads(capsys.readouterr().out)["torch"]
    assert run("styles", "--json") == 0
    for line in capsys.readouterr().out.splitlines():
        assert "held_out" in json.loads(line)


@pytest.mark.long
def test_a_new_user_trains_and_paints_from_an_empty_folder(tmp_path) -> None:
    """The real command with the real loss network, as in the README, with steps in place of minutes."""
    style = ROOT / "fastnst" / "samples" / "wave.jpg"

    def fastnst(*words: str, **options: object) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "fastnst", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, **options)

    started = time.monotonic()
    trained = fastnst("train", "--style", str(style), "--steps", "3", "--crop-size", "96", "--json")
    assert trained.returncode == 0, trained.stderr.decode()
    assert json.loads(trained.stdout)["seconds"] < time.monotonic() - started
    painted = fastnst("apply", "sample:astronaut", "--style", "wave", "-o", "out.png", "--size", "128")
    assert painted.returncode == 0, painted.stderr.decode()
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (128, 128)
    piped = fastnst("apply", "-", "--style", "wave", "-o", "-", input=(tmp_path / "out.png").read_bytes())
    with Image.open(io.BytesIO(piped.stdout)) as image:
        assert image.size == (128, 128)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "photos" / "good.png")
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"no picture")
    some = fastnst("apply", "photos", "--style", "wave", "-o", "painted")
    assert some.returncode == 3 and b"bad.jpg" in some.stderr
    assert (tmp_path / "painted" / "good.png").exists()


def test_the_shell_completes_commands_flags_and_values(tmp_path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    binaries = Path(sys.executable).parent
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "SHELL": "/bin/bash",
        "PATH": f"{binaries}:{os.environ['PATH']}",
    }
    environment.pop("XDG_DATA_HOME", None)
    install = [sys.executable, "-m", "fastnst", "--install-completion"]
    subprocess.run(install, env=environment, check=True, capture_output=True)
    script = """
    source "$HOME/.bashrc"
    complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _fastnst; echo "${COMPREPLY[*]}"; }
    complete_words fastnst ap
    complete_words fastnst export --styles
    complete_words fastnst export --precision ""
    """
    said = subprocess.run(["bash", "-c", script], env=environment, check=True, capture_output=True, text=True)
    assert said.stdout.splitlines() == ["apply", "--styles-as-input", "float32 float16 int8"]
