"""The limits of control groups: trees of files as the kernel shows them, and a real group where there is one."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fastnst.base import cgroups
from fastnst.base.cgroups import (
    cores_in_groups,
    free_memory,
    keep_threads_within_quota,
    left_in_groups,
    threads_of_torch,
    usable_cores,
)

GIB = 2**30
V1, V2 = "memory.limit_in_bytes memory.usage_in_bytes total_inactive_file", "memory.max memory.current inactive_file"
NONE = 9223372036854771712  # how version 1 writes that there is no limit
REAL = Path("/sys/fs/cgroup/memory")


def test_free_memory_is_what_the_groups_leave_if_that_is_less_than_the_system_has(monkeypatch) -> None:
    monkeypatch.setattr(cgroups, "left_in_groups", lambda: 3500)
    assert free_memory() == 3500
    monkeypatch.setattr(cgroups, "left_in_groups", lambda: None)
    assert 2**20 < free_memory() < psutil.virtual_memory().total
    monkeypatch.setattr(cgroups, "left_in_groups", lambda: 2**60)
    assert free_memory() < psutil.virtual_memory().total


class Machine:
    """A machine's files of control groups, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.proc = folder, folder / "proc"
        self.proc.mkdir()
        self.mounts = ["24 1 8:1 / / rw - ext4 /dev/root rw"]

    def mount(self, place: str, root: str, system: str) -> None:
        """Mount a hierarchy; blanks are written as the kernel writes them."""
        where = str(self.folder / place).replace(" ", "\\040")
        self.mounts.append(f"35 31 0:32 {root} {where} rw,relatime shared:9 - {system}")

    def group(self, place: str, names: str, limit: object, used: int, cached: int = 0) -> None:
        """A group with its limit, what is used of it, and the files in memory."""
        folder = self.folder / place
        folder.mkdir(parents=True, exist_ok=True)
        limits, usage, inactive = names.split()
        (folder / limits).write_text(f"{limit}\n")
        (folder / usage).write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"rss 1\n{inactive} {cached}\n")

    def left(self, own: str) -> int | None:
        """What is left to a process with these groups."""
        self.has(own)
        return left_in_groups()

    def has(self, own: str) -> None:
        """The process is in these groups."""
        (self.proc / "cgroup").write_text(own)
        (self.proc / "mountinfo").write_text("\n".join(self.mounts) + "\n")

    def quota(self, place: str, **files: object) -> None:
        """A group with the files of its quota: `max` of version 2, or `cfs_quota_us` and `cfs_period_us`."""
        folder = self.folder / place
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / f"cpu.{name}").write_text(f"{text}\n")


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(cgroups, "PROC", made.proc)
    return made


