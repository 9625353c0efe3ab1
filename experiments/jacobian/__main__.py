"""Section 3.3, a conjecture: with BN, are the singular values of layer Jacobians near 1?

    make jacobian                                    measure, then figures and table
    python -m experiments.jacobian widths=[100]      one width only

Laptop CPU, under three minutes. To expect: the argument itself is exact under its premises, but BN
gives unit variances without zero correlations, so look at how networks with and without BN compare
with each other and with a random Gaussian matrix, for which 69 % of the singular values lie within
[½, 2] when it is large.
"""

import logging
from typing import Any

from bnrepro.cli import application, set_up_torch
from bnrepro.config.mechanisms import JacobianConfig
from bnrepro.data import open_dataset
from bnrepro.run.cells import run_sweep
from experiments.jacobian.measure import Cell, cells, measure

log = logging.getLogger(__name__)


@application("jacobian")
def main(cfg: JacobianConfig) -> None:
    device = set_up_torch(cfg)
    data = open_dataset(cfg.data)

    def rows(cell: Cell) -> list[dict[str, Any]]:
        return measure(cfg, data, cell, device)

    log.info("%s", run_sweep(cfg, cells(cfg), rows, device, data))


if __name__ == "__main__":
    main()
