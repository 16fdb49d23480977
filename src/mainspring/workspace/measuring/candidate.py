"""Measure one candidate: losses beside the champion's, latency, contract, and all that follows.

What judges these figures is :mod:`mainspring.readiness.checks`; here nothing is passed or refused.
"""

from __future__ import annotations

import io
import time
from typing import Any

import msgspec
import polars as pl

from mainspring.backends.objects import open_objects
from mainspring.ground.objects import Facet, Gate, MonitorPolicy
from mainspring.ground.ports import Objects
from mainspring.numerics.scores import quality, row_losses
from mainspring.readiness.measured import Measured
from mainspring.scaling.models import load, package
from mainspring.scaling.models.load import Served
from mainspring.workspace.measuring import bias, calibration, listening, load_test, simpler, slices
from mainspring.workspace.measuring import robustness as robust
from mainspring.workspace.measuring.subject import Candidate, Floats, Fresh

DAY_S = 86_400


def measure(payload: dict[str, Any]) -> dict[str, Any]:
    """Measure a candidate and return plain figures.

    ``candidate`` and ``champion`` are packages, ``fresh`` labelled rows neither learnt from,
    ``policy`` the gate, ``data`` digests among which its training rows are, ``facets`` what its
    loop watches beside what the gate bounds.
    """
    objects = open_objects(payload["objects"])
    policy = msgspec.convert(payload["policy"], Gate)
    digest = payload["candidate"]
    served = load.load(digest, objects)
    example = package.example(digest, objects)
    found: dict[str, Any] = {
        "contract": [],
        "latencies_ms": _latencies_ms(served, example),
        "form": served.form,
    }
    champion = load.load(payload["champion"], objects) if payload.get("champion") else None
    if champion is not None:
        found["contract"] = breaches(champion.signature, served.signature)
    fresh = None
    rows = _frame(objects, payload["fresh"]) if payload.get("fresh") else None
    if rows is not None and rows.height:
        fresh = _fresh(rows, served, champion if not found["contract"] else None)
        kind, scale = served.signature.kind, served.signature.scale
        found["rows"] = fresh.rows.height
        found["metrics"] = quality(kind, fresh.scores, fresh.target, scale)
        found["candidate_losses"] = fresh.losses.tolist()
        found["blocks"] = fresh.blocks.tolist()
        if fresh.theirs is not None:
            found["champion_losses"] = fresh.theirs.tolist()
    told = package.contract(digest, objects)
    found["contract"] += _unkept(told, None if fresh is None else fresh.rows)
    candidate = Candidate(
        digest=digest,
        served=served,
        baseline=package.profile(digest, objects),
        reference=package.reference(digest, objects),
        example=example,
        objects=objects,
    )
    facets = [msgspec.convert(one, Facet) for one in payload.get("facets", ())]
    measured = _measured(candidate, fresh, policy, facets, payload)
    found["measured"] = msgspec.to_builtins(measured)
    return found


def _measured(
    candidate: Candidate,
    fresh: Fresh | None,
    policy: Gate,
    facets: list[Facet],
    payload: dict[str, Any],
) -> Measured:
    limits = policy.robustness
    return Measured(
        slices=slices.measure(candidate, fresh, policy),
        calibration=None if policy.calibration is None else calibration.measure(candidate, fresh),
        baselines=simpler.measure(candidate, fresh, payload.get("data", ()))
        if policy.baselines
        else None,
        robustness=None if limits is None else robust.measure(candidate, limits),
        bias=bias.measure(candidate, policy.bias, facets, MonitorPolicy()),
        attribution=listening.measure(candidate, fresh),
        # Last: what runs beside it would be in its figures.
        load=None
        if policy.load is None
        else load_test.measure(
            candidate.digest, payload["objects"], candidate.example, policy.load
        ),
        fresh_until=_newest(fresh),
    )


def _fresh(rows: pl.DataFrame, served: Served, champion: Served | None) -> Fresh:
    signature = served.signature
    target = rows["_y"].to_numpy()

    def losses(scores: Floats) -> Floats:
        return row_losses(signature.kind, scores, target, signature.scale)

    scores = served.score(rows)
    return Fresh(
        rows=rows,
        target=target,
        scores=scores,
        losses=losses(scores),
        theirs=None if champion is None else losses(champion.score(rows)),
        blocks=(rows["_time"] // DAY_S).cast(pl.Int64).to_numpy(),
    )


def _newest(fresh: Fresh | None) -> float | None:
    """Return the event time of the newest fresh row; None where rows bear no time."""
    newest = None if fresh is None else fresh.rows["_time"].max()
    return float(newest) if isinstance(newest, float | int) and newest > 0 else None


def _unkept(told: Any, fresh: pl.DataFrame | None) -> list[str]:
    """Return in which ways a candidate's training rows, and fresh ones, break its contract."""
    from mainspring.monitoring.constraints import check_frames

    if told is None:
        return []
    lines = [f"Training rows: {one.sentence}" for one in told.training.violations]
    if fresh is not None and fresh.height:
        # How many rows there must be is asked of what it learnt from.
        contract = msgspec.structs.replace(told.contract, least_rows=None, most_rows=None)
        names = [name for name in fresh.columns if name in contract.columns or name[:1] != "_"]
        found = check_frames(contract, [fresh.select(names)])
        lines += [f"Fresh rows: {one.sentence}" for one in found.violations]
    return lines


def _latencies_ms(
    served: Served, example: pl.DataFrame, rounds: int = 5, rows: int = 20
) -> list[float]:
    """Return how long one row takes, a row at a time, in the calmest of some rounds.

    The calmest, because a busy machine only ever adds to what the version itself takes.
    """
    best: list[float] = []
    for count in range(rounds + 1):
        found = []
        for place in range(rows):
            row = example.slice((count * rows + place) % example.height, 1)
            start = time.perf_counter()
            served.score(row)
            found.append((time.perf_counter() - start) * 1000)
        if count and (not best or sorted(found)[-2] < sorted(best)[-2]):  # the first warms up
            best = found
    return best


def breaches(old: Any, new: Any) -> list[str]:
    """Return how a candidate breaks what callers of the champion rely on."""
    found = []
    if new.kind != old.kind or new.classes != old.classes:
        found.append(f"it answers {new.kind} {new.classes}, the champion {old.kind} {old.classes}")
    sent = {column.name: column.type for column in old.columns}
    for column in new.columns:
        if column.name not in sent:
            found.append(f"it needs the column {column.name!r}, which callers do not send")
        elif {sent[column.name], column.type} not in ({"int", "float"}, {column.type}):
            found.append(
                f"column {column.name!r} was {sent[column.name]} and would be {column.type}"
            )
    return found


def _frame(objects: Objects, digest: str) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(objects.get(digest)))
