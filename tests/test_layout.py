"""The architecture: imports go one way, an experiment is one folder, links lead somewhere."""

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from bnrepro import ROOT
from bnrepro.config import compose, variants
from bnrepro.config.claims import read_claims
from bnrepro.evidence.ledger import figure_of
from bnrepro.experiment import find, stems

CODE = ("bnrepro", "experiments", "scripts")
LAYERS = ("config", "norm", "data", "models", "training", "run", "evidence", "plots", "dashboard")
MAY_IMPORT = {  # a package of bnrepro, and the others that it may import
    "config": set(),
    "norm": set(),
    "data": {"config"},
    "models": {"config", "norm"},
    "training": {"config", "norm", "data", "models", "run"},
    "run": {"config", "data", "training"},  # training: the mirror takes the histograms' bins
    "evidence": {"config", "run"},
    "plots": {"evidence"},
    "dashboard": {"config", "evidence", "plots"},
}
WITHOUT_TORCH = ("__init__", "metrics", "figures", "tables", "gather")  # of every experiment
# words of the library too
MODELS_AND_DATA = {
    "mnist", "inception", "whitening", "inference", "learning_rate", "transform", "architecture",
}  # fmt: skip
LONGEST = 300  # lines of a file


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def place(path: Path) -> str:
    """The path from the repository's root."""
    return str(path.relative_to(ROOT))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def dotted(path: Path) -> str:
    """A file's module name; a package's `__init__.py` is the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    """What the nodes import: `a.b` and, of `from a.b import c`, module `a.b` and name `c`."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from ((str(node.module), alias.name) for alias in node.names)


def imported_names(path: Path) -> set[str]:
    """Every name that a file imports anywhere, with its module."""
    return {f"{module}.{name}".rstrip(".") for module, name in imported(ast.walk(parse(path)))}


def imported_modules(path: Path, modules: Iterable[str]) -> set[str]:
    """The modules that a file needs to be imported; a package, where it takes a name from it."""
    found = set()
    for module, name in imported(at_module_level(parse(path).body)):
        found.add(full if (full := f"{module}.{name}") in modules else module)
    return found.intersection(modules) - {dotted(path)}


