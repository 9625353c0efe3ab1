"""The 144 crops of GoogLeNet: how many, where, in which order, and their means."""

import itertools
import weakref

import pytest
import torch
from torch import Tensor

from bnrepro.training.crops import (
    COUNTS,
    class_probabilities,
    differing,
    places,
    resize,
    shares,
    views,
)
from tests.drawing import more

WIDE, HIGH, SQUARE = (300, 450), (450, 300), (300, 300)


def coordinates(height: int, width: int) -> Tensor:
    """An image whose two channels say where a pixel is: down and to the right, from 0 to 1."""
    down, right = ((torch.arange(n) + 0.5) / n for n in (height, width))
    return torch.stack(torch.meshgrid(down, right, indexing="ij"))[None]


@pytest.mark.parametrize("shape", [WIDE, HIGH])
def test_an_image_that_is_not_square_has_144_different_views(shape):
    crops = [crop for crop, _ in views(coordinates(*shape), 224, "centre")]
    assert len(crops) == 144
    assert {crop.shape for crop in crops} == {(1, 2, 224, 224)}
    assert len({crop.numpy().tobytes() for crop in crops}) == 144
    assert differing(*shape, 224) == COUNTS


def test_a_square_image_has_48_each_of_which_counts_three_times():
    crops = [crop for crop, _ in views(coordinates(*SQUARE), 224, "centre")]
    assert len({crop.numpy().tobytes() for crop in crops}) == len(crops) == 48
    assert differing(*SQUARE, 224) == (1, 2, 10, 12, 48, 48)
    of_all = [share[-1] for share in shares(*SQUARE, 224, "centre").values()]
    assert of_all == pytest.approx([3 / 144] * 48)


def test_views_at_the_same_place_are_one_that_counts_more_often():
    """At 5:4 corners of neighbouring squares coincide: the squares lie 32 pixels apart, the crops
    of a square of 256 pixels 32 pixels too."""
    assert differing(300, 375, 224)[-1] == 136
    of_all = [share[-1] for share in shares(300, 375, 224, "centre").values()]
    assert sum(of_all) == pytest.approx(1)
    assert of_all.count(2 / 144) == 8


@pytest.mark.parametrize("shape", [WIDE, HIGH])
def test_every_view_shows_the_place_that_the_paper_says(shape):
    """Shorter sides 256 to 352; three squares; corners and centre at 224, the square itself."""
    expected = set()
    for s, square, mirrored in itertools.product((256, 288, 320, 352), range(3), (0, 1)):
        longer = s * 3 // 2
        along = (0, (longer - s) // 2, longer - s)[square]
        edge = s - 224
        inner = [(0, 0), (0, edge), (edge, 0), (edge, edge), (edge // 2, edge // 2)]
        boxes = [(y, x, 224) for y, x in inner] + [(0, 0, s)]
        for y, x, side in boxes:
            top, left = (y, x + along) if shape == WIDE else (y + along, x)
            size = (s, longer) if shape == WIDE else (longer, s)
            expected.add((*size, top, left, side, bool(mirrored)))
    found = places(*shape, 224, "centre")
    assert len(expected) == len(set(found)) == 144
    assert {tuple(view) for view in found} == expected


@pytest.mark.parametrize("shape", [WIDE, HIGH, SQUARE])
def test_the_pixels_of_a_view_come_from_its_place(shape):
    pairs = zip(shares(*shape, 224, "square"), views(coordinates(*shape), 224, "square"),
                strict=True)  # fmt: skip
    for view, (crop, _) in pairs:
        middle = crop[0].mean((1, 2))
        down = (view.top + view.side / 2) / view.height
        right = (view.left + view.side / 2) / view.width
        torch.testing.assert_close(middle, torch.tensor([down, right]), atol=2e-3, rtol=0)
        rises = bool(crop[0, 1, 0, -1] > crop[0, 1, 0, 0])
        assert rises != view.mirrored


def test_the_first_places_are_the_single_crop_its_mirror_and_the_ten_of_one_size():
    listed = places(*WIDE, 224, "centre")
    assert listed[0] == (256, 384, 16, 80, 224, False)  # 64 to the square's left edge
    assert listed[1] == listed[0]._replace(mirrored=True)
    assert {view.side for view in listed[:10]} == {224}
    assert {view.side for view in listed[10:12]} == {256}
    assert {view.height for view in listed[:12]} == {256}
    assert {view.height for view in listed[:48]} == {256, 288, 320, 352}
    first = places(*WIDE, 224, "square")[:12]
    assert [view.side for view in first] == [300] * 2 + [224] * 10  # of the image itself
    assert set(first[2:]) == set(listed[:10])


def test_at_other_resolutions_the_construction_scales():
    heights = [view.height for view in places(28, 28, 28, "centre")]
    assert sorted(set(heights)) == [32, 36, 40, 44]
    assert differing(28, 28, 28)[-1] == 48
    assert differing(64, 90, 64)[-1] == 144


def test_the_first_square_view_of_an_image_of_the_network_s_side_is_that_image():
    image = coordinates(28, 28)
    (first, share), (second, _), *_ = views(image, 28, "square")
    assert share == (1, 1 / 2, 1 / 10, 1 / 12, 1 / 48, 3 / 144)
    assert torch.equal(first, image)
    assert torch.equal(second, image.flip(-1))


def linear(crops: Tensor) -> Tensor:
    """Logits of three classes that depend on what a crop shows and on how it is turned."""
    return torch.stack([crops[:, 0].mean((1, 2)), crops[:, 1, 0, 0], crops[:, 1, 0, -1]], 1) * 3


@pytest.mark.parametrize(("shape", "images"), [(WIDE, 1), (SQUARE, 2), *more((SQUARE, 70))])
def test_running_means_are_those_over_the_places_one_by_one(shape, images):
    x = coordinates(*shape) * torch.linspace(0.5, 1, images).view(-1, 1, 1, 1)
    found = class_probabilities(linear, x, 32, "centre")
    each = []
    for view in places(*shape, 32, "centre"):
        whole = resize(x, view.height, view.width)
        crop = whole[..., view.top : view.top + view.side, view.left : view.left + view.side]
        crop = resize(crop, 32, 32)
        each.append(linear(crop.flip(-1) if view.mirrored else crop).softmax(1))
    assert found.shape == (6, images, 3)
    for k, count in enumerate(COUNTS):
        torch.testing.assert_close(found[k], torch.stack(each[:count]).mean(0))


def test_one_view_at_a_time_is_in_memory():
    alive: set[int] = set()
    most, passed = 0, 0

    def classify(crops: Tensor) -> Tensor:
        nonlocal most, passed
        passed += len(crops)
        alive.add(id(crops))
        weakref.finalize(crops, alive.discard, id(crops))
        most = max(most, len(alive))
        return linear(crops)

    class_probabilities(classify, coordinates(40, 60).repeat(100, 1, 1, 1), 32, "centre")
    assert passed == 144 * 100
    assert most <= 2
