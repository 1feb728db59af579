"""Paint a collection on a cluster of three nodes while nodes and the driver are killed, and look at what is there.

    python records/2026-11-29_cluster/run.py 10000 --node-kills 10 --driver-kills 3 --output cluster.json

All on this machine: nodes by ray.cluster_utils, of one core each, and moto's S3 server, which refuses some requests
with 503. A node is killed as a machine without power is, all of its processes by SIGKILL, and another one joins. The
driver is killed by SIGKILL and started again. At the end there must be one result for each photo that is a picture,
written once, with the bytes that `fastnst apply` writes, one row for each photo, and nothing else.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import fsspec
import numpy as np
import psutil
import ray
from PIL import Image
from ray.cluster_utils import Cluster

from fastnst.cluster.places import Places
from fastnst.cluster.results import FOLDER, Results

GB = 2**30
LOOK = ("--style", "great_wave", "--device", "cpu", "--runtime", "torch", "--precision", "float32")
PATIENCE = 3600.0  # seconds without anything written, after which this gives up


def make_photos(folder: Path, count: int) -> set[str]:
    """Small photos in ten folders; one of 500, but at least two, is none. Gives the names of these."""
    chance = np.random.default_rng(0)
    broken = set()
    for index in range(count):
        path = folder / f"{index % 10}" / f"{index:07}.{('jpg', 'png')[index % 2]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if index % min(500, count // 2) == count // 4 % min(500, count // 2):
            path.write_bytes(b"no picture")
            broken.add(path.relative_to(folder).as_posix())
        else:
            coarse = Image.fromarray(chance.integers(0, 256, (4, 6, 3), dtype=np.uint8))
            coarse.resize((96, 64 + index % 9), Image.Resampling.BICUBIC).save(path)
    return broken


def fastnst(*words: str) -> subprocess.Popen[bytes]:
    """The command, as a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "fastnst", *words])


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Machines:
    """The nodes of a cluster on this machine.

    Args:
        count: How many paint, with one core each; the driver's own node has none.
    """

    def __init__(self, count: int) -> None:
        # Ray takes the whole machine's memory for that of each node: so it is said.
        self._size = {"memory": 3 * GB, "object_store_memory": 100 * 2**20}
        self._cluster = Cluster(initialize_head=True, head_node_args={**self._size, "num_cpus": 0})
        self._nodes = [self._add() for _ in range(count)]
        self.address = self._cluster.address

    def _add(self):
        return self._cluster.add_node(num_cpus=1, **self._size)

    def kill(self, chance: random.Random) -> None:
        """Kill all processes of a node at once, and let another one join."""
        node = self._nodes.pop(chance.randrange(len(self._nodes)))
        raylet = psutil.Process(node.all_processes[ray._private.ray_constants.PROCESS_TYPE_RAYLET][0].process.pid)
        for process in (*raylet.children(recursive=True), raylet):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._cluster.remove_node(node, allow_graceful=False)
        self._nodes.append(self._add())

    def actors(self) -> dict[int, float]:
        """Memory in MB (resident) of each process that paints, by its number."""
        found = {}
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if process.name().startswith("ray::MapWorker"):
                    found[process.pid] = process.memory_info().rss / 2**20
        return found

    def shutdown(self) -> None:
        """End all of them."""
        self._cluster.shutdown()


def seen(store: str) -> dict[str, object]:
    """What the S3 server tells."""
    with urllib.request.urlopen(f"{store}/_seen") as answer:
        return json.load(answer)


def painted(store: str) -> int:
    """Results that were written."""
    return sum(1 for key in seen(store)["written"] if key.startswith("/bucket/out/") and FOLDER not in key)


