"""Look at a place in the file system: what lies there, against the version that belongs there.

As long as nothing differs, neither the database nor a file that was not touched is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.ground.errors import NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.pipelines.data import manifest, pointers, stats
from mainspring.pipelines.data.manifest import Kind, Manifest, Opened
from mainspring.pipelines.data.reading import digests_of
from mainspring.pipelines.data.seen import Seen, beside
from mainspring.pipelines.data.stats import State
from mainspring.pipelines.data.walk import refuse, shown
from mainspring.workspace.data.places import Store, Tell, apart, quiet, stats_folder, trees_folder

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace


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
    """What lies at a place, the digest of every file known."""

    seen: Seen
    read: int  #: files that had to be read
    state: State


def kind_at(place: Path) -> Kind:
    """Return what kind of data lies at a place, as far as its looks tell."""
    return "folder" if place.is_dir() else "file"


def look(home: Path, place: Path, tell: Tell = quiet) -> Look:
    """Return what lies at a place, every file with its digest; remember what can be.

    Raises:
        BadInputError: if a file cannot be read.
    """
    seen_ns = stats.now_ns()
    folder = stats_folder(home)
    state = stats.load(folder, place)
    tell("looking", 0, 0)
    seen = Seen(place, state, apart=apart(home), ours=trees_folder(home))
    if seen.as_before:
        return Look(seen=seen, read=0, state=state)
    read = seen.unknown
    if read:
        todo = (file for file, _ in seen.each(unknown=True))
        seen.learn(digests_of(place, todo, lambda at: tell("reading", at, read)))
    content, folders = seen.to_remember(kind_at(place), seen_ns)
    if (content, folders) != (state.content, state.folders):
        state = msgspec.structs.replace(state, content=content, folders=folders)
        stats.save(folder, state)
    return Look(seen=seen, read=read, state=state)


Held = Callable[[str, str, State], Manifest | Opened]
"""Tells what a version holds, by the dataset and its digest; the state may name it too."""


def status(home: Path, place: Path, held_of: Held, tell: Tell = quiet) -> Status:
    """Return how a place differs from the version that belongs there.

    That is the version its pointer names, else the one that was last added from it or brought
    to it. ``held_of`` is asked only to tell what differs; see :func:`in_home`.

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
        files=found.seen.count if found else 0,
        bytes=found.seen.size if found else 0,
        read=found.read if found else 0,
        refused=[f"{shown(one.path)} {one.why}" for one in found.seen.refused] if found else [],
    )
    if found is None or not name:
        return told
    if found.seen.content(kind) == wanted and not found.seen.refused:
        return msgspec.structs.replace(told, state="clean")
    held = held_of(name, wanted, state)
    return msgspec.structs.replace(told, state="changed", **_differences(found, held))


def held_at(ws: Store, state: State) -> Opened | None:
    """Return what the version holds that was last at a place, if it is kept still."""
    if not state.manifest:
        return None
    try:
        found = Opened(state.manifest, ws.objects)
        for leaf in manifest.leaves(state.manifest, ws.objects):
            ws.objects.part(leaf, 0, 1)
        return found
    except NotFoundError:
        return None


def plain(found: Look) -> Look:
    """Return what lies there if all of it can be kept.

    Raises:
        BadInputError: naming what cannot.
    """
    refuse(found.seen.refused)
    return found


def in_home(opened: Callable[[], Workspace]) -> Held:
    """Return what tells what a version of a home holds, which is opened only when asked."""

    def held_of(name: str, digest: str, state: State) -> Opened:
        ws = opened()
        if state.digest == digest and (found := held_at(ws, state)) is not None:
            return found
        from mainspring.pipelines.data import versions

        version = ws.read(Permission.READ, lambda tx: versions.resolve(tx, f"{name}@{digest}"))
        return Opened(version.manifest or "", ws.objects)

    return held_of


def _differences(found: Look, held: Manifest | Opened) -> dict[str, list[str]]:
    if held.kind != "folder":
        return {"changed": [file.path for file in found.seen.files()]}
    added: list[str] = []
    changed: list[str] = []
    removed: list[str] = []
    for file, digest, entry in beside(found.seen.each(), held.entries):
        if file is None:
            removed.append(entry.path if entry else "")
        elif entry is None:
            added.append(file.path)
        elif (digest.hex(), file.executable) != (entry.sha256, entry.executable):
            changed.append(file.path)
    return {"added": added, "changed": changed, "removed": removed}
