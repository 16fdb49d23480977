"""What the forms of the pages do: delete, rename, acknowledge. Each leads back to a page."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from mainspring.experiments import groups, runs
from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
)
from mainspring.ground.permissions import Permission, Principal, authorise
from mainspring.web.front import send_bytes
from mainspring.web.limits import Threads, read_body
from mainspring.web.pages import alarms, fields, pipelines, starts, steering, steps
from mainspring.web.pages.fields import Asked
from mainspring.web.pages.headers import PAGE_HEADERS
from mainspring.web.pages.session import way_back
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up

#: Carries out one form and returns the path to go on to, unless the form names one.
Work = Callable[[Workspace, Asked], str]

_MOST_BYTES = 1 << 20
_MOST_FIELDS = 10_000
_FORM = b"application/x-www-form-urlencoded"


def act_routes(ws: Workspace, threads: Threads) -> list[BaseRoute]:
    """Return a route for each thing that a form can do."""
    table: dict[str, Work] = {
        "/runs/delete": delete_runs,
        "/runs/restore": restore_runs,
        "/runs/{run}/rename": rename_run,
        "/runs/{run}/tag": tag_run,
        "/experiments/{experiment}/delete": delete_experiment,
        "/experiments/{experiment}/restore": restore_experiment,
        "/experiments/{experiment}/describe": describe_experiment,
        **alarms.ACTS,
        **steering.ACTS,
        **starts.ACTS,
        **steps.ACTS,
        **pipelines.ACTS,
    }
    return [Route(p, Act(ws, threads, p, work), methods=["POST"]) for p, work in table.items()]


class Act:
    """Takes one form of ours. Forms of other sites are refused before they are read."""

    def __init__(self, ws: Workspace, threads: Threads, path: str, work: Work) -> None:
        self._ws = ws
        self._threads = threads
        self._path = path
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["state"]["route"] = self._path
        who: Principal = scope["state"]["principal"]
        check_own_form(dict(scope["headers"]))
        authorise(who, Permission.LOG)
        body = await read_body(scope, receive, _MOST_BYTES)
        given = fields.read(body, _MOST_FIELDS, scope["path_params"])
        ws = self._ws.acting_as(who)
        to = await self._threads.run(lambda: self._work(ws, given))
        to = way_back(given["next"]) if given.get("next") else to
        headers = [*PAGE_HEADERS, (b"location", to.encode("ascii"))]
        await send_bytes(send, b"", "text/plain; charset=utf-8", 303, headers)


def check_own_form(headers: dict[bytes, bytes]) -> None:
    """Refuse a form that no page of ours has sent.

    The front has compared the Origin with the Host already; here one of the two headers by
    which browsers say where a form comes from must be there at all.

    Raises:
        PermissionDeniedError: if the browser says that it comes from elsewhere, or nothing.
        BadInputError: if it is no form.
    """
    site = headers.get(b"sec-fetch-site")
    if site != b"same-origin" and (site is not None or b"origin" not in headers):
        raise PermissionDeniedError(
            "Only a form of these pages may do this.",
            hint="Programs use the HTTP API: docs/reference/api.md.",
        )
    if headers.get(b"content-type", b"").partition(b";")[0].strip() != _FORM:
        raise BadInputError("This takes a form.", field="Content-Type")


# ---------------------------------------------------------------- runs


def delete_runs(ws: Workspace, given: Asked) -> str:
    """Delete the runs named, so that they can be restored.

    Raises:
        ConflictError: saying which of them stay, and why; the others are deleted.
    """
    from mainspring.workspace.keeping import deleting

    done = deleting.delete_runs(caught_up(ws), _chosen(given))
    if done.kept:
        told = "; ".join(f"{one.run}: {one.reason}" for one in done.kept[:10])
        raise ConflictError(f"Deleted: {len(done.deleted)}. Kept: {told}.", field="run")
    return "/runs"


def restore_runs(ws: Workspace, given: Asked) -> str:
    """Restore the runs named."""
    from mainspring.workspace.keeping import deleting

    deleting.restore_runs(ws, _chosen(given))
    return "/runs?deleted=yes"


def rename_run(ws: Workspace, given: Asked) -> str:
    """Give a run another name."""
    name = given.get("name", "").strip()
    if not name:
        raise BadInputError("A run's name must not be empty.", field="name")
    run = given["run"]
    caught_up(ws).write(Permission.LOG, lambda tx: runs.restate(tx, run, name=name))
    return f"/runs/{given['run']}"


def tag_run(ws: Workspace, given: Asked) -> str:
    """Set a tag of a run, or take it away."""
    key = given.get("key", "").strip()
    value = None if given.get("remove") else given.get("value", "")
    run = given["run"]
    caught_up(ws).write(Permission.LOG, lambda tx: runs.set_tags(tx, run, {key: value}))
    return f"/runs/{given['run']}"


def _chosen(given: Asked) -> list[str]:
    found = list(dict.fromkeys(given.several("run")))
    if not found:
        raise BadInputError("No run was chosen.", field="run", hint="Tick the runs first.")
    return found


# ---------------------------------------------------------------- experiments


def delete_experiment(ws: Workspace, given: Asked) -> str:
    """Delete an experiment with its runs, so that all can be restored."""
    from mainspring.workspace.keeping import deleting

    deleting.delete_experiment(caught_up(ws), _named(ws, given).name)
    return "/experiments"


def restore_experiment(ws: Workspace, given: Asked) -> str:
    """Restore an experiment with the runs that went with it."""
    from mainspring.workspace.keeping import deleting

    deleting.restore_experiment(ws, _named(ws, given).name)
    return "/experiments"


def describe_experiment(ws: Workspace, given: Asked) -> str:
    """Say what an experiment is for, and which of its metrics counts."""
    from mainspring.web.pages import experiments

    tags = experiments.described(given)
    number = _named(ws, given).id
    ws.write(Permission.LOG, lambda tx: groups.set_tags(tx, number, tags, ws.clock.now()))
    return f"/experiments/{given['experiment']}"


def _named(ws: Workspace, given: Asked) -> groups.Experiment:
    key = given["experiment"]
    found = caught_up(ws).read(Permission.READ, lambda tx: groups.by_keys(tx, [key])).get(key)
    if found is None:
        raise NotFoundError(f"There is no experiment {key[:80]!r}.", field="experiment")
    return found
