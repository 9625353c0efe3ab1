"""A served page grows while experiments run."""

import json
import threading
import time

import pytest

from bnrepro.dashboard import serve
from bnrepro.dashboard.serve import Server
from tests.dashboard.results import append, ended, rows, write_run


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """A server of an empty folder: its address."""
    monkeypatch.setattr(serve, "committed", lambda folder: [])
    server = Server(tmp_path, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_logged_row_shows_within_two_seconds_and_nothing_else_is_loaded(
    browser, watched, tmp_path
):
    folder = write_run(tmp_path, "bn", 0, rows(20))
    browser.open(watched)
    browser.wait("document.getElementById('progress').innerText.includes('1,000 of 3,000')")
    before = browser.picture()
    browser.requests()
    more = rows(1, start=20)
    start_time = time.monotonic()
    append(folder, more)
    browser.wait(
        f"document.getElementById('arms').innerText.includes('{more[0]['test_accuracy']}')"
    )
    assert time.monotonic() - start_time < 2
    assert browser.picture() != before
    assert "1,050 of 3,000" in browser.text("progress")
    assert browser.requests() == []  # the connection that is open brings it


def test_a_run_that_starts_ends_or_is_interrupted_shows_while_the_page_is_open(
    browser, watched, tmp_path
):
    browser.open(watched)
    assert "Nothing was recorded" in browser.text("empty")
    folders = [write_run(tmp_path, "bn", seed, rows(10, seed)) for seed in range(3)]
    browser.wait("document.querySelectorAll('#runs tbody tr').length === 3")
    browser.wait("document.getElementById('progress').innerText.includes('3 seeds')")
    for folder, status in zip(folders, ("ok", "interrupted", "crashed"), strict=True):
        (folder / "summary.json").write_text(json.dumps(ended(status)))
        browser.wait(f"document.getElementById('runs').innerText.includes('{status}')")
    assert browser.run("document.getElementById('progress').hidden")


def test_the_point_that_is_read_stays_while_rows_come(browser, watched, tmp_path):
    folder = write_run(tmp_path, "bn", 0, rows(20))
    browser.open(watched)
    browser.run("document.getElementById('overlay').focus()")
    browser.press("END")
    assert "steps 1,000" in browser.text("tip")
    append(folder, rows(1, start=20))
    browser.wait("document.getElementById('progress').innerText.includes('1,050 of')")
    assert "steps 1,000" in browser.text("tip")


def test_another_experiment_that_starts_is_one_click_away(browser, watched, tmp_path):
    write_run(tmp_path, "bn", 0, rows(20))
    browser.open(watched)
    write_run(tmp_path, "bn", 0, rows(4), place="inception/small")
    browser.wait("document.getElementById('progress').innerText.includes('inception')")
    assert browser.run("document.getElementById('experiment').value") == "mnist"
    browser.act("document.getElementById('open-inception / small / bn').click()")
    assert browser.run("document.getElementById('experiment').value") == "inception"


def test_a_sweep_grows_cell_by_cell(browser, watched, tmp_path):
    folder = tmp_path / "jacobian" / "small" / "sweep"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"total": 6}))
    cells = [
        {"cell": i + 1, "part": "share", "width": w, "depth": d, "share": 0.1 * i + 0.05}
        for i, (w, d) in enumerate((w, d) for w in (8, 16, 32) for d in (1, 2))
    ]
    append(folder, cells[:4])
    browser.open(watched + "#set=jacobian/small/runs")
    browser.wait("document.getElementById('progress').innerText.includes('4 of 6')")
    before = browser.picture()
    append(folder, cells[4:])
    browser.wait("document.getElementById('progress').innerText.includes('6 of 6')")
    assert browser.picture() != before


def test_a_resumed_run_loses_the_rows_behind_its_checkpoint(browser, watched, tmp_path):
    folder = write_run(tmp_path, "bn", 0, rows(20))
    browser.open(watched)
    browser.wait("document.getElementById('progress').innerText.includes('1,000 of')")
    kept = "".join(json.dumps(row) + "\n" for row in rows(12))
    (folder / "part").write_text(kept)
    (folder / "part").replace(folder / "metrics.jsonl")
    browser.wait("document.getElementById('progress').innerText.includes('600 of')")
    accuracy = rows(12)[-1]["test_accuracy"]
    browser.wait(f"document.getElementById('arms').innerText.includes('last {accuracy}')")


def test_a_page_whose_server_has_ended_says_so_and_keeps_its_curves(browser, tmp_path):
    write_run(tmp_path, "bn", 0, rows(20))
    server = Server(tmp_path, 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    browser.open(f"http://127.0.0.1:{server.server_port}/#set=mnist/small/runs")
    before = browser.picture()
    server.shutdown()
    server.server_close()
    browser.wait("document.getElementById('alert').innerText.includes('does not answer')", 30)
    assert browser.picture() == before
    assert all("ERR_CONNECTION_REFUSED" in message for message in browser.log())
