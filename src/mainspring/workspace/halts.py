"""Say of runs that have not ended why they do not go on: they wait, or nobody drives them.

A run's status says how far it came. Whether somebody works on it is looked at each time it is
shown, in leases, in what waits and in what could be done: an engine that was killed wrote nothing
down when it ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from shlex import quote
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engine import driving, tasks
from mainspring.experiments import runs as experiments
from mainspring.experiments.expressions import MOST_WANTED, Condition, Expression, Not, Or
from mainspring.experiments.finding import Search
from mainspring.ground.objects import Halt, HaltState, Run, RunStatus
from mainspring.ground.ports import Tx
from mainspring.pipelines import growing
from mainspring.workspace import news, signs

if TYPE_CHECKING:
    from mainspring.pipelines.growing import Controller
    from mainspring.workspace.opening import Workspace

_HALTS = tuple(map(str, HaltState))
_MOST_WAITS = 100  #: steps of a run that wait, which are counted


def seen(ws: Workspace, tx: Tx, found: Sequence[Run]) -> list[Run]:
    """Return runs with what halts them."""
    halts = of(ws, tx, [one.id for one in found if _may_halt(one)])
    return [
        msgspec.structs.replace(one, halt=halts[one.id]) if one.id in halts else one
        for one in found
    ]


def of(ws: Workspace, tx: Tx, runs: Iterable[str]) -> dict[str, Halt]:
    """Return what halts pipelines' runs that have not ended, by their ids."""
    alive: bool | None = None
    found: dict[str, Halt] = {}
    for run in runs:
        now = ws.clock.now()
        groups = [run]
        standing = driving.standing(tx, groups, now)
        if standing == driving.Standing():  # nothing of its own: perhaps of a run it started
            groups += tasks.awaited(tx, run)
            standing = driving.standing(tx, groups[1:], now)
        if standing.held:
            continue
        left = standing.lost if standing.lost is not None else standing.ready
        if left is None:
            waits = _waits(tx, groups)
            found |= {run: waits} if waits else {}
            continue
        if alive is None:
            alive = signs.engine_lives(ws) or driving.engines_alive(tx)
        # Between two tasks nobody holds any; and who starts a run begins with it in a moment.
        resting = max(left, experiments.get(tx, run).started)
        if not alive and (standing.lost is not None or now - resting > ws.settings.lease_s):
            found[run] = Halt(
                state=HaltState.INTERRUPTED,
                run=run,
                since=left or None,
                command=f"mainspring resume {run}",
            )
    return found


def check_word(status: str) -> str:
    """Return the word of a status, or of what halts a run.

    Raises:
        BadInputError: naming those there are.
    """
    return status if status in _HALTS else str(experiments.check_status(status))


def settled(ws: Workspace, tx: Tx, search: Search) -> Search:
    """Return a search whose filter the store can be asked; see :func:`resolved`."""
    asked = resolved(ws, tx, search.expression)
    if asked is search.expression:
        return search
    return msgspec.structs.replace(search, expression=asked)


def resolved(ws: Workspace, tx: Tx, asked: Expression) -> Expression:
    """Return a filter in which what asks for ``waiting`` or ``interrupted`` names the runs.

    Both are looked at, not kept, so that the store cannot be asked for them.
    """
    if not _asks(asked):
        return asked
    halts = of(ws, tx, experiments.of_pipelines_at_work(tx))
    by_state = {
        word: [run for run, halt in halts.items() if halt.state == word] for word in _HALTS
    }
    return _named(asked, by_state)


def _may_halt(run: Run) -> bool:
    return run.status is RunStatus.RUNNING and run.pipeline is not None


def _waits(tx: Tx, groups: Sequence[str]) -> Halt | None:
    """Return what a run waits for: first of its own, else of what the runs it started do."""
    for group in groups:
        several = growing.waiting(tx, group, _MOST_WAITS)
        if several:
            first, since = min(several, key=lambda one: one[1] or 0.0)
            return _halt(tx, first, since, len(several) - 1)
    return None


def _halt(tx: Tx, one: Controller, since: float | None, more: int) -> Halt:
    settings = one.spec.settings
    return Halt(
        state=HaltState.WAITING,
        kind=one.kind,
        run=one.run,
        step=one.name,
        name=settings["name"],
        message=settings.get("message", ""),
        since=since,
        until=news.until(tx, one),
        command=_command(one),
        more=more,
    )


def _command(one: Controller) -> str:
    """Return what is typed to answer a step that waits; nothing where only time does."""
    if one.kind == "approval":
        return f"mainspring approve-step {one.run} {quote(one.name)} --reason WHY"
    if one.kind == "event":
        return f"mainspring signal {quote(one.spec.settings['name'])} --run {one.run}"
    if one.kind == "callback":
        return "mainspring answer TOKEN --value JSON"
    return ""


# ---------------------------------------------------------------- filters


def _asks(asked: Expression) -> bool:
    if isinstance(asked, Condition):
        return bool(_words(asked).intersection(_HALTS))
    parts = (asked.part,) if isinstance(asked, Not) else asked.parts
    return any(map(_asks, parts))


def _words(one: Condition) -> set[str]:
    """Return the statuses that a condition names."""
    if (one.kind, one.key) != ("run", "status") or one.op not in ("=", "!=", "in", "not in"):
        return set()
    return set(map(str, one.value if isinstance(one.value, list) else [one.value]))


def _named(asked: Expression, runs: dict[str, list[str]]) -> Expression:
    if isinstance(asked, Not):
        return Not(_named(asked.part, runs))
    if not isinstance(asked, Condition):
        return type(asked)(tuple(_named(part, runs) for part in asked.parts))
    words = _words(asked)
    if not words.intersection(_HALTS):
        return asked
    kept: list[Any] = sorted(words.difference(_HALTS))
    ids = [run for word in _HALTS if word in words for run in runs[word]]
    parts: list[Expression] = [Condition("run", "status", "in", kept)] if kept else []
    lists = (ids[start : start + MOST_WANTED] for start in range(0, len(ids), MOST_WANTED))
    parts += [Condition("run", "id", "in", one) for one in lists]
    # No run has an empty id: where none is halted so, none is found.
    met: Expression = Or((*parts, Condition("run", "id", "=", "")))
    return met if asked.op in ("=", "in") else Not(met)
