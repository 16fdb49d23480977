"""What an act of the score is about: a model, its champion, endpoints, rows and policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from mainspring.debt import columns
from mainspring.engine import reactor
from mainspring.ground.errors import ConflictError, NotFoundError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Evidence, MonitorPolicy, Record, Version
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.readiness import evidence, registry
from mainspring.scaling.models import package
from mainspring.scaling.serving import capture, endpoints
from mainspring.workspace.opening import Workspace

#: Rows that are looked at, of those trained on and of those captured.
MOST_ROWS = 20_000


class Subject(Record, frozen=True, kw_only=True):
    """A model that serves, and how it is watched."""

    model: str
    champion: Version
    endpoints: list[str]  #: those that are served here
    policy: MonitorPolicy


def of_model(ws: Workspace, model: str) -> Subject:
    """Return a model as acts of the score look at it.

    Raises:
        NotFoundError: if there is no such model.
        ConflictError: if none of its versions serves.
    """

    def look(tx: Tx) -> Subject:
        if all(known.name != model for known in registry.models(tx)):
            raise NotFoundError(f"There is no model {model!r}.", field="model")
        number = registry.champion(tx, model)
        if number is None:
            raise ConflictError(
                f"No version of {model} serves yet.",
                field="model",
                hint=f"Promote one: mainspring promote {model}/NUMBER --reason WHY",
            )
        watched = [spec.monitor for spec in reactor.loops(tx) if spec.model == model]
        served = [one.name for one in endpoints.of_model(tx, model) if one.kind == "served"]
        return Subject(
            model=model,
            champion=registry.get(tx, model, number),
            endpoints=served,
            policy=watched[0] if watched else MonitorPolicy(),
        )

    return ws.read(Permission.READ, look)


def policy_of(ws: Workspace) -> columns.Policy | None:
    """Return the project's policy of columns; None where it declares none.

    Raises:
        BadInputError: if ``columns.toml`` cannot be read.
    """
    file = Path(ws.settings.root) / columns.FILE
    return columns.read(file.read_text("utf-8")) if file.is_file() else None


def trained(ws: Workspace, subject: Subject) -> pl.DataFrame:
    """Return raw rows that the champion was measured on, or learnt from."""
    digest = subject.champion.package
    kept = package.reference(digest, ws.objects)
    rows = package.example(digest, ws.objects) if kept is None else kept
    return rows.head(MOST_ROWS)


def answered(ws: Workspace, subject: Subject) -> pl.DataFrame | None:
    """Return the newest rows that were captured of the model; None if there is none."""
    for name in subject.endpoints:
        folder = ws.captures(name)
        newest = capture.watermark(folder)
        if newest is None:
            continue
        rows = capture.read(folder, newest - subject.policy.window_s, None)
        if rows.height:
            return rows.sort("_time").tail(MOST_ROWS)
    return None


def keep(
    ws: Workspace,
    kind: str,
    subject: str,
    *,
    passed: bool,
    found: str,
    detail: dict[str, Any],
    opens: Sequence[str],
) -> Evidence:
    """Keep what an act found, in the name of whoever asked for it, and return it."""
    made = Evidence(
        id=new_id("ev"),
        kind=kind,
        subject=subject,
        passed=passed,
        found=found,
        at=ws.clock.now(),
        by=ws.who.name,
        detail=detail,
        opens=list(opens),
    )
    # Who may ask for the act was asked at the door; keeping what came is the house's own doing.
    own = ws.acting_as(service("score"))
    own.write(Permission.WORK, lambda tx: evidence.record(tx, made))
    return made
