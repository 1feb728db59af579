import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from project import ROOT, traces, tracked

from fastnst.base.files import sha256


def built(target: str, folder: Path) -> Path:
    """A wheel or sdist; hatchling comes with the `test` extra, so nothing is downloaded."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The built wheel."""
    return built("wheel", tmp_path_factory.mktemp("dist"))


def test_the_wheel_carries_recipes_styles_and_the_samples_but_no_tests(wheel) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("configs", "configs/optimize", "checkpoints"):
        for path in tracked(folder):
            assert f"fastnst/{path.relative_to(ROOT).as_posix()}" in names
    styles = {name for name in names if name.endswith(".safetensors")}
    assert styles == {f"fastnst/checkpoints/{path.name}" for path in tracked("checkpoints/*.safetensors")}
    for sample in ("wave", "mosaic", "stained_glass", "pointillism", "ink"):
        assert {f"fastnst/samples/{sample}.jpg", f"fastnst/samples/draw_{sample}.py"} <= names
    assert "fastnst/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "records/"))]


def test_the_wheel_has_the_page_and_is_small_enough_to_be_downloaded_with_patience(wheel) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        f"fastnst/serving/site/{name}" for name in ("index.html", "ort/runtime.bin", "network/weights.bin")
    } <= names
    assert not [name for name in names if name.startswith("web/") or "node_modules" in name]
    assert wheel.stat().st_size < 45e6


@pytest.mark.long
def test_an_installed_wheel_trains_and_paints_from_an_empty_folder(wheel, tmp_path) -> None:
    """Installed beside the dependencies that are there already; that it is this copy that runs is checked."""
    site, folder = tmp_path / "site", tmp_path / "empty"
    folder.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def python(*words: str) -> str:
        result = subprocess.run(
            [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert python("-c", "import fastnst; print(fastnst.__file__)").startswith(str(site))
    train = ("train", "--style", "sample:wave", "--config", "johnson", "--network", "small", "--batch-size", "1")
    python("-m", "fastnst", *train, "--steps", "1", "--crop-size", "64", "--name", "mine", "--quiet")
    python("-m", "fastnst", "apply", "sample:rocket", "--style", "mine", "-o", "mine.png", "--size", "96")
    python("-m", "fastnst", "apply", "sample:rocket", "--style", "starry_night", "-o", "shipped.png", "--size", "96")
    assert (folder / "mine.png").exists() and (folder / "shipped.png").exists()


def test_no_file_of_the_wheel_tells_where_it_was_made(wheel) -> None:
    found = {}
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if told := traces(archive.read(member)):
                found[member.filename] = told
    assert not found


def test_no_file_of_the_source_distribution_tells_where_it_was_made(tmp_path) -> None:
    with tarfile.open(built("sdist", tmp_path)) as archive:
        members = archive.getmembers()
        files = {each.name.partition("/")[2]: archive.extractfile(each).read() for each in members if each.isfile()}
    of_git = {path.relative_to(ROOT).as_posix() for path in tracked(".")}
    assert files.keys() - of_git == {"PKG-INFO"} and len(files) > 300
    examples = ("tests/",)  # of places, made up
    found = {name: told for name, data in files.items() if not name.startswith(examples) and (told := traces(data))}
    assert not found
    assert {(each.uid, each.gid, each.uname, each.gname) for each in members} == {(0, 0, "", "")}


@pytest.mark.slow
def test_the_wheel_is_the_same_bit_for_bit_from_another_folder_in_another_hour(wheel, tmp_path) -> None:
    subprocess.run(["git", "clone", "--quiet", ROOT, tmp_path / "another folder"], check=True)
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=ROOT, check=False).returncode
    assert not changed, "commit first: the other wheel is of what is committed"
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "dist")]
    elsewhere = {**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C", "HOME": "/nonexistent"}
    subprocess.run(
        command, cwd=tmp_path / "another folder", env=elsewhere, umask=0o077, check=True, capture_output=True
    )
    again = next((tmp_path / "dist").glob("*.whl"))
    assert again.name == wheel.name and sha256(again) == sha256(wheel)
