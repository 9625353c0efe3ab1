"""Section 4.2, Figures 2 and 3: how many fewer steps does Inception need with BN, and how does it
fare at rates that the plain network does not survive?

    make inception                                        every arm and seed of a scale, then figure
    python -m experiments.inception variant=bn_x5 seeds=1

The arms: the paper's five, its two failing controls, and Inception with BN-x5's recipe. At scale
asynchronous, with 16 replicas, they also run at the paper's own rates and at rates of their own. A
run that diverges is a result: the step is recorded and the command ends well.
"""

from bnrepro.config.images import ImageConfig
from bnrepro.evidence.gather import gather_runs
from bnrepro.experiment import Experiment

EXPERIMENT = Experiment(
    stem="inception",
    section="4.2",
    question="Figures 2, 3: how many fewer steps does Inception need with BN?",
    config=ImageConfig,
    gather=gather_runs,
    side_by_side=2,
    data_parallel=True,
)
