"""The processes of a distributed run: which one this is, and whether as many were started as the settings say.

torchrun and SLURM start all of them; otherwise Lightning starts those of one machine. All three number them in the
environment. Imports neither torch nor anything that does.
"""

import os

from fastnst.base.errors import TrainingError


def is_first_process() -> bool:
    """Whether this is the first process of a run, which alone writes files and speaks."""
    if by_slurm():
        return os.environ["SLURM_PROCID"] == "0"
    local, node = os.environ.get("LOCAL_RANK", "0"), os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", "0"))
    return local == node == "0"


def by_torchrun() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def by_slurm() -> bool:
    """Whether `srun` started this process, unless from a shell of an interactive job."""
    inside = not by_torchrun() and {"SLURM_STEP_ID", "SLURM_NTASKS", "SLURM_PROCID"} <= os.environ.keys()
    return inside and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")


def check_processes(devices: int, num_nodes: int) -> None:
    """Refuse settings for other processes than were started.

    Raises:
        TrainingError: Each of them would train alone, or wait for those that never come.
    """
    starter, *started = _started()
    if not starter and num_nodes > 1 and "MASTER_ADDR" not in os.environ:
        raise TrainingError(f"--num-nodes {num_nodes} needs torchrun or srun, which start fastnst on every machine")
    if starter and started != [devices, num_nodes]:
        raise TrainingError(
            f"{starter} started {started[0]} processes on each of {started[1]} machines: expected "
            f"--devices {started[0]} --num-nodes {started[1]}, got --devices {devices} --num-nodes {num_nodes}"
        )


def check_alone() -> None:
    """Refuse to be one of several processes, for commands that train in one.

    Raises:
        TrainingError: torchrun or SLURM started several.
    """
    starter, devices, nodes = _started()
    if devices * nodes > 1:
        raise TrainingError(f"this command trains in one process, and {starter} started {devices * nodes}")


def _started() -> tuple[str, int, int]:
    """What started the processes, if anything did, their number on each machine, and the number of machines."""
    found = dict(os.environ)
    if by_torchrun():
        of_machine = int(found["LOCAL_WORLD_SIZE"])
        return "torchrun", of_machine, int(found["WORLD_SIZE"]) // of_machine
    if by_slurm():
        processes, nodes = int(found["SLURM_NTASKS"]), int(found.get("SLURM_NNODES", "1"))
        if processes > 1 and "SLURM_NTASKS_PER_NODE" not in found:
            raise TrainingError("srun needs --ntasks-per-node in place of --ntasks")  # Lightning does
        return "srun", processes // nodes, nodes
    return "", 1, 1
