"""The page on a telephone, by keyboard, in light and dark, and with broken records."""

import os
import re

import pytest

from tests.dashboard.results import append, ended, rows, write_run

CURVES = "#set=mnist/small/runs"
VIEWS = (CURVES, "#set=scale_invariance/small/runs", "#set=mnist/small/runs&metric=train_loss")


@pytest.mark.parametrize("view", VIEWS)
def test_390_pixels_are_wide_enough(browser, page, view):
    browser.resize(390, 844)
    browser.open(page + view)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    wide = browser.run(
        "[...document.querySelectorAll('select, input, button, canvas')].filter((e) =>"
        "e.offsetParent && !e.closest('.scroll') && e.getBoundingClientRect().right > 390)"
        ".map((e) => e.id)"
    )
    assert wide == []
    height = browser.run("document.getElementById('plot').clientHeight")
    assert height >= 300
    first = browser.picture()
    browser.choose("logy", True)
    assert browser.picture() != first


@pytest.mark.parametrize("view", VIEWS)
def test_the_keyboard_reaches_every_control(browser, page, view):
    browser.open(page + view)
    controls = set(
        browser.run(
            "[...document.querySelectorAll('select, input, button, canvas[tabindex], .scroll')]"
            ".filter((e) => e.offsetParent).map((e) => e.id || e.className)"
        )
    )
    reached = set()
    for _ in range(len(controls) + 5):
        browser.press("TAB")
        reached.add(browser.run("document.activeElement.id || document.activeElement.className"))
    assert controls <= reached


def test_keys_change_controls_and_keep_the_focus(browser, page):
    browser.open(page + CURVES)
    first = browser.picture()
    browser.run("document.getElementById('arm-bn').focus()")
    browser.press("SPACE")
    browser.wait("!document.getElementById('arm-bn').checked")
    assert browser.run("document.activeElement.id") == "arm-bn"
    assert browser.picture() != first
    browser.run("document.getElementById('smooth').focus()")
    browser.press("ARROW_RIGHT")
    browser.wait("location.hash.includes('smooth=0.01')")


def test_the_chart_is_read_and_moved_by_keys(browser, page):
    browser.open(page + CURVES)
    browser.run("document.getElementById('overlay').focus()")
    first = browser.picture()
    browser.press("END", "ARROW_LEFT")
    assert "steps 2,950" in browser.text("tip")
    assert "steps 2,950" in browser.run("document.getElementById('reading').textContent")
    arm = browser.text("tip").splitlines()[0]
    browser.press("ARROW_DOWN")
    assert browser.text("tip").splitlines()[0] != arm
    pictures = [first]
    for key in ("+", "-", "SHIFT+ARROW_RIGHT", "0"):
        browser.press(key)
        pictures.append(browser.picture())
    assert len(set(pictures)) == 5


@pytest.mark.parametrize(("system", "theme"), [("dark", "auto"), ("light", "dark")])
def test_a_dark_page_is_dark_and_every_line_shows_on_it(browser, page, system, theme):
    browser.colours(system)
    browser.open(f"{page}{CURVES}&theme={theme}")
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert contrast(background, "rgb(255, 255, 255)") > 10
    strokes = browser.run(
        "[...document.querySelectorAll('.sample line')].map((l) => getComputedStyle(l).stroke)"
    )
    browser.colours("light")
    assert len(strokes) == 5
    assert min(contrast(background, stroke) for stroke in strokes) > 3


def test_a_light_page_is_light(browser, page):
    browser.open(page + CURVES)
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def contrast(one, other):
    """The ratio of two colours' luminances, as the guidelines for web contents define it."""

    def luminance(colour):
        channels = [int(n) / 255 for n in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_of_many_arms_the_newest_are_chosen(browser, tmp_path, make_page):
    for i in range(14):
        folder = write_run(tmp_path, f"bn-{i:06x}", summary=ended())
        for path in folder.iterdir():
            os.utime(path, (1e9 + 100 * (i * 5 % 14), 1e9 + 100 * (i * 5 % 14)))
    browser.open(make_page(tmp_path))
    chosen = browser.run("[...document.querySelectorAll('#arms input:checked')].map((e) => e.id)")
    assert set(chosen) == {f"arm-bn-{i:06x}" for i in range(14) if i * 5 % 14 >= 6}
    browser.act("document.getElementById('arms-all').click()")
    browser.act("document.getElementById('arms-newest').click()")
    assert browser.run("document.querySelectorAll('#arms input:checked').length") == 8


def test_a_page_without_runs_says_what_to_do(browser, tmp_path, make_page):
    browser.open(make_page(tmp_path))
    assert "make mnist" in browser.text("empty")


def test_broken_and_half_written_runs_are_shown_as_such(browser, tmp_path, make_page):
    write_run(tmp_path, "bn", 0, summary=ended())
    half = write_run(tmp_path, "half", 0)
    with (half / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1050, "test_acc')
    junk = write_run(tmp_path, "junk", 0, rows(4), summary=ended())
    (junk / "metrics.jsonl").open("ab").write(b"\x00\xff garbage\n")
    append(junk, rows(2, start=4))
    summary = write_run(tmp_path, "summary", 0, rows(4), summary=ended())
    (summary / "summary.json").write_text("{")
    write_run(tmp_path, "empty", 0, [])
    crashed = ended("crashed", None, error="RuntimeError: </script><b id='evil'>no memory")
    write_run(tmp_path, "crashed", 0, summary=crashed)
    browser.open(make_page(tmp_path))
    said = browser.text("runs")
    assert "line 5 is no row" in said
    assert "unreadable" in said
    assert "summary.json cannot be read" in said
    assert "</script><b id='evil'>no memory" in said
    assert not browser.run("document.getElementById('evil')")
    assert browser.run("document.querySelectorAll('#runs tbody tr').length") == 6
    assert browser.text("alert") == ""


def test_a_set_with_no_row_at_all_is_no_blank_page(browser, tmp_path, make_page):
    write_run(tmp_path, "bn", 0, [])
    browser.open(make_page(tmp_path))
    assert "No row was recorded" in browser.text("empty")
    assert "running" in browser.text("runs")


@pytest.mark.parametrize("asked", ["&arms=none&logx=1&logy=1", "&logx=1&logy=1&zoom=0~10~0~1"])
def test_logarithmic_axes_with_nothing_positive_to_show_do_not_fail(browser, page, asked):
    browser.open(page + CURVES + asked)
    assert "A part of this page failed" not in browser.run("document.body.innerText")
    assert browser.run("document.getElementById('logx').checked")
