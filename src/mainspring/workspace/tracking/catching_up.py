"""Fold what is waiting in the journals of a home, before anybody reads runs.

It costs a look into one folder when nothing is waiting. Any number of processes may do it at
once: what one has folded the others find done.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.experiments import folding, journal
from mainspring.experiments.folding import Folded, Stretch
from mainspring.experiments.frames import MAX_FRAME
from mainspring.experiments.journal import Part
from mainspring.ground.errors import BadInputError, StoreError
from mainspring.ground.permissions import Permission, service

if TYPE_CHECKING:
    from mainspring.ground.ports import Tx
    from mainspring.workspace.opening import Workspace

FOLDER = "journals"
WHO = service("folding")
AT_ONCE = MAX_FRAME + (1 << 20)  #: bytes of journals folded in one transaction
_log = logging.getLogger("mainspring.tracking")


class _Known(msgspec.Struct):
    """What this process knows of a journal since it looked last."""

    position: int
    trouble: str = ""
    size: int = -1  # where it ended when the trouble was found


class _Place(msgspec.Struct):
    """What this process knows of the journals of a home."""

    lock: threading.RLock
    known: dict[str, _Known]


_PLACES: dict[tuple[str, str], _Place] = {}
_MAKING = threading.Lock()


def catch_up(ws: Workspace) -> list[str]:
    """Fold every whole frame that stands in the home's journals by now.

    Journals that are being written are folded too, up to where they are. The runs of a process
    that died are marked crashed. Returns what is wrong with journals that cannot be folded on;
    they block no other.

    Raises:
        StoreError: if the store cannot be written.
    """
    folder = ws.home / FOLDER
    place = _place(ws)
    if not _waiting(folder, place.known):
        return troubles(ws)
    with place.lock:
        found = _waiting(folder, place.known)
        # What is written from now on is for the next to fold, or a busy writer would hold us.
        ends = {name: parts[-1].begin + parts[-1].size for name, parts in found.items()}
        while found and _pass(ws, folder, place, found):
            found = {
                name: parts
                for name, parts in _waiting(folder, place.known).items()
                if name in ends and _short_of(place.known.get(name), ends[name])
            }
    return troubles(ws)


def caught_up(ws: Workspace) -> Workspace:
    """Return the workspace with everything folded that was waiting: how readers of runs begin."""
    catch_up(ws)
    return ws


def troubles(ws: Workspace) -> list[str]:
    """Return what is wrong with journals of the home, as far as this process saw."""
    return [one.trouble for one in list(_place(ws).known.values()) if one.trouble]


def _place(ws: Workspace) -> _Place:
    of = (str(ws.home), ws.settings.database_url)
    found = _PLACES.get(of)
    if found is None:
        with _MAKING:
            found = _PLACES.setdefault(of, _Place(threading.RLock(), {}))
    return found


def _waiting(folder: Path, known: dict[str, _Known]) -> dict[str, list[Part]]:
    """Return the journals in which there is something to do."""
    found = {}
    for name, parts in journal.listed(folder).items():
        before = known.get(name)
        end = parts[-1].begin + parts[-1].size
        if before is None or before.position < end or not journal.is_alive(folder, name):
            if before is not None and before.trouble and before.size == end:
                continue
            found[name] = parts
    return found


def _short_of(known: _Known | None, end: int) -> bool:
    return known is None or known.position < end


class _Plan(msgspec.Struct, frozen=True):
    """What is folded in one transaction."""

    stretches: list[Stretch]
    ends: dict[str, int]  # where each journal ended when it was read


def _pass(ws: Workspace, folder: Path, place: _Place, found: dict[str, list[Part]]) -> bool:
    """Fold a bounded stretch of what is waiting; return whether anything moved."""
    names = list(found)
    known = ws.acting_as(WHO).read(Permission.LOG, lambda tx: folding.standings(tx, names))
    positions = {name: known[name].position if name in known else 0 for name in names}
    moved = False
    plan, size = _Plan([], {}), 0
    for name in names:
        one = _stretch(folder, name, positions[name], place)
        if one is None:
            continue
        plan.stretches.append(one[0])
        plan.ends[name] = one[1]
        size += len(one[0].data)
        if size >= AT_ONCE:
            moved |= _fold(ws, folder, place, plan)
            plan, size = _Plan([], {}), 0
    return _fold(ws, folder, place, plan) or moved


def _stretch(folder: Path, name: str, position: int, place: _Place) -> tuple[Stretch, int] | None:
    """Read what is new of a journal, and say where it ends."""
    alive = journal.is_alive(folder, name)  # first: what is read of a dead one is its last
    parts = journal.listed(folder).get(name)
    if not parts:
        place.known.pop(name, None)
        return None
    end = parts[-1].begin + parts[-1].size
    try:
        data = journal.bytes_from(parts, position, AT_ONCE)
        when = None
        if not alive and position + len(data) >= end:
            when = parts[-1].path.stat().st_mtime
    except FileNotFoundError:  # folded to its end by somebody else just now
        return None
    except (OSError, StoreError) as error:
        _report(place, name, position, end, f"The journal {name} cannot be read: {error}")
        return None
    stretch = Stretch(journal=name, start=position, data=data, owner=WHO.name, ended=when)
    return stretch, end


def _fold(ws: Workspace, folder: Path, place: _Place, plan: _Plan) -> bool:
    if not plan.stretches:
        return False
    try:
        told = _written(ws, plan.stretches)
    except BadInputError:
        if len(plan.stretches) > 1:  # find which of them it is; the others go on
            alone = [_Plan([one], plan.ends) for one in plan.stretches]
            return sum(_fold(ws, folder, place, one) for one in alone) > 0
        return _blocked(place, plan)
    moved = False
    for one in plan.stretches:
        moved |= _settle(folder, place, one, told[one.journal], plan.ends[one.journal])
    return moved


def _written(ws: Workspace, stretches: Sequence[Stretch]) -> dict[str, Folded]:
    own, now = ws.acting_as(WHO), ws.clock.now()

    def work(tx: Tx) -> dict[str, Folded]:
        return folding.fold(tx, stretches, now)

    return own.write(Permission.LOG, work)


def _blocked(place: _Place, plan: _Plan) -> bool:
    one = plan.stretches[0]
    end = plan.ends[one.journal]
    text = f"The journal {one.journal} cannot be folded past its byte {one.start:,}."
    _report(place, one.journal, one.start, end, text)
    return False


def _settle(folder: Path, place: _Place, one: Stretch, told: Folded, end: int) -> bool:
    """Remember how far a journal is, and take away files that are folded."""
    before = place.known.get(one.journal)
    if told.damaged:
        text = (
            f"The journal {one.journal} is damaged at its byte {told.position:,}:"
            " what follows there is kept, and not in the store."
        )
        _report(place, one.journal, told.position, end, text)
        return told.position > one.start
    place.known[one.journal] = _Known(told.position)
    parts = journal.listed(folder).get(one.journal, [])
    begins = [part.begin for part in parts[1:]]
    for number, part in enumerate(parts):
        if told.closed or (number < len(begins) and begins[number] <= told.position):
            part.path.unlink(missing_ok=True)
    if told.closed:
        place.known.pop(one.journal, None)
    return told.closed or before is None or before.position != told.position


def _report(place: _Place, name: str, position: int, end: int, text: str) -> None:
    before = place.known.get(name)
    if before is None or before.trouble != text:
        _log.error(text)
    place.known[name] = _Known(position, text, end)
