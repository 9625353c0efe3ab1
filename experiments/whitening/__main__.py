"""Section 2: what does full whitening of layer inputs gain over BN, and what does it cost?

    make whitening                                   measure, then figures and table
    python -m experiments.whitening lr=[1,2,4]       other learning rates for all arms

Laptop CPU, about four minutes; an idle machine, since it measures time. To expect: both are
far ahead of no normalisation at first; whether whitening gains anything over BN per step is open,
at m = 4d and with more examples; with fewer examples than units it hangs on its ridge. Its cost
grows towards d³, BN's at most as d.
"""

import logging
from typing import Any

from bnrepro.cli import application, set_up_torch
from bnrepro.config.mechanisms import WhiteningConfig
from bnrepro.data import open_dataset
from bnrepro.run.cells import run_sweep
from experiments.whitening.measure import Cell, cells, measure

log = logging.getLogger(__name__)


@application("whitening")
def main(cfg: WhiteningConfig) -> None:
    device = set_up_torch(cfg)
    data = open_dataset(cfg.data)

    def rows(cell: Cell) -> list[dict[str, Any]]:
        return measure(cfg, data, cell, device)

    log.info("%s", run_sweep(cfg, cells(cfg), rows, device, data))


if __name__ == "__main__":
    main()
