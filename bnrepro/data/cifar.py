"""CIFAR-10 in torchvision's layout, verified by the checksums that torchvision knows."""

from pathlib import Path

import torch

from bnrepro.data.dataset import Dataset
from bnrepro.errors import UserError


def read_cifar10(name: str, folder: Path, source: str, remedy: str) -> Dataset:
    """50,000 + 10,000 images, (N, 3, 32, 32); `remedy` ends every error.

    Raises UserError for missing or damaged files.
    """
    from torchvision.datasets import CIFAR10  # takes seconds
    from torchvision.datasets.utils import check_integrity

    if folder.name == CIFAR10.base_folder:
        folder = folder.parent
    files = folder / CIFAR10.base_folder
    meta = (CIFAR10.meta["filename"], CIFAR10.meta["md5"])
    known = [*CIFAR10.train_list, *CIFAR10.test_list, meta]
    if missing := [file for file, _ in known if not (files / file).is_file()]:
        raise UserError(f"{files} lacks {', '.join(missing)}; {remedy}")
    for file, md5 in known:
        if not check_integrity(files / file, md5):
            raise UserError(
                f"{files / file}: wrong checksum, not the original's contents; {remedy}"
            )
    train, test = CIFAR10(folder, train=True), CIFAR10(folder, train=False)
    images, test_images = (
        torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous() for part in (train, test)
    )
    labels, test_labels = torch.tensor(train.targets), torch.tensor(test.targets)
    names = tuple(train.classes)
    return Dataset(
        name, source, images, labels, test_images, test_labels, len(names), class_names=names
    )
