"""From a data config to a data set: which kind of set it is, and where its images will live.

Image folders are decoded once, into one file of bytes under `data.cache`, or stay where they are
and are streamed (`data.stream=true`) after one look at each of them, which the cache remembers.
Both are renewed when a file's name, size or time of change is another.
"""

import logging
import os
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bnrepro.config import DataConfig
from bnrepro.data.cache import ensure
from bnrepro.data.dataset import Dataset, ImageSet, split_validation
from bnrepro.data.folders import FolderSet
from bnrepro.data.loading import load
from bnrepro.data.registry import REGISTRY, lookup, shape
from bnrepro.errors import UserError
from bnrepro.files import expand, replacing

log = logging.getLogger(__name__)

LARGEST = 4096  # pixels of a side
LONGEST = 60  # bytes of a label, which folders and files are named after


def open_images(cfg: DataConfig) -> ImageSet:
    """The configured set, in memory or streamed; with `validation`, images held out of training
    take the place of the test set."""
    _check_options(cfg)
    data = load(cfg.name, cfg.root, cfg.cache)
    if isinstance(data, FolderSet):
        data = _in_place(cfg, data)
    train, test = f"{len(data.train_labels):,}", f"{len(data.test_labels):,}"
    text = "%s: %s training and %s test images of %d classes, source: %s"
    log.info(text, data.name, train, test, data.num_classes, data.source)
    if not cfg.validation:
        return data
    if isinstance(data, FolderSet):
        return data.with_validation(cfg.validation)
    assert isinstance(data, Dataset)
    return split_validation(data, cfg.validation)


def open_dataset(cfg: DataConfig) -> Dataset:
    """The configured set in memory; `validation` as for `open_images`."""
    if cfg.stream:
        raise UserError(
            "data.stream=true: this experiment keeps its images in memory; leave data.stream out"
        )
    data = open_images(cfg)
    assert isinstance(data, Dataset)
    return data


def _check_options(cfg: DataConfig) -> None:
    """Refuse what the set does not have, and what no set can have."""
    entry = lookup(cfg.name)
    folders = ", ".join(known.name for known in REGISTRY.values() if known.in_files)
    if not entry.in_files:
        if cfg.stream:
            raise UserError(
                f"data.stream=true: {cfg.name} is not an image folder; choose data={folders}"
            )
        for key in ("size", "label"):
            if getattr(cfg, key) is not None:
                raise UserError(f"data.{key}: {cfg.name} has a fixed one; choose data={folders}")
        return
    if cfg.size is None and entry.shape is None:
        raise UserError(f"data.size: say to how many pixels {cfg.name}'s images shall be brought")
    if cfg.size is not None and not 1 <= cfg.size <= LARGEST:
        raise UserError(f"data.size={cfg.size}: choose 1 to {LARGEST} pixels")
    if cfg.label is not None:
        _check_label(cfg.label, cfg.name)


def _check_label(label: str, name: str) -> None:
    if not re.fullmatch(r"\w[\w.+-]*", label) or len(label.encode()) > LONGEST:
        shown = label if label.isprintable() and len(label) <= LONGEST else repr(label[:LONGEST])
        raise UserError(
            f"data.label={shown}: it names folders and files: letters, digits, . _ + and -, not at"
            f" its start, at most {LONGEST} bytes"
        )
    if label in REGISTRY and label != name:
        raise UserError(f"data.label={label}: another data set's name; choose another label")


def _in_place(cfg: DataConfig, found: FolderSet) -> ImageSet:
    """The folder's images where the config wants them, under its label."""
    name = found.name.replace(cfg.name, cfg.label or cfg.name, 1)
    if found.name != cfg.name:
        log.warning("%s: not %s's original files; recorded as %s", found.root, cfg.name, name)
    found = replace(found, name=name, size=cfg.size or shape(cfg.name).side)
    cache = expand(cfg.cache)
    if not cfg.stream:
        return _decoded(found, cache)
    checked = cache / f"checked-{found.state}"
    ensure(checked, lambda: _check(found, checked))
    return replace(found, workers=cfg.workers, max_broken=cfg.max_broken)


def _check(found: FolderSet, checked: Path) -> None:
    """Look at every file once; the same files are not looked at again."""
    from bnrepro.data.decoding import check_files

    check_files(found.root, found.train, f"{found.name}, training images")
    check_files(found.root, found.test, f"{found.name}, test images")
    checked.touch()


def _decoded(found: FolderSet, cache: Path) -> Dataset:
    """The set in memory, from the cached bytes when its files were decoded before."""
    path = cache / f"{found.name}-{found.size}-{found.state}.pt"
    ensure(path, lambda: _decode(found, path))
    images = _read(path)
    data = Dataset(
        found.name, found.source, images["train"], found.train_labels, images["test"],
        found.test_labels, found.num_classes, class_names=found.class_names,
    )  # fmt: skip
    if data.checksum != images["checksum"]:
        raise UserError(f"{path}: damaged; delete it to decode the images anew")
    return data


def _read(path: Path) -> dict[str, Any]:
    """The decoded images, mapped: processes side by side share them."""
    # torch maps the file of a name in UTF-8 alone, whatever the locale
    mapped = os.fsencode(path) == os.fspath(path).encode(errors="replace")
    try:
        with path.open("rb") as file:
            return torch.load(path if mapped else file, weights_only=True, mmap=mapped)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise UserError(f"{path}: not readable; delete it to decode the images anew") from error


def _decode(found: FolderSet, path: Path) -> None:
    from bnrepro.data.decoding import decode_all

    train, test = (
        decode_all(found.root, files, found.size, f"{found.name}, {part}")
        for part, files in (("training images", found.train), ("test images", found.test))
    )
    data = Dataset("", "", train, found.train_labels, test, found.test_labels)
    try:
        with replacing(path) as file:
            torch.save({"train": train, "test": test, "checksum": data.checksum}, file)
    except RuntimeError as error:  # how torch reports a failed write
        raise OSError(str(error).splitlines()[0]) from error
