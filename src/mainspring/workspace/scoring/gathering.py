"""Gather from the rooms what the ML Test Score looks at: what ran, and when by the wall clock.

Windows, gates of a loop and moves of the champion are dated by event time, which may be turned.
Evidence ages by wall time, so each is dated here by something that the wall clock saw before it:
a window by when its newest row came, a move by its decision, a gate by its version's making.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from mainspring.debt.score import facts as f
from mainspring.engine import reactor
from mainspring.experiments import families, finding, runs
from mainspring.experiments.finding import Condition, Search
from mainspring.ground.errors import NotFoundError
from mainspring.ground.objects import (
    Decision,
    Evidence,
    GateResult,
    Rollout,
    Run,
    RunStatus,
    Version,
    Window,
)
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import channels, windows
from mainspring.pipelines import reading
from mainspring.readiness import decisions, evidence, gate, proofs, registry
from mainspring.scaling.models import package
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scoring import captured

#: The newest versions, windows and tunings that are looked at.
VERSIONS, WINDOWS, TUNINGS = 20, 60, 20
#: Params that no tuning looks for: what the loop gives, and what seeds chance.
_GIVEN = ("captured", "seed", "random_state")


def gather(ws: Workspace, model: str, max_age_s: float = f.MAX_AGE_S) -> f.Facts:
    """Return the facts about a model.

    Raises:
        NotFoundError: if there is no such model.
    """

    def look(tx: Tx) -> tuple[f.Facts, Version | None, list[tuple[str, Window]]]:
        if all(known.name != model for known in registry.models(tx)):
            raise NotFoundError(f"There is no model {model!r}.", field="model")
        names = [one.name for one in endpoints.of_model(tx, model)]
        seen = [(n, w) for n in names for w in windows.list_windows(tx, n, limit=WINDOWS)]
        seen.sort(key=lambda one: -one[1].end)
        number = registry.champion(tx, model)
        champion = None if number is None else registry.get(tx, model, number)
        known = _evidence(tx, model, champion, names)
        moves = _moves(tx, model, names)
        made = _versions(tx, model, number, [w for _, w in seen])
        return (
            f.Facts(
                model=model,
                now=ws.clock.now(),
                max_age_s=max_age_s,
                champion=number,
                versions=made,
                moves=moves,
                tunings=_tunings(tx),
                channels=[
                    f.Told(name=c.name)
                    for c in channels.every(tx)
                    if c.active and (not c.endpoints or set(c.endpoints) & set(names))
                ],
                arrived=_arrived(tx, model, champion, moves),
                evidence=known,
            ),
            champion,
            seen,
        )

    found, champion, seen = ws.read(Permission.READ, look)
    more: dict[str, Any] = {"windows": captured.dated(ws, seen)}
    if champion is not None:
        more["schema"] = _schema(ws, champion)
        more["biases"] = captured.biases(ws, champion, seen)
        more["finite"] = _finite(ws, champion, seen)
    return replace(found, **more)


# ---------------------------------------------------------------- versions


def _versions(tx: Tx, model: str, champion: int | None, seen: Sequence[Window]) -> list[f.Made]:
    every = registry.versions(tx, model)
    newest = [one for n, one in enumerate(every) if n < VERSIONS or one.number == champion]
    return [_made(tx, version, seen) for version in newest]


def _made(tx: Tx, version: Version, seen: Sequence[Window]) -> f.Made:
    run = _run(tx, version.run)
    judged = gate.latest(tx, version.model, version.number)
    offline, online, rows = _losses(version.number, seen)
    tags = run.tags if run is not None else {}
    before, fitted = ([], []) if run is None else _steps(tx, run.id, version.package)
    return f.Made(
        number=version.number,
        created=version.created,
        by=version.by,
        run=None if run is None else run.id,
        params=_numbers(run),
        commit=tags.get("mainspring.git.commit", ""),
        branch=tags.get("mainspring.git.branch", ""),
        dirty=tags.get("mainspring.git.dirty") == "true",
        feature_steps=before,
        train_steps=fitted,
        columns=[column.name for column in version.signature.columns],
        gate=None if judged is None else _judged(judged, version),
        train_s=None if run is None or run.ended is None else run.ended - run.started,
        latency_ms=_measured(judged, "latency", "p95_ms"),
        memory_bytes=_memory(tx, version),
        offline=offline,
        online=online,
        online_rows=rows,
    )


def _judged(found: GateResult, version: Version) -> f.Judged:
    # A loop dates its gates by event time; no gate is older than the version it judged.
    at = found.made or version.created
    checks = [
        f.Check(name=c.name, passed=c.passed, found=c.found, evidence=c.evidence)
        for c in found.checks
    ]
    line = getattr(found.gate, "worst_slice", None)
    return f.Judged(id=found.id, passed=found.passed, at=at, checks=checks, worst_slice=line)


def _measured(found: GateResult | None, check: str, figure: str) -> float | None:
    told = next((one for one in found.checks if one.name == check), None) if found else None
    value = told.evidence.get(figure) if told is not None else None
    return float(value) if isinstance(value, int | float) else None


def _memory(tx: Tx, version: Version) -> float | None:
    load = evidence.newest(tx, "load", f"{version.model}/{version.number}")
    value = load.detail.get("memory_mb") if load is not None else None
    return 1e6 * value if isinstance(value, int | float) else None


def _losses(number: int, seen: Sequence[Window]) -> tuple[float | None, float | None, int]:
    """Return a version's mean loss on held-out rows, by late labels, and how many these were."""
    offline, total, rows = None, 0.0, 0
    for window in seen:
        told = window.performance or {}
        if window.version == number and offline is None:
            offline = told.get("baseline_loss")
        mine = told.get("by_version", {}).get(str(number), {})
        loss = (mine.get("loss") or {}).get("estimate")
        if loss is not None and mine.get("rows"):
            total += loss * mine["rows"]
            rows += int(mine["rows"])
    return offline, (total / rows if rows else None), rows


