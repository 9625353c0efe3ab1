"""The look of arms: fixed for the paper's, by a rule from the name for all others."""

import subprocess
import sys

import pytest

from bnrepro import ROOT
from bnrepro.config import variants
from bnrepro.plots.style import ARMS, DASHES, OTHERS, arm, on_data


def test_an_arm_without_an_entry_looks_the_same_in_every_process():
    program = "from bnrepro.plots.style import arm; print(*arm('mine')[:2], repr(arm('mine').dash))"
    shown = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    look = arm("mine")
    assert shown == {f"mine {look.colour} {look.dash!r}"}
    assert look == arm("mine")


def test_another_name_has_another_label_and_as_a_rule_another_look():
    assert arm("mine")[1:] != arm("yours")[1:]
    names = [f"bn_x5-{i:06x}" for i in range(200)]
    looks = {arm(name)[1:] for name in names}
    assert len(looks) == len(OTHERS) * len(DASHES)
    assert [arm(name).label for name in names] == names


def test_no_arm_without_an_entry_looks_like_one_of_the_papers():
    named = {look[1:] for look in ARMS.values()}
    assert not named & {(colour, dash) for colour in OTHERS for dash in DASHES}


@pytest.mark.parametrize("experiment", ["mnist", "inception"])
def test_every_arm_of_the_paper_has_a_label_and_another_look(experiment):
    looks = {variant: arm(variant) for variant in variants(experiment)}
    assert all(look.label != variant for variant, look in looks.items())
    assert len({look[1:] for look in looks.values()}) == len(looks)


def test_only_mnist_goes_without_its_name():
    assert on_data("accuracy", "mnist") == "accuracy"
    assert on_data("accuracy", "mnist-5k") == "mnist-5k: accuracy"
    assert on_data("accuracy", "fashion_mnist") == "Fashion-MNIST: accuracy"
