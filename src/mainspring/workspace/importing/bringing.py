"""Bring what an MLflow store holds into a home: all of it, once, and say what could not come.

Runs and logged models keep their ids, so that a second import finds them and adds only what is
new. What was brought carries the tag ``mlflow.importedFrom``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from mainspring.experiments import artifacts, datasets, exact, groups, logged, metrics, runs
from mainspring.ground.errors import BadInputError, MainspringError, NotFoundError
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace.importing import registered
from mainspring.workspace.importing.databases import DatabaseStore
from mainspring.workspace.importing.files import Folders, Unread, local_path
from mainspring.workspace.importing.folders import FolderStore
from mainspring.workspace.importing.found import (
    FoundExperiment,
    FoundLogged,
    FoundRun,
    Store,
)
from mainspring.workspace.importing.report import TAG, Report
from mainspring.workspace.importing.servers import ServerStore
from mainspring.workspace.opening import Workspace

#: Told how many runs are done, and of about how many.
Progress = Callable[[int, int], None]


class Opened(msgspec.Struct, frozen=True):
    """A store, and what reads its files."""

    store: Store
    walk: Callable[..., Iterator[Any]]


def open_source(uri: str, spool: Path, proxied: str | None = None) -> Opened:
    """Return the store behind ``./mlruns``, ``sqlite:///mlflow.db`` or ``http://HOST:PORT``.

    ``proxied`` is the folder in which a server kept ``mlflow-artifacts:``.

    Raises:
        BadInputError: if it is none of them.
        UnavailableError: if a server does not answer.
    """
    scheme = urlsplit(uri).scheme if "://" in uri or uri.startswith("file:") else ""
    kept = None if proxied is None else local_path(proxied)
    if scheme in ("http", "https"):
        server = ServerStore(uri, spool)
        return Opened(server, server.walk)
    if scheme in ("", "file"):
        folder = FolderStore(local_path(uri))
        return Opened(folder, Folders(folder.root, kept).walk)
    return Opened(DatabaseStore(uri), Folders(None, kept).walk)


def bring(
    ws: Workspace, opened: Opened, *, dry_run: bool = False, progress: Progress | None = None
) -> Report:
    """Bring everything and return what was brought; ``dry_run`` only says what would be."""
    report = Report(source=opened.store.uri, dry_run=dry_run)
    bringing = Bringing(ws, opened, report)
    several = opened.store.experiments()
    total, done = opened.store.run_count(), 0
    for one in several:
        key = bringing.experiment(one)
        if key is None:
            continue
        waiting: list[FoundRun] = []
        for run in opened.store.runs(one.id):
            # A run below another comes after it, whichever the store names first.
            if run.tags.get(PARENT):
                waiting.append(run)
            else:
                bringing.run(one, key, run)
            done += 1
            if progress is not None:
                progress(done, total)
        for run in sorted(waiting, key=lambda run: run.started):
            bringing.run(one, key, run)
        for model in opened.store.logged(one.id):
            bringing.logged(one, key, model)
        bringing.close(one, key)
    registered.bring(ws, opened.store, opened.walk, report)
    for where, why in getattr(opened.store, "troubles", []):
        report.problem(where, why)
    return report


PARENT = "mlflow.parentRunId"


class Bringing:
    """Writes experiments, runs and logged models."""

    def __init__(self, ws: Workspace, opened: Opened, report: Report) -> None:
        self._ws = ws
        self._store = opened.store
        self._walk = opened.walk
        self._report = report

    def experiment(self, one: FoundExperiment) -> str | None:
        """Make an experiment unless there is one of its name; return its key."""
        try:
            key = groups.key_of_name(one.name)
        except BadInputError as error:
            self._report.problem(f"experiment {one.id}", str(error))
            return None
        tags = self._tags({**one.tags, TAG: f"{self._store.uri}#{one.id}"}, f"experiment {one.id}")
        there = self._ws.read(Permission.READ, lambda tx: groups.by_name(tx, one.name))
        self._report.count("experiments", new=there is None)
        if self._report.dry_run:
            return key

        def work(tx: Tx) -> None:
            groups.ensure_default(tx, self._ws.clock.now())
            known = groups.by_name(tx, one.name)
            if known is None:
                groups.create(tx, one.name, tags, one.created)
            elif known.deleted is None:
                new = {key: value for key, value in tags.items() if key not in known.tags}
                groups.set_tags(tx, known.id, new, self._ws.clock.now())

        self._ws.write(Permission.LOG, work)
        return key

    def close(self, one: FoundExperiment, key: str) -> None:
        """Hide an experiment that is deleted there, once everything of it is here."""
        if not one.deleted or self._report.dry_run:
            return

        def work(tx: Tx) -> None:
            found = groups.by_keys(tx, [key])[key]
            if found.tags.get(TAG) == f"{self._store.uri}#{one.id}" and found.deleted is None:
                groups.delete(tx, found.id, self._ws.clock.now())

        self._ws.write(Permission.LOG, work)

    # ------------------------------------------------------------ runs

    def run(self, of: FoundExperiment, key: str, one: FoundRun) -> None:
        """Bring one run with everything of it; of one that is here, only what is new."""
        try:
            self._run(of, key, one)
        except MainspringError as error:
            self._report.problem(f"run {one.id}", str(error))

    def _run(self, of: FoundExperiment, key: str, one: FoundRun) -> None:
        where = f"run {one.id}"
        before = self._ws.read(Permission.READ, lambda tx: _known(tx, one.id))
        self._report.count("runs", new=before is None)
        params = self._params(one.params, where)
        tags = self._tags({**one.tags, TAG: f"{self._store.uri}#{one.id}"}, where)
        if one.user:
            tags.setdefault("mlflow.user", one.user)
        files = self._files(one.files, where, artifacts.RUNS, one.id, of.id, one.id, "artifacts")
        if self._report.dry_run:
            return
        parts = self._store.points(one.id, of.id)
        first = next(parts, [])

        def work(tx: Tx) -> None:
            if before is None:
                self._create(tx, key, one, params, tags)
            else:
                runs.set_params(
                    tx, one.id, {k: v for k, v in params.items() if k not in before.params}
                )
                runs.set_tags(tx, one.id, {k: v for k, v in tags.items() if k not in before.tags})
                if before.status is RunStatus.RUNNING and before.pipeline is None:
                    runs.restate(tx, one.id, status=one.status, ended=one.ended)
            self._points(tx, one.id, first, where, new=before is None)
            for path, digest, size in files:
                artifacts.put(tx, one.id, path, digest, size, one.ended or one.started)
            datasets.log(tx, one.id, one.inputs, one.started)
            links = [logged.Link(model=m, role=logged.Role.INPUT, step=0) for m in one.read]
            links += [logged.Link(model=m, role=logged.Role.OUTPUT, step=0) for m in one.made]
            logged.link(tx, one.id, links)

        self._ws.write(Permission.LOG, work)
        for part in parts:
            self._more(one.id, part, where, new=before is None)
        if one.deleted:
            self._ws.write(
                Permission.LOG, lambda tx: runs.hide(tx, one.id, one.ended or one.started)
            )

    def _create(
        self, tx: Tx, key: str, one: FoundRun, params: dict[str, str], tags: dict[str, str]
    ) -> None:
        parent = one.tags.get(PARENT)
        if parent is not None and _known(tx, parent) is None:
            parent = None
        name = one.name
        try:
            exact.exact_key(name, "run name")
        except BadInputError:
            name = one.id
        run = Run(
            id=one.id,
            experiment=key,
            name=name,
            status=RunStatus.RUNNING,
            started=one.started,
            parent=parent,
            params=params,
            tags=tags,
        )
        runs.create(tx, run)
        if one.status is not RunStatus.RUNNING:
            runs.end(tx, one.id, one.status, one.started if one.ended is None else one.ended)

    def _more(self, run: str, part: list[metrics.Point], where: str, *, new: bool) -> None:
        self._ws.write(Permission.LOG, lambda tx: self._points(tx, run, part, where, new=new))

    def _points(
        self, tx: Tx, run: str, part: list[metrics.Point], where: str, *, new: bool
    ) -> None:
        good = []
        for point in part:
            try:
                good.append(metrics.check_point(point.key, point.value, point.step, point.time))
            except BadInputError as error:
                self._report.problem(f"{where}, metric {point.key[:100]}", str(error))
        if new:
            metrics.log_points(tx, run, good)
            self._report.add("points", len(good))
            return
        before = {key: _count(tx, run, key) for key in {point.key for point in good}}
        metrics.log_once(tx, run, good)
        after = sum(_count(tx, run, key) for key in before)
        self._report.add("points", after - sum(before.values()))

    # ------------------------------------------------------------ logged models

    def logged(self, of: FoundExperiment, key: str, one: FoundLogged) -> None:
        """Bring one logged model; of one that is here, only what is new."""
        where = f"logged model {one.id}"
        try:
            self._logged(of, key, one, where)
        except MainspringError as error:
            self._report.problem(where, str(error))

    def _logged(self, of: FoundExperiment, key: str, one: FoundLogged, where: str) -> None:
        before = self._ws.read(Permission.READ, lambda tx: _known_logged(tx, one.id))
        self._report.count("logged_models", new=before is None)
        place = (of.id, "models", one.id, "artifacts")
        files = self._files(one.files, where, artifacts.MODELS, one.id, *place)
        if self._report.dry_run:
            return
        params = self._params(one.params, where)
        tags = self._tags({**one.tags, TAG: f"{self._store.uri}#{one.id}"}, where)

        def work(tx: Tx) -> None:
            if before is None:
                made = logged.LoggedModel(
                    id=one.id,
                    experiment=groups.by_keys(tx, [key])[key].id,
                    name=one.name,
                    run=one.run,
                    type=one.type,
                    created=one.created,
                    changed=one.changed,
                    params=params,
                    tags=tags,
                )
                logged.create(tx, made)
                if one.ready is not None:
                    status = logged.LoggedStatus.READY if one.ready else logged.LoggedStatus.FAILED
                    logged.finish(tx, one.id, status, one.changed)
            else:
                logged.set_tags(
                    tx, one.id, {k: v for k, v in tags.items() if k not in before.tags}
                )
            for path, digest, size in files:
                artifacts.put(tx, one.id, path, digest, size, one.changed, of=artifacts.MODELS)
            here = [point for point in one.metrics if _known(tx, point.run) is not None]
            logged.measure(tx, here)

        self._ws.write(Permission.LOG, work)

    # ------------------------------------------------------------ parts

    def _files(
        self, uri: str, where: str, of: Any, owner: str, *beside: str
    ) -> list[tuple[str, str, int]]:
        """Keep the files that are not here yet and return their path, digest and size."""
        there = self._ws.read(Permission.READ, lambda tx: artifacts.digests(tx, owner, "", of=of))
        found = []
        for one in self._walk(uri, *beside) if uri else ():
            if isinstance(one, Unread):
                self._report.problem(f"{where}, {one.path[:200]}", one.why)
                continue
            if one.path in there:
                continue
            try:
                artifacts.check_path(one.path)
                self._report.add("files", 1)
                self._report.add("bytes", one.size)
                if not self._report.dry_run:
                    with one.open() as file:
                        found.append((one.path, self._ws.objects.put_file(file), one.size))
            except (MainspringError, OSError) as error:
                self._report.problem(f"{where}, file {one.path[:200]}", str(error))
        return found

    def _params(self, given: dict[str, str], where: str) -> dict[str, str]:
        return self._kept(given, f"{where}, param", exact.param_text)

    def _tags(self, given: dict[str, str], where: str) -> dict[str, str]:
        return self._kept(given, f"{where}, tag", exact.exact_text)

    def _kept(
        self, given: dict[str, str], where: str, check: Callable[[str, str], str]
    ) -> dict[str, str]:
        kept = {}
        for key, value in given.items():
            try:
                kept[exact.exact_key(key, "key")] = check(value, key)
            except BadInputError as error:
                self._report.problem(f"{where} {key[:100]}", str(error))
        return kept


def _known(tx: Tx, run: str) -> Run | None:
    found = runs.several(tx, [run])
    return found[0] if found else None


def _known_logged(tx: Tx, model: str) -> logged.LoggedModel | None:
    try:
        return logged.get(tx, model)
    except NotFoundError:
        return None


def _count(tx: Tx, run: str, key: str) -> int:
    return len(metrics.history(tx, run, key, limit=1_000_000)[0])
