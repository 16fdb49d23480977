"""Take out what no version needs, and pack anew what is mostly dead.

A pack whose files are needed by few versions any more keeps all its bytes. Where more than half
of it is dead, what lives is packed anew, and the manifests that name it are written anew; the
versions' own digests, which runs record, stay. The old manifest and pack go with the next gc,
unless a run names them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from sqlalchemy import update

from mainspring.ground.killpoints import here
from mainspring.ground.objects import DAY_S
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines.data import known, manifest, stats, versions
from mainspring.pipelines.data.manifest import Entry, Manifest, Part
from mainspring.pipelines.data.tables import data_versions
from mainspring.pipelines.data.taking import PACK
from mainspring.pipelines.data.versions import DataVersion
from mainspring.workspace.data.places import Tell, quiet, stats_folder, trees_folder
from mainspring.workspace.opening import Workspace

UNUSED_S = 7 * DAY_S  #: a copy that no run asked for in this time goes
_LEAST = 0.5  # of a pack must live


class Tidied(msgspec.Struct, frozen=True, kw_only=True):
    """What was put in order before the objects are looked at."""

    trees: int  #: copies that runs read, and no one needed lately
    packs: int  #: that were mostly dead, and were packed anew


def tidy(
    ws: Workspace, *, unused_s: float = UNUSED_S, dry_run: bool = False, tell: Tell = quiet
) -> Tidied:
    """Take away copies that nobody needed lately, and pack anew what is mostly dead."""
    trees = _trees(ws, unused_s, dry_run)
    packs = 0 if dry_run else repack(ws, tell)
    if not dry_run:
        _states(ws)
    return Tidied(trees=trees, packs=packs)


def forget(ws: Workspace, objects: Iterable[str]) -> None:
    """Take away the hints that lead to objects that are gone."""
    gone = list(objects)
    if gone:
        ws.write(Permission.ADMIN, lambda tx: known.forget(tx, gone))


def repack(ws: Workspace, tell: Tell = quiet) -> int:
    """Pack anew what lives in packs that are mostly dead; return how many were.

    Only packs, not files that are one object: those are gone when their last version is.
    """
    every = ws.read(Permission.ADMIN, _all)
    held = {one.manifest or "": manifest.read(one.manifest or "", ws.objects) for one in every}
    live = _live(held.values())
    poor = {
        digest
        for digest, places in live.items()
        if sum(part.length for part in places) < _LEAST * ws.objects.size(digest)
    }
    moved: dict[Part, Part] = {}
    for number, digest in enumerate(sorted(poor)):
        tell("packing anew", number, len(poor))
        moved |= _packed(ws, sorted(live[digest], key=lambda part: part.offset))
    for old, one in held.items():
        if poor & one.objects:
            new = manifest.write(_moved(one, moved), ws.objects)
            here("data.repacked")
            ws.write(Permission.ADMIN, lambda tx, old=old, new=new: _renamed(tx, old, new))  # type: ignore[misc]
    return len(poor)


def _all(tx: Tx) -> list[DataVersion]:
    return [one for each in versions.names(tx) for one in versions.every(tx, each.newest.name)]


def _live(every: Iterable[Manifest]) -> dict[str, set[Part]]:
    """Return which parts of each pack live; an object that is one whole file is no pack."""
    found: dict[str, set[Part]] = {}
    for one in every:
        for entry in one.entries:
            for part in entry.parts:
                found.setdefault(part.object, set()).add(part)
    return found


def _packed(ws: Workspace, parts: list[Part]) -> dict[Part, Part]:
    """Copy parts of an object into new ones; return where each went."""
    moved: dict[Part, Part] = {}
    batch: list[Part] = []
    size = 0
    for part in [*parts, None]:
        if batch and (part is None or size + part.length > PACK):
            data = b"".join(ws.objects.part(one.object, one.offset, one.length) for one in batch)
            digest, start = ws.objects.put(data), 0
            for one in batch:
                moved[one] = Part(digest, start, one.length)
                start += one.length
            batch, size = [], 0
        if part is not None:
            batch.append(part)
            size += part.length
    return moved


def _moved(one: Manifest, moved: Mapping[Part, Part]) -> Manifest:
    def entry(old: Entry) -> Entry:
        parts = tuple(moved.get(part, part) for part in old.parts)
        return old if parts == old.parts else msgspec.structs.replace(old, parts=parts)

    return msgspec.structs.replace(one, entries=[entry(old) for old in one.entries])


def _renamed(tx: Tx, old: str, new: str) -> None:
    tx.run(update(data_versions).where(data_versions.c.manifest == old).values(manifest=new))


def _trees(ws: Workspace, unused_s: float, dry_run: bool) -> int:
    """Take away copies of versions that no run asked for lately; return how many."""
    before, count = ws.clock.now() - unused_s, 0
    folder = trees_folder(ws.home)
    for one in sorted(folder.iterdir()) if folder.is_dir() else []:
        with suppress(FileNotFoundError):
            if one.stat().st_mtime < before:
                count += 1
                if not dry_run:
                    aside = one.with_name(f".gone-{one.name}")
                    one.replace(aside)  # no run finds half of it
                    shutil.rmtree(aside, ignore_errors=True)
    return count


def _states(ws: Workspace) -> None:
    """Forget what was seen of places that are not there any more."""
    folder = stats_folder(ws.home)
    for file in folder.iterdir() if folder.is_dir() else []:
        with suppress(FileNotFoundError, msgspec.MsgspecError):
            state = stats.of_file(file)
            if state is not None and not Path(state.place).exists():
                file.unlink()
