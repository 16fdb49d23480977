"""Gather the facts of a debt scan: from the store, from traffic, from the project's source."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from mainspring.backends.sql.audit import AUDIT
from mainspring.debt import ablation, consumers
from mainspring.debt import facts as f
from mainspring.debt.dependents import closure
from mainspring.ground.objects import Evidence, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.records import DAY_S
from mainspring.monitoring import rulebook
from mainspring.pipelines import unused
from mainspring.readiness import evidence, registry
from mainspring.scaling.serving import callers
from mainspring.workspace.opening import Workspace
from mainspring.workspace.owed import lineage, shapes
from mainspring.workspace.owed.lineage import Lineage

Tell = Callable[[str], None]

_SOURCE, _DIRTY = "mainspring.source", "mainspring.git.dirty"


def world(ws: Workspace, limits: f.Limits | None = None, tell: Tell | None = None) -> f.World:
    """Return all facts of a scan. The project's source is read, and never run."""
    limits, say = limits or f.Limits(), tell or (lambda _: None)
    say("reading the store")
    found = ws.read(Permission.READ, lambda tx: _stored(ws, tx, limits))
    say("reading the source")
    sources, unseen = _sources(ws)
    return msgspec.structs.replace(found, sources=sources, unseen=[*found.unseen, *unseen])


def _stored(ws: Workspace, tx: Tx, limits: f.Limits) -> f.World:
    now = ws.clock.now()
    known = Lineage(tx)
    aliases = _aliases(tx, known)
    versions = [_version(ws, tx, one, aliases) for one in _named(known, aliases)]
    of_pipelines, params, inputs = shapes.of_runs(tx, known)
    return f.World(
        now=now,
        limits=limits,
        versions=versions,
        aliases=aliases,
        upstream=lineage.upstream(known),
        loops=[_loop(known, row.name, of_pipelines) for row in known.loops],
        thresholds=_thresholds(tx, known),
        endpoints=[_endpoint(ws, tx, one.name, one.model, now, limits) for one in known.endpoints],
        pipelines=[facts for facts, _ in of_pipelines.values()],
        params=params,
        inputs=inputs,
        deprecated=_deprecated(ws, tx),
        unseen=[
            f"{one.name}: nobody measured its features. Run: mainspring ablate {one.name}"
            for one in versions
            if "champion" in one.aliases and one.ablation is None and one.can_ablate
        ],
    )


# ---------------------------------------------------------------- versions and aliases


def _aliases(tx: Tx, known: Lineage) -> list[f.AliasFacts]:
    found = []
    for model in known.models:
        moves = registry.history(tx, model)
        newest = max((one.number for one in known.versions if one.model == model), default=0)
        for alias, number in registry.aliases_of(tx, model).items():
            last = [one.made or one.at for one in moves if one.alias == alias]
            found.append(
                f.AliasFacts(
                    model=model,
                    alias=alias,
                    number=number,
                    moved=last[-1] if last else 0.0,
                    newest=newest,
                    champion=known.champions.get(model),
                )
            )
    return found


def _named(known: Lineage, aliases: list[f.AliasFacts]) -> list[Version]:
    """Return the versions that an alias names, and each model's newest; the newest last."""
    named = {(one.model, one.number) for one in aliases}
    newest = {model: max(v.number for v in known.versions if v.model == model)
              for model in {v.model for v in known.versions}}  # fmt: skip
    named |= set(newest.items())
    found = [one for one in known.versions if (one.model, one.number) in named]
    return sorted(found, key=lambda one: (one.model, one.number))


