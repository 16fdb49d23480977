"""Which challengers meet which endpoint's traffic, in which steps, and how far their tests are."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, Literal

import msgspec
from sqlalchemy import insert, select
from sqlalchemy import update as change

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.identity import canonical
from mainspring.ground.objects import MOVES, Arm, Record, Rollout, RolloutPolicy, Strategy
from mainspring.ground.ports import Tx
from mainspring.scaling.serving.tables import rollouts


class _More(Record, frozen=True, kw_only=True):
    """What only some rollouts have; the names are those of :class:`Rollout`."""

    by: str | None = None
    policy: RolloutPolicy | None = None
    ends: Literal["hand", "proven", "baked"] = "hand"
    step: int = 0
    stepped: float | None = None
    step_rows: int = 0
    arms: list[Arm] = []
    sticky: str | None = None
    tests: dict[str, list[float]] = {}


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
    _check_arms(rollout)
    values = msgspec.structs.asdict(rollout)
    for name in _More.__struct_fields__:
        del values[name]
    values["more"] = _more(rollout)
    values["strategy"] = str(rollout.strategy)
    values["better"] = _floats(rollout.better)
    values["worse"] = _floats(rollout.worse)
    tx.run(insert(rollouts).values(**values))
    told = {"rollout": rollout.id, "purpose": rollout.purpose, "champion": rollout.champion}
    told |= {"challenger": rollout.challenger, "share": rollout.share}
    if rollout.arms:
        told["arms"] = {str(arm.version): arm.weight for arm in rollout.arms}
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


def move(tx: Tx, rollout: Rollout, reason: str = "") -> Rollout:
    """Keep the share, the arms and the step of a running rollout as they are given; audit it.

    Raises:
        NotFoundError: if there is none.
        ConflictError: if it does not run any more.
        BadInputError: if share or weights cannot be.
    """
    if not 0.0 <= rollout.share <= 1.0:
        raise BadInputError(f"share must be 0 to 1, found {rollout.share}.", field="share")
    _check_arms(rollout)
    now = get(tx, rollout.id)
    if now.state != "running":
        raise ConflictError(f"Rollout {rollout.id} is {now.state}; its share moves no more.")
    values = {
        "share": rollout.share,
        "challenger": rollout.challenger,
        "strategy": str(rollout.strategy),
        "more": _more(rollout),
    }
    tx.run(change(rollouts).where(rollouts.c.id == rollout.id).values(**values))
    told: dict[str, Any] = {"rollout": rollout.id, "share": rollout.share, "step": rollout.step}
    if rollout.arms:
        told["arms"] = {str(arm.version): arm.weight for arm in rollout.arms}
    tx.audit("rollout.move", f"endpoint:{rollout.endpoint}", told, reason)
    return get(tx, rollout.id)


def compare(
    tx: Tx, rollout: str, tests: dict[str, list[float]], *, rows: int, cursor: int
) -> None:
    """Keep how far the tests between the arms of an A/B rollout are.

    Raises:
        NotFoundError: if there is none.
        ConflictError: if it does not run any more, or has seen later labels already.
    """
    now = _open(tx, rollout, rows, cursor)
    more = _more(msgspec.structs.replace(now, tests=tests))
    values = {"more": more, "rows": rows, "cursor": cursor}
    tx.run(change(rollouts).where(rollouts.c.id == rollout).values(**values))


def update(
    tx: Tx, rollout: str, better: list[float], worse: list[float], *, rows: int, cursor: int
) -> None:
    """Keep how far the tests of a running rollout are.

    Raises:
        NotFoundError: if there is none.
        ConflictError: if it does not run any more, or has seen later labels already.
    """
    _open(tx, rollout, rows, cursor)
    tx.run(
        change(rollouts)
        .where(rollouts.c.id == rollout)
        .values(better=_floats(better), worse=_floats(worse), rows=rows, cursor=cursor)
    )


def _open(tx: Tx, rollout: str, rows: int, cursor: int) -> Rollout:
    now = get(tx, rollout)
    if now.state != "running":
        raise ConflictError(f"Rollout {rollout} is {now.state}; its tests are closed.")
    if cursor < now.cursor or rows < now.rows:
        raise ConflictError(
            f"Rollout {rollout} has seen label batch {now.cursor} and {now.rows} rows; {cursor}"
            f" and {rows} would go back."
        )
    return now


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


def all_running(tx: Tx) -> dict[str, str]:
    """Return the id of the rollout that runs on each endpoint that has one."""
    query = select(rollouts.c.endpoint, rollouts.c.id).where(rollouts.c.state == "running")
    return {row.endpoint: row.id for row in tx.all(query)}


def newest(tx: Tx, limit: int = 100) -> list[Rollout]:
    """Return the rollouts of every endpoint, newest first."""
    query = select(rollouts).order_by(rollouts.c.started.desc(), rollouts.c.id.desc())
    return [_read(row) for row in tx.all(query.limit(limit))]


def _check_arms(rollout: Rollout) -> None:
    if not rollout.arms:
        return
    versions = [arm.version for arm in rollout.arms]
    if len(set(versions)) != len(versions) or rollout.champion not in versions:
        raise BadInputError(
            f"An A/B rollout has each version once, the champion {rollout.champion} among them;"
            f" found {', '.join(map(str, versions))}.",
            field="variants",
        )
    for arm in rollout.arms:
        if not (arm.weight >= 0 and math.isfinite(arm.weight)):
            raise BadInputError(
                f"A weight is 0 or more, found {arm.weight} for version {arm.version}.",
                field="variants",
            )
    if sum(arm.weight for arm in rollout.arms) <= 0:
        raise BadInputError("One weight must be above 0.", field="variants")


def _more(rollout: Rollout) -> str | None:
    more = _More(**{name: getattr(rollout, name) for name in _More.__struct_fields__})
    return None if more == _More() else canonical(more).decode()


def _floats(values: list[float]) -> str:
    return msgspec.json.encode(values).decode()


def _read(row: Any) -> Rollout:
    more = _More() if row.more is None else msgspec.json.decode(row.more, type=_More)
    values = msgspec.structs.asdict(more)
    names = [name for name in Rollout.__struct_fields__ if name not in values]
    values |= {name: getattr(row, name) for name in names}
    values["strategy"] = Strategy(row.strategy)
    values["better"] = msgspec.json.decode(row.better, type=list[float])
    values["worse"] = msgspec.json.decode(row.worse, type=list[float])
    return Rollout(**values)
