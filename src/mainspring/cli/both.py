"""Commands that work by themselves and have others below them: ``runs``, ``runs delete``.

``mainspring.cli.both:runs`` is made when it is asked for, so that nothing is imported before.
"""

from __future__ import annotations

import importlib

from cyclopts import App

from mainspring.cli import commands


def __getattr__(name: str) -> App:
    """Return the app of a command that stands in both tables."""
    found = {e[0]: e for entries in commands.GROUPS.values() for e in entries}.get(name)
    if found is None or name not in commands.NESTED:
        raise AttributeError(f"There is no command {name!r} with others below it.")
    _, target, text, example = found
    app = App(
        name=name,
        help=text,
        help_epilogue=f"Example: {example}",
        help_format="plaintext",
    )
    room, _, function = target.partition(":")
    app.default(getattr(importlib.import_module(f"mainspring.cli.{room}"), function))
    for entry in commands.NESTED[name][1]:
        commands.add(app, entry)
    return app