def test_version_2_has_the_own_group_and_those_around_it(machine) -> None:
    machine.mount("cg", "/", "cgroup2 cgroup2 rw,nsdelegate")
    machine.group("cg/pod", V2, 2 * GIB, GIB, 1000)
    machine.group("cg/pod/job", V2, "max", GIB // 2)
    machine.group("cg/other", V2, 1, 1)
    assert machine.left("0::/pod/job\n") == GIB + 1000
    machine.group("cg/pod/job", V2, GIB, GIB // 2, 500)
    assert machine.left("0::/pod/job\n") == GIB // 2 + 500
    assert machine.left("0::/\n") is None


def test_version_2_slows_a_process_down_above_high(machine) -> None:
    machine.mount("cg", "/", "cgroup2 cgroup2 rw")
    machine.group("cg/job", V2, 3 * GIB, GIB)
    (machine.folder / "cg/job/memory.high").write_text(f"{2 * GIB}\n")
    assert machine.left("0::/job\n") == GIB


def test_version_1_has_the_own_group_and_those_around_it(machine) -> None:
    machine.mount("a disk/memory", "/", "cgroup cgroup rw,memory")
    machine.mount("cpu", "/", "cgroup cgroup rw,cpu,cpuacct")
    machine.group("a disk/memory", V1, NONE, 9 * GIB)
    machine.group("a disk/memory/slice", V1, 2 * GIB, GIB, 700)
    machine.group("a disk/memory/slice/job", V1, 3 * GIB, GIB // 4)
    own = "9:name=systemd:/\n4:memory:/slice/job\n1:cpu,cpuacct:/\n0::/\n"
    assert machine.left(own) == GIB + 700
    machine.group("a disk/memory/slice/job", V1, GIB, GIB // 4)
    assert machine.left(own) == GIB - GIB // 4


def test_a_group_without_a_limit_leaves_more_than_any_machine_has(machine) -> None:
    machine.mount("memory", "/", "cgroup cgroup rw,memory")
    machine.group("memory", V1, NONE, GIB)
    assert (left := machine.left("4:memory:/\n")) and left > 2**60


@pytest.mark.parametrize("own", ["/docker/0a1b", "/", "/../../elsewhere", "/elsewhere"])
def test_a_container_sees_its_own_group_where_it_is_mounted(machine, own) -> None:
    machine.mount("memory", "/docker/0a1b", "cgroup cgroup rw,memory")
    machine.group("memory", V1, GIB, 1000)
    assert machine.left(f"4:memory:{own}\n") == GIB - 1000


@pytest.mark.parametrize(("root", "own"), [("/", "/"), ("/pod/0a1b", "/pod/0a1b"), ("/", "/../other"), ("/../..", "/")])
def test_so_does_one_of_version_2(machine, root, own) -> None:
    machine.mount("cg", root, "cgroup2 cgroup rw,nsdelegate")
    machine.group("cg", V2, GIB, 1000, 300)
    assert machine.left(f"0::{own}\n") == GIB - 1000 + 300


def test_more_used_than_allowed_leaves_nothing(machine) -> None:
    machine.mount("cg", "/", "cgroup2 cgroup2 rw")
    machine.group("cg/job", V2, 6000, 7000, 500)
    assert machine.left("0::/job\n") == 0


def test_both_versions_at_once_count(machine) -> None:
    machine.mount("unified", "/", "cgroup2 cgroup2 rw")
    machine.mount("memory", "/", "cgroup cgroup rw,memory")
    (machine.folder / "unified").mkdir()  # without the controller, as where version 1 has it
    machine.group("memory/job", V1, GIB, 0)
    assert machine.left("4:memory:/job\n0::/job\n") == GIB


@pytest.mark.parametrize("missing", ["cgroup", "mountinfo", "both"])
def test_where_there_are_no_groups_there_is_no_limit(machine, missing) -> None:
    for name in {"cgroup", "mountinfo"} - ({missing} if missing != "both" else {"cgroup", "mountinfo"}):
        (machine.proc / name).write_text("")
    assert left_in_groups() is None


def test_broken_files_of_a_group_are_no_limit(machine) -> None:
    machine.mount("cg", "/", "cgroup2 cgroup2 rw")
    machine.group("cg/job", V2, 1000, 10)
    (machine.folder / "cg/job/memory.current").unlink()
    assert machine.left("0::/job\n") is None


def test_the_cores_of_version_2_are_those_of_the_tightest_quota_rounded_up(machine, monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    machine.mount("cg", "/", "cgroup2 cgroup2 rw,nsdelegate")
    machine.quota("cg/pod", max="250000 100000")
    machine.quota("cg/pod/job", max="max 100000")
    machine.quota("cg/other", max="1000 100000")
    machine.has("0::/pod/job\n")
    assert (cores_in_groups(), usable_cores()) == (2.5, 3)
    machine.quota("cg/pod/job", max="20000 50000")
    assert (cores_in_groups(), usable_cores()) == (0.4, 1)
    machine.has("0::/\n")
    assert (cores_in_groups(), usable_cores()) == (None, 8)


def test_the_cores_of_version_1_are_those_of_the_tightest_quota_rounded_up(machine, monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    machine.mount("cpu,cpuacct", "/", "cgroup cgroup rw,cpu,cpuacct")
    machine.mount("memory", "/", "cgroup cgroup rw,memory")
    machine.mount("cpuset", "/", "cgroup cgroup rw,cpuset")
    machine.quota("cpu,cpuacct", cfs_quota_us=-1, cfs_period_us=100000)
    machine.quota("cpu,cpuacct/slice", cfs_quota_us=400000, cfs_period_us=100000)
    machine.quota("cpu,cpuacct/slice/job", cfs_quota_us=-1, cfs_period_us=100000)
    machine.quota("cpuset/slice/job", cfs_quota_us=1, cfs_period_us=100000)
    machine.has("9:cpuset:/slice/job\n4:memory:/\n1:cpu,cpuacct:/slice/job\n")
    assert (cores_in_groups(), usable_cores()) == (4.0, 4)
    machine.quota("cpu,cpuacct/slice/job", cfs_quota_us=150000, cfs_period_us=100000)
    assert (cores_in_groups(), usable_cores()) == (1.5, 2)


def test_a_quota_above_the_affinity_or_that_cannot_be_read_takes_no_core_away(machine, monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5})
    machine.mount("cg", "/", "cgroup2 cgroup2 rw")
    machine.quota("cg/job", max="800000 100000")
    machine.has("0::/job\n")
    assert usable_cores() == 2
    for broken in ("", "many", "100000", "100000 0", "1 2 3", "-5 100000"):
        machine.quota("cg/job", max=broken)
        assert (cores_in_groups(), usable_cores()) == (None, 2), broken
    (machine.proc / "cgroup").unlink()
    assert usable_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")  # not Linux
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores() == 6


def test_threads_are_kept_within_a_quota_unless_somebody_has_said_how_many(machine, monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    machine.mount("cg", "/", "cgroup2 cgroup2 rw")
    machine.has("0::/job\n")
    machine.quota("cg/job", max="max 100000")
    monkeypatch.delenv("OMP_NUM_THREADS")
    keep_threads_within_quota()
    assert "OMP_NUM_THREADS" not in os.environ
    machine.quota("cg/job", max="200000 100000")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    keep_threads_within_quota()
    assert os.environ["OMP_NUM_THREADS"] == "5"
    monkeypatch.delenv("OMP_NUM_THREADS")
    keep_threads_within_quota()
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_without_torch_its_threads_are_as_many_as_cores_unless_somebody_has_said_how_many(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 5})
    monkeypatch.setattr(cgroups, "CPUS", tmp_path)
    for each, siblings in {0: "0,4", 1: "1,5", 4: "0,4", 5: "1,5"}.items():
        (tmp_path / f"cpu{each}/topology").mkdir(parents=True)
        (tmp_path / f"cpu{each}/topology/thread_siblings_list").write_text(f"{siblings}\n")
    assert threads_of_torch() == 2
    monkeypatch.setattr(cgroups, "CPUS", tmp_path / "nowhere")
    assert threads_of_torch() == 3
    for asked, threads in {"7": 7, "5,2": 5, "": 3, "0": 3, "many": 3}.items():
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert threads_of_torch() == threads, asked


def test_torch_takes_as_many_threads_as_were_told_before() -> None:
    code = "from fastnst.base.cgroups import threads_of_torch as n; before = n(); import torch; print(before, n())"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    before, after = done.stdout.split()
    assert before == after


def test_the_command_takes_as_many_threads_as_its_quota_leaves_cores(machine) -> None:
    machine.mount("cg", "/", "cgroup2 cgroup2 rw")
    machine.quota("cg/job", max="100000 100000")
    machine.has("0::/job\n")
    code = f"""
import os, pathlib
os.sched_getaffinity = lambda _: set(range(8))
from fastnst.base import cgroups
cgroups.PROC = pathlib.Path({str(machine.proc)!r})
from fastnst.cli import main
main(["info", "--devices", "--json"])
"""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    facts = json.loads(done.stdout)
    assert (facts["cores"], facts["torch threads"]) == (1, 1)


@pytest.fixture
def real_group() -> Iterator[Path]:
    """A group of this machine with a limit of 1 GiB, inside of this process's own."""
    if not os.access(REAL, os.W_OK):
        pytest.skip("no control groups of version 1 that may be made here")
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    own = next(line.split(":", 2)[2] for line in groups if ":memory:" in line)
    folder = REAL / own.lstrip("/") / f"fastnst_test_{os.getpid()}"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text(str(GIB))
    yield folder
    folder.rmdir()


def test_a_process_in_a_real_group_finds_its_limit(real_group) -> None:
    joining = f"import os; open('{real_group}/cgroup.procs', 'w').write(str(os.getpid()))"
    asking = "from fastnst.base.cgroups import left_in_groups; print(left_in_groups())"
    done = subprocess.run([sys.executable, "-c", f"{joining}; {asking}"], capture_output=True, text=True, check=True)
    assert GIB - 100 * 2**20 < int(done.stdout) <= GIB


@pytest.fixture
def real_group_of_version_2() -> Iterator[Path]:
    """A group of this machine, inside of the top one; with a limit of 1 GiB where version 2 has the memory."""
    mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line)
    top = next((Path(words[4]) for words in mounts), None)
    if top is None or not os.access(top, os.W_OK):
        pytest.skip("no control groups of version 2 that may be made here")
    folder = top / f"fastnst_test_{os.getpid()}"
    folder.mkdir()
    if (folder / "memory.max").exists():
        (folder / "memory.max").write_text(str(GIB))
    yield folder
    folder.rmdir()


def test_a_process_in_a_real_group_of_version_2_finds_it(real_group_of_version_2) -> None:
    folder = real_group_of_version_2
    joining = f"import os; open('{folder}/cgroup.procs', 'w').write(str(os.getpid()))"
    asking = (
        "from fastnst.base.cgroups import _groups, _left; print([(str(f), _left(f, v)) for v, f in _groups('memory')])"
    )
    done = subprocess.run([sys.executable, "-c", f"{joining}; {asking}"], capture_output=True, text=True, check=True)
    found = dict(ast.literal_eval(done.stdout))
    assert str(folder) in found and str(folder.parent) in found
    if (folder / "memory.max").exists():
        assert GIB - 100 * 2**20 < found[str(folder)] <= GIB
