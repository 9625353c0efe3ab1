"""`make plan`: counts by hand, and a table without any data set."""

import pytest

from bnrepro.config import compose
from bnrepro.errors import UserError
from scripts import plan


def test_operations_of_the_paper_s_network_are_the_known_ones():
    """BN-Inception has about 2·10⁹ multiply-adds an image; backward costs twice forward."""
    cfg = compose("inception", ["variant=bn_x5", "scale=paper"])
    per_image = plan.flops(cfg) / 3 / 2 / plan.STEP
    assert per_image == pytest.approx(2e9, rel=0.1)


@pytest.mark.thorough
def test_a_plan_needs_no_data_and_names_every_arm(run, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(plan, "SECONDS", 0)
    nowhere = ["data=fashion_mnist", f"data.root={tmp_path}", f"data.cache={tmp_path}"]
    assert run(plan.main, ["scale=smoke", "budget.steps=6000", "processes=2", *nowhere]) == 0
    assert not list(tmp_path.iterdir())
    printed = capsys.readouterr()
    rows = {line.split()[1]: line.split()[3::2] for line in printed.out.splitlines() if "│" in line}
    assert len(rows) == 8
    assert (rows["inception"][0], rows["bn_x5"][0]) == ("6,000", "3,000")
    assert (rows["inception"][1], rows["bn_x5"][1]) == ("3.2", "1.6")  # 6,000 · 32 / 60,000
    assert rows["bn_x30"][4] == rows["bn_x5"][4]  # one network, measured once
    assert printed.err.count("measuring") == 6
    assert "measured on" in printed.out
    assert "2 processes" in printed.out


def test_the_hours_are_the_examples_at_the_measured_speed_over_the_processes():
    cfg = compose("inception", ["scale=smoke", "variant=bn_x5", "processes=2"])
    cfg.budget.steps = 90_000  # 45,000 of them at twice the speed of decay: 1,440,000 examples
    assert plan.row(cfg, speed=100.0)[-1] == "2"


def test_a_plan_of_one_arm(run, monkeypatch, capsys):
    monkeypatch.setattr(plan, "SECONDS", 0)
    assert run(plan.main, ["scale=smoke", "variant=bn_x30"]) == 0
    printed = capsys.readouterr()
    assert printed.err.split() == ["measuring", "bn_x30", "…"]
    assert [line.split()[1] for line in printed.out.splitlines() if "│" in line] == ["bn_x30"]


def test_a_plan_of_bn_per_activation_counts_what_the_other_bn_does(run, monkeypatch, capsys):
    """Section 4.2.3's last modules normalise each activation: the same convolutions."""
    monkeypatch.setattr(plan, "SECONDS", 0)
    words = ["scale=small", "variant=bn_x5"]
    per_channel, per_activation = (
        plan.flops(compose("inception", [*words, f"model.per_activation={n}"])) for n in (0, 1)
    )
    assert per_activation == per_channel
    assert run(plan.main, ["scale=smoke", "variant=bn_x5", "model.per_activation=1"]) == 0
    assert "bn_x5" in capsys.readouterr().out


def test_an_unknown_set_is_one_line():
    cfg = compose("inception", ["scale=smoke"])
    cfg.data.name = "imagefolder"
    with pytest.raises(UserError, match=r"data\.name=imagefolder.*tiny_imagenet"):
        plan.flops(cfg)
