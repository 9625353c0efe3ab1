"""A finished run as a file, and pictures classified with one network or several."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bnrepro import ROOT
from bnrepro.cli import guard
from bnrepro.models import load
from bnrepro.models.exported import read_about
from bnrepro.norm import BatchNorm
from bnrepro.training.crops import class_probabilities
from bnrepro.training.trained import read_run
from experiments.ensemble.__main__ import main as train
from experiments.mnist.__main__ import main as train_mlp
from scripts import export, predict
from tests.data.pictures import class_folders, write_image
from tests.drawing import call


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Path]:
    """Two finished runs on an image folder of three classes."""
    base = tmp_path_factory.mktemp("runs")
    root = class_folders(base / "set", train=16)
    data = ["data=imagefolder", "data.size=32", f"data.root={root}", f"data.cache={base}"]
    for variant in ("weights", "activation"):
        call(train, ["scale=smoke", f"variant={variant}", *data, "optim.batch=8", "crops.images=4",
                     f"results={base / 'results'}", "wandb.mode=disabled"])  # fmt: skip
    found = [path.parent for path in base.rglob("summary.json")]
    return sorted(found, key=lambda path: path.parent.name, reverse=True)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Five pictures at two depths, and two files that are none."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, height, width in (("a", 40, 60), ("b", 60, 40), ("c", 50, 50), ("deep/d", 33, 90)):
        write_image(folder / f"{name}.jpg", height, width)
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:100])
    (folder / "empty.png").write_bytes(b"")
    return folder


def exported(run, folder: Path, to: Path, *options: str) -> Path:
    assert run(lambda: guard(export.main), [str(folder), "--to", str(to), *options]) == 0
    return to


@pytest.mark.thorough
def test_an_exported_network_gives_the_same_logits_in_another_process(runs, run, tmp_path):
    network, _ = read_run(runs[0])
    path = exported(run, runs[0], tmp_path / "n.safetensors", "--batches", "0")
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.save(images, tmp_path / "images.pt")
    program = f"""
import torch
from bnrepro.models import load
network = load("{path}")
images = torch.load("{tmp_path}/images.pt")
torch.save(network(2 * images - 1).detach(), "{tmp_path}/logits.pt")
print(network.class_names)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['c0', 'c1', 'c2']"
    with torch.no_grad():
        expected = network(2 * images - 1)
    torch.testing.assert_close(torch.load(tmp_path / "logits.pt"), expected, rtol=1e-5, atol=1e-5)
    about = read_about(path)
    assert about["config"]["variant"] == "weights"
    assert about["made"]["data"]["name"] == "imagefolder"


def test_an_exported_network_has_algorithm_2_s_statistics(runs, run, tmp_path):
    before, _ = read_run(runs[0])
    after = load(exported(run, runs[0], tmp_path / "n.safetensors", "--batches", "6"))
    pairs = [
        (one, other)
        for one, other in zip(before.modules(), after.modules(), strict=True)
        if isinstance(one, BatchNorm)
    ]
    assert pairs
    assert all(int(other.num_batches_tracked) == 6 for _, other in pairs)
    assert not torch.equal(pairs[0][0].running_mean, pairs[0][1].running_mean)
    for one, other in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.equal(one, other)


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def classify(run, folder: Path, to: Path, *networks: Path, crops: int = 1) -> int:
    named = [word for network in networks for word in ("--run", str(network))]
    words = [*named, "--images", str(folder), "--to", str(to), "--crops", str(crops)]
    return run(lambda: guard(predict.main), words)


@pytest.mark.parametrize("crops", [1, 144])
def test_pictures_are_classified_and_unreadable_ones_named_and_counted(
    crops, runs, pictures, run, tmp_path, capsys
):
    assert classify(run, pictures, tmp_path / "out.csv", *runs, crops=crops) == 0
    header, *rows = rows_of(tmp_path / "out.csv")
    assert header == ["path", "class", "probability", "top-5"]
    assert [row[0] for row in rows] == ["a.jpg", "b.jpg", "c.jpg", "deep/d.jpg"]
    shown = capsys.readouterr()
    for name in ("broken.jpg", "empty.png"):
        assert f"{pictures / name}: cannot be read" in shown.err
    assert shown.out.endswith("4 pictures classified, 2 skipped\n")