def _version(ws: Workspace, tx: Tx, one: Version, aliases: list[f.AliasFacts]) -> f.VersionFacts:
    name = f"{one.model}/{one.number}"
    run = None if one.run is None else _run_tags(tx, one.run)
    tags = run or {}
    dirty = tags.get(_DIRTY)
    standing = {found.kind: found for found in evidence.standing(tx, name)}
    measured = standing.get("ablation")
    shaped, warning = _echo(standing.get("training_set"))
    return f.VersionFacts(
        model=one.model,
        number=one.number,
        aliases=[a.alias for a in aliases if (a.model, a.number) == (one.model, one.number)],
        made=one.created,
        owner=None if one.card is None else one.card.owner,
        assumptions=_assumptions(one),
        run=one.run,
        source=_started(tags),
        dirty=None if dirty is None else dirty == "true",
        columns=[column.name for column in one.signature.columns],
        target=one.signature.target,
        ablation=None if measured is None else ablation.read(measured.detail),
        ablated=None if measured is None else measured.at,
        can_ablate=_has_model(ws, one),
        shaped=shaped,
        echo=warning,
    )


def _started(tags: dict[str, str]) -> str:
    """Return what was started, in words for a notebook; blank where it was not taken down."""
    line = tags.get(_SOURCE, "")
    if "mainspring.notebook" in tags:
        return f"notebook {tags['mainspring.notebook']}"
    return "notebook" if "ipykernel" in line else line


def _run_tags(tx: Tx, run: str) -> dict[str, str] | None:
    from mainspring.experiments import runs

    found = runs.several(tx, [run])
    return found[0].tags if found else None


def _assumptions(one: Version) -> list[dict[str, Any]]:
    """Return the assumptions of a card, by text, owner and when their review is due."""
    told = {} if one.card is None else msgspec.to_builtins(one.card)
    return [
        {"text": each["text"], "owner": each["owner"], "review": _day_end(each["review_by"])}
        for each in told.get("assumptions", [])
    ]


def _day_end(day: str) -> float | None:
    """Return the end of a day in UTC, as wall time; None if it is no day."""
    try:
        return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() + DAY_S
    except ValueError:
        return None


def _has_model(ws: Workspace, one: Version) -> bool:
    from mainspring.ground.errors import MainspringError
    from mainspring.scaling.models import package

    try:
        return package.holds_model(one.package, ws.objects)
    except MainspringError:
        return False  # another tool's files, or none: there is nothing to measure


def _echo(one: Evidence | None) -> tuple[float | None, str]:
    """Return the share of training rows that the model's own decision shaped, and the warning.

    The share is the least it surely is; None where it is not known.
    """
    told = {} if one is None else one.detail.get("feedback") or {}
    share = told.get("shaped_share")
    low = float(share[1]) if isinstance(share, list | tuple) and len(share) == 3 else None
    return low, str(told.get("warning", ""))


# ---------------------------------------------------------------- loops and thresholds


def _loop(known: Lineage, name: str, shown: dict[str, Any]) -> f.LoopFacts:
    spec = next(row.spec for row in known.loops if row.name == name)
    version = known.standing(spec.model)
    seen = shown.get(spec.pipeline)
    return f.LoopFacts(
        name=name,
        model=spec.model,
        pipeline=spec.pipeline,
        endpoint=spec.endpoint,
        kind=spec.kind,
        steps=[] if seen is None else seen[1],
        columns=[] if version is None else [one.name for one in version.signature.columns],
        policy=policy_of(spec),
        owner=None if spec.card is None else spec.card.owner,
    )


def policy_of(spec: Any) -> dict[str, str]:
    """Return every setting of a loop's policies by its dotted name, as text."""
    found: dict[str, str] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                walk(inner, f"{path}.{key}")
        else:
            found[path] = msgspec.json.encode(value, order="deterministic").decode()

    for part in ("gate", "rollout", "monitor", "retraining"):
        walk(msgspec.to_builtins(getattr(spec, part)), part)
    return found


def _thresholds(tx: Tx, known: Lineage) -> list[f.Threshold]:
    found = []
    for row in known.loops:
        since = _declared(tx, row.name)
        if since is None:
            continue
        limits = {f"gate.at_least.{k}": v for k, v in row.spec.gate.at_least.items()}
        limits |= {f"gate.at_most.{k}": v for k, v in row.spec.gate.at_most.items()}
        found += [
            f.Threshold(subject=f"loop:{row.name}", what=what, value=value, since=since)
            for what, value in limits.items()
        ]
    for name, rule in rulebook.every(tx).items():
        made = max(one.made for one in rulebook.versions(tx, name) if one.active)
        for what, value in (("above", rule.above), ("below", rule.below)):
            if value is not None:
                found.append(
                    f.Threshold(subject=f"rule:{name}", what=what, value=value, since=made)
                )
    return found


