"""Which of the processes of a run this is, as torchrun or submitit say it in the environment."""

import os
import re

from bnrepro.errors import UserError

FROM_SLURM = (  # numbers that submitit reads
    "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_JOB_NUM_NODES",
)  # fmt: skip

LAST_PORT = 65_535


def rank() -> int:
    """This process's number, from 0."""
    return number("RANK", 0)


def world() -> int:
    """How many processes there are."""
    return number("WORLD_SIZE", 1)


def leads() -> bool:
    """Whether this process decides, evaluates and writes: the first of several, or one alone."""
    return rank() == 0


def number(name: str, default: int) -> int:
    """A whole number that a launcher sets. Raises a UserError for anything else."""
    text = os.environ.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise UserError(f"{name}={text!r}: the environment must have a whole number; unset {name}")
    return int(text)


def check_environment() -> None:
    """Raise a UserError for what launchers set where it is no number or contradicts itself.

    From here on the tasks of a job of submitit's count as the processes that they are.
    """
    names = ["LOCAL_RANK", "LOCAL_WORLD_SIZE", "SLURM_RESTART_COUNT"]
    names += FROM_SLURM if "SUBMITIT_EXECUTOR" in os.environ else ()
    for name in names:
        number(name, 0)
    _adopt_submitit()
    if rank() >= world():
        raise UserError(f"RANK={rank()}, WORLD_SIZE={world()}: ranks go from 0 to WORLD_SIZE − 1")
    needed = ("RANK", "MASTER_ADDR", "MASTER_PORT") if world() > 1 else ()
    if absent := [name for name in needed if name not in os.environ]:
        raise UserError(
            f"WORLD_SIZE={world()} without {', '.join(absent)}: start the processes with torchrun, "
            "or unset WORLD_SIZE"
        )
    if (port := number("MASTER_PORT", 0)) > LAST_PORT:
        raise UserError(f"MASTER_PORT={port}: ports go up to {LAST_PORT}")
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    if not re.fullmatch(r"[1-9][0-9]{0,3}(,[0-9]+)*", threads):  # of each level of nesting
        raise UserError(f"OMP_NUM_THREADS={threads!r}: must be a number of threads; or unset it")


def _adopt_submitit() -> None:
    """The tasks of a job of submitit's find each other as torchrun's processes do."""
    if "SUBMITIT_EXECUTOR" in os.environ and "RANK" not in os.environ:
        from submitit.helpers import TorchDistributedEnvironment

        TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