def test_an_ensemble_s_probabilities_are_the_mean_of_its_networks(runs, pictures, run, tmp_path):
    each = []
    for number, network in enumerate(runs):
        assert classify(run, pictures, tmp_path / f"{number}.csv", network) == 0
        each.append([probabilities(row) for row in rows_of(tmp_path / f"{number}.csv")[1:]])
    assert classify(run, pictures, tmp_path / "both.csv", *runs) == 0
    for row, one, other in zip(rows_of(tmp_path / "both.csv")[1:], *each, strict=True):
        both = probabilities(row)
        assert sum(both.values()) == pytest.approx(1, abs=1e-3)
        assert both == pytest.approx({c: (one[c] + other[c]) / 2 for c in both}, abs=1e-3)
        assert row[1] == max(both, key=lambda name: both[name])


def probabilities(row: list[str]) -> dict[str, float]:
    return {name: float(value) for name, value in (t.split() for t in row[3].split("; "))}


def test_the_folded_network_says_what_the_run_s_network_says(runs, pictures):
    network, _ = read_run(runs[1])
    folded = predict.classifier(runs[1])
    norms = [m for m in folded.network.modules() if isinstance(m, BatchNorm)]
    assert 0 < len(norms) < sum(isinstance(m, BatchNorm) for m in network.modules())
    picture = torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = class_probabilities(lambda x: network(2 * x - 1), picture[None], 32, "square")[
            -1, 0
        ]
        torch.testing.assert_close(folded.probabilities(picture, 144), expected, rtol=1e-4,
                                   atol=1e-5)  # fmt: skip


def test_a_run_and_its_exported_file_classify_alike(runs, pictures, run, tmp_path):
    path = exported(run, runs[0], tmp_path / "n.safetensors", "--batches", "0")
    for network, name in ((runs[0], "run.csv"), (path, "file.csv")):
        assert classify(run, pictures, tmp_path / name, network) == 0
    assert rows_of(tmp_path / "run.csv") == rows_of(tmp_path / "file.csv")


@pytest.mark.thorough
def test_grey_networks_take_colour_pictures(run, pictures, tmp_path):
    arguments = ["scale=smoke", f"results={tmp_path}", "wandb.mode=disabled"]
    call(train, arguments)
    (summary,) = tmp_path.rglob("summary.json")
    assert classify(run, pictures, tmp_path / "out.csv", summary.parent) == 0
    assert len(rows_of(tmp_path / "out.csv")) == 5


def last_line(capsys) -> str:
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_no_readable_picture_is_an_error(runs, run, tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    assert classify(run, tmp_path, tmp_path / "out.csv", runs[0]) == 2
    assert last_line(capsys) == "error: none of 1 pictures could be read; nothing written"
    assert not (tmp_path / "out.csv").exists()


def test_mistakes_are_one_line(runs, run, pictures, tmp_path, capsys):
    def fails(words: list[object], command=predict.main) -> str:
        assert run(lambda: guard(command), [str(word) for word in words]) == 2
        return last_line(capsys)

    one = ["--run", runs[0]]
    assert "give --run RUN" in fails([])
    assert "no such folder" in fails([*one, "--images", tmp_path / "none"])
    assert "no picture in it" in fails([*one, "--images", tmp_path])
    assert "--crops 3: allowed are 1, 2" in fails([*one, "--images", pictures, "--crops", 3])
    assert "no finished run" in fails(["--run", tmp_path, "--images", pictures])
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    assert "no readable" in fails(["--run", tmp_path / "x.safetensors", "--images", pictures])
    assert "name one run's folder" in fails([], export.main)
    assert "no finished run" in fails([tmp_path], export.main)


@pytest.mark.thorough
def test_a_run_whose_network_is_not_there_says_what_to_do(run, tmp_path, capsys):
    call(train, ["scale=smoke", f"results={tmp_path}", "wandb.mode=disabled"])
    (summary,) = tmp_path.rglob("summary.json")
    (checkpoint,) = tmp_path.rglob("checkpoint-*.pt")
    checkpoint.unlink()
    assert run(lambda: guard(export.main), [str(summary.parent)]) == 2
    assert "run the experiment again with force=true" in last_line(capsys)


def test_networks_of_other_experiments_are_refused(run, tmp_path, capsys):
    call(train_mlp, ["scale=smoke", "seeds=1", f"results={tmp_path}", "wandb.mode=disabled"])
    (summary,) = tmp_path.rglob("summary.json")
    assert run(lambda: guard(export.main), [str(summary.parent)]) == 2
    assert "Inception networks alone" in last_line(capsys)
