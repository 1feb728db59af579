"""Two gloo processes against one with the same photos a step: losses, validation loss, images per second.

    python records/2026-11-29_two_processes/measure.py correctness -o correctness.json
    python records/2026-11-29_two_processes/measure.py scaling -o scaling.json

The processes are started by torchrun. Photos and style image are those that fastnst brings along. `correctness` trains
with small crops, from nothing and from the predictor that a training starts from by default: 50 steps in float64, 50
in float32, and the seeds of the validation loss. `scaling` trains with the
default sizes and wants a machine on which nothing else runs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fastnst.base.devices import measured_on

TRAIN = ("train", "--style", "sample:wave", "--device", "cpu", "--workers", "0", "--quiet")
SMALL = ("--crop-size", "32", "--style-size", "64", "--margin", "8")
PHOTOS = 2  # a step
FIRST = 10  # steps after which float32 has grown its rounding
WARM = 4  # steps that are not timed
SEEDS = (0, 1, 2)


def worker(told: Path, precision: str, words: list[str]) -> None:
    """One process of a training, which writes down each step's loss over all photos and when it came."""
    import torch

    from fastnst.cli import main
    from fastnst.training import train
    from fastnst.training.data import PhotoDataModule
    from fastnst.training.style_trainer import StyleTrainer

    rank = os.environ.get("RANK", "0")
    lines = told.with_suffix(f".{rank}").open("w")
    to_floats, preview = PhotoDataModule.on_after_batch_transfer, train._preview

    def judged(self: StyleTrainer, loss: float) -> None:
        print(json.dumps([self.global_step, loss, time.perf_counter()]), file=lines, flush=True)

    def to_doubles(self: PhotoDataModule, batch: Any, number: int) -> Any:
        floats = to_floats(self, batch, number)
        return floats._replace(photos=floats.photos.double())

    StyleTrainer._refuse_divergence = judged
    train._precision = lambda settings: precision
    if precision == "64-true":
        PhotoDataModule.on_after_batch_transfer = to_doubles
        train.StyleTrainer = lambda *given, **named: StyleTrainer(*given, **named).double()
        train._preview = lambda network: preview(network.float())
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    main(words)


def trained(processes: int, words: tuple[str, ...], *, precision: str = "32-true", threads: int = 1) -> dict[str, Any]:
    """Train in a folder of its own: losses and times by step, and what the style file says."""
    with tempfile.TemporaryDirectory() as folder:
        launcher = [sys.executable]
        if processes > 1:
            launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        told, batch = Path(folder, "told"), str(PHOTOS // processes)
        command = [*launcher, __file__, "worker", str(told), precision, *TRAIN, "--devices", str(processes)]
        command += ["--batch-size", batch, "--name", "wave", "--json", *words]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        info = json.loads(done.stdout.splitlines()[-1])
        ranks = [[json.loads(line) for line in Path(f"{told}.{rank}").open()] for rank in range(processes)]
        losses = [[loss for _, loss, _ in rank] for rank in ranks]
        if any(other != losses[0] for other in losses):
            raise SystemExit("the processes do not agree on the losses")
        return {"losses": losses[0], "times": [seconds for _, _, seconds in ranks[0]], "held_out": info["held_out"]}


def differences(one: list[float], two: list[float]) -> list[float]:
    """Relative differences, step by step."""
    return [abs(second / first - 1) for first, second in zip(one, two, strict=True)]


def correctness(start: str, steps: int, long: int) -> dict[str, Any]:
    """Two processes against one: losses in float64 and float32, the validation loss beside those of seeds."""
    small = (*SMALL, "--init-from", start)
    result: dict[str, Any] = {"photos_a_step": PHOTOS, "start": start}
    for precision in ("64-true", "32-true"):
        words = (*small, "--steps", str(steps))
        one, two = (trained(n, words, precision=precision) for n in (1, 2))
        apart = differences(one["losses"], two["losses"])
        result[precision] = {
            "steps": steps,
            "first_loss": one["losses"][0],
            "last_loss": one["losses"][-1],
            "largest_difference": max(apart),
            f"largest_difference_of_the_first_{FIRST}": max(apart[:FIRST]),
            "last_difference": apart[-1],
        }
        print(json.dumps(result[precision]), file=sys.stderr, flush=True)
    words = (*small, "--steps", str(long))
    seeds = {seed: trained(1, (*words, "--seed", str(seed)))["held_out"]["total"] for seed in SEEDS}
    pair = trained(2, words)["held_out"]["total"]
    result["validation_loss"] = {
        "steps": long,
        "one_process": seeds,
        "two_processes": pair,
        "difference_to_one_process_with_the_same_seed": abs(pair - seeds[SEEDS[0]]),
        "spread_of_the_seeds": max(seeds.values()) - min(seeds.values()),
    }
    return result


def scaling(rounds: int, steps: int) -> dict[str, Any]:
    """Images per second of two processes of one thread and of one process of two, in turns."""
    ways = {"one process, one thread": (1, 1), "one process, two threads": (1, 2), "two processes, one thread": (2, 1)}
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, (processes, threads) in ways.items():
            times = trained(processes, ("--steps", str(steps)), threads=threads)["times"][WARM:]
            speeds[way].append(PHOTOS * (len(times) - 1) / (times[-1] - times[0]))
            print(f"{way}: {speeds[way][-1]:.3f} images/s", file=sys.stderr, flush=True)
    reference = speeds["one process, two threads"]
    return {
        "rounds": rounds,
        "steps": steps,
        "images_per_second": {way: [round(each, 3) for each in found] for way, found in speeds.items()},
        "ratio_to_one_process_of_two_threads": {
            way: round(statistics.median(a / b for a, b in zip(found, reference, strict=True)), 3)
            for way, found in speeds.items()
        },
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        worker(Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["correctness", "scaling"])
    parser.add_argument("--steps", type=int, help="50 of correctness, 30 of scaling")
    parser.add_argument("--start", default="predictor", help="of correctness: what it trains from, or none")
    parser.add_argument("--long", type=int, default=100, help="steps before the validation loss")
    parser.add_argument("--rounds", type=int, default=5, help="of scaling")
    parser.add_argument("-o", "--output", type=Path, help="a file for the result, as JSON")
    asked = parser.parse_args()
    import torch

    started = time.monotonic()
    scales = asked.what == "scaling"
    found = (
        scaling(asked.rounds, asked.steps or 30) if scales else correctness(asked.start, asked.steps or 50, asked.long)
    )
    found |= measured_on(torch.device("cpu"), "pytorch-lightning") | {"seconds": round(time.monotonic() - started)}
    print(json.dumps(found, indent=1))
    if asked.output:
        asked.output.write_text(json.dumps(found, indent=1) + "\n")
