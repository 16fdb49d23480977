"""Say how long the runs of an experiment are kept, and find those whose time is over."""

from __future__ import annotations

import msgspec
from sqlalchemy import delete, func, insert, or_, select

from mainspring.experiments import groups
from mainspring.experiments.exact import exact_key
from mainspring.experiments.tables import (
    deleted_runs,
    experiments,
    metrics,
    retention,
    runs,
    tags,
)
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.ports import Tx

#: A run with this tag stays, whatever it says.
KEEP = "mainspring.keep"
MOST_BEST = 10_000


class Best(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs stay whatever their age."""

    count: int
    metric: str
    lowest: bool = False  #: whether the lowest value is the best


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for the runs of one experiment."""

    experiment: str  #: its name
    keep_s: float  #: after its end a run is kept this long
    best: Best | None = None
    changed: float
    by: str


def read_best(text: str) -> Best:
    """Return what ``10:metrics.auc`` or ``10:metrics.loss:lowest`` says.

    >>> read_best("10:metrics.auc")
    Best(count=10, metric='auc', lowest=False)

    Raises:
        BadInputError: if it says something else.
    """
    count, _, rest = text.partition(":")
    metric = rest.removesuffix(":lowest").removesuffix(":highest")
    if not count.isdecimal() or not metric.startswith("metrics.") or len(metric) < 9:
        raise BadInputError(
            f"keep_best must be COUNT:metrics.KEY, found {text[:100]!r}.",
            field="keep_best",
            hint="For example 10:metrics.auc, or 10:metrics.loss:lowest.",
        )
    return Best(
        count=int(count), metric=metric.removeprefix("metrics."), lowest=rest.endswith(":lowest")
    )


def put(tx: Tx, name: str, keep_s: float, best: Best | None, at: float) -> Retention:
    """Set how long the runs of an experiment are kept, over what was set before.

    Raises:
        NotFoundError: if there is no such experiment.
        BadInputError: if a figure cannot be.
    """
    if not 0 < keep_s < 1e11:
        raise BadInputError(f"keep must be longer than 0 s, found {keep_s}.", field="keep_s")
    if best is not None:
        exact_key(best.metric, "metric")
        if not 1 <= best.count <= MOST_BEST:
            raise BadInputError(
                f"keep_best must be 1 to {MOST_BEST:,} runs, found {best.count}.",
                field="keep_best",
            )
    found = groups.by_name(tx, name)
    if found is None:
        raise NotFoundError(f"There is no experiment {name[:80]!r}.", field="experiment")
    tx.run(delete(retention).where(retention.c.experiment == found.id))
    tx.run(
        insert(retention).values(
            experiment=found.id,
            keep_s=keep_s,
            best=best.count if best else None,
            metric=best.metric if best else None,
            lowest=bool(best and best.lowest),
            changed=at,
            by=tx.who.name,
        )
    )
    kept = next(one for one in listed(tx) if one.experiment == found.name)
    tx.audit("retention.set", f"experiment:{found.key}", msgspec.to_builtins(kept))
    return kept


def remove(tx: Tx, name: str) -> None:
    """Keep the runs of an experiment for ever again.

    Raises:
        NotFoundError: if nothing is set for it.
    """
    found = groups.by_name(tx, name)
    here = retention.c.experiment == (found.id if found else -1)
    if found is None or not tx.run(delete(retention).where(here)):
        raise NotFoundError(f"No retention is set for {name[:80]!r}.", field="experiment")
    tx.audit("retention.remove", f"experiment:{found.key}", {})


def listed(tx: Tx) -> list[Retention]:
    """Return what is set, by the experiments' names."""
    query = select(retention, experiments.c.name).join(experiments).order_by(experiments.c.name)
    return [
        Retention(
            experiment=row.name,
            keep_s=row.keep_s,
            best=None
            if row.best is None
            else Best(count=row.best, metric=row.metric, lowest=bool(row.lowest)),
            changed=row.changed,
            by=row.by,
        )
        for row in tx.all(query)
    ]


def over(tx: Tx, policy: Retention, now: float) -> list[str]:
    """Return the runs whose time is over, the oldest first.

    A run that runs, is deleted already, is among the best or has the tag ``mainspring.keep``
    is none of them.
    """
    found = groups.by_name(tx, policy.experiment)
    if found is None:
        return []
    ended = func.coalesce(runs.c.ended, runs.c.started)
    kept = select(tags.c.run).where(tags.c.key == KEEP)
    old = select(runs.c.id).where(
        runs.c.experiment == found.key,
        runs.c.status != "running",
        ended < now - policy.keep_s,
        runs.c.id.not_in(select(deleted_runs.c.run)),
        runs.c.id.not_in(kept),
    )
    best = set(_best(tx, found.key, policy.best)) if policy.best else set()
    order = old.order_by(runs.c.started, runs.c.id)
    return [row.id for row in tx.all(order) if row.id not in best]


def _best(tx: Tx, key: str, best: Best) -> list[str]:
    value = metrics.c.value
    order = value.asc() if best.lowest else value.desc()
    query = (
        select(runs.c.id)
        .join(metrics, metrics.c.run == runs.c.id)
        .where(
            runs.c.experiment == key,
            metrics.c.key == best.metric,
            value.is_not(None),
            or_(runs.c.status == "finished", runs.c.status == "running"),
            runs.c.id.not_in(select(deleted_runs.c.run)),
        )
    )
    return [row.id for row in tx.all(query.order_by(order, runs.c.id).limit(best.count))]
