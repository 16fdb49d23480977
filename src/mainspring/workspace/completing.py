"""Name what a word on the command line may become: runs, steps, pipelines, params, datasets.

A shell asks with every press of the tab key, so nothing heavy is imported, and the project is
read as text: none of its code runs.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

from mainspring.backends.peeking import texts
from mainspring.ground.settings import Settings

MOST = 200  #: names of a kind, as the questions say too
_FILE = "project.py"
_LARGEST = 2_000_000  #: bytes of a project's file


def names(settings: Settings, kind: str, about: str | None = None) -> list[str]:
    """Return the names of a kind: run, pipeline, step, param, dataset, model.

    ``about`` is the pipeline whose steps or params are meant, or the run whose steps. A server
    or PostgreSQL has a second to answer.
    """
    found = _KINDS[kind](settings, about)
    if settings.url and (kind != "param" or not found):
        from mainspring.workspace import completing_far

        found = [*found, *completing_far.names(settings, kind, about)]
    return list(dict.fromkeys(found))[:MOST]


def _runs(settings: Settings, about: str | None) -> list[str]:  # noqa: ARG001  all are asked alike
    return ["last", *_ask(settings, "select id from runs order by started desc limit 200")]


def _pipelines(settings: Settings, about: str | None) -> list[str]:  # noqa: ARG001
    ran = "select distinct pipeline from runs where pipeline is not null"
    past = [one.removeprefix("project:") for one in _ask(settings, ran)]
    return [*_declared(settings, "pipeline"), *past]


def _steps(settings: Settings, about: str | None) -> list[str]:
    """Return the steps of a run, or of the newest run of a pipeline and all of the project."""
    of = (
        "select step from steps where run = (select id from runs where {}"
        " order by started desc limit 1) order by position limit 200"
    )
    if about is None or about == "last":
        own = "pipeline is not null and (cause is null or cause not like 'step:%')"
        return _ask(settings, of.format(own))
    if about.startswith("run_"):
        return _ask(settings, of.format("id like ?"), f"{about}%")
    target = about if ":" in about else f"project:{about}"
    return [*_ask(settings, of.format("pipeline = ?"), target), *_declared(settings, "step")]


def _params(settings: Settings, about: str | None) -> list[str]:
    for one in _functions(settings):
        if about is not None and one.name == about.rpartition(":")[2] and _is(one, "pipeline"):
            given = [*one.args.posonlyargs, *one.args.args, *one.args.kwonlyargs]
            return [f"{each.arg}=" for each in given]
    return []


def _datasets(settings: Settings, about: str | None) -> list[str]:  # noqa: ARG001
    held = "select distinct name from data_versions where removed is null order by name"
    return _ask(settings, held)


def _models(settings: Settings, about: str | None) -> list[str]:  # noqa: ARG001
    return _ask(settings, "select name from models order by name")


def _ask(settings: Settings, statement: str, *given: str) -> list[str]:
    if settings.url:
        return []
    database = settings.database or ""
    if database.startswith(("postgresql://", "postgres://")):
        from mainspring.backends import peeking
        from mainspring.workspace.completing_far import within

        return within(lambda: peeking.texts_of_postgres(database, statement, given))
    file = database.removeprefix("sqlite:///") or Path(settings.home) / "mainspring.db"
    return texts(Path(file), statement, given)


def _declared(settings: Settings, kind: str) -> list[str]:
    return [one.name for one in _functions(settings) if _is(one, kind)]


def _functions(settings: Settings) -> list[ast.FunctionDef]:
    file = Path(settings.root) / _FILE
    try:
        if file.stat().st_size > _LARGEST:
            return []
        tree = ast.parse(file.read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):  # it is being typed just now
        return []
    return [one for one in tree.body if isinstance(one, ast.FunctionDef)]


def _is(function: ast.FunctionDef, kind: str) -> bool:
    """Return whether a function stands below ``@step``, ``@ms.step`` or ``@ms.step(...)``."""
    for one in function.decorator_list:
        called = one.func if isinstance(one, ast.Call) else one
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name == kind:
            return True
    return False


_KINDS: dict[str, Callable[[Settings, str | None], list[str]]] = {
    "run": _runs,
    "pipeline": _pipelines,
    "step": _steps,
    "param": _params,
    "dataset": _datasets,
    "model": _models,
}
