"""Scan for debt and keep what was found; measure the features of a version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mainspring.debt import ledger
from mainspring.debt import scan as judging
from mainspring.debt.ablation import Ablation
from mainspring.debt.facts import Limits, World
from mainspring.debt.findings import DebtFinding
from mainspring.debt.scan import Budget, Owed
from mainspring.ground.clock import iso
from mainspring.ground.errors import NotFoundError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Evidence, Record
from mainspring.ground.permissions import Permission
from mainspring.readiness import evidence, registry
from mainspring.workspace import calling
from mainspring.workspace.owed import gathering

if TYPE_CHECKING:
    from mainspring.ground.ports import Tx
    from mainspring.workspace.opening import Workspace


class Figures(Record, frozen=True, kw_only=True):
    """How large a thing is that can become a jungle: a pipeline, or a project's source."""

    name: str  #: module:function, or source:FOLDER
    steps: int
    edges: int = 0
    depth: int = 0  #: steps in a row
    lines: int = 0  #: of code
    outside: float | None = None  #: share of them outside of steps and pipelines


class Scan(Record, frozen=True, kw_only=True):
    """What is owed, and whether that is within the budget."""

    at: float
    model: str = ""  #: what belongs to this model alone; blank: everything
    owed: list[Owed]
    open: int  #: findings that count
    accepted: int
    weight: int  #: low 1, medium 3, high 9
    counts: dict[str, int]  #: of those that count, by kind
    unseen: list[str] = []  #: what could not be looked at, and why
    broken: list[str] = []  #: in which ways more is owed than the budget allows
    fresh: list[str] = []  #: ids that the scan before did not have
    paid: list[str] = []  #: ids that the scan before had, and that are gone
    figures: list[Figures] = []  #: of pipelines and sources, whether or not they are owed for


def scan(
    ws: Workspace,
    *,
    model: str | None = None,
    kind: str | None = None,
    budget: Budget | None = None,
    keep: bool = True,
    limits: Limits | None = None,
    tell: gathering.Tell | None = None,
) -> Scan:
    """Look for debt now; ``keep`` writes the scan into the ledger, unless it is of one kind.

    Raises:
        NotFoundError: if there is no such model.
        BadInputError: if there is no such kind.
    """
    if kind is not None:
        judging.check_kind(kind)
    if model is not None:
        _there(ws, model)
    world = gathering.world(ws, limits, tell)
    found = [one for one in judging.find(world) if model is None or _is_of(one, model, world)]
    found = [one for one in found if kind is None or one.kind == kind]

    def work(tx: Tx) -> tuple[list[Owed], list[str]]:
        owed = judging.standing(found, ledger.accepted(tx), world.now)
        before = ledger.newest(tx, model or "")
        return owed, [] if before is None else before[0].ids

    owed, before = ws.read(Permission.READ, work)
    ids = [one.finding.id for one in owed]
    broken = [] if budget is None else budget.broken(owed)
    told = Scan(
        at=world.now,
        model=model or "",
        owed=owed,
        open=sum(one.counts for one in owed),
        accepted=sum(not one.counts for one in owed),
        weight=judging.weight(owed),
        counts=judging.counts(owed),
        unseen=world.unseen,
        broken=broken,
        fresh=[one for one in ids if before and one not in before],
        paid=[one for one in before if one not in ids] if kind is None else [],
        figures=_figures(world),
    )
    if keep and kind is None:
        ws.write(Permission.LOG, lambda tx: _keep(tx, told, budget is not None))
    return told


def _figures(world: World) -> list[Figures]:
    of_pipelines = [
        Figures(name=one.name, steps=one.steps, edges=one.edges, depth=one.depth)
        for one in world.pipelines
    ]
    return of_pipelines + [
        Figures(
            name=f"source:{one.root}",
            steps=len(one.steps),
            lines=one.lines,
            outside=1 - one.step_lines / one.lines if one.lines else None,
        )
        for one in world.sources
    ]


def _keep(tx: Tx, told: Scan, judged: bool) -> None:
    row = ledger.record(tx, told.owed, told.unseen, told.model, told.at)
    shown = ", ".join(f"{n} {kind}" for kind, n in told.counts.items()) or "nothing"
    evidence.record(
        tx,
        Evidence(
            id=new_id("ev"),
            kind="debt",
            subject=f"model:{told.model}" if told.model else "project",
            passed=not told.broken if judged else None,
            found=f"{told.open} findings weigh {told.weight}: {shown}.",
            at=told.at,
            by=tx.who.name,
            detail={
                "scan": row.id,
                "open": told.open,
                "accepted": told.accepted,
                "weight": told.weight,
                "counts": told.counts,
                "broken": told.broken,
            },
        ),
    )