def _declared(tx: Tx, loop: str) -> float | None:
    """Return when a loop was declared as it is: by the wall clock, which the audit log keeps."""
    question = select(AUDIT.c.at).where(
        AUDIT.c.action == "loop.declare", AUDIT.c.subject == f"loop:{loop}"
    )
    row = tx.one(question.order_by(AUDIT.c.seq.desc()).limit(1))
    return None if row is None else float(row.at)


# ---------------------------------------------------------------- traffic and notices


def _endpoint(
    ws: Workspace, tx: Tx, name: str, model: str, now: float, limits: f.Limits
) -> f.EndpointFacts:
    since = now - limits.traffic_days * DAY_S
    seen = callers.read(ws.captures(name), since, now + 1)
    return f.EndpointFacts(
        name=name,
        model=model,
        callers=[f.Caller(**msgspec.structs.asdict(one)) for one in seen],
        consumers=[
            f.ConsumerFacts(
                name=one.name,
                owner=one.owner,
                tokens=one.tokens,
                clients=one.clients,
                since=one.at,
            )
            for one in consumers.of_endpoint(tx, name)
        ],
    )


def _deprecated(ws: Workspace, tx: Tx) -> list[f.Deprecated]:
    gone = consumers.deprecated(tx)
    if not gone:
        return []
    edges = lineage.edges(ws, tx)
    found = []
    for one in gone:
        start = f"model:{one.subject.partition('/')[0]}" if "/" in one.subject else one.subject
        below = [near for near in closure(edges, start) if near.kind in ("model", "loop")]
        found.append(
            f.Deprecated(
                subject=one.subject,
                until=one.until,
                reason=one.reason,
                use=one.use,
                dependents=[near.name for near in below],
            )
        )
    return found


# ---------------------------------------------------------------- source


def roots(ws: Workspace, loops: list[str]) -> list[Path]:
    """Return the folders of projects that are known here: the own one, and those of loops."""
    own = Path(ws.settings.root)
    marks = ("mainspring.toml", "project.py")
    found = [own] if any((own / mark).is_file() for mark in marks) else []
    found += [Path(one) for one in loops if one]
    return [one for one in dict.fromkeys(path.resolve() for path in found) if one.is_dir()]


def _sources(ws: Workspace) -> tuple[list[f.SourceFacts], list[str]]:
    from mainspring.engine import reactor

    specs = ws.read(Permission.READ, reactor.loops)
    found, unseen = [], []
    folders = roots(ws, [one.root for one in specs])
    if not folders:
        unseen.append(f"source: there is no project in {ws.settings.root}, and no loop has one")
    proofs = ws.read(Permission.READ, _tests)
    for root in folders:
        told = unused.read(root)
        unseen += [f"{name}: it is no Python" for name in told.unread]
        plain = msgspec.to_builtins(told)
        found.append(
            f.SourceFacts(
                root=root.name,
                files=told.files,
                lines=told.lines,
                step_lines=told.step_lines,
                unused=plain["unused"],
                branches=plain["branches"],
                steps=plain["steps"],
                tested=told.tested,
                tests=told.tests,
                covered=proofs,
                habits=plain["habits"],
                floating=plain["floating"],
            )
        )
    return found, unseen


def _tests(tx: Tx) -> dict[str, float]:
    """Return the share of each step's lines that the newest tests ran, where that was measured."""
    covered: dict[str, float] = {}
    for one in reversed(evidence.listing(tx, kind="tests", limit=50)):
        told = one.detail.get("lines")
        for name, pair in told.items() if isinstance(told, dict) else ():
            if isinstance(pair, list) and len(pair) == 2 and pair[1]:
                covered[str(name).rpartition(":")[2]] = pair[0] / pair[1]
    return covered
