"""The page in a real browser: it asks no server, and each control changes what is drawn."""

import pytest

from tests.dashboard.results import ended, rows, write_run

CURVES = "#set=mnist/small/runs"
SWEEP = "#set=scale_invariance/small/runs"
CONTROLS = [
    *((CURVES, "metric", m) for m in ("train_loss", "grad_norm_hidden1", "band:training_hidden1")),
    (CURVES, "metric", "saturated_hidden1"),
    (CURVES, "metric", "error:test_accuracy"),
    *((CURVES, "x", axis) for axis in ("examples", "epoch", "wall_s")),
    (CURVES, "logx", True),
    (CURVES, "logy", True),
    (CURVES, "smooth", "0.8"),
    (CURVES, "seeds", False),
    (CURVES, "mean", False),
    *((CURVES, "share", share) for share in ("0", "0.98", "0.95", "0.9")),
    (CURVES, "against", "bn"),
    (CURVES, "theme", "dark"),
    (f"{CURVES}&metric=grad_norm_hidden1", "logy", True),
    (CURVES, "experiment", "scale_invariance"),
    (SWEEP, "mode", "curves"),
    (SWEEP, "x", "std"),
    (SWEEP, "filter-arm", "bn"),
    (SWEEP, "filter-arm", "all"),
    (SWEEP, "logy", True),
    (f"{SWEEP}&mode=curves", "colour", "std"),
    ("#set=inception/small/committed", "paper", True),
    ("#set=inception/small/committed", "table", "units"),
    (CURVES, "set", "mnist/paper/committed"),
]


@pytest.mark.parametrize(("start", "control", "value"), CONTROLS, ids=str)
def test_each_control_changes_the_picture_and_the_address(browser, page, start, control, value):
    browser.open(page + start)
    before = browser.picture()
    browser.choose(control, value)
    after = browser.picture()
    assert after != before
    address = browser.run("location.href")
    browser.open(address)
    assert browser.picture() == after


def test_the_page_asks_no_server(browser, page):
    browser.open(page)
    for metric in ("train_loss", "test_accuracy"):
        browser.choose("metric", metric)
    asked = browser.requests()
    assert page in asked
    assert [a for a in asked if not a.startswith(("file:", "data:", "about:", "blob:"))] == []


def test_each_box_of_an_arm_hides_that_arm(browser, page):
    browser.open(page + CURVES)
    pictures = [browser.picture()]
    for arm in ("baseline", "bn", "bn_tuned", "baseline_tuned", "bn-0a1b2c"):
        browser.choose(f"arm-{arm}", False)
        pictures.append(browser.picture())
    assert len(set(pictures)) == 6
    assert "No curve is chosen" in browser.text("empty")
    browser.act("document.getElementById('arms-all').click()")
    assert browser.picture() == pictures[0]
    browser.act("document.getElementById('arms-none').click()")
    assert browser.picture() == pictures[-1]


def test_the_address_of_an_open_page_changes_what_it_shows(browser, page):
    browser.open(page + CURVES)
    browser.act("location.hash = 'set=mnist/small/runs&metric=train_loss&logy=1&arms=bn'")
    assert browser.run("document.getElementById('metric').value") == "train_loss"
    assert browser.run("document.getElementById('logy').checked")
    assert browser.run("document.querySelectorAll('#arms input:checked').length") == 1


def test_of_two_quick_choices_the_last_one_is_shown(browser, page):
    browser.open(page + CURVES)
    expected = browser.picture()
    browser.act(  # the first one has to be decompressed, the last one is there already
        "const e = document.getElementById('experiment');"
        "for (const name of ['inception', 'mnist']) {"
        "e.value = name; e.dispatchEvent(new Event('change'))}"
    )
    browser.wait("performance.now() > performance.getEntriesByName('shown').at(-1).startTime + 500")
    assert browser.run("document.getElementById('experiment').value") == "mnist"
    assert browser.picture() == expected


@pytest.mark.parametrize(
    "hash_",
    ["#set=no/such/set&metric=none&x=nothing", "#zoom=a~b&smooth=x&arms=&f.arm=9", "#%E0%A4%A=1&"],
)
def test_an_address_that_makes_no_sense_shows_a_page_all_the_same(browser, page, hash_):
    browser.open(page + hash_)
    assert browser.run("document.querySelectorAll('#runs tbody tr').length") > 0
    assert browser.text("alert") == ""


def blue_pixels(browser):
    """Pixels of the colour of the arm with BN in the lowest eighth of the plot."""
    return browser.run(
        "(() => {const c = document.getElementById('plot'), h = c.clientHeight;"
        "const top = Math.round(0.78 * h), d = c.getContext('2d').getImageData("
        "62, top, c.width - 80, Math.round(0.12 * h)).data; let n = 0;"
        "for (let i = 0; i < d.length; i += 4) n += d[i + 2] - d[i] > 12; return n})()"
    )


def test_smoothing_never_hides_the_raw_curve(browser, tmp_path, make_page):
    made = rows(60)
    made[40]["test_accuracy"] = 0.31  # a dip of one row, the lowest value in sight
    write_run(tmp_path, "bn", 0, made, summary=ended())
    browser.open(make_page(tmp_path) + "#logx=0")
    raw = blue_pixels(browser)
    browser.choose("smooth", "0.99")
    assert raw > 20
    assert blue_pixels(browser) > raw / 4


def test_the_chart_moves_by_dragging_wheel_and_buttons(browser, page):
    browser.open(page + CURVES)
    first = browser.picture()
    browser.point(300, 200, "pointerdown")
    browser.point(220, 230)
    browser.point(220, 230, "pointerup")
    dragged = browser.picture()
    browser.point(300, 200, "wheel", deltaY=-100, ctrlKey=True)
    zoomed = browser.picture()
    browser.run("document.getElementById('wider').click()")
    wider = browser.picture()
    assert len({first, dragged, zoomed, wider}) == 4
    browser.wait("location.hash.includes('zoom')")
    browser.act("document.getElementById('whole').click()")
    whole = browser.picture()
    browser.act("document.getElementById('whole').click()")
    assert browser.picture() == first != whole


def test_the_wheel_alone_scrolls_the_page(browser, page):
    browser.open(page + CURVES)
    first = browser.picture()
    browser.point(300, 200, "wheel", deltaY=-100)
    assert browser.picture() == first


def test_a_table_of_runs_sorts_by_each_column(browser, page):
    browser.open(page + CURVES)

    def column(name):
        return browser.run(
            "(() => {const heads = [...document.querySelectorAll('#runs th')].map((h) =>"
            "h.innerText); const at = heads.indexOf(arguments[0]); return ["
            "...document.querySelectorAll('#runs tbody tr')].map((r) => r.cells[at].innerText)})()",
            name,
        )

    assert {"ok", "diverged", "interrupted", "running"} == set(column("status"))
    assert "non-finite at step 275" in column("outcome")
    for key, name in (("last", "last accuracy"), ("done", "steps")):
        browser.act(f"document.getElementById('sort-{key}').click()")
        numbers = [float(text.replace(",", "")) for text in column(name)]
        assert numbers == sorted(numbers)
        browser.act(f"document.getElementById('sort-{key}').click()")
        down = [float(text.replace(",", "")) for text in column(name)]
        assert down == sorted(numbers, reverse=True)
        assert browser.run(
            f"document.getElementById('sort-{key}').parentElement.ariaSort"
        ) == "descending"  # fmt: skip
    assert set(column("optim.lr")) == {"0.1", "0.5"}  # settings that differ, and no others
    assert "model.hidden" not in browser.text("runs")
