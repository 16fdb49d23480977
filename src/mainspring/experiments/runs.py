"""A run from start to end: create, describe, log, finish, find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Table, case, delete, func, insert, literal, select, tuple_, update

from mainspring.experiments import groups
from mainspring.experiments.exact import exact_key, exact_text, exact_time, param_text
from mainspring.experiments.latest import latest_of
from mainspring.experiments.tables import deleted_runs, metric_points, params, runs, tags
from mainspring.ground.errors import (
    AlreadyExistsError,
    BadInputError,
    ConflictError,
    NotFoundError,
)
from mainspring.ground.identity import check_name
from mainspring.ground.objects import MOVES, Run, RunStatus
from mainspring.ground.ports import Tx

if TYPE_CHECKING:
    from mainspring.experiments import metrics as points


class Brief(msgspec.Struct, frozen=True):
    """What a writer asks of a run before it writes."""

    id: str
    name: str
    experiment: str
    hidden: bool  #: it was deleted, and can be restored


# Made once: a statement takes longer to make than to run.
_BRIEF = select(runs.c.name, runs.c.experiment, deleted_runs.c.at).outerjoin(
    deleted_runs, deleted_runs.c.run == runs.c.id
)


def create(tx: Tx, run: Run) -> Run:
    """Keep a new run with its params, tags and first metric values.

    Raises:
        AlreadyExistsError: if there is a run by that id.
        NotFoundError: if it names a parent that is not there.
        BadInputError: if a name or value cannot be kept.
    """
    check_name(run.id, "run id")
    check_name(run.experiment, "experiment")
    exact_time(run.started, "started")
    if run.ended is not None:
        exact_time(run.ended, "ended")
    name = exact_key(run.name, "run name")
    if tx.one(select(runs.c.id).where(runs.c.id == run.id)) is not None:
        raise AlreadyExistsError(f"There is a run {run.id} already.", field="id")
    if run.parent is not None:
        _row(tx, run.parent)
    groups.ensure(tx, run.experiment, run.started)
    cells = {name: getattr(run, name) for name in runs.c.keys()}  # noqa: SIM118  no mapping
    tx.run(insert(runs).values(**{**cells, "name": name, "status": str(run.status)}))
    set_params(tx, run.id, run.params)
    set_tags(tx, run.id, run.tags)
    if run.metrics:
        from mainspring.experiments import metrics as points

        points.log(tx, run.id, run.metrics, at=run.started)
    return get(tx, run.id)


def get(tx: Tx, run: str) -> Run:
    """Return one run with its params, tags and latest metric values.

    Raises:
        NotFoundError: if there is none by that id.
    """
    return _whole(tx, [_row(tx, run)])[0]


def brief(tx: Tx, run: str) -> Brief | None:
    """Return what a writer asks of a run, in one short query; None if there is no such run."""
    row = tx.one(_BRIEF.where(runs.c.id == run))
    if row is None:
        return None
    return Brief(run, row.name, row.experiment, row.at is not None)


def several(tx: Tx, ids: Sequence[str]) -> list[Run]:
    """Return runs by their ids, in the same order; those that are not there are left out."""
    found: dict[str, Run] = {}
    for start in range(0, len(ids), 500):  # SQLite takes a bounded number of variables
        rows = tx.all(select(runs).where(runs.c.id.in_(list(ids[start : start + 500]))))
        found.update((run.id, run) for run in _whole(tx, rows))
    return [found[run] for run in ids if run in found]


def find(tx: Tx, *, cause: str) -> Run | None:
    """Return the newest run that ``cause`` ("kind:id") asked for, or None."""
    statement = select(runs).where(runs.c.cause == cause)
    row = tx.one(statement.order_by(runs.c.started.desc(), runs.c.id.desc()).limit(1))
    return None if row is None else _whole(tx, [row])[0]


def newest_of_pipelines(tx: Tx, begins: str = "") -> Run | None:
    """Return the newest run of any pipeline whose id begins so, or None; deleted ones are none."""
    gone = select(deleted_runs.c.run)
    mine = runs.c.id.startswith(begins, autoescape=True) & runs.c.id.not_in(gone)
    if not begins:  # of all those that somebody began, and not one that a step of it did
        mine &= runs.c.cause.is_(None) | runs.c.cause.not_like("step:%")
    query = select(runs).where(mine, runs.c.pipeline.is_not(None))
    row = tx.one(query.order_by(runs.c.started.desc(), runs.c.id.desc()).limit(1))
    return None if row is None else _whole(tx, [row])[0]


def children_at_work(tx: Tx, run: str) -> list[str]:
    """Return the runs that steps of a run started and that have not ended."""
    mine = (runs.c.parent == run) & (runs.c.status == str(RunStatus.RUNNING))
    started = runs.c.cause.like("step:%")
    return [row.id for row in tx.all(select(runs.c.id).where(mine, started))]


def of_pipelines_at_work(tx: Tx) -> list[str]:
    """Return the runs of pipelines that have not ended, and were not deleted."""
    mine = (runs.c.status == str(RunStatus.RUNNING)) & runs.c.pipeline.is_not(None)
    gone = select(deleted_runs.c.run)
    return [row.id for row in tx.all(select(runs.c.id).where(mine, runs.c.id.not_in(gone)))]


def begun_by_steps(tx: Tx, run: str, most: int) -> list[tuple[str, str]]:
    """Return (step, run) of the runs that steps of a run started, in the order they began.

    Of more than ``most`` those that have not finished come first, then the newest.
    """
    prefix = f"step:{run}:"
    mine = (runs.c.parent == run) & runs.c.cause.like("step:%")
    busy = case((runs.c.status == str(RunStatus.FINISHED), 1), else_=0)
    wanted = select(runs.c.id, runs.c.cause, runs.c.started).where(mine)
    rows = tx.all(wanted.order_by(busy, runs.c.started.desc(), runs.c.id).limit(most))
    rows = sorted(rows, key=lambda row: (row.started, row.id))
    return [(row.cause.removeprefix(prefix), row.id) for row in rows]


def newest_tagged(tx: Tx, key: str, value: str) -> float | None:
    """Return when the newest run with a tag was started, if there is one."""
    mine = select(func.max(runs.c.started).label("at")).join(tags, tags.c.run == runs.c.id)
    row = tx.one(mine.where(tags.c.key == key, tags.c.value == value))
    return None if row is None else row.at


def started_between(tx: Tx, since: float, until: float, limit: int = 500) -> list[Run]:
    """Return the newest runs that started from ``since`` up to ``until``, oldest first."""
    query = select(runs).where(runs.c.started >= since, runs.c.started <= until)
    return _whole(tx, tx.all(query.order_by(runs.c.started.desc()).limit(limit)))[::-1]


def ended_of(
    tx: Tx,
    pipeline: str,
    statuses: Sequence[str],
    limit: int,
    before: tuple[float, str] | None = None,
) -> list[Run]:
    """Return the runs of a pipeline that ended so last, the last first; by its name or target.

    ``before`` is the end and the id of a run: those that ended earlier are returned.
    """
    name, place = runs.c.pipeline, tuple_(runs.c.ended, runs.c.id)
    mine = (name == pipeline) | name.endswith(f":{pipeline}", autoescape=True)
    gone = select(deleted_runs.c.run)
    statement = select(runs).where(
        mine,
        runs.c.status.in_(list(statuses)),
        runs.c.ended.is_not(None),
        runs.c.id.not_in(gone),
        *([] if before is None else [place < tuple_(literal(before[0]), literal(before[1]))]),
    )
    rows = tx.all(statement.order_by(runs.c.ended.desc(), runs.c.id.desc()).limit(limit))
    return _whole(tx, rows)


def log(
    tx: Tx, run: str, metrics: Mapping[str, object], step: int | None = None, *, at: float
) -> None:
    """Log metric values; also for a run that has ended, since evaluations come late.

    Raises:
        NotFoundError: if there is no such run.
        BadInputError: if a value is no number or cannot be kept exactly.
    """
    _row(tx, run)
    from mainspring.experiments import metrics as points

    points.log(tx, run, metrics, step, at=at)


def log_points(tx: Tx, run: str, several: Sequence[points.Point]) -> None:
    """Log many points at once, each with its own step and time.

    Raises:
        NotFoundError: if there is no such run.
        BadInputError: if a value cannot be kept exactly.
    """
    _row(tx, run)
    from mainspring.experiments import metrics as points

    points.log_points(tx, run, several)


def log_gathered(tx: Tx, run: str, gathered: Sequence[Sequence[Any]]) -> None:
    """Log what a step gathered: [key, value, step or None, time] each.

    Raises:
        NotFoundError: if there is no such run.
        BadInputError: if a value cannot be kept exactly.
    """
    if gathered:  # most steps log nothing
        from mainspring.experiments import metrics as points

        _row(tx, run)
        points.log_gathered(tx, run, gathered)


def set_params(tx: Tx, run: str, values: Mapping[str, Any]) -> None:
    """Set params; each is set once and never changes.

    Setting the same value again is no error, so that a repeated call does no harm.

    Raises:
        ConflictError: if a param has another value already; then none of them is set.
        NotFoundError: if there is no such run.
        BadInputError: if a value cannot be kept.
    """
    _row(tx, run)
    wanted: dict[str, str] = {}
    for given, value in values.items():
        key, text = exact_key(given, "param"), param_text(value, f"param {given}")
        if wanted.setdefault(key, text) != text:
            raise BadInputError(f"Two params are called {key}.", field=key)
    known = _pairs(tx, params, [run])[run]
    for key, text in wanted.items():
        if key in known and known[key] != text:
            raise ConflictError(
                f"Param {key} of run {run} is {known[key]!r} and cannot become {text!r}.",
                field=key,
                hint="Params never change; start another run, or use a tag.",
            )
    fresh = [{"run": run, "key": k, "value": v} for k, v in wanted.items() if k not in known]
    if fresh:
        tx.run(insert(params), fresh)


def set_tags(tx: Tx, run: str, values: Mapping[str, str | None]) -> None:
    """Set tags, over what they were; None takes one away.

    Raises:
        NotFoundError: if there is no such run.
        BadInputError: if a tag is no text or cannot be kept.
    """
    _row(tx, run)
    for given, value in values.items():
        key = exact_key(given, "tag")
        here = (tags.c.run == run) & (tags.c.key == key)
        if value is None:
            tx.run(tags.delete().where(here))
            continue
        if not isinstance(value, str):
            raise BadInputError(
                f"Tag {key} must be text, found {type(value).__name__}.", field=key
            )
        text = exact_text(value, f"tag {key}")
        if not tx.run(update(tags).where(here).values(value=text)):
            tx.run(insert(tags).values(run=run, key=key, value=text))


def end(tx: Tx, run: str, status: RunStatus | str, at: float) -> Run:
    """Move a run to its end; ending it again the same way changes nothing.

    Raises:
        ConflictError: if the run may not move there from where it is.
        NotFoundError: if there is no such run.
        BadInputError: for an unknown status, or ``running``.
    """
    wanted = check_status(status)
    if wanted is RunStatus.RUNNING:
        raise BadInputError(
            "A run ends as finished, failed or cancelled, not as running.", field="status"
        )
    return _move(tx, run, wanted, at)


def resume(tx: Tx, run: str) -> Run:
    """Let a failed or cancelled run go on.

    Raises:
        ConflictError: if it has finished.
        NotFoundError: if there is no such run.
    """
    return _move(tx, run, RunStatus.RUNNING, None)


def restate(
    tx: Tx,
    run: str,
    *,
    status: RunStatus | None = None,
    ended: float | None = None,
    name: str | None = None,
) -> Run:
    """Set what a script says of its own run, which it may also take up again.

    Raises:
        ConflictError: if it is a pipeline's run, whose status its steps decide.
        NotFoundError: if there is no such run.
        BadInputError: if the name cannot be kept.
    """
    row = _row(tx, run)
    cells: dict[str, Any] = {}
    if status is not None and status != row.status:
        if row.pipeline is not None:
            raise ConflictError(
                f"Run {run} belongs to the pipeline {row.pipeline}; its steps decide its status.",
                field="status",
            )
        cells["status"] = str(status)
    if row.pipeline is None and status is not None:
        cells["ended"] = None if status is RunStatus.RUNNING else ended
        if cells["ended"] is not None:
            exact_time(ended, "end_time")
        if status is not RunStatus.RUNNING:
            _tidy(tx, run)
    if name is not None:
        cells["name"] = exact_key(name, "run name")
    if cells:
        tx.run(update(runs).where(runs.c.id == run).values(**cells))
    return get(tx, run)


def hide(tx: Tx, run: str, at: float) -> None:
    """Delete a run so that it can be restored; deleting it again changes nothing.

    Raises:
        NotFoundError: if there is no such run.
    """
    _row(tx, run)
    if not hidden(tx, [run]):
        tx.run(insert(deleted_runs).values(run=run, at=at))


def show(tx: Tx, run: str) -> None:
    """Restore a deleted run.

    Raises:
        NotFoundError: if there is no such run.
    """
    _row(tx, run)
    tx.run(delete(deleted_runs).where(deleted_runs.c.run == run))


def hidden(tx: Tx, ids: Sequence[str]) -> set[str]:
    """Return which of these runs are deleted."""
    found: set[str] = set()
    for start in range(0, len(ids), 500):  # SQLite takes a bounded number of variables
        here = deleted_runs.c.run.in_(list(ids[start : start + 500]))
        found |= {row.run for row in tx.all(select(deleted_runs).where(here))}
    return found


def check_status(status: RunStatus | str) -> RunStatus:
    """Return a status by its name.

    Raises:
        BadInputError: naming those there are.
    """
    try:
        return RunStatus(status)
    except ValueError as error:
        raise BadInputError(
            f"There is no run status {str(status)[:40]!r}.",
            field="status",
            hint=f"There are: {', '.join(RunStatus)}.",
        ) from error


def _move(tx: Tx, run: str, wanted: RunStatus, ended: float | None) -> Run:
    now = _row(tx, run).status
    if now != wanted:
        if str(wanted) not in MOVES["run"][now]:
            raise ConflictError(f"Run {run} is {now} and cannot become {wanted}.", field="status")
        tx.run(update(runs).where(runs.c.id == run).values(status=str(wanted), ended=ended))
        if wanted is not RunStatus.RUNNING:
            _tidy(tx, run)
    return get(tx, run)


def _tidy(tx: Tx, run: str) -> None:
    """Pack what an ended run logged point by point, if it did: numpy is loaded for that alone."""
    if tx.one(select(metric_points.c.run).where(metric_points.c.run == run).limit(1)) is None:
        return
    from mainspring.experiments import histories

    histories.tidy(tx, run, least=histories.ENDED_TAIL)


def _row(tx: Tx, run: str) -> Any:
    row = tx.one(select(runs).where(runs.c.id == run))
    if row is None:
        raise NotFoundError(
            f"There is no run {str(run)[:80]!r}.",
            field="run",
            hint="See them with: mainspring runs",
        )
    return row


def _whole(tx: Tx, rows: Sequence[Any]) -> list[Run]:
    """Return runs with everything that belongs to them, in three queries however many."""
    ids = [row.id for row in rows]
    if not ids:
        return []
    of_params, of_tags = _pairs(tx, params, ids), _pairs(tx, tags, ids)
    of_metrics = latest_of(tx, ids)
    return [
        Run(
            id=row.id,
            experiment=row.experiment,
            name=row.name,
            status=RunStatus(row.status),
            started=row.started,
            ended=row.ended,
            pipeline=row.pipeline,
            parent=row.parent,
            cause=row.cause,
            params=of_params[row.id],
            metrics=of_metrics[row.id],
            tags=of_tags[row.id],
        )
        for row in rows
    ]


def _pairs(tx: Tx, table: Table, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    out: dict[str, dict[str, str]] = {run: {} for run in ids}
    found = select(table).where(table.c.run.in_(ids)).order_by(table.c.run, table.c.key)
    for row in tx.all(found):
        out[row.run][row.key] = row.value
    return out
