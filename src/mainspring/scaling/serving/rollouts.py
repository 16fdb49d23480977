"""Which challenger meets which endpoint's traffic, and how far its tests are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import insert, select
from sqlalchemy import update as change

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.objects import MOVES, Rollout, Strategy
from mainspring.ground.ports import Tx
from mainspring.scaling.serving.tables import rollouts


def start(tx: Tx, rollout: Rollout, reason: str = "") -> Rollout:
    """Keep a rollout that begins now, and audit it.

    Raises:
        ConflictError: if one runs on the endpoint already, or champion and challenger are one.
        BadInputError: if the share is not between 0 and 1.
    """
    if rollout.champion == rollout.challenger:
        raise ConflictError(
            f"{rollout.model}/{rollout.champion} cannot be rolled out against itself."
        )
    if not 0.0 <= rollout.share <= 1.0:
        raise BadInputError(f"share must be 0 to 1, found {rollout.share}.", field="share")
    if rollout.state != "running":
        raise BadInputError(f"A rollout starts running, not {rollout.state}.", field="state")
    before = running(tx, rollout.endpoint)
    if before is not None:
        raise ConflictError(
            f"Rollout {before.id} of {before.model}/{before.challenger} runs on endpoint"
            f" {rollout.endpoint} already."
        )
    values = msgspec.structs.asdict(rollout)
    values["strategy"] = str(rollout.strategy)
    values["better"] = _floats(rollout.better)
    values["worse"] = _floats(rollout.worse)
    tx.run(insert(rollouts).values(**values))
    told = {"rollout": rollout.id, "purpose": rollout.purpose, "champion": rollout.champion}
    told |= {"challenger": rollout.challenger, "share": rollout.share}
    tx.audit("rollout.start", f"endpoint:{rollout.endpoint}", told, reason)
    return rollout


def end(tx: Tx, rollout: str, state: str, *, at: float) -> Rollout:
    """End a rollout as ``promoted``, ``rolled_back``, ``rejected`` or ``ended``, and audit it.

    Raises:
        NotFoundError: if there is none.
        ConflictError: if it may not move to that state, such as a second time.
    """
    now = get(tx, rollout)
    if state not in MOVES["rollout"][now.state]:
        raise ConflictError(f"Rollout {rollout} is {now.state} and cannot become {state}.")
    changed = tx.run(
        change(rollouts)
        .where(rollouts.c.id == rollout, rollouts.c.state == now.state)
        .values(state=state, ended=at)
    )
    if changed != 1:
        raise ConflictError(f"Rollout {rollout} was ended by another meanwhile.")
    tx.audit("rollout.end", f"endpoint:{now.endpoint}", {"rollout": rollout, "state": state})
    return get(tx, rollout)


def update(
    tx: Tx, rollout: str, better: list[float], worse: list[float], *, rows: int, cursor: int
) -> None:
    """Keep how far the tests of a running rollout are.

    Raises:
        NotFoundError: if there is none.
        ConflictError: if it does not run any more, or has seen later labels already.
    """
    now = get(tx, rollout)
    if now.state != "running":
        raise ConflictError(f"Rollout {rollout} is {now.state}; its tests are closed.")
    if cursor < now.cursor or rows < now.rows:
        raise ConflictError(
            f"Rollout {rollout} has seen label batch {now.cursor} and {now.rows} rows; {cursor}"
            f" and {rows} would go back."
        )
    tx.run(
        change(rollouts)
        .where(rollouts.c.id == rollout)
        .values(better=_floats(better), worse=_floats(worse), rows=rows, cursor=cursor)
    )


def get(tx: Tx, rollout: str) -> Rollout:
    """Return one rollout.

    Raises:
        NotFoundError: if there is none by that id.
    """
    row = tx.one(select(rollouts).where(rollouts.c.id == rollout))
    if row is None:
        raise NotFoundError(f"There is no rollout {rollout!r}.", field="rollout")
    return _read(row)


def running(tx: Tx, endpoint: str) -> Rollout | None:
    """Return the rollout that runs on an endpoint, if any; there is never more than one."""
    row = tx.one(
        select(rollouts).where(rollouts.c.endpoint == endpoint, rollouts.c.state == "running")
    )
    return None if row is None else _read(row)


def endpoints_running(tx: Tx) -> set[str]:
    """Return the endpoints on which a rollout runs."""
    asked = select(rollouts.c.endpoint).where(rollouts.c.state == "running")
    return {row.endpoint for row in tx.all(asked)}


def beside(tx: Tx, rollout: Rollout, others: Collection[str]) -> list[Rollout]:
    """Return the challenges of other endpoints that run now, or ran while one of these did.

    Those that ended stay of the fleet until all that ran beside them have ended too, or the last
    of many would be judged as if it were alone.
    """
    asked = select(rollouts).where(
        rollouts.c.endpoint.in_(list(others)),
        rollouts.c.endpoint != rollout.endpoint,
        rollouts.c.purpose == "challenge",
    )
    now = [_read(row) for row in tx.all(asked.where(rollouts.c.state == "running"))]
    since = min([rollout.started, *(one.started for one in now)])
    over = asked.where(rollouts.c.state != "running", rollouts.c.ended > since)
    return now + [_read(row) for row in tx.all(over)]


def of_endpoint(tx: Tx, endpoint: str, limit: int = 1000) -> list[Rollout]:
    """Return the rollouts of an endpoint, newest first."""
    question = (
        select(rollouts)
        .where(rollouts.c.endpoint == endpoint)
        .order_by(rollouts.c.started.desc(), rollouts.c.id.desc())
        .limit(limit)
    )
    return [_read(row) for row in tx.all(question)]


def _floats(values: list[float]) -> str:
    return msgspec.json.encode(values).decode()


def _read(row: Any) -> Rollout:
    values = {name: getattr(row, name) for name in Rollout.__struct_fields__}
    values["strategy"] = Strategy(row.strategy)
    values["better"] = msgspec.json.decode(row.better, type=list[float])
    values["worse"] = msgspec.json.decode(row.worse, type=list[float])
    return Rollout(**values)
