"""Section 3.1: does Algorithm 2 make a network trained with BN deterministic and as accurate as its
mini-batches were, and does BN then fold into plain linear maps?

    make inference                                  measure, then figures and table
    python -m experiments.inference batches=[2,64]  other mini-batch sizes

Laptop CPU, about two minutes. To expect: outputs that do not depend on batch-mates; m/(m−1) exact
for independent draws, so in the first layer, and too much in deeper layers, whose mini-batches the
layer below has already given one common mean; moving averages as good as population statistics from
m = 32 up; folding without loss beyond rounding.
"""

import logging
from typing import Any

from bnrepro.cli import application, set_up_torch
from bnrepro.config.mechanisms import InferenceConfig
from bnrepro.data import open_dataset
from bnrepro.run.cells import run_sweep
from experiments.inference.measure import enumeration_rows, network_rows

log = logging.getLogger(__name__)
ENUMERATION = 0  # the cell without a network


@application("inference")
def main(cfg: InferenceConfig) -> None:
    device = set_up_torch(cfg)
    data = open_dataset(cfg.data)

    def measure(m: int) -> list[dict[str, Any]]:
        if m == ENUMERATION:
            return enumeration_rows(cfg)
        return network_rows(cfg, data, m, device)

    log.info("%s", run_sweep(cfg, [ENUMERATION, *cfg.batches], measure, device, data))


if __name__ == "__main__":
    main()
