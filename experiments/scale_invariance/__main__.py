"""Section 3.3: is a normalised layer blind to the scale of its weights, and do larger weights get
smaller gradients?

    make scale-invariance                                measure, then figures and table
    python -m experiments.scale_invariance lr=[1,10]     other learning rates

Laptop CPU, two minutes. To expect: the three equations to float64's rounding over eight decades
of a; with ε, the same layer at ε/a²; in training, gradients that fall as 1/‖W‖ with BN.
"""

import logging
from typing import Any

from bnrepro.cli import application, set_up_torch
from bnrepro.config.mechanisms import ScaleInvarianceConfig
from bnrepro.data import open_dataset
from bnrepro.run.cells import run_sweep
from experiments.scale_invariance.measure import ExactCell, cells, exact_rows, training_rows

log = logging.getLogger(__name__)


@application("scale_invariance")
def main(cfg: ScaleInvarianceConfig) -> None:
    device = set_up_torch(cfg)
    data = open_dataset(cfg.data)

    def measure(cell: Any) -> list[dict[str, Any]]:
        if isinstance(cell, ExactCell):
            return exact_rows(cfg, data, cell)
        return list(training_rows(cfg, data, cell, device))

    log.info("%s", run_sweep(cfg, cells(cfg), measure, device, data))


if __name__ == "__main__":
    main()
