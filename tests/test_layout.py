"""The architecture's rules: imports go one way, one stem everywhere, documents tell the truth."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from bnrepro.config import ROOT, SCHEMAS
from bnrepro.config.images import INCEPTIONS
from bnrepro.config.mechanisms import MECHANISMS

EXPERIMENTS = [*SCHEMAS, *INCEPTIONS, *MECHANISMS]
FORBIDDEN = {  # a package, and what it must not import
    "bnrepro/training": ("bnrepro.evidence", "bnrepro.plots"),
    "bnrepro/run": ("bnrepro.evidence", "bnrepro.plots"),
    "bnrepro/models": ("bnrepro.evidence", "bnrepro.plots", "bnrepro.training"),
    "bnrepro/norm": ("bnrepro.models", "bnrepro.training", "bnrepro.evidence", "bnrepro.plots"),
    "bnrepro/data": ("bnrepro.models", "bnrepro.training", "bnrepro.evidence", "bnrepro.plots"),
    "bnrepro/evidence": ("bnrepro.models", "bnrepro.training", "bnrepro.plots", "bnrepro.norm"),
    "bnrepro/plots": ("bnrepro.models", "bnrepro.training"),
    "bnrepro": ("experiments", "scripts", "tests"),
    "experiments": ("scripts",),
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_arrows_go_one_way(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        for name in imports(path):
            assert not name.startswith(FORBIDDEN[folder]), f"{path} imports {name}"


@pytest.mark.parametrize("stem", EXPERIMENTS)
def test_an_experiment_has_one_stem(stem):
    for path in (
        f"configs/{stem}.yaml",
        f"experiments/{stem}/__main__.py",
        f"experiments/{stem}/report.py",
    ):
        assert (ROOT / path).exists(), path
    assert re.search(rf"^{stem.replace('_', '-')}: ", (ROOT / "Makefile").read_text(), re.M)
    assert len((ROOT / f"experiments/{stem}/__main__.py").read_text().splitlines()) <= 150


def test_make_help_lists_every_target():
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^\.PHONY: (\S+)$", text, re.M)
    shown = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert len(targets) > 10
    for target in targets:
        assert f"make {target} " in shown


def test_every_link_of_the_readme_exists():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert len(links) > 10
    for link in links:
        assert (ROOT / link).exists(), link


def test_every_make_command_of_the_readme_is_a_target():
    commands = re.findall(r"`?make ([a-z-]+)", (ROOT / "README.md").read_text())
    makefile = (ROOT / "Makefile").read_text()
    for command in set(commands):
        assert re.search(rf"^{command}: ", makefile, re.M), command
