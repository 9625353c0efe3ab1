"""The numbers that the page shows: those of the records, as the evidence computes them."""

import re

import pytest

from bnrepro.evidence.evidence import load
from bnrepro.evidence.statistics import t_interval
from bnrepro.plots.speed import speed
from tests.dashboard.results import ended, rows, write_run

CURVES = "#set=mnist/small/runs"


def readings(browser, step=17):
    """What the tip says at places all over the chart."""
    width, height = browser.run(
        "[document.getElementById('overlay').clientWidth,"
        " document.getElementById('overlay').clientHeight]"
    )
    found = []
    for x in range(70, width - 20, step):
        for y in range(30, height - 50, 60):
            browser.point(x, y)
            if not browser.run("document.getElementById('tip').hidden"):
                found.append(browser.text("tip").splitlines())
    return found


def numbers(lines, *names):
    """The numbers behind these words."""
    values = []
    for name in names:
        text = next(line for line in lines if line.startswith(f"{name} "))
        values.append(float(text.removeprefix(name).replace(",", "").replace("−", "-")))
    return tuple(values)


def test_the_numbers_under_the_cursor_are_recorded_ones(browser, page):
    browser.open(page + CURVES + "&arms=bn")
    known = {
        (f"seed {seed}", row["step"], row["test_accuracy"])
        for seed in range(3)
        for row in rows(60, seed)
    }
    found = {
        (lines[0].split(", ")[1], *numbers(lines, "steps", "test accuracy"))
        for lines in readings(browser)
    }
    assert len(found) > 20
    assert found <= known


def test_a_thinned_curve_keeps_its_extremes_and_shows_recorded_numbers(
    browser, tmp_path, make_page, monkeypatch
):
    made = rows(1500)
    for i, row in enumerate(made):
        row["test_accuracy"] = round(0.5 + (i * 7919 % 1000) / 5000, 4)
    made[700]["test_accuracy"], made[901]["test_accuracy"] = 0.9512, 0.1234
    write_run(tmp_path, "bn", 0, made, summary=ended())
    monkeypatch.setattr("bnrepro.dashboard.page.BUCKETS", (50,))
    browser.open(make_page(tmp_path))
    known = {(row["step"], row["test_accuracy"]) for row in made}
    found = {numbers(lines, "steps", "test accuracy") for lines in readings(browser, 11)}
    assert found <= known
    assert {(35050, 0.9512), (45100, 0.1234)} <= found


def test_a_mean_and_its_interval_are_those_of_the_evidence(browser, page):
    browser.open(page + CURVES + "&arms=bn&seeds=0&x=wall_s")
    browser.run("document.getElementById('overlay').focus()")
    browser.press("END")
    lines = browser.text("tip").splitlines()
    last = [rows(60, seed)[-1] for seed in range(3)]
    expected = t_interval([row["test_accuracy"] for row in last])
    assert lines[0] == "with BN, mean of 3"
    assert numbers(lines, "step", "test accuracy") == (3000, pytest.approx(expected.mean))
    assert numbers(lines, "seconds") == (pytest.approx(15.01),)  # the seeds' mean
    bounds = re.search(r"95 % interval ([\d.]+), ([\d.]+)", "\n".join(lines))
    low, high = map(float, bounds.groups())
    assert (low, high) == (pytest.approx(expected.low), pytest.approx(expected.high))


@pytest.mark.parametrize("axis", ["step", "wall_s"])
@pytest.mark.parametrize("share", [1.0, 0.9])
def test_how_many_times_as_fast_an_arm_is_agrees_with_the_tables(browser, committed, axis, share):
    browser.open(f"{committed}#set=inception/small/committed&x={axis}&share={share:g}")
    evidence, said = load("inception", "small"), browser.text("crossings")
    for arm, label in (("bn_baseline", "BN-Baseline"), ("bn_x5", "BN-x5"), ("bn_x30", "BN-x30")):
        expected = speed(evidence, arm, "inception", share, axis)
        assert f"{label}: {expected};" in said
    other = [line for line in said.splitlines() if line.endswith("1 on other hardware left out")]
    assert any(line.startswith("BN-x5:") for line in other) == (axis == "wall_s")


def test_the_target_is_that_of_the_arm_that_claims_compare_with(browser, committed):
    browser.open(f"{committed}#set=mnist/paper/committed")
    assert browser.run("document.getElementById('against').value") == "baseline"
    expected = speed(load("mnist", "paper"), "bn", "baseline", 1.0, "step")
    assert f"with BN: {expected};" in browser.text("crossings")


def test_a_run_that_has_not_ended_may_still_reach_the_target(browser, tmp_path, make_page):
    write_run(tmp_path, "baseline", 0, rows(40), summary=ended())
    write_run(tmp_path, "bn", 0, rows(10))
    write_run(tmp_path, "bn_tuned", 0, rows(10), summary=ended())
    browser.open(make_page(tmp_path))
    said = browser.text("crossings")
    assert "with BN: never reached in 1 of 1 seeds (so far);" in said
    assert "own best setting: never reached in 1 of 1 seeds;" in said


def test_seeds_that_ended_in_different_ways_have_no_mean(browser, tmp_path, make_page):
    for seed, outcome in enumerate(("trained", "collapsed", "trained")):
        write_run(tmp_path, "bn", seed, summary=ended(outcome=outcome))
    browser.open(make_page(tmp_path) + "#seeds=0")
    browser.run("document.getElementById('overlay').focus()")
    browser.press("END")
    assert browser.text("tip").splitlines()[0] == "with BN, seed 0"


def test_a_cell_of_a_heat_map_shows_the_mean_over_seeds_and_each_value(browser, page):
    browser.open(page + "#set=scale_invariance/small/runs&f.arm=bn")
    assert browser.run("document.getElementById('mode').value") == "heat map"
    browser.run("document.getElementById('overlay').focus()")
    browser.press("ARROW_RIGHT", "ARROW_RIGHT", "ARROW_UP")
    tip = browser.text("tip").splitlines()
    assert tip[0] == "learning rate 0.3, std 0.1"
    assert numbers(tip, "loss") == (0.0405,)
    assert tip[2] == "mean of 2: 0.04, 0.041"


def test_a_band_shows_its_three_percentiles(browser, page):
    browser.open(page + CURVES + "&arms=bn&metric=band:training_hidden1&mean=0")
    browser.run("document.getElementById('overlay').focus()")
    browser.press("END")
    tip = browser.text("tip")
    assert "hidden1 0.25" in tip  # the median, on average over the units
    assert "15th, 85th percentile −4, 1.25" in tip.replace("-", "−")
