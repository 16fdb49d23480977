"""Close a loop around a training script: write the five lines, trust what the script makes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.models import Reason
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking
from mainspring.cli.template import quoted
from mainspring.ground.errors import AlreadyExistsError
from mainspring.ground.settings import FILE, find_root

if TYPE_CHECKING:
    from mainspring.workspace.around.scripts import Script

ScriptFile = Annotated[Path, Parameter(help="The training script, in the project's folder.")]
_TEXT = '''"""A loop around {script}: mainspring up."""

import mainspring as ms

loop = ms.Loop.around(
{lines}
)
'''


def adopt(
    script: ScriptFile,
    /,
    *,
    model: Annotated[str, Parameter(help="The model's name.")],
    target: Annotated[str, Parameter(help="The column of the rows that it predicts.")],
    rows: Annotated[str, Parameter(help="The CSV or Parquet file that the script reads.")],
    time: Annotated[
        str | None, Parameter(help="The column that says when a row happened.")
    ] = None,
    writes: Annotated[
        str | None, Parameter(help="The model file it writes. Default: it logs with MLflow.")
    ] = None,
    python: Annotated[
        str | None, Parameter(help="The interpreter to run it with. Default: this one.")
    ] = None,
    trust: Annotated[
        str | None, Parameter(help="Why pickled models of this script may be loaded.")
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Write project.py with a loop around a training script; the script stays as it is."""
    from mainspring.workspace.around.declaring import described

    root = Path.cwd()
    project = root / "project.py"
    if project.exists():
        raise AlreadyExistsError(
            f"{project} is there already.",
            hint="Put the loop into it: loop = ms.Loop.around('train.py', model=..., ...)",
        )
    told = described(
        root,
        str(script),
        model=model,
        target=target,
        rows=rows,
        time=time,
        writes=writes,
        python=python,
    )
    project.write_text(_TEXT.format(script=told.script, lines=_lines(told)), "utf-8")
    if not (root / FILE).is_file():  # or a project above would be taken for this one
        (root / FILE).write_text(f"# Settings of the project {model}.\n", "utf-8")
    lines = [
        f"{project}: a loop around {told.script}, {told.kind} of {target}.",
        f"Try it:          mainspring run around_{_plain(model)}",
        "Close the loop:  mainspring up",
    ]
    if trust is not None:
        with asking(options, create=True) as house:
            house.call("scripts.trust", script=told.script, code=told.code, reason=trust)
        lines.insert(1, f"Pickled models of {told.script} as it is may be loaded.")
    document: dict[str, Any] = {"project": str(project), "script": told.script, "code": told.code}
    document |= {"model": model, "kind": told.kind, "trusted": trust is not None}
    render.said(options, document, *lines)


def trust_script(script: ScriptFile, /, *, reason: Reason, options: Everywhere = HERE) -> None:
    """Let pickled models that a script makes be loaded, as long as the script stays as it is."""
    from mainspring.workspace.around.scripts import code_of, inside

    root = find_root()
    path = inside(root, str(script), "script").as_posix()
    code = code_of(root, path)
    with asking(options, create=True) as house:
        done = house.call("scripts.trust", script=path, code=code, reason=reason)
    render.said(
        options, done, f"Pickled models of {path} ({code[:12]}) may be loaded, while it stays so."
    )


def _lines(told: Script) -> str:
    words = [quoted(told.script), f"model={quoted(told.model)}", f"target={quoted(told.target)}"]
    words += [f"rows={quoted(told.rows)}", f'kind="{told.kind}"']
    for name in ("time", "writes", "python"):
        value = getattr(told, name)
        if value is not None:
            words.append(f"{name}={quoted(value)}")
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > 90:
            lines.append("")
        lines[-1] += f"{word}, " if lines[-1] else f"    {word}, "
    return "\n".join(line.rstrip() for line in lines)


def _plain(model: str) -> str:
    from mainspring.workspace.around.declaring import plain_name

    return plain_name(model)
