"""What the experiments do with a set: identify, split, binarise; and the synthetic set itself."""

from dataclasses import replace

import pytest
import torch

from bnrepro.data import binarize, load, split_validation, synthetic
from bnrepro.errors import UserError


def test_identity_has_no_more_than_a_record_needs(original):
    assert original.identity() == {
        "name": "synthetic",
        "source": "generated with seed 0",
        "sizes": {"train": 60, "test": 20},
        "num_classes": 10,
        "checksum": original.checksum,
    }


def test_checksum_depends_on_contents_alone(original):
    assert replace(original, name="other", source="elsewhere").checksum == original.checksum
    labels = original.test_labels.clone()
    labels[0] += 1
    assert replace(original, test_labels=labels).checksum != original.checksum


def test_validation_split_partitions_the_training_set(original):
    numbered = replace(original, train_labels=torch.arange(60))
    split = split_validation(numbered, 15)
    kept, held_out = split.train_labels, split.test_labels
    assert torch.cat([kept, held_out]).sort().values.equal(torch.arange(60))
    assert len(held_out) == 15
    assert torch.equal(split.train_images, original.train_images[kept])
    assert torch.equal(split.test_images, original.train_images[held_out])


def test_validation_split_is_fixed_by_its_seed(original):
    first, again, other = (split_validation(original, 15, seed=seed) for seed in (0, 0, 1))
    assert first.checksum == again.checksum
    assert first.checksum != other.checksum


def test_validation_split_cannot_pass_for_the_set(original):
    subset = replace(original, name="mnist-5k")
    identity = split_validation(subset, 15).identity()
    assert identity["name"] == "mnist-5k"
    assert identity["sizes"] == {"train": 45, "validation": 15}
    assert identity["checksum"] != original.checksum


@pytest.mark.parametrize("count", [-1, 0, 60, 61])
def test_validation_split_needs_two_parts(original, count):
    with pytest.raises(UserError, match=r"60 training images out.*choose a number from 1 to 59"):
        split_validation(original, count)


def test_binarize_at_half_the_range():
    images = torch.tensor([[[0, 127], [128, 255]]], dtype=torch.uint8)
    rows = binarize(images)
    assert rows.dtype == torch.float32
    assert rows.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 0.9])
def test_binarize_compares_the_scaled_pixel(threshold):
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    assert torch.equal(binarize(images, threshold), (images.flatten(1) / 255 > threshold).float())


def test_synthetic_is_fixed_by_its_seed_and_balanced():
    one, again, other = (synthetic(100, 50, seed=seed) for seed in (3, 3, 4))
    assert one.checksum == again.checksum
    assert one.checksum != other.checksum
    assert one.train_labels.bincount().tolist() == [10] * 10
    assert one.train_images.dtype == torch.uint8
    assert one.train_images.shape == (100, 28, 28)


def test_synthetic_is_learnable_and_not_trivial():
    """Nearest class mean: far above chance, with room for a better method."""
    data = load("synthetic")
    rows, test_rows = binarize(data.train_images), binarize(data.test_images)
    means = torch.stack([rows[data.train_labels == label].mean(0) for label in range(10)])
    guesses = torch.cdist(test_rows, means).argmin(1)
    accuracy = (guesses == data.test_labels).float().mean().item()
    assert 0.7 < accuracy < 0.999
