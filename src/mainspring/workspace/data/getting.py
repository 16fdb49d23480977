"""Bring a version to a place in the file system, and touch nothing that a person changed.

How one is brought, see :mod:`bringing`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission
from mainspring.pipelines.data import manifest, pointers, versions
from mainspring.pipelines.data.manifest import Manifest, Opened
from mainspring.pipelines.data.stats import State
from mainspring.pipelines.data.versions import DataVersion
from mainspring.workspace.data import trees
from mainspring.workspace.data.bringing import Getting, alone
from mainspring.workspace.data.bringing import Got as Got
from mainspring.workspace.data.places import Store, Tell, place_of, quiet
from mainspring.workspace.opening import Workspace

LINKS = ("auto", "reflink", "copy", "hardlink", "symlink")


def get(
    ws: Workspace,
    reference: str,
    target: Path | None = None,
    *,
    force: bool = False,
    link: str = "auto",
    tell: Tell = quiet,
) -> Got:
    """Bring a version to a place; without one to the folder one stands in, by its name.

    ``link`` says how a file gets there: ``auto`` and ``reflink`` share the blocks of a file
    where the file system can and copy where not, ``copy`` is the same and asks for no more;
    ``hardlink`` and ``symlink`` name one read-only copy that the home keeps beside its objects,
    so that whoever writes through a link spoils no version.

    Raises:
        NotFoundError: if there is no such version.
        ConflictError: if a file in the way was changed, naming the first few.
        DamagedError: if bytes are not what they should be; then that file is not written.
        StoreError: if a disk fails or is full; what was written by then is whole.
    """
    if link not in LINKS:
        raise BadInputError(f"There is no link {link[:40]!r}: {', '.join(LINKS)}.", field="link")
    version = ws.read(Permission.READ, lambda tx: versions.resolve(tx, reference))
    source = trees.tree(ws, version, tell) if link in ("hardlink", "symlink") else None
    return bring(ws, version, target, force=force, link=link, source=source, tell=tell)


def bring(
    store: Store,
    version: DataVersion,
    target: Path | None = None,
    *,
    force: bool = False,
    link: str = "auto",
    source: Path | None = None,
    before: Callable[[State], Opened | None] | None = None,
    tell: Tell = quiet,
) -> Got:
    """Do what :func:`get` does with a version that was found, from wherever its bytes are.

    ``before`` tells what the version holds that was last at a place, where the store's own
    objects do not.
    """
    held = manifest.read(version.manifest or "", store.objects)
    place = place_of(target or Path(_name(version, held)))
    if target is not None and version.kind != "folder" and place.is_dir():
        place /= held.entries[0].path
    with alone(store, place):
        getting = Getting(store, version, held, place, tell)
        getting.held_before = before or getting.held_before
        return getting.get(force, link, source)


def _name(version: DataVersion, held: Manifest) -> str:
    return version.name if version.kind == "folder" else held.entries[0].path


def by_pointers(folder: Path, get_one: Callable[[str, Path], Got]) -> list[Got]:
    """Bring everything that pointers below a folder name to where they stand.

    Raises:
        BadInputError: if there is none, or one cannot be read.
    """
    found = list(pointers.below(folder))
    if not found:
        raise BadInputError(
            f"There is no pointer below {folder}.",
            field="dataset",
            hint="Name a version: mainspring data get NAME@7 TARGET",
        )
    read = [(pointers.read(file), place) for file, place in found]  # all of them, before any
    return [get_one(pointer.reference, place) for pointer, place in read]
