"""Call one of our functions in a process of its own, and raise what went wrong there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.ground import errors
from mainspring.ground.errors import (
    MainspringError,
    NotFoundError,
    ProjectError,
    StepFailedError,
    UnavailableError,
)
from mainspring.ground.ports import Call, Outcome
from mainspring.pipelines.raised import FRAMES
from mainspring.workspace import checkouts
from mainspring.workspace.logs.printed import taken
from mainspring.workspace.warm import speaking

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.pipelines.options import Resources
    from mainspring.workspace.opening import Workspace

#: Functions that only read a project, and wait for nothing that steps alone need.
_SOON = ("trace", "project", "target")
#: Functions that need nothing but what a project's own code does.
_ITS_OWN = ("step", "wire", "trace", "takes", "project")
_BY_CODE = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, MainspringError)
}


def child(
    ws: Workspace,
    function: str,
    payload: dict[str, Any],
    lease: Lease | None = None,
    *,
    root: str | None = None,
    env: dict[str, str] | None = None,
    python: str | None = None,
    timeout_s: float | None = None,
) -> Any:
    """Return what a function of ``workspace.children`` returns.

    Raises:
        MainspringError: of the class that was raised in the child.
        StepFailedError: if it raised something else or crashed; with its trace.
        DeadlineError: if it took longer than ``timeout_s``.
        UnavailableError: if it was killed from outside: another try may do better.
    """
    outcome = call(
        ws, function, payload, lease, root=root, env=env, python=python, timeout_s=timeout_s
    )
    if outcome.ok:
        return outcome.value
    raise as_error(outcome)


def call(
    ws: Workspace,
    function: str,
    payload: dict[str, Any],
    lease: Lease | None = None,
    *,
    root: str | None = None,
    log: Path | None = None,
    timeout_s: float | None = None,
    beat_s: float | None = None,
    env: dict[str, str] | None = None,
    python: str | None = None,
    resources: Resources | None = None,
    hide: Sequence[str] = (),
) -> Outcome:
    """Run a function of ``workspace.children`` to its end and return how it ended.

    What it prints goes to ``log``, and from there into the logs of the home. ``python`` is the
    interpreter of the environment it runs in, if that is another.
    """
    cancelled = None if lease is None else lease.cancelled
    asked_for = wanted(
        ws,
        function,
        payload,
        root=root,
        log=log,
        timeout_s=timeout_s,
        beat_s=beat_s,
        env=env,
        python=python,
        resources=resources,
        hide=hide,
    )
    if log is None:
        return ws.executor.run(asked_for, cancelled=cancelled)
    ids = {key: payload.get(key) for key in ("run", "step", "number")}
    task = None if lease is None else lease.task.id
    with taken(ws.settings, log, cancelled, call=function, task=task, **ids) as asked:
        return ws.executor.run(asked_for, cancelled=asked)


def wanted(
    ws: Workspace,
    function: str,
    payload: dict[str, Any],
    *,
    root: str | None = None,
    log: Path | None = None,
    timeout_s: float | None = None,
    beat_s: float | None = None,
    env: dict[str, str] | None = None,
    python: str | None = None,
    resources: Resources | None = None,
    hide: Sequence[str] = (),
    prefix: str = "",
) -> Call:
    """Return a call of a function of ``workspace.children``, for the executor.

    Raises:
        NotFoundError: if the folder of the project is gone.
    """
    if root is not None and not Path(root).is_dir():
        raise NotFoundError(
            f"The project's folder {root} is gone.",
            field="root",
            hint="Run the pipeline in the project's folder; or make a run of it again from what"
            " it kept: mainspring reproduce RUN",
        )
    return Call(
        target=f"mainspring.workspace.children:{function}",
        payload={**payload, "objects": ws.settings.objects_url},
        cwd=root,
        path=[root, *checkouts.paths_of(ws.home, root)] if root else [],
        env={**_whereabouts(ws), **checkouts.variables_of(ws.home, root), **(env or {})},
        log=None if log is None else str(log),
        timeout_s=timeout_s,
        beat=payload.get("beat") or None,
        beat_s=beat_s,
        python=python,
        memory=None if resources is None else resources.memory,
        cpus=None if resources is None else resources.cpus,
        soon=function in _SOON,
        light=python is None and root is not None and _light(ws, function, root),
        hide=list(hide),
        prefix=prefix,
    )


def _light(ws: Workspace, function: str, root: str) -> bool:
    """Return whether a call needs neither tables nor models, by what the project speaks of."""
    if function not in _ITS_OWN:
        return False
    return ws.spoken.of(root, again=function == "trace") == speaking.PLAIN


def _whereabouts(ws: Workspace) -> dict[str, str]:
    """Return what tells a step's own ``ms.run`` where it is: in this home, whatever began it."""
    found = {"MAINSPRING_HOME": ws.settings.home, "MAINSPRING_URL": ""}
    if ws.settings.traceback != "own":
        found[FRAMES] = ws.settings.traceback
    if ws.settings.objects:
        found["MAINSPRING_OBJECTS"] = ws.settings.objects
    return found


def types_of(error: BaseException, outcome: Outcome) -> list[str]:
    """Return the class of what went wrong in a child and its bases, by name."""
    return outcome.types or [kind.__name__ for kind in type(error).__mro__ if kind is not object]


def as_error(outcome: Outcome) -> MainspringError:
    """Return the error that stands for a failed outcome."""
    if outcome.killed:
        return UnavailableError(
            f"The process that did it was {outcome.error}.",
            hint="If it happens again, look whether the machine runs out of memory.",
        )
    kind = _BY_CODE.get(outcome.code)
    if kind is None or kind is StepFailedError:
        return StepFailedError(outcome.error, trace=outcome.trace)
    message, _, hint = outcome.error.partition("\n")
    error = kind(message, hint=hint or None)
    error.field = outcome.field
    if isinstance(error, ProjectError):
        error.trace = outcome.trace
    return error


def words_of(error: MainspringError) -> str:
    """Return an error as it is kept of a step: what to do about it is a line of its own."""
    return "\n".join(text for text in (error.message, error.hint) if text)