def at_module_level(nodes: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported."""
    for node in nodes:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in ("body", "orelse", "finalbody"):
                yield from at_module_level(getattr(node, part, []))


def starts_with(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("layer", LAYERS)
def test_arrows_go_one_way(layer):
    forbidden = {f"bnrepro.{other}" for other in {*LAYERS} - MAY_IMPORT[layer] - {layer}}
    files = sources(f"bnrepro/{layer}")
    assert files
    for path in files:
        for name in imported_names(path):
            assert not starts_with(name, forbidden), f"{path} imports {name}"


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("bnrepro", {"experiments", "scripts", "tests"}),
        ("experiments", {"scripts", "tests"}),
        ("scripts", {"tests"}),
    ],
)
def test_nothing_imports_what_is_built_on_it(folder, forbidden):
    for path in sources(folder):
        for name in imported_names(path):
            assert not starts_with(name, forbidden), f"{path} imports {name}"


def test_every_package_of_the_library_has_its_arrows():
    packages = {path.parent.name for path in (ROOT / "bnrepro").glob("*/__init__.py")}
    assert packages == {*LAYERS} == {*MAY_IMPORT}


def test_evidence_plots_and_the_figures_of_experiments_load_no_torch():
    parts = [ROOT / f"experiments/{stem}/{part}.py" for stem in stems() for part in WITHOUT_TORCH]
    light = ("bnrepro/evidence", "bnrepro/plots", "bnrepro/dashboard")
    names = [dotted(path) for path in sources(*light)]
    names += [dotted(path) for path in parts if path.exists()]
    assert len(names) > 3 * len(stems())
    program = f"""
import importlib, sys
for name in {names}:
    importlib.import_module(name)
    assert "torch" not in sys.modules, name
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_modules_do_not_import_each_other_in_a_circle():
    modules = {dotted(path): path for path in sources(*CODE)}
    graph = {name: imported_modules(path, modules) for name, path in modules.items()}
    assert sum(map(len, graph.values())) > len(graph)
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError with the circle


def strings(tree: ast.Module) -> Iterator[str]:
    """The string literals of a file, without its docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        is_string = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_string and node not in docstrings:
            yield node.value


def test_the_library_names_no_experiment():
    named = "|".join(stem for stem in stems() if stem not in MODELS_AND_DATA)
    stem_in_quotes = re.compile(rf"\b({named})\b|\bexperiments\.({'|'.join(stems())})\b")
    for path in sources("bnrepro"):
        for text in strings(parse(path)):
            assert not stem_in_quotes.search(text), f"{path}: {text}"


def test_scripts_name_no_experiment_but_those_they_are_about():
    """`bench` and `plan` are about some trainers; every other script serves all."""
    about = {"plan", *(p.stem for p in sources("scripts") if p.stem.startswith("bench"))}
    quoted = {stem: f'"{stem}"' for stem in stems()}
    for path in sources("scripts"):
        if path.stem not in about:
            text = {f'"{value}"' for value in strings(parse(path))}
            assert not text & set(quoted.values()), path


def test_no_file_is_longer_than_a_reader_takes_in():
    lines = {place(p): p.read_text("utf-8").count("\n") for p in sources(*CODE, "tests")}
    assert len(lines) > 100
    assert {path: count for path, count in lines.items() if count > LONGEST} == {}


@pytest.mark.parametrize("stem", stems())
def test_an_experiment_is_what_the_contract_says(stem):
    experiment = find(stem)
    assert experiment.stem == stem
    assert experiment.question
    assert re.fullmatch(r"\d(\.\d)*", experiment.section)
    assert callable(experiment.gather)
    cfg = compose(stem)
    assert (type(cfg), cfg.experiment) == (experiment.config, stem)
    assert "smoke" in {path.stem for path in (ROOT / "configs" / stem / "scale").glob("*.yaml")}
    assert callable(experiment.measure.run)
    figures = experiment.figures
    assert figures.FIGURES
    for function in (*figures.FIGURES.values(), figures.tables, figures.answer):
        assert callable(function)


@pytest.mark.parametrize("stem", stems())
def test_every_claim_names_a_documented_metric_and_arms_that_exist(stem):
    for claim in read_claims(stem):
        if "untestable" in claim:
            continue
        metric = getattr(find(stem).metrics, claim["metric"], None)
        assert callable(metric), claim["id"]
        assert metric.__doc__, claim["metric"]
        if variants(stem) != ["sweep"]:
            arms = {claim[key] for key in ("arm", "against") if key in claim}
            assert arms <= set(variants(stem)), claim["id"]


@pytest.mark.parametrize("stem", stems())
def test_every_experiment_serves_a_claim(stem):
    """It judges claims, or is the search that the settings of an experiment with claims rest on."""
    assert read_claims(stem) or read_claims(stem.removesuffix("_grid"))


@pytest.mark.parametrize("stem", ["", *stems()])
def test_every_figure_that_a_claim_names_exists(stem):
    for claim in read_claims(stem):
        assert figure_of(claim) in (None, *(find(stem).figures.FIGURES if stem else ()))


def make(*arguments: str) -> str:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_make_help_lists_every_target_and_every_experiment_with_its_question():
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = re.findall(r"^\.PHONY: ([a-z][a-z-]*)$", text, re.M)
    shown = make("help")
    assert len(targets) > 10
    for target in targets:
        assert re.search(rf"^  make {target} +\S", shown, re.M), target
    for stem in stems():
        target, experiment = stem.replace("_", "-"), find(stem)
        line = next(line for line in shown.splitlines() if line.startswith(f"  make {target} "))
        assert line.split(maxsplit=3)[2:] == [experiment.section, experiment.question]


def test_one_rule_of_make_runs_every_experiment():
    targets = [stem.replace("_", "-") for stem in stems()]
    commands = make("-n", *targets, "SCALE=smoke", "ARGS=seeds=1 threads=1").splitlines()
    ran = [
        f".venv/bin/python -m scripts.run {stem} scale=smoke seeds=1 threads=1" for stem in stems()
    ]
    assert [line for line in commands if "scripts.run" in line] == ran


def test_make_mechanisms_runs_the_experiments_on_sections_1_to_3_on_one_thread_each():
    (command,) = [line for line in make("-n", "mechanisms").splitlines() if " -j2 " in line]
    below = {stem.replace("_", "-") for stem in stems() if find(stem).section < "4"}
    assert {word for word in command.split() if word.replace("-", "_") in stems()} == below
    assert 'ARGS="threads=1 jobs=1 "' in command


PAGES = [ROOT / page for page in ("README.md", "configs/README.md", "experiments/README.md",
                                  "results/README.md")]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_every_link_of_a_page_exists(page):
    links = re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text("utf-8"))
    assert links or page != ROOT / "README.md"
    for link in links:
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_every_make_command_of_a_page_is_a_target(page):
    text = page.read_text("utf-8")
    commands = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, re.M))
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.M))
    shown = set(re.findall(r'stem="(\w+)"', text))  # the experiment of a worked example
    assert commands <= targets | {stem.replace("_", "-") for stem in {*stems(), *shown}}


def test_the_readme_fits_150_lines():
    lines = (ROOT / "README.md").read_text("utf-8").count("\n")
    assert lines <= 150
