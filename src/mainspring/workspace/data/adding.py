"""Add a file or a folder as the next version of a dataset.

The order makes dying harmless: (1) the bytes, packed, are kept; (2) the manifest that says
where they are; (3) the version that names it, in one transaction; (4) what is remembered of
the files. What dies before (3) leaves objects that nothing names, which gc takes away.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import check_name, slug
from mainspring.ground.killpoints import here
from mainspring.ground.permissions import Permission, authorise
from mainspring.pipelines.data import manifest, stats, versions
from mainspring.pipelines.data.manifest import Entry, Kind, Manifest
from mainspring.pipelines.data.seen import Seen
from mainspring.pipelines.data.stats import State
from mainspring.pipelines.data.storing import Storing
from mainspring.pipelines.data.versions import DataVersion
from mainspring.pipelines.data.walk import refuse
from mainspring.workspace.data.places import Hints, Tell, apart, quiet, stats_folder, trees_folder
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
    path = path.expanduser().absolute()
    named, is_kind = named_at(path, name), kind_of(path, kind)
    seen_ns = stats.now_ns()
    tell("looking", 0, 0)
    state = stats.load(stats_folder(ws.home), path)
    seen = Seen(path, state, apart=apart(ws.home), ours=trees_folder(ws.home))
    refuse(seen.refused)
    last = ws.read(Permission.LOG, lambda tx: versions.newest(tx, named))
    if last is not None and last.kind == is_kind and seen.content(is_kind) == last.digest:
        return Added(version=last, new=False, stored=0, read=0)
    files, digests = seen.files(), seen.known()
    before = entries_of(ws, last)
    hints = Hints(ws)
    storing = Storing(ws.objects, hints)
    entries = storing.entries(path, files, digests, before, lambda at, of: tell("keeping", at, of))
    held = manifest.settled(is_kind, entries)
    hints.keep(storing.notes, storing.gone)
    tell("writing down", 0, 0)
    version = keep(ws, named, held, **{**given, "source": given.get("source") or str(path)})
    here("data.added")
    learnt = {one.path: one.sha256 for one in entries if one.path not in digests}
    remember(ws.home, path, version, learnt, seen, seen_ns)
    new = last is None or version.number != last.number
    return Added(version=version, new=new, stored=storing.stored, read=len(files) - len(digests))


def named_at(path: Path, name: str | None) -> str:
    """Return what the dataset at a path is called, unless it was said."""
    return check_name(name) if name else slug(path.stem if path.is_file() else path.name, "data")


def keep(
    ws: Workspace,
    name: str,
    held: Manifest,
    *,
    message: str = "",
    source: str = "",
    meta: Mapping[str, Any] | None = None,
) -> DataVersion:
    """Keep a manifest, whose bytes are kept already, as the next version of a dataset."""
    kept = manifest.write(held, ws.objects)
    here("data.manifest")
    new = DataVersion(
        name=name,
        number=0,
        digest=held.digest,
        manifest=kept,
        kind=held.kind,
        created=ws.clock.now(),
        by=ws.who.name,
        message=message,
        files=len(held.entries),
        bytes=held.size,
        source=source,
        meta=msgspec.to_builtins(dict(meta or {})),
    )
    return ws.write(Permission.LOG, lambda tx: versions.add(tx, new))


def remember(
    home: Path,
    path: Path,
    version: DataVersion,
    digests: Mapping[str, str],
    seen: Seen,
    seen_ns: int,
) -> None:
    """Note which version lies at a place, and what was seen of its files.

    ``digests`` are those of files that were not known.
    """
    seen.learn(digests)
    content, folders = seen.to_remember(version.kind, seen_ns)
    state = State(
        place=str(path),
        name=version.name,
        number=version.number,
        digest=version.digest,
        manifest=version.manifest or "",
        kind=version.kind,
        content=content,
        folders=folders,
    )
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
