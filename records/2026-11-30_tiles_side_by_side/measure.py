"""Tiles of one picture on two threads: one after the other with both, or two at a time with one each.

    python records/2026-11-30_tiles_side_by_side/measure.py -o tiles.json

The tiles, their size and the network are those with which `fastnst apply` paints a picture of 24 megapixels. The ways
take turns, and both must give the same pixels but for rounding. Nothing else should run meanwhile.
"""

import argparse
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch

from fastnst.base.boxes import cut
from fastnst.base.devices import measured_on
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.painting.stylizer import Stylizer

SIZE = (4000, 6000)
THREADS = 2


def main() -> None:
    """Measure, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--style", default="great_wave")
    parser.add_argument("--tiles", type=int, default=12, help="of the picture, from its middle")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path)
    asked = parser.parse_args()
    picture = torch.nn.functional.interpolate(load_image(resolve_photo("sample:coffee")), SIZE, mode="bilinear")
    way = Stylizer(asked.style, device="cpu", runtime="torch", precision="float32")._pass
    with torch.inference_mode():
        read = way.painting(lambda box: picture[..., box[0], box[1]], SIZE, 1.0, in_tiles=True)
    side = way.tile((1, 3, *SIZE), 1.0)
    boxes = cut(SIZE, side)
    boxes = boxes[len(boxes) // 2 :][: asked.tiles]

    @torch.inference_mode()
    def one(threads: int, box: tuple[slice, slice]) -> torch.Tensor:
        torch.set_num_threads(threads)  # of the thread that calls it
        return read(box)

    def in_turn() -> list[torch.Tensor]:
        return list(map(partial(one, THREADS), boxes))

    def side_by_side() -> list[torch.Tensor]:
        return list(pool.map(partial(one, 1), boxes))

    with ThreadPoolExecutor(THREADS) as pool:
        apart = max(float((a - b).abs().max()) for a, b in zip(in_turn(), side_by_side(), strict=True))
        seconds: dict[str, list[float]] = {"in turn, two threads": [], "two at a time, one thread each": []}
        for _ in range(asked.rounds):
            for name, paint in zip(seconds, (in_turn, side_by_side), strict=True):
                started = time.perf_counter()
                paint()
                seconds[name].append(time.perf_counter() - started)
    first, second = seconds.values()
    ratios = [b / a for a, b in zip(first, second, strict=True)]
    result = {
        "tile": side,
        "tiles": len(boxes),
        "largest_difference": apart,
        "seconds": {name: [round(each, 2) for each in times] for name, times in seconds.items()},
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(each, 3) for each in ratios],
        **measured_on(torch.device("cpu")),
    }
    print(json.dumps(result, indent=1))
    if asked.output:
        asked.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
