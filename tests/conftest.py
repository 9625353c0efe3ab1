"""Shared: one thread, no W&B account, and running a command in this process as a user would."""

import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence

import pytest
import torch
from joblib.externals.loky import get_reusable_executor

torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of a shell's background jobs
    signal.signal(signal.SIGINT, signal.default_int_handler)  # commands that tests start inherit it

Run = Callable[[Callable[[], object], Sequence[str]], int]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep output that is no UTF-8, as of odd file names: workers send their reports as UTF-8."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """A command run in this process flushes denormals to zero; the next test starts without."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(autouse=True)
def no_wandb_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


@pytest.fixture
def new_workers() -> None:
    """joblib keeps its workers, and those of an earlier test write to where its output went."""
    get_reusable_executor().shutdown(wait=True)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call a command with arguments; its exit status, 0 when it returns."""

    def call(command: Callable[[], object], arguments: Sequence[str]) -> int:
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        try:
            command()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return call
