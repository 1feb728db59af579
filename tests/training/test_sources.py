"""Where photos come from: folders, sample photos, data sets of the Hub; what cannot do is told in one line."""

import hashlib
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from photo_folders import batches_of, numbers_in, photos_of, save_photo, training_batches

from fastnst.base import files
from fastnst.cli import main
from fastnst.images import photos, write
from fastnst.images.levels import Bytes
from fastnst.training import sources
from fastnst.training.sources import DataError

SWEEPER = """
import sys
from pathlib import Path
from fastnst.base.partials import sweep
sweep(Path(sys.argv[1]))
"""


def one_photo(folder: Path) -> None:
    save_photo(folder / "only.png", 1)


def only_bad_ones(folder: Path) -> None:
    (folder / "a.jpg").write_text("not an image")


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (lambda folder: None, "no photo in .*photos or below"),
        (one_photo, "photos: at least two photos are needed, one of them is held out; got 1"),
        (only_bad_ones, r"photos: none of 1 photos can be read, the first is a\.jpg"),
    ],
)
def test_a_folder_that_cannot_do_says_why(tmp_path: Path, fill: Callable[[Path], None], message: str) -> None:
    (tmp_path / "photos").mkdir()
    fill(tmp_path / "photos")
    with pytest.raises(DataError, match=message):
        photos_of(tmp_path / "photos").train_dataloader()


@pytest.mark.parametrize("source", ["cats", "/missing/photos", "./photos", "a/b/c"])
def test_a_source_that_is_nothing_known_is_refused_at_once(source: str) -> None:
    with pytest.raises(DataError, match=f"{source}: no such folder"):
        photos_of(source)


def test_max_photos_takes_that_many_and_the_same_ones_each_time(folder: Path) -> None:
    few = [photos_of(folder, max_photos=5, seed=seed) for seed in range(2)]
    assert [module.num_photos for module in few] == [4, 4]
    assert few[0].photos.names == few[1].photos.names
    assert len({Path(name).parent for name in few[0].photos.names}) == 2  # of both subfolders


