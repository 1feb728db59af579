"""The limits of control groups: trees of files as the kernel shows them, and a real group where there is one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fastnst.base import cgroups
from fastnst.base.cgroups import free_memory, left_in_groups

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
        (self.proc / "cgroup").write_text(own)
        (self.proc / "mountinfo").write_text("\n".join(self.mounts) + "\n")
        return left_in_groups()


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