def listed(ws: Workspace, model: str | None = None) -> Scan:
    """Return what the newest scan of the ledger found, as it stands now.

    Raises:
        NotFoundError: if there was none yet.
    """

    def look(tx: Tx) -> Scan | None:
        found = ledger.newest(tx, model or "")
        if found is None:
            return None
        row, findings = found
        owed = judging.standing(findings, ledger.accepted(tx), ws.clock.now())
        return Scan(
            at=row.at,
            model=row.scope,
            owed=owed,
            open=sum(one.counts for one in owed),
            accepted=sum(not one.counts for one in owed),
            weight=judging.weight(owed),
            counts=judging.counts(owed),
            unseen=row.unseen,
        )

    told = ws.read(Permission.READ, look)
    if told is None:
        raise NotFoundError(
            "Nobody has looked for debt yet.", field="model", hint="Run: mainspring debt"
        )
    return told


def markdown(told: Scan) -> str:
    """Return a scan as Markdown, for a pull request or a page."""
    lines = [
        f"# Debt{f' of {told.model}' if told.model else ''}",
        f"{told.open} findings weigh {told.weight}; {told.accepted} more are accepted."
        f" Looked {iso(told.at)}.",
        *(f"**Over the budget.** {one}" for one in told.broken),
    ]
    head = "| severity | kind | what | where | found | cost | to do | id |\n"
    rows = [head + "|" + " --- |" * 8]
    for one in told.owed:
        f = one.finding
        note = f"{f.found} _{one.note}_" if one.note else f.found
        cells = (f.severity, f.kind, f.subject, f.where, note, f.cost, f.todo, f.id)
        rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    lines += ["\n".join(rows)] if told.owed else ["Nothing is owed that could be seen."]
    lines += [f"* {_measure(one)}" for one in told.figures]
    if told.unseen:
        lines.append("Not looked at:\n\n" + "\n".join(f"* {_cell(one)}" for one in told.unseen))
    return "\n\n".join(lines) + "\n"


def _measure(one: Figures) -> str:
    if one.outside is None:
        return f"{one.name}: {one.steps} steps, {one.edges} edges, {one.depth} in a row"
    share = f"{one.outside:.0%} outside of steps"
    return f"{one.name}: {one.steps} steps, {one.lines:,} lines of code, {share}"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _there(ws: Workspace, model: str) -> None:
    known = ws.read(Permission.READ, registry.models)
    if all(one.name != model for one in known):
        raise NotFoundError(f"There is no model {model[:80]!r}.", field="model")


def _is_of(one: DebtFinding, model: str, world: World) -> bool:
    """Return whether a finding belongs to a model: its versions, loops, endpoints, pipelines."""
    names = {f"model:{model}"}
    names |= {f"endpoint:{e.name}" for e in world.endpoints if e.model == model}
    for loop in world.loops:
        if loop.model == model:
            names |= {f"loop:{loop.name}", f"pipeline:{loop.pipeline}"}
    start = one.subject.replace("@", "/").partition("/")[0]
    return one.subject in names or ("/" in one.subject.replace("@", "/") and start == model)


# ---------------------------------------------------------------- ablation


def ablate(ws: Workspace, ref: str) -> tuple[Ablation, Evidence]:
    """Measure what each feature of a version is worth, and keep that as evidence on it.

    ``ref`` is ``name/7`` or ``name@champion``. The same version always gives the same figures,
    but for the times that expressions take.

    Raises:
        NotFoundError: if there is no such version.
        BadInputError: if it holds no model of ours.
    """
    version = ws.read(Permission.READ, lambda tx: registry.resolve(tx, ref))
    name = f"{version.model}/{version.number}"
    told = calling.child(ws, "ablate", {"version": name, "package": version.package})
    found = msgspec.convert(told, Ablation)
    kept = Evidence(
        id=new_id("ev"),
        kind="ablation",
        subject=name,
        passed=found.passed,
        found=found.sentence,
        at=ws.clock.now(),
        by=ws.who.name,
        detail=told,
        opens=[f"run:{version.run}"] if version.run else [],
    )
    ws.write(Permission.REGISTER, lambda tx: evidence.record(tx, kept))
    return found, kept
