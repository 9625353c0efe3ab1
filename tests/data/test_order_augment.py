"""Shuffling modes and batched augmentation."""

import pytest
import torch

from bnrepro.data.augment import Augmentation, augment, draw
from bnrepro.data.order import MODES, epoch_batches


def groups(batches: torch.Tensor) -> set[frozenset[int]]:
    return {frozenset(row.tolist()) for row in batches}


@pytest.mark.parametrize("mode", MODES)
def test_an_epoch_shows_an_example_at_most_once_and_depends_on_seed_and_epoch(mode):
    make = [
        epoch_batches(mode, s, e, 103, 10, shards=4) for s, e in ((0, 0), (0, 0), (1, 0), (0, 1))
    ]
    assert make[0].shape == (10, 10)
    assert len(set(make[0].flatten().tolist())) == 100
    assert torch.equal(make[0], make[1])
    assert not torch.equal(make[0], make[2])
    assert not torch.equal(make[0], make[3])


def test_fixed_mini_batches_recur_and_the_others_do_not():
    recur = {}
    for mode in MODES:
        first, second = (groups(epoch_batches(mode, 0, e, 200, 10, shards=5)) for e in (0, 1))
        recur[mode] = len(first & second)
    assert recur == {"full": 0, "shards": 0, "fixed": 20}


def test_the_members_of_a_shard_stay_together_and_are_any_of_the_set():
    of_shards = [epoch_batches("shards", 0, e, 200, 10, shards=5).view(5, 40) for e in (0, 3)]
    assert groups(of_shards[0]) == groups(of_shards[1])
    assert all(row.max() - row.min() > 150 for row in of_shards[0])  # not neighbours as stored
    of_all = [epoch_batches("full", 0, e, 200, 10).view(5, 40) for e in (0, 3)]
    assert groups(of_all[0]) != groups(of_all[1])


def images(n: int = 6) -> torch.Tensor:
    return torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))


EVERYTHING = Augmentation(shift=2, mirror=True, photometric=0.3)


def test_an_example_is_distorted_the_same_in_any_batch():
    x, draws = images(), draw(EVERYTHING, 0, 4, 6)
    whole = augment(x, draws, torch.arange(6), EVERYTHING)
    some = torch.tensor([4, 1])
    torch.testing.assert_close(augment(x[some], draws, some, EVERYTHING), whole[some])
    assert not torch.allclose(
        augment(x, draw(EVERYTHING, 0, 5, 6), torch.arange(6), EVERYTHING), whole
    )


def test_switching_one_part_off_leaves_the_others():
    full, calm = draw(EVERYTHING, 0, 4, 50), draw(Augmentation(shift=2, mirror=True), 0, 4, 50)
    assert torch.equal(full.offsets, calm.offsets)
    assert torch.equal(full.mirrored, calm.mirrored)


def test_shifting_is_a_crop_of_the_padded_image():
    only = Augmentation(shift=2)
    x, draws = images(), draw(only, 1, 0, 6)
    out = augment(x, draws, torch.arange(6), only)
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2))
    for i, (r, c) in enumerate(draws.offsets.tolist()):
        assert torch.equal(out[i], padded[i, :, r : r + 8, c : c + 8])
    assert draws.offsets.min() >= 0
    assert draw(only, 1, 0, 5000).offsets.unique().tolist() == [0, 1, 2, 3, 4]


def test_mirroring_flips_about_half():
    only = Augmentation(mirror=True)
    draws = draw(only, 0, 0, 2000)
    assert 0.45 < draws.mirrored.float().mean() < 0.55
    x = images()
    out = augment(x, draws, torch.arange(6), only)
    for i in range(6):
        assert torch.equal(out[i], x[i].flip(-1) if draws.mirrored[i] else x[i])


def test_photometric_distortion_acts_and_stays_in_range():
    only = Augmentation(photometric=0.5)
    x = images()
    out = augment(x, draw(only, 0, 0, 6), torch.arange(6), only)
    assert not torch.allclose(out, x)
    assert out.min() >= 0
    assert out.max() <= 1


def test_no_augmentation_is_the_identity():
    nothing = Augmentation()
    assert torch.equal(
        augment(images(), draw(nothing, 0, 0, 6), torch.arange(6), nothing), images()
    )
