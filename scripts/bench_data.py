"""How many images a second come from JPEG files, and does the network wait? Part of `make bench`.

Made-up photographs of 500×375 pixels are written as JPEG files, then read, decoded, cropped to 224
and distorted as `data=imagenet` does it: first alone, by so many worker processes, then for
training steps at scale paper on this machine's device, with the share of that time without images.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torchvision.io import write_jpeg

from bnrepro.config import compose
from bnrepro.config.images import ImageConfig
from bnrepro.data import open_images
from bnrepro.data.images import open_source
from bnrepro.machine import cores
from bnrepro.seeding import stream
from bnrepro.training.images import ImageTrainer
from scripts.bench_measure import peak_mb

IMAGES, BATCHES = 320, 8  # mini-batches that each worker reads
READERS = (1, 2, 4, 8, 16)
WARM_UP, STEPS = {"cpu": 1, "cuda": 20}, {"cpu": 3, "cuda": 50}


def reader_rows(device: torch.device, _: str | None) -> Iterator[dict[str, Any]]:
    """Images a second by the number of workers; then of training, with the share it waits."""
    with tempfile.TemporaryDirectory() as folder:
        photographs(Path(folder) / "images")
        where = [f"data.root={folder}/images", f"data.cache={folder}/cache"]
        how = ["data=imagefolder", "data.stream=true", "data.size=224"]
        cfg = compose("inception", ["scale=paper", "variant=bn_x5", *how, *where])
        for readers in (n for n in READERS if n <= cores()):
            cfg.data.workers = readers
            speed, mb = images_per_second(cfg, readers)
            yield {"readers": readers, "images_s": round(speed, 1), "mb": mb}
        cfg.data.workers = None  # as many as there are cores
        speed, waits = training(cfg, device)
        yield {"step": "scale paper", "images_s": round(speed, 1), "waits": round(waits, 3)}


def photographs(root: Path) -> None:
    """Two classes of smooth colours with grain, about as large in bytes as photographs."""
    for number in range(IMAGES + 40):
        part = "train" if number < IMAGES else "val"
        path = root / part / f"class{number % 2}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = stream(0, "photograph", number)
        coarse = torch.rand(1, 3, 24, 32, generator=generator)
        image = torch.nn.functional.interpolate(coarse, (375, 500), mode="bicubic")[0]
        grain = 0.05 * torch.randn(image.shape, generator=generator)
        write_jpeg((255 * (image + grain).clamp(0, 1)).to(torch.uint8), str(path), quality=90)


def images_per_second(cfg: ImageConfig, readers: int) -> tuple[float, int | None]:
    """Images a second of so many workers, and the peak MB of all of them."""
    images, device = open_images(cfg.data), torch.device("cpu")
    source = open_source(images, cfg.pictures, cfg.optim.batch, 0, device)
    for step in range(readers):
        source.batch(step)  # the first ones start the workers
    last = readers * (1 + BATCHES)
    start = time.perf_counter()
    for step in range(readers, last):
        source.batch(step)
    speed = (last - readers) * cfg.optim.batch / (time.perf_counter() - start)
    workers = [peak_mb(device, child.pid or 0) for child in multiprocessing.active_children()]
    return speed, sum(filter(None, workers)) or None


def training(cfg: ImageConfig, device: torch.device) -> tuple[float, float]:
    """Images a second of training, and the share of its time that it waits for images."""
    first, more = WARM_UP[device.type], STEPS[device.type]
    trainer = ImageTrainer(cfg, 0, open_images(cfg.data), device)
    next(trainer.run([first]))
    trainer.seconds = 0.0
    before = trainer.source.waited  # type: ignore[attr-defined]
    next(trainer.run([first + more]))
    waited = trainer.source.waited - before  # type: ignore[attr-defined]
    return more * cfg.optim.batch / trainer.seconds, waited / trainer.seconds
