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
MANY = 500  #: journals folded in one transaction
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
    they block no other. A store that cannot be written, such as on a full disk, is one of these
    troubles: what is in it can still be read.
    """
    folder = ws.home / FOLDER
    place = _place(ws)
    if not _waiting(folder, place.known):
        return troubles(ws)
    try:
        _catch_up(ws, folder, place)
    except StoreError as error:
        text = f"What was logged waits to be folded: {error}"
        _log.error(text)
        return [*troubles(ws), text]
    return troubles(ws)


def _catch_up(ws: Workspace, folder: Path, place: _Place) -> None:
    with place.lock:
        found = _waiting(folder, place.known)
        # What is written from now on is for the next to fold, or a busy writer would hold us.
        ends = {name: parts[-1].begin + parts[-1].size for name, parts in found.items()}
        while found and _pass(ws, place, found):
            found = {
                name: parts
                for name, parts in _waiting(folder, place.known).items()
                if name in ends and _short_of(place.known.get(name), ends[name])
            }


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
        if before is None or before.position < end or not journal.followed(parts)[1]:
            if before is not None and before.trouble and before.size == end:
                continue
            found[name] = parts
    return found


def _short_of(known: _Known | None, end: int) -> bool:
    return known is None or known.position < end


class _Read(msgspec.Struct, frozen=True):
    """What is new of a journal, and its files as they were when it was read."""

    stretch: Stretch
    parts: list[Part]

    @property
    def end(self) -> int:
        return self.parts[-1].begin + self.parts[-1].size


def _pass(ws: Workspace, place: _Place, found: dict[str, list[Part]]) -> bool:
    """Fold a bounded stretch of what is waiting; return whether anything moved."""
    names = list(found)
    known = ws.acting_as(WHO).read(Permission.LOG, lambda tx: folding.standings(tx, names))
    moved = False
    plan: list[_Read] = []
    for name, parts in found.items():
        one = _read(name, parts, known[name].position if name in known else 0, place)
        if one is not None:
            plan.append(one)
        if sum(len(each.stretch.data) for each in plan) >= AT_ONCE or len(plan) >= MANY:
            moved |= _fold(ws, place, plan)
            plan = []
    return _fold(ws, place, plan) or moved


def _read(name: str, parts: list[Part], position: int, place: _Place) -> _Read | None:
    """Read what is new of a journal."""
    parts, alive = journal.followed(parts)  # first: what is read of a dead one is its last
    if not parts:
        place.known.pop(name, None)
        return None
    newest = parts[-1]
    end = newest.begin + newest.size
    try:
        data = journal.bytes_from(parts, position, AT_ONCE)
        when = None
        if not alive and position + len(data) >= end:
            when = newest.path.stat().st_mtime
    except FileNotFoundError:  # folded to its end by somebody else just now
        return None
    except (OSError, StoreError) as error:
        _report(place, name, position, end, f"The journal {name} cannot be read: {error}")
        return None
    stretch = Stretch(journal=name, start=position, data=data, owner=WHO.name, ended=when)
    return _Read(stretch, parts)


def _fold(ws: Workspace, place: _Place, plan: list[_Read]) -> bool:
    if not plan:
        return False
    try:
        told = _written(ws, [one.stretch for one in plan])
    except BadInputError as error:
        if len(plan) > 1:  # find which of them it is; the others go on
            return sum(_fold(ws, place, [one]) for one in plan) > 0
        one = plan[0]
        name, start = one.stretch.journal, one.stretch.start
        text = f"The journal {name} cannot be folded past its byte {start:,}: {error}"
        _report(place, name, start, one.end, text)
        return False
    return sum(_settle(place, one, told[one.stretch.journal]) for one in plan) > 0


def _written(ws: Workspace, stretches: Sequence[Stretch]) -> dict[str, Folded]:
    own, now = ws.acting_as(WHO), ws.clock.now()

    def work(tx: Tx) -> dict[str, Folded]:
        return folding.fold(tx, stretches, now)

    return own.write(Permission.LOG, work)


def _settle(place: _Place, one: _Read, told: Folded) -> bool:
    """Remember how far a journal is, and take away files that are folded."""
    name = one.stretch.journal
    if told.damaged:
        text = (
            f"The journal {name} is damaged at its byte {told.position:,}:"
            " what follows there is kept, and not in the store."
        )
        _report(place, name, told.position, one.end, text)
        return told.position > one.stretch.start
    before = place.known.get(name)
    place.known[name] = _Known(told.position)
    begins = [part.begin for part in one.parts[1:]]
    for number, part in enumerate(one.parts):
        if told.closed or (number < len(begins) and begins[number] <= told.position):
            part.path.unlink(missing_ok=True)
    if told.closed:
        place.known.pop(name, None)
    return told.closed or before is None or before.position != told.position


def _report(place: _Place, name: str, position: int, end: int, text: str) -> None:
    before = place.known.get(name)
    if before is None or before.trouble != text:
        _log.error(text)
    place.known[name] = _Known(position, text, end)
