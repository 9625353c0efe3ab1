"""A real browser for the page's tests: Debian's Chromium and its driver, without any network."""

import contextlib
import json
import os
import shutil

import pytest

from bnrepro import ROOT
from bnrepro.dashboard.data import Runs
from bnrepro.dashboard.data import committed as committed_sets
from bnrepro.dashboard.page import build
from tests.dashboard.results import write_some

FLAGS = (
    *("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
    *("disable-background-networking", "disable-component-update", "disable-sync"),
    *("disable-dev-shm-usage", "window-size=1300,1000", "hide-scrollbars"),
)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser; the tests take minutes, and are skipped unless asked for."""
    if not os.environ.get("BROWSER"):
        pytest.skip("BROWSER=1 runs the tests in a browser; they take minutes")
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium here")
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("no chromium with its chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(driver)
    with contextlib.closing(Browser(webdriver.Chrome(options=options, service=service))) as found:
        yield found


@pytest.fixture
def browser(chromium):
    """The browser at a plain page; afterwards no page has failed or asked another host."""
    chromium.get("about:blank")
    chromium.resize(1300, 1000)
    chromium.log()
    chromium.requests()
    yield chromium
    assert chromium.log() == []


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """A page of made-up runs beside the committed evidence of two experiments: its address."""
    results = tmp_path_factory.mktemp("results")
    write_some(results)
    return write_page(results, evidence("inception", "mnist"))


@pytest.fixture(scope="session")
def committed(tmp_path_factory):
    """A page of committed evidence."""
    return write_page(tmp_path_factory.mktemp("none"), evidence("inception", "mnist"))


@pytest.fixture
def make_page():
    """Make the page of a folder of runs."""
    return write_page


def evidence(*experiments):
    """The committed evidence of some experiments."""
    return [each for each in committed_sets(ROOT / "results") if each.experiment in experiments]


def write_page(results, more=()):
    """Write a page of the runs below a folder; its address."""
    runs = Runs(results)
    runs.read()
    path = results / "dashboard.html"
    path.write_text(build([*runs.sets(), *more]), "utf-8")
    return path.as_uri()


class Browser:
    """What the tests do with a page."""

    def __init__(self, driver):
        self.driver = driver

    def close(self):
        self.driver.quit()

    def get(self, address):
        self.driver.get("about:blank")  # an address that differs behind # alone loads nothing
        self.driver.get(address)

    def open(self, address):
        """Open a page and wait until it has drawn."""
        self.get(address)
        self.wait("performance.getEntriesByName('shown').length")

    def run(self, script, *arguments):
        """The value of an expression in the page."""
        return self.driver.execute_script(f"return {script}", *arguments)

    def wait(self, condition, seconds=10):
        """Wait until an expression is true; returns its value."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, seconds, 0.05).until(lambda _: self.run(condition))

    def act(self, script):
        """Do something and wait until the page has shown what follows from it."""
        before = self.run("performance.getEntriesByName('shown').length")
        self.driver.execute_script(script)
        self.wait(f"performance.getEntriesByName('shown').length > {before}")

    def choose(self, control, value):
        """Choose an option of a select, or check a box, as a person does."""
        self.act(
            f"const e = document.getElementById({json.dumps(control)});"
            f"if (e.type === 'checkbox') e.checked = {json.dumps(value)};"
            f"else e.value = {json.dumps(value)};"
            "for (const name of ['input', 'change']) e.dispatchEvent(new Event(name));"
        )

    def press(self, *keys):
        """Press keys, one after the other."""
        from selenium.webdriver import ActionChains, Keys

        for key in keys:
            chain = ActionChains(self.driver)
            held = [getattr(Keys, name) for name in key.split("+")[:-1]] if len(key) > 1 else []
            last = key if len(key) == 1 else getattr(Keys, key.split("+")[-1])
            for modifier in held:
                chain.key_down(modifier)
            chain.send_keys(last)
            for modifier in held:
                chain.key_up(modifier)
            chain.perform()

    def point(self, x, y, event="pointermove", **more):
        """Send a pointer's event to a place of the chart, in pixels from its corner."""
        self.driver.execute_script(
            "const [x, y, name, more] = arguments;"
            "const chart = document.getElementById('overlay');"
            "const corner = chart.getBoundingClientRect();"
            "chart.setPointerCapture = () => {};"
            "const at = {clientX: corner.left + x, clientY: corner.top + y, bubbles: true,"
            " pointerId: 1, cancelable: true, ...more};"
            "const kind = name === 'wheel' ? WheelEvent : PointerEvent;"
            "chart.dispatchEvent(new kind(name, at));",
            x, y, event, more,
        )  # fmt: skip

    def picture(self):
        """The chart's pixels."""
        return self.run("document.getElementById('plot').toDataURL()")

    def text(self, place):
        """The text of an element."""
        return self.run("document.getElementById(arguments[0]).innerText", place)

    def resize(self, width, height):
        """The size of the window's inside, as of a telephone where it is narrow."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def colours(self, scheme):
        """What the system says it prefers: light or dark."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def log(self):
        """What the console has said since the last time."""
        messages = [entry["message"] for entry in self.driver.get_log("browser")]
        return [m for m in messages if "willReadFrequently" not in m]  # these tests read pixels

    def requests(self):
        """The addresses asked for since the last time."""
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in sent]
