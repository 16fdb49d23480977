"""Look at a place in the file system: what lies there, against the version that belongs there.

As long as nothing differs, neither the database nor a file that was not touched is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.ground.errors import NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.pipelines.data import manifest, pointers, stats
from mainspring.pipelines.data.manifest import Kind, Manifest
from mainspring.pipelines.data.reading import SMALL, digest_of, digest_of_files
from mainspring.pipelines.data.stats import State
from mainspring.pipelines.data.walk import Found, Refused, refuse, shown, walk
from mainspring.workspace.data.places import Tell, quiet, stats_folder, trees_folder

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

_AT_ONCE = 4


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How what lies at a place differs from the version that belongs there."""

    path: str
    name: str  #: the dataset; empty if no version belongs there
    number: int
    state: str  #: clean, changed, missing (nothing is there) or untracked
    files: int
    bytes: int
    read: int  #: files that had to be read
    added: list[str] = []
    changed: list[str] = []
    removed: list[str] = []
    refused: list[str] = []  #: what lies there and cannot be kept, and why


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What lies at a place."""

    files: Sequence[Found]
    refused: Sequence[Refused]
    digests: Mapping[str, str]
    read: int
    state: State


def look(home: Path, place: Path, tell: Tell = quiet) -> Look:
    """Return what lies at a place, every file with its digest; remember what can be.

    Raises:
        BadInputError: if a file cannot be read.
    """
    seen_ns = stats.now_ns()
    folder = stats_folder(home)
    state = stats.load(folder, place)
    files, refused = walk(place, apart=[home], ours=trees_folder(home))
    digests: dict[str, str] = {}
    todo: list[Found] = []
    for file in files:
        digest = state.known(file)
        if digest is None:
            todo.append(file)
        else:
            digests[file.path] = digest
    if todo:
        digests |= _read(place, todo, tell)
        rows = {**state.rows, **stats.rows_of(todo, digests, seen_ns)}
        there = {file.path for file in files}
        kept = {path: row for path, row in rows.items() if path in there}
        state = msgspec.structs.replace(state, rows=kept)
        stats.save(folder, state)
    return Look(files=files, refused=refused, digests=digests, read=len(todo), state=state)


def status(home: Path, place: Path, opened: Callable[[], Workspace], tell: Tell = quiet) -> Status:
    """Return how a place differs from the version that belongs there.

    That is the version its pointer names, else the one that was last added from it or brought
    to it. ``opened`` opens the workspace, which is needed only to tell what differs.

    Raises:
        NotFoundError: if the version is not in the home, and something differs.
    """
    file = pointers.beside(place)
    pointer = pointers.read(file) if file.exists() else None
    found = look(home, place, tell) if place.exists() else None
    state = found.state if found else stats.load(stats_folder(home), place)
    name = pointer.name if pointer else state.name
    number = pointer.number if pointer else state.number
    wanted = pointer.digest if pointer else state.digest
    kind: Kind = pointer.kind if pointer else state.kind or "folder"  # type: ignore[assignment]
    if pointer and pointer.digest == state.digest:
        number = state.number  # of this home
    told = Status(
        path=str(place),
        name=name,
        number=number,
        state="missing" if name else "untracked",
        files=len(found.files) if found else 0,
        bytes=sum(one.size for one in found.files) if found else 0,
        read=found.read if found else 0,
        refused=[f"{shown(one.path)} {one.why}" for one in found.refused] if found else [],
    )
    if found is None or not name:
        return told
    if _is(found, kind, wanted) and not found.refused:
        return msgspec.structs.replace(told, state="clean")
    held = _held(opened(), name, wanted, state)
    return msgspec.structs.replace(told, state="changed", **_differences(found, held))


def held_at(ws: Workspace, state: State) -> Manifest | None:
    """Return what the version holds that was last at a place, if it is kept still."""
    if not state.manifest:
        return None
    try:
        return manifest.read(state.manifest, ws.objects)
    except NotFoundError:
        return None


def plain(found: Look) -> Look:
    """Return what lies there if all of it can be kept.

    Raises:
        BadInputError: naming what cannot.
    """
    refuse(found.refused)
    return found


def _read(place: Path, files: Sequence[Found], tell: Tell) -> dict[str, str]:
    digests: dict[str, str] = {}
    small = [file for file in files if file.size < SMALL]
    large = [file for file in files if file.size >= SMALL]
    for number, file in enumerate(small):
        if number % 1000 == 0:
            tell("reading", number, len(files))
        digests[file.path] = digest_of(place, file)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="digest") as pool:
        told = pool.map(lambda file: (file.path, digest_of(place, file)), large)
        for number, (path, digest) in enumerate(told, len(small) + 1):
            digests[path] = digest
            tell("reading", number, len(files))
    return digests


def _is(found: Look, kind: Kind, digest: str) -> bool:
    if kind != "folder" and len(found.files) != 1:
        return False
    return digest_of_files(kind, found.files, found.digests) == digest


def _held(ws: Workspace, name: str, digest: str, state: State) -> Manifest:
    if state.digest == digest and (found := held_at(ws, state)) is not None:
        return found
    from mainspring.pipelines.data import versions

    version = ws.read(Permission.READ, lambda tx: versions.resolve(tx, f"{name}@{digest}"))
    return manifest.read(version.manifest or "", ws.objects)


def _differences(found: Look, held: Manifest) -> dict[str, list[str]]:
    if held.kind != "folder":
        return {"changed": [file.path for file in found.files]}
    wanted = {entry.path: (entry.sha256, entry.executable) for entry in held.entries}
    here = {file.path: (found.digests[file.path], file.executable) for file in found.files}
    return {
        "added": sorted(here.keys() - wanted.keys()),
        "changed": sorted(p for p in here.keys() & wanted.keys() if here[p] != wanted[p]),
        "removed": sorted(wanted.keys() - here.keys()),
    }