def paint_and_kill(store: str, machines: Machines, total: int, arguments: argparse.Namespace) -> dict[str, object]:
    """Start the driver, kill at random moments, and start again until it ends by itself."""
    chance = random.Random(arguments.seed)
    kinds = ["node"] * arguments.node_kills + ["driver"] * arguments.driver_kills
    moments = sorted(zip(chance.sample(range(total // 20, total * 9 // 10), len(kinds)), kinds, strict=True))
    line = ("apply", "s3://bucket/in/", "-o", "s3://bucket/out/", "--cluster", *LOOK)
    driver, starts, memory = fastnst(*line), 1, []
    done, last = 0, time.monotonic()
    while driver.poll() is None:
        time.sleep(0.2)
        now = painted(store)
        if now != done:
            done, last = now, time.monotonic()
            memory.append((done, max(machines.actors().values(), default=0.0)))
        if time.monotonic() - last > PATIENCE:
            driver.kill()
            raise SystemExit(f"nothing was written for {PATIENCE:.0f} s: {done} of {total}")
        while moments and done >= moments[0][0]:
            _, kind = moments.pop(0)
            if kind == "node":
                machines.kill(chance)
            else:
                driver.kill()
                driver.wait()
                driver, starts = fastnst(*line), starts + 1
    quarters = [[size for at, size in memory if at * 4 // (total + 1) == quarter] for quarter in range(4)]
    return {
        "exit_code": driver.returncode,
        "starts": starts,
        "kills_left_over": len(moments),
        "largest_actor_mb_by_quarter": [round(max(each, default=0.0)) for each in quarters],
    }


def look(store: str, expected: dict[str, str], broken: set[str]) -> dict[str, object]:
    """Compare what is in the bucket with what should be; the faults in words."""
    places, faults = Places(), []
    root = "s3://bucket/out/"
    files = [address.removeprefix(root) for address in places.find(root.rstrip("/"))]
    results = {name for name in files if not name.startswith(f"{FOLDER}/")}
    if results != set(expected):
        faults.append(f"{len(results - set(expected))} results too many, {len(set(expected) - results)} missing")
    found = {name: hashlib.sha256(places.read(root + name)).hexdigest() for name in results}
    if other := [name for name in results if found[name] != expected.get(name)]:
        faults.append(f"{len(other)} with other bytes, such as {other[0]}")
    written = seen(store)["written"]
    if twice := [name for name in results if written.get(f"/bucket/out/{name}") != 1]:
        faults.append(f"{len(twice)} written more than once, such as {twice[0]}")
    if any(not name.endswith((".jpg", ".png", ".parquet")) for name in files):
        faults.append("files that are no results")
    tables = [name for name in files if name.startswith(f"{FOLDER}/")]
    rows = Results(places, root.rstrip("/")).known().to_pylist()
    if {row["path"].removeprefix("s3://bucket/in/") for row in rows if row["status"] == "failed"} != broken:
        faults.append("rows of failures are not those of the broken photos")
    if {row["output"].removeprefix(root): row["hash"] for row in rows if row["hash"]} != expected:
        faults.append("rows do not have the hashes of the results")
    return {"faults": faults, "results": len(results), "rows": len(rows), "tables": len(tables)}


def main() -> None:
    """Paint, kill, look; then start once more, which must paint nothing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=int)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--node-kills", type=int, default=2)
    parser.add_argument("--driver-kills", type=int, default=1)
    parser.add_argument("--refused", type=float, default=0.02, help="share of requests answered with 503")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        os.environ["RAY_TMPDIR"] = name  # so that no other cluster of this machine is touched
        place = Path(name)
        broken = make_photos(place / "in", arguments.photos)
        if fastnst("apply", str(place / "in"), "-o", str(place / "plain"), *LOOK, "--quiet").wait() != 3:
            raise SystemExit("fastnst apply did not end with 3, though some photos are broken")
        expected = hashes(place / "plain")
        command = [sys.executable, str(Path(__file__).with_name("store.py")), "--refused", str(arguments.refused)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        machines = None
        try:
            store = server.stdout.readline().strip()
            os.environ["AWS_ENDPOINT_URL"] = store
            places = Places()
            fsspec.filesystem("s3").mkdir("bucket")
            for path in (place / "in").rglob("*.*"):
                places.create(f"s3://bucket/{path.relative_to(place).as_posix()}", path.read_bytes())
            started = time.monotonic()
            machines = Machines(arguments.nodes)
            os.environ["RAY_ADDRESS"] = machines.address
            found = paint_and_kill(store, machines, len(expected), arguments)
            found |= look(store, expected, broken)
            if found["exit_code"] != 3:
                found["faults"].append(f"the last driver ended with {found['exit_code']}, not 3")
            before = painted(store)
            again = fastnst("apply", "s3://bucket/in/", "-o", "s3://bucket/out/", "--cluster", *LOOK).wait()
            if again != 3 or painted(store) != before:
                found["faults"].append(f"the start after the last one ended with {again}, or painted")
            found |= {"faults": found["faults"] + look(store, expected, broken)["faults"]}
            found |= {"refused": seen(store)["refused"], "seconds": round(time.monotonic() - started)}
        finally:
            if machines is not None:
                machines.shutdown()
            server.kill()
    words = ("photos", "nodes", "node_kills", "driver_kills", "seed")
    found = {**{word: getattr(arguments, word) for word in words}, "broken": len(broken), **found}
    print(json.dumps(found, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(1 if found["faults"] else 0)


if __name__ == "__main__":
    main()
