"""Binary images as the places of their ones: the same products, by additions alone."""

import pytest
import torch

from bnrepro.config.schema import ModelConfig, OptimConfig
from bnrepro.data.synthetic import synthetic
from bnrepro.models.lit import LitSet, lit
from bnrepro.models.mlp import Slot
from bnrepro.training.slots import SlotTrainer

SEEDS, STEPS, BATCH, INPUTS, UNITS = 3, 4, 5, 30, 7


@pytest.fixture
def images():
    images = (torch.rand(40, INPUTS) < 0.2).float()
    images[3], images[4], images[:, 6] = 0, 1, 0  # an empty and a full image; a pixel never lit
    return images


def trainer() -> SlotTrainer:
    model = ModelConfig([8, 8], "sigmoid", "batch", eps=1e-3, bn_momentum=0.1)
    optim = OptimConfig(lr=0.5, momentum=0.0, batch=20)
    slots = [Slot(seed, 0.5, 0.1) for seed in range(SEEDS)]
    return SlotTrainer(model, optim, slots, synthetic(90, 20), torch.device("cpu"))


def test_products_and_weight_gradients_are_those_of_the_matrices(images):
    index = torch.randint(0, len(images), (SEEDS, STEPS, BATCH))
    index[0, 0, :2] = torch.tensor([3, 4])
    weight = torch.randn(SEEDS, INPUTS, UNITS, dtype=torch.float64)
    for step, batch in enumerate(LitSet(images).batches(index)):
        x, d = images[index[:, step]].double(), torch.randn(SEEDS, BATCH, UNITS).double()
        assert batch.shape == x.shape
        torch.testing.assert_close(batch.product(weight), x @ weight)
        torch.testing.assert_close(batch.weight_gradient(d), x.mT @ d)


def test_images_that_all_networks_see_have_the_product_of_the_matrices(images):
    weight = torch.randn(SEEDS, INPUTS, UNITS, dtype=torch.float64)
    torch.testing.assert_close(lit(images).product(weight), images.double() @ weight)


def test_training_takes_the_mini_batches_of_every_step_in_blocks_and_across_epochs():
    many = trainer()
    for step in [*range(10), 3]:  # four steps an epoch
        places, labels = many.examples(step)
        x, expected = many.minibatch(step)
        assert torch.equal(labels, expected)
        eye = torch.eye(x.shape[-1]).expand(SEEDS, -1, -1)
        assert torch.equal(places.product(eye), x)


def test_a_curve_is_bitwise_the_same_wherever_a_block_begins():
    whole, parts = trainer(), trainer()
    list(whole.run([11]))
    for stop in (1, 3, 11):
        list(parts.run([stop]))
        parts.load_state_dict(parts.state_dict())
        parts._block.clear()
    for name, value in whole.net.params.items():
        assert torch.equal(value, parts.net.params[name]), name


def test_evaluation_adds_up_the_same_pixels():
    trained = trainer()
    list(trained.run([5]))
    accuracy, loss = trained.accuracy("moving")
    trained.lit = None
    dense = trained.accuracy("moving")
    assert torch.equal(accuracy, dense[0])
    torch.testing.assert_close(loss, dense[1])
