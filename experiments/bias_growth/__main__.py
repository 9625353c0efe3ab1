"""Section 2: if a gradient step takes the normalisation's statistics for constants, does the bias
ahead of it grow while the loss stands still, and does the model blow up?

    make bias-growth                                 measure, then figures and table
    python -m experiments.bias_growth lr=[0.5,1]     other learning rates

Laptop CPU, about two minutes. To expect: exact growth, a constant step with output and loss fixed
to rounding, as long as b alone is trained; with all parameters trained, a blow-up at learning rates
where BN, the same network with the gradient through the statistics, trains on.
"""

import logging
from typing import Any

from bnrepro.cli import application, set_up_torch
from bnrepro.config.mechanisms import BiasGrowthConfig
from bnrepro.data import open_dataset
from bnrepro.run.cells import run_sweep
from experiments.bias_growth.measure import ExactCell, cells, exact_rows, training_rows

log = logging.getLogger(__name__)


@application("bias_growth")
def main(cfg: BiasGrowthConfig) -> None:
    device = set_up_torch(cfg)
    data = open_dataset(cfg.data)

    def measure(cell: Any) -> list[dict[str, Any]]:
        if isinstance(cell, ExactCell):
            return exact_rows(cfg, data, cell)
        return list(training_rows(cfg, data, cell, device))

    log.info("%s", run_sweep(cfg, cells(cfg), measure, device, data))


if __name__ == "__main__":
    main()
