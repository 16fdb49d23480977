"""Data versions: add what lies in a folder, look at it, bring it back, send it elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.busy import busy
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, asking, call, settings_of
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

    from mainspring.workspace.data.places import Tell
    from mainspring.workspace.opening import Workspace

_SHORT = 12
_TOLD = 20
Link = Literal["auto", "reflink", "copy", "hardlink", "symlink"]


def add(
    path: Annotated[Path | None, Parameter(help="A file or a folder.")] = None,
    /,
    *,
    name: Annotated[
        str | None, Parameter(help="The dataset; without it, as the file or folder is called.")
    ] = None,
    message: Annotated[str, Parameter(name=["--message", "-m"], help="Why, in words.")] = "",
    pointer: Annotated[
        bool, Parameter(help="Write PATH.mainspring beside it, for Git, and .gitignore.")
    ] = True,
    query: Annotated[str | None, Parameter(help="Keep what a database answers.")] = None,
    source: Annotated[
        str | None, Parameter(name="--from", help="It: sqlite:///FILE, postgresql://HOST/NAME.")
    ] = None,
    again: Annotated[
        bool, Parameter(negative=(), help="Ask even if the newest version is of this query.")
    ] = False,
    options: Everywhere = HERE,
) -> None:
    """Keep a file or folder as the next version of a dataset.

    What is kept already, in this version or another, costs nothing again: of a large file of
    which eight bytes changed, a piece of about a megabyte is kept. With --query and --from it is
    the answer of a database, which is only read, as Parquet; its password is not kept.
    """
    import msgspec

    from mainspring.pipelines.data import pointers
    from mainspring.workspace.data import adding, tables
    from mainspring.workspace.data.places import place_of

    if (path is None) == (query is None) or (query is None) != (source is None):
        raise BadInputError(
            "Name a file or folder, or --query with --from and --name.", field="path"
        )
    if query is not None and name is None:
        raise BadInputError("What a query answers needs a --name.", field="name")
    written = None
    if path is None:
        asked = (str(name), str(query), str(source))
        with here(options, "add --query", create=True) as ws, progress_bar(options) as tell:
            found = tables.add_query(ws, *asked, message=message, again=again, tell=tell)
    else:
        if pointer:
            pointers.refuse_outside(path)
        with asking(options, create=True) as house, progress_bar(options) as tell:
            given: dict[str, Any] = {"name": name, "message": message, "tell": tell}
            if isinstance(house, Local):
                found = adding.added(house.workspace, path, **given)
            else:
                found = house.data.added(path, **given)
        written = pointers.write(place_of(path), found.version) if pointer else None
    version = found.version
    told = msgspec.to_builtins(found) | {"pointer": None if written is None else str(written)}
    size = f"{version.files:,} file{'s' * (version.files != 1)}, {render.size(version.bytes)}"
    new = (
        f"is new, {render.size(found.stored)} of it not kept before"
        if found.new
        else ("holds the same already")
    )
    lines = [f"{version.reference} {new} ({size}, {version.digest[:_SHORT]})"]
    if written is not None:
        lines.append(f"pointer: {written.name}")
    render.said(options, told, *lines)


def status(
    what: Annotated[
        str | None,
        Parameter(help="A file or folder, or a dataset: every place below that points to it."),
    ] = None,
    /,
    *,
    options: Everywhere = HERE,
) -> int:
    """Show what differs from the versions that belong here. Exit code 1 if anything does.

    Without an argument it looks at every pointer below the folder one stands in.
    """
    import msgspec

    from mainspring.workspace.data import looking

    with asking(options) as house, progress_bar(options) as tell:
        if isinstance(house, Local):
            home, held_of = Path(house.settings.home), looking.in_home(lambda: house.workspace)
            found = [looking.status(home, place, held_of, tell) for place in _places(what)]
        else:
            found = [house.data.status(place, tell) for place in _places(what)]

    def draw(out: Console) -> None:
        for one in found:
            _draw_status(out, one)

    render.answer(options, msgspec.to_builtins(found), draw)
    return 0 if all(one.state == "clean" for one in found) else 1


def _draw_status(out: Console, one: Any) -> None:
    whose = f"{one.name}@{one.number}" if one.name else "no version"
    size = f"{one.files:,} file{'s' * (one.files != 1)}, {render.size(one.bytes)}"
    out.print(render.plain(f"{one.path}: {one.state}, {whose} ({size})"))
    for word in ("added", "changed", "removed", "refused"):
        paths = getattr(one, word)
        for path in paths[:_TOLD]:
            out.print(render.plain(f"  {word}: {path}"))
        if len(paths) > _TOLD:
            out.print(f"  {word}: and {len(paths) - _TOLD:,} more")


def _places(what: str | None) -> list[Path]:
    """Return the places that are meant: a path, those of a dataset, or all below here."""
    from mainspring.pipelines.data import pointers
    from mainspring.workspace.data.places import place_of

    if what is not None:
        place = place_of(Path(what))
        if place.exists() or pointers.beside(place).exists():
            return [place]
    found = [
        place
        for file, place in pointers.below(Path.cwd())
        if what is None or pointers.read(file).name == what.partition("@")[0]
    ]
    if not found:
        meant = "any dataset" if what is None else repr(what[:200])
        raise BadInputError(
            f"Nothing here is a file or folder, or points to {meant}.",
            field="what",
            hint="Add something: mainspring data add PATH",
        )
    return found


def log(
    name: Annotated[str, Parameter(help="The dataset.")], /, *, options: Everywhere = HERE
) -> None:
    """List the versions of a dataset, the newest first."""
    found = call(options, "data.log", name=name)

    def draw(out: Console) -> None:
        rows = [
            (
                f"{one['name']}@{one['number']}",
                one["digest"][:_SHORT],
                f"{one['files']:,}",
                render.size(one["bytes"]),
                render.when(one["created"]),
                one["by"],
                one["message"].partition("\n")[0][:80],
            )
            for one in found
        ]
        columns = ("VERSION", "DIGEST", "FILES>", "SIZE>", "SINCE (UTC)", "BY", "")
        render.table(out, columns, rows)

    render.answer(options, found, draw)


def listed(*, options: Everywhere = HERE) -> None:
    """List the datasets that have versions, by name."""
    found = call(options, "data.list")

    def draw(out: Console) -> None:
        rows = [
            (
                one["newest"]["name"],
                one["versions"],
                one["newest"]["number"],
                one["newest"]["digest"][:_SHORT],
                f"{one['newest']['files']:,}",
                render.size(one["newest"]["bytes"]),
                render.when(one["newest"]["created"]),
            )
            for one in found
        ]
        columns = ("DATASET", "VERSIONS>", "NEWEST>", "DIGEST", "FILES>", "SIZE>", "SINCE (UTC)")
        render.table(out, columns, rows, "No data yet: mainspring data add PATH")

    render.answer(options, found, draw)


def get(
    version: Annotated[
        str | None, Parameter(help="NAME, NAME@7, NAME@latest or NAME@DIGEST.")
    ] = None,
    target: Annotated[Path | None, Parameter(help="Where to; by its name without it.")] = None,
    /,
    *,
    force: Annotated[
        bool, Parameter(negative=(), help="Overwrite files that were changed here.")
    ] = False,
    link: Annotated[Link, Parameter(help="How files get there; see the docs.")] = "auto",
    options: Everywhere = HERE,
) -> None:
    """Bring a version here; without an argument, all that pointers below this folder name.

    No file that was changed here is overwritten without --force, and none of your own is ever
    deleted.
    """
    import msgspec

    from mainspring.workspace.data import getting

    with asking(options) as house, progress_bar(options) as tell:

        def one(reference: str, place: Path | None) -> getting.Got:
            given: dict[str, Any] = {"force": force, "link": link, "tell": tell}
            if isinstance(house, Local):
                return getting.get(house.workspace, reference, place, **given)
            return house.data.get(reference, place, **given)

        here_below = Path.cwd()
        found = [one(version, target)] if version else getting.by_pointers(here_below, one)
    lines = []
    for got in found:
        gone = f", {got.removed:,} removed" if got.removed else ""
        extra = f", {got.extra:,} of your own left alone" if got.extra else ""
        lines.append(
            f"{got.version.reference} is in {got.path}:"
            f" {got.written:,} written, {got.kept:,} there already{gone}{extra}"
        )
    render.said(options, msgspec.to_builtins(found), *lines)


def remove(
    version: Annotated[str, Parameter(help="NAME@7.")], /, *, options: Everywhere = HERE
) -> None:
    """Remove a version. Its number never comes back; gc reclaims what nothing else needs."""
    name, _, number = version.partition("@")
    if not number.isdecimal():
        raise BadInputError(
            f"Name the version to remove by its number, such as {name or 'flights'}@7.",
            field="version",
        )
    gone = call(options, "data.remove", name=name, number=int(number))
    render.said(options, gone, f"{name}@{number} is removed. Reclaim: mainspring data gc")


def push(
    remote: Annotated[str, Parameter(help="A folder, another home, or s3://bucket/prefix.")],
    /,
    *versions: Annotated[str, Parameter(help="NAME or NAME@7; without any, everything.")],
    options: Everywhere = HERE,
) -> None:
    """Send versions to another place, which gets only what it lacks."""
    _move(options, "push", remote, versions)


def pull(
    remote: Annotated[str, Parameter(help="A folder, another home, or s3://bucket/prefix.")],
    /,
    *versions: Annotated[str, Parameter(help="NAME or NAME@7; without any, everything.")],
    options: Everywhere = HERE,
) -> None:
    """Bring versions from another place, and only what lacks here."""
    _move(options, "pull", remote, versions)


def _move(options: Everywhere, verb: str, remote: str, versions: tuple[str, ...]) -> None:
    import msgspec

    with asking(options, create=verb == "pull") as house:
        if isinstance(house, Local):
            from mainspring.workspace.data import moving

            act = moving.push if verb == "push" else moving.pull
            with progress_bar(options) as tell:
                found = msgspec.to_builtins(act(house.workspace, remote, versions, tell))
        else:
            doing = "sending" if verb == "push" else "bringing"
            with busy(options, f"the server is {doing} versions"):
                found = house.call(f"data.{verb}", remote=remote, versions=list(versions))
    lines = []
    for one in found:
        other = f" (there {one['name']}@{one['there']})" if one["there"] != one["number"] else ""
        sent = f"{one['objects']:,} objects, {render.size(one['bytes'])}"
        lines.append(f"{one['name']}@{one['number']}{other}: {sent}")
    render.said(options, found, *(lines or ["There is nothing to move."]))


def gc(
    *,
    dry_run: Annotated[
        bool, Parameter(negative=(), help="Change nothing, only say what would be done.")
    ] = False,
    unused_days: Annotated[
        float, Parameter(help="Copies that runs read go after so long without use.")
    ] = 7.0,
    options: Everywhere = HERE,
) -> None:
    """Reclaim the space of data that no version, run or step needs."""
    given: dict[str, Any] = {"dry_run": dry_run, "unused_s": unused_days * 86_400}
    with asking(options) as house:
        if isinstance(house, Local):
            import msgspec

            from mainspring.workspace.keeping import pruning

            with progress_bar(options) as tell:
                found = msgspec.to_builtins(pruning.prune(house.workspace, **given, tell=tell))
        else:
            with busy(options, "the server is looking for what nothing needs"):
                found = house.call("data.gc", **given)
    would = "would go" if dry_run else "went"
    render.said(
        options,
        found,
        f"{found['objects']:,} objects {would}, {render.size(found['bytes'])};"
        f" {found['young']:,} are younger than a day and stay for now",
        f"{found['trees']:,} copies that no run asked for lately {would},"
        f" {found['packs']:,} packs were packed anew",
    )


@contextmanager
def here(options: Everywhere, verb: str, *, create: bool = False) -> Iterator[Workspace]:
    """Open the home for what works on it alone."""
    settings = settings_of(options)
    if settings.url:
        raise BadInputError(
            f"data {verb} works on this machine's home, not on a server.",
            field="url",
            hint="Leave the URL out, and bring versions to the server's home by push or pull.",
        )
    local = Local(settings, create=create)
    try:
        yield local.workspace
    finally:
        local.close()


@contextmanager
def progress_bar(options: Everywhere) -> Iterator[Tell]:
    """Show how far it is, where a person is looking on."""
    if options.json or not sys.stderr.isatty():
        yield lambda _what, _at, _of: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=render.console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking", total=None)
        yield lambda what, at, of: bar.update(
            task, description=what, completed=at, total=of or None
        )
