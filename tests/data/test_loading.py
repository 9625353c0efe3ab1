"""The order of sources, the cache and its provenance, and the line when nothing works."""

import logging

import pytest

from bnrepro.data import load
from bnrepro.data.sources import Source
from bnrepro.errors import UserError
from scripts import fetch
from tests.data.conftest import IMAGES, failing, idx_files, serving, write_idx


def test_sources_are_tried_in_order(original, catalogue, tmp_path):
    catalogue(
        "mnist", failing("first", "no network"), serving(original, "second"), failing("third", "")
    )
    assert load("mnist", cache=tmp_path).source == "second"


def test_a_folder_for_a_set_that_is_made_up_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"data\.root=.*: synthetic is made up, not read"):
        load("synthetic", tmp_path)


def test_cache_is_reused_and_remembers_its_source(original, catalogue, tmp_path):
    catalogue("mnist", serving(original, "npm package p"))
    fetched = load("mnist", cache=tmp_path / "new" / "cache")
    catalogue("mnist", failing("npm package p", "gone"))
    cached = load("mnist", cache=tmp_path / "new" / "cache")
    assert cached.source == "cache (from npm package p)"
    assert cached.checksum == fetched.checksum == original.checksum


def test_cache_holds_the_original_files(original, catalogue, tmp_path):
    catalogue("mnist", serving(original))
    load("mnist", cache=tmp_path)
    for name, content in idx_files(original).items():
        assert (tmp_path / "mnist" / name).read_bytes() == content


def test_files_put_into_the_cache_by_hand(original, catalogue, tmp_path):
    catalogue("mnist", failing("one", "never asked"), failing("other", "never asked"))
    write_idx(original, tmp_path / "mnist")
    assert load("mnist", cache=tmp_path).source == "cache (from an unrecorded source)"


def test_damaged_cache_says_to_delete_it(original, catalogue, tmp_path):
    catalogue("mnist", serving(original))
    load("mnist", cache=tmp_path)
    path = tmp_path / "mnist" / IMAGES
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(UserError, match=r"wrong checksum.*; delete .*mnist to fetch it again"):
        load("mnist", cache=tmp_path)


def test_source_with_other_contents_is_passed_over(original, catalogue, tmp_path):
    def changed(folder):
        write_idx(original, folder)
        (folder / IMAGES).write_bytes(b"\0\0\x08\x03")
        return folder

    catalogue("mnist", Source("changed", changed))
    with pytest.raises(UserError, match=rf"changed \({IMAGES}: truncated") as caught:
        load("mnist", cache=tmp_path)
    assert ".fetch-" not in str(caught.value)
    assert not (tmp_path / "mnist").exists()


def test_all_fail_lists_what_was_tried(catalogue, tmp_path):
    catalogue("mnist-5k", failing("PyPI package m", "pip is not installed"))
    catalogue(
        "mnist",
        failing("torchvision's download", "no network"),
        failing("npm package p", "npm is not installed"),
        stand_in="mnist-5k",
    )
    with pytest.raises(UserError) as caught:
        load("mnist", cache=tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        f"cannot get mnist; tried cache {tmp_path / 'mnist'} (empty)",
        "torchvision's download (no network)",
        "npm package p (npm is not installed)",
        "PyPI package m (pip is not installed)",
        "give a folder that holds train-images-idx3-ubyte",
    ):
        assert part in message


def test_subset_goes_by_its_own_name(original, catalogue, tmp_path, caplog):
    """Neither its record nor its place in the cache may pass for the full MNIST."""
    catalogue("mnist-5k", serving(original, "PyPI package m"))
    catalogue("mnist", failing("npm package p", "npm is not installed"), stand_in="mnist-5k")
    for source in ("PyPI package m", "cache (from PyPI package m)"):
        identity = load("mnist", cache=tmp_path).identity()
        assert (identity["name"], identity["source"]) == ("mnist-5k", source)
    assert not (tmp_path / "mnist").exists()
    assert "using mnist-5k in place of mnist" in caplog.text


def test_full_set_is_preferred_to_a_cached_subset(original, catalogue, tmp_path):
    catalogue("mnist-5k", serving(original))
    load("mnist-5k", cache=tmp_path)
    catalogue("mnist", serving(original), stand_in="mnist-5k")
    assert load("mnist", cache=tmp_path).name == "mnist"


@pytest.mark.parametrize("moment", ["download", "publish"])
def test_interrupted_fetch_leaves_no_half_cache(original, catalogue, tmp_path, monkeypatch, moment):
    def interrupt(*_):
        raise KeyboardInterrupt

    def half(folder):
        (folder / IMAGES).write_bytes(b"half")
        interrupt()

    with monkeypatch.context() as patch:
        if moment == "download":
            catalogue("mnist", Source("slow", half))
        else:
            catalogue("mnist", serving(original))
            patch.setattr("pathlib.Path.rename", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load("mnist", cache=tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
    catalogue("mnist", serving(original))
    assert load("mnist", cache=tmp_path).source == "a good source"


def test_leftovers_of_a_killed_fetch_are_cleared(original, catalogue, tmp_path):
    (tmp_path / ".fetch-mnist" / "download" / IMAGES).mkdir(parents=True)
    catalogue("mnist", serving(original))
    load("mnist", cache=tmp_path)
    assert not (tmp_path / ".fetch-mnist").exists()


def test_unusable_cache_folder(original, catalogue, tmp_path):
    catalogue("mnist", serving(original))
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"cannot write the data cache .*; make it writable"):
        load("mnist", cache=tmp_path / "file")


def test_full_disk(original, catalogue, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    catalogue("mnist", serving(original))
    monkeypatch.setattr("pathlib.Path.rename", full)
    with pytest.raises(UserError, match=r"data cache .* \(No space left on device\)"):
        load("mnist", cache=tmp_path)


def test_fetch_script_says_what_it_got(original, catalogue, tmp_path, caplog, capsys):
    catalogue("mnist", serving(original, "npm package p"))
    catalogue("fashion_mnist", failing("Debian package d", "apt-get is not installed"))
    with caplog.at_level(logging.INFO, "bnrepro"):
        assert fetch.main(["fashion_mnist", "mnist", "--cache", str(tmp_path)]) == 2
    assert (
        "mnist: 60 training and 20 test images of 10 classes, source: npm package p"
        in caplog.messages
    )
    assert capsys.readouterr().err.startswith("error: cannot get fashion_mnist; tried")
    assert fetch.main(["mnist", "--cache", str(tmp_path)]) == 0
