"""Batch normalisation as a layer whose checkpoints interchange with PyTorch's."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from bnrepro.norm.autograd import paper_batch_norm
from bnrepro.norm.checks import check_count, check_input, check_settings, feature_sizes
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
    y = γ/√(Var + ε)·(x − E[x]) + β, so an output depends on its input alone.
    `population_statistics` replaces the running statistics by Algorithm 2's. As in PyTorch's
    layers, `track_running_stats = False` leaves them as they are, and without any (None) the
    mini-batch normalises in both modes.

    16-bit inputs are normalised in float32 and returned in their type. The backward pass is
    the closed form of `normalize_backward`. `torch.func` transforms the layer (grad, jvp, vmap,
    jacrev, jacfwd), and it can be differentiated any number of times.

    Accuracy far from zero is that of `normalize`: for float32 values with a mean of up to 10⁷
    standard deviations, the variance, y and ∂ℓ/∂x are within 16 machine epsilons of the variance,
    the largest y and the largest γ/√(σ² + ε) ∂ℓ/∂y. `engine="torch"` has no such bound.

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
            type, and for fewer than two values per feature where the mini-batch normalises.
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
        check_settings(eps, momentum, sync, engine)
        sizes = feature_sizes(num_features)
        super().__init__(sizes, eps=eps, momentum=momentum)  # type: ignore[arg-type]
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
        return self._by_batch(input) if self._uses_batch() else self._infer(input)

    def _check_input_dim(self, input: Tensor) -> None:
        check_input(input, self.num_features)
        if self._uses_batch() and not self._synchronising():
            check_count(input.numel() // self.weight.numel(), tuple(input.shape))

    def _uses_batch(self) -> bool:
        return self.training or self.running_mean is None

    def _tracks(self) -> bool:
        return self.training and self.track_running_stats and self.running_mean is not None

    def _synchronising(self) -> bool:
        return self.sync and self.training and several_processes()

    def _by_batch(self, input: Tensor) -> Tensor:
        x = input.to(_statistics_dtype(input))
        gamma, beta = self._broadcast(self.weight, x), self._broadcast(self.bias, x)
        dims = (0,) if self._per_activation() else (0, *range(2, x.ndim))
        sync = self._synchronising()
        y, _, mean, var, _, m = paper_batch_norm(x, gamma, beta, dims, self.eps, sync)
        check_count(m, tuple(input.shape))  # synchronised batches are only counted now
        if self._tracks():
            self._update_running(mean, var, m)
        return y.to(input.dtype)

    def _infer(self, input: Tensor) -> Tensor:
        x = input.to(_statistics_dtype(input))
        scale = self.weight.to(x.dtype) * (self.running_var.to(x.dtype) + self.eps).rsqrt()
        # The mean first: x·scale and mean·scale would both be rounded where they nearly cancel.
        centred = x - self._broadcast(self.running_mean, x)
        y = centred * self._broadcast(scale, x) + self._broadcast(self.bias, x)
        return y.to(input.dtype)

    def _torch(self, input: Tensor) -> Tensor:
        tracks, by_batch = self._tracks(), self._uses_batch()
        rest = (by_batch, self._next_momentum() if tracks else 0.0, self.eps)
        used = tracks or not by_batch
        mean, var = (self.running_mean, self.running_var) if used else (None, None)
        gamma, beta = self.weight, self.bias
        if not self._per_activation():
            return F.batch_norm(input, mean, var, gamma, beta, *rest)
        # Per activation, each activation is one channel.
        mean, var = (None if v is None else v.view(-1) for v in (mean, var))
        y = F.batch_norm(input.flatten(1), mean, var, gamma.view(-1), beta.view(-1), *rest)
        return y.view_as(input)

    def _per_activation(self) -> bool:
        return isinstance(self.num_features, tuple)

    def _broadcast(self, values: Tensor, x: Tensor) -> Tensor:
        """Values per feature, shaped and typed to meet `x`."""
        after = 0 if self._per_activation() else x.ndim - 2
        return values.to(x.dtype).view(1, *values.shape, *[1] * after)

    @torch.no_grad()
    def _update_running(self, mean: Tensor, var: Tensor, m: int) -> None:
        weight = self._next_momentum()
        for running, new in ((self.running_mean, mean), (self.running_var, var * (m / (m - 1)))):
            moved = running.lerp(new.view_as(running).to(running.dtype), weight)
            running.copy_(moved)  # not lerp_, which vmap does slowly

    def _next_momentum(self) -> float:
        """Count the mini-batch and give its weight in the running statistics."""
        self.num_batches_tracked.add_(1)
        return 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum


def _statistics_dtype(x: Tensor) -> torch.dtype:
    return torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
