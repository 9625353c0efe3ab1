"""Data sets by name, verified by checksum, as uint8 tensors in memory."""

from pathlib import Path

from bnrepro.config import DataConfig
from bnrepro.data.dataset import Dataset, binarize, split_validation
from bnrepro.data.loading import load
from bnrepro.data.synthetic import synthetic

__all__ = ["Dataset", "binarize", "load", "open_dataset", "split_validation", "synthetic"]


def open_dataset(cfg: DataConfig) -> Dataset:
    """The configured set; with `validation`, images held out of training stand for the test set."""
    data = load(cfg.name, cfg.root, Path(cfg.cache))
    return split_validation(data, cfg.validation) if cfg.validation else data
