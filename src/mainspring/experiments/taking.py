"""Take what frames say into the store, for many runs at once and in few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import bindparam, insert, select, tuple_, update

from mainspring.experiments import artifacts, extras, groups, metrics
from mainspring.experiments import frames as f
from mainspring.experiments.exact import exact_key, exact_text, exact_time, plain_name
from mainspring.experiments.paths import check_path
from mainspring.experiments.tables import (
    deleted_runs,
    experiments,
    params,
    run_notes,
    runs,
    tags,
)
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.identity import check_digest, check_name
from mainspring.ground.objects import MOVES, RunStatus
from mainspring.ground.ports import Tx

#: What takes an ``Extra`` frame, by its subject: (tx, run, data, time). What it refuses with a
#: BadInputError, a ConflictError or a NotFoundError becomes a note of the run.
EXTRAS: dict[str, Callable[[Tx, str, dict[str, Any], float], None]] = {
    "dataset": extras.dataset,
    "model": extras.model,
}
_ROWS = 5  # that a frame is about as costly as
_AT_ONCE = 500  # SQLite takes a bounded number of variables


class Batch:
    """What some stretches of journals say, gathered by what it is about."""

    def __init__(self) -> None:
        self.begun: dict[str, f.Begun] = {}
        self.params: dict[str, list[Mapping[str, str]]] = {}
        self.tags: dict[str, dict[str, str | None]] = {}
        self.points: dict[tuple[str, str], metrics.Gathered] = {}
        self.files: list[f.File] = []
        self.extras: list[f.Extra] = []
        self.moves: dict[str, list[tuple[str, float]]] = {}
        self._keys: dict[str, str] = {}  # as they came: as they are kept
        self._values = 0  # about how many rows it will be
        self._runs: set[str] = set()  # whose ids can be some
        self._notes: list[dict[str, Any]] = []

    def gather(self, frames: Iterable[f.AnyFrame], opened: Iterable[str]) -> tuple[list[str], int]:
        """Sort frames of one journal; return which runs are open after them, and how many it took.

        It takes no more when it is about as much as one transaction should hold.

        Raises:
            BadInputError: if a frame holds what cannot be kept.
        """
        still = dict.fromkeys(opened)
        count = 0
        for one in frames:
            if self._values >= f.MOST_VALUES:
                break
            count += 1
            if one.run not in self._runs:
                self._runs.add(check_name(one.run, "run id"))
            if isinstance(one, f.Points):
                self._gather_points(one)
            elif isinstance(one, f.Begun):
                self._gather_begun(one)
                if one.own:
                    still[one.run] = None
            elif isinstance(one, f.Ended):
                status = _ending(one.status)
                self.moves.setdefault(one.run, []).append((status, exact_time(one.time, "time")))
                still.pop(one.run, None)
            else:
                self._gather_other(one)
        return list(still), count

    def crash(self, opened: Iterable[str], at: float) -> None:
        """End runs whose process died."""
        for run in opened:
            self.moves.setdefault(run, []).append((str(RunStatus.CRASHED), at))

    def apply(self, tx: Tx) -> None:
        """Write it all."""
        fresh = self._apply_begun(tx)
        self._apply_params(tx, fresh)
        self._apply_tags(tx, fresh)
        metrics.log_many(tx, self.points, fresh)
        self._apply_files(tx)
        for extra in self.extras:
            self._apply_extra(tx, extra)
        self._apply_moves(tx)
        if self._notes:
            tx.run(insert(run_notes), self._notes)

    # ------------------------------------------------------------ gather

    def _gather_points(self, one: f.Points) -> None:
        run, step, time, points = one.run, one.step, one.time, self.points
        exact_time(time, "time")
        f.check_count(len(one.values), "metrics")
        for name, value in one.values.items():
            key = self._keys.get(name) or self._key(name, "metric")
            gathered = points.get((run, key))
            if gathered is None:
                gathered = points[run, key] = metrics.Gathered()
                self._values += 1
            gathered.steps.append(step)
            gathered.times.append(time)
            gathered.values.append(value)

    def _gather_begun(self, one: f.Begun) -> None:
        plain_name(one.experiment, "experiment", groups.MAX_NAME)
        exact_key(one.name, "run name")
        exact_time(one.started, "started")
        if one.parent is not None:
            check_name(one.parent, "parent")
        self.begun.setdefault(one.run, one)
        self._values += _ROWS
        self._gather_params(one.run, one.params)
        self._gather_tags(one.run, one.tags)

    def _gather_other(self, one: f.AnyFrame) -> None:
        self._values += _ROWS
        if isinstance(one, f.Params):
            self._gather_params(one.run, one.values)
        elif isinstance(one, f.Tags):
            self._gather_tags(one.run, one.values)
        elif isinstance(one, f.File):
            check_digest(one.digest)
            exact_time(one.time, "time")
            self.files.append(msgspec.structs.replace(one, path=check_path(one.path)))
        elif isinstance(one, f.Extra):
            exact_time(one.time, "time")
            self.extras.append(one)
        elif isinstance(one, f.Resumed):
            move = (str(RunStatus.RUNNING), exact_time(one.time, "time"))
            self.moves.setdefault(one.run, []).append(move)

    def _gather_params(self, run: str, values: Mapping[str, str]) -> None:
        f.check_count(len(values), "params")
        self._values += len(values)
        for key, value in values.items():
            kept = self._keys.get(key) or self._key(key, "param")
            # Two ways to write a name may stand in one frame; the second is a second value.
            self.params.setdefault(run, []).append({kept: exact_text(value, f"param {kept}")})

    def _gather_tags(self, run: str, values: Mapping[str, str | None]) -> None:
        f.check_count(len(values), "tags")
        self._values += len(values)
        for key, value in values.items():
            kept = self._keys.get(key) or self._key(key, "tag")
            if value is not None:
                exact_text(value, f"tag {kept}")
            self.tags.setdefault(run, {})[kept] = value

    def _key(self, key: str, kind: str) -> str:
        self._keys[key] = exact_key(key, kind)
        return self._keys[key]

    # ------------------------------------------------------------ apply

    def _apply_begun(self, tx: Tx) -> set[str]:
        """Make the runs that are not there; return which those are."""
        there = _there(tx, list(self.begun))
        rows, hidden = [], []
        keys: dict[str, tuple[str, float | None]] = {}
        for one in self.begun.values():
            if one.run in there:
                continue
            if one.experiment not in keys:
                keys[one.experiment] = _experiment(tx, one.experiment, one.started)
            key, deleted = keys[one.experiment]
            rows.append(
                {
                    "id": one.run,
                    "experiment": key,
                    "name": exact_key(one.name, "run name"),
                    "status": str(RunStatus.RUNNING),
                    "started": one.started,
                    "parent": one.parent,
                }
            )
            if deleted is not None:
                hidden.append({"run": one.run, "at": deleted})
                self._note(one.run, one.started, f"Its experiment {one.experiment!r} was deleted.")
        if rows:
            tx.run(insert(runs), rows)
        if hidden:  # as if it had been there when its experiment was deleted
            tx.run(insert(deleted_runs), hidden)
        self._drop_unknown(tx, there)
        return set(self.begun) - there

    def _drop_unknown(self, tx: Tx, there: set[str]) -> None:
        """Keep what was logged for runs that are gone for good as notes, and nowhere else."""
        named: set[str] = {*self.params, *self.tags, *self.moves}
        named.update(run for run, _ in self.points)
        named |= {file.run for file in self.files}
        named |= {extra.run for extra in self.extras}
        unsure = [run for run in named if run not in self.begun and run not in there]
        gone = set(unsure) - _there(tx, unsure)
        for run in gone:
            keys = sorted(key for of, key in self.points if of == run)
            self._note(run, 0.0, f"More was logged after it was gone: {keys}.")
            self.params.pop(run, None)
            self.tags.pop(run, None)
            self.moves.pop(run, None)
        if gone:
            self.points = {of: found for of, found in self.points.items() if of[0] not in gone}
            self.files = [one for one in self.files if one.run not in gone]
            self.extras = [one for one in self.extras if one.run not in gone]

    def _apply_params(self, tx: Tx, fresh: set[str]) -> None:
        known = _pairs(tx, params, [run for run in self.params if run not in fresh])
        rows = []
        for run, several in self.params.items():
            of_run = known.setdefault(run, {})
            for values in several:
                for key, text in values.items():
                    before = of_run.get(key)
                    if before is None:
                        of_run[key] = text
                        rows.append({"run": run, "key": key, "value": text})
                    elif before != text:
                        self._note(run, None, f"Param {key} is {before!r}; {text!r} came later.")
        if rows:
            tx.run(insert(params), rows)

    def _apply_tags(self, tx: Tx, fresh: set[str]) -> None:
        known = _pairs(tx, tags, [run for run in self.tags if run not in fresh])
        rows, gone = [], []
        for run, values in self.tags.items():
            of_run = known.get(run, {})
            for key, text in values.items():
                if key in of_run and of_run[key] != text:
                    gone.append((run, key))
                if text is not None and of_run.get(key) != text:
                    rows.append({"run": run, "key": key, "value": text})
        for start in range(0, len(gone), _AT_ONCE // 2):
            some = gone[start : start + _AT_ONCE // 2]
            tx.run(tags.delete().where(tuple_(tags.c.run, tags.c.key).in_(some)))
        if rows:
            tx.run(insert(tags), rows)

    def _apply_files(self, tx: Tx) -> None:
        newest = {(one.run, one.path): one for one in self.files}
        for one in newest.values():
            try:
                artifacts.put(tx, one.run, one.path, one.digest, one.size, one.time)
            except ConflictError as error:
                self._note(one.run, one.time, f"{error} Its bytes are the object {one.digest}.")

    def _apply_extra(self, tx: Tx, one: f.Extra) -> None:
        take = EXTRAS.get(one.subject)
        if take is None:
            self._note(one.run, one.time, f"This release does not know {one.subject!r}.")
            return
        try:
            take(tx, one.run, one.data, one.time)
        except (BadInputError, ConflictError, NotFoundError) as error:
            self._note(one.run, one.time, f"{one.subject}: {error}")

    def _apply_moves(self, tx: Tx) -> None:
        rows = []
        engines = _of_pipelines(tx, list(self.moves))
        for run, (status, ended) in _states(tx, list(self.moves)).items():
            if run in engines:
                self._note(run, None, "Its steps decide how a pipeline's run ends, not a script.")
                continue
            now, last = status, ended
            for wanted, at in self.moves[run]:
                if wanted in MOVES["run"][now]:
                    now, last = wanted, None if wanted == RunStatus.RUNNING else at
            if now != status:
                rows.append({"of_run": run, "status": now, "ended": last})
        if rows:
            tx.run(update(runs).where(runs.c.id == bindparam("of_run")), rows)

    def _note(self, run: str, at: float | None, text: str) -> None:
        self._notes.append({"run": run, "at": at or 0.0, "text": text[:2_000]})


def _ending(status: str) -> str:
    if status not in ("finished", "failed", "cancelled", "crashed"):
        raise BadInputError(f"A run cannot end as {status[:40]!r}.", field="status")
    return status


def _experiment(tx: Tx, name: str, at: float) -> tuple[str, float | None]:
    """Return the key of an experiment, made if it is not there, and when it was deleted."""
    key = groups.ensure_named(tx, name, at)
    row = tx.one(select(experiments.c.deleted).where(experiments.c.key == key))
    return key, None if row is None else row.deleted


def _there(tx: Tx, ids: list[str]) -> set[str]:
    return set(_states(tx, ids))


def _of_pipelines(tx: Tx, ids: list[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(ids), _AT_ONCE):
        here = runs.c.id.in_(ids[start : start + _AT_ONCE]) & runs.c.pipeline.is_not(None)
        found |= {row.id for row in tx.all(select(runs.c.id).where(here))}
    return found


def _states(tx: Tx, ids: list[str]) -> dict[str, tuple[str, float | None]]:
    found: dict[str, tuple[str, float | None]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        here = runs.c.id.in_(ids[start : start + _AT_ONCE])
        for row in tx.all(select(runs.c.id, runs.c.status, runs.c.ended).where(here)):
            found[row.id] = (row.status, row.ended)
    return found


def _pairs(tx: Tx, table: Any, ids: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        here = table.c.run.in_(ids[start : start + _AT_ONCE])
        for row in tx.all(select(table).where(here)):
            found.setdefault(row.run, {})[row.key] = row.value
    return found
