"""What `fastnst apply` paints and where: each photo once, any name, and no input stops the others."""

import json
import os
from pathlib import Path

import pytest
from apply_jobs import NOT_UTF8, fastnst, files, make_photo, planned

from fastnst.images.formats import ImageError
from fastnst.images.metadata import has_mark
from fastnst.images.picture import Picture
from fastnst.painting import studio

pytestmark = pytest.mark.usefixtures("wave_and_scream")


# Each photo once.


@pytest.mark.parametrize(
    "photos",
    [
        ("in/a.jpg", "in/a.jpg"),
        ("in", "in/a.jpg"),
        ("in/a.jpg", "in"),
        ("in", "in/"),
        ("in", "./in/../in"),
        ("in", "to"),
    ],
)
def test_a_photo_that_is_given_twice_is_painted_once(photos) -> None:
    make_photo("in/a.jpg")
    Path("to").symlink_to("in")
    assert fastnst("apply", *photos, "--style", "wave", "-o", "out") == 0
    assert files("out") == {"a.jpg"}


def test_a_link_to_a_photo_is_that_photo() -> None:
    make_photo("in/a.jpg")
    Path("in/b.jpg").symlink_to("a.jpg")
    assert planned("in", output=Path("out")) == {"in/a.jpg": "out/a.jpg"}
    assert planned("in/b.jpg", "in/a.jpg", output=Path("out")) == {"in/b.jpg": "out/b.jpg"}


def test_a_photo_by_its_whole_path_is_that_photo(tmp_path) -> None:
    make_photo("a.jpg")
    assert list(planned("a.jpg", str(tmp_path / "a.jpg"))) == ["a.jpg"]


# One input does not stop the others.


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("missing.jpg", id="missing"),
        pytest.param("empty", id="empty folder"),
        pytest.param("sample:nothing", id="no sample"),
        pytest.param("x" * 300 + ".jpg", id="too long"),
        pytest.param("loop.jpg", id="link to itself"),
        pytest.param("gone.jpg", id="link to nothing"),
        pytest.param("~nobody.jpg", id="no home"),
        pytest.param("text.jpg", id="no picture"),
    ],
)
def test_an_input_that_is_nothing_does_not_stop_the_others(wrong, capsys) -> None:
    make_photo("in/a.jpg"), make_photo("b.png")
    Path("empty").mkdir()
    Path("text.jpg").write_text("no picture")
    Path("loop.jpg").symlink_to("loop.jpg")
    Path("gone.jpg").symlink_to("nothing.jpg")
    words = ("in", wrong, "b.png", "--style", "wave", "-o", "out")
    assert fastnst("apply", *words, "--json") == 3
    shown = capsys.readouterr()
    assert files("out") == {"a.jpg", "b.png"}
    lines = [json.loads(line) for line in shown.out.splitlines()]
    assert [line["photo"] for line in lines] == ["in/a.jpg", wrong, "b.png"]
    assert ["error" in line for line in lines] == [False, True, False]
    (line,) = shown.err.splitlines()
    assert line == lines[1]["error"]


@pytest.mark.parametrize("output", [(), ("-o", "out")])
def test_an_empty_current_folder_does_not_stop_the_others(output, tmp_path, monkeypatch, capsys) -> None:
    make_photo("a.jpg")
    Path("empty").mkdir()
    monkeypatch.chdir("empty")
    style = str(tmp_path / "checkpoints/wave.safetensors")
    assert fastnst("apply", ".", "../a.jpg", "--style", style, *output) == 3
    assert "no photo or video in . or below" in capsys.readouterr().err
    assert Path("out/a.jpg" if output else "../a-wave.jpg").is_file()


def test_a_link_to_itself_in_a_folder_does_not_stop_the_folder() -> None:
    make_photo("in/a.jpg")
    Path("in/b.jpg").symlink_to("b.jpg")
    assert fastnst("apply", "in", "--style", "wave", "-o", "out") == 3
    assert files("out") == {"a.jpg"}


def test_a_missing_photo_alone_or_nothing_but_missing_ones_is_bad_usage(capsys) -> None:
    assert fastnst("apply", "x.jpg", "--style", "wave") == 2
    assert capsys.readouterr().err == "fastnst: x.jpg: no such file\n"
    assert fastnst("apply", "x.jpg", "y.jpg", "--style", "wave") == 2
    assert "none of 2 photos could be painted" in capsys.readouterr().err


def test_a_missing_photo_takes_no_name_from_another_one() -> None:
    make_photo("there/a.jpg")
    assert fastnst("apply", "missing/a.jpg", "there/a.jpg", "--style", "wave", "-o", "out") == 3
    assert files("out") == {"a.jpg"}


# Names of results.


