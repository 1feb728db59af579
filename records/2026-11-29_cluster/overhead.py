"""The time of `fastnst apply --cluster` over a folder of this machine, as a ratio to that of `fastnst apply`.

    python records/2026-11-29_cluster/overhead.py 10000 --rounds 3 --output overhead.json

Both get the same cores and paint with torch in float32: `fastnst apply` with a thread for each core, the cluster with
an actor of one thread for each. They take turns, and the start of both counts. Nothing else should run meanwhile. The
bytes are compared with those of `fastnst apply` with one thread, as an actor has: with two, a third of the pictures
differ by one level somewhere.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from run import LOOK, fastnst, hashes, make_photos

from fastnst.cluster.results import FOLDER


def seconds(words: tuple[str, ...], output: Path, threads: int) -> float:
    """Time of one run into a folder that is not there yet."""
    shutil.rmtree(output, ignore_errors=True)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    started = time.perf_counter()
    code = fastnst("apply", *words, "-o", str(output), *LOOK, "--quiet").wait()
    if code != 3:
        raise SystemExit(f"{' '.join(words)} ended with {code}; 3 was expected, as some photos are broken")
    return time.perf_counter() - started


def main() -> None:
    """Measure, and compare what was written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    os.environ |= {"RAY_ADDRESS": "local", "RAY_USAGE_STATS_ENABLED": "0"}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        make_photos(place / "in", arguments.photos)
        plain, spread = [], []
        for _ in range(arguments.rounds):
            plain.append(seconds((str(place / "in"),), place / "plain", arguments.cores))
            words = (str(place / "in"), "--cluster", "--actors", str(arguments.cores))
            spread.append(seconds(words, place / "out", 1))
        found = {name: value for name, value in hashes(place / "out").items() if not name.startswith(f"{FOLDER}/")}
        seconds((str(place / "in"),), place / "alone", 1)  # not timed: other threads add up in another order
        same = found == hashes(place / "alone")
    ratios = [cluster / alone for cluster, alone in zip(spread, plain, strict=True)]
    result = {
        "photos": arguments.photos,
        "cores": arguments.cores,
        "apply_seconds": [round(each, 1) for each in plain],
        "cluster_seconds": [round(each, 1) for each in spread],
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(each, 3) for each in ratios],
        "same_bytes_as_apply_with_one_thread": same,
    }
    print(json.dumps(result, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
