"""Data sets by name: verified, in memory as uint8 tensors, or streamed from image folders."""

from bnrepro.data.dataset import Dataset, ImageSet, binarize, split_validation
from bnrepro.data.loading import load
from bnrepro.data.opening import open_dataset, open_images
from bnrepro.data.registry import Shape, shape
from bnrepro.data.synthetic import synthetic

__all__ = [
    "Dataset",
    "ImageSet",
    "Shape",
    "binarize",
    "load",
    "open_dataset",
    "open_images",
    "shape",
    "split_validation",
    "synthetic",
]
