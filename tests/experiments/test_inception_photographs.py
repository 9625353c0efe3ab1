"""`experiments.inception` on folders of photographs, in memory and streamed."""

import json
from pathlib import Path

import pytest
import torch

from bnrepro.config import compose
from bnrepro.data import open_images
from bnrepro.training.images import ImageTrainer
from experiments.inception.__main__ import main
from tests.data.pictures import class_folders
from tests.drawing import more

SMOKE = ["scale=smoke", "wandb.mode=disabled"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    return class_folders(tmp_path_factory.mktemp("photographs") / "set", train=16)


def folder_run(root: Path, results: Path, *overrides: str) -> list[str]:
    data = ["data=imagefolder", "data.size=32", f"data.root={root}", f"data.cache={root.parent}"]
    return [*SMOKE, *data, "optim.batch=8", "seeds=1", f"results={results}", *overrides]


@pytest.mark.parametrize(
    "options", [["data.stream=true", "data.workers=1"], *more((["data.label=toys"],))]
)
def test_image_folders_end_to_end(options, photographs, run, tmp_path):
    assert run(main, folder_run(photographs, tmp_path, "variant=bn_x5", *options)) == 0
    (path,) = tmp_path.rglob("summary.json")
    summary, meta = (json.loads((path.parent / n).read_text()) for n in (path.name, "meta.json"))
    assert (summary["status"], summary["broken_images"]) == ("ok", 0)
    assert meta["data"]["sizes"] == {"train": 48, "test": 12}
    assert meta["data"]["name"] == ("toys" if "data.label=toys" in options else "imagefolder")
    assert str(photographs) not in json.dumps(meta["data"])


def test_a_streamed_run_resumes_bitwise_and_remembers_what_broke(photographs):
    cfg = compose(
        "inception", folder_run(photographs, photographs, "data.stream=true", "data.workers=0")
    )
    cfg.data.max_broken = 0.1
    data = open_images(cfg.data)
    first, second, whole = (ImageTrainer(cfg, 0, data, torch.device("cpu")) for _ in range(3))
    losses = [float(x) for x in whole.run([3, 8])]
    list(first.run([3]))
    first.source.broken.add("train/c0/gone.jpg")
    second.load_state_dict(first.state_dict())
    assert [float(x) for x in second.run([8])] == losses[1:]
    assert second.source.broken == {"train/c0/gone.jpg"}


def test_a_bad_folder_is_one_line_and_status_2(run, tmp_path, capsys):
    (tmp_path / "train").mkdir()
    assert run(main, folder_run(tmp_path, tmp_path / "results")) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert "expected train/<class>/*.jpg" in error
