"""One registry knows every set, its shape and its reader; every config file names one of them."""

import pytest
import yaml

from bnrepro import ROOT
from bnrepro.data import load, shape
from bnrepro.data.registry import REGISTRY, lookup
from bnrepro.errors import UserError

CONFIGS = {path.stem: path for path in (ROOT / "configs/data").glob("*.yaml")}


def test_every_set_has_a_config_file_and_every_config_file_a_set():
    assert set(CONFIGS) == set(REGISTRY)
    for name, path in CONFIGS.items():
        assert yaml.safe_load(path.read_text())["name"] == name


def test_the_shape_is_that_of_the_images():
    data, expected = load("synthetic"), shape("synthetic")
    assert data.train_images.shape == (expected.train, expected.side, expected.side)
    assert (len(data.test_labels), data.num_classes) == (expected.test, expected.classes)


def test_known_shapes():
    assert shape("mnist") == (60_000, 10_000, 10, 1, 28)
    assert shape("imagenet") == (1_281_167, 50_000, 1000, 3, 224)


def test_a_folder_of_images_of_a_fixed_size_is_configured_at_that_size():
    for name in ("tiny_imagenet", "imagenet"):
        assert yaml.safe_load(CONFIGS[name].read_text())["size"] == shape(name).side


@pytest.mark.parametrize("name", ["imagefolder", "nonsense"])
def test_an_unknown_shape_is_one_line_that_lists_the_known_ones(name):
    with pytest.raises(UserError, match=rf"data\.name={name}: .*mnist, .*tiny_imagenet"):
        shape(name)


def test_a_set_is_generated_or_read_and_says_what_its_folder_holds():
    for entry in REGISTRY.values():
        assert (entry.read is None) != (entry.generate is None)
        assert bool(entry.holds) == (entry.read is not None)
        if entry.stand_in is not None:
            assert lookup(entry.stand_in).stand_in is None
