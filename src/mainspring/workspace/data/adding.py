"""Add a file or a folder as the next version of a dataset.

The order makes dying harmless: (1) the bytes, packed, are kept; (2) the manifest that says
where they are; (3) the version that names it, in one transaction; (4) what is remembered of
the files. What dies before (3) leaves objects that nothing names, which gc takes away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import check_name, slug
from mainspring.ground.killpoints import here
from mainspring.ground.permissions import Permission, authorise
from mainspring.pipelines.data import manifest, stats, versions
from mainspring.pipelines.data.keeping import Keeping
from mainspring.pipelines.data.manifest import Entry, Kind, Opened, Written
from mainspring.pipelines.data.seen import Seen, beside
from mainspring.pipelines.data.storing import entries
from mainspring.pipelines.data.versions import DataVersion
from mainspring.pipelines.data.walk import Found, refuse
from mainspring.workspace.data.places import (
    Hints,
    Tell,
    apart,
    place_of,
    quiet,
    stats_folder,
    trees_folder,
)
from mainspring.workspace.opening import Workspace


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What adding did."""

    version: DataVersion
    new: bool  #: False: the newest version holds the same already
    stored: int  #: bytes that were not kept before
    read: int  #: files that had to be read


def add(
    ws: Workspace,
    path: Path,
    *,
    name: str | None = None,
    message: str = "",
    kind: Kind | None = None,
    source: str | None = None,
    meta: Mapping[str, Any] | None = None,
    tell: Tell = quiet,
) -> DataVersion:
    """Keep a file or folder as the next version of a dataset, and return that version.

    What the newest version holds already makes no new one.

    Args:
        ws: The workspace.
        path: The file or folder.
        name: The dataset; without one it is called as the file or folder is.
        message: Why, in words.
        kind: ``table`` or ``query`` for a file that is one; else it is what it is.
        source: Where it came from, if not from this path.
        meta: What else is known of it: schema, rows, the query.
        tell: Is told how far it is.

    Raises:
        BadInputError: if nothing is there; or naming the first files that cannot be kept.
        StoreError: if a disk fails or is full; then nothing was added.
    """
    given = {"message": message, "source": source, "meta": meta}
    return added(ws, path, name=name, kind=kind, tell=tell, **given).version


def added(
    ws: Workspace,
    path: Path,
    *,
    name: str | None = None,
    kind: Kind | None = None,
    tell: Tell = quiet,
    **given: Any,
) -> Added:
    """Do what :func:`add` does, and return what it did."""
    authorise(ws.who, Permission.LOG)
    path = place_of(path)
    named, is_kind = named_at(path, name), kind_of(path, kind)
    seen_ns = stats.now_ns()
    tell("looking", 0, 0)
    state = stats.load(stats_folder(ws.home), path)
    seen = Seen(path, state, apart=apart(ws.home), ours=trees_folder(ws.home))
    refuse(seen.refused)
    last = ws.read(Permission.LOG, lambda tx: versions.newest(tx, named))
    if last is not None and last.kind == is_kind and seen.content(is_kind) == last.digest:
        return Added(version=last, new=False, stored=0, read=0)
    before = None if last is None or last.manifest is None else Opened(last.manifest, ws.objects)
    read = seen.unknown
    learnt = bytearray()  # the digests of what was unknown, in the order of the paths

    def both() -> Iterator[tuple[Found | None, bytes, Entry | None]]:
        return beside(seen.each(), before.entries if before else ())

    def noted() -> Iterator[Entry]:
        kept = entries(keeping, path, both, seen.size, lambda at, of: tell("keeping", at, of))
        for entry, was_unknown in kept:
            if was_unknown:
                learnt.extend(bytes.fromhex(entry.sha256))
            yield entry

    keeping = Keeping(ws.objects, Hints(ws))
    held = manifest.stream(is_kind, noted(), ws.objects)
    keeping.end()
    tell("writing down", 0, 0)
    version = keep(ws, named, held, **{**given, "source": given.get("source") or str(path)})
    here("data.added")
    digests = (bytes(learnt[at : at + 32]) for at in range(0, len(learnt), 32))
    remember(ws.home, path, version, digests, seen, seen_ns)
    new = last is None or version.number != last.number
    return Added(version=version, new=new, stored=keeping.stored, read=read)


def named_at(path: Path, name: str | None) -> str:
    """Return what the dataset at a path is called, unless it was said."""
    return check_name(name) if name else slug(path.stem if path.is_file() else path.name, "data")


def keep(
    ws: Workspace,
    name: str,
    held: Written,
    *,
    message: str = "",
    source: str = "",
    meta: Mapping[str, Any] | None = None,
) -> DataVersion:
    """Make what was kept the next version of a dataset."""
    here("data.manifest")
    new = DataVersion(
        name=name,
        number=0,
        digest=held.digest,
        manifest=held.manifest,
        kind=held.kind,
        created=ws.clock.now(),
        by=ws.who.name,
        message=message,
        files=held.files,
        bytes=held.size,
        source=source,
        meta=msgspec.to_builtins(dict(meta or {})),
    )
    return ws.write(Permission.LOG, lambda tx: versions.add(tx, new))


def remember(
    home: Path,
    path: Path,
    version: DataVersion,
    digests: Iterable[bytes],
    seen: Seen,
    seen_ns: int,
) -> None:
    """Note which version lies at a place, and what was seen of its files.

    ``digests`` are those of files that were not known, in the order of their paths.
    """
    seen.learn(digests, version.digest)
    content, folders = seen.to_remember(version.kind, seen_ns)
    state = stats.of_version(path, version, content, folders)
    stats.save(stats_folder(home), state)


def kind_of(path: Path, kind: Kind | None) -> Kind:
    """Return what kind of data lies at a path, if it can be of the kind that is wanted."""
    if not path.exists():
        raise BadInputError(f"There is no file or folder {path}.", field="path")
    if path.is_dir():
        if kind not in (None, "folder"):
            raise BadInputError(f"{path} is a folder, and a {kind} is one file.", field="kind")
        return "folder"
    if not path.is_file():
        raise BadInputError(f"{path} is neither a file nor a folder.", field="path")
    if kind == "folder":
        raise BadInputError(f"{path} is a file, and no folder.", field="kind")
    return kind or "file"


def entries_of(ws: Workspace, last: DataVersion | None) -> dict[str, Entry]:
    """Return the files of a version by path; none of none."""
    if last is None or last.manifest is None:
        return {}
    return {entry.path: entry for entry in manifest.read(last.manifest, ws.objects).entries}
