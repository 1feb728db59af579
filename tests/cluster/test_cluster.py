"""A collection on a cluster: what is listed and named, what is written, and what the record's script does, in small."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import torch
from project import ROOT

from fastnst.base.cgroups import free_memory, limit_memory
from fastnst.base.errors import UserError
from fastnst.cli import main
from fastnst.cluster.manifest import Entry, read_manifest, with_suffix
from fastnst.cluster.places import Places, address_of
from fastnst.cluster.results import FAILED, FOUND, MADE, SCHEMA, Results
from fastnst.cluster.worker import Item, Worker
from fastnst.images.formats import FORMATS, SUFFIXES
from fastnst.images.write import save_image

NO_RAY = "there is no ray: pip install 'fastnst[cluster]'"
RECORD = ROOT / "records" / "2026-11-29_cluster"


def manifest(*names: str | Path, output: str = "/out", column: str = "path") -> list[Entry]:
    renamed = partial(with_suffix, formats=FORMATS, format=None, default=".png")
    return read_manifest(Places(), list(map(str, names)), output, column=column, suffixes=SUFFIXES, renamed=renamed)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("s3://bucket/photos/", "s3://bucket/photos"),
        (Path("s3://bucket/photos/"), "s3://bucket/photos"),
        ("file:///data/photos", "/data/photos"),
        (Path("file:///data/photos"), "/data/photos"),
        ("/data/./photos/", "/data/photos"),
        ("photos", str(Path.cwd() / "photos")),
    ],
)
def test_an_address_stays_one_as_a_path(name, address) -> None:
    assert address_of(name) == address


def test_a_folder_is_listed_with_what_is_below_and_without_what_is_hidden_or_no_photo(tmp_path) -> None:
    for name in ("a.jpg", "b.bmp", "deep/c.PNG", ".hidden.jpg", ".hidden/d.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert manifest(tmp_path, tmp_path) == [
        Entry(f"{tmp_path}/a.jpg", "/out/a.jpg"),
        Entry(f"{tmp_path}/b.bmp", "/out/b.bmp.png"),
        Entry(f"{tmp_path}/deep/c.PNG", "/out/deep/c.PNG"),
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_of_addresses_is_a_collection(suffix, tmp_path) -> None:
    table = pa.table({"id": [1, 2, 3], "photo": ["deep/a.jpg", "s3://bucket/b.jpg", "/data/c.jpg"]})
    file = tmp_path / f"photos{suffix}"
    pa.csv.write_csv(table, file) if suffix == ".csv" else pq.write_table(table, file)
    assert manifest(file, column="photo") == [
        Entry(f"{tmp_path}/deep/a.jpg", "/out/deep/a.jpg"),
        Entry("s3://bucket/b.jpg", "/out/bucket/b.jpg"),
        Entry("/data/c.jpg", "/out/data/c.jpg"),
    ]
    with pytest.raises(UserError, match="has no column 'path'; it has id, photo: --column NAME"):
        manifest(file)


def test_what_cannot_be_a_collection_is_refused_in_a_line(tmp_path) -> None:
    for name in ("a.jpg", "a.bmp", "a.bmp.png"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"a\.bmp\.png would both become"):
        manifest(tmp_path)
    with pytest.raises(UserError, match="lies among the results"):
        manifest(tmp_path / "a.jpg", output=str(tmp_path))
    with pytest.raises(UserError, match="there is no such file or folder"):
        manifest(tmp_path / "nothing")
    (tmp_path / "photos.csv").write_text("path\n../../a.jpg\n")
    with pytest.raises(UserError, match="its result could not have the path"):
        manifest(tmp_path / "photos.csv")
    with pytest.raises(UserError, match="fsspec knows no nosuch://"):
        manifest("nosuch://bucket/photos")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--style", "great_wave"], "--cluster needs photos and a folder"),
        (["--style", "sample:wave", "-o", "out"], "--cluster paints in trained styles"),
        (["--style", "great_wave", "-o", "out", "--skip-existing"], "each start does only what is missing"),
        (["--style", "great_wave", "-o", "out", "--memory", "0.1"], "--memory"),
    ],
)
def test_bad_usage_is_one_line_before_ray_is_loaded(words, message, tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("ray", reason=NO_RAY)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["apply", "photos", "--cluster", *words])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and message in said and said.count("\n") == 1


def test_flags_of_a_cluster_without_one_are_refused(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["apply", "sample:astronaut", "--style", "great_wave", "-o", "out.png", "--in-flight", "2"])
    said = capsys.readouterr().err
    assert (stop.value.code, said) == (2, "fastnst: --in-flight is for --cluster, which is not asked for\n")


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch, capsys) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stop:
        main(["apply", "photos", "--cluster", "--style", "great_wave", "-o", "out"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "fastnst: --cluster needs ray: pip install 'fastnst[cluster]'\n"


def backwards():
    """Makes the content backwards; refuses what is empty."""

    def make(items):
        for item in items:
            error = None if item.data or item.error else f"{item.path}: empty"
            yield Item(item.path, item.output, item.data[::-1], item.error or error, seconds=item.seconds)

    return make


def work(folder: Path, *names: str, there: bool = False, force: bool = False) -> list[dict[str, object]]:
    table = pa.table({"path": [f"{folder}/{name}" for name in names], "there": [there] * len(names)})
    table = table.append_column("output", pa.array([f"{folder}/out/{name}" for name in names]))
    worker = Worker(backwards, in_flight=2, memory=2**40, force=force)
    return sorted(worker(table).to_pylist(), key=lambda row: row["path"])


@pytest.fixture
def limit_as_before(monkeypatch) -> None:
    monkeypatch.setattr("fastnst.base.cgroups._own_limit", None)


@pytest.mark.usefixtures("limit_as_before")
def test_a_result_that_is_there_is_left_and_told_of_and_a_failure_is_a_row(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"")
    rows = work(tmp_path, "a", "b", "c")
    assert [(row["status"], row["error"]) for row in rows[:2]] == [(MADE, None), (FAILED, "empty")]
    assert rows[2]["status"] == FAILED and "No such file" in rows[2]["error"]
    assert (tmp_path / "out" / "a").read_bytes() == b"cba" and rows[0]["bytes"] == 3
    (tmp_path / "a").write_bytes(b"other")
    for there in (True, False):  # known from the listing, or found when it is to be written
        (again,) = work(tmp_path, "a", there=there)
        assert again["status"] == FOUND and again["hash"] == rows[0]["hash"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]
    (forced,) = work(tmp_path, "a", force=True)
    assert forced["status"] == MADE and (tmp_path / "out" / "a").read_bytes() == b"rehto"


def test_rows_are_kept_once_for_each_file_and_the_last_one_counts(tmp_path) -> None:
    def rows(**errors: str | None) -> pa.Table:
        return pa.Table.from_pylist([{"path": path, "error": error} for path, error in errors.items()], SCHEMA)

    results = Results(Places(), str(tmp_path))
    for each in (rows(a="first", b="first"), rows(a=None)):
        results.add(each)
        results.flush()
    known = results.known()
    assert dict(zip(known["path"].to_pylist(), known["error"].to_pylist(), strict=True)) == {"a": None, "b": "first"}
    results.keep(known.slice(0, 1))
    assert len(list((tmp_path / "_results").iterdir())) == 1
    assert results.known()["path"].to_pylist() == known["path"].to_pylist()[:1]


@pytest.mark.usefixtures("limit_as_before")
def test_memory_of_an_actor_is_less_than_that_of_the_machine() -> None:
    free = free_memory()
    limit_memory(2**20)
    assert free_memory() == 0 < free


def apply(folder: Path, style: Path, output: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """`fastnst apply` over the folder `in` of a folder."""
    look = ("--style", f"{style}:day", "--device", "cpu", "--runtime", "torch", "--precision", "float32", "--quiet")
    command = (sys.executable, "-m", "fastnst", "apply", "in", "-o", output, *look, *words)
    environment = {**os.environ, "TMPDIR": "/tmp"}  # Ray's sockets have names of at most 107 characters
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_a_collection_on_this_machine_has_the_bytes_of_apply_and_leaves_what_is_there(sky, tmp_path) -> None:
    pytest.importorskip("ray", reason=NO_RAY)
    for index, name in enumerate(("a.png", "deep/b.png", "there.png")):
        save_image(torch.rand(1, 3, 40 + index, 50), tmp_path / "in" / name)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "there.png").write_bytes(b"painted by hand")
    assert apply(tmp_path, sky, "alone").returncode == 3
    assert apply(tmp_path, sky, "out", "--cluster", "--actors", "1", "--max-failures", "1").returncode == 3
    for name in ("a.png", "deep/b.png"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert (tmp_path / "out" / "there.png").read_bytes() == b"painted by hand"
    rows = Results(Places(), str(tmp_path / "out")).known().to_pylist()
    status = {Path(row["path"]).name: row["status"] for row in rows}
    assert status == {"a.png": MADE, "b.png": MADE, "there.png": FOUND, "broken.jpg": FAILED}


@pytest.mark.slow
def test_too_many_failures_stop_the_job_and_keep_what_is_painted(sky, tmp_path) -> None:
    pytest.importorskip("ray", reason=NO_RAY)
    for index in range(20):
        save_image(torch.rand(1, 3, 40, 50), tmp_path / "in" / f"{index:02}.png")
    for name in ("98.jpg", "99.jpg"):
        (tmp_path / "in" / name).write_bytes(b"no picture")
    stopped = apply(tmp_path, sky, "out", "--cluster", "--actors", "1")
    assert stopped.returncode == 2
    last = stopped.stderr.splitlines()[-1]
    assert "failed, more than --max-failures 0.05 allows; " in last and last.endswith("out/_results has their errors")
    rows = {Path(row["path"]).name: row for row in Results(Places(), str(tmp_path / "out")).known().to_pylist()}
    painted = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")}
    assert {"98.jpg", "99.jpg"} <= rows.keys() and all(rows[name]["status"] == MADE for name in painted.keys() & rows)
    assert apply(tmp_path, sky, "out", "--cluster", "--actors", "1", "--max-failures", "0.1").returncode == 3
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")}
    assert len(after) == 20 and painted.items() <= after.items()


@pytest.mark.slow
def test_fifty_photos_while_a_node_and_the_driver_are_killed_and_the_store_refuses(tmp_path) -> None:
    """Bytes as by `fastnst apply`, each result written once, two broken photos told of; see the script."""
    pytest.importorskip("ray", reason=NO_RAY)
    output = tmp_path / "found.json"
    words = ("50", "--nodes", "2", "--node-kills", "1", "--driver-kills", "1", "--refused", "0.05")
    environment = {**os.environ, "TMPDIR": "/tmp"}  # Ray's sockets have names of at most 107 characters
    command = [sys.executable, str(RECORD / "run.py"), *words, "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    assert found["faults"] == [] and found["results"] == 48 and found["rows"] == 50
    assert found["starts"] == 2 and found["kills_left_over"] == 0 and found["refused"] > 0