def test_photos_that_would_become_one_file_get_two_names() -> None:
    make_photo("in/a.jpg"), make_photo("in/a.bmp"), make_photo("in/b.bmp")
    assert fastnst("apply", "in", "--style", "wave", "--format", "jpeg") == 0
    assert files("in") - {"a.jpg", "a.bmp", "b.bmp"} == {"a-wave.jpg", "a-wave-bmp.jpg", "b-wave.jpg"}
    assert planned("in", output=Path("out"), format="jpeg") == {
        "in/a.bmp": "out/a-bmp.jpg",
        "in/a.jpg": "out/a.jpg",
        "in/b.bmp": "out/b.jpg",
    }
    assert planned("in", output=Path("out"))["in/a.bmp"] == "out/a.png"  # another name already
    make_photo("in/b.png")
    assert {planned("in", output=Path("out"))[f"in/b.{kind}"] for kind in ("png", "bmp")} == {
        "out/b.png",
        "out/b-bmp.png",
    }


def test_photos_of_two_folders_that_would_become_one_file_are_numbered() -> None:
    make_photo("one/a.jpg"), make_photo("two/a.jpg"), make_photo("two/a-2.jpg")
    assert planned("one", "two", output=Path("out")) == {
        "one/a.jpg": "out/a.jpg",
        "two/a-2.jpg": "out/a-2.jpg",
        "two/a.jpg": "out/a-3.jpg",
    }
    assert len(planned("one", "two")) == 3


def test_a_file_that_appears_while_others_are_painted_stays(monkeypatch, capsys) -> None:
    make_photo("in/a.png"), make_photo("in/b.png")
    read = studio.read_picture

    def other_writes(*args: object, **settings: object) -> Picture:
        Path("out").mkdir(exist_ok=True)
        Path("out/b.png").write_bytes(b"of another process")
        return read(*args, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(studio, "read_picture", other_writes)
        assert fastnst("apply", "in", "--style", "wave", "-o", "out") == 3
    assert "out/b.png exists by now: --force replaces it" in capsys.readouterr().err
    assert Path("out/b.png").read_bytes() == b"of another process" and files("out") == {"a.png", "b.png"}
    assert fastnst("apply", "in", "--style", "wave", "-o", "out", "--force") == 0
    assert has_mark(Path("out/b.png"))


# Any name is a name.


@pytest.mark.parametrize(
    "name",
    [
        "-beach.jpg",
        "--force.jpg",
        "~beach.jpg",
        "a b.jpg",
        "[bold].jpg",
        "a:1.jpg",
        "*.jpg",
        "%s.jpg",
        f"{NOT_UTF8}.jpg",
    ],
)
def test_any_name_of_a_photo_is_a_name(name, capsys) -> None:
    make_photo(name)
    assert fastnst("apply", "--style", "wave", "--device", "cpu", "-o", "out.jpg", "--", name) == 0
    assert fastnst("apply", "--style", "wave", "--device", "cpu", "--", name) == 0
    assert files() == {name, "out.jpg", f"{Path(name).stem}-wave.jpg"}
    capsys.readouterr()
    assert fastnst("apply", "--style", "wave", "--device", "cpu", "--json", "--force", "--", name) == 0
    assert json.loads(capsys.readouterr().out)["photo"] == name


def test_without_two_hyphens_a_word_with_one_is_an_option_and_the_way_out_is_told(capsys) -> None:
    make_photo("-beach.jpg")
    assert fastnst("apply", "-beach.jpg", "--style", "wave") == 2
    assert "unknown option -beach.jpg" in capsys.readouterr().err


CHECKS = {
    "train": "training.checks.check_train",
    "probe": "training.checks.check_probe",
    "apply": "painting.jobs.plan",
    "optimize": "baseline.checks.check_optimize",
    "reconstruct": "baseline.checks.check_reconstruct",
    "compare": "baseline.checks.check_compare",
}


@pytest.mark.parametrize(
    "line",
    [
        "train --style --",
        "train --style painting.jpg --data --",
        "probe --style --",
        "apply --style wave --",
        "apply photo.jpg --style wave --mask --",
        "optimize --style painting.jpg --",
        "optimize photo.jpg --style --",
        "reconstruct --",
        "compare --style wave --style-image painting.jpg --",
        "compare photo.jpg --style wave --style-image --",
    ],
)
@pytest.mark.parametrize("name", ["-beach.jpg", "--force", "[bold]wave.jpg", "{a}.jpg", "1.jpg", f"{NOT_UTF8}.jpg"])
def test_every_command_takes_a_file_of_any_name(line, name, monkeypatch, capsys) -> None:
    taken: list[object] = []

    def checked(*arguments: object) -> None:
        taken.extend(arguments)
        raise ImageError("enough")

    command, *words = line.split()
    monkeypatch.setattr(f"fastnst.{CHECKS[command]}", checked)
    assert fastnst(command, *words, name) == 2
    assert capsys.readouterr().err == "fastnst: enough\n"
    *photos, settings = taken
    values = [*photos, *vars(settings).values()]
    places = [each for value in values for each in (value if isinstance(value, tuple) else (value,))]
    assert name in {os.path.normpath(place) for place in places if isinstance(place, str | Path)}
