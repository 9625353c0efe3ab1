"""Batch normalisation as a layer whose checkpoints interchange with PyTorch's."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from bnrepro.norm.checks import check_count, check_input, check_settings
from bnrepro.norm.functional import Dims, _PaperBatchNorm
from bnrepro.norm.synchronised import several_processes


class BatchNorm(_BatchNorm):
    """Batch normalisation of a layer's inputs, feature by feature.

    Algorithm 1: μ = (1/m) Σ xᵢ;  σ² = (1/m) Σ (xᵢ − μ)²;  x̂ᵢ = (xᵢ − μ)/√(σ² + ε);
    yᵢ = γ x̂ᵢ + β.

    Shapes: with an integer C, (N, C), (N, C, L) or (N, C, H, W), one γ and β per channel and
    m' = m·p·q values per channel (Section 3.2). With a tuple, (N, *num_features), one γ and β per
    activation and m = N: the non-convolutional form of Section 4.2.3. Output shaped like input.

    Training: normalises by the mini-batch (biased variance) and moves the running statistics
    towards it: running ← (1 − momentum)·running + momentum·batch, with the unbiased variance
    m/(m − 1)·σ². Inference: one linear transform with fixed statistics (Algorithm 2, line 11),
    y = γ/√(Var + ε)·x + (β − γ E[x]/√(Var + ε)), so an output depends on its own input alone.
    `population_statistics` replaces the running statistics by Algorithm 2's.

    16-bit inputs are normalised in float32 and returned in their own type. The backward pass is
    the closed form of `normalize_backward`, differentiable once; `engine="torch"` differentiates
    twice.

    Args:
        num_features: C, or the shape of one example for per-activation statistics.
        eps: ε, added to the variance inside the root.
        momentum: weight of the new batch in the running statistics (PyTorch's sense; the paper's
            moving average has 1 − momentum), or None for the plain average over batches.
        sync: in training, use the statistics over the mini-batches of all processes of the
            default group, on CPU too; without a group of several it changes nothing. Every
            process must call the layer equally often. Under `DistributedDataParallel` with losses
            that are means over equal local batches, training equals one process with the whole
            batch; see `_PaperBatchNorm`.
        engine: "paper" for this package's Algorithm 1, "torch" for `F.batch_norm`, the same
            function by PyTorch's kernels.

    Raises:
        NormError: (a ValueError) for a setting out of range; in `forward` for a wrong shape or
            type, and in training for fewer than two values per feature.
    """

    weight: nn.Parameter  # these always exist here, unlike in the base class
    bias: nn.Parameter
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_features: int | tuple[int, ...],
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        sync: bool = False,
        engine: str = "paper",
    ) -> None:
        check_settings(num_features, eps, momentum, sync, engine)
        super().__init__(num_features, eps=eps, momentum=momentum)  # type: ignore[arg-type]
        self.sync = sync
        self.engine = engine

    @property
    def gamma(self) -> Tensor:
        """γ, the learned scale; stored as `weight`, PyTorch's name."""
        return self.weight

    @property
    def beta(self) -> Tensor:
        """β, the learned shift; stored as `bias`, PyTorch's name."""
        return self.bias

    def extra_repr(self) -> str:
        settings = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"
        return f"{settings}, sync={self.sync}, engine={self.engine!r}"

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, C, ...) or (N, *num_features); see the class for both modes."""
        self._check_input_dim(input)
        if self.engine == "torch":
            return self._torch(input)
        return self._train(input) if self.training else self._infer(input)

    def _check_input_dim(self, input: Tensor) -> None:
        check_input(input, self.num_features)
        if self.training and not self._synchronising():
            check_count(input.numel() // self.weight.numel(), tuple(input.shape))

    def _synchronising(self) -> bool:
        return self.sync and several_processes()

    def _train(self, input: Tensor) -> Tensor:
        x = input.to(_statistics_dtype(input))
        gamma, beta = self._broadcast(self.weight, x), self._broadcast(self.bias, x)
        sync = self._synchronising()
        y, mean, var, m = _PaperBatchNorm.apply(x, gamma, beta, self._dims(x), self.eps, sync)
        check_count(m, tuple(input.shape))  # synchronised batches are only counted now
        self._update_running(mean, var, m)
        return y.to(input.dtype)

    def _infer(self, input: Tensor) -> Tensor:
        x = input.to(_statistics_dtype(input))
        scale = self.weight.to(x.dtype) * (self.running_var.to(x.dtype) + self.eps).rsqrt()
        shift = self.bias.to(x.dtype) - self.running_mean.to(x.dtype) * scale
        return (x * self._broadcast(scale, x) + self._broadcast(shift, x)).to(input.dtype)

    def _torch(self, input: Tensor) -> Tensor:
        momentum = self._next_momentum() if self.training else 0.0
        mean, var, gamma, beta = self.running_mean, self.running_var, self.weight, self.bias
        if isinstance(self.num_features, int):
            return F.batch_norm(input, mean, var, gamma, beta, self.training, momentum, self.eps)
        # Per activation, each activation is a channel of its own.
        each = [v.view(-1) for v in (mean, var, gamma, beta)]
        y = F.batch_norm(input.flatten(1), *each, self.training, momentum, self.eps)
        return y.view_as(input)

    def _dims(self, x: Tensor) -> Dims:
        return (0,) if isinstance(self.num_features, tuple) else (0, *range(2, x.ndim))

    def _broadcast(self, values: Tensor, x: Tensor) -> Tensor:
        """Values per feature, shaped and typed to meet `x`."""
        after = 0 if isinstance(self.num_features, tuple) else x.ndim - 2
        return values.to(x.dtype).view(1, *values.shape, *[1] * after)

    @torch.no_grad()
    def _update_running(self, mean: Tensor, var: Tensor, m: int) -> None:
        weight = self._next_momentum()
        for running, new in ((self.running_mean, mean), (self.running_var, var * (m / (m - 1)))):
            running.lerp_(new.view_as(running).to(running.dtype), weight)

    def _next_momentum(self) -> float:
        """Count the mini-batch and give its weight in the running statistics."""
        self.num_batches_tracked.add_(1)
        return 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum


def _statistics_dtype(x: Tensor) -> torch.dtype:
    return torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
