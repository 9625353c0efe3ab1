"""Fetch data sets into the cache: `python -m scripts.fetch mnist fashion_mnist`.

Prints which sources it tried, what it got and from where: seconds per set on a good line, at once
when the cache has it. Ends with status 2 when a set cannot be had.
"""

import logging
import sys

from bnrepro.cli import Parser, guard
from bnrepro.config import DataConfig
from bnrepro.data import open_dataset
from bnrepro.data.registry import REGISTRY
from bnrepro.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    """Fetch the sets named on the command line; returns the exit status."""
    parser = Parser(prog="python -m scripts.fetch", description="fetch data sets")
    served = ", ".join(entry.name for entry in REGISTRY.values() if entry.sources)
    parser.add_argument("names", nargs="+", help=served)
    parser.add_argument("--cache", default="data", help="default: data")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    return max(fetch(name, options.cache) for name in options.names)


def fetch(name: str, cache: str) -> int:
    """Fetch one set, while the library logs the outcome; an error leaves the others their turn."""
    try:
        open_dataset(DataConfig(name=name, cache=cache))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    guard(lambda: sys.exit(main()))
