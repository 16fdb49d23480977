"""Collecting keeps what any version needs, and reclaims packs that are mostly dead."""

from __future__ import annotations

import os
from pathlib import Path

from kept_data import bytes_of, kept

from mainspring.ground.permissions import Permission
from mainspring.pipelines.data import versions
from mainspring.workspace.data import adding, getting
from mainspring.workspace.keeping import pruning
from mainspring.workspace.keeping.collecting import collect
from mainspring.workspace.opening import Workspace


def test_a_pack_that_is_mostly_dead_is_packed_anew(ws: Workspace, tmp_path: Path) -> None:
    place = tmp_path / "many"
    place.mkdir()
    for number in range(100):
        (place / f"{number}").write_bytes(os.urandom(10_000))
    adding.add(ws, place)
    for number in range(10, 100):
        (place / f"{number}").unlink()
    second = adding.add(ws, place)
    assert pruning.prune(ws, young_s=-1e9).packs == 0  # the first version needs all of it
    ws.write(Permission.LOG, lambda tx: versions.remove(tx, "many", 1))
    dry = pruning.prune(ws, young_s=-1e9, dry_run=True)
    assert (dry.packs, kept(ws) > 1_000_000) == (0, True)
    done = pruning.prune(ws, young_s=-1e9)
    assert (done.packs, kept(ws) < 200_000) == (1, True)
    now = ws.read(Permission.READ, lambda tx: versions.get(tx, "many", 2))
    assert (now.digest, now.manifest != second.manifest) == (second.digest, True)
    getting.get(ws, "many@2", tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(place)
    # What went is no hint any more: it is kept again when it comes again.
    (place / "50").write_bytes(b"again")
    adding.add(ws, place)
    getting.get(ws, "many", tmp_path / "next")
    assert bytes_of(tmp_path / "next") == bytes_of(place)


def test_the_homes_own_gc_reclaims_data_too(ws: Workspace, folder: Path) -> None:
    adding.add(ws, folder)
    assert collect(ws, young_s=-1e9).before == collect(ws, young_s=-1e9).after
    ws.write(Permission.LOG, lambda tx: versions.remove(tx, "flights", 1))
    assert collect(ws, young_s=-1e9).after.objects == 0


def test_nothing_young_goes(ws: Workspace, folder: Path) -> None:
    adding.add(ws, folder)
    ws.write(Permission.LOG, lambda tx: versions.remove(tx, "flights", 1))
    told = pruning.prune(ws)
    assert (told.objects, told.young > 0) == (0, True)