def test_the_description_names_no_place_and_tells_other_photos_apart(folder: Path) -> None:
    before = photos_of(folder).describe()
    assert before.items() >= {"source": "photos", "photos": 11, "held_out": 1}.items()
    assert before == photos_of(folder, seed=3).describe()
    save_photo(folder / "new.png", 7)
    assert photos_of(folder).describe()["names_sha256"] != before["names_sha256"]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """Eight photos and two broken ones in a Parquet file, in place of the Hub; and what was asked of it."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    sizes = [(700, 500) if number == 0 else (70, 50) for number in range(8)]
    paths = [save_photo(tmp_path / f"hub/{i}.png", i * 10, size=size) for i, size in enumerate(sizes)]
    files = [path.read_bytes() for path in paths]
    rows = [{"bytes": content, "path": None} for content in (*files[:3], b"broken", files[3][:500], *files[3:])]
    columns = {"label": list(range(10)), "img": rows}
    features = datasets.Features({"label": datasets.Value("int64"), "img": datasets.Image()})
    datasets.Dataset.from_dict(columns, features=features).to_parquet(tmp_path / "hub.parquet")
    asked: list[tuple[str, str]] = []

    def open_stream(name: str, split: str) -> Any:
        asked.append((name, split))
        return datasets.load_dataset("parquet", data_files=str(tmp_path / "hub.parquet"), split="train", streaming=True)

    monkeypatch.setattr(sources, "open_stream", open_stream)
    yield asked


def test_a_hub_data_set_is_read_once_into_small_copies(hub: list[tuple[str, str]], tmp_path: Path) -> None:
    module = photos_of("hub:owner/name:validation", cache=tmp_path / "cache")
    assert "first 20,000 photos" in module.notice and "about 800 MB" in module.notice
    module.prepare_data()
    assert module.num_photos == 7  # of 8 that can be read
    assert max(module.photos.decode(0, 10_000).shape) == 448  # 700x500 became 448x320
    assert set(numbers_in(torch.cat(training_batches(module, 4)))) <= set(range(8))

    again = photos_of("hub:owner/name:validation", cache=tmp_path / "cache", workers=1)
    assert torch.equal(torch.cat(training_batches(again, 4)), torch.cat(training_batches(module, 4)))
    assert (again.notice, again.describe()["source"]) == ("", "owner/name:validation")
    assert hub == [("owner/name", "validation")]


def test_coco_is_a_hub_data_set_and_max_photos_limits_it(hub: list[tuple[str, str]], tmp_path: Path) -> None:
    module = photos_of("coco", cache=tmp_path / "cache", max_photos=5)
    assert module.num_photos + len(module.held_out_names) == 5
    assert hub == [("detection-datasets/coco", "train")]


def test_copies_that_were_interrupted_leave_nothing(
    hub: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, encode_photo = itertools.count(), write.encode_photo

    def interrupted(photo: Bytes) -> bytes:
        if next(calls) == 4:
            raise KeyboardInterrupt
        return encode_photo(photo)

    monkeypatch.setattr("fastnst.images.write.encode_photo", interrupted)
    with pytest.raises(KeyboardInterrupt):
        photos_of("hub:owner/name", cache=tmp_path / "cache").prepare_data()
    assert list((tmp_path / "cache").iterdir()) == []


def test_copies_are_on_the_disk_before_they_have_their_name_and_locked_until_then(
    hub: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, done, encode_photo, to_disk = tmp_path / "cache", [], write.encode_photo, files.to_disk
    monkeypatch.setattr("fastnst.base.partials._swept", set())

    def swept_meanwhile(photo: Bytes) -> bytes:
        if not done:
            subprocess.run([sys.executable, "-c", SWEEPER, cache], check=True)
        done.append("copy")
        return encode_photo(photo)

    def told(path: Path) -> None:
        done.append(len(list(cache.glob("*.arrow"))))
        to_disk(path)

    monkeypatch.setattr("fastnst.images.write.encode_photo", swept_meanwhile)
    monkeypatch.setattr(files, "to_disk", told)
    cache.mkdir()
    (cache / ".0123456789ab.partial").write_text("of a process that was killed")
    photos_of("hub:owner/name", cache=cache).prepare_data()
    assert done[-2:] == [0, 1] and [path.suffix for path in cache.iterdir()] == [".arrow"]


def test_a_hub_that_cannot_be_reached_gives_one_line_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(name: str, split: str) -> Any:
        raise ConnectionError("Couldn't reach 'owner/name' on the Hub\nand more")

    monkeypatch.setattr(sources, "open_stream", unreachable)
    with pytest.raises(DataError, match=r"hub:owner/name: .*Couldn't reach.*use --data FOLDER") as caught:
        photos_of("hub:owner/name", cache=tmp_path).prepare_data()
    assert "\n" not in str(caught.value)


def test_a_stream_may_give_paths_in_place_of_bytes_and_rows_without_an_image(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [*map(str, photos.find_photos(folder)), None]
    files = datasets.Dataset.from_dict({"photo": rows}).cast_column("photo", datasets.Image())
    monkeypatch.setattr(sources, "open_stream", lambda name, split: files.to_iterable_dataset())
    assert photos_of("hub:owner/name", cache=tmp_path / "cache").num_photos == 11


def test_a_hub_data_set_without_images_says_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    texts = datasets.Dataset.from_dict({"text": ["a"], "label": [1]}).to_iterable_dataset()
    monkeypatch.setattr(sources, "open_stream", lambda name, split: texts)
    with pytest.raises(DataError, match="owner/name: expected a column of images, got text, label"):
        photos_of("hub:owner/name", cache=tmp_path).prepare_data()


NOT_UTF8 = os.fsdecode(b"caf\xe9")


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub must not be asked."""
    monkeypatch.setattr(sources, "open_stream", lambda name, split: pytest.fail(f"asked the Hub for {name}"))


