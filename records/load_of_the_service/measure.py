"""Load and abuse of `fastnst serve`: python measure.py PART -o result.json.

throughput  clients that ask again at once, beside `Stylizer` in a loop over the same photo, file in and file out, in
            turns in one run; `--queue` below the number of clients asks for the 429 of a full queue
latency     p50 and p99 of one answer at a rate of requests a second, or at half of what throughput found
memory      memory over many requests of small pictures, without the pages of files
abuse       damaged files, those of a folder or made at random; bodies and headers that arrive byte by byte, wrong
            lengths, bombs, clients that hang up, names with ../; another client is served all the time; half of it,
            then the other half, after which the service may hardly have more memory

The service and the loop run as they come, but for a queue as long as there are clients; both have as many threads as
the process may use cores. Every answer is counted, and a request without one under the kind of its error. Each part has
limits: the result says for each whether it was kept, and the exit code is 1 if one was not.

The first two need a machine on which nothing else runs. Needs `pip install '.[serve]'`.
"""

import argparse
import json
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import abuse
import load
import service
import torch
from PIL import Image

from fastnst.base.devices import measured_on
from fastnst.images.photos import resolve_photo

PHOTO = "sample:astronaut"


def main() -> int:
    """Measure a part, write the result as JSON, and tell whether its limits were kept."""
    parts = {part.__name__: part for part in (load.throughput, load.latency, load.memory, abuse.abuse)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--minutes", type=float, default=10.0, help="of requests in all; latency takes half of it")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--queue", type=int, help="of throughput [as long as there are clients]")
    parser.add_argument("--rounds", type=int, default=5, help="of throughput")
    parser.add_argument("--rate", type=float, default=5.0, help="requests a second, of latency")
    parser.add_argument("--half-of", type=Path, help="a result of throughput, half of which is the rate of latency")
    parser.add_argument("--requests", type=int, default=20_000, help="of memory")
    parser.add_argument("--side", type=int, help="of the photo in pixels [512; memory and abuse: 96]")
    parser.add_argument("--folder", type=Path, help="damaged files, of abuse")
    parser.add_argument("--damaged", type=int, default=5_000, help="files damaged at random, where no folder is given")
    parser.add_argument("--every", type=int, default=10, help="of the damaged files is sent as a painting too")
    parser.add_argument("--repeat", type=int, default=100, help="each attack, half of them in each pass")
    parser.add_argument("--slow", type=int, default=100, help="slow clients at once, in each pass")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    given.side = given.side or (96 if given.part in ("memory", "abuse") else 512)
    file = BytesIO()
    with Image.open(resolve_photo(PHOTO)) as image:
        image.convert("RGB").resize((given.side, given.side)).save(file, "JPEG", quality=90)
    started = time.monotonic()
    found, limits = parts[given.part](given, file.getvalue())
    kept = all(limit.kept for limit in limits.values())
    torch.set_num_threads(service.CORES)
    result: dict[str, Any] = {
        "part": given.part,
        "command": " ".join(["python", "measure.py", *sys.argv[1:]]),
        "pass": kept,
        "limits": {
            name: {"pass": each.kept, "limit": each.limit, "found": each.found} for name, each in limits.items()
        },
        "photo": f"{PHOTO} at {given.side} px",
        **found,
        "runtime_asked_for": "auto, the default",
        "minutes_in_all": round((time.monotonic() - started) / 60, 1),
        "cores_of_the_process": service.CORES,
        **measured_on(torch.device("cpu"), "openvino", "uvicorn", "starlette", "pillow", "pyvips"),
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n")
    for name, each in limits.items():
        print(f"{'pass' if each.kept else 'FAIL'}  {name}: {each.limit}; found {each.found}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
