"""From a data set's name to the set: the folder given, the cache, or a source that works.

The cache holds a folder a set, with its files and `source.txt`, the label of the source that served
them. The folder appears by one rename after its contents were verified, so that an interrupted
fetch leaves no half cache.
"""

import logging
from dataclasses import replace
from pathlib import Path

from bnrepro.data.cache import ensure, workplace
from bnrepro.data.dataset import Dataset, ImageSet
from bnrepro.data.registry import Entry, lookup
from bnrepro.data.sources import Unavailable
from bnrepro.errors import UserError
from bnrepro.files import expand, read_text, reading

log = logging.getLogger(__name__)

PROVENANCE = "source.txt"


def load(name: str, root: str | Path | None = None, cache: str | Path = "data") -> ImageSet:
    """The registry's data set `name`, verified, with the source that served it.

    `root` is a folder with the set's files, directly or as torchvision lays them out; when given it
    is the only source. `cache` is where fetched sets are kept. Raises a UserError for bad or
    missing files, or where no source works; the line lists what was tried.

    Without any source for the full MNIST the result is its 5,000-image subset, always under the
    name `mnist-5k`: whoever records a run records the name of the set, not the name asked for.
    """
    entry = lookup(name)
    if entry.generate is not None:
        if root is not None:
            raise UserError(f"data.root={root}: {name} is made up, not read; leave data.root out")
        return entry.generate()
    if root is None and not entry.sources:
        raise UserError(
            f"data.root: {name} cannot be downloaded; name the folder that holds its {entry.holds}"
        )
    place = expand(cache if root is None else root)
    with reading(place):
        return _from_cache_or_sources(entry, place) if root is None else _from_folder(entry, place)


def _from_folder(entry: Entry, folder: Path) -> ImageSet:
    if not folder.is_dir():
        kind = "a file; name a folder" if folder.exists() else "no such folder"
        raise UserError(f"data.root={folder}: {kind}")
    remedy = "put an intact copy there, or give no data.root to fetch it"
    return _read(entry, folder, "folder given", remedy)


def _read(entry: Entry, folder: Path, source: str, remedy: str) -> ImageSet:
    assert entry.read is not None
    found = entry.read(entry.name, folder, source, remedy)
    if isinstance(found, Dataset) and entry.class_names:
        return replace(found, class_names=entry.class_names)
    return found


def _from_cache_or_sources(entry: Entry, cache: Path) -> ImageSet:
    tried: list[str] = []
    for candidate in filter(None, (entry.name, entry.stand_in)):
        try:
            found = _from_cache(lookup(candidate), cache)
        except Unavailable as reasons:
            tried.append(str(reasons))
            continue
        if candidate != entry.name:
            log.warning("using %s in place of %s (%s)", candidate, entry.name, "; ".join(tried))
        return found
    raise UserError(
        f"cannot get {entry.name}; tried {'; '.join(tried)}. Try again with a network or the"
        f" missing client, or give a folder that holds {entry.holds} as data.root"
    )


def _from_cache(entry: Entry, cache: Path) -> ImageSet:
    """The set from the cache, into which the first source that works fetches it if need be."""
    place = cache / (entry.kept_as or entry.name)
    fetched = ensure(place, lambda: _fetch(entry, place))
    origin = _origin(entry, place)
    source = origin if fetched else f"cache (from {origin})"
    return _read(entry, place, source, f"delete {place} to fetch it again")


def _origin(entry: Entry, place: Path) -> str:
    note = place / PROVENANCE
    if note.is_file():
        return read_text(note).strip()
    return entry.sources[0].label if len(entry.sources) == 1 else "an unrecorded source"


def _fetch(entry: Entry, place: Path) -> None:
    """Let the sources try in turn; the first verified set goes into the cache."""
    reasons = [f"cache {place} (empty)"]
    for source in entry.sources:
        log.info("%s: fetching from %s", entry.name, source.label)
        with workplace(place) as folder:
            try:
                files = source.fetch(folder)
                _read(entry, files, source.label, "not used")
            except (Unavailable, UserError) as error:  # the latter: it is not the set we know
                reasons.append(f"{source.label} ({str(error).replace(f'{folder}/', '')})")
            except Exception as error:  # whatever a package with other contents breaks
                reasons.append(f"{source.label} (unusable download: {error})")
            else:
                (files / PROVENANCE).write_text(f"{source.label}\n", encoding="utf-8")
                files.rename(place)
                return
        log.info("%s: cannot be served by %s", entry.name, reasons[-1])
    raise Unavailable("; ".join(reasons))