@pytest.mark.parametrize("workers", [0, 1])
def test_photos_whose_names_are_not_utf8_are_trained_on_or_skipped_by_name(tmp_path: Path, workers: int) -> None:
    place = tmp_path / f"photos {NOT_UTF8}"
    for number in range(8):
        save_photo(place / NOT_UTF8 / f"{NOT_UTF8} {number}.png", number * 10)
    (place / f"broken {NOT_UTF8}.jpg").write_text("no picture")
    module = photos_of(place, workers=workers)
    batches = list(itertools.islice(batches_of(module), 6))
    (held_out,) = module.held_out_names
    assert held_out.startswith(f"{NOT_UTF8}/{NOT_UTF8} ")
    trained = set(numbers_in(torch.cat([batch.photos for batch in batches])))
    assert trained == set(range(8)) - {int(Path(held_out).stem[-1])}
    assert {name for batch in batches for name in batch.skipped} == {f"broken {NOT_UTF8}.jpg"}
    assert module.describe().items() >= {"source": place.name, "photos": 8, "held_out": 1}.items()
    again = photos_of(place)
    again.load_state_dict({**module.state_dict(), "step": 3})
    assert again.start_step == 3


def test_names_that_are_not_utf8_are_chosen_from_and_told_in_errors(tmp_path: Path) -> None:
    for number in range(6):
        save_photo(tmp_path / f"photos/{NOT_UTF8}{number}.png", number)
    few = photos_of(tmp_path / "photos", max_photos=3)
    assert few.num_photos == 2 and few.photos.names == photos_of(tmp_path / "photos", max_photos=3).photos.names
    (tmp_path / "bad").mkdir()
    (tmp_path / f"bad/{NOT_UTF8}.jpg").write_text("no picture")
    with pytest.raises(DataError, match=f"bad: none of 1 photos can be read, the first is {NOT_UTF8}.jpg"):
        photos_of(tmp_path / "bad").train_dataloader()


def test_the_names_of_photos_are_hashed_as_before() -> None:
    """A run that was begun with an earlier version goes on."""
    module = photos_of(None)
    names = "\n".join(module.photos.names[index] for index in module.training)
    assert module.describe()["names_sha256"] == hashlib.sha256(names.encode()).hexdigest()


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("my/photos", "my/photos: no such folder; a data set of the Hugging Face Hub is written hub:my/photos"),
        ("photos/2024:july", "photos/2024:july: no such folder; a data set of .* is written hub:photos/2024:july"),
        ("my/photos/july", "my/photos/july: no such folder$"),
        ("../photos", r"\.\./photos: no such folder$"),
        ("my photos", "my photos: no such folder$"),
        ("~no_such_user/photos", "~no_such_user/photos: no such folder$"),
        ("photo.jpg", r"photo\.jpg is a file: --data takes a folder of photos"),
        ("my/photo.jpg", r"my/photo\.jpg is a file: --data takes a folder of photos"),
        ("hub:", "hub:: no such folder"),
        ("hub:photos", "hub:photos: no such folder"),
        ("hub:../photos", r"hub:\.\./photos: no such folder"),
        ("COCO", "COCO: no such folder$"),
        (f"{NOT_UTF8}/photos", "no such folder"),
    ],
)
def test_a_mistyped_folder_is_one_line_and_the_hub_is_not_asked(
    source: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_photo(Path("photo.jpg"), 1), save_photo(Path("my/photo.jpg"), 1)
    with pytest.raises(DataError, match=line):
        sources.find_source(source, None)
    with pytest.raises(SystemExit) as stop:
        main(["train", "--style", "photo.jpg", f"--data={source}"])
    assert stop.value.code == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("fastnst: ")
    assert not Path("runs").exists()


@pytest.mark.usefixtures("no_hub")
def test_a_folder_that_is_called_as_a_hub_data_set_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("my/photos", "hub:my/photos", "coco"):
        for number in range(2):
            save_photo(Path(place, f"{number}.png"), number)
        assert photos_of(place).num_photos == 1


@pytest.mark.usefixtures("no_hub")
def test_a_hub_data_set_is_not_asked_for_before_the_training_begins(tmp_path: Path) -> None:
    for source in ("hub:owner/name", "hub:owner/name:validation", "coco"):
        assert sources.find_source(source, None, tmp_path).remote
    assert not list(tmp_path.iterdir())
