"""Tell people that captured rows are being lost, or were found damaged; and that it is over.

What a writer tells of its trouble (:mod:`mainspring.scaling.serving.losses`) becomes an alarm of
kind ``capture``. It ends by itself once rows are written again, and says what was lost. If the
disk was full for the engine, too, the alarm is raised when it has room again, and ends at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.engine import tasks
from mainspring.engine.tasks import NewTask
from mainspring.engine.worker import Done, Handler
from mainspring.ground.durations import spoken
from mainspring.ground.ports import Tx
from mainspring.monitoring import states
from mainspring.monitoring.rules import Judgement
from mainspring.scaling.serving import index, losses
from mainspring.workspace.alarming.evaluating import settle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mainspring.engine.tasks import Lease
    from mainspring.scaling.serving.losses import Loss
    from mainspring.workspace.opening import Workspace

KIND, LOST, DAMAGED = "capture", "lost", "damaged"
ATTEMPTS = 10


def due(folder: Path, endpoint: str) -> list[NewTask]:
    """Return what is to be told of an endpoint's captures: each trouble twice, on and over."""
    return [
        NewTask(
            id=_id(endpoint, one),
            kind="losing",
            payload={"endpoint": endpoint},
            max_attempts=ATTEMPTS,
            priority=1,
        )
        for one in losses.told(folder)
    ]


def forget(tx: Tx, folder: Path, endpoint: str) -> None:
    """Take away what dead writers told, once people were told."""
    for one in losses.told(folder):
        known = tasks.get(tx, _id(endpoint, one)) if one.until is not None else None
        if known is not None and known.state in tasks.FINAL:
            losses.forget(folder, one.writer)


def _id(endpoint: str, one: Loss) -> str:
    phase = "on" if one.until is None else "over"
    return f"losing/{endpoint}/{one.writer}/{one.since:.3f}/{phase}"


class Losing:
    """Carries out what :func:`due` finds."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    def losing(self, lease: Lease) -> Done:
        """Raise or end the alarm about rows that are lost."""
        endpoint = lease.task.payload["endpoint"]
        folder = self._ws.captures(endpoint)
        told = losses.told(folder)
        if not told:
            return Done()

        def apply(tx: Tx) -> None:
            now = self._ws.clock.now()
            on = [one for one in told if one.until is None]
            known = states.some(tx, [states.state_id(endpoint, KIND, LOST)])
            if on or not known or known[0].state != "ALARM":
                _put(tx, endpoint, LOST, _alarming(on or told, now), now)
            if not on:
                _put(tx, endpoint, LOST, _over(told, now), now)

        return Done(result={"lost": sum(one.lost for one in told)}, apply=apply)


def tell_damage(tx: Tx, folder: Path, endpoint: str, now: float) -> None:
    """Raise an alarm while damaged files of an endpoint are set aside, and end it when they go."""
    aside = folder / index.FOLDER
    names = sorted(path.name for path in aside.iterdir()) if aside.is_dir() else []
    known = states.some(tx, [states.state_id(endpoint, KIND, DAMAGED)])
    if not names and not (known and known[0].state == "ALARM"):
        return
    if not names:
        said = Judgement(state="OK", reason="No damaged file is left.", at=now)
    else:
        rows = index.read_index(folder).damaged
        lost = sum(rows.get(name, 0) for name in names)
        reason = (
            f"{len(names)} files of captured rows are not what was written; {lost:,} rows are"
            f" left out, all others are read. They are kept in {index.FOLDER}/ beside the"
            f" captures: {', '.join(names[:3])}. Take them away to end this."
        )
        said = Judgement(state="ALARM", reason=reason, at=now, value=float(lost))
    _put(tx, endpoint, DAMAGED, said, now)


def handlers(ws: Workspace) -> dict[str, Handler]:
    """Return the handlers of what :func:`due` finds."""
    return {"losing": Losing(ws).losing}


def _alarming(told: Sequence[Loss], now: float) -> Judgement:
    lost, waiting = sum(one.lost for one in told), sum(one.waiting for one in told)
    reason = (
        f"Captured rows cannot be written: {told[0].why}. {lost:,} are lost so far, {waiting:,}"
        " wait in memory. Predictions are answered as before; make room on the disk."
    )
    return Judgement(state="ALARM", reason=reason, at=now, value=float(lost))


def _over(told: Sequence[Loss], now: float) -> Judgement:
    lost = sum(one.lost for one in told)
    took = max((one.until or now) - one.since for one in told)
    reason = f"Captured rows are written again. {lost:,} were lost within {spoken(took)}."
    return Judgement(state="OK", reason=reason, at=now, value=float(lost))


def _put(tx: Tx, endpoint: str, subject: str, said: Judgement, now: float) -> None:
    settle(tx, states.apply(tx, endpoint, [(KIND, subject, said)], now), None, now)
