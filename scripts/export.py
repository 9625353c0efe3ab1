"""A finished run's network as one file that `bnrepro.models.load` reads.

    make export RUN=results/runs/inception/small/bn_x5/seed-0
    python -m scripts.export RUN [--to FILE] [--batches N]

The statistics of BN are Algorithm 2's, over mini-batches of the training images (`--batches`; 0
keeps the moving averages). The file holds weights, statistics, shape, class names and config.
"""

from dataclasses import asdict
from pathlib import Path

from bnrepro.cli import Parser, guard
from bnrepro.errors import UserError
from bnrepro.files import expand
from bnrepro.models.exported import ENDING, export
from bnrepro.run.provenance import repository_state
from bnrepro.run.record import read_json
from bnrepro.training.trained import estimate, read_run


def main() -> None:
    """Write the file and print its path."""
    parser = Parser(prog="python -m scripts.export", description=__doc__)
    parser.add_argument("run", nargs="*", type=Path, help="a run's folder, …/seed-<number>")
    parser.add_argument("--to", type=Path, help=f"default: beside the run, <arm>-<seed>{ENDING}")
    parser.add_argument("--batches", type=int, default=200, help="mini-batches; default: 200")
    options = parser.parse_args()
    if len(options.run) != 1:
        raise UserError("name one run's folder, as make export RUN=results/runs/…/seed-0")
    if options.batches < 0:
        raise UserError(f"--batches {options.batches}: must not be negative")
    folder = expand(options.run[0])
    name = f"{folder.parent.name}-{folder.name}{ENDING}"
    print(write(folder, expand(options.to or folder.parent / name), options.batches))


def write(folder: Path, path: Path, batches: int) -> Path:
    """Export the run in a folder to a file."""
    network, cfg = read_run(folder)
    if batches:
        estimate(network, cfg, int(folder.name.removeprefix("seed-")), batches)
    meta = read_json(folder / "meta.json") or {}
    made = {"commit": meta["commit"], "data": meta["data"], "exported_by": repository_state()[0]}
    export(network, path, config=asdict(cfg), batches=batches, made=made)
    return path


if __name__ == "__main__":
    guard(main)
