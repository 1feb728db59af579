"""A training step of the package in each of several source trees, in turns: python measure.py TREE ... > result.json.

Processor time of one thread, a photo of 256 px, the step of `fastnst bench` at its defaults; each tree is a process.
"""

import json
import os
import statistics
import subprocess
import sys
import time

ROUNDS = 16


def step() -> None:
    """Make the steps of one crop for each line that comes in, and print the seconds of one of them."""
    import torch

    from fastnst.bench.training import fastnst_step
    from fastnst.images.photos import resolve_photo
    from fastnst.perception.objective import load_style_image

    torch.set_num_threads(1)
    loop, photos = fastnst_step("small", load_style_image(resolve_photo("sample:coffee"))), torch.rand(1, 3, 256, 256)
    loop.step(photos)  # not counted
    for _ in sys.stdin:
        started = time.process_time()
        loop.step(photos)
        print((time.process_time() - started) / loop.visits, flush=True)


def measure(trees: list[str]) -> None:
    """Print medians and ranges of the ratios to the first tree within a round."""
    processes = [
        subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": tree},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for tree in trees
    ]
    seconds: dict[str, list[float]] = {tree: [] for tree in trees}
    for _ in range(ROUNDS):
        for tree, process in zip(trees, processes, strict=True):
            assert process.stdin and process.stdout
            print(file=process.stdin, flush=True)
            seconds[tree].append(float(process.stdout.readline()))
    for process in processes:
        process.communicate()
    result = {}
    for tree, times in seconds.items():
        ratios = [now / first for now, first in zip(times, seconds[trees[0]], strict=True)]
        ends = [round(value, 3) for value in (statistics.median(ratios), min(ratios), max(ratios))]
        result[tree] = {"seconds": [round(value, 3) for value in times], "ratio_median_lowest_highest": ends}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    measure(sys.argv[1:]) if len(sys.argv) > 1 else step()
