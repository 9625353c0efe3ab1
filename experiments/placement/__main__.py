"""Section 3.2: does BN belong on Wu + b rather than on the layer input u, and what makes
convolutional BN convolutional?

    make placement                                  measure, then figures and table
    python -m experiments.placement lr=[0.3] shape_lr=0.3    one learning rate

Laptop CPU, about three minutes. To expect: Wu + b closer to a Gaussian than u, most of all with
ReLU, whose u is half zeros; a bias without gradient; per-feature-map BN commutes with shifts to
rounding and per-activation BN does not, with p·q times the parameters.
"""

import logging
from typing import Any

from bnrepro.cli import application, set_up_torch
from bnrepro.config.mechanisms import PlacementConfig
from bnrepro.data import open_dataset
from bnrepro.run.cells import run_sweep
from experiments.placement.convolution import KINDS, conv_rows, exact_rows
from experiments.placement.measure import ARMS, reference_rows, training_rows

log = logging.getLogger(__name__)
Row = dict[str, Any]


@application("placement")
def main(cfg: PlacementConfig) -> None:
    device = set_up_torch(cfg)
    data = open_dataset(cfg.data)

    def measure(cell: tuple[str, str, str]) -> list[Row]:
        part, activation, place = cell
        if part == "exact":
            return exact_rows(cfg, data) + reference_rows(cfg)
        if part == "convolution":
            return list(conv_rows(cfg, data, place, device))
        return training_rows(cfg, data, activation, place, device)

    cells = [
        ("exact", "", ""),
        *(("convolution", "relu", kind) for kind in KINDS),
        *(("dense", activation, arm) for activation in cfg.activations for arm in ARMS),
    ]
    log.info("%s", run_sweep(cfg, cells, measure, device, data))


if __name__ == "__main__":
    main()
