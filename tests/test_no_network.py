"""Without being asked to, nothing connects: commands where there is no network, and nobody tries."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from clips import make_clip

# Python tells of each attempt, before it is made.
RUN = """
import json, sys
tried = []
sys.addaudithook(lambda event, arguments: tried.append([event, str(arguments)])
                 if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request") else None)
from fastnst.cli import main
codes = []
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as stop:
        codes.append(stop.code)
print(json.dumps({"codes": codes, "tried": tried}))
"""
TRAIN = ["train", "--style", "sample:wave", "--steps", "1", "--batch-size", "1", "--crop-size", "32", "--margin", "0"]
TRAINING = [
    [*TRAIN, "--style-size", "32", "--name", "wave", "--quiet", "--workers", "0", "--device", "cpu"],
    ["apply", "sample:astronaut", "--style", "wave", "-o", "out.jpg", "--size", "64", "--quiet"],
]
PAINTING = [
    ["apply", "sample:astronaut", "--style", "great_wave", "-o", "out.jpg", "--size", "64", "--quiet"],
    ["styles"],
    ["info"],
]
ALL_ELSE = [
    ["page", "-o", "site", "--quiet"],
    ["export", "--style", "great_wave_live", "--format", "torchscript", "-o", "wave.pt", "--quiet"],
    ["apply", "clip.mp4", "--style", "great_wave_live", "-o", "out.mp4", "--device", "cpu", "--quiet"],
    ["apply", "sample:rocket", "--style", "sample:wave", "-o", "out.jpg", "--size", "64", "--quiet"],
    ["optimize", "sample:astronaut", "--style", "sample:wave", "-o", "slow.png", "--size", "32", "--iterations", "2"],
]
LONG = [pytest.param(jobs, marks=pytest.mark.long) for jobs in (ALL_ELSE, TRAINING)]


@pytest.mark.parametrize("jobs", [PAINTING, *LONG], ids=["paint", "all else", "train"])
def test_commands_need_no_network_and_ask_for_none(jobs, tmp_path) -> None:
    away = ["unshare", "--map-root-user", "--net"]
    try:
        if subprocess.run([*away, "true"], capture_output=True, check=False).returncode:
            pytest.skip("this machine allows no empty network namespace")
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    make_clip(tmp_path / "clip.mp4", times=(0, 40, 80), sound="aac")
    words = [*away, sys.executable, "-c", RUN, json.dumps(jobs)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"codes": [0] * len(jobs), "tried": []}
    assert Path(tmp_path, "out.jpg").stat().st_size
