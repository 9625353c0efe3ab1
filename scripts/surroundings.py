"""An environment that takes PyTorch from the one around it; a step of `make setup SYSTEM=1`.

    python3 -m scripts.surroundings .venv

Run by the surrounding Python, before anything is installed: only the standard library is imported.
It leaves `requirements.txt` in the environment, the lock without PyTorch and without what only
PyTorch needs, and a `.pth` file that makes the surrounding packages visible after its own.
"""

import importlib.metadata
import importlib.util
import re
import sys
import tomllib
from pathlib import Path

from bnrepro import ROOT

TAKEN = ("torch", "torchvision")
NAME = re.compile(r"[A-Za-z0-9_.-]+")


def main() -> None:
    """Check the versions, then write both files; every mistake is one line and status 2."""
    environment = Path(sys.argv[1])
    try:
        places = sorted({place_of(name) for name in TAKEN})
        packages = packages_of(environment)
    except LookupError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    (packages / "surroundings.pth").write_text("".join(f"{p}\n" for p in places), "utf-8")
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    (environment / "requirements.txt").write_text(without(lock, TAKEN), "utf-8")


def packages_of(environment: Path) -> Path:
    """Where its packages are. Raises a LookupError for another Python's environment."""
    version = ".".join(map(str, sys.version_info[:2]))
    folder = environment / "lib" / f"python{version}" / "site-packages"
    if not folder.is_dir():
        raise LookupError(
            f"{environment}: not made by Python {version}; remove it and run make setup SYSTEM=1 "
            "again, or name its Python with PYTHON=…"
        )
    return folder


def place_of(name: str) -> Path:
    """The folder of a package that is new enough. Raises a LookupError that says what to do."""
    least = required(name)
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise LookupError(
            f"{name}: {sys.executable} does not have it; name a Python that has it, make setup "
            "SYSTEM=1 PYTHON=…, or leave SYSTEM=1 out to install it"
        )
    found = importlib.metadata.version(name)
    if numbers(found) < numbers(least):
        raise LookupError(
            f"{name}: {sys.executable} has version {found}; {least} or newer is needed: upgrade "
            "it, or leave SYSTEM=1 out to install one"
        )
    return Path(spec.origin).parents[1]


def required(name: str) -> str:
    """The lowest version that pyproject.toml allows; `0` where it names none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (entry,) = [d for d in project["dependencies"] if NAME.match(d)[0] == name]  # type: ignore[index]
    found = re.search(r">=\s*([0-9.]+)", entry)
    return found[1] if found else "0"


def numbers(version: str) -> tuple[int, ...]:
    """A version's numbers, without what follows them: `2.11.0+cu130` gives (2, 11, 0)."""
    found = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def without(lock: str, taken: tuple[str, ...]) -> str:
    """The lock without these packages and those that only they need, by its `via` comments."""
    head, *blocks = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)
    dropped = set(taken)
    while more := {name_of(block) for block in blocks if not needed(block, dropped)} - dropped:
        dropped |= more
    return head + "".join(block for block in blocks if name_of(block) not in dropped)


def name_of(block: str) -> str:
    """The package of a block of the lock."""
    found = NAME.match(block)
    return found[0] if found else ""


def needed(block: str, absent: set[str]) -> bool:
    """Whether anything but the absent packages is why the block is in the lock."""
    comments = re.search(r"# via(.*)", block, re.DOTALL)
    reasons = re.findall(r"[A-Za-z0-9_.-]+(?: \([^)]*\))?", comments[1] if comments else "")
    return not reasons or any(reason not in absent for reason in reasons)


if __name__ == "__main__":
    main()
