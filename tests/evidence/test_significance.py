"""p-values of the two tests that give verdicts, and Holm's correction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.significance import holm, t_test
from bnrepro.evidence.statistics import Above, by_chance, t_interval
from bnrepro.evidence.verdicts import Verdict, corrected, judge
from tests.evidence.test_verdicts import claim

numbers = st.floats(-1e3, 1e3, allow_nan=False)


@given(st.lists(numbers, min_size=2, max_size=9, unique=True), numbers)
def test_p_is_below_5_per_cent_where_the_interval_excludes_the_boundary(values, boundary):
    p, interval = t_test(values, boundary), t_interval(values)
    if p is not None and abs(p - 0.05) > 1e-6:
        assert (p < 0.05) == (not interval.low <= boundary <= interval.high)


def test_the_t_test_is_scipy_s():
    values = [0.1, 0.3, 0.2, 0.7]
    assert t_test(values, 0.05) == pytest.approx(stats.ttest_1samp(values, 0.05).pvalue)


@pytest.mark.parametrize("values", [[0.3], [0.3, 0.3, 0.3]])
def test_without_a_spread_there_is_no_t_test(values):
    assert t_test(values, 0) is None


def test_the_sign_test_counts_agreeing_seeds():
    assert by_chance(5, 5) == 1 / 32
    assert by_chance(4, 5) == 6 / 32
    assert by_chance(0, 3) == 1
    assert by_chance(4, 7) == pytest.approx(stats.binomtest(4, 7, alternative="greater").pvalue)


def test_holm_of_a_worked_case():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_keeps_the_order_and_makes_nothing_smaller(values):
    adjusted = holm(values)
    assert all(a >= p for a, p in zip(adjusted, values, strict=True))
    assert adjusted[values.index(min(values))] == pytest.approx(min(1, len(values) * min(values)))
    by_p = sorted(zip(values, adjusted, strict=True))
    assert [a for _, a in by_p] == sorted(a for _, a in by_p)


def verdict_of(monkeypatch, values, **keys) -> Verdict:
    monkeypatch.setattr("experiments.mnist.metrics.log_steps_ratio", lambda *_: values)
    return judge({**claim("log_steps_ratio"), **keys}, Evidence(runs=[{}], criteria=[]), "paper")


EVERY = {"over": "every", "op": ">", "value": 0}
SIGN = {"over": "sign", "op": ">", "value": 0}
BELOW = {"over": "every", "op": "<", "value": 0}


@pytest.mark.parametrize(
    ("values", "keys", "word", "test", "p"),
    [
        ([0.5, 0.6, 0.7], {}, "holds", "t-test", 0.0092),
        ([-0.5, -0.6, -0.7], {}, "fails", "t-test", 0.0092),
        ([0.5, 0.5, 0.5], {}, "holds", "sign test", 1 / 8),  # no spread
        ([0.5, 0.6], {}, "inconclusive", "", None),  # fewer seeds than were fixed
        ([0.5, 0.6, 0.7], {"kind": "exact"}, "holds", "", None),
        ([0.5, 0.6, 0.7], {"criterion": EVERY}, "holds", "sign test", 1 / 8),
        ([0.5, 0.6, -0.7], {"criterion": EVERY}, "fails", "", None),  # one value refutes it
        ([0.5] * 4 + [9.0], {"n": 5, "criterion": SIGN}, "holds", "sign test", 1 / 32),
        ([-0.5] * 4 + [-9.0], {"n": 5, "criterion": SIGN}, "fails", "sign test", 1 / 32),
        ([0.5, -0.6, 0.7], {"criterion": SIGN}, "inconclusive", "sign test", 1 / 2),
        ([None, None, None], {}, "fails", "sign test", 1 / 8),
        ([0.5, None, 0.7], {}, "inconclusive", "sign test", 1 / 2),
        ([-0.5, None, None], {}, "fails", "sign test", 1 / 8),  # the one that arrives is late
        ([0.0, *[-0.5] * 4], {"n": 5, "criterion": SIGN}, "inconclusive", "sign test", 1),  # a tie
        ([0.0, *[-0.5] * 5], {"n": 6, "criterion": SIGN}, "fails", "sign test", 1 / 32),
        ([0.7, *[Above(0.4)] * 4], {"n": 5}, "holds", "sign test", 1 / 32),
        ([Above(0.4)] * 3, {}, "inconclusive", "sign test", 1 / 8),
        ([Above(-0.4)] * 3, {"criterion": BELOW}, "inconclusive", "sign test", 1),
        ([Above(-0.4)] * 3, {"criterion": EVERY}, "inconclusive", "sign test", 1),
        ([0.5, 0.6, Above(0.1)], {"criterion": BELOW}, "fails", "", None),
    ],
)
def test_the_test_is_the_one_that_gives_the_verdict(monkeypatch, values, keys, word, test, p):
    verdict = verdict_of(monkeypatch, values, **keys)
    assert (verdict.verdict, verdict.test) == (word, test)
    assert verdict.p == (None if p is None else pytest.approx(p, abs=5e-4))


def test_the_correction_is_over_all_claims_with_a_test(monkeypatch):
    strong = verdict_of(monkeypatch, [0.5, 0.5001, 0.5002])
    weak = verdict_of(monkeypatch, [0.5, 0.6, 0.7])
    exact = verdict_of(monkeypatch, [0.5, 0.6, 0.7], kind="exact")
    few = corrected([strong, weak, exact])
    assert [v.corrected for v in few] == ["holds"] * 3
    assert few[2].adjusted is None
    many = corrected([strong, exact, *[weak] * 6])
    assert [v.corrected for v in many] == ["holds", "holds", *["inconclusive"] * 6]
    assert [v.verdict for v in many] == ["holds"] * 8  # the plain verdict stays
    assert many[0].adjusted == pytest.approx(7 * strong.p)
