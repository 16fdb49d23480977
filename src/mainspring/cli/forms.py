"""Register models that no run logged: an ONNX file, your own class, a directory, a graph."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.models import ModelName
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, Remote, asking


def add(
    model: ModelName,
    path: Annotated[
        str, Parameter(help="FILE.onnx, FILE.py:CLASS, or a folder with an MLmodel file.")
    ],
    /,
    *,
    file: Annotated[
        list[str] | None,
        Parameter(negative=(), help="A further file or folder that FILE.py:CLASS needs."),
    ] = None,
    requirement: Annotated[
        list[str] | None,
        Parameter(negative=(), help="A package that its environment must have."),
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Register a model that no run logged as the next version of a model.

    An ONNX file is judged like any model. Code of your own and what only MLflow can load run in a
    process of their own, once an approver trusts them.
    """
    from mainspring.ground.errors import BadInputError
    from mainspring.scaling.models import directories

    if ".py:" in path:
        found = directories.Predictor(path, files=file or (), requirements=requirement or ())
    elif file or requirement:
        raise BadInputError(
            "--file and --requirement belong to FILE.py:CLASS; a directory of MLflow names its"
            " own.",
            field="file" if file else "requirement",
        )
    else:
        found = directories.at(path)
    with asking(options, create=True) as house:
        digests = {name: put(house, data) for name, data in found.files.items()}
        made = house.call("packages.add", model=model, files=digests, source=path)
    version = f"{made['model']}/{made['number']}"
    lines = [f"{version} is registered."]
    if found.flavor in ("predictor", "mlflow"):
        lines.append(f"If its code is to run: mainspring models trust {version} --reason WHY")
    judge = f"mainspring judge {version} --rows ROWS --target COLUMN"
    render.said(options, made, *lines, f"Before it may serve: {judge}")


def graph(
    model: ModelName,
    file: Annotated[Path, Parameter(help="Its stages, as YAML or JSON.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Register a graph of models as the next version of a model.

    Its stages are members (versions of other models), ensembles, switches and SQL. An alias is
    read once: the graph keeps the version that it names now.
    """
    import msgspec

    from mainspring.ground.errors import NotFoundError
    from mainspring.scaling.models import stages

    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise NotFoundError(f"{file} cannot be read: {error.strerror}.", field="file") from error
    spec = msgspec.to_builtins(stages.file(text))
    with asking(options) as house:
        made = house.call("graphs.add", model=model, **spec)
    version = f"{made['model']}/{made['number']}"
    render.said(
        options,
        made,
        f"{version} is registered: {made['source']}.",
        f"Before it may serve: mainspring judge {version} --rows ROWS --target COLUMN",
    )


def put(house: Local | Remote, data: bytes) -> str:
    """Keep bytes as an object of the house, and return their digest."""
    from mainspring.ground.identity import sha256

    digest = sha256(data)
    if isinstance(house, Local):
        return house.workspace.objects.put(data)
    with tempfile.NamedTemporaryFile() as held:
        Path(held.name).write_bytes(data)
        house.send("objects.put", Path(held.name), digest=digest)
    return digest
