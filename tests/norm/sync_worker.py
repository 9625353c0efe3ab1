"""What each of the two processes of `test_sync.py` runs; its results go to a file."""

import datetime
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.func import grad, jvp, vmap

from bnrepro.norm import BatchNorm

WORLD = 2
PARTS = {"unequal": (5, 2), "single examples": (1, 1), "an empty process": (3, 0)}


def draw(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def layer(sync: bool, features: int | tuple[int, ...]) -> BatchNorm:
    norm = BatchNorm(features, momentum=0.3, sync=sync).double()
    with torch.no_grad():
        norm.weight.copy_(1 + 0.3 * draw(norm.weight.shape, 11))
        norm.bias.copy_(draw(norm.bias.shape, 12))
    return norm


def pass_through(norm: BatchNorm, x: torch.Tensor, dy: torch.Tensor) -> dict[str, torch.Tensor]:
    x = x.clone().requires_grad_()
    y = norm(x)
    y.backward(dy)
    assert x.grad is not None
    result = {"y": y.detach(), "dx": x.grad}
    result |= {"dgamma": norm.weight.grad, "dbeta": norm.bias.grad}
    return result | {name: value.clone() for name, value in norm.named_buffers()}


def network(sync: bool) -> nn.Sequential:
    torch.manual_seed(0)
    hidden = (nn.Linear(3, 6), BatchNorm(6, sync=sync), nn.Sigmoid())
    more = (nn.Linear(6, 6), BatchNorm((6,), sync=sync), nn.Sigmoid(), nn.Linear(6, 1))
    return nn.Sequential(*hidden, *more).double()


def train(model: nn.Module, parts: list[torch.Tensor], processes: int = 1) -> None:
    """Gradient steps on the mean loss of one part each.

    Gradients are averaged over the processes, which is what DistributedDataParallel does; its
    constructor alone would take several seconds here (it imports torch's compiler).
    """
    for part in parts:
        model.zero_grad()
        (model(part) - part.sum(1, keepdim=True)).square().mean().backward()
        for parameter in model.parameters():
            assert parameter.grad is not None
            if processes > 1:
                dist.all_reduce(parameter.grad)
            parameter.data -= 0.5 * parameter.grad / processes


def single_value(rank: int) -> str:
    try:
        layer(True, 3)(torch.zeros(1 - rank, 3, dtype=torch.float64))
    except ValueError as error:
        return str(error)
    return "accepted"


def far_from_zero() -> torch.Tensor:
    """Feature maps whose two halves differ in their means too."""
    x = 1e6 + draw((40, 3, 5, 5), 7)
    return torch.cat([x[:20], 4 + x[20:]]).float()


def derivatives(norm: BatchNorm, x: torch.Tensor, v: torch.Tensor) -> dict[str, torch.Tensor]:
    """Of a penalty on the gradient; forward ones; those of two batches mapped over."""
    norm.track_running_stats = False
    x = x.clone().requires_grad_()
    (dx,) = torch.autograd.grad(norm(x).pow(3).sum(), x, create_graph=True)
    dx.square().sum().backward()
    assert x.grad is not None
    assert norm.weight.grad is not None
    result = {"second": x.grad, "second of γ": norm.weight.grad}
    result["forward"] = jvp(norm, (x.detach(),), (v,))[1]
    pairs = torch.stack([x.detach(), v])
    result["mapped"] = vmap(grad(lambda x: norm(x).pow(3).sum()))(pairs).movedim(1, 0)
    return {name: value.detach() for name, value in result.items()}


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=WORLD,
        timeout=datetime.timedelta(seconds=60),
    )
    results: dict = {}
    for name, sizes in PARTS.items():
        for features in (4, (4, 3, 2)):
            shape = (sum(sizes), 4, 3, 2)
            x, dy = (draw(shape, seed).split(sizes)[rank] for seed in (1, 2))
            results[name, features] = pass_through(layer(True, features), x, dy)
    if rank == 0:  # a collective here would wait for the other process and time out
        results["eval"] = layer(True, 4).eval()(draw((2, 4), 3)).detach()
    results["single value"] = single_value(rank)
    far = BatchNorm(3, momentum=1, sync=True)
    results["far from zero"] = far(far_from_zero().chunk(WORLD)[rank]).detach(), far.running_var
    x, v = (draw((7, 4, 2), seed).split(PARTS["unequal"])[rank] for seed in (1, 2))
    results["derivatives"] = derivatives(layer(True, 4), x, v)
    model = network(sync=True)
    steps = [draw((8, 3), seed).chunk(WORLD)[rank] for seed in range(3)]
    train(model, steps, WORLD)
    results["trained"] = model.state_dict()
    torch.save(results, Path(folder) / f"rank-{rank}.pt")
    dist.destroy_process_group()
