"""Pictures that the project's own mutators made, and every file that a search has found."""

import io
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from corpus import beyond_limits, by_apply, by_commands
from malformed import honest_pictures, pictures
from PIL import Image

from fastnst.base.errors import UserError
from fastnst.images.masks import read_mask
from fastnst.images.read import decode_photo, read_picture
from fastnst.painting.animation import read_animation
from fastnst.perception.objective import load_style_image

FOUND = sorted(Path(__file__).with_name("found").glob("*"))
COUNT = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """300 files, the same in each run."""
    folder = tmp_path_factory.mktemp("malformed")
    for name, data in pictures(0, COUNT):
        (folder / name).write_bytes(data)
    return folder


def test_what_the_mutators_begin_with_is_read() -> None:
    for name, data in honest_pictures().items():
        assert read_picture(io.BytesIO(data)).size == ((12, 16) if name == "ico" else (18, 24)), name


def test_every_reader_reads_or_refuses_in_a_line(folder) -> None:
    outcomes = {"read": 0, "refused": 0}
    for path in sorted(folder.iterdir()):
        for read in (
            lambda path: read_picture(path, max_pixels=4_000_000).levels,
            lambda path: decode_photo(path, short_side=32),
            lambda path: load_style_image(path, 32),
            lambda path: read_mask(path).fitted(18, 24)((slice(0, 18), slice(0, 24))),
            lambda path: read_animation(path, max_pixels=4_000_000, size=32),
        ):
            started = time.process_time()
            try:
                read(path)
                outcomes["read"] += 1
            except UserError as error:
                assert "\n" not in str(error)
                outcomes["refused"] += 1
            assert time.process_time() - started < 10, path
    assert min(outcomes.values()) > COUNT, outcomes  # of five times as many


def test_apply_paints_what_can_be_read_of_a_folder_and_says_why_not_of_the_rest(folder, tmp_path) -> None:
    words = ("apply", str(folder), "--style", "great_wave_live", "-o", str(tmp_path / "out"), "--size", "32", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "fastnst", *words, "--device", "cpu", "--runtime", "torch", "--max-megapixels", "4"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3 and "Traceback" not in done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    failed = [each for each in told if "error" in each]
    left_out = COUNT - len(told)  # whose names do not end as those of photos, and which do not begin as photos
    assert left_out < COUNT / 4 and f"{left_out} files that are no photos are left out" in done.stderr
    assert COUNT / 10 < len(failed) < len(told)
    assert all("\n" not in each["error"] and each["photo"] in each["error"] for each in failed)
    painted = [each for each in told if "error" not in each]
    for each in painted[:20]:
        with Image.open(each["output"]) as image:
            assert image.size == (each["width"], each["height"])
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == len(painted)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_a_search_has_found_is_read_or_refused(path, tmp_path) -> None:
    pytest.importorskip("hypothesis")
    from fuzz import targets

    name = path.name.partition("-")[0]
    targets()[name][1](path.read_bytes(), tmp_path)


def few_of(folder: Path, place: Path) -> Path:
    """Five of the files, in a folder of their own."""
    few = place / "few"
    few.mkdir()
    for path in sorted(folder.iterdir())[::60]:
        (few / path.name).write_bytes(path.read_bytes())
    return few


@pytest.mark.long
def test_commands_take_malformed_files_or_refuse_them_in_a_line(folder, tmp_path, monkeypatch) -> None:
    """Style image, folder of photos, mask, video, and both pictures of `optimize`."""
    few = few_of(folder, tmp_path)
    monkeypatch.chdir(tmp_path)
    found = by_commands(few)
    assert not found["faults"]
    codes = found["exit_codes"]
    assert set(codes) <= {f"{command} {code}" for command in ("train", "apply", "optimize") for code in (0, 2)}
    assert sum(codes.values()) == 5 * 5 + 1
    assert codes["train 0"] > 1 and codes["train 2"] and codes["optimize 0"] and codes["optimize 2"]


def test_what_a_folder_may_take_grows_with_its_files_but_its_memory_does_not() -> None:
    def used(seconds: float, megabytes: int) -> resource.struct_rusage:
        return resource.struct_rusage([seconds, 0.0, megabytes * 1024, *[0] * 13])

    nothing = used(0, 0)
    assert not beyond_limits(nothing, used(100, 1000), 300)
    assert beyond_limits(nothing, used(100, 1000), 3) == ["100 s for 3 files"]
    assert beyond_limits(used(50, 0), used(100, 3000), 3000) == ["3000 MB"]


def test_a_folder_that_never_ends_is_a_fault(folder, tmp_path, monkeypatch) -> None:
    few = few_of(folder, tmp_path)
    monkeypatch.setattr("corpus.STUCK", -4.5)
    assert by_apply(few, tmp_path / "out") == {"files": 5, "faults": ["no end after 0 s"]}


@pytest.mark.long
def test_a_whole_corpus_can_be_run(folder, tmp_path) -> None:
    """A few of the files through `tests/corpus.py`, all parts."""
    few = few_of(folder, tmp_path)
    script = Path(__file__).with_name("corpus.py")
    done = subprocess.run([sys.executable, script, few], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert done.returncode == 0, found
    assert set(found) == {"apply", "videos", "readers", "commands"}
    assert found["readers"]["files"] == found["videos"]["files"] == 5
    assert found["apply"]["files"] == 4  # a PCX file is not taken for a photo of a folder
    assert sum(found["commands"]["exit_codes"].values()) == 5 * 5 + 1
