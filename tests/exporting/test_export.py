import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fastnst.base.errors import UserError
from fastnst.cli import main
from fastnst.exporting import export as module
from fastnst.exporting.export import export
from fastnst.exporting.proof import ProofError, prove
from fastnst.exporting.settings import ExportSettings
from fastnst.exporting.writers import WRITERS
from fastnst.networks.exported import load_exported


@pytest.fixture(autouse=True)
def folder(sky, tmp_path, monkeypatch) -> Path:
    """An empty current folder from which the styles `day` and `night` are found."""
    monkeypatch.setattr("fastnst.networks.catalog.SHIPPED", sky.parent)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["export", *words])
    return int(stop.value.code)


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_style_becomes_a_file_that_says_what_it_is(sky, folder, capsys) -> None:
    assert run("--style", "day:3,night:1", "--format", "torchscript") == 0
    assert everything(folder) == ["day3+night1.pt"]
    table = capsys.readouterr().out
    assert "day3+night1.pt" in table and "2 of 100x75" in table and "dB" in table
    info = load_exported(Path("day3+night1.pt")).info
    assert info["styles"] == {"day": 0.75, "night": 0.25}
    assert info["input"].startswith("image: float32 (batch, 3, height, width)")
    assert info["output"].startswith("stylized: float32") and info["license"] and info["fastnst_version"]
    assert info["style_file_sha256"] == hashlib.sha256(sky.read_bytes()).hexdigest()


def test_json_has_the_proof_alone_on_stdout(capsys) -> None:
    assert run("--style", "day", "--format", "torchscript", "--precision", "float16", "-o", "out", "--json") == 0
    (report,) = json.loads(capsys.readouterr().out)["files"]
    path = Path("out/day-float16.pt")
    assert report["path"] == str(path) and report["bytes"] == path.stat().st_size
    assert len(report["proof"]) == 5 and all(45 <= size["psnr"] <= 140 for size in report["proof"])


def test_a_named_file_gets_its_name_and_quiet_is_quiet(capsys) -> None:
    assert run("--style", "night", "--format", "torchscript", "-o", "new/painter.pt", "--quiet") == 0
    assert load_exported(Path("new/painter.pt")).info["name"] == "night"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--style", "day", "--format", "pt2", "--precision", "int8"], "which there is for onnx and openvino"),
        (["--style", "day", "--format", "onnx", "pt2", "-o", "day.onnx"], "is no name for onnx and pt2: give a folder"),
        (["--style", "day", "--format", "pt2", "-o", "day.onnx"], "day.onnx is no name for pt2"),
        (["--style", "day", "--format", "tflite"], "tflite"),
        (["--style", "day", "--format", "torchscript", "-o", "there.pt"], "there.pt exists: --force replaces it"),
        (["--style", "day", "--format", "openvino", "-o", "there.xml"], "there.bin exists: --force replaces it"),
        (["--style", "sky", "--format", "torchscript"], "choose or mix: day, night"),
        (["--style", "dawn", "--format", "torchscript"], "no style named 'dawn'"),
        (["--style", "painting.jpg"], "fastnst train --style painting.jpg"),
        (["--style", "there.pt"], "there.pt is not a style file"),
    ],
)
def test_what_cannot_be_had_is_one_line_and_exit_code_2(words, message, folder, capsys) -> None:
    for name in ("there.pt", "there.bin"):
        Path(name).write_bytes(b"mine")
    before = everything(folder)
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and message in captured.err
    assert everything(folder) == before and Path("there.pt").read_bytes() == b"mine"


def test_force_replaces_the_file() -> None:
    Path("day.pt").write_bytes(b"old")
    assert run("--style", "day", "--format", "torchscript", "--force", "--quiet") == 0
    assert load_exported(Path("day.pt")).info["name"] == "day"


@pytest.mark.parametrize("package", ["onnxruntime", "openvino"])
def test_a_missing_package_is_named_with_the_line_that_installs_it(package, monkeypatch, folder) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else name)
    extra = {"onnxruntime": "onnx"}.get(package, package)
    with pytest.raises(UserError, match=rf"exporting openvino needs {package}: pip install 'fastnst\[{extra}\]'"):
        export(ExportSettings(style="day", format=("openvino",)))
    assert not everything(folder)


