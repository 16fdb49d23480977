"""Continuous integration: write the service's file, and report what a change does to a model."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, Remote, asking, settings_of
from mainspring.ground.errors import AlreadyExistsError, BadInputError

if TYPE_CHECKING:
    from mainspring.ground.gates import Gate
    from mainspring.ground.settings import Settings
    from mainspring.workspace.changes.report import Report

Pipeline = Annotated[str, Parameter(help="The pipeline, by its name or as module:name.")]
Model = Annotated[str | None, Parameter(help="What its versions are of; default: its name.")]


def init(
    service: Annotated[Literal["github", "gitlab"], Parameter(help="github or gitlab.")],
    /,
    *,
    pipeline: Annotated[
        str | None, Parameter(help="The pipeline to run; default: the only one there is.")
    ] = None,
    model: Model = None,
    base: Annotated[str, Parameter(help="The branch that changes are compared with.")] = "main",
    force: Annotated[bool, Parameter(negative=(), help="Write over the file there is.")] = False,
    options: Everywhere = HERE,
) -> None:
    """Write the file by which GitHub or GitLab reports on every change of this project.

    It installs what the project's requirements.txt or pyproject.toml asks for, else this release
    of Mainspring, checks the configuration, runs the project's tests if there are any, and
    mainspring ci report. It needs no server and no secret.
    """
    from mainspring.debt import integration
    from mainspring.ground.environment import environment

    settings = settings_of(options)
    root = Path(settings.root)
    with asking(options, create=True) as house:
        name = _only(house.call("pipelines.list"), pipeline)
    there = ("requirements.lock", "requirements.txt", "pyproject.toml")
    wanted = integration.Wanted(
        service=service,
        pipeline=name,
        model=model or name,
        base=base,
        python=environment()["python"],
        manifest=next((one for one in there if (root / one).is_file()), None),
        tests=(root / "tests").is_dir(),
    )
    text = integration.text(wanted)
    file = root / integration.PLACES[service]
    if file.exists() and not force and file.read_text("utf-8") != text:
        raise AlreadyExistsError(
            f"{file} is there already.", field="service", hint="Write over it: --force"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    told = {"file": str(file)} | msgspec.to_builtins(wanted)
    render.said(options, told, f"{file} reports on every change against {base}. Commit it.")


def _only(pipelines: list[dict[str, Any]], asked: str | None) -> str:
    names = [one["name"] for one in pipelines]
    if asked is not None:
        found = [one["name"] for one in pipelines if asked in (one["name"], one["target"])]
        if found:
            return str(found[0])
    elif len(names) == 1:
        return str(names[0])
    raise BadInputError(
        f"The project has {', '.join(names) or 'no pipeline'}; "
        + ("one of them must be named." if asked is None else f"{asked[:80]!r} is none of them."),
        field="pipeline",
        hint="--pipeline NAME",
    )


def report(
    pipeline: Pipeline,
    /,
    *,
    model: Model = None,
    base: Annotated[
        str, Parameter(help="The branch or commit that the change is compared with.")
    ] = "origin/main",
    params: Annotated[
        list[str] | None,
        Parameter(name=["--param", "-p"], negative=(), help="A parameter as name=value."),
    ] = None,
    smoke_rows: Annotated[
        int, Parameter(help="To how many rows the smoke run cuts what comes in.")
    ] = 200,
    markdown: Annotated[
        Path | None, Parameter(help="Write the report to this file; else it is printed.")
    ] = None,
    junit: Annotated[Path | None, Parameter(help="Write the gate as JUnit XML as well.")] = None,
    options: Everywhere = HERE,
) -> int:
    """Say what the code that is checked out here does to a model. Exit code by the gate.

    A smoke run first. Then the pipeline runs on the code where this branch left the base, and on
    the code here, into one home, so that what did not change is computed once. Both versions and
    the champion are scored on the same rows. Exit code 0 if the gate passed, 1 if it was refused
    or a run failed, 2 if it could not be asked.

    With --url the champion and the gate are asked from that server; the runs are of this machine
    all the same, and nothing is registered there. The gate judges the columns beside that
    champion; how losses differ from its is told, not judged.
    """
    from mainspring.workspace.changes.report import Wanted, reported

    settings = settings_of(options)
    wanted = Wanted(
        root=settings.root,
        home=settings.home,
        pipeline=pipeline,
        model=model or pipeline.rpartition(":")[2],
        base=base,
        params=params or [],
        smoke_rows=smoke_rows,
    )
    house = Local(msgspec.structs.replace(settings, url=None), create=True)
    try:
        found = reported(
            wanted,
            house.workspace,
            lambda model: _champion(settings, model),
            _tell(options),
            lambda model: _gate(settings, model),
        )
    finally:
        house.close()
    _written(found, markdown, junit)
    told = msgspec.to_builtins(found)
    if options.json or markdown is None:
        render.answer(options, told, lambda out: out.out(found.markdown))
    else:
        render.said(options, told, f"{found.headline}: {markdown}")
    return 0 if found.passed else 1


def comment(
    markdown: Annotated[Path, Parameter(help="The report that ci report wrote.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Put a report on the pull or merge request of this job, over the one before.

    Which request it is and whose token is shown are taken from the job's environment: GitHub's
    with GH_TOKEN, GitLab's with GITLAB_TOKEN. Where there is no request, no token, or the token
    may not write (as that of a fork), nothing is written, which is said and fails nothing.
    """
    from mainspring.workspace.changes import commenting

    try:
        text = markdown.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{markdown} cannot be read: {error}", field="markdown") from error
    found = commenting.comment(text, os.environ)
    said = f"No comment was written: {found.why}."
    if found.done != "none":
        said = f"The comment on {found.number} was {found.done}."
    render.said(options, msgspec.to_builtins(found), said)


def _written(found: Report, markdown: Path | None, junit: Path | None) -> None:
    from mainspring.readiness import junit as xml

    if markdown is not None:
        markdown.write_text(found.markdown, "utf-8")
    if junit is not None and found.gate is not None:
        junit.write_text(xml.of_gate(found.gate) + "\n", "utf-8")
    elif junit is not None:
        junit.write_text(xml.of_failure(found.headline, found.why) + "\n", "utf-8")


def _champion(settings: Settings, model: str) -> tuple[str, bytes] | None:
    """Return what a server's champion is called, and its artifact; None where there is none."""
    from mainspring.ground.errors import NotFoundError

    if not settings.url:
        return None
    house = Remote(settings)
    try:
        versions = house.call("models.get", model=model)
        number = versions["aliases"].get("champion")
        if number is None:
            return None
        reference = f"{model}/{number}"
        return reference, house.call("images.artifact", reference=reference)
    except NotFoundError:
        return None
    finally:
        house.close()


def _gate(settings: Settings, model: str) -> Gate | None:
    """Return the gate that a server has for a model; None where nobody declared one there."""
    from mainspring.ground.errors import NotFoundError
    from mainspring.ground.gates import Gate

    if not settings.url:
        return None
    house = Remote(settings)
    try:
        found = house.call("gates.show", model=model)
    except NotFoundError:
        return None
    finally:
        house.close()
    return None if found["source"] == "default" else msgspec.convert(found["gate"], Gate)


def _tell(options: Everywhere) -> Callable[[str], None]:
    if options.json:
        return lambda _: None
    return lambda line: print(render.plain(line), file=sys.stderr, flush=True)  # noqa: T201
