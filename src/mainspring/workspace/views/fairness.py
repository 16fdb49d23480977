"""Gather what is asked about one version or endpoint: bias, attributions, age, skew."""

from __future__ import annotations

from typing import Any

import msgspec
import polars as pl

from mainspring.engine import reactor
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.objects import Facet, Finding, MonitorPolicy, Profile, Signature, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import age, bias, skew, windows
from mainspring.monitoring.sight import Beside, Sight
from mainspring.monitoring.traffic import main_version
from mainspring.readiness import registry
from mainspring.scaling.models import package
from mainspring.scaling.serving import capture, endpoints
from mainspring.workspace.beside import both_paths
from mainspring.workspace.evidence import Models
from mainspring.workspace.opening import Workspace


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a version's response one column carried at training."""

    column: str
    share: float
    type: str


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """What a version listens to, as it was measured and kept when it was trained."""

    model: str
    number: int
    method: str
    shares: list[Share]


class AgePoint(msgspec.Struct, frozen=True, kw_only=True):
    """One labelled window on the staleness curve."""

    window: str
    version: int
    age_days: float
    rise: float
    rows: int


class AgeReport(msgspec.Struct, frozen=True, kw_only=True):
    """How old an endpoint's champion is, and how models here grow stale."""

    endpoint: str
    model: str
    version: int
    trained_until: float | None
    found: Finding
    points: list[AgePoint]


class SkewReport(msgspec.Struct, frozen=True, kw_only=True):
    """What both paths, or a source, say of captured rows."""

    endpoint: str
    version: int | None
    since: float
    until: float
    rows: int
    found: list[Finding]
    unmatched: int = 0  #: captured rows whose key the source does not have


def bias_report(ws: Workspace, model: str, number: int, facets: list[Facet]) -> list[Finding]:
    """Return the bias figures of a version on the rows it was measured on.

    Without a facet those that its loop declares are taken.

    Raises:
        NotFoundError: if there is no such version.
        BadInputError: if no facet is known, or the version keeps no reference rows.
    """
    version, policy = ws.read(Permission.READ, lambda tx: _of_version(tx, model, number))
    asked = facets or policy.bias
    if not asked:
        raise BadInputError(
            f"No loop of {model} declares a facet.", field="facets", hint="Name one: --facet sex"
        )
    reference = package.reference(version.package, ws.objects)
    if reference is None:
        raise BadInputError(
            f"{model}/{number} was made before versions kept the rows they were measured on.",
            field="number",
            hint="Train it again.",
        )
    found: list[Finding] = []
    for facet in asked:
        _check(facet, reference.columns)
        found += bias.report(reference, facet, version.signature, policy)
    return found


def _check(facet: Facet, columns: list[str]) -> None:
    for field, name in (("column", facet.column), ("group", facet.group)):
        if name is not None and name not in columns:
            known = ", ".join(one for one in columns if not one.startswith("_"))
            raise BadInputError(
                f"The rows have no column {name!r}.", field=field, hint=f"They have {known}."
            )
    if sum((bool(facet.disadvantaged), facet.below is not None, facet.above is not None)) > 1:
        raise BadInputError(
            "A facet is cut by disadvantaged, below or above: by one of them.", field="below"
        )


def attribution(ws: Workspace, model: str, number: int) -> Attribution:
    """Return what a version listens to, the heaviest column first.

    Raises:
        NotFoundError: if there is no such version.
    """
    version, _ = ws.read(Permission.READ, lambda tx: _of_version(tx, model, number))
    profile: Profile = package.profile(version.package, ws.objects)
    shares = [Share(column=one.name, share=one.share, type=one.type) for one in profile.columns]
    return Attribution(
        model=model,
        number=number,
        method="permutation: mean change of the score when the column is shuffled",
        shares=sorted(shares, key=lambda one: (-one.share, one.column)),
    )


def age_report(ws: Workspace, endpoint: str) -> AgeReport:
    """Return the age of an endpoint's champion and the staleness curve of its windows.

    Raises:
        NotFoundError: if there is no such endpoint, or nobody serves it.
    """

    def look(tx: Tx) -> tuple[Version, MonitorPolicy, list[age.Point]]:
        version, policy = _champion(tx, endpoint)
        points = age.points_of(windows.list_windows(tx, endpoint, limit=1000))
        return version, policy, points

    version, policy, points = ws.read(Permission.READ, look)
    now = capture.watermark(ws.captures(endpoint))
    if version.trained_until is None or now is None:
        why = "Nothing was asked yet." if now is None else "Its training rows bear no time."
        found = Finding(monitor="age", subject="age", value=None, verdict="not judged", why=why)
    else:
        found = age.judged(now - version.trained_until, points, policy)
    return AgeReport(
        endpoint=endpoint,
        model=version.model,
        version=version.number,
        trained_until=version.trained_until,
        found=found,
        points=[
            AgePoint(
                window=one.window,
                version=one.version,
                age_days=one.age_s / 86_400.0,
                rise=one.rise,
                rows=one.rows,
            )
            for one in points
        ],
    )


