"""Declare what is watched: a model that answers elsewhere, and the rows it is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from mainspring.debt import consumers
from mainspring.engine import reactor
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.identity import check_name
from mainspring.ground.objects import Kind, LoopSpec, MonitorPolicy, Record, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import watches
from mainspring.monitoring.watches import Watch
from mainspring.readiness import registry
from mainspring.scaling.models import package
from mainspring.scaling.serving import endpoints
from mainspring.workspace.feeding import baselines, reading, versions
from mainspring.workspace.feeding.naming import Columns
from mainspring.workspace.opening import Workspace


class Declared(Record, frozen=True, kw_only=True):
    """What a monitor was made of."""

    endpoint: str
    model: str
    version: int  #: the baseline's number
    kind: Kind
    rows: int  #: of the baseline
    inputs: list[str]
    classes: list[str]
    metrics: dict[str, float]
    columns: Columns
    said: list[str]  #: what was guessed or assumed, to be told


def create(
    ws: Workspace,
    name: str,
    *,
    baseline: Path | pl.DataFrame | str | None = None,
    model: str | None = None,
    version: str | None = None,
    kind: Kind | None = None,
    positive: str | None = None,
    policy: MonitorPolicy | None = None,
    columns: Columns | None = None,
    called: str = "",
) -> Declared:
    """Watch a model that answers elsewhere, under a name; its rows are fed from now on.

    ``baseline`` is what its rows are compared with: a file or frame of rows with predictions
    and, where known, labels; or a version of ours, ``name/7`` or ``name@champion``. Without it
    the model must have a version already. Asked again with another baseline, the newest is
    the one compared with. ``version`` is what rows call the version that the baseline is of;
    each version may have its own. ``columns`` are remembered for the rows that are fed later.

    Raises:
        NotFoundError: if there is no such version, or no baseline at all.
        ConflictError: if the name serves another model.
        BadInputError: naming what is wrong with the baseline.
    """
    check_name(name, "monitor")
    made, used, said = _made(baseline, columns or Columns(), kind, positive, called)

    def work(tx: Tx) -> tuple[Version, Watch]:
        now = ws.clock.now()
        before = watches.find(tx, name)
        wanted = model or _model(tx, name) or (name if made else None)
        found = _version(tx, ws, made, baseline, wanted, version, now)
        package.profile(found.package, ws.objects)  # or there is nothing to compare with
        endpoints.ensure(tx, name, found.model, at=now, kind="fed")
        if version is not None:
            versions.bind(tx, name, version, found.number)
        watch = Watch(
            endpoint=name,
            model=found.model,
            kind=found.signature.kind,
            target=found.signature.target,
            monitor=policy or (before.monitor if before else MonitorPolicy()),
            columns=_remembered(before, used),
            created=before.created if before else now,
            by=tx.who.name,
        )
        watches.save(tx, watch)
        evidence = {"model": found.model, "version": found.number}
        tx.audit("monitor.create", f"endpoint:{name}", evidence)
        return found, watch

    found, watch = ws.write(Permission.SERVE, work)
    profile = package.profile(found.package, ws.objects)
    return Declared(
        endpoint=name,
        model=found.model,
        version=found.number,
        kind=found.signature.kind,
        rows=profile.rows,
        inputs=[column.name for column in found.signature.columns],
        classes=found.signature.classes,
        metrics=profile.metrics,
        columns=msgspec.convert(watch.columns, Columns),
        said=said,
    )


def watched(tx: Tx) -> list[LoopSpec]:
    """Return all that is watched: loops as declared, and what is watched without one.

    What has no loop has a spec without a name; what has both is its loop's.
    """
    loops = reactor.loops(tx)
    theirs = {spec.endpoint for spec in loops}
    return [*loops, *(w.as_loop() for w in watches.every(tx) if w.endpoint not in theirs)]


def spec_of(tx: Tx, endpoint: str) -> LoopSpec:
    """Return how one endpoint is watched.

    Raises:
        NotFoundError: if it is not.
    """
    found = endpoints.get(tx, endpoint)
    spec = reactor.spec_or_none(tx, found.loop) if found.loop else None
    return spec or watches.get(tx, endpoint).as_loop()


def remove(ws: Workspace, name: str) -> None:
    """Watch no more what is fed; captured rows, windows and labels are kept.

    Raises:
        NotFoundError: if there is no such monitor.
        ConflictError: if a loop watches it.
    """

    def work(tx: Tx) -> None:
        endpoint = endpoints.get(tx, name)
        if endpoint.loop is not None:
            raise ConflictError(f"{name} is watched by loop {endpoint.loop}.", field="endpoint")
        watches.get(tx, name)
        watches.remove(tx, name)
        if endpoint.kind == "fed":
            endpoints.remove(tx, name)
            consumers.forget(tx, name)
        tx.audit("monitor.remove", f"endpoint:{name}", {})

    ws.write(Permission.SERVE, work)


def _made(
    baseline: Path | pl.DataFrame | str | None,
    columns: Columns,
    kind: Kind | None,
    positive: str | None,
    called: str,
) -> tuple[baselines.Baseline | None, Columns, list[str]]:
    """Return the baseline that a file or frame makes, the columns used, and what was guessed."""
    if baseline is None or isinstance(baseline, str):
        return None, columns, []
    frame = reading.whole(baseline, called) if isinstance(baseline, Path) else baseline
    name = called or (baseline.name if isinstance(baseline, Path) else "the baseline")
    used, said = baselines.columns_in(frame, columns)
    made = baselines.of_frame(frame, used, kind=kind, positive=positive, name=name)
    return made, used, [*said, *made.said]


def _model(tx: Tx, name: str) -> str | None:
    """Return the model of an endpoint that is there already."""
    found = [one.model for one in endpoints.list_endpoints(tx) if one.name == name]
    return found[0] if found else None


def _version(
    tx: Tx,
    ws: Workspace,
    made: baselines.Baseline | None,
    baseline: object,
    model: str | None,
    name: str | None,
    now: float,
) -> Version:
    if made is None:
        if isinstance(baseline, str):
            found = registry.resolve(tx, baseline)
            if model is not None and found.model != model:
                raise BadInputError(
                    f"The baseline is {found.model}'s, the model {model}.", field="model"
                )
            return found
        if model is None:
            raise NotFoundError(
                "A monitor needs something to compare with.",
                field="baseline",
                hint="Give --baseline FILE (rows with predictions) or --baseline MODEL/VERSION.",
            )
        return versions.usual(tx, model)
    model = model or ""
    source = f"{versions.ELSEWHERE}{name or model}"
    return registry.register(
        tx,
        Version(
            model=model,
            number=0,
            run=None,
            package=package.write_baseline(
                made.signature, made.profile, made.reference, ws.objects
            ),
            signature=made.signature,
            card=None,
            metrics=made.profile.metrics,
            created=now,
            by=ws.who.name,
            source=source,
        ),
    )


def _remembered(before: Watch | None, used: Columns) -> dict[str, Any]:
    """Return the columns to look for in later rows: those named now, else those of before."""
    told = dict(before.columns) if before else {}
    return told | {k: v for k, v in msgspec.to_builtins(used).items() if v}
