"""Binary images as the places of their ones: the first layer's products by additions alone.

Seven of eight pixels of a binary MNIST image are 0. Wu is then the sum of the rows of W at the
pixels that are 1, and ∂ℓ/∂W at a pixel the sum of ∂ℓ/∂x over the images where it is 1.

A weight that is not finite reaches only the images that have its pixel; in a product, all: 0·∞.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

Sums = tuple[Tensor, Tensor]  # indices, and where in them each sum begins and the last one ends
IMAGES_A_BLOCK = 12_000  # of which the places are found at once: bounds memory


class LitImages:
    """Binary images u (S, N, inputs) of S networks as the places of their ones.

    `pixels` are the rows of W, stacked over the networks, that an image adds up; `images` are the
    images that a pixel's gradient adds up. Images (N, inputs), the same for all networks, serve for
    inference alone and have no `images`.
    """

    def __init__(self, shape: torch.Size, pixels: Sums, images: Sums | None = None) -> None:
        self.shape, self.pixels, self.images = shape, pixels, images

    def product(self, weight: Tensor) -> Tensor:
        """Wu (S, N, units) of weights (S, inputs, units)."""
        if len(self.shape) == 3:
            return add_rows(weight.flatten(0, 1), *self.pixels).view(*self.shape[:2], -1)
        slots, _, units = weight.shape
        side_by_side = weight.transpose(0, 1).flatten(1)
        return add_rows(side_by_side, *self.pixels).view(-1, slots, units).transpose(0, 1)

    def weight_gradient(self, d: Tensor) -> Tensor:
        """∂ℓ/∂W (S, inputs, units) from d = ∂ℓ/∂(Wu) (S, N, units)."""
        assert self.images is not None
        return add_rows(d.flatten(0, 1), *self.images).view(len(d), self.shape[2], -1)


def add_rows(rows: Tensor, index: Tensor, begin: Tensor) -> Tensor:
    """Sums of rows: the i-th over those that index[begin[i] : begin[i + 1]] says."""
    return torch.nn.functional.embedding_bag(
        index, rows, begin, mode="sum", include_last_offset=True
    )


def lit(images: Tensor) -> LitImages:
    """Images (N, inputs) that all networks see, for inference."""
    ones, (count, inputs) = np.flatnonzero(images.to(torch.bool).numpy()), images.shape
    begins = np.searchsorted(ones, np.arange(count + 1) * inputs)
    index = torch.from_numpy((ones % inputs).astype(np.int32))
    return LitImages(images.shape, (index, torch.from_numpy(begins.astype(np.int32))))


class LitSet:
    """Binary images (N, inputs) by their ones, from which mini-batches are taken."""

    def __init__(self, images: Tensor) -> None:
        from scipy.sparse import csr_matrix  # half a second: imported where it is used

        index, begins = lit(images).pixels
        parts = (np.ones(len(index), np.int8), index.numpy(), begins.numpy())
        self.rows = csr_matrix(parts, images.shape)

    def batches(self, index: Tensor) -> list[LitImages]:
        """The mini-batches of consecutive steps, of images index (S, steps, N)."""
        slots, steps, n = index.shape
        inputs = self.rows.shape[1]
        taken = self.rows[index.transpose(0, 1).reshape(-1).numpy()]
        # each network of each step has columns of its own
        first = np.arange(steps * slots, dtype=np.int32).repeat(n) * inputs
        taken.indices += first.repeat(np.diff(taken.indptr))
        parts = (taken.data, taken.indices, taken.indptr)
        shape = (steps * slots * n, steps * slots * inputs)
        by_image = type(self.rows)(parts, shape, copy=False)
        pixels = parted(by_image, steps, slots * inputs)
        images = parted(by_image.tocsc(), steps, slots * n)
        size = torch.Size((slots, n, inputs))
        return [LitImages(size, *each) for each in zip(pixels, images, strict=True)]


def parted(matrix: Any, steps: int, size: int) -> list[Sums]:
    """The sums of each step, of a sparse matrix, their indices counted from the step's first."""
    begins = matrix.indptr.reshape(-1)
    sums = (len(begins) - 1) // steps
    parts = []
    for step in range(steps):
        begin = begins[step * sums : (step + 1) * sums + 1]
        index = matrix.indices[begin[0] : begin[-1]] - step * size
        parts.append((torch.from_numpy(index), torch.from_numpy(begin - begin[0])))
    return parts
