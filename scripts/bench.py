"""How fast is this project here, how does cost grow, and beside what? A record of this machine.

    make bench                                     every part; minutes
    python -m scripts.bench slots inception        some parts
    python -m scripts.bench into=FOLDER            the record there instead of results/bench/
    python -m scripts.bench jax=PYTHON             beside the JAX of another environment

Contestants take turns, so that drift of the machine's speed hits all alike; medians are recorded.
A record is `<processor>.json`, with a figure and tables beside it; a part that is measured again
with the same software replaces its own rows. The parts:

- `slots`: µs a seed-step of the MNIST trainer against the number of slots (bench_slots.py);
- `bn`: what BN adds to that step, against width and mini-batch;
- `inception`: the Inception step against the network's width (bench_inception.py);
- `processes`: arms side by side (bench_processes.py);
- `readers`: images a second from JPEG files (bench_data.py).
"""

import importlib.util
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from bnrepro import ROOT
from bnrepro.cli import guard
from bnrepro.errors import UserError
from bnrepro.files import write_atomically
from bnrepro.plots.bench import growth_figure, tables
from bnrepro.plots.style import save as draw
from bnrepro.plots.tables import markdown, show
from bnrepro.run.device import resolve_device
from bnrepro.run.provenance import describe_run, hardware, repository_state
from scripts.bench_data import reader_rows
from scripts.bench_inception import inception_rows
from scripts.bench_processes import process_rows
from scripts.bench_slots import bn_rows, slot_rows

Rows = Callable[[torch.device, str | None], Iterator[dict[str, Any]]]
PARTS: Mapping[str, Rows] = {
    "slots": slot_rows,
    "bn": bn_rows,
    "inception": inception_rows,
    "processes": process_rows,
    "readers": reader_rows,
}
SETTINGS = ("into", "jax")
META = ("python", "versions", "device", "hardware", "threads")
FLAGS = re.compile(r"avx\w*|amx\w*|fma|sse4_2|neon|asimd\w*|sve\w*")


def main() -> None:
    """Measure, write the record after each part, draw the figure and show the tables."""
    parts, settings = asked(sys.argv[1:])
    device = resolve_device("auto")
    folder = Path(settings.get("into", ROOT / "results" / "bench"))
    path = folder / f"{slug(hardware(device))}.json"
    record = begun(path, describe(device))
    jax = settings.get("jax") or (sys.executable if importlib.util.find_spec("jax") else None)
    for part in parts:
        start = time.perf_counter()
        rows = [{"part": part, **row} for row in PARTS[part](device, jax)]
        seconds = round(time.perf_counter() - start, 1)
        record["rows"] = [row for row in record["rows"] if row["part"] != part] + rows
        commit, dirty = repository_state()
        state = {"commit": commit, "dirty": dirty, "seconds": seconds}
        record["meta"]["parts"][part] = state
        save(path, record)
    present(path, record)


def begun(path: Path, meta: Mapping[str, Any]) -> dict[str, Any]:
    """The record of this machine and software if there is one, else an empty one."""
    if path.exists():
        record = json.loads(path.read_text("utf-8"))
        if {**record["meta"], "parts": {}} == meta:
            return record
    return {"meta": meta, "rows": []}


def asked(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The parts (none named: all) and the settings that the words name. Raises a UserError."""
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    parts = [word for word in words if "=" not in word]
    if unknown := [*(set(parts) - set(PARTS)), *(set(settings) - set(SETTINGS))]:
        raise UserError(
            f"{unknown[0]}: no part of the bench; parts are {', '.join(PARTS)}, settings "
            f"{', '.join(f'{name}=…' for name in SETTINGS)}"
        )
    return parts or list(PARTS), settings


def describe(device: torch.device) -> dict[str, Any]:
    """The machine and the software."""
    meta = {key: value for key, value in describe_run(device, {}, []).items() if key in META}
    capability = torch.backends.cpu.get_cpu_capability()
    return {**meta, "flags": flags(), "capability": capability, "parts": {}}


def flags() -> list[str]:
    """What the processor offers to matrix products; empty where that is not known."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return []
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return sorted(word for word in (line[1].split() if line else ()) if FLAGS.fullmatch(word))


def slug(name: str) -> str:
    """A file's name for a processor."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def save(path: Path, record: Mapping[str, Any]) -> None:
    """Write the record, a row a line."""
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in record["rows"])
    meta = json.dumps(record["meta"], indent=1, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, f'{{"meta": {meta},\n"rows": [\n{rows}\n]}}\n')


def present(path: Path, record: Mapping[str, Any]) -> None:
    """The figure and the tables, beside the record and on the terminal."""
    draw(growth_figure(record), path.parent, path.stem)
    each = tables(record)
    text = "\n".join(f"{title}\n\n{markdown(rows)}" for title, rows in each.items())
    write_atomically(path.with_suffix(".md"), text)
    for title, rows in each.items():
        show(rows, title)
    print(path)


if __name__ == "__main__":
    guard(main)
