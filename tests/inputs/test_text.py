"""Text is UTF-8 whatever the locale: every place that reads or writes some says so."""

import ast
import io
import sys
from collections.abc import Iterator

from bnrepro import ROOT, entry

CODE = ("bnrepro", "experiments", "scripts")
FILES = sorted(path for part in CODE for path in (ROOT / part).rglob("*.py"))
NO_TEXT = ("os", "tarfile", "Image", "zipfile", "gzip")  # their `open` gives bytes or no file


def text_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls that turn bytes into text or text into bytes, and take an encoding."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        last, owner = name.rpartition(".")[2], name.rpartition(".")[0]
        modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
        binary = any(isinstance(mode, str) and "b" in mode for mode in modes)
        opens = last == "open" and owner not in NO_TEXT and not binary
        as_text = any(k.arg in ("text", "universal_newlines") for k in node.keywords)
        if last in ("read_text", "write_text") or opens or as_text:
            yield node


def names_encoding(call: ast.Call) -> bool:
    return "utf-8" in ast.unparse(call) or ast.unparse(call.func) == "read_text"  # of files.py


def test_every_text_file_names_its_encoding():
    for path in FILES:
        for call in text_calls(ast.parse(path.read_text("utf-8"))):
            assert names_encoding(call), f"{path}:{call.lineno}: {ast.unparse(call)}"


def test_the_check_finds_what_lacks_an_encoding():
    source = "p.read_text()\nopen('x')\np.open('a')\nrun(c, text=True)\nos.open('x')\np.open('rb')"
    assert [call.lineno for call in text_calls(ast.parse(source))] == [1, 2, 3, 4]


def test_a_terminal_that_lacks_a_character_gets_its_escape(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "argv", ["-m"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "latin-1", write_through=True))
    monkeypatch.setattr(sys, "stderr", None)  # closed
    entry.start()
    entry.ready()
    print("γ = 1, ü")
    assert written.getvalue() == b"\\u03b3 = 1, \xfc\n"
