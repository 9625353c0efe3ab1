"""The metrics of the claims on Figure 5."""

from bnrepro.evidence.evidence import Evidence
from bnrepro.evidence.pairs import Claim
from bnrepro.evidence.statistics import Values
from bnrepro.evidence.tables import Row

AS_PRINTED = 128  # feature maps, the projections of 4c and 4d in the table


def side_differences(evidence: Evidence, claim: Claim) -> Values:
    """|side − printed side| in pixels, a value a stage; before their stride in 3c and 4e."""
    return [abs(row["side"] - row["printed_side"]) for row in stages(evidence)]


def width_differences(evidence: Evidence, claim: Claim) -> Values:
    """|sum of the parts − printed width| in feature maps, a value a stage, as printed."""
    return [abs(row["width"] - row["printed_width"]) for row in stages(evidence)]


def parameter_differences(evidence: Evidence, claim: Claim) -> Values:
    """|parameters − 13.6 million| in millions, a value a reading of the table."""
    return [abs(row["parameters"] - row["printed"]) / 1e6 for row in evidence.count]


def stages(evidence: Evidence, projection: int = AS_PRINTED) -> list[Row]:
    """The stages of the network with these projections in 4c and 4d."""
    return evidence.where("stage", projection=projection, separable=True)
