"""Appendix, Figure 5: shapes and parameters of the network, beside what the table prints."""

from collections.abc import Iterator
from itertools import product

import torch

from bnrepro.data import Dataset
from bnrepro.evidence.tables import Row
from bnrepro.models.inception import FIGURE_5, Inception, InceptionSpec, parameter_count
from bnrepro.run.cells import run_cells
from experiments.architecture import ArchitectureConfig

PRINTED = {  # stage: side and width, as Figure 5 prints them
    "conv1": (112, 64),
    "pool1": (56, 64),
    "conv2": (56, 192),
    "pool2": (28, 192),
    "3a": (28, 256),
    "3b": (28, 320),
    "3c": (28, 576),
    "4a": (14, 576),
    "4b": (14, 576),
    "4c": (14, 576),
    "4d": (14, 576),
    "4e": (14, 1024),
    "5a": (7, 1024),
    "5b": (7, 1024),
}
STRIDE = {row.name: row.stride for row in FIGURE_5}  # of the modules


def run(cfg: ArchitectureConfig) -> None:
    """Measure a cell a reading of the table."""
    run_cells(cfg, list(product(cfg.projections, (True, False))), measure)


def measure(
    cfg: ArchitectureConfig, data: Dataset, cell: tuple[int, bool], device: torch.device
) -> Iterator[Row]:
    """A row a stage, `stage`, and one of the number of parameters, `count`.

    `side` is that of the output in pixels times the module's stride: the table prints those of 3c
    and 4e before their stride.
    """
    projection, separable = cell
    key = {"projection": projection, "separable": separable}
    spec = InceptionSpec(classes=cfg.classes, projection_4cd=projection, separable=separable)
    with torch.device("meta"):  # shapes without values
        network = Inception(spec).eval()
        outputs = network.intermediates(torch.empty(1, spec.channels, cfg.side, cfg.side))
    for stage, (side, width) in PRINTED.items():
        _, maps, rows, _ = outputs[stage].shape
        printed = {"printed_side": side, "printed_width": width}
        found = {"side": rows * STRIDE.get(stage, 1), "output_side": rows, "width": maps}
        yield {"part": "stage", **key, "stage": stage, **found, **printed}
    yield {"part": "count", **key, "parameters": parameter_count(network), "printed": 13_600_000}
