"""Compare configurations, and find what is wrong with the project's own."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.declaring import has_project
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call, settings_of
from mainspring.ground import settings
from mainspring.ground.errors import BadInputError, MainspringError
from mainspring.ground.flat import differences, flatten

if TYPE_CHECKING:
    from rich.console import Console

Side = Annotated[
    str,
    Parameter(
        help="A run's id, a version (flights/7), a loop (loop:flights@2), or a file (.toml, .json,"
        " .yaml) or folder with a mainspring.toml."
    ),
]


def diff(
    one: Side,
    other: Side,
    /,
    *,
    only: Annotated[
        str, Parameter(help="Only keys that begin so, parted by commas: params,packages.")
    ] = "",
    options: Everywhere = HERE,
) -> int:
    """Say in which keys two configurations differ. Exit code 0: in none, 1: in some."""
    wanted = tuple(part.strip() for part in only.split(",") if part.strip())
    before, after = (_keys(side, options) for side in (one, other))
    found = [
        change
        for change in differences(before, after)
        if not wanted or change.key.startswith(wanted)
    ]
    document = {
        "one": one,
        "other": other,
        "same": len({*before} & {*after}) - sum(None not in change for change in found),
        "different": [change._asdict() for change in found],
    }

    def draw(out: Console) -> None:
        rows = [(c.key, _cell(c.before), _cell(c.after)) for c in found]
        render.table(out, ("KEY", one, other), rows, empty="No difference.")

    render.answer(options, document, draw)
    return 1 if found else 0


def check(*, options: Everywhere = HERE) -> int:
    """Find everything that is wrong with the project's configuration. Exit code 1 if something is.

    Looks at every key of mainspring.toml and every MAINSPRING_ variable by itself, and reads what
    the project's code declares: pipelines and loops.
    """
    found = settings.wrong()
    told: dict[str, Any] = {"wrong": found, "pipelines": [], "loops": []}
    if not found and has_project(settings_of(options)):
        from mainspring.pipelines import project

        root = Path(settings_of(options).root)
        try:
            told["pipelines"] = [one.name for one in project.find_pipelines(root)]
            told["loops"] = [one.name for one in project.find_loops(root)]
        except MainspringError as error:
            found.append(f"{error.message}{f' {error.hint}' if error.hint else ''}")

    def draw(out: Console) -> None:
        for line in found:
            out.print(render.plain(f"wrong: {line}"))
        if not found:
            counts = f"{len(told['pipelines'])} pipelines and {len(told['loops'])} loops"
            out.print(f"Nothing is wrong; the project declares {counts}.")

    render.answer(options, told, draw)
    return 1 if found else 0


def schema(*, options: Everywhere = HERE) -> None:
    """Print the JSON schema of mainspring.toml, for editors that check as you type."""
    from mainspring.ground.settings import Settings

    found = msgspec.json.schema(Settings)
    for definition in found["$defs"].values():
        definition["additionalProperties"] = False
        definition.pop("required", None)  # root and home are found where nobody sets them
    del options
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


def _keys(side: str, options: Everywhere) -> dict[str, str]:
    file = Path(side).expanduser()
    if file.is_dir() and (file / settings.FILE).is_file():
        file = file / settings.FILE
    if file.is_file():
        return flatten(_read(file))
    if file.suffix in (".toml", ".json", ".yaml", ".yml"):
        raise BadInputError(f"There is no file {side}.", field="file")
    found: dict[str, str] = call(options, "configs.get", ref=side)["keys"]
    return found


def _read(file: Path) -> Any:
    try:
        text = file.read_text("utf-8")
        if file.suffix == ".toml":
            return tomllib.loads(text)
        if file.suffix == ".json":
            return json.loads(text)
        if file.suffix in (".yaml", ".yml"):
            return _yaml(text)
    except (ValueError, OSError) as error:
        raise BadInputError(f"{file} cannot be read: {error}", field="file") from error
    raise BadInputError(
        f"A configuration is .toml, .json or .yaml, found {file.name!r}.", field="file"
    )


def _yaml(text: str) -> Any:
    import yaml

    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise ValueError("it uses an alias; write it out.")  # lines can stand for gigabytes
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _cell(value: str | None) -> str:
    if value is None:
        return "(not there)"
    return value if len(value) <= 60 else f"{value[:57]}..."
