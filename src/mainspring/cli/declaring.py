"""Declare the loops of a project as its file has them now."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mainspring.cli.remote import Local, Remote
from mainspring.ground.errors import MainspringError, NotFoundError
from mainspring.ground.settings import Settings


def declare_loops(house: Local | Remote, name: str | None = None) -> dict[str, int]:
    """Declare every loop of the project, or the one named; return their versions.

    Raises:
        NotFoundError: if the project has no loop of that name.
        ProjectError: if its Python cannot be used.
    """
    from mainspring.pipelines.project import find_loops

    found = find_loops(Path(house.settings.root))
    if name is not None and name not in {spec.name for spec in found}:
        known = ", ".join(spec.name for spec in found) or "none"
        raise NotFoundError(
            f"The project declares no loop {name!r}.", field="loop", hint=f"Its loops: {known}."
        )
    made = {}
    for spec in found:
        if name in (None, spec.name):
            answer = house.call("loops.declare", spec=msgspec.to_builtins(spec))
            made[spec.name] = int(answer["version"])
    return made


def has_project(settings: Settings) -> bool:
    """Return whether the root holds a project file."""
    return (Path(settings.root) / "project.py").is_file()


def declare_project(settings: Settings) -> list[str]:
    """Declare the project's loops and return what to say of it; an error is said, not raised."""
    house = Local(settings, create=True)
    try:
        made = declare_loops(house)
    except MainspringError as error:
        return [f"The project's loops are not declared: {' '.join(str(error).split())}"]
    finally:
        house.close()
    return [f"Loop {name} is declared (version {version})" for name, version in made.items()]
