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
    found = dict(os.environ)
    if by_torchrun():
        of_machine = int(found["LOCAL_WORLD_SIZE"])
        started, starter = (of_machine, int(found["WORLD_SIZE"]) // of_machine), "torchrun"
    elif by_slurm():
        nodes = int(found.get("SLURM_STEP_NUM_NODES") or found.get("SLURM_NNODES", "1"))
        started, starter = (int(found["SLURM_NTASKS"]) // nodes, nodes), "srun"
    elif num_nodes > 1 and "MASTER_ADDR" not in found:
        raise TrainingError(f"--num-nodes {num_nodes} needs torchrun or srun, which start fastnst on every machine")
    else:
        return
    if started != (devices, num_nodes):
        raise TrainingError(
            f"{starter} started {started[0]} processes on each of {started[1]} machines: expected "
            f"--devices {started[0]} --num-nodes {started[1]}, got --devices {devices} --num-nodes {num_nodes}"
        )
