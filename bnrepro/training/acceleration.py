"""What makes an update quick on a GPU and leaves its numbers what they are, up to rounding."""

import contextlib
import shutil
from collections.abc import Callable, Hashable, Iterator

import torch
from torch import Tensor, nn

from bnrepro.config.images import ImageConfig
from bnrepro.errors import UserError

Update = Callable[[Tensor, Tensor], Tensor]  # of images and labels; returns the loss
WARM_UP = 3  # updates before one is recorded


def precision(cfg: ImageConfig, device: torch.device) -> torch.autocast:
    """With bf16 convolutions and products are in bfloat16; weights and BN's statistics are not."""
    return torch.autocast(device.type, torch.bfloat16, enabled=cfg.precision == "bf16")


def compiled(network: nn.Module) -> nn.Module:
    """Raises UserError where torch.compile has no compiler to work with."""
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise UserError("compile=true: needs a C++ compiler on the path; install one or leave it")
    torch._inductor.config.fallback_random = True  # Dropout drops what it drops uncompiled
    return torch.compile(network)  # type: ignore[return-value]


@contextlib.contextmanager
def enough_memory(cfg: ImageConfig) -> Iterator[None]:
    """One line for a device that is out of memory."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"the device is out of memory ({str(error).split('.')[0]}); lower optim.batch="
            f"{cfg.optim.batch} (with more processes to make up for it) or model.width="
            f"{cfg.model.width:g}, or use precision=bf16; what was recorded is kept"
        ) from error


def graphed(cfg: ImageConfig, device: torch.device) -> bool:
    """Whether updates are replayed as a CUDA graph: on one GPU alone, where it is asked for."""
    return cfg.cuda_graphs and device.type == "cuda" and cfg.processes == 1


class GraphedUpdate:
    """An update that is recorded once as a CUDA graph and then replayed, its kernels as one launch.

    The first WARM_UP updates are made as they are, on a side stream, as recording demands: they
    create the optimiser's buffers and let the libraries choose their algorithms. Recording itself
    computes nothing. The update must read nothing but tensors that stay where they are, the rate
    included, and must leave no gradients behind.

    Args:
        update: what is recorded.
        kind: says before each update of which kind it is. A kind reads and writes the same tensors
            every time, and has a graph of its own: replicas have one each.
    """

    def __init__(self, update: Update, kind: Callable[[], Hashable] = lambda: None) -> None:
        self.update, self.kind, self.made = update, kind, 0
        self.graphs: dict[Hashable, torch.cuda.CUDAGraph] = {}
        self.losses: dict[Hashable, Tensor] = {}

    def __call__(self, x: Tensor, labels: Tensor) -> Tensor:
        if self.made < WARM_UP:
            self.made += 1
            return self._aside(x, labels)
        kind = self.kind()
        if kind not in self.graphs:
            self._record(kind, x, labels)
        self.x.copy_(x)
        self.labels.copy_(labels)
        self.graphs[kind].replay()
        return self.losses[kind].clone()

    def _aside(self, x: Tensor, labels: Tensor) -> Tensor:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            loss = self.update(x, labels)
        torch.cuda.current_stream().wait_stream(side)
        return loss

    def _record(self, kind: Hashable, x: Tensor, labels: Tensor) -> None:
        if not self.graphs:
            self.x, self.labels = x.clone(), labels.clone()
            self.pool = torch.cuda.graph_pool_handle()  # graphs never run at the same time
        graph = torch.cuda.CUDAGraph()
        # other threads, a DataLoader's say, may use the device meanwhile
        with torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"):
            self.losses[kind] = self.update(self.x, self.labels)
        self.graphs[kind] = graph
