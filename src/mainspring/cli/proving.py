"""Prove what can be proved of a project and its versions, and keep it as evidence."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.models import VersionRef, reference
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking, call

if TYPE_CHECKING:
    from rich.console import Console


def run_tests(
    *words: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="For pytest: paths, -k, and so on.")
    ],
    module: Annotated[
        list[str] | None,
        Parameter(negative=(), help="A module that holds pipelines; project, if none is named."),
    ] = None,
    options: Everywhere = HERE,
) -> int:
    """Run the project's tests, and keep that they passed on exactly this code.

    pytest runs in the project's folder. What came of it is evidence on every pipeline, with the
    digest of its code, which versions bear too: a gate with tests=True asks for it. Exit code 1
    if a test failed, none passed, or the code changed meanwhile.
    """
    from mainspring.workspace.proofs import suites

    with asking(options, create=True) as house:
        root = Path(house.settings.root)
        out = sys.stderr.fileno() if options.json else None
        ran = suites.run(root, words, module or ["project"], out)
        found = house.call(
            "proofs.tests",
            junit=ran.junit,
            exit_code=ran.exit_code,
            changed=ran.changed,
            pipelines=ran.whole.pipelines,
            steps=ran.whole.steps,
            lines={name: list(pair) for name, pair in ran.lines.items()},
            environment=ran.whole.environment,
        )
    passed = all(one["passed"] for one in found)

    def draw(out: Console) -> None:
        out.print(render.plain(found[0]["found"]))
        for name, (done, can) in ran.lines.items():
            out.print(render.plain(f"  {name.partition(':')[2]:<24} {done} of {can} lines"))
        for one in found:
            name = one["subject"].partition(":")[2]
            why = ran.whole.untraced.get(name)
            code = f"code {one['code'][:12]}" if not why else f"by its steps alone: {why}"
            out.print(render.plain(f"{one['id']}  {name}, {code}"))

    render.answer(options, {"passed": passed, "evidence": found}, draw)
    return 0 if passed else 1


def scan(version: VersionRef, /, *, options: Everywhere = HERE) -> int:
    """Look through a version's files for what could do harm. Exit code 1 if there is any.

    Nothing is loaded: every digest is checked, pickles are followed opcode by opcode, archives
    are looked into. What was found is kept as evidence, which the gate reads.
    """
    model, number = reference(version)
    found = call(options, "proofs.scan", model=model, number=number)

    def draw(out: Console) -> None:
        out.print(render.plain(found["found"]))
        for package in found["detail"]["packages"]:
            for one in package["found"]:
                out.print(render.plain(f"  {one['grave']:<8} {one['path']}: {one['told']}"))
        out.print(render.plain(found["id"]))

    render.answer(options, found, draw)
    return 0 if found["passed"] else 1
