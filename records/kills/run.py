"""Kill `fastnst` at random moments and check what is left: half files, temporary files, and whether it goes on.

    python records/kills/run.py 1000 --seconds 3600 --output kills.json

Each victim is a process of its own, forked from this one, which has imported torch: so a start costs a tenth of a
second. A victim is killed by SIGKILL, by SIGTERM or by Ctrl-C twice, started again, killed again, and at last left to
end. After each kill every file under a final name must be that of a run that was left alone, byte by byte (weights of a
training, pictures of a video). After the end nothing else may be there, in the folder or among the temporary files.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from victims import VICTIMS, Fault, Victim, make_inputs

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT twice")
MOST = 5  # kills before a victim is left to end


def episode(victim: Victim, chance: random.Random, most: int, counts: Counter[str]) -> list[str]:
    """Kill a victim up to so many times, let it end, check; returns faults."""
    victim.anew()
    kills: list[str] = []
    try:
        for _ in range(most):
            how = chance.choice(SIGNALS)
            if not victim.killed(how, chance):
                break
            kills.append(how)
            counts[f"{victim.name} {how}"] += 1
            victim.whole()
        code = victim.to_its_end()
        if code != 0:
            raise Fault(f"exit code {code} at last")
        victim.at_the_end()
        if "Traceback" in victim.said():
            raise Fault("a traceback")
    except Exception as error:
        return [f"{victim.name} after {', '.join(kills) or 'no kill'}: {error!r}; {victim.said()}"]
    return []


def run(kills: int, kinds: list[str], seconds: float, seed: int) -> dict[str, object]:
    """Kill victims of all kinds in turn until so many kills or seconds are reached."""
    chance, started, counts = random.Random(seed), time.monotonic(), Counter[str]()
    faults: list[str] = []
    spent: Counter[str] = Counter()
    ended = 0
    place = Path(tempfile.mkdtemp())  # not one that a victim would remove when it ends
    try:
        make_inputs(place / "inputs")
        victims = [VICTIMS[kind](place / kind, place / "inputs") for kind in kinds]
        for victim in victims:
            print(f"{victim.name}: {victim.seconds:.2f} s when left alone", file=sys.stderr, flush=True)
        while sum(counts.values()) < kills and time.monotonic() - started < seconds:
            victim = min(victims, key=lambda each: spent[each.name])  # as much time for each
            begun = time.monotonic()
            found = episode(victim, chance, min(MOST, kills - sum(counts.values())), counts)
            faults += found
            spent[victim.name] += time.monotonic() - begun
            ended += 1
            print(f"{sum(counts.values())} kills, {len(faults)} faults", *found, file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("stopped: told is what was done", file=sys.stderr)
    finally:
        shutil.rmtree(place)
    return {
        "kills": sum(counts.values()),
        "by_kind": dict(sorted(counts.items())),
        "ended": ended,
        "faults": faults,
        "seed": seed,
        "seconds": round(time.monotonic() - started),
        "processor_seconds": round(sum(os.times()[:4])),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int, help="how many processes to kill")
    parser.add_argument("--kinds", nargs="+", default=list(VICTIMS), choices=list(VICTIMS))
    parser.add_argument("--seconds", type=float, default=1e9, help="end after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="a file for the result, as JSON")
    asked = parser.parse_args()
    result = run(asked.kills, asked.kinds, asked.seconds, asked.seed)
    print(json.dumps(result, indent=1))
    if asked.output:
        asked.output.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(bool(result["faults"]))
