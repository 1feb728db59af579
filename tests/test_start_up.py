"""What needs no tensor does not wait for torch: imports are counted, not seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "torchvision", "pytorch_lightning", "datasets", "skimage", "scipy", "openvino", "onnxruntime", "av"}
ANSWERED = """
styles
styles great_wave
styles --json
styles universal
info
--version
apply --help
train --help
train-universal --help
train-base --help
texture --help
serve --help
page -o written --quiet
"""
REFUSED = """
apply photo.png --style nosuch
apply missing.png --style great_wave
apply photo.png --style great_wave -o there.png
apply photo.png --style paintings
apply photo.png --style missing.jpg
apply photo.png --style universal
apply photo.png --style great_wave --alpha 0.5
texture missing.png
texture great_wave
texture sample:wave -o there.png
train-universal --data no/such/folder
train-universal --name there
train-universal --resume --name nosuch
train-universal --crop-size 100
train-base
train-base --paintings no/such/folder
train-base --name there --paintings .
bench universal --yardstick missing.safetensors
apply photo.png --style great_wave --mask missing.png
apply photo.png --style great_wave --feather 3
train --style missing.png
train --style photo.png --data no/such/folder
train --style photo.png --name there
train --style photo.png --init-from nosuch
train --style photo.png --config nosuch
train --resume --name nosuch
probe --style missing.png
probe --style photo.png -o full
export --style nosuch
export --style great_wave --format torchscript -o there.pt
export --style paintings --styles-as-input --format pt2
serve --style nosuch
serve --host 203.0.113.1
page -o full
page -o there.json
export --style great_wave --format pt2 --precision int8
optimize missing.png --style photo.png
optimize photo.png --style missing.png
optimize photo.png --style photo.png -o there.png
reconstruct missing.png
reconstruct photo.png -o full
compare missing.png --style great_wave --style-image photo.png
compare photo.png --style great_wave --style-image missing.png
bench tiles --style nosuch
bench video --style nosuch
bench quality --style missing.png
bench -o there.json
nosuch
apply --nosuch
"""
RUN = """
import contextlib, io, json, sys
from fastnst.cli import main
results = []
for words in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(words)
        except SystemExit as stop:
            code = stop.code
    results.append([code, said.getvalue(), sorted(set(sys.modules) & set(json.loads(sys.argv[2])))])
print(json.dumps(results))
"""


def run(commands: list[list[str]], folder: Path) -> list[tuple[int, str, list[str]]]:
    """Exit code, words and heavy packages loaded so far, after each of the commands in one process."""
    arguments = map(json.dumps, (commands, sorted(HEAVY)))
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("format", ["onnx", "openvino"])
@pytest.mark.long
def test_a_photo_is_painted_by_an_exported_file_without_torch(format, exported, tmp_path) -> None:
    words = ["apply", "sample:astronaut", "--size", "64", "--style", str(exported[format])]
    ((code, said, heavy),) = run([[*words, "-o", "out.jpg"]], tmp_path)
    assert (code, heavy) == (0, ["onnxruntime" if format == "onnx" else "openvino"])
    assert said.strip().startswith("out.jpg: painted in ") and (tmp_path / "out.jpg").stat().st_size


@pytest.mark.parametrize(("commands", "code"), [(ANSWERED, 0), (REFUSED, 2)], ids=["answered", "refused"])
def test_no_command_that_needs_no_tensor_loads_torch(commands, code, tmp_path) -> None:
    for name in ("photo.png", "there.png", "there.pt", "there.json", "checkpoints/there.safetensors", "full/of/things"):
        path = Path(tmp_path, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    lines = commands.split("\n")[1:-1]
    results = run([line.split() for line in lines], tmp_path)
    for line, (exit_code, said, heavy) in zip(lines, results, strict=True):
        assert (exit_code, heavy) == (code, []), f"{line}: {said}"
        assert code == 0 or said.strip().count("\n") == 0, f"{line}: {said}"
