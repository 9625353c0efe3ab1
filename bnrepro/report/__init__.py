"""Figures, tables and pages from evidence. Each experiment has a module of its own name here with
`gather`, `read`, `write`, `render` and `summary`."""

import importlib
from types import ModuleType


def reporter(experiment: str) -> ModuleType:
    """The module that knows how to show an experiment."""
    return importlib.import_module(f"bnrepro.report.{experiment}")
