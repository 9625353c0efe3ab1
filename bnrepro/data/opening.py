"""From a data config to a data set: which kind of set it is, and where its images will live.

Image folders are decoded once, into one file of bytes under `data.cache` that is named after the
set's files and size, or stay where they are and are streamed (`data.stream=true`) after one look at
each of them, which the cache remembers.
"""

import logging
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bnrepro.config import DataConfig
from bnrepro.data.cache import held
from bnrepro.data.dataset import Dataset, ImageSet, split_validation
from bnrepro.data.folders import FolderSet, read_folder
from bnrepro.data.loading import load
from bnrepro.data.sources import Unavailable, bounded
from bnrepro.errors import UserError

log = logging.getLogger(__name__)

FOLDERS = {"imagefolder": None, "tiny_imagenet": 64, "imagenet": 224}  # and their usual sizes
TINY_ADDRESS = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
TINY_MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
TINY = "tiny-imagenet-200"  # the folder inside the archive


def open_images(cfg: DataConfig) -> ImageSet:
    """The configured set, in memory or streamed; with `validation`, images held out of training
    stand for the test set."""
    if not cfg.stream:
        return open_dataset(cfg)
    if cfg.name not in FOLDERS:
        raise UserError(
            f"data.stream=true: {cfg.name} is not an image folder; choose data={_listed()}"
        )
    found = _find(cfg)
    _check(found, Path(cfg.cache))
    found = replace(found, workers=cfg.workers, max_broken=cfg.max_broken)
    _say(found)
    return found.with_validation(cfg.validation) if cfg.validation else found


def open_dataset(cfg: DataConfig) -> Dataset:
    """The configured set in memory; `validation` as for `open_images`."""
    if cfg.stream:
        raise UserError(
            "data.stream=true: this experiment keeps its images in memory; only inception streams"
        )
    if cfg.name in FOLDERS:
        data = _decoded(_find(cfg), Path(cfg.cache))
        _say(data)
    elif cfg.size is not None or cfg.label is not None:
        key = "size" if cfg.size is not None else "label"
        raise UserError(f"data.{key}: {cfg.name} has its own; it is for data={_listed()}")
    else:
        data = load(cfg.name, cfg.root, Path(cfg.cache))
    return split_validation(data, cfg.validation) if cfg.validation else data


def _listed() -> str:
    return ", ".join(FOLDERS)


def _say(data: ImageSet) -> None:
    counts = f"{len(data.train_labels):,} training and {len(data.test_labels):,} test images"
    log.info("%s: %s of %d classes", data.name, counts, data.num_classes)


def _find(cfg: DataConfig) -> FolderSet:
    """The files of the configured set, fetched where that can be done."""
    size = cfg.size or FOLDERS[cfg.name]
    if size is None:
        raise UserError(f"data.size: say to how many pixels {cfg.name}'s images shall be brought")
    if cfg.root is not None:
        found = read_folder(cfg.name, Path(cfg.root), cfg.label, size)
    elif cfg.name == "tiny_imagenet":
        source = _fetch_tiny_imagenet(Path(cfg.cache))
        found = read_folder(cfg.name, Path(cfg.cache) / TINY, cfg.label, size)
        found = replace(found, source=source)
    else:
        raise UserError(
            f"data.root: {cfg.name} cannot be downloaded; name the folder that holds its train/"
            " and val/"
        )
    if found.name != (cfg.label or cfg.name):
        log.warning("%s: not %s's original files; recorded as %s", found.root, cfg.name, found.name)
    return found


def _fetch_tiny_imagenet(cache: Path) -> str:
    """See that the set is in the cache; says where it came from."""
    with held(cache, TINY):
        if (cache / TINY).is_dir():
            return "cache (from its public archive)"
        workplace = cache / f".fetch-{TINY}"
        shutil.rmtree(workplace, ignore_errors=True)  # what a killed fetch left
        try:
            with bounded():
                from torchvision.datasets.utils import download_and_extract_archive

                download_and_extract_archive(
                    TINY_ADDRESS, str(workplace), md5=TINY_MD5, remove_finished=True
                )
            (workplace / TINY).rename(cache / TINY)
            return "its public archive"
        except Unavailable as reason:
            raise UserError(
                f"cannot get tiny_imagenet; tried cache {cache / TINY} (empty); its public archive"
                f" ({reason}). Try again with a network, or unpack {TINY}.zip and give its folder"
                " as data.root"
            ) from reason
        finally:
            shutil.rmtree(workplace, ignore_errors=True)


def _decoded(found: FolderSet, cache: Path) -> Dataset:
    """The set in memory, from the cached bytes when its files were decoded before."""
    path = cache / f"{found.name}-{found.size}-{found.checksum}.pt"
    with held(cache, path.stem):
        if not path.exists():
            _decode(found, path)
    images = _read(path)
    data = Dataset(
        found.name, found.source, images["train"], found.train_labels, images["test"],
        found.test_labels, found.num_classes,
    )  # fmt: skip
    if data.checksum != images["checksum"]:
        raise UserError(f"{path}: damaged; delete it to decode the images anew")
    return data


def _read(path: Path) -> dict[str, Any]:
    """The decoded images, mapped: processes side by side share them."""
    try:
        return torch.load(path, weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise UserError(f"{path}: not readable; delete it to decode the images anew") from error


def _decode(found: FolderSet, path: Path) -> None:
    from bnrepro.data.decoding import decode_all

    train, test = (
        decode_all(found.root, files, found.size, f"{found.name}, {part}")
        for part, files in (("training images", found.train), ("test images", found.test))
    )
    data = Dataset("", "", train, found.train_labels, test, found.test_labels)
    _save({"train": train, "test": test, "checksum": data.checksum}, path)


def _save(content: dict[str, Tensor | str], path: Path) -> None:
    """Write beside, sync, rename: an interruption leaves no half file."""
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except RuntimeError as error:  # torch's own word for a failed write
        raise OSError(str(error).splitlines()[0]) from error
    finally:
        temporary.unlink(missing_ok=True)


def _check(found: FolderSet, cache: Path) -> None:
    """Look at every file once; the same files are not looked at again."""
    done = cache / f"checked-{found.checksum}"
    with held(cache, done.name):
        if done.exists():
            return
        from bnrepro.data.decoding import check_files

        check_files(found.root, found.train, f"{found.name}, training images")
        check_files(found.root, found.test, f"{found.name}, test images")
        done.touch()
