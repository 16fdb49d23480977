"""Add a file or a folder as the next version of a dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import check_name, slug
from mainspring.ground.permissions import Permission, authorise
from mainspring.pipelines.data import manifest, versions
from mainspring.pipelines.data.manifest import Entry, Kind
from mainspring.pipelines.data.versions import DataVersion
from mainspring.workspace.opening import Workspace

Tell = Callable[[str, int, int], None]
"""Is told what is being done, how far it is, and how far it goes."""


def quiet(_what: str, _at: int, _of: int) -> None:
    """Tell nobody."""


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
        NotFoundError: if nothing is there.
        BadInputError: naming the first file that cannot be kept, and why.
        StoreError: if it cannot be read or written; then nothing was added.
    """
    authorise(ws.who, Permission.LOG)
    path = path.expanduser().absolute()
    if not path.exists():
        raise BadInputError(f"There is no file or folder {path}.", field="path")
    named = check_name(name) if name else slug(path.stem, "data")
    found: Kind = kind or ("folder" if path.is_dir() else "file")
    files = _files(path)
    entries = []
    for number, (shown, file) in enumerate(files):
        tell("adding", number, len(files))
        size = file.stat().st_size
        digest = ws.objects.put_file(file)
        entries.append(Entry(shown, size, digest, os.access(file, os.X_OK)))
    return keep(
        ws,
        named,
        manifest.settled(found, entries),
        message=message,
        source=str(path) if source is None else source,
        meta=meta,
    )


def keep(
    ws: Workspace,
    name: str,
    held: manifest.Manifest,
    *,
    message: str = "",
    source: str = "",
    meta: Mapping[str, Any] | None = None,
) -> DataVersion:
    """Keep a manifest, whose bytes are kept already, as the next version of a dataset."""
    new = DataVersion(
        name=name,
        number=0,
        digest=held.digest,
        manifest=manifest.write(held, ws.objects),
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


def _files(path: Path) -> list[tuple[str, Path]]:
    if path.is_file():
        return [(path.name, path)]
    return [(str(p.relative_to(path)), p) for p in sorted(path.rglob("*")) if p.is_file()]
