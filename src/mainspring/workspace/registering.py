"""Keep models that were not made by a pipeline: their files, their names, their end."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import msgspec
import polars as pl

from mainspring.engine import reactor, tasks
from mainspring.experiments import artifacts, logged, runs
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.identity import canonical, check_digest, check_name, new_id
from mainspring.ground.objects import Card, Decision, Gate, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, facts, forms, registry, removal
from mainspring.scaling.models import foreign, package
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.workspace import gates, running
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up


def keep_files(ws: Workspace, files: Mapping[str, str]) -> str:
    """Keep which files make a package and return its digest."""
    manifest = package.Manifest(format=package.FORMAT, files=dict(sorted(files.items())))
    return ws.objects.put(canonical(manifest))


def version_of_files(
    ws: Workspace,
    model: str,
    files: Mapping[str, str],
    source: str,
    *,
    run: str | None = None,
    link: str | None = None,
    logged: str | None = None,
) -> Version:
    """Return a version of files that a client named by digest, not yet registered.

    Files that cannot be read as a model, or none at all, make a version that can be found and
    downloaded, and neither judged nor served.
    """
    if run is not None:
        ws.read(Permission.READ, lambda tx: _refuse_smoke(tx, run))
    digest = keep_files(ws, files)
    return Version(
        model=model,
        number=0,
        run=run,
        package=digest,
        signature=foreign.read_signature(files, ws.objects),
        card=None,
        metrics={},
        created=ws.clock.now(),
        by=ws.who.name,
        source=source,
        link=link,
        logged=logged,
    )


def add(ws: Workspace, model: str, files: Mapping[str, str], source: str) -> Version:
    """Register files that no run logged as a model's next version, and return it.

    ``files`` are digests of objects by path, an ``MLmodel`` file among them; ``source`` says
    where they came from.

    Raises:
        BadInputError: if the model's name cannot be one, or a path leads outside.
        NotFoundError: if there is no such object.
    """
    for path, digest in files.items():
        parts = PurePosixPath(path)
        if not path or parts.is_absolute() or ".." in parts.parts or "\\" in path:
            raise BadInputError(f"{path[:100]!r} cannot be the path of a file.", field="files")
        ws.objects.size(check_digest(digest, "files"))
    if "MLmodel" not in files:
        raise BadInputError("The files have no MLmodel file among them.", field="files")
    version = version_of_files(ws, check_name(model, "model"), files, source)
    return ws.write(Permission.REGISTER, lambda tx: registry.register(tx, version))


def register_logged(ws: Workspace, source: str, model: str) -> Version:
    """Register a model that a run logged as the next version of a model, and return it.

    ``source`` is the logged model's id, ``m-...``, or ``RUN/NAME``: the newest of that name.

    Raises:
        NotFoundError: if there is no such logged model.
        BadInputError: if the model's name cannot be one.
        ConflictError: if the logged model is deleted, or has no files.
    """
    caught_up(ws)

    def look(tx: Tx) -> tuple[logged.LoggedModel, dict[str, str]]:
        run, _, name = source.partition("/")
        named = logged.of_maker(tx, run, name) if name else [source]
        if not named:
            raise NotFoundError(
                f"Run {run[:80]} logged no model {name[:80]!r}.",
                field="source",
                hint="See what it logged: mainspring show RUN",
            )
        one = logged.get(tx, named[0])
        return one, artifacts.digests(tx, one.id, "", of=artifacts.MODELS)

    one, files = ws.read(Permission.READ, look)
    if one.deleted is not None or not files:
        why = "is deleted" if one.deleted is not None else "has no files"
        raise ConflictError(f"The logged model {one.id} {why}.", field="source")
    version = version_of_files(
        ws, check_name(model, "model"), files, f"models:/{one.id}", run=one.run, logged=one.id
    )
    return ws.write(Permission.REGISTER, lambda tx: registry.register(tx, version))


def has_files(ws: Workspace, version: Version) -> bool:
    """Return whether the files of a version that a client registered are here."""
    return bool(package.read_manifest(version.origin or version.package, ws.objects).files)


def delete_version(ws: Workspace, model: str, number: int) -> None:
    """Delete a version that nobody needs.

    Raises:
        NotFoundError: if there is no such version.
        ConflictError: if it serves, is in a rollout, or a loop is about to need it.
    """

    def work(tx: Tx) -> None:
        registry.get(tx, model, number)
        _refuse_busy(tx, model, number)
        removal.delete_version(tx, model, number, ws.clock.now())

    ws.write(Permission.REGISTER, work)


def delete_model(ws: Workspace, model: str) -> None:
    """Delete a model that no endpoint and no loop needs.

    Raises:
        NotFoundError: if there is no such model.
        ConflictError: if something serves it or looks after it.
    """

    def work(tx: Tx) -> None:
        for spec in reactor.loops(tx):
            if spec.model == model:
                raise ConflictError(
                    f"Model {model} cannot be deleted: the loop {spec.name} looks after it.",
                    field="name",
                )
        for endpoint in endpoints.of_model(tx, model):
            raise ConflictError(
                f"Model {model} cannot be deleted: the endpoint {endpoint.name} serves it.",
                field="name",
            )
        removal.delete_model(tx, model, ws.clock.now())

    ws.write(Permission.REGISTER, work)


def guard(ws: Workspace, model: str, aliases: list[str]) -> list[str]:
    """Say which aliases of a model ask for a passed gate; return them.

    Raises:
        NotFoundError: if there is no such model.
        ConflictError: if champion is not among them, or one names an ungated version now.
    """

    def work(tx: Tx) -> list[str]:
        return removal.guard(tx, facts.called(tx, model), aliases, ws.clock.now())

    return ws.write(Permission.PROMOTE, work)


def trust(ws: Workspace, model: str, number: int, reason: str) -> str:
    """Let the pickled code of a version run when it is converted; return the package's digest.

    Raises:
        NotFoundError: if there is no such version.
        ConflictError: if there is nothing pickled in it.
    """

    def work(tx: Tx) -> str:
        version = registry.get(tx, facts.called(tx, model), number)
        if version.source is None:
            raise ConflictError(
                f"{model}/{number} was made by a pipeline of ours and holds nothing pickled.",
                field="number",
            )
        digest = version.origin or version.package
        if forms.trust(tx, digest, reason, ws.clock.now()):
            now = ws.clock.now()
            decisions.record(
                tx,
                Decision(
                    id=new_id("dec"),
                    at=now,
                    made=now,
                    kind="trust",
                    subject=f"{version.model}/{number}",
                    reason=reason.strip(),
                    by=tx.who.name,
                    evidence={"package": digest},
                ),
            )
        return digest

    return ws.write(Permission.PROMOTE, work)


def judge(
    ws: Workspace,
    model: str,
    number: int,
    rows: list[dict[str, Any]],
    target: str,
    policy: Gate | None,
    card: Card | None,
) -> str:
    """Ask for a gate on a version by rows that it did not learn from; return the task's id.

    A model has one gate: a ``policy`` that is given becomes it, and without one the version is
    judged by it.

    Raises:
        NotFoundError: if there is no such version.
        ConflictError: if a loop declares another gate for the model.
        BadInputError: if the rows are none, or lack the target.
    """
    frame = pl.DataFrame(rows, infer_schema_length=None, strict=False)
    if target not in frame.columns:
        raise BadInputError(
            f"The rows have no column {target!r}.",
            field="target",
            hint=f"They have {', '.join(frame.columns[:30])}.",
        )
    out = io.BytesIO()
    frame.write_parquet(out)
    digest = ws.objects.put(out.getvalue())
    name = new_id("gate")

    def work(tx: Tx) -> None:
        version = registry.get(tx, facts.called(tx, model), number)
        if version.source is not None and not has_files(ws, version):
            raise ConflictError(
                f"The files of {model}/{number} are not here but at {version.source}.",
                field="number",
                hint="Log the model to this server and register that.",
            )
        if version.signature.target not in ("", target) and version.source is None:
            raise BadInputError(
                f"{model}/{number} predicts {version.signature.target!r}, not {target!r}.",
                field="target",
            )
        if card is not None:
            registry.set_card(tx, version.model, number, card, ws.clock.now())
        if policy is not None:
            gates.put(tx, version.model, policy)
        asked_for = gates.of_model(tx, version.model).gate
        asked = {"model": version.model, "number": number, "rows": digest, "target": target}
        told = {"policy": msgspec.to_builtins(asked_for), "at": ws.clock.now()}
        tasks.submit(
            tx,
            [tasks.NewTask(id=name, kind="judge_rows", payload={**asked, **told}, group=name)],
        )

    ws.write(Permission.REGISTER, work)
    return name


def judge_again(
    ws: Workspace,
    model: str,
    number: int,
    rows: list[dict[str, Any]] | None = None,
    target: str | None = None,
) -> str:
    """Ask for a version's gate once more; return the task's id.

    Without ``rows`` it is judged on the newest labelled rows of its loop's endpoint, else on those
    its gate saw before.

    Raises:
        NotFoundError: if there is no such version.
        ConflictError: if it is of another tool and was never judged, so that no rows are known.
        BadInputError: if rows are given without the column they are judged by.
    """
    if rows is not None:
        if target is None:
            raise BadInputError("Rows need the name of the column to predict.", field="target")
        return judge(ws, model, number, rows, target, None, None)
    name = new_id("gate")

    def work(tx: Tx) -> None:
        version = registry.get(tx, facts.called(tx, model), number)
        if version.source is not None and version.origin is None:
            raise ConflictError(
                f"{model}/{number} was never judged, so no rows are known to judge it on.",
                field="number",
                hint="Give some: --rows ROWS --target COLUMN.",
            )
        asked = {"model": version.model, "number": number}
        tasks.submit(tx, [tasks.NewTask(id=name, kind="judge_again", payload=asked, group=name)])

    ws.write(Permission.REGISTER, work)
    return name


def judging(ws: Workspace, name: str) -> tasks.Task:
    """Return how far a gate is that was asked for by hand.

    Raises:
        NotFoundError: if there is none by that id.
    """

    def look(tx: Tx) -> tasks.Task | None:
        return tasks.get(tx, name)

    found = ws.read(Permission.READ, look)
    if found is None or found.kind not in ("judge_rows", "judge_again"):
        raise NotFoundError(f"No gate {name[:80]!r} was asked for.", field="task")
    return found


def _refuse_smoke(tx: Tx, run: str) -> None:
    if runs.brief(tx, run) is not None:  # a client may name a run of another server
        running.refuse_smoke(runs.get(tx, run))


def _refuse_busy(tx: Tx, model: str, number: int) -> None:
    for endpoint in endpoints.of_model(tx, model):
        running = rollouts.running(tx, endpoint.name)
        if running is not None and number in (running.champion, running.challenger):
            raise ConflictError(
                f"{model}/{number} cannot be deleted: the rollout {running.id} of"
                f" {endpoint.name} needs it.",
                field="version",
            )
    for spec in reactor.loops(tx):
        view = reactor.view_or_none(tx, spec.name) if spec.model == model else None
        if view is not None and number in (view.champion, view.previous, view.candidate):
            raise ConflictError(
                f"{model}/{number} cannot be deleted: the loop {spec.name} needs it.",
                field="version",
            )
