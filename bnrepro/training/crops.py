"""Multicrop evaluation as GoogLeNet's (Section 4.2.3): 144 views of an image, one after the other.

An image is brought to four sizes; of each, three squares are taken along the longer side (first,
middle, last: left to right or top to bottom); of each square its four corners and its centre at the
network's size and the square itself, resized to that; each of these as it is and mirrored:
4·3·6·2 = 144. The squares of a square image are one, so it has 48 different views.

    for crops, share in views(images, 224, "centre"):     # one view of all images at a time
        ...
"""

import itertools
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

# Shorter sides in units of the network's side: 256, 288, 320 and 352 of 224 pixels.
SCALES = (8 / 7, 9 / 7, 10 / 7, 11 / 7)
SQUARES = (0.5, 0.0, 1.0)  # places along the longer side, the middle first
CORNERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))  # down, to the right
CENTRE = (0.5, 0.5)
TOGETHER = 64  # crops a forward pass, where there are fewer images
COUNTS = (1, 2, 10, 12, 48, 144)  # nested: each one's views are among the next one's


class View(NamedTuple):
    """A square of a resized image, in pixels of that."""

    height: int  # of the resized image
    width: int
    top: int
    left: int
    side: int  # of the square, which is then brought to the network's side
    mirrored: bool


def places(height: int, width: int, size: int, first: str) -> list[View]:
    """The 144 views of an image of that height and width, in the order of COUNTS.

    Args:
        size: the side of the network's images.
        first: the single crop: "centre", the central crop of the smallest scale, or "square", the
            whole middle square, where that is what the network sees in training. Then the squares
            of the smallest scale are cut out of the image itself, not of a resized one: an image
            of the network's side comes first as it is.
    """
    inner: list[tuple[float, float] | None] = [CENTRE, *CORNERS, None]  # None: the square itself
    if first == "square":
        inner = [None, *CORNERS, CENTRE]
    cuts = [(round(scale * size), crop) for scale in SCALES for crop in inner]
    if first == "square":
        cuts[0] = (min(height, width), None)
    return [
        _view(height, width, square, shorter, crop, size, mirrored)
        for square in SQUARES
        for shorter, crop in cuts
        for mirrored in (False, True)
    ]


def _view(
    height: int, width: int, square: float, shorter: int, crop: tuple[float, float] | None,
    size: int, mirrored: bool,
) -> View:  # fmt: skip
    short = min(height, width)
    rows, columns = round(height * shorter / short), round(width * shorter / short)
    top, left = (round(square * (length - shorter)) for length in (rows, columns))
    if crop is None:
        return View(rows, columns, top, left, shorter, mirrored)
    down, right = (round(share * (shorter - size)) for share in crop)
    return View(rows, columns, top + down, left + right, size, mirrored)


@cache
def shares(height: int, width: int, size: int, first: str) -> dict[View, tuple[float, ...]]:
    """The different views, with the share of each in the mean over the first 1, 2, 10 … places."""
    listed = places(height, width, size, first)
    return {
        view: tuple(listed[:count].count(view) / count for count in COUNTS)
        for view in dict.fromkeys(listed)
    }


def differing(height: int, width: int, size: int) -> tuple[int, ...]:
    """How many of the first 1, 2, 10 … views of an image are different."""
    each = shares(height, width, size, "centre").values()
    return tuple(sum(share > 0 for share in of_count) for of_count in zip(*each, strict=True))


def views(images: Tensor, size: int, first: str) -> Iterator[tuple[Tensor, tuple[float, ...]]]:
    """Each different view of images (N, C, H, W) as (N, C, size, size), with its shares.

    One view is in memory at a time, beside the images at the view's scale.
    """
    resized = images
    for view, share in shares(*images.shape[-2:], size, first).items():
        if resized.shape[-2:] != (view.height, view.width):
            resized = resize(images, view.height, view.width)
        crop = resized[..., view.top : view.top + view.side, view.left : view.left + view.side]
        crop = resize(crop, size, size)
        yield (crop.flip(-1) if view.mirrored else crop), share


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Images (N, C, H, W) at another size, bilinear, smoothed where they shrink."""
    if images.shape[-2:] == (height, width):
        return images
    return interpolate(images, (height, width), mode="bilinear", antialias=True)


def class_probabilities(
    classify: Callable[[Tensor], Tensor], images: Tensor, size: int, first: str,
    last: int = COUNTS[-1],
) -> Tensor:  # fmt: skip
    """Mean class probabilities over the first 1, 2, 10 … views: (COUNTS, N, classes), float32.

    `classify` gives the logits of images (N, C, size, size); few images pass with several views.
    Views behind the first `last`, one of COUNTS, are left out, and so is what needs them.
    """
    end, together = COUNTS.index(last), max(1, TOGETHER // len(images))
    stream = itertools.takewhile(lambda each: each[1][end] > 0, views(images, size, first))
    sums = torch.zeros(())
    while some := list(itertools.islice(stream, together)):
        logits = classify(torch.cat([crops for crops, _ in some]))
        probabilities = logits.float().softmax(1).unflatten(0, (len(some), len(images)))
        weights = torch.tensor([share for _, share in some], device=logits.device)
        sums = sums.to(logits.device) + torch.einsum("vk,vnc->knc", weights, probabilities)
    return sums[: end + 1]
