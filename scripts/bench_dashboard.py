"""How fast the page of training curves is: 300 curves of 5,000 points in headless Chromium.

    python -m scripts.bench_dashboard            needs selenium, chromium and chromedriver

Prints milliseconds from the navigation to two frames after the first picture, and from an input to
the second frame that follows it (the least that can be measured is about 25), medians of seven.
"""

import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bnrepro.cli import guard, no_arguments
from bnrepro.dashboard.data import Runs
from bnrepro.dashboard.page import build
from bnrepro.errors import UserError

ARMS, SEEDS, POINTS = 60, 5, 5000
FLAGS = ("headless=new", "no-sandbox", "disable-background-networking", "window-size=1360,1100")
OPENED = """const done = arguments[0]; (function wait() {
  if (!performance.getEntriesByName("shown").length) return setTimeout(wait, 5);
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
})()"""
ACT = """const [code, k, done] = arguments; const chart = document.getElementById("overlay");
chart.setPointerCapture = () => {};
const point = (name, x) => { const corner = chart.getBoundingClientRect();
  chart.dispatchEvent(new PointerEvent(name, {clientX: corner.left + x, clientY: corner.top + 200,
    pointerId: 1, bubbles: true})); };
const start = performance.now();
new Function("k", "point", code)(k, point);
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));"""
ACTIONS = {
    "drag": "point('pointermove', 300 - 10 * (k + 1))",
    "hide an arm": "document.querySelectorAll('#arms input')[k].click()",
    "logarithmic axis": "document.getElementById('logx').click()",
    "numbers under the cursor": "point('pointermove', 300 + 20 * k)",
}


def main() -> None:
    """Make the load and the page, measure, print."""
    no_arguments()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        write_load(results)
        start = time.perf_counter()
        runs = Runs(results)
        runs.read()
        path = results / "dashboard.html"
        path.write_text(build(runs.sets()), "utf-8")
        seconds, size = time.perf_counter() - start, path.stat().st_size
        print(f"page made in {seconds:.0f} s, {size / 1e6:.1f} MB")
        for what, values in measure(path).items():
            each = ", ".join(f"{value:.0f}" for value in values)
            print(f"{what}: {statistics.median(values):.0f} ms ({each})")


def write_load(results: Path) -> None:
    """Records of noisy curves of accuracy, 60 arms of five seeds."""
    rng = np.random.default_rng(0)
    steps = 10 * np.arange(1, POINTS + 1)
    for i in range(ARMS * SEEDS):
        folder = results / "mnist" / "paper" / f"bn-{i // SEEDS:06x}" / f"seed-{i % SEEDS}"
        folder.mkdir(parents=True)
        rise = 0.97 - 0.85 * np.exp(-steps / rng.uniform(3000, 4500))
        accuracy = np.clip(rise + 0.01 * rng.normal(size=POINTS), 0, 1).round(4)
        seconds = np.cumsum(rng.gamma(20, 0.0007, size=POINTS)).round(3)
        rows = [
            {"step": int(s), "examples": int(60 * s), "epoch": s / 1000, "wall_s": w,
             "test_accuracy": a}
            for s, w, a in zip(steps, seconds.tolist(), accuracy.tolist(), strict=True)
        ]  # fmt: skip
        text = "".join(json.dumps(row, default=float) + "\n" for row in rows)
        (folder / "metrics.jsonl").write_text(text, "utf-8")
        (folder / "summary.json").write_text('{"status": "ok", "outcome": "trained"}', "utf-8")


def measure(path: Path) -> dict[str, list[float]]:
    """Milliseconds of each action on a page of which all curves are drawn."""
    driver = open_browser()
    arms = "~".join(f"bn-{i:06x}" for i in range(ARMS))
    found: dict[str, list[float]] = {"open": []}
    try:
        for _ in range(5):
            driver.get("about:blank")
            driver.get(f"{path.as_uri()}#arms={arms}")
            found["open"].append(driver.execute_async_script(OPENED))
        for what, code in ACTIONS.items():
            time.sleep(1)
            if what == "drag":
                driver.execute_async_script(ACT, "point('pointerdown', 300)", 0)
            found[what] = []
            for k in range(7):
                time.sleep(0 if what == "drag" else 0.6)  # until the page has drawn in full
                found[what].append(driver.execute_async_script(ACT, code, k))
            driver.execute_async_script(ACT, "point('pointerup', 0)", 0)
    finally:
        driver.quit()
    return found


def open_browser() -> Any:
    """Headless Chromium; raises a UserError where it or its driver is not installed."""
    try:
        from selenium import webdriver
    except ImportError:
        raise UserError("selenium is not installed: it is in the extra `dev`") from None
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        raise UserError("chromium or chromedriver is not on the PATH; install both")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in FLAGS:
        options.add_argument(f"--{flag}")
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    found.set_script_timeout(60)
    return found


if __name__ == "__main__":
    guard(main)
