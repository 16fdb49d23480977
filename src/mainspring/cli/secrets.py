"""Secrets that steps are given: set, list, remove. A value is never an argument."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call

if TYPE_CHECKING:
    from rich.console import Console

Secret = Annotated[str, Parameter(help="The variable a step finds it in, such as API_KEY.")]


def put(name: Secret, /, *, options: Everywhere = HERE) -> None:
    """Keep a secret for steps that ask for it: @step(secrets=["API_KEY"]).

    The value is typed without being shown, or read from standard input, so that it stands in
    no list of processes and no history of a shell.
    """
    done = call(options, "secrets.set", name=name, value=_asked(name))
    render.said(options, done, f"{done['name']} is kept.")


def listed(*, options: Everywhere = HERE) -> None:
    """List the names of the secrets that are kept, and who set them; values are never shown."""
    rows = call(options, "secrets.list")

    def draw(out: Console) -> None:
        cells = [(one["name"], one["by"], render.when(one["at"])) for one in rows]
        render.table(out, ("NAME", "SET BY", "AT"), cells, "No secrets yet: mainspring secret set")

    render.answer(options, rows, draw)


def remove(name: Secret, /, *, options: Everywhere = HERE) -> None:
    """Forget a secret. A step that asks for it then fails before it starts."""
    done = call(options, "secrets.remove", name=name)
    render.said(options, done, f"{name} is forgotten.")


def _asked(name: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"{name}: ")
    return sys.stdin.read().rstrip("\r\n")
