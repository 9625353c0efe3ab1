"""From a command line to an experiment's `measure.run`, and from any user error to one line."""

import argparse
import contextlib
import functools
import logging
import multiprocessing
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from bnrepro import ROOT, entry
from bnrepro.config.claims import check_claims
from bnrepro.config.compose import HYDRA_VERSION, as_object, check_effect, register, validate
from bnrepro.config.help import help_page
from bnrepro.config.overrides import check_overrides
from bnrepro.errors import UserError
from bnrepro.experiment import Experiment, discover, stems
from bnrepro.explain import explain
from bnrepro.run import ranks

log = logging.getLogger(__name__)
_failed: list[int] = []  # the statuses of a sweep's failed jobs


def command(experiment: Experiment) -> Callable[[], None]:
    """The command line of an experiment: Hydra composes its config, `measure.run` does the work.

    Every error that a user can cause ends in one line and status 2.
    """

    def job(node: DictConfig) -> None:
        run_job(functools.partial(_start, experiment, node))

    def main() -> None:
        with errors_in_one_line():
            _failed.clear()
            given, sys.argv[1:] = check_arguments(experiment.stem, sys.argv[1:])
            if given.help:
                print(help_page(experiment.stem, [] if given.multirun else given.overrides))
                return
            ranks.check_environment()
            logging.basicConfig(format="%(message)s")
            # of data-parallel processes the first one logs
            logging.getLogger().setLevel(logging.INFO if ranks.leads() else logging.WARNING)
            logging.getLogger("hydra_plugins").setLevel(logging.WARNING)  # a launcher's settings
            os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come here instead of being printed
            register(experiment.stem)
            if any(word.startswith(("hydra/launcher=", "launcher=")) for word in sys.argv[1:]):
                entry.ready()  # other processes import PyTorch
            application = hydra.main(
                version_base=HYDRA_VERSION,
                config_path=str(ROOT / "configs"),
                config_name=experiment.stem,
            )
            application(job)()
            if _failed:  # and has said why
                raise SystemExit(_failed[0])

    return main


def check_arguments(stem: str, words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """What a command line says, and its words, options first: Hydra knows no other order.

    Raises a UserError for an unknown option and for overrides that would not do what they say.
    """
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign, assignment]
    given = parser.parse_intermixed_args(words)
    options = [word for word in words if word not in given.overrides]
    return given, options + check_overrides(stem, given.overrides, sweep=given.multirun)


def _refuse(problem: str) -> NoReturn:
    raise UserError(f"{problem}; settings are given as key=value, for example seeds=5")


def _start(experiment: Experiment, node: DictConfig) -> None:
    ranks.check_environment()  # a launcher's job has another one than the command
    cfg = as_object(experiment.stem, node)
    check_effect(cfg, HydraConfig.get().overrides.task)
    check_choices(experiment, cfg)
    validate(cfg)
    check_claims(experiment)
    if not (_is_sweep() or _launches_here()):
        raise UserError("launcher=… starts the jobs of -m: python -m experiments.… -m … launcher=…")
    if ranks.world() > 1 and not experiment.data_parallel:
        able = ", ".join(stem for stem, other in discover().items() if other.data_parallel)
        raise UserError(
            f"{experiment.stem} runs in one process, {ranks.world()} were started: leave torchrun "
            f"or tasks_per_node out; experiments that several processes share: {able}"
        )
    run = experiment.measure.run  # imports PyTorch
    entry.ready()
    run(cfg)
    if not (_is_sweep() or entry.DRAWN in os.environ):
        words = shlex.join([experiment.stem, *HydraConfig.get().overrides.task])
        log.info("figure and table: python -m scripts.render %s", words)


def check_choices(experiment: Experiment, cfg: Any) -> None:
    """Raise a UserError for a config that is named otherwise than its files are."""
    chosen = {"experiment": experiment.stem, **HydraConfig.get().runtime.choices}
    for key in ("experiment", "variant", "scale"):
        value = getattr(cfg, key)
        if value != chosen.get(key, value):
            raise UserError(
                f"{key}: {value}: the file of {key}={chosen[key]} must name itself; correct that "
                f"line in configs/{experiment.stem}"
            )


def run_job(work: Callable[[], object]) -> None:
    """Run one job of Hydra's, which turns exceptions into results.

    The other jobs of a sweep go on, and at the end the command has the first failed job's status.
    One of several data-parallel processes that fails ends at once, for the launcher to end the
    others.
    """
    if not _is_sweep() and ranks.world() == 1:
        with errors_in_one_line():
            work()
        return
    try:
        work()
    except KeyboardInterrupt:
        if multiprocessing.parent_process() is None:
            raise
        os._exit(130)  # joblib would keep it as a result, and its worker for the next job
    except Exception as error:
        # now: the end may be hours away, and of the other jobs' errors Hydra keeps none
        if (line := explain(error)) is None:
            traceback.print_exc()
        else:
            print(f"error: {line}", file=sys.stderr)
        status = 1 if line is None else 2
        if ranks.world() > 1:
            raise SystemExit(status) from None
        if _launches_here():
            _failed.append(status)
        elif line is None:
            raise
        elif _launcher().endswith("JoblibLauncher"):  # whose jobs share this terminal
            raise UserError("this job failed with what it said above") from None
        else:
            raise UserError(line) from None


def _launcher() -> str:
    """The class that starts the jobs of a sweep."""
    return str(HydraConfig.get().launcher._target_)


def _launches_here() -> bool:
    """Whether the jobs of a sweep run in the process of the command, one after the other."""
    return _launcher().endswith("BasicLauncher")


def _is_sweep() -> bool:
    return HydraConfig.get().mode == RunMode.MULTIRUN


def arguments(what: str) -> list[str]:
    """The command line, whose first word names an experiment that exists."""
    if len(sys.argv) < 2 or sys.argv[1] not in stems():
        found = f"{sys.argv[1]}: no such experiment; " if sys.argv[1:] else ""
        raise UserError(f"{found}name {what}; experiments are {', '.join(stems())}")
    return sys.argv[1:]


class Parser(argparse.ArgumentParser):
    """A script's options; a mistake is a UserError instead of a page of usage.

    What it describes the script with keeps its lines: there are commands among them.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and what shows the options."""
        raise UserError(f"{message}; {self.prog} --help shows what there is")


def no_arguments() -> None:
    """Raise a UserError for a script that takes none and gets some."""
    if sys.argv[1:]:
        raise UserError(f"{' '.join(sys.argv[1:])}: this command takes no arguments")


def guard(work: Callable[[], object]) -> None:
    """Run a script's work; an error that a user can cause is one line and status 2."""
    entry.ready()
    with errors_in_one_line():
        work()


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End the process with one line for an error that a user can cause, or for an interrupt."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"interrupted: {entry.AGAIN}", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # who read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except Exception as error:
        if (line := explain(error)) is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        raise SystemExit(2) from None
