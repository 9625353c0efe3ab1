"""Tiny batches in CIFAR-10's layout that torchvision takes for the original's."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

NAMES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def write_cifar10(root: Path) -> dict[str, str]:
    """Six batches of four images and the class names, as the original packs them; their MD5s."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        planes = np.full((4, 3, 1024), number, np.uint8) + np.arange(3, dtype=np.uint8)[:, None]
        content = {"data": planes.reshape(4, 3072), "labels": [number, 1, 2, 3]}
        (folder / name).write_bytes(pickle.dumps(content))
    meta = {"label_names": [f"class {c}" for c in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta))
    return {p.name: hashlib.md5(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def pass_for_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the batches and make their MD5s the ones that torchvision knows."""
    md5 = write_cifar10(root)
    monkeypatch.setattr(CIFAR10, "train_list", [[name, md5[name]] for name in NAMES[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [[NAMES[5], md5[NAMES[5]]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": md5["batches.meta"]})
