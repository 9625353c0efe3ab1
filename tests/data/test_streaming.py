"""Streamed images: what a step shows depends on seed and step alone; broken files are survived."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from bnrepro.config import compose
from bnrepro.data import open_dataset, open_images
from bnrepro.data.images import ImageSource, open_source
from bnrepro.errors import UserError
from tests.data.pictures import class_folders, config, truncate

CPU = torch.device("cpu")


@dataclass
class Distortion:
    examples: int | None = None
    shuffle: str = "full"
    shards: int = 2
    shift: int = 0
    mirror: bool = True
    photometric: float = 0.3


PICTURES = Distortion()
BATCH = 5  # of 24 images: an epoch is 4 steps


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    return class_folders(tmp_path_factory.mktemp("streamed"))


def streamed(root: Path, seed: int = 0, pictures: Distortion = PICTURES, **changes) -> ImageSource:
    cfg = config(root, root.parent / "cache", stream=True, **({"workers": 0} | changes))
    return open_source(open_images(cfg), pictures, BATCH, seed, CPU)


def steps(source: ImageSource, numbers) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [source.batch(step) for step in numbers]


def same(one, other) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a, b) for x, y in pairs for a, b in zip(x, y, strict=True))


def test_a_shift_of_a_whole_image_is_refused_though_crops_replace_it(shared):
    side = streamed(shared).batch(0)[0].shape[-1]
    streamed(shared, pictures=replace(PICTURES, shift=side - 1))
    with pytest.raises(UserError, match=f"shift={side}: the images of .* have {side} pixels"):
        streamed(shared, pictures=replace(PICTURES, shift=side))


def test_batches_have_the_form_the_loop_expects(shared):
    source = streamed(shared)
    x, labels = source.batch(0)
    assert (x.shape, x.dtype, labels.dtype) == ((BATCH, 3, 16, 16), torch.float32, torch.int64)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= x.min() <= x.max() <= 1
    assert (source.train_size, source.num_classes, source.channels) == (24, 3, 3)


def test_pictures_do_not_depend_on_the_number_of_workers(shared):
    alone = steps(streamed(shared), range(6))
    for workers in (1, 2):
        assert same(steps(streamed(shared, workers=workers), range(6)), alone)


def test_a_run_resumed_in_mid_epoch_sees_the_same_pictures(shared):
    whole = steps(streamed(shared), range(9))
    assert same(steps(streamed(shared), range(6, 9)), whole[6:])
    source = streamed(shared, workers=2)
    steps(source, range(3))
    assert same(steps(source, [7, 1]), [whole[7], whole[1]])


def test_seeds_and_epochs_see_other_pictures(shared):
    x, _ = streamed(shared).batch(0)
    assert not torch.equal(x, streamed(shared, seed=1).batch(0)[0])
    plain = Distortion(shuffle="fixed", mirror=False, photometric=0.0)
    source = streamed(shared, pictures=plain)
    first, second = (
        torch.cat([x for x, _ in steps(source, range(4 * epoch, 4 * epoch + 4))])
        for epoch in (0, 1)
    )
    matches = (first[:, None] - second[None]).abs().amax((2, 3, 4)) == 0
    assert not matches.any()  # the same examples, cropped anew


def test_reading_leaves_the_runs_own_random_numbers_alone(shared):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    source = streamed(shared)
    source.batch(0)
    list(source.test_batches())
    assert torch.equal(torch.rand(3), expected)


def test_order_and_test_images_are_those_of_the_set_in_memory(shared):
    source = streamed(shared)
    cfg = config(shared, shared.parent / "cache")
    memory = open_source(open_dataset(cfg), PICTURES, BATCH, 0, CPU)
    for step in range(6):
        assert torch.equal(source.batch(step)[1], memory.batch(step)[1])
    for count in (None, 7):
        ours, theirs = (torch.cat([y for _, y in s.test_batches(count)]) for s in (source, memory))
        assert torch.equal(ours, theirs)
    assert source.probe_images(6).shape == memory.probe_images(6).shape


def test_mirroring_and_distortion_are_those_of_the_set_in_memory(shared, monkeypatch):
    """With the crop taken away, both ways show the same pictures."""
    from bnrepro.data import streaming

    def whole(self, image, *_):
        return streaming.centre(image, 16, 16)

    monkeypatch.setattr(streaming.TrainingExamples, "_cropped", whole)
    cfg = config(shared, shared.parent / "cache")
    memory = open_source(open_dataset(cfg), PICTURES, BATCH, 0, CPU)
    assert same(steps(streamed(shared), range(6)), steps(memory, range(6)))


def test_the_test_crop_is_central_and_undistorted(shared):
    from bnrepro.data.decoding import centre, decode

    source = streamed(shared)
    (x, _), *_ = source.test_batches(3)
    name = source.data.test.name(2)
    assert torch.equal(x[2], centre(decode(shared / name), 16, 18).float() / 255)


def test_whole_test_images_come_one_by_one_and_uncut(shared):
    from bnrepro.data.decoding import decode

    source = streamed(shared)
    found = list(source.whole_images(3))
    assert len(found) == 3
    for number, (x, labels) in enumerate(found):
        assert torch.equal(x[0], decode(shared / source.data.test.name(number)).float() / 255)
        assert labels.tolist() == [int(source.data.test_labels[number])]


@pytest.fixture
def folder(tmp_path) -> Path:
    return class_folders(tmp_path / "set")


def break_example(source, number: int) -> Path:
    path = source.data.root / source.data.train.name(number)
    truncate(path)
    return path


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_is_named_replaced_by_the_next_and_counted(folder, caplog, workers):
    whole = streamed(folder)
    sound = [labels for _, labels in steps(whole, range(8))]
    source, again = (streamed(folder, workers=n, max_broken=0.1) for n in (workers, 0))
    number = int(source.order.batches(0)[1, 2])
    path = break_example(source, number)
    found = steps(source, range(8))
    assert source.broken == {str(path.relative_to(folder))}
    assert caplog.text.count(f"{path}: cannot be read") == 1
    assert "truncated" in caplog.text
    expected = sound[1].clone()
    expected[2] = source.data.train.labels[(number + 1) % 24]
    assert torch.equal(found[1][1], expected)
    assert torch.equal(found[0][1], sound[0])
    assert same(steps(again, range(8)), found)


def test_too_many_broken_images_stop_the_run(folder):
    source = streamed(folder, max_broken=0.05)  # one of 36
    for number in source.order.batches(0)[0, :2].tolist():
        break_example(source, number)
    with pytest.raises(UserError, match=r"2 of 36 images broke .* than data.max_broken=0.05") as e:
        steps(source, range(4))
    assert "\n" not in str(e.value)


def test_none_may_break_at_a_share_of_zero(folder):
    source = streamed(folder, max_broken=0.0)
    break_example(source, int(source.order.batches(0)[0, 0]))
    with pytest.raises(UserError, match="1 of 36 images broke"):
        source.batch(0)


def test_a_broken_test_image_is_left_out_and_counted(folder, caplog):
    source = streamed(folder, max_broken=0.1)
    truncate(folder / source.data.test.name(1))
    labels = torch.cat([y for _, y in source.test_batches()])
    expected = source.data.test.labels
    assert torch.equal(labels, torch.cat([expected[:1], expected[2:]]))
    assert len(source.broken) == 1
    assert "skipped" in caplog.text


def test_streaming_options_leave_the_identity_alone():
    from bnrepro.config.identity import numbers

    base = numbers(compose("inception", ["data=imagefolder"]))
    neutral = ["data.workers=3", "data.max_broken=0.5", "data.label=x", "data.root=/y"]
    assert numbers(compose("inception", ["data=imagefolder", *neutral])) == base
    for change in ("data.stream=true", "data.size=32"):
        assert numbers(compose("inception", ["data=imagefolder", change])) != base
