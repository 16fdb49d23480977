"""Tell a run what it waits for: a person's yes or no, or news of an event; list what waits.

A step that waits is a parked task; what it waits for is a task that nobody works on, due when the
wait expires. Whoever is first, the teller or the expiry, ends that task; so each wait has one
answer, whatever crashes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import tasks
from mainspring.experiments import runs as experiments
from mainspring.ground.clock import iso
from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.identity import canonical
from mainspring.ground.objects import RunStatus, StepState
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import growing, reading
from mainspring.pipelines.literals import check_literal
from mainspring.workspace import news as news_

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainspring.pipelines.graph import Block, Node
    from mainspring.pipelines.growing import Controller
    from mainspring.workspace.opening import Workspace

MOST_BYTES = 1_000_000  #: of a signal's value
_MOST_RUNS = 1_000  #: that are looked through for what waits


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A step that waits."""

    run: str
    step: str
    kind: str  #: approval, event or wait
    name: str  #: of the approval or event
    message: str  #: what the person is asked
    since: float | None  #: UTC seconds
    expires: float | None  #: UTC seconds; None: it waits for as long as it takes


def approve(ws: Workspace, run: str, step: str, reason: str) -> None:
    """Say yes to a step that waits for an approval; who, when and why is kept with it.

    Raises:
        PermissionDeniedError: if the principal's role may not approve.
        NotFoundError: if there is no such run or step.
        ConflictError: if it does not wait, or has its answer already.
    """
    _answer(ws, run, step, reason, approved=True)


def reject(ws: Workspace, run: str, step: str, reason: str) -> None:
    """Say no to a step that waits for an approval. Raises what :func:`approve` raises."""
    _answer(ws, run, step, reason, approved=False)


def signal(
    ws: Workspace,
    run: str,
    name: str,
    value: Any = None,
    *,
    error: str = "",
    error_type: str = "EventFailed",
) -> list[str]:
    """Bring news of an event to a run; return the steps that were told.

    ``name`` is the event's, or that of one step that waits for it. News for a step that does not
    wait yet are kept until it does. With ``error`` the news are bad: the step fails with it, and
    with ``error_type`` for ``ms.catch``.

    Raises:
        NotFoundError: if there is no such run.
        BadInputError: for a value that JSON cannot hold, or of more than 1 MB; for a value
            beside an error.
        ConflictError: if the run has ended, or nothing in it waits for this any more.
    """
    brought = checked_news(value, error, error_type)

    def work(tx: Tx) -> list[str]:
        _running(tx, run)
        found = [
            one
            for one in growing.of_kind(tx, run, "event")
            if name in (one.name, one.spec.settings["name"])
        ]
        news = {**brought, "by": tx.who.name, "at": ws.clock.now()}
        told = [one.name for one in found if _told(tx, one, news)]
        told = told or _told_early(tx, run, name, news)
        if not told:
            raise ConflictError(
                f"Nothing in run {run} waits for {name!r}.",
                field="name",
                hint="mainspring waiting lists what waits.",
            )
        tx.audit("run.signal", f"run:{run}", {"name": name, "steps": told})
        return told

    return ws.write(Permission.RUN, work)


def checked_news(value: Any, error: str, error_type: str) -> dict[str, Any]:
    """Return what is brought to a step that waits: a value, or an error and its type.

    Raises:
        BadInputError: for a value that JSON cannot hold, or of more than 1 MB; for both at once.
    """
    check_literal(value, "value")
    if len(canonical(value)) > MOST_BYTES:
        raise BadInputError(f"A value is at most {MOST_BYTES:,} bytes.", field="value")
    if error and value is not None:
        raise BadInputError("Bring a value or an error, not both.", field="error")
    return {"error": error, "type": error_type} if error else {"value": value}


