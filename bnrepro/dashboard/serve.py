"""A server on the loopback interface whose page grows as experiments run.

The page is made when it is asked for, with all rows until then. After that a browser is sent what
was appended, as server-sent events: {experiment, scale, run, settings, key, anew, tables}.
"""

import contextlib
import json
import threading
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bnrepro import ROOT
from bnrepro.dashboard.data import Runs, committed, gathered, key_of
from bnrepro.dashboard.page import build
from bnrepro.dashboard.records import FollowedRecord
from bnrepro.errors import UserError

EVERY = 0.5  # seconds between two looks at the folders
HEARTBEAT = 15  # seconds without an event after which a line keeps the connection open
KEPT = 20_000  # events for browsers that were away for a moment


class Follower:
    """The runs below a folder, and the events of what was appended to them."""

    def __init__(self, results: Path) -> None:
        self.runs = Runs(results)
        self.committed = committed(ROOT / "results")
        self.events: deque[str] = deque(maxlen=KEPT)
        self.count = 0  # of all events so far
        self.news = threading.Condition()
        self.ended = threading.Event()
        self.runs.read()
        self.lines = {f: r.describe() for f, r in self.runs.records.items()}  # as last sent

    def page(self) -> str:
        """The page with all that was recorded until now."""
        with self.news:
            self.look()
            return build([*self.runs.sets(), *self.committed], live=self.count)

    def follow(self) -> None:
        """Look at the folders until `end`."""
        while not self.ended.wait(EVERY):
            self.look()

    def end(self) -> None:
        """Stop looking, and let those who wait for events go."""
        self.ended.set()
        with self.news:
            self.news.notify_all()

    def look(self) -> None:
        """Take in what is new and make events of it."""
        with self.news:
            changed = {record.folder for record in self.runs.read()}
            for folder, record in self.runs.records.items():
                line, before = record.describe(), self.lines.get(folder)
                if folder in changed or _differs(line, before):
                    self.lines[folder] = line
                    event = event_of(record, line, folder in changed, whole=before is None)
                    self.events.append(json.dumps(event, separators=(",", ":")))
                    self.count += 1
            self.news.notify_all()

    def after(self, number: int) -> Iterator[tuple[int, str | None]]:
        """Events after the one of that number, as they come; None where nothing came for a while.

        Ends with `end`, or where the events that follow are no longer kept.
        """
        while not self.ended.is_set():
            with self.news:
                if number == self.count:
                    self.news.wait(HEARTBEAT)
                missed = self.count - number
                if missed > len(self.events) or missed < 0:
                    return
                ready = list(self.events)[len(self.events) - missed :]
            for event in ready:
                number += 1
                yield number, event
            if not ready:
                yield number, None


def event_of(
    record: FollowedRecord, line: dict[str, Any], changed: bool, whole: bool
) -> dict[str, Any]:
    """What a page needs to know of a record: its line, and rows that are new (`whole`: all)."""
    rows = record.new if changed else {}
    return {
        "experiment": record.experiment,
        "scale": record.scale,
        "run": line,
        "settings": record.settings if whole else None,
        "key": key_of(record),
        "anew": changed and record.began_anew,
        "tables": [{**_about(record, name), "rows": new} for name, new in rows.items()],
    }


def _about(record: FollowedRecord, name: str) -> dict[str, Any]:
    """The table's keys, counters and measures as this record's rows show them."""
    (found,) = gathered([record]).values()
    return found.tables[name].describe()


def _differs(line: dict[str, Any], before: dict[str, Any] | None) -> bool:
    """Whether a run's line says something else; that its time left shrinks is no news."""
    return before is None or any(line[k] != before.get(k) for k in line if k != "left")


class Handler(BaseHTTPRequestHandler):
    """Answers `/` with the page and `/events` with what is new."""

    follower: Follower
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a browser on this machine."""
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        if host not in ("127.0.0.1", "localhost"):  # a page elsewhere that points a name here
            return self._answer(403, "text/plain", b"this server is for this machine alone")
        url = urlsplit(self.path)
        if url.path == "/":
            return self._answer(200, "text/html; charset=utf-8", self.follower.page().encode())
        if url.path == "/events":
            return self._send_events(parse_qs(url.query))
        return self._answer(404, "text/plain", b"the page is at /")

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def _send_events(self, query: dict[str, list[str]]) -> None:
        last = self.headers.get("Last-Event-ID") or query.get("after", ["0"])[0]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):  # the browser has left
            for number, event in self.follower.after(int(last) if last.isdigit() else -1):
                text = f": {number}\n\n" if event is None else f"id: {number}\ndata: {event}\n\n"
                self.wfile.write(text.encode())
                self.wfile.flush()
            if not self.follower.ended.is_set():
                self.wfile.write(b"event: reload\ndata: 0\n\n")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing of requests."""


class Server(ThreadingHTTPServer):
    """A server for a folder of runs: one thread a browser, and one that looks at the folder."""

    daemon_threads = True

    def __init__(self, results: Path, port: int) -> None:
        """Raises a UserError for a port that is taken or that there is not."""
        handler: Any = type("BoundHandler", (Handler,), {})
        super().__init__(("127.0.0.1", port), handler, bind_and_activate=False)
        try:
            self.server_bind()
            self.server_activate()
        except (OSError, OverflowError) as error:
            self.socket.close()
            reason = getattr(error, "strerror", None) or "ports are 0 to 65535"
            raise UserError(f"--port {port}: {reason}; choose another one, or 0") from error
        self.follower = handler.follower = Follower(results)
        threading.Thread(target=self.follower.follow, daemon=True).start()

    def server_close(self) -> None:
        """End every connection too."""
        self.follower.end()
        super().server_close()


def serve(results: Path, port: int) -> None:
    """Serve until Ctrl-C."""
    with Server(results, port) as server:
        print(f"http://127.0.0.1:{server.server_port}/  (Ctrl-C ends it)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
