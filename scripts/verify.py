"""Does this machine reproduce the committed values?

    make verify EXPERIMENT=mnist [SCALE=paper ARGS="seeds=2"]

Compares this machine's runs with the published ones. Floating point differs between processors and
threads, so curves part after some hundred steps while accuracies stay close.

Where the experiment declares a tolerance, a seed's last accuracy must lie within it of the
committed one. Else each claim is judged on both sets of rows. It is reproduced when the verdicts
are the same (an exact claim meets its criterion here as there) or when the two 95 % intervals over
seeds overlap; where a censored seed leaves no interval, the other seeds' means must lie on the same
side. A claim on arms that did not run here is shown and not judged.
"""

from bnrepro import ROOT
from bnrepro.cli import arguments, guard
from bnrepro.config.claims import read_claims
from bnrepro.errors import UserError
from bnrepro.evidence.evidence import Evidence, read
from bnrepro.evidence.statistics import Above
from bnrepro.evidence.verdicts import Verdict, judge, meets
from bnrepro.experiment import Table, find
from bnrepro.plots.claims import measured
from bnrepro.plots.tables import show
from bnrepro.run.arms import compose_arms


def main() -> None:
    """Compare this machine's runs with the committed evidence of the same scale."""
    stem, *overrides = arguments("an experiment to verify, and scale, seeds … of its runs")
    arms = compose_arms(stem, [o for o in overrides if not o.startswith("variant=")])
    experiment = find(stem)
    committed = read(ROOT / "results" / stem / arms.scale)
    here = experiment.gather(arms.folders, arms.seeds)
    if not here.variants:
        raise UserError(f"{stem}: no finished run under {arms.parent} to compare")
    title = f"{stem}, scale {arms.scale}"
    if experiment.tolerance is not None:
        same_config(stem, committed, here)
        rows = run_rows(committed, here, experiment.tolerance)
        complaint = f"runs differ by more than {experiment.tolerance}"
        conclude(rows, f"{title}: last test accuracy", complaint)
    elif read_claims(stem):
        same_config(stem, committed, here)
        conclude(claim_rows(stem, arms.scale, committed, here), title, "claims differ")
    else:
        raise UserError(
            f"{stem}: a search has no claims to compare: compare its table.md with "
            f"results/{stem}/{arms.scale}/table.md"
        )


def run_rows(committed: Evidence, here: Evidence, tolerance: float) -> Table:
    """A row a run of this machine: its last accuracy beside the committed one."""
    rows = [["run", "committed", "here", "difference", "reproduced"]]
    theirs = {(r["variant"], r["seed"]): r["final_test_accuracy"] for r in committed.runs}
    for run in here.runs:
        key = (run["variant"], run["seed"])
        if key not in theirs:
            raise UserError(f"{run['variant']} seed {run['seed']}: no committed value to compare")
        values = theirs[key], run["final_test_accuracy"]
        rows.append([f"{key[0]} seed {key[1]}", *compare(*values, tolerance)])
    return rows


def claim_rows(experiment: str, scale: str, committed: Evidence, here: Evidence) -> Table:
    """A row a claim: what it measures and its verdict, committed and here."""
    rows = [["claim", "committed", "here", "reproduced"]]
    for claim in read_claims(experiment):
        published, own = (judge(claim, evidence, scale) for evidence in (committed, here))
        texts = (f"{measured(v)}: {v.verdict}" for v in (published, own))
        agreed = "yes" if agree(published, own) else "NO"
        rows.append([claim["id"], *texts, "–" if own.verdict == "not run" else agreed])
    return rows


def same_config(experiment: str, committed: Evidence, here: Evidence) -> None:
    """Raise a UserError when the two were made with different configs or data."""
    theirs, ours = (
        {run["variant"]: run["config_hash"] for run in each.runs} for each in (committed, here)
    )
    if ours.items() - theirs.items():
        raise UserError(
            f"{experiment}: the published rows have another config or data set (hashes {theirs}, "
            f"here {ours}); verify takes scale, seeds, device and threads only"
        )


def agree(published: Verdict, own: Verdict) -> bool:
    """The same verdict, or intervals that overlap, or one direction where one has no interval."""
    if published.verdict == own.verdict:
        return True
    if published.interval is None or own.interval is None:
        judged_by_interval = own.claim["criterion"]["over"] == "interval"
        return judged_by_interval and direction(published) == direction(own) is not None
    (low, high), (other_low, other_high) = published.interval.bounds(), own.interval.bounds()
    return low <= other_high and other_low <= high


def direction(verdict: Verdict) -> bool | None:
    """Whether the mean of the values that are known meets the criterion; None: none is. A lower
    bound counts where it meets the criterion, and tells nothing else."""
    criterion = verdict.claim["criterion"]
    values = [v for v in verdict.values if v is not None]
    known = [v for v in values if not isinstance(v, Above) or meets(v, criterion)]
    return meets(sum(known) / len(known), criterion) if known else None


def conclude(rows: Table, title: str, complaint: str) -> None:
    """Show the rows. Raises a UserError when one of them is not reproduced, or none was judged."""
    show(rows, title)
    failed = sum(row[-1] == "NO" for row in rows)
    if all(row[-1] == "–" for row in rows[1:]):
        raise UserError("nothing to judge: no arm that a claim compares has run here")
    if failed:
        raise UserError(f"{failed} of {len(rows) - 1} {complaint}")


def compare(committed: float | None, here: float | None, tolerance: float) -> list[str]:
    """Both accuracies, their difference and whether it is small; a diverged run has none."""
    if committed is None or here is None:
        shown = ["diverged" if v is None else f"{v:.4f}" for v in (committed, here)]
        return [*shown, "–", "yes" if committed is here else "NO"]
    gap = here - committed
    close = "yes" if abs(gap) <= tolerance else "NO"
    return [f"{committed:.4f}", f"{here:.4f}", f"{gap:+.4f}", close]


if __name__ == "__main__":
    guard(main)
