"""The loss network there and back, directly and by Winograd's method, in turns.

    python measure.py --threads 1 -o one_thread.json

Time of one image through VGG19 to relu4_2 with replicated borders, and of the gradient of its pixels. Also how
far features and gradient are from those in float64.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastnst.base.devices import measured_on
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.perception import winograd
from fastnst.perception.loss_network import LossNetwork

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2")


def there_and_back(network: LossNetwork, image: Tensor) -> dict[str, Tensor]:
    """Features, and the gradient of the sum of their mean squares."""
    image = image.detach().requires_grad_()
    features = network(image)
    torch.stack([maps.square().mean() for maps in features.values()]).sum().backward()
    assert image.grad is not None
    return {**{layer: maps.detach() for layer, maps in features.items()}, "gradient": image.grad}


def measure(side: int, rounds: int) -> dict[str, Any]:
    """Seconds of both ways in turns."""
    image = load_image(resolve_photo("sample:astronaut"), size=side).contiguous(memory_format=torch.channels_last)
    network = LossNetwork(LAYERS, padding="replicate").to(memory_format=torch.channels_last)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(rounds + 1):  # the first warms up
        for way, times in seconds.items():
            winograd._gains = lambda way=way: way  # type: ignore[assignment, misc]
            started = time.perf_counter()
            there_and_back(network, image)
            if turn:
                times.append(time.perf_counter() - started)
    ratios = [fast / slow for slow, fast in zip(seconds[False], seconds[True], strict=True)]
    return {
        "side": side,
        "rounds": rounds,
        "seconds_directly": seconds[False],
        "seconds_by_winograd": seconds[True],
        "ratio": {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)},
    }


def errors(side: int) -> dict[str, dict[str, float]]:
    """Relative distance from float64 of both ways."""
    image = load_image(resolve_photo("sample:astronaut"), size=side)
    network = LossNetwork(LAYERS, padding="replicate")
    exact = there_and_back(network.double(), image.double())
    found = {}
    for name, way in (("directly", False), ("by_winograd", True)):
        winograd._gains = lambda way=way: way  # type: ignore[assignment, misc]
        results = there_and_back(network.float(), image)
        found[name] = {key: float((results[key] - each).norm() / each.norm()) for key, each in exact.items()}
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, required=True)  # a process for each: NNPACK keeps its first number
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch._nnpack_available()  # starts it
    result = {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "times": [measure(side, given.rounds) for side in (256, 512)],
        "distance_from_float64": errors(256),
        **measured_on(torch.device("cpu")),
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n")