def waiting(ws: Workspace, run: str | None = None) -> list[Waiting]:
    """Return the steps that wait, of one run or of all that are at work, the longest first."""

    def look(tx: Tx) -> list[Waiting]:
        if run is not None:
            experiments.get(tx, run)
        found = growing.waiting(tx, run, _MOST_RUNS)
        return [_listed(tx, one, since) for one, since in found]

    return sorted(ws.read(Permission.READ, look), key=lambda one: one.since or 0.0)


def _answer(ws: Workspace, run: str, step: str, reason: str, *, approved: bool) -> None:
    if not reason.strip():
        raise BadInputError("Say why: a reason is kept with the answer.", field="reason")

    def work(tx: Tx) -> None:
        _running(tx, run)
        kind = reading.get(tx, run, step).kind
        if kind != "approval":
            raise BadInputError(
                f"Step {step} waits for no approval: it is a {kind}.", field="step"
            )
        found = growing.load(tx, run, step)
        now = ws.clock.now()
        told = {"approved": approved, "by": tx.who.name, "at": now, "reason": reason.strip()}
        if found.state != StepState.RUNNING or not tasks.tell(tx, news_.id_of(found), told, now):
            raise ConflictError(
                f"Step {step} of run {run} waits for no answer{_why_not(tx, found, now)}.",
                field="step",
                hint="mainspring waiting lists what waits.",
            )
        act = "step.approve" if approved else "step.reject"
        tx.audit(act, f"run:{run}", {"step": step}, reason.strip())

    ws.write(Permission.PROMOTE, work)


def _why_not(tx: Tx, found: Controller, now: float) -> str:
    if found.state != StepState.RUNNING:
        return f": it is {found.state}"
    task = tasks.get(tx, news_.id_of(found))
    if task is not None and task.state == "ready" and task.due is not None and task.due <= now:
        return f": its time was over at {iso(task.due)}"
    return ": it has one already"


def _told(tx: Tx, found: Controller, brought: dict[str, Any]) -> bool:
    """Tell one step, or keep the news for when it waits; return whether it needed them."""
    if found.state not in (StepState.WAITING, StepState.RUNNING):
        return False
    if found.state == StepState.WAITING:
        asked = int(found.memo.get("asked", 0)) + (1 if found.memo.get("over", True) else 0)
        tasks.submit(tx, [news_.task_for(found.run, found.name, asked)])
        news = growing.news_id(found.run, found.name, asked)
    else:
        news = news_.id_of(found)
    return tasks.tell(tx, news, brought, brought["at"])


def _told_early(tx: Tx, run: str, name: str, brought: dict[str, Any]) -> list[str]:
    """Keep news for steps of a branch that is not planted yet; return which they are.

    What a map or an iteration wires is called only later, and waits first.
    """
    found = [
        node.name
        for one in growing.undecided(tx, run)
        for block in one.spec.blocks.values()
        for node in _by_the_graph(block)
        if node.kind == "event" and name in (node.name, node.settings["name"])
    ]
    tasks.submit(tx, [news_.task_for(run, step, 1) for step in found])
    ids = {step: growing.news_id(run, step, 1) for step in found}
    return [step for step, news in ids.items() if tasks.tell(tx, news, brought, brought["at"])]


def _by_the_graph(block: Block) -> Iterator[Node]:
    """Go through the nodes that are called by the graph, wherever they are planted."""
    for node in block.nodes if not block.naming else ():
        yield node
        for inner in node.blocks.values():
            yield from _by_the_graph(inner)


def _running(tx: Tx, run: str) -> None:
    status = experiments.get(tx, run).status
    if status is not RunStatus.RUNNING:
        raise ConflictError(f"Run {run} has ended: it is {status}.", field="run")


def _listed(tx: Tx, found: Controller, since: float | None) -> Waiting:
    settings = found.spec.settings
    return Waiting(
        run=found.run,
        step=found.name,
        kind=found.kind,
        name=settings["name"],
        message=settings.get("message", ""),
        since=since,
        expires=news_.until(tx, found),
    )
