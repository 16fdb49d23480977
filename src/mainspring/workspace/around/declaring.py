"""Make a pipeline of a script: one step that runs it, declared in the caller's own module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Card, Kind, RetrainingPolicy
from mainspring.pipelines.declare import Pipeline, pipeline, step
from mainspring.workspace.around.scripts import Script, code_of, inside

_TEXT = '''
def {name}_script(captured: str | None) -> object:
    """Run {script} on the rows that the loop assembled, and take over the model it made."""
    from mainspring.workspace.around.running import run
    return run(captured, {how!r}, __file__)


def {name}(captured: str | None = None):
    """Run {script}."""
    return {name}_script(captured)
'''


def described(
    root: Path,
    script: str,
    *,
    model: str,
    target: str,
    rows: str,
    kind: Kind | None = None,
    time: str | None = None,
    writes: str | None = None,
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    python: str | None = None,
) -> Script:
    """Return what is said of a script, checked.

    Raises:
        BadInputError: naming what cannot be.
    """
    path = inside(root, script, "script").as_posix()
    if isinstance(args, str):
        raise BadInputError(f"args is a list of texts, found {args!r}.", field="args")
    if Path(rows).is_absolute() or ".." in Path(rows).parts:
        raise BadInputError(
            f"rows must lie in the project's folder {root}, found {rows!r}.",
            field="rows",
            hint="Link the file into the project, and name the link.",
        )
    return Script(
        script=path,
        code=code_of(root, path),
        rows=rows,
        target=target,
        kind=kind or kind_of(root / rows, target),
        model=model,
        time=time,
        writes=None if writes is None else inside(root, writes, "writes").as_posix(),
        args=list(args),
        env=dict(env or {}),
        python=python,
    )


def plain_name(model: str) -> str:
    """Return a model's name as part of a Python name.

    >>> plain_name("churn-eu")
    'churn_eu'
    """
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in model)


def kind_of(file: Path, target: str) -> Kind:
    """Return the kind of task that the target column of a file asks for.

    Raises:
        BadInputError: if there is no such file or column.
    """
    from mainspring.scaling.models.target import infer_kind
    from mainspring.workspace.tables import read

    rows = read(file, "rows")
    if target not in rows.columns:
        raise BadInputError(
            f"{file} has no column {target!r}.",
            field="target",
            hint=f"It has {', '.join(rows.columns[:30])}.",
        )
    return infer_kind(rows[target].drop_nulls())


def learning_from(policy: RetrainingPolicy | None, script: Script) -> RetrainingPolicy:
    """Return a policy that learns from the script's own rows, unless it says otherwise."""
    policy = policy or RetrainingPolicy()
    if policy.rows.source is not None:
        return policy
    rows = msgspec.structs.replace(policy.rows, source=script.rows)
    return msgspec.structs.replace(policy, rows=rows)


def card_of(script: Script) -> Card:
    """Return what can be said of a model by its script alone; a person has to read it over."""
    return Card(
        purpose=f"Predict {script.target}.",
        owner="whoever keeps " + script.script,
        limitations="Not reviewed yet.",
        notes=f"Made by {script.script}.",
    )


def wired(script: Script, around: dict[str, Any]) -> Pipeline[..., Any]:
    """Return a pipeline that runs a script, put into the module whose names are ``around``.

    It has to be there: another process finds a step by its module and name. What is said of the
    script is part of the step's code, so that an edited script is another step.
    """
    name = f"around_{plain_name(script.model)}"
    how = msgspec.json.encode(script, order="deterministic").decode()
    # The names of the module stay what they are: only these two are added.
    text = _TEXT.format(name=name, script=script.script.replace('"', " "), how=how)
    exec(compile(text, f"<around {script.script}>", "exec"), around)  # noqa: S102  our own text
    around[f"{name}_script"] = step(cache=False)(around[f"{name}_script"])
    made: Pipeline[..., Any] = pipeline(around[name])
    around[name] = made
    return made
