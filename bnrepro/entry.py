"""The first lines of every command, while its imports go on: seconds without an error handler.

Only the standard library is imported here.
"""

import os
import signal
import sys
from types import TracebackType
from typing import Any

AGAIN = "run the same command again, without force=true, to resume"
SETUP = "run `make setup`, and use .venv/bin/python or make"
DRAWN = "BNREPRO_DRAWN"  # in the environment of an experiment whose figure its starter draws
OURS = ("bnrepro", "experiments", "scripts", "tests")


def start() -> None:
    """For the time of the imports: Ctrl-C ends at once with status 130, a missing package in one
    line with status 2. Output that the terminal's encoding lacks is written as escapes.

    It does nothing unless Python runs a module of the package that calls it (`python -m`).
    """
    if sys.argv[0] != "-m":  # so Python names a module until it has found it
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    sys.excepthook = _show
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by `>&-`
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def ready() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt, for a run to leave its record."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def missing_package(error: BaseException) -> str | None:
    """One line for a package of others' that cannot be imported; None for any other error."""
    if not isinstance(error, ImportError) or not error.name:
        return None
    package = error.name.split(".")[0]
    if package in OURS:
        return None
    first_line = (str(error).splitlines() or [""])[0]
    absent = isinstance(error, ModuleNotFoundError)
    reason = "is not installed here" if absent else f"cannot be loaded ({first_line})"
    return f"the package {package} {reason}: {SETUP}"


def _leave(*_: Any) -> None:
    os.write(2, f"interrupted: {AGAIN}\n".encode())
    os._exit(130)


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if line := missing_package(error):
        print(f"error: {line}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(2)
    sys.__excepthook__(kind, error, trace)
