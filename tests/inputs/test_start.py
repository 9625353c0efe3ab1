"""The first seconds of a command, while it imports: Ctrl-C and missing packages, one line each."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bnrepro import ROOT, entry

SLOW = "import sys, time\nprint('importing', file=sys.stderr, flush=True)\ntime.sleep(60)\n"
INTERRUPTED = f"interrupted: {entry.AGAIN}\n"


def start(tmp_path: Path, *words: str, **packages: str) -> subprocess.Popen[str]:
    """Start `python -m …` where the named packages are other ones."""
    for name, content in packages.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(content, "utf-8")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, *words]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        encoding="utf-8",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("module", "package"),
    [("experiments.mnist", "hydra"), ("experiments.mnist", "torch"), ("scripts.verify", "numpy")],
)
def test_ctrl_c_during_the_imports_ends_at_once_with_status_130(tmp_path, module, package):
    process = start(tmp_path, "-m", module, "scale=smoke", **{package: SLOW})
    assert process.stderr is not None
    assert process.stderr.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, INTERRUPTED)


def missing(name: str) -> str:
    return f"raise ModuleNotFoundError('no', name={name!r})"


@pytest.mark.parametrize(
    ("words", "packages", "expected"),
    [
        (["-S", "-m", "experiments.mnist"], {}, "the package hydra is not installed here"),
        (["-S", "-m", "scripts.report"], {}, "is not installed here"),
        (
            ["-m", "experiments.mnist", "scale=smoke"],
            {"torch": missing("torch")},
            "the package torch is not installed here",
        ),
        (
            ["-m", "experiments.mnist", "scale=smoke"],
            {"torch": "raise ImportError('libcudart.so.12: cannot open', name='torch._C')"},
            "the package torch cannot be loaded (libcudart.so.12: cannot open)",
        ),
        (["-m", "scripts.plan"], {"rich": missing("rich")}, "the package rich is not installed"),
    ],
)
def test_a_missing_package_is_one_line_that_says_make_setup(tmp_path, words, packages, expected):
    process = start(tmp_path, *words, **packages)
    _, errors = process.communicate(timeout=60)
    (line,) = errors.splitlines()
    assert line.startswith("error: ")
    assert expected in line
    assert "make setup" in line
    assert process.returncode == 2


def test_a_library_that_imports_an_experiment_keeps_its_handlers():
    program = (
        "import signal, sys, experiments.mnist, scripts\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "assert sys.excepthook is sys.__excepthook__\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_an_ignored_interrupt_stays_ignored(tmp_path):
    """As of a process in the background of a shell."""
    program = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "sys.argv = ['-m']\n"
        "from bnrepro import entry\n"
        "entry.start()\n"
        "entry.ready()\n"
        "assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
