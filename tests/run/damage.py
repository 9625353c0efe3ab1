"""Ways in which a file of a run is damaged, by name: old bytes to new ones, None to remove it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    """One bit, in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


CONTENTS: dict[str, Callable[[bytes], bytes | None]] = {
    "removed": lambda data: None,
    "empty": lambda data: b"",
    "cut": cut,
    "nothing but NUL": lambda data: b"\0" * len(data),
    "a NUL tail": lambda data: cut(data) + b"\0" * (len(data) - len(cut(data))),
    "one bit flipped": flipped,
    "not UTF-8": lambda data: b"\xff\xfe\xfd\n" + data,
    "UTF-16": lambda data: data.decode("latin-1").encode("utf-16"),
    "a list": lambda data: b"[]",
    "null": lambda data: b"null",
    "a number": lambda data: b"3",
    "an empty object": lambda data: b"{}",
    "nested deeply": lambda data: b"[" * 100_000,
    "many digits": lambda data: b'{"step":' + b"1" * 6000 + b"}\n" + data,
}


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    return lambda data: b"".join(change(data.splitlines(keepends=True)))


LINES: dict[str, Callable[[bytes], bytes | None]] = {
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "a line less": lines(lambda all_lines: [*all_lines[:1], *all_lines[2:]]),
    "a line twice": lines(lambda all_lines: [*all_lines[:2], *all_lines[1:]]),
    "a blank line": lines(lambda all_lines: [*all_lines[:1], b"\n", *all_lines[1:]]),
    "a line of garbage": lines(lambda all_lines: [*all_lines[:1], b"{oops\n", *all_lines[1:]]),
    "a cut line": lines(lambda all_lines: [all_lines[0], all_lines[1][:9], *all_lines[2:]]),
    "another run's line": lines(lambda all_lines: [all_lines[0], b'{"step":2}\n', *all_lines[2:]]),
    "two lines exchanged": lines(lambda each: [each[1], each[0], *each[2:]]),
}


def resummarised(folder: Path, **changes: Any) -> dict[str, Any]:
    """Change a run's summary, whole as if the run had left it so; a value of None takes a key."""
    path = folder / "summary.json"
    changes = {"digest": None} | changes
    summary = json.loads(path.read_text("utf-8")) | changes
    summary = {k: v for k, v in summary.items() if v is not None or k not in changes}
    path.write_text(json.dumps(summary), "utf-8")
    return summary


def damage(path: Path, change: Callable[[bytes], bytes | None]) -> None:
    """Change a file, or remove it."""
    content = change(path.read_bytes())
    if content is None:
        path.unlink()
    else:
        assert content != path.read_bytes()
        path.write_bytes(content)
