"""The server on the loopback interface: only what is new travels."""

import json
import threading
import urllib.error
import urllib.request

import pytest

from bnrepro.dashboard import serve
from bnrepro.dashboard.serve import Follower, Server
from bnrepro.errors import UserError
from tests.dashboard.results import append, ended, rows, write_run


@pytest.fixture(autouse=True)
def no_evidence(monkeypatch):
    monkeypatch.setattr(serve, "committed", lambda folder: [])


def events(follower, number):
    """The events after a number."""
    found = list(follower.events)[len(follower.events) - (follower.count - number) :]
    return [json.loads(event) for event in found]


def test_an_event_holds_the_new_rows_alone(tmp_path):
    folder = write_run(tmp_path, "bn", 0, rows(500))
    follower = Follower(tmp_path)
    assert follower.count == 0
    append(folder, rows(2, start=500))
    follower.look()
    (event,) = events(follower, 0)
    assert [row["step"] for row in event["tables"][0]["rows"]] == [25_050, 25_100]
    assert event["run"]["done"] == 25_100
    assert event["settings"] is None
    assert len(follower.events[0]) < 3000  # bytes
    follower.look()
    assert follower.count == 1


def test_a_half_written_line_waits_for_its_end(tmp_path):
    folder = write_run(tmp_path, "bn", 0, rows(3))
    follower = Follower(tmp_path)
    text = json.dumps(rows(1, start=3)[0]) + "\n"
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(text[:20])
    follower.look()
    assert [event["tables"] for event in events(follower, 0)] in ([], [[]])
    before = follower.count
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(text[20:])
    follower.look()
    (event,) = events(follower, before)
    assert [row["step"] for row in event["tables"][0]["rows"]] == [200]


def test_a_new_run_comes_with_its_settings_and_all_its_rows(tmp_path):
    follower = Follower(tmp_path)
    write_run(tmp_path, "bn", 3, rows(4), lr=0.7)
    follower.look()
    (event,) = events(follower, 0)
    assert event["key"] == {"variant": "bn", "seed": 3}
    assert event["settings"]["optim.lr"] == 0.7
    assert len(event["tables"][0]["rows"]) == 4
    assert event["tables"][0]["keys"] == ["variant", "seed", "step"]


def test_a_resumed_run_begins_anew_with_the_rows_that_it_kept(tmp_path):
    folder = write_run(tmp_path, "bn", 0, rows(9))
    follower = Follower(tmp_path)
    kept = "".join(json.dumps(row) + "\n" for row in rows(5))
    (folder / "part").write_text(kept)
    (folder / "part").replace(folder / "metrics.jsonl")  # as a record begins
    append(folder, rows(1, start=5))
    follower.look()
    (event,) = events(follower, 0)
    assert event["anew"]
    assert [row["step"] for row in event["tables"][0]["rows"]] == [50 * i for i in range(1, 7)]


def test_the_end_of_a_run_is_news(tmp_path):
    folder = write_run(tmp_path, "bn", 0)
    follower = Follower(tmp_path)
    (folder / "summary.json").write_text(json.dumps(ended("diverged", "non-finite")))
    follower.look()
    (event,) = events(follower, 0)
    assert (event["run"]["status"], event["tables"]) == ("diverged", [])


@pytest.fixture
def server(tmp_path):
    """A server of a run that runs: its address and the run's folder."""
    folder = write_run(tmp_path, "bn", 0)
    found = Server(tmp_path, 0)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}", folder
    found.shutdown()
    found.server_close()


def test_the_page_is_served_with_all_that_is_known(server):
    address, _ = server
    with urllib.request.urlopen(f"{address}/") as answer:
        page = answer.read().decode()
        assert answer.headers["Content-Type"].startswith("text/html")
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert (data["live"], data["sets"][0]["runs"][0]["done"]) == (0, 1000)


def test_a_row_is_sent_within_two_seconds(server):
    address, folder = server
    with urllib.request.urlopen(f"{address}/events?after=0", timeout=2) as answer:
        append(folder, rows(1, start=20))
        assert answer.readline() == b"id: 1\n"
        assert b'"step":1050' in answer.readline()


def test_a_browser_that_was_away_too_long_loads_the_page_again(server):
    address, _ = server
    with urllib.request.urlopen(f"{address}/events?after=99", timeout=2) as answer:
        assert answer.readline() == b"event: reload\n"


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [("/", "example.org", 403), ("/../meta.json", "127.0.0.1", 404), ("/mnist", "localhost", 404)],
)
def test_nothing_else_is_served_and_to_nobody_else(server, path, host, status):
    address, _ = server
    request = urllib.request.Request(address + path, headers={"Host": host})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=2)
    assert refused.value.code == status


def test_the_server_listens_on_this_machine_alone(tmp_path):
    server = Server(tmp_path, 0)
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(UserError, match="--port"):
        Server(tmp_path, server.server_port)
    server.server_close()
