"""What a run's steps returned, read from Python afterwards: ``ms.result("last", "train")``."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from mainspring.experiments import runs
from mainspring.ground.errors import BadInputError, NotFoundError, ProjectError
from mainspring.ground.objects import Run
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import context, outputs, project, reading
from mainspring.pipelines.outputs import pickled
from mainspring.workspace.running import RESULT, ROOT

_SHORTEST = 8  #: characters by which a run is named, as in commands
_MOST_TOLD = 20  #: names of steps in an error


def result(
    run: str | Run = "last",
    step: str | None = None,
    *,
    to: str | Path | None = None,
    home: str | Path | None = None,
) -> Any:
    """Return what a step of a pipeline's run returned, as the value it was.

    Args:
        run: A run, its id or the id's first characters, or ``last``: the newest of a pipeline.
        step: The name of a step, such as ``"train"`` or ``"fit[3]"``; a map's own name gives
            the list of its results. None: what the pipeline itself returns.
        to: A folder that files and folders are written into; None for one that goes with this
            process.
        home: Where the run is kept (default: MAINSPRING_HOME, else .mainspring).

    What the step returned is read by its digest and verified. A class of the project is imported
    from the folder the run was started in. In a step this is refused: what a step returns must
    follow from its arguments alone.

    Raises:
        NotFoundError: if there is no such run, or no such step in it.
        ConflictError: if the step has not returned anything yet.
        BadInputError: if the run is of no pipeline, or its pipeline returns nothing.
        ProjectError: within a step, or if a class of the value is not there any more.
    """
    from mainspring.ground.settings import load
    from mainspring.workspace import codecs
    from mainspring.workspace.opening import open_workspace

    _outside_of_steps()
    settings = load({"home": None if home is None else os.fspath(home)})
    if settings.url and home is None:
        raise BadInputError(
            "What steps returned is read on the home itself, and MAINSPRING_URL names a server.",
            field="home",
            hint="Say which home: ms.result(..., home='.mainspring').",
        )
    codecs.register()
    ws = open_workspace(settings, create=False)
    try:
        found, name = ws.read(Permission.READ, lambda tx: _named(tx, run, step))
        digest, type_ = ws.read(Permission.READ, lambda tx: reading.output_of(tx, found.id, name))
        with pickled.within(ws.home), _importable(found.tags.get(ROOT, "")):
            return outputs.decode(digest, type_, ws.objects, _folder(to))
    finally:
        ws.close()


@contextlib.contextmanager
def _importable(root: str) -> Iterator[None]:
    """Let classes of the project be imported from the folder of the run, for a while.

    Modules of another project that are called so too, as ``project`` mostly is, are set aside
    meanwhile: a class of theirs is not the one that was returned.
    """
    before, others = sys.path[:], _others(root)
    for name in others:
        del sys.modules[name]
    if root:
        sys.path.insert(0, root)
    try:
        yield
    finally:
        sys.path[:] = before
        if others:
            tops = {name.partition(".")[0] for name in others}
            for name in [one for one in sys.modules if one.partition(".")[0] in tops]:
                del sys.modules[name]
            sys.modules.update(others)


def _others(root: str) -> dict[str, ModuleType]:
    """Return what is loaded from elsewhere under a name that the project in ``root`` has too."""
    if not root or not Path(root).is_dir():
        return {}
    folder = Path(root).resolve()
    tops = {file.stem for file in folder.glob("*.py")}
    tops |= {file.parent.name for file in folder.glob("*/__init__.py")}
    foreign = {
        top
        for top in tops & sys.modules.keys()
        if (file := getattr(sys.modules[top], "__file__", None))
        and project.is_users(file)
        and Path(file).resolve() not in (folder / f"{top}.py", folder / top / "__init__.py")
    }
    return {
        name: module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in foreign
    }


def _outside_of_steps() -> None:
    step = context.current()
    if step is not None:
        raise ProjectError(
            f"Step {step.step} asks for the result of another run, so that what it returns"
            " would not depend on its arguments alone.",
            hint="Ask for it outside, and give it to the step; or keep it as a data version:"
            ' ms.add_data(...), ms.data("name").',
        )


def _named(tx: Tx, given: str | Run, step: str | None) -> tuple[Run, str]:
    """Return the run that is meant, and the name of the step that is."""
    run = runs.get(tx, given.id) if isinstance(given, Run) else _found(tx, given)
    if run.pipeline is None:
        raise BadInputError(
            f"Run {run.id} is of no pipeline, so that no step returned anything.",
            field="run",
            hint=f"See what it logged: mainspring show {run.id}",
        )
    if step is None:
        name = run.tags.get(RESULT, "")
        if not name:
            raise BadInputError(
                f"The pipeline of run {run.id} returns nothing.",
                field="step",
                hint=f"Name a step of it: {_steps(tx, run)}.",
            )
        return run, name
    return run, step


def _found(tx: Tx, given: str) -> Run:
    """Return the newest run of a pipeline whose id begins so; ``last`` is the newest of all."""
    if not isinstance(given, str):
        raise BadInputError(
            f"A run is given as its id, as 'last' or as a Run, found {given!r:.80}.", field="run"
        )
    if given != "last" and len(given) < _SHORTEST:
        raise NotFoundError(
            f"A run is named by at least {_SHORTEST} characters of its id, found {given!r}.",
            field="run",
        )
    found = runs.newest_of_pipelines(tx, "" if given == "last" else given)
    if found is None:
        raise NotFoundError(
            "No pipeline was run in this home." if given == "last" else f"No run {given[:80]!r}.",
            field="run",
            hint="See them with: mainspring runs",
        )
    return found


def _steps(tx: Tx, run: Run) -> str:
    names = [one.step for one in reading.steps_of(tx, run.id)]
    more = len(names) - _MOST_TOLD
    return ", ".join(names[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")


def _folder(to: str | Path | None) -> Path:
    """Return the folder that files are written into."""
    if to is not None:
        Path(to).mkdir(parents=True, exist_ok=True)
        return Path(to)
    made = Path(tempfile.mkdtemp(prefix="mainspring-result-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
