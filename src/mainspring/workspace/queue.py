"""The queue: runs that wait for a free slot, worked by the engine or by ``queue work``."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from mainspring.engine import tables, tasks
from mainspring.experiments import groups, runs
from mainspring.experiments.exact import is_unseen
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Record, Run, RunStatus
from mainspring.ground.permissions import Permission, authorise
from mainspring.ground.ports import Tx
from mainspring.workspace import calling
from mainspring.workspace.families.kinds import ENTRY, ENTRY_END

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

EXPERIMENT = "queue"
#: Workers may die so often under one entry; what fails by itself is not tried again.
ATTEMPTS = 10
MOST_WORDS, MOST_TEXT = 1_000, 30_000
_CANCELLED, _SOURCE = "mainspring.cancelled", "mainspring.source"


class Queued(Record, frozen=True, kw_only=True):
    """One entry of the queue."""

    run: str
    what: str  #: the command, or the target with its params
    state: str  #: waiting, running, or how it ended
    priority: int
    attempt: int
    added: float
    begun: float | None
    ended: float | None
    error: str = ""


def add_command(
    ws: Workspace,
    words: Sequence[str],
    *,
    folder: str,
    priority: int = 0,
    experiment: str | None = None,
) -> str:
    """Queue a command and return its run. Only who may do anything here may queue commands.

    Raises:
        BadInputError: if there is no word, one cannot be an argument, or they are too long.
        PermissionDeniedError: if the principal is no admin.
    """
    authorise(ws.who, Permission.ADMIN)  # a command can do whatever this user can
    found = list(words)
    if not found or not found[0] or len(found) > MOST_WORDS or sum(map(len, found)) > MOST_TEXT:
        raise BadInputError(
            f"A command has 1 to {MOST_WORDS:,} words of at most {MOST_TEXT:,} characters in all,"
            f" found {len(found):,}.",
            field="command",
            hint="Say it after two dashes: mainspring queue add -- python train.py",
        )
    if any("\x00" in word or not _is_text(word) for word in found):
        raise BadInputError("A word of the command holds a NUL or is no text.", field="command")
    what = shlex.join(found)
    asked = {"command": found, "folder": folder}
    return _add(ws, what, asked, priority, experiment or EXPERIMENT)


def add_target(
    ws: Workspace,
    target: str,
    params: Mapping[str, Any],
    *,
    priority: int = 0,
    experiment: str | None = None,
) -> str:
    """Queue a pipeline or a function and return its run.

    Raises:
        BadInputError: for a param that is unknown, missing or of the wrong type.
        ProjectError: if the target cannot be imported.
    """
    root = ws.settings.root
    asked = {"root": root, "target": target, "params": dict(params), "varied": []}
    told = calling.child(ws, "target", asked, root=root)
    words = " ".join([target, *(f"{key}={value}" for key, value in told["params"].items())])
    entry = {"root": root, **{key: told[key] for key in ("target", "params", "pipeline")}}
    where = experiment or told["name"]
    return _add(ws, words, entry, priority, where, params=told["params"])


def _add(
    ws: Workspace,
    what: str,
    asked: dict[str, Any],
    priority: int,
    experiment: str,
    *,
    params: Mapping[str, Any] | None = None,
) -> str:
    if not -1_000 <= priority <= 1_000:
        raise BadInputError(
            f"priority must be -1,000 to 1,000, found {priority}.", field="priority"
        )
    key = groups.key_of_name(experiment)
    run = Run(
        id=new_id("run"),
        experiment=key,
        name=_as_name(what),
        status=RunStatus.RUNNING,
        started=ws.clock.now(),
        tags={_SOURCE: what},
    )
    payload = {**asked, "run": run.id, "what": what, "experiment": key, "added": run.started}
    payload["name"] = run.name
    entry = tasks.NewTask(
        id=f"{run.id}:entry",
        kind=ENTRY,
        payload=payload,
        group=run.id,
        priority=priority,
        max_attempts=ATTEMPTS,
        backoff_s=0.1,
    )
    end = tasks.NewTask(
        id=f"{run.id}:end",
        kind=ENTRY_END,
        payload={"run": run.id},
        group=run.id,
        needs=[entry.id],
        always=True,
        max_attempts=ATTEMPTS,
        priority=1_001,  # it takes no time, and what it frees is waited for
    )

    def work(tx: Tx) -> None:
        groups.ensure_named(tx, experiment, run.started)
        runs.create(tx, run)
        runs.set_params(tx, run.id, params or {})
        tasks.submit(tx, [entry, end])

    ws.write(Permission.RUN, work)
    return run.id


def _as_name(command: str) -> str:
    """Return a command as the name of its run: in one line, without what nobody can see."""
    seen = "".join(" " if is_unseen(c) else c for c in command)
    return " ".join(seen.split())[:200].strip() or "command"


def listed(ws: Workspace, *, every: bool = False, limit: int = 100) -> list[Queued]:
    """Return what runs and waits, as it will be taken; with ``every`` all, newest first."""

    def look(tx: Tx) -> list[Queued]:
        table = tables.tasks
        query = select(table).where(table.c.kind == ENTRY)
        if not every:
            query = query.where(table.c.state.not_in(tasks.FINAL))
        order = (table.c.priority.desc(), table.c.seq) if not every else (table.c.seq.desc(),)
        found = [tasks.task_of(row) for row in tx.all(query.order_by(*order).limit(limit))]
        named = {run.id: run for run in runs.several(tx, [str(t.payload["run"]) for t in found])}
        rows = [_queued(task, named[str(task.payload["run"])]) for task in found]
        return rows if every else sorted(rows, key=lambda one: one.state != "running")

    return ws.read(Permission.READ, look)


def cancel(ws: Workspace, run: str) -> None:
    """Take an entry out of the queue, or stop it if it runs.

    Raises:
        NotFoundError: if it is no entry of the queue.
        ConflictError: if it has ended.
    """

    def work(tx: Tx) -> None:
        entry = tasks.get(tx, f"{run}:entry")
        if entry is None:
            raise NotFoundError(
                f"Run {run} is not in the queue.", field="run", hint="See: mainspring queue list"
            )
        if entry.state in tasks.FINAL:
            raise ConflictError(f"Run {run} has ended already: it is {entry.state}.", field="run")
        runs.set_tags(tx, run, {_CANCELLED: tx.who.name})
        tasks.cancel(tx, run)
        if entry.state != "leased":  # nobody works on it who would end its run
            runs.end(tx, run, RunStatus.CANCELLED, ws.clock.now())

    ws.write(Permission.RUN, work)


def work(ws: Workspace, slots: int, stop: threading.Event, *, drain: bool = False) -> None:
    """Work on the queue with so many slots until ``stop`` is set, or until it is empty."""
    from mainspring.workspace.engines import SLOTTED, make_engine

    if not 1 <= slots <= 256:
        raise BadInputError(f"slots must be 1 to 256, found {slots}.", field="slots")
    engine = make_engine(ws, "queue", scanning=False, workers=slots, only=SLOTTED)
    if drain:
        engine.run_until(_empty, stop)
    else:
        engine.run(stop)


def _empty(tx: Tx) -> bool:
    table = tables.tasks
    waiting = table.c.kind.in_([ENTRY, ENTRY_END]) & table.c.state.not_in(tasks.FINAL)
    return tx.one(select(table.c.id).where(waiting).limit(1)) is None


def _queued(task: tasks.Task, run: Run) -> Queued:
    state = {"leased": "running", "ready": "waiting"}.get(task.state, str(run.status))
    return Queued(
        run=run.id,
        what=str(task.payload["what"]),
        state=state,
        priority=task.priority,
        attempt=task.attempt,
        added=float(task.payload["added"]),
        begun=task.started,
        ended=run.ended,
        error=run.tags.get("mainspring.error", ""),
    )


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
