"""Data-parallel processes, as torchrun or submitit start them.

    torchrun --nproc_per_node=2 -m experiments.… [overrides]

Each process trains a replica on its own part of every mini-batch, and gradients are averaged. The
first process alone evaluates, records, saves and holds the lock. Without a launcher there is one
process, and nothing here does anything.
"""

import atexit
import contextlib
import copy
import datetime
import gc
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from bnrepro.errors import UserError
from bnrepro.run.ranks import leads, rank, world

T = TypeVar("T")
PATIENCE = datetime.timedelta(hours=1)  # of the others, while the first process evaluates


def join(device: torch.device, expected: int) -> int:
    """Join the processes this one was started with; returns how many there are.

    They stay together until this process ends, over several runs. `expected` is what the config
    says: 1 (unsaid) or the number that must have been started. nccl on GPUs, a GPU a process;
    gloo on CPU.
    """
    if expected not in (1, world()):
        raise UserError(
            f"processes={expected}: started were {world()}; the launch decides: torchrun "
            f"--nproc_per_node={expected} -m experiments.…"
        )
    if world() == 1 or dist.is_initialized():
        return world()
    if device.type == "cuda":
        _take_gpu(int(os.environ.get("LOCAL_RANK", 0)))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    atexit.register(_leave)
    return world()


def _leave() -> None:
    gc.collect()  # replicas that are garbage would keep the group's threads beyond the exit
    dist.destroy_process_group()


def _take_gpu(place: int) -> None:
    if place >= torch.cuda.device_count():
        raise UserError(
            f"process {place + 1} of this machine finds {torch.cuda.device_count()} GPUs; start "
            "at most one process a GPU, or use device=cpu"
        )
    torch.cuda.set_device(place)


@contextlib.contextmanager
def together() -> Iterator[None]:
    """When another process is lost, say so in one line instead of in the backend's words. None
    leaves before the first has recorded everything."""
    try:
        yield
        if world() > 1:
            dist.barrier()
    except RuntimeError as error:
        if world() == 1 or not (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise
        raise UserError(
            f"process {rank()} of {world()}: another process of this run is gone; checkpoint and "
            f"record are kept: run the same command again, with {world()} processes, to resume"
        ) from error


def decided(decide: Callable[[], T]) -> T:
    """What the first process decides, on all; a UserError of its too."""
    box: list[Any] = [None]
    if leads():
        try:
            box = [decide()]
        except UserError as error:
            box = [error]
    if dist.is_initialized():
        dist.broadcast_object_list(box)
    if isinstance(box[0], UserError):
        raise box[0]
    return cast(T, box[0])


def agree(**facts: object) -> None:
    """Raise a UserError unless all processes have the same facts, e.g. the hash of their data."""
    each = [facts] * world()
    if dist.is_initialized():
        dist.all_gather_object(each, facts)
    if differing := [k for k in facts if any(other[k] != facts[k] for other in each)]:
        raise UserError(
            f"process {rank()} of {world()}: the processes have different {', '.join(differing)}: "
            "start them with the same command, on the same data"
        )


def averaged(values: Tensor) -> Tensor:
    """The mean over processes, the same on all."""
    if world() > 1:
        dist.all_reduce(values)
        values /= world()
    return values


def united(names: set[str]) -> set[str]:
    """What any of the processes has, the same on all."""
    each: list[set[str]] = [names] * world()
    if world() > 1:
        dist.all_gather_object(each, names)
    return set().union(*each)


def parallel(network: nn.Module, images: Callable[[], Tensor]) -> nn.Module:
    """The network with gradients averaged over processes; moving averages are the first one's.

    A pass over `images`, without consequences, shows torch in which order gradients come. It would
    else add up the first update's in another order than the later ones', and a resumed run, whose
    first update is a later one, would differ in the last bit.
    """
    if world() == 1:
        return network
    before = copy.deepcopy(network.state_dict())
    replica = DistributedDataParallel(network)
    replica(images()).sum().backward()
    network.zero_grad()
    network.load_state_dict(before)
    return replica
