"""CIFAR-10 in torchvision's layout, verified by the checksums that torchvision knows."""

import shutil
from pathlib import Path

import torch

from bnrepro.data.cache import held
from bnrepro.data.dataset import Dataset
from bnrepro.data.sources import Unavailable, bounded
from bnrepro.errors import UserError

DOWNLOAD = "torchvision's download"


def load_cifar10(root: Path | None, cache: Path) -> Dataset:
    """50,000 + 10,000 images, (N, 3, 32, 32), from the folder given, the cache or a download.

    Raises UserError for missing or damaged files, or without a network.
    """
    if root is not None:
        folder = root.parent if root.name == _torchvision().base_folder else root
        return _read(folder, "folder given", "put an intact copy there, or give no data.root")
    folder = cache / "cifar10"
    with held(cache, "cifar10"):
        if folder.is_dir():
            remedy = f"delete {folder} to fetch it again"
            return _read(folder, f"cache (from {DOWNLOAD})", remedy)
        return _fetch(cache, folder)


def _fetch(cache: Path, folder: Path) -> Dataset:
    workplace = cache / ".fetch-cifar10"
    shutil.rmtree(workplace, ignore_errors=True)
    try:
        with bounded():
            _torchvision()(workplace, download=True)
        for archive in workplace.glob("*.tar.gz"):
            archive.unlink()
        dataset = _read(workplace, DOWNLOAD, "try again")
        workplace.rename(folder)
        return dataset
    except Unavailable as reason:
        raise UserError(
            f"cannot get cifar10; tried cache {folder} (empty); {DOWNLOAD} ({reason}). Try again"
            f" with a network, or give a folder that holds {_torchvision().base_folder}/ as"
            " data.root"
        ) from reason
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _read(folder: Path, source: str, remedy: str) -> Dataset:
    from torchvision.datasets.utils import check_integrity

    kind = _torchvision()
    files = folder / kind.base_folder
    known = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
    if missing := [name for name, _ in known if not (files / name).is_file()]:
        raise UserError(f"{files} lacks {', '.join(missing)}; {remedy}")
    for name, md5 in known:
        if not check_integrity(files / name, md5):
            raise UserError(
                f"{files / name}: wrong checksum, not the original's contents; {remedy}"
            )
    train, test = kind(folder, train=True), kind(folder, train=False)
    images, test_images = (
        torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous() for part in (train, test)
    )
    labels, test_labels = torch.tensor(train.targets), torch.tensor(test.targets)
    return Dataset("cifar10", source, images, labels, test_images, test_labels, len(train.classes))


def _torchvision():  # type: ignore[no-untyped-def]
    from torchvision.datasets import CIFAR10  # takes seconds

    return CIFAR10
