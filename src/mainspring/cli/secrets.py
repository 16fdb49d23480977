"""Secrets that steps are given: set, list, remove, rotate. A value is never an argument."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking, call

if TYPE_CHECKING:
    from rich.console import Console

Secret = Annotated[str, Parameter(help="The variable a step finds it in, such as API_KEY.")]


def put(name: Secret, /, *, options: Everywhere = HERE) -> None:
    """Keep a secret for steps that ask for it: @step(secrets=["API_KEY"]).

    The value is typed without being shown, or read from standard input, so that it stands in
    no list of processes and no history of a shell.
    """
    with asking(options, create=True) as house:
        done = house.call("secrets.set", name=name, value=_asked(name))
    render.said(options, done, f"{done['name']} is kept.")


def listed(*, options: Everywhere = HERE) -> None:
    """List the names of secrets, who set them and which key seals them; values are never shown."""
    rows = call(options, "secrets.list")

    def draw(out: Console) -> None:
        cells = [
            (
                one["name"],
                one["by"],
                render.when(one["at"]),
                (one["key"] or "unsealed") + ("" if one["opens"] else " (not here)"),
            )
            for one in rows
        ]
        heads = ("NAME", "SET BY", "AT", "KEY")
        render.table(out, heads, cells, "No secrets yet: mainspring secret set")

    render.answer(options, rows, draw)


def remove(name: Secret, /, *, options: Everywhere = HERE) -> None:
    """Forget a secret. A step that asks for it then fails before it starts."""
    done = call(options, "secrets.remove", name=name)
    render.said(options, done, f"{name} is forgotten.")


def rotate(
    *,
    new_key: Annotated[
        bool,
        Parameter(
            help="Go on with a new key although values take one that is gone; they stay as they"
            " are.",
            negative="",
        ),
    ] = False,
    options: Everywhere = HERE,
) -> None:
    """Seal all secrets with a new key: those of steps, webhooks, channels and triggers.

    The key lies in secret.key in the home. Where MAINSPRING_SECRET_KEY gives it, put the new one
    first and the old one behind it ("NEW,OLD"), start again, rotate, then take the old one out.
    """
    done = call(options, "secrets.rotate", new_key=new_key)
    lines = [f"{done['sealed']} values are sealed with the key {done['key']}."]
    if done["kept"]:
        lines.append(f"Until the next rotation these open as well: {', '.join(done['kept'])}.")
    lines += [
        f"{one} takes a key that is not here, and stays as it is." for one in done["unopened"]
    ]
    render.said(options, done, *lines)


def _asked(name: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"{name}: ")
    return sys.stdin.read().rstrip("\r\n")