def test_a_file_that_fails_its_proof_is_not_there(monkeypatch, folder, capsys) -> None:
    Path("day.pt").write_bytes(b"old")
    monkeypatch.setattr("fastnst.exporting.proof.LARGEST_DIFFERENCE", -1.0)
    assert run("--style", "day", "--format", "torchscript", "--force") == 2
    error = capsys.readouterr().err
    assert "day.pt differs by" in error and "61 x 45" in error and error.strip().count("\n") == 0
    assert everything(folder) == ["day.pt"] and Path("day.pt").read_bytes() == b"old"


def test_one_failed_proof_of_two_leaves_the_other_file_and_exit_code_3(monkeypatch, folder, capsys) -> None:
    def prove_all_but_pt2(path: Path, *rest) -> list[dict[str, object]]:
        if path.suffix == ".pt2":
            raise ProofError("day.pt2 differs")
        return prove(path, *rest)

    monkeypatch.setitem(WRITERS, "pt2", lambda graph, path, *rest: path.write_bytes(b"wrong"))
    monkeypatch.setattr(module, "prove", prove_all_but_pt2)
    assert run("--style", "day", "--format", "pt2", "torchscript", "--json") == 3
    captured = capsys.readouterr()
    failed, done = json.loads(captured.out)["files"]
    assert failed["error"] == captured.err.strip() == "day.pt2 differs"
    assert "error" not in done and everything(folder) == ["day.pt"]


@pytest.mark.parametrize("wrong", [math.nan, 0.5])
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_nothing_but_the_right_picture_passes(wrong, precision, exported, dusk) -> None:
    file, mix, _ = dusk
    with pytest.raises(UserError, match="nothing was written"):
        prove(exported["torchscript"], lambda photos: file.network(photos, mix) + wrong, precision)
    with pytest.raises(UserError, match=r"gives .* for a photo of"):
        prove(exported["torchscript"], lambda photos: file.network(photos, mix)[..., 1:], precision)


def test_apply_paints_the_same_with_the_exported_file(folder) -> None:
    run("--style", "day", "--format", "torchscript", "--quiet")
    for style, output in (("day", "a.png"), ("day.pt", "b.png")):
        with pytest.raises(SystemExit) as stop:
            words = ("--style", style, "-o", output, "--size", "60", "--strength", "0.7", "--keep-colors", "--quiet")
            main(["apply", "sample:rocket", *words])
        assert stop.value.code == 0
    with Image.open("a.png") as a, Image.open("b.png") as b:
        assert a.size == (60, 40) and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("words", [("pt2",), ("pt2", "torchscript")])
def test_a_file_that_cannot_be_run_again_is_a_failure_of_its_own_and_json_has_it(words, monkeypatch, folder, capsys):
    monkeypatch.setitem(WRITERS, "pt2", lambda graph, path, *rest: path.write_bytes(b"broken"))
    assert run("--style", "day", "--format", *words, "--json") == (2 if len(words) == 1 else 3)
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert result["failed"] == 1 and [("error" in file) for file in result["files"]] == [True, False][: len(words)]
    assert "is broken, or no .pt2 file" in captured.err
    assert everything(folder) == ["day.pt"][: len(words) - 1]


@pytest.mark.skipif(sys.platform == "win32", reason="the limit on a file's size is POSIX's")
@pytest.mark.parametrize("format", ["pt2", "torchscript"])
@pytest.mark.long
def test_a_full_disk_is_one_line_and_leaves_nothing(format, sky, folder) -> None:
    # Given to torch as a path, the file's last flush failed in a destructor, and the process was aborted.
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / sky.name).write_bytes(sky.read_bytes())
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        f"from fastnst.cli import main; main('export --style day --format {format} -o out --quiet'.split())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "fastnst: [Errno 27] File too large\n")
    assert everything(folder) == ["checkpoints", f"checkpoints/{sky.name}", "out"]
