"""Classify a folder of pictures with one network, or with several as an ensemble.

    python -m scripts.predict --run results/runs/ensemble/small/weights/seed-0 --images photos
    python -m scripts.predict --run ONE --run OTHER --images photos --crops 144 --to classes.csv

`--run` takes a run's folder or a file of `make export`; with several, class probabilities are
averaged (Section 4.2.3). BN is folded into the layers before it. Pictures are found at any depth;
one that cannot be read is named and skipped. The CSV has a row a picture: path, class, probability
and the five most probable classes.
"""

import csv
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bnrepro.cli import Parser, guard
from bnrepro.data.augment import LUMA
from bnrepro.data.decoding import Unreadable, decode
from bnrepro.data.listing import LeftOut, list_images, say_left_out
from bnrepro.data.memory import scaled
from bnrepro.errors import UserError
from bnrepro.files import expand, write_atomically
from bnrepro.models.exported import ENDING, load, read_about
from bnrepro.norm import fold
from bnrepro.run.progress import Bar
from bnrepro.training.crops import COUNTS, class_probabilities
from bnrepro.training.images import centred
from bnrepro.training.trained import read_run

HEADER = ("path", "class", "probability", "top-5")


@dataclass(frozen=True)
class Classifier:
    """A folded network and what its pictures must be."""

    network: nn.Module
    names: list[str]
    channels: int
    side: int
    first: str  # its single crop

    def probabilities(self, picture: Tensor, crops: int) -> Tensor:
        """Class probabilities of a picture (3, H, W) in [0, 1], over so many crops."""
        if self.channels == 1:
            picture = (picture * torch.tensor(LUMA).view(3, 1, 1)).sum(0, keepdim=True)
        return class_probabilities(
            lambda x: self.network(centred(x)), picture[None], self.side, self.first, crops
        )[-1, 0]


def main() -> None:
    """Classify and write the CSV; how many pictures could not be read is said last."""
    parser = Parser(prog="python -m scripts.predict", description=__doc__)
    parser.add_argument("--run", action="append", type=Path, help="…/seed-<number> or a file")
    parser.add_argument("--images", type=Path, help="a folder of pictures")
    parser.add_argument("--crops", type=int, default=1, help=f"one of {COUNTS}; default: 1")
    parser.add_argument("--to", type=Path, default=Path("predictions.csv"))
    options = parser.parse_args()
    if not options.run or options.images is None:
        raise UserError("give --run RUN, once a network, and --images FOLDER")
    if options.crops not in COUNTS:
        raise UserError(f"--crops {options.crops}: allowed are {', '.join(map(str, COUNTS))}")
    logging.basicConfig(format="%(message)s")
    pictures = listed(expand(options.images))
    networks = [classifier(expand(path)) for path in options.run]
    if any(network.names != networks[0].names for network in networks):
        raise UserError("the networks of --run do not have the same classes; name others")
    rows = list(classified(networks, expand(options.images), pictures, options.crops))
    finish(rows, pictures, expand(options.to))


def listed(folder: Path) -> list[Path]:
    """The pictures in a folder, relative to it. Raises a UserError where there is none."""
    if not folder.is_dir():
        raise UserError(f"--images {folder}: no such folder")
    left: list[LeftOut] = []
    whole = folder.resolve()
    found = list_images(whole.parent, whole.name, left)
    say_left_out(folder, left)
    if not found:
        raise UserError(f"--images {folder}: no picture in it")
    return [Path(picture.name).relative_to(whole.name) for picture in found]


def classifier(path: Path) -> Classifier:
    """The network of a run or of a file, folded."""
    if path.suffix == ENDING:
        network, stream = load(path), read_about(path)["config"]["data"]["stream"]
    else:
        network, cfg = read_run(path)
        stream = cfg.data.stream
    spec = network.spec
    assert spec.side is not None
    first = "centre" if stream else "square"
    return Classifier(fold(network), network.class_names, spec.channels, spec.side, first)


@torch.inference_mode()
def classified(
    networks: Sequence[Classifier], folder: Path, pictures: Sequence[Path], crops: int
) -> Iterator[list[str]]:
    """A row for each picture that can be read; the others are named."""
    with Bar(str(folder), len(pictures), 0, "picture") as bar:
        for number, name in enumerate(pictures, 1):
            try:
                picture = scaled(decode(folder / name))
            except Unreadable as reason:
                print(f"{folder / name}: cannot be read ({reason}); skipped", file=sys.stderr)
            else:
                each = [network.probabilities(picture, crops) for network in networks]
                yield row(name, torch.stack(each).mean(0), networks[0].names)
            bar.update(number)


def row(name: Path, probabilities: Tensor, names: Sequence[str]) -> list[str]:
    """Path, class, its probability, and the five most probable classes with theirs."""
    values, numbers = probabilities.topk(min(5, len(names)))
    best = [
        f"{names[number]} {value:.4f}"
        for value, number in zip(values.tolist(), numbers.tolist(), strict=True)
    ]
    return [str(name), names[int(numbers[0])], f"{float(values[0]):.4f}", "; ".join(best)]


def finish(rows: Sequence[Sequence[str]], pictures: Sequence[Path], path: Path) -> None:
    """Write the CSV and say how many pictures were skipped."""
    skipped = len(pictures) - len(rows)
    if not rows:
        raise UserError(f"none of {skipped} pictures could be read; nothing written")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADER, *rows])
    write_atomically(path, text.getvalue())
    print(f"{path}: {len(rows)} pictures classified, {skipped} skipped")


if __name__ == "__main__":
    guard(main)
