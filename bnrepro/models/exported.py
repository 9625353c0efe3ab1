"""A trained network as one file, `.safetensors`: weights, statistics, shape, class names, config.

    from bnrepro.models import load
    network = load("bn_x5.safetensors")     # in eval mode; network(2 * images - 1) gives logits

The images are (N, C, side, side) in [0, 1]; `network.spec` has C (`channels`) and `side`,
`network.class_names` the classes in the order of the logits.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from bnrepro.errors import UserError
from bnrepro.files import expand, write_atomically
from bnrepro.models.inception import Inception, InceptionSpec

ENDING = ".safetensors"


def export(network: Inception, path: Path, **about: Any) -> None:
    """Write the network, its shape, its class names and what else there is to say as JSON."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    texts = {"spec": dataclasses.asdict(network.spec), "class_names": network.class_names, **about}
    metadata = {name: json.dumps(value) for name, value in texts.items()}
    write_atomically(path, save(tensors, metadata=metadata))


def load(path: str | Path) -> Inception:
    """The network of a file that `export` wrote, in eval mode. Raises a UserError for others."""
    file = _opened(expand(path))
    about = read_about(path)
    network = restore(about["spec"], {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    network.class_names = about["class_names"]
    return network


def restore(spec: Mapping[str, Any], state: Mapping[str, Any]) -> Inception:
    """The network of that shape with these weights and statistics, in eval mode."""
    network = Inception(InceptionSpec(**spec))
    network.load_state_dict(state)
    return network.eval()


def read_about(path: str | Path) -> dict[str, Any]:
    """What a file says of its network: `spec`, `class_names`, `config` and more."""
    about = _opened(expand(path)).metadata() or {}
    if not {"spec", "class_names"} <= about.keys():
        raise UserError(f"{path}: holds no network of this project; make one with make export")
    return {name: json.loads(text) for name, text in about.items()}


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: no readable {ENDING} file ({error})") from error
