"""Which columns are axes; curves with fewer points; columns as bytes."""

import gzip
import json
from base64 import b64decode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bnrepro import ROOT
from bnrepro.dashboard.axes import counters, find_keys, measures
from bnrepro.dashboard.columns import Columns
from bnrepro.dashboard.data import committed
from bnrepro.dashboard.encoding import Bytes, encode, encode_numbers, thinned
from bnrepro.dashboard.page import build, fitting, paper_values, reference
from bnrepro.dashboard.thinning import thin
from bnrepro.evidence.evidence import load
from bnrepro.experiment import stems

KEYS = {
    ("mnist", "paper", "units"): ["variant", "mode", "layer", "rank", "step"],
    ("mnist_grid", "paper", "cells"): ["variant", "round", "lr", "init_std", "seed"],
    ("inception_grid", "small", "cells"): ["variant", "round", "value"],
    ("placement", "small", "shape"): ["activation", "arm", "step", "layer", "what", "seed"],
    ("scale_invariance", "small", "exact"): ["seed", "eps", "a"],
    ("whitening", "small", "cost"): ["width", "arm"],
    ("bias_growth", "small", "exact"): ["seed", "transform", "gradient", "above", "step"],
}
FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize("place", KEYS, ids="/".join)
def test_the_axes_of_committed_tables_are_found_from_their_rows(place):
    experiment, scale, table = place
    columns = Columns(getattr(load(experiment, scale), table))
    assert find_keys(columns) == KEYS[place]


def test_curves_have_counters_beside_the_step_and_measure_the_rest():
    columns = Columns(load("inception", "small").where("curves", variant="bn_x5", seed=0))
    keys = find_keys(columns)
    assert keys == ["step"]
    assert counters(columns, keys) == ["step", "examples", "epoch", "wall_s"]
    assert {"learning_rate", "train_loss", "test_accuracy"} <= set(measures(columns, keys))


@given(hnp.arrays(float, st.integers(1, 400), elements=FINITE), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_a_thinned_curve_keeps_recorded_values_and_the_extremes_of_every_bucket(values, buckets):
    kept = thin(values, buckets)
    assert (np.diff(kept.rows) > 0).all()
    assert (values[kept.rows] == kept.values).all()
    assert {0, len(values) - 1} <= set(kept.rows.tolist())
    assert len(kept.rows) <= max(2 * buckets, 2 * buckets + 2)
    for part in np.array_split(np.arange(len(values)), min(buckets, len(values))):
        if kept.means is None:
            break
        part = part if len(values) % buckets == 0 else []
        if len(part):
            inside = kept.values[(kept.rows >= part[0]) & (kept.rows <= part[-1])]
            assert (inside.min(), inside.max()) == (values[part].min(), values[part].max())


def test_rows_without_a_value_are_left_out_of_a_thinned_curve():
    values = np.where(np.arange(300) % 3 == 0, np.arange(300.0), np.nan)
    kept = thin(values, 10)
    assert (kept.rows % 3 == 0).all()
    assert not np.isnan(kept.values).any()
    assert kept.means == pytest.approx([13.5 + 30 * i for i in range(10)])


def decode(column, content):
    """What the page reads, in Python."""
    data = b"".join(content.parts)
    if "c" in column:
        return [column["c"]] * column["n"]
    kind, place = next((k, column[k]) for k in "dfgu" if k in column)
    types = {"d": np.int32, "f": np.float32, "g": np.float64, "u": np.uint8}
    values = np.frombuffer(data, types[kind], column["n"], place)
    if kind == "d":
        return (np.cumsum(values.astype(float)) / column["s"]).tolist()
    return [column["w"][i] for i in values] if kind == "u" else values.astype(float).tolist()


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1), st.sampled_from([0, 3, 4, 5]))
@settings(max_examples=60, deadline=None)
def test_numbers_of_few_decimals_are_kept_exactly(numbers, digits):
    content = Bytes()
    values = [round(n / 10**digits, digits) for n in numbers]
    assert decode(encode_numbers(np.array(values), content), content) == values


@pytest.mark.parametrize("values", [[1e-15, 2.5e-14, 3e-13], [1e300, 1e-300], [float("nan"), 0.1]])
def test_other_numbers_keep_seven_digits(values):
    content = Bytes()
    found = decode(encode_numbers(np.array(values), content), content)
    assert found == pytest.approx(values, rel=1e-7, abs=0, nan_ok=True)


def test_words_are_kept_and_equal_columns_share_their_bytes():
    content = Bytes()
    words = ["bn", "none", "bn"]
    assert decode(encode(words, content), content) == words
    before = content.length
    assert encode(words, content)["u"] == encode(list(words), content)["u"]
    assert content.length == before
    assert gzip.decompress(b64decode(content.text())) == b"".join(content.parts)


def test_the_percentiles_of_a_band_keep_the_same_rows():
    rng = np.random.default_rng(0)
    names = ("p15_training_h", "median_training_h", "p85_training_h", "test_loss")
    columns = {name: rng.normal(size=2000) for name in names}
    content = Bytes()
    found = thinned(columns, content, 20)
    rows = [decode(found[name]["rows"], content) for name in names]
    assert rows[0] == rows[1] == rows[2] != rows[3]
    for name, kept in zip(names, rows, strict=True):
        assert {columns[name].argmin(), columns[name].argmax()} <= set(kept)


@pytest.mark.thorough
def test_a_page_that_would_be_too_large_is_thinned_until_it_fits(monkeypatch):
    sets = [each for each in committed(ROOT / "results") if each.name.startswith("mnist/")]
    whole = sum(map(len, fitting(sets)[1]))
    monkeypatch.setattr("bnrepro.dashboard.page.MOST", int(0.9 * whole))
    assert sum(map(len, fitting(sets)[1])) < 0.9 * whole
    monkeypatch.setattr("bnrepro.dashboard.page.MOST", 10)
    assert len(fitting(sets)[1]) == len(sets)  # as small as it gets, and complete


def test_a_page_holds_all_evidence_and_refers_to_no_other_file():
    page = build(committed(ROOT / "results"))
    assert len(page) < 12e6
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert {each["experiment"] for each in data["sets"]} >= {"mnist", "inception", "jacobian"}
    assert {each["stem"] for each in data["experiments"]} == set(stems())
    program = page.split('id="data">')[0] + page.split("</script>")[-2]
    for word in ('src="', "url(", "@import", "http://", "https://", 'href="h'):
        assert word not in program.replace("http://www.w3.org/2000/svg", "")  # a name


def test_the_papers_values_are_those_of_figure_3():
    from experiments.inception.tables import PAPER

    values = {each["arm"]: each for each in paper_values("inception")}
    for arm, printed in PAPER.items():
        if printed.accuracy.endswith("%"):
            assert f"{100 * values[arm]['value']:.1f} %" == printed.accuracy
        if printed.steps.endswith("10⁶"):
            assert f"{values[arm]['steps'] / 1e6:.1f}·10⁶" == printed.steps


def test_the_reference_arm_is_the_one_that_most_claims_compare_with():
    assert reference("mnist") == "baseline"
    assert reference("inception") == "inception"
    assert reference("inception_grid") is None
