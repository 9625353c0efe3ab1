"""`make plan`: counts by hand, and a table without any data set."""

import pytest

from bnrepro.config import compose
from bnrepro.data import loading
from scripts import plan


def test_operations_of_the_paper_s_network_are_the_known_ones():
    """BN-Inception has about 2·10⁹ multiply-adds an image; backward costs twice forward."""
    cfg = compose("inception", ["variant=bn_x5", "scale=paper"])
    per_image = plan.flops(cfg) / 3 / 2 / plan.STEP
    assert per_image == pytest.approx(2e9, rel=0.1)


def test_a_plan_needs_no_data_and_names_every_arm(run, monkeypatch, capsys):
    monkeypatch.setattr(plan, "SECONDS", 0)
    monkeypatch.setattr(loading, "load", None)
    assert run(plan.main, ["scale=smoke", "processes=2"]) == 0
    printed = capsys.readouterr()
    rows = {line.split()[1]: line.split()[3::2] for line in printed.out.splitlines() if "│" in line}
    assert len(rows) == 7
    assert (rows["inception"][0], rows["bn_x5"][0]) == ("12", "6")
    assert rows["inception"][1] == "0.3"  # epochs: 12 · 32 / 1,200
    assert rows["bn_x30"][4] == rows["bn_x5"][4]  # one network, measured once
    assert printed.err.count("measuring") == 5
    assert "measured on" in printed.out
    assert "2 processes" in printed.out


def test_an_unknown_set_is_one_line(capsys):
    cfg = compose("inception", ["scale=smoke"])
    cfg.data.name = "imagefolder"
    with pytest.raises(plan.UserError, match=r"data\.name=imagefolder.*tiny_imagenet"):
        plan.flops(cfg)
