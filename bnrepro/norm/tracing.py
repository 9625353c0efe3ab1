"""What a model's forward does with its layers, traced symbolically on a copy."""

import copy
import functools
import inspect
import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from bnrepro.errors import UserError


class Trace(NamedTuple):
    """One symbolic run of a model."""

    code: str  # every operation and the constants in it
    read: dict[str, Tensor]  # parameters, buffers and constants used outside the layers
    changed: set[str]  # modules whose attributes differ from before while they are called, or after
    pairs: list[tuple[str, str]]  # a layer and the layer that alone takes its output, both run once

    def equals(self, other: "Trace") -> bool:
        """Whether both runs do the same with the same numbers."""
        same_reads = self.read.keys() == other.read.keys() and all(
            torch.equal(value, other.read[name]) for name, value in self.read.items()
        )
        return self.code == other.code and same_reads


def copied(model: nn.Module) -> nn.Module:
    """A deep copy that shares no module with the model; raises `UserError` without one."""
    try:
        other = copy.deepcopy(model)
    except Exception as error:  # modules may define how they are copied
        raise UserError(
            f"fold: {type(model).__name__} cannot be copied ({_line(error)}); make pruned weights "
            "permanent (prune.remove) and delete stored activations first"
        ) from error
    if set(model.modules()) & set(other.modules()):
        raise UserError(f"fold: a copy of {type(model).__name__} shares modules with it")
    return other


def trace(model: nn.Module, layers: tuple[type, ...]) -> Trace:
    """Trace the model as it is called with its required arguments alone.

    Args:
        model: is not changed; the trace runs on a copy, because it leaves attributes behind.
        layers: classes whose modules, like those of `torch.nn`, are single steps of the trace.

    Raises:
        UserError: if the model cannot be traced.
    """
    root = _Call(copied(model))
    tracer = _Tracer(root, layers)
    try:
        with torch.random.fork_rng([]):
            graph = tracer.trace(root)
    except Exception as error:  # tracing runs the model's code, which may raise anything
        raise UserError(
            f"fold: torch.fx cannot trace {type(model).__name__} ({_line(error)}); "
            "its forward must not branch on, or assert, values or shapes of tensors, nor call "
            "layers that are not part of it"
        ) from error
    names = {module: name.removeprefix("model.") for name, module in root.named_modules()}
    changed = {names[module] for module in names if tracer.has_changed(module)}
    return Trace(str(graph), dict(_read(root, graph)), changed, list(_pairs(graph)))


class _Call(nn.Module):
    """Calls the model as a user does: its hooks, and a forward set on the instance, take part."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        required = (
            p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
            for p in inspect.signature(model.forward).parameters.values()
        )
        self.count = max(1, sum(required))

    def forward(self, *inputs: Any) -> Any:
        return self.model(*(inputs[i] for i in range(self.count)))


class _Tracer(fx.Tracer):
    def __init__(self, root: nn.Module, layers: tuple[type, ...]) -> None:
        super().__init__()
        self.layers = layers
        self.before = {module: _state(module) for module in root.modules()}
        self.alive = [v for m in root.modules() for v in _attributes(m).values()]  # ids stay theirs
        self.changed: set[nn.Module] = set()

    def has_changed(self, module: nn.Module) -> bool:
        return module in self.changed or self.before.get(module) != _state(module)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if isinstance(m, self.layers):
            return True
        return module_qualified_name != "model" and super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, *rest: Any) -> Any:
        if self.has_changed(m):
            self.changed.add(m)
        return super().call_module(m, *rest)


def _attributes(module: nn.Module) -> dict[str, Any]:
    return {**vars(module), **module._parameters, **module._buffers}


def _state(module: nn.Module) -> dict[str, tuple[int, int]]:
    """Which objects the module's attributes are, and how often tensors were written to."""
    return {name: (id(v), _version(v)) for name, v in _attributes(module).items()}


def _version(value: Any) -> int:
    return value._version if isinstance(value, Tensor) and not value.is_inference() else 0


def _read(root: nn.Module, graph: fx.Graph) -> Iterator[tuple[str, Tensor]]:
    for node in graph.nodes:
        if node.op == "get_attr":
            value = functools.reduce(getattr, node.target.split("."), root)
            if isinstance(value, Tensor):
                yield node.target, value


def _pairs(graph: fx.Graph) -> Iterator[tuple[str, str]]:
    calls = [node for node in graph.nodes if node.op == "call_module"]
    runs = Counter(node.target for node in calls)
    for node in calls:
        sources = node.all_input_nodes
        if len(sources) != 1 or sources[0].op != "call_module" or len(sources[0].users) != 1:
            continue
        if runs[sources[0].target] == runs[node.target] == 1:
            yield tuple(n.target.removeprefix("model.") for n in (sources[0], node))


def _line(error: Exception) -> str:
    return textwrap.shorten(f"{type(error).__name__}: {error}", 160)
