"""Free main memory and cores, within the limits of control groups (Linux, version 1 and 2). Knows nothing of torch."""

import math
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc/self")
CPUS = Path("/sys/devices/system/cpu")
_LIMITS = {1: ("memory.limit_in_bytes",), 2: ("memory.max", "memory.high")}  # above `high` a process is slowed down
_USED = {1: "memory.usage_in_bytes", 2: "memory.current"}
_CACHED = {1: "total_inactive_file", 2: "inactive_file"}  # files that are dropped when memory is needed
_own_limit: int | None = None


def free_memory() -> int:
    """Bytes of main memory that can still be allocated: what the system calls available, or limits leave if less."""
    import psutil

    left = [int(psutil.virtual_memory().available), left_in_groups()]
    if _own_limit is not None:
        left.append(max(0, _own_limit - int(psutil.Process().memory_info().rss)))
    return min(each for each in left if each is not None)


def limit_memory(size: int) -> None:
    """Let `free_memory` count so many bytes as this process's own, where several processes share a machine."""
    global _own_limit
    _own_limit = size


def left_in_groups() -> int | None:
    """Bytes that the tightest limit leaves, of the process's own group or of one around it; None without a limit."""
    left = [_left(folder, version) for version, folder in _groups("memory")]
    return min((each for each in left if each is not None), default=None)


def usable_cores() -> int:
    """Cores that the process may run on, or that the tightest quota of processor time makes, rounded up, if fewer."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cores_in_groups()
    return there if quota is None else min(there, max(1, math.ceil(quota)))


def keep_threads_within_quota() -> None:
    """Let torch, when it is loaded, take as many threads as the quota leaves cores; it knows of the affinity alone.

    `OMP_NUM_THREADS` is set for that, which child processes have too. Whoever has set it is asked nothing.
    """
    if cores_in_groups() is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))


def threads_of_torch() -> int:
    """Threads that torch has or, while it is not loaded, would take: one for each core, of two hyperthreads one."""
    if torch := sys.modules.get("torch"):
        return int(torch.get_num_threads())
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if asked.isdecimal() and int(asked):
        return int(asked)
    with suppress(OSError, AttributeError):  # not Linux
        siblings = (CPUS / f"cpu{each}/topology/thread_siblings_list" for each in os.sched_getaffinity(0))
        return len({file.read_text() for file in siblings})
    return usable_cores()


def cores_in_groups() -> float | None:
    """Cores that the tightest quota makes, of the own group or of one around it; None without a quota."""
    quotas = [_quota(folder, version) for version, folder in _groups("cpu")]
    return min((each for each in quotas if each is not None), default=None)


def _groups(controller: str) -> Iterator[tuple[int, Path]]:
    """The folders of the own group and of those around it, with their version, in all hierarchies of a controller."""
    for version, mount, group in _hierarchies(controller):
        for folder in (group, *group.parents):
            if folder.is_relative_to(mount):
                yield version, folder


def _hierarchies(controller: str) -> Iterator[tuple[int, Path, Path]]:
    """The version of each hierarchy that may have the controller, where it is mounted, and the own group's folder."""
    try:
        own = [line.split(":", 2) for line in (PROC / "cgroup").read_text().splitlines()]
        mounts = (PROC / "mountinfo").read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in mounts:
        about, _, system = line.partition(" - ")
        kind, _, options = system.split(" ", 2)
        version = {"cgroup": 1, "cgroup2": 2}.get(kind)
        if version is None or (version == 1 and controller not in options.split(",")):
            continue
        root, mount = (Path(_unescaped(each)) for each in about.split(" ")[3:5])
        for _, controllers, path in own:
            if controller in controllers.split(",") if version == 1 else not controllers:
                # A container may see its own group alone, under another path than the system's.
                inside = Path(path).is_relative_to(root) and ".." not in path
                group = mount / Path(path).relative_to(root) if inside else mount
                yield version, mount, group if group.is_dir() else mount


def _left(group: Path, version: int) -> int | None:
    """Bytes below the limit of one group; None if it has none."""
    limits = []
    for name in _LIMITS[version]:
        with suppress(OSError, ValueError):  # no such file at the top of version 2; `max` is no number
            limits.append(int((group / name).read_text()))
    if not limits:
        return None
    try:
        used = int((group / _USED[version]).read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    return max(0, min(limits) - used + int(stat.get(_CACHED[version], 0)))


def _quota(group: Path, version: int) -> float | None:
    """Cores that the quota of one group makes: processor time in each period; None if it has none."""
    try:
        if version == 2:
            time, period = (group / "cpu.max").read_text().split()
        else:
            time, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(time) / int(period) if int(time) > 0 else None  # -1 is no quota in version 1
    except (OSError, ValueError, ZeroDivisionError):  # no such file; `max` is no number
        return None


def _unescaped(path: str) -> str:
    """A path of `mountinfo`, in which blanks are written in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)
