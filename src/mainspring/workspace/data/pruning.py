"""Take out what no version needs, and pack anew what is mostly dead.

A pack whose files are needed by few versions any more keeps all its bytes. Where more than half
of it is dead, what lives is packed anew, and the manifests that name it are written anew; the
versions' own digests, which runs record, stay. The old manifest and pack go with the next gc,
unless a run names them.
"""

from __future__ import annotations

import shutil
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
from sqlalchemy import update

from mainspring.ground.killpoints import here
from mainspring.ground.objects import DAY_S
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines.data import known, manifest, stats, versions
from mainspring.pipelines.data.living import Runs
from mainspring.pipelines.data.manifest import Entry, Opened, Part, leaf_of
from mainspring.pipelines.data.tables import data_versions
from mainspring.pipelines.data.taking import PACK
from mainspring.pipelines.data.versions import DataVersion
from mainspring.workspace.data.places import Tell, quiet, stats_folder, trees_folder
from mainspring.workspace.opening import Workspace

UNUSED_S = 7 * DAY_S  #: a copy that no run asked for in this time goes
_LEAST = 0.5  # of a pack must live
_PIECE = 8 << 20  # bytes of a run that are copied at once


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

    Only packs, not files that are one object: those are gone when their last version is. A
    manifest is read a leaf at a time, and a leaf that many versions share once.
    """
    manifests = sorted({one.manifest or "" for one in ws.read(Permission.ADMIN, _all)})
    leaves = {one: manifest.leaves(one, ws.objects) for one in manifests}
    packs, of_leaf = _live(ws, dict.fromkeys(leaf for some in leaves.values() for leaf in some))
    poor = {
        digest: runs
        for digest, runs in packs.runs()
        if sum(length for _, length in runs) < _LEAST * ws.objects.size(digest)
    }
    moved: dict[str, _Moved] = {}
    for number, digest in enumerate(sorted(poor)):
        tell("packing anew", number, len(poor))
        moved[digest] = _packed(ws, digest, poor[digest])
    for old in manifests:
        if any(poor.keys() & of_leaf[leaf] for leaf in leaves[old]):
            told = Opened(old, ws.objects)
            entries = (_entry(one, moved) for one in told.entries)
            new = manifest.stream(told.kind, entries, ws.objects).manifest
            here("data.repacked")
            ws.write(Permission.ADMIN, partial(_renamed, old=old, new=new))
    return len(poor)


def _all(tx: Tx) -> list[DataVersion]:
    return [one for each in versions.names(tx) for one in versions.every(tx, each.newest.name)]


def _live(ws: Workspace, leaves: Iterable[str]) -> tuple[Runs, dict[str, set[str]]]:
    """Return what lives of each pack, and the packs of each leaf; a whole file is no pack."""
    packs, of_leaf = Runs(), dict[str, set[str]]()
    for leaf in leaves:
        parts = [part for one in leaf_of(leaf, ws.objects) for part in one.parts]
        packs.take(parts)
        of_leaf[leaf] = {part.object for part in parts}
    return packs, of_leaf


class _Moved(NamedTuple):
    """Where the runs of a pack went."""

    starts: list[int]
    places: list[Part]


def _packed(ws: Workspace, digest: str, runs: Sequence[tuple[int, int]]) -> _Moved:
    """Copy runs of an object, in their order, into new ones; return where each went."""
    places: list[Part] = []
    batch: list[tuple[int, int]] = []
    size = 0
    for following, (start, length) in enumerate(runs, 1):
        batch.append((start, length))
        size += length
        if following == len(runs) or size + runs[following][1] > PACK:
            pack = ws.objects.put_file(_bytes(ws, digest, batch))
            at = 0
            for _, count in batch:
                places.append(Part(pack, at, count))
                at += count
            batch, size = [], 0
    return _Moved([start for start, _ in runs], places)


def _bytes(ws: Workspace, digest: str, runs: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    for start, length in runs:
        for at in range(start, start + length, _PIECE):
            yield ws.objects.part(digest, at, min(_PIECE, start + length - at))


def _entry(old: Entry, moved: Mapping[str, _Moved]) -> Entry:
    if not any(part.object in moved for part in old.parts):
        return old
    parts = tuple(_part(part, moved) for part in old.parts)
    return msgspec.structs.replace(old, parts=parts)


def _part(old: Part, moved: Mapping[str, _Moved]) -> Part:
    if old.object not in moved:
        return old
    starts, places = moved[old.object]
    run = bisect_right(starts, old.offset) - 1
    return Part(places[run].object, places[run].offset + old.offset - starts[run], old.length)


def _renamed(tx: Tx, *, old: str, new: str) -> None:
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
