"""Run records of made-up curves, as the recorded loop leaves them."""

import json
from pathlib import Path

CONFIG = """\
experiment: mnist
variant: {arm}
seeds: [0]
optim:
  lr: {lr}
model:
  hidden: [100, 100]
"""


def rows(count, seed=0, rate=1.0, start=0):
    """Rows of a run whose accuracy rises; every third one is probed."""
    made = []
    for i in range(start + 1, start + count + 1):
        row = {
            "step": 50 * i,
            "examples": 3000 * i,
            "epoch": round(0.05 * i, 4),
            "wall_s": round(0.25 * i + 0.01 * seed, 3),
            "train_loss": round(2.3 / (1 + rate * i), 7),
            "test_accuracy": round(1 - 0.9 / (1 + rate * i) - 0.001 * seed, 4),
            "grad_norm": {"hidden1": round(1 / i, 7)},
        }
        if i % 3 == 0:
            units = [[-1.0 - 0.1 * i, -1.0], [0.0, 0.5], [1.0, 1.5]]  # p15, p50, p85 of two units
            row["percentiles"] = {"training": {"hidden1": units}}
            row["saturated"] = {"hidden1": 0.25}
            row["histogram"] = {"hidden1": [0, 1, 2]}
        made.append(row)
    return made


def write_run(
    results, arm, seed=0, made=None, total=3000, lr=0.1, summary=None, place="mnist/small"
):
    """A run's folder; without a summary it has not ended."""
    folder = Path(results) / place / arm / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG.format(arm=arm, lr=lr))
    meta = {"total": total, "data": {"name": "mnist"}, "group": [seed]}
    (folder / "meta.json").write_text(json.dumps(meta))
    (folder / "metrics.jsonl").write_text("")
    append(folder, rows(20, seed) if made is None else made)
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def append(folder, more):
    """Log rows as a run does."""
    with (folder / "metrics.jsonl").open("a") as file:
        file.write("".join(json.dumps(row) + "\n" for row in more))


def ended(status="ok", outcome="trained", **more):
    """A summary."""
    return {"status": status, "outcome": outcome, "first_non_finite_step": None, **more}


def write_some(results):
    """Arms with three seeds, a run that diverged, one interrupted, one that runs; a sweep."""
    for seed in range(3):
        write_run(results, "baseline", seed, rows(60, seed, 0.4), summary=ended())
        write_run(results, "bn", seed, rows(60, seed), lr=0.5, summary=ended())
    diverged = ended("diverged", "non-finite", first_non_finite_step=275)
    write_run(results, "bn_tuned", 0, rows(5), summary=diverged)
    write_run(results, "baseline_tuned", 0, rows(30), summary=ended("interrupted", None, error=""))
    write_run(results, "bn-0a1b2c", 0, rows(40))
    write_sweep(results)


def write_sweep(results):
    """A record of cells: loss over two settings, two arms and two seeds."""
    folder = Path(results) / "scale_invariance" / "small" / "sweep"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"total": 24, "data": {"name": "mnist"}}))
    cells = [(lr, std, arm, seed) for lr in (0.1, 0.3, 1.0) for std in (0.01, 0.1)
             for arm in ("bn", "baseline") for seed in (0, 1)]  # fmt: skip
    append(folder, [
        {"cell": i + 1, "part": "loss", "lr": lr, "std": std, "arm": arm, "seed": seed,
         "loss": round(lr * std + seed * 0.001 + (arm == "bn") * 0.01, 6)}
        for i, (lr, std, arm, seed) in enumerate(cells)
    ])  # fmt: skip
    (folder / "summary.json").write_text(json.dumps({"status": "ok"}))
    return folder