def skew_report(
    ws: Workspace,
    endpoint: str,
    source: list[dict[str, Any]] | None = None,
    key: str | None = None,
) -> SkewReport:
    """Return how the newest captured rows differ from the training path, or from their source.

    Without ``source`` the rows go through both paths of the version that answered most of them,
    its estimator included. With it, each raw column is compared with the source row that has
    the same ``key``.

    Raises:
        NotFoundError: if there is no such endpoint, or nobody serves it.
        BadInputError: naming the field, for a source or key that cannot be compared.
    """
    champion, policy = ws.read(Permission.READ, lambda tx: _champion(tx, endpoint))
    folder = ws.captures(endpoint)
    newest = capture.watermark(folder)
    if newest is None:
        raise NotFoundError(f"Nothing was captured of {endpoint} yet.", field="endpoint")
    since = newest - policy.window_s
    frame = capture.read(folder, since, None)
    number = main_version(frame)
    version = champion
    if number is not None and number != champion.number:
        version = ws.read(Permission.READ, lambda tx: registry.get(tx, champion.model, number))
    blank = SkewReport(
        endpoint=endpoint, version=number, since=since, until=newest, rows=frame.height, found=[]
    )
    if source is not None:
        found, unmatched = _against(frame, source, key, version.signature)
        return msgspec.structs.replace(blank, found=found, unmatched=unmatched)
    return msgspec.structs.replace(blank, found=_paths(ws, frame, version, policy, endpoint))


def _paths(
    ws: Workspace, frame: pl.DataFrame, version: Version, policy: MonitorPolicy, endpoint: str
) -> list[Finding]:
    models = Models(ws.objects)
    times = frame["_time"]
    sight = Sight(
        frame=frame,
        baseline=package.profile(version.package, ws.objects),
        signature=version.signature,
        policy=policy,
        span=(float(times.min() or 0.0), float(times.max() or 0.0)),  # type: ignore[arg-type]
        endpoint=endpoint,
        version=version.number,
        window="",
        score=lambda rows: models.score(version.package, rows),
        beside=Beside(paths=lambda rows, ask: both_paths(ws, models, version.package, rows, ask)),
    )
    return skew.skew_on_inputs(sight)


def _against(
    frame: pl.DataFrame, source: list[dict[str, Any]], key: str | None, signature: Signature
) -> tuple[list[Finding], int]:
    if key is None:
        raise BadInputError("A source needs a key: the column that both sides share.", field="key")
    given = pl.DataFrame(source, infer_schema_length=None, strict=False)
    for name, columns in (("source", given.columns), ("captured rows", frame.columns)):
        if key not in columns:
            raise BadInputError(
                f"The {name} has no column {key!r}.",
                field="key",
                hint=f"It has {', '.join(c for c in columns if not c.startswith('_'))}.",
            )
    found = skew.against_source(frame, given, key, [one.name for one in signature.columns])
    return found.findings, found.unmatched


def _of_version(tx: Tx, model: str, number: int) -> tuple[Version, MonitorPolicy]:
    """Return a version and the monitoring that a loop of its model declares, if one does."""
    loops = [spec for spec in reactor.loops(tx) if spec.model == model]
    policy = next((spec.monitor for spec in loops if spec.monitor.bias), None)
    return registry.get(tx, model, number), policy or (
        loops[0].monitor if loops else MonitorPolicy()
    )


def _champion(tx: Tx, endpoint: str) -> tuple[Version, MonitorPolicy]:
    found = endpoints.get(tx, endpoint)
    number = registry.champion(tx, found.model)
    if number is None:
        raise NotFoundError(f"Nobody serves {endpoint} yet.", field="endpoint")
    specs = [spec for spec in reactor.loops(tx) if spec.endpoint == endpoint]
    policy = specs[0].monitor if specs else MonitorPolicy()
    return registry.get(tx, found.model, number), policy