def _run(tx: Tx, run: str | None) -> Run | None:
    try:
        return None if run is None else runs.get(tx, run)
    except NotFoundError:
        return None


def _steps(tx: Tx, run: str, made: str) -> tuple[list[str], list[str]]:
    """Return the steps that a fitted model was made from, and the one that fitted it."""
    every = {one.step: one for one in reading.steps_of(tx, run)}
    fitted = next((one.step for one in every.values() if one.output == made), None)
    if fitted is None:
        return [], []
    before: list[str] = []
    left = list(every[fitted].needs)
    while left:
        name = left.pop()
        if name not in before and name in every:
            before.append(name)
            left += every[name].needs
    return [name for name in every if name in before], [fitted]


def _numbers(run: Run | None) -> dict[str, float]:
    found = {}
    for name, text in (run.params if run is not None else {}).items():
        try:
            value = float(text)
        except ValueError:
            continue
        if name not in _GIVEN and math.isfinite(value):
            found[name] = value
    return found


# ---------------------------------------------------------------- moves


def _moves(tx: Tx, model: str, names: Sequence[str]) -> list[f.Move]:
    history = registry.history(tx, model, registry.CHAMPION)
    met = [one for name in names for one in rollouts.of_endpoint(tx, name)]
    found: list[f.Move] = []
    been: set[int] = set()
    for move in history:
        if move.number is None:
            continue
        version = registry.get(tx, model, move.number)
        said = _decision(tx, f"{model}/{move.number}", move.at)
        passed = [one for one in gate.results(tx, model, move.number) if one.passed]
        found.append(
            f.Move(
                number=move.number,
                previous=move.previous,
                at=version.created if said is None else said.made,
                gate=passed[0].id if passed else None,
                back=move.number in been,
                rollout=_met(met, move.number),
                decision=None if said is None else said.id,
            )
        )
        been.add(move.number)
    return found[::-1]


