"""Small JPEG folders in the layouts of the image sets."""

from pathlib import Path

import torch
from torchvision.io import encode_jpeg

from bnrepro.config import DataConfig
from bnrepro.seeding import stream


def write_image(path: Path, height: int = 20, width: int = 24) -> None:
    """Smooth colours that follow from the path, so that two files never hold the same image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    corners = torch.rand(1, 3, 3, 3, generator=stream(0, path.parent.name, path.name))
    image = torch.nn.functional.interpolate(corners, (height, width), mode="bilinear")
    path.write_bytes(encode_jpeg((255 * image[0]).to(torch.uint8)).numpy().tobytes())


def class_folders(
    root: Path, classes: int = 3, train: int = 8, test: int = 4, part: str = "val"
) -> Path:
    for c in range(classes):
        for i in range(train):
            write_image(root / f"train/c{c}/{i}.jpg", 20 + c, 24 + i)
        for i in range(test):
            write_image(root / f"{part}/c{c}/{i}.JPEG")
    return root


def tiny_imagenet(root: Path, classes: int = 3, train: int = 4, test: int = 6) -> Path:
    wnids = [f"n{c}" for c in reversed(range(classes))]
    for wnid in wnids:
        for i in range(train):
            write_image(root / f"train/{wnid}/images/{wnid}_{i}.JPEG", 64, 64)
    notes = [f"val_{i}.JPEG\t{wnids[i % classes]}\t0\t0\t62\t62\n" for i in range(test)]
    for i in range(test):
        write_image(root / f"val/images/val_{i}.JPEG", 64, 64)
    (root / "val/val_annotations.txt").write_text("".join(notes))
    (root / "wnids.txt").write_text("\n".join(wnids) + "\n")
    return root


def config(root: Path | None, cache: Path, **changes: object) -> DataConfig:
    base: dict = {
        "name": "imagefolder",
        "root": root and str(root),
        "cache": str(cache),
        "size": 16,
    }
    return DataConfig(**(base | changes))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])
