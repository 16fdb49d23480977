"""Follow a captured row from its raw values to its score: inputs, features, what carried it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from mainspring.ground.errors import ConflictError, NotFoundError
from mainspring.ground.objects import Evidence, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import registry
from mainspring.scaling.models import carried, load
from mainspring.scaling.models.check import check_frame
from mainspring.scaling.serving import capture, endpoints
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scoring import subject as s
from mainspring.workspace.scoring.shapes import Carried, Followed

#: Captured scores are kept as 32-bit numbers; a score differs if it is further off than this.
TOLERANCE = 1e-5


def follow(ws: Workspace, endpoint: str, prediction: str) -> Followed:
    """Return how a captured prediction came about.

    Raises:
        NotFoundError: if there is no such endpoint, or the row is not kept (any more).
    """
    model = ws.read(Permission.READ, lambda tx: endpoints.get(tx, endpoint).model)
    rows = _row(ws, endpoint, prediction)
    number = int(rows["_version"][0])

    def look(tx: Tx) -> Version:
        return registry.get(tx, model, number)

    return _followed(ws, endpoint, ws.read(Permission.READ, look), rows)


def debuggable(ws: Workspace, subject: s.Subject) -> Evidence:
    """Follow a random captured row of the champion, and keep whether that explained its answer.

    Raises:
        ConflictError: if no row that the champion answered was captured.
    """
    rows = s.answered(ws, subject)
    number = subject.champion.number
    mine = None if rows is None else rows.filter(pl.col("_version") == number)
    if mine is None or not mine.height:
        raise ConflictError(
            f"No row that {subject.model}/{number} answered was captured.",
            hint=f"Ask it: mainspring predict {subject.model} --rows FILE",
        )
    place = int(np.random.default_rng().integers(mine.height))
    name = subject.endpoints[0]
    found = _followed(ws, name, subject.champion, mine[place : place + 1])
    heaviest = found.carried[0] if found.carried else None
    told = f"; {heaviest.column} carried most, {heaviest.carried:+.4g}" if heaviest else ""
    return s.keep(
        ws,
        "debuggable",
        f"endpoint:{name}",
        passed=found.same and bool(found.features),
        found=f"Of {mine.height:,} captured rows {found.id} was followed from {len(found.inputs)}"
        f" inputs over {len(found.features)} features to {found.again[0]:.4g}, answered as"
        f" {found.captured[0]:.4g}{told}.",
        detail={
            "prediction": found.id,
            "version": found.version,
            "same": found.same,
            "features": len(found.features),
            "carried": {one.column: one.carried for one in found.carried[:20]},
        },
        opens=[f"/endpoints/{name}", f"artifact:{subject.champion.package}"],
    )


def _row(ws: Workspace, endpoint: str, prediction: str) -> pl.DataFrame:
    folder = ws.captures(endpoint)
    newest = capture.watermark(folder)
    if newest is not None:
        # Who asks about a prediction mostly asks about a late one: look there first.
        for since in (newest - 7 * 86_400.0, None):
            found = capture.read(folder, since, None).filter(pl.col("_id") == prediction)
            if found.height:
                return found[:1]
    raise NotFoundError(
        f"No row of {endpoint} with the prediction id {prediction[:80]!r} is kept.", field="id"
    )


def _followed(ws: Workspace, endpoint: str, version: Version, row: pl.DataFrame) -> Followed:
    served = load.load(version.package, ws.objects)
    names = [column.name for column in version.signature.columns]
    raw = row.select(names)
    told = row["_score"][0]
    captured = [float(v) for v in (told if isinstance(told, pl.Series | list) else [told])]
    again = [float(v) for v in served.score(raw)[0]]
    place = int(np.argmax(again)) if len(again) > 1 else 0
    classes = version.signature.classes
    of = version.signature.target
    if classes:
        of = classes[place] if len(again) > 1 else classes[-1]
    features = served.features(raw)
    return Followed(
        endpoint=endpoint,
        id=str(row["_id"][0]),
        version=version.number,
        at=float(row["_time"][0]),
        inputs=_plain(raw.to_dicts()[0]),
        features=_plain(features.to_dicts()[0]),
        captured=captured,
        again=again,
        same=len(captured) == len(again)
        and bool(np.allclose(captured, again, rtol=TOLERANCE, atol=TOLERANCE)),
        of=str(of),
        carried=_carried(ws, version, served, raw, place),
    )


def _carried(
    ws: Workspace, version: Version, served: load.Served, raw: pl.DataFrame, place: int
) -> list[Carried]:
    usual = carried.stand_ins(carried.usual(version.package, ws.objects), version.signature)
    told = carried.carried(served.score, check_frame(raw, version.signature), 0, usual, place)
    found = [
        Carried(column=name, value=_one(raw[name][0]), carried=value)
        for name, value in told.items()
    ]
    return sorted(found, key=lambda one: (-abs(one.carried), one.column))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _one(value) for name, value in values.items()}


def _one(value: Any) -> Any:
    """Return a value as JSON can hold it; what is no number is None."""
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if isinstance(value, int | str | bool | None) else str(value)