def _decision(tx: Tx, subject: str, at: float) -> Decision | None:
    """Return the decision that made a version champion: of those about it, the nearest in time."""
    made = decisions.list_decisions(tx, subject=subject, limit=100)
    about = [one for one in made if one.kind in ("promote", "roll_back")]
    return min(about, key=lambda one: abs(one.at - at), default=None)


def _met(met: Sequence[Rollout], number: int) -> str:
    for one in met:
        if one.challenger == number and one.purpose == "challenge" and one.state == "promoted":
            return str(one.strategy)
    return ""


def _arrived(
    tx: Tx, model: str, champion: Version | None, moves: Sequence[f.Move]
) -> list[f.Arrived]:
    """Return of each column of the champion how long it took from its first run to serving."""
    if champion is None:
        return []
    made = registry.versions(tx, model)
    found = []
    for column in champion.signature.columns:
        with_it = [v for v in made if any(c.name == column.name for c in v.signature.columns)]
        first = min(with_it, key=lambda one: one.created)
        run = _run(tx, first.run)
        begun = first.created if run is None else min(run.started, first.created)
        numbers = {one.number for one in with_it}
        served = [m.at for m in moves if m.number in numbers and m.at is not None]
        if served:
            found.append(f.Arrived(column=column.name, seconds=max(min(served) - begun, 0.0)))
    return found


# ---------------------------------------------------------------- the rest


def _evidence(
    tx: Tx, model: str, champion: Version | None, names: Sequence[str]
) -> list[Evidence]:
    subjects = ["project", f"model:{model}", *(f"endpoint:{name}" for name in names)]
    if champion is not None:
        subjects.append(f"{model}/{champion.number}")
        run = _run(tx, champion.run)
        if run is not None:
            subjects += [f"run:{run.id}"]
            subjects += [f"pipeline:{run.pipeline}"] if run.pipeline else []
    subjects += [f"pipeline:{one.pipeline}" for one in reactor.loops(tx) if one.model == model]
    found = [one for name in dict.fromkeys(subjects) for one in evidence.listing(tx, name)]
    steps = reading.codes(tx, champion.run) if champion is not None and champion.run else {}
    # What was tried on other code says nothing of this one.
    return [
        one
        for one in found
        if one.kind != "score"
        and (not one.code or (champion is not None and proofs.holds(one, champion, steps)))
    ]


def _tunings(tx: Tx) -> list[f.Tuned]:
    asked = Search(Condition("tag", families.FAMILY, "like", '%"kind":"tune"%'))
    found = []
    for run in runs.several(tx, finding.page(tx, asked, limit=TUNINGS).ids):
        wanted = families.family_of(run)
        if wanted.kind != "tune" or run.status is not RunStatus.FINISHED or run.ended is None:
            continue
        found.append(
            f.Tuned(run=run.id, at=run.ended, params=sorted(wanted.space), trials=wanted.count)
        )
    return found


def _schema(ws: Workspace, champion: Version) -> f.Schema | None:
    inferred = captured.profile_of(ws, champion)
    if inferred is None:
        return None
    told = package.contract(champion.package, ws.objects)
    if told is None:
        return f.Schema(digest=champion.package, columns=len(inferred.columns))
    return f.Schema(
        digest=champion.package,
        columns=len(told.contract.columns),
        declared=True,
        broken=[one.sentence for one in told.training.violations],
    )


def _finite(
    ws: Workspace, champion: Version, seen: Sequence[tuple[str, Window]]
) -> f.Finite | None:
    answers = captured.answers(ws, champion, seen)
    if answers is None:
        return None
    run = ws.read(Permission.READ, lambda tx: _run(tx, champion.run))
    figures = [*champion.metrics.values(), *(run.metrics.values() if run is not None else ())]
    kept = captured.profile_of(ws, champion)
    figures += [] if kept is None else kept.metrics.values()
    return f.Finite(
        trained=len(figures),
        trained_bad=sum(not math.isfinite(value) for value in figures),
        served=answers.rows,
        served_bad=answers.bad,
        at=answers.at,
        page=answers.page,
    )
