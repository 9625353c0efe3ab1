"""How fast do images come from JPEG files, and does the network wait? Part of `make bench`.

Made-up photographs of 500×375 pixels are written as JPEG files, then read, decoded, cropped to 224
and distorted as `data=imagenet` does it: first alone with one worker process, then for training
steps at scale paper on this machine's device, with the share of that time without images.
"""

import tempfile
import time
from pathlib import Path

import torch
from torchvision.io import write_jpeg

from bnrepro.config import compose
from bnrepro.config.images import ImageConfig
from bnrepro.data import open_images
from bnrepro.data.images import open_source
from bnrepro.experiment import Table
from bnrepro.run.device import resolve_device
from bnrepro.seeding import stream
from bnrepro.training.images import ImageTrainer

IMAGES, BATCHES = 320, 8
WARM_UP, STEPS = {"cpu": 1, "cuda": 20}, {"cpu": 3, "cuda": 50}


def data_rows() -> Table:
    """What is measured, and its value."""
    with tempfile.TemporaryDirectory() as folder:
        photographs(Path(folder) / "images")
        where = [f"data.root={folder}/images", f"data.cache={folder}/cache"]
        how = ["data=imagefolder", "data.stream=true", "data.size=224", "data.workers=1"]
        cfg = compose("inception", ["scale=paper", "variant=bn_x5", *how, *where])
        alone = images_per_second(cfg)
        cfg.data.workers = None  # as many as there are cores
        speed, waits = training(cfg)
    return [
        ["measure", "value"],
        ["images a second, one worker", f"{alone:.0f}"],
        ["images a second, training at scale paper", f"{speed:.1f}"],
        ["share of that time without images", f"{waits:.1%}"],
    ]


def photographs(root: Path, classes: int = 2) -> None:
    """Smooth colours with grain, about as large in bytes as photographs."""
    for number in range(IMAGES + 40):
        part = "train" if number < IMAGES else "val"
        path = root / part / f"class{number % classes}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = stream(0, "photograph", number)
        coarse = torch.rand(1, 3, 24, 32, generator=generator)
        image = torch.nn.functional.interpolate(coarse, (375, 500), mode="bicubic")[0]
        grain = 0.05 * torch.randn(image.shape, generator=generator)
        write_jpeg((255 * (image + grain).clamp(0, 1)).to(torch.uint8), str(path), quality=90)


def images_per_second(cfg: ImageConfig) -> float:
    """Images a second of one worker."""
    images, device = open_images(cfg.data), torch.device("cpu")
    source = open_source(images, cfg.pictures, cfg.optim.batch, 0, device)
    source.batch(0)  # starts the worker
    start = time.perf_counter()
    for step in range(1, 1 + BATCHES):
        source.batch(step)
    return BATCHES * cfg.optim.batch / (time.perf_counter() - start)


def training(cfg: ImageConfig) -> tuple[float, float]:
    """Images a second of training, and the share of its time that it waits for images."""
    device = resolve_device(cfg.device)
    first, more = WARM_UP[device.type], STEPS[device.type]
    trainer = ImageTrainer(cfg, 0, open_images(cfg.data), device)
    next(trainer.run([first]))
    trainer.seconds = 0.0
    before = trainer.source.waited  # type: ignore[attr-defined]
    next(trainer.run([first + more]))
    waited = trainer.source.waited - before  # type: ignore[attr-defined]
    return more * cfg.optim.batch / trainer.seconds, waited / trainer.seconds
