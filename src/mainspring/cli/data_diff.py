"""Data versions, looked into: what differs between two, and what one holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.data import progress_bar
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, Remote, asking
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

    from mainspring.workspace.data.comparing import DataChanges, TableChanges
    from mainspring.workspace.data.places import Tell

_TOLD = 20


def diff(
    before: Annotated[str, Parameter(help="A version such as flights@1, or a file or folder.")],
    after: Annotated[
        str | None,
        Parameter(help="Another; without it what lies where BEFORE's pointer is, or the newest."),
    ] = None,
    /,
    *,
    key: Annotated[
        str, Parameter(help="Columns by which rows are the same row: day,carrier.")
    ] = "",
    files_only: Annotated[
        bool, Parameter(negative=(), help="Compare files alone; no table is read.")
    ] = False,
    markdown: Annotated[Path | None, Parameter(help="Write it as Markdown too.")] = None,
    options: Everywhere = HERE,
) -> int:
    """Show what differs between two versions: files, schema, rows and statistics.

    Tables are CSV, JSON lines, Parquet and Arrow, one by one or as folders of parts. Exit code 1
    if anything differs.
    """
    import msgspec

    from mainspring.workspace.data import telling
    from mainspring.workspace.data.comparing import DataChanges

    keys = [name.strip() for name in key.split(",") if name.strip()]
    with asking(options) as house:
        if isinstance(house, Local):
            from mainspring.workspace.data import comparing

            with progress_bar(options) as tell:
                ws = house.workspace
                sides = [comparing.side(ws, one, tell) for one in _two(before, after)]
                found = comparing.compare(
                    ws, sides[0], sides[1], key=keys, statistics=not files_only, tell=tell
                )
        else:
            one, other = _two(before, after)
            if Path(one).exists() or Path(other).exists():
                with progress_bar(options) as tell:
                    found = _files_alone(house, (one, other), files_only, tell)
            else:
                told = house.call(
                    "contents.diff", before=one, after=other, key=keys, files_only=files_only
                )
                found = msgspec.convert(told, DataChanges)
    if markdown is not None:
        markdown.write_text(telling.markdown(found), "utf-8")
    render.answer(options, msgspec.to_builtins(found), lambda out: _draw(out, found))
    return 0 if found.same else 1


def _files_alone(
    house: Remote, sides: tuple[str, str], files_only: bool, tell: Tell
) -> DataChanges:
    """Compare the files of what lies here and of a server's version by their digests."""
    from mainspring.workspace.data import comparing, sending

    if not files_only:
        raise BadInputError(
            "What lies here and a server's version are compared by their files alone.",
            field="files-only",
            hint="Say --files-only, or add it and compare the two versions.",
        )
    two = [sending.side(house.data, one, tell) for one in sides]
    return comparing.compare_files(*two)


def _two(before: str, after: str | None) -> tuple[str, str]:
    """Return both sides; without a second one what the pointer names, or the newest."""
    from mainspring.pipelines.data import pointers

    if after is not None:
        return before, after
    if "@" not in before and Path(before).exists():
        pointer = pointers.beside(Path(before))
        if not pointer.exists():
            raise BadInputError(
                f"{before} has no pointer beside it, so nothing says what to compare it with.",
                field="after",
                hint=f"Name the other side: mainspring data diff flights@1 {before}",
            )
        held = pointers.read(pointer)
        return f"{held.name}@{held.digest}", before
    return before, f"{before.partition('@')[0]}@latest"


def _draw(out: Console, found: DataChanges) -> None:
    from mainspring.workspace.data import telling

    sides = (found.before, found.after)
    told = [f"{render.plain(s.name)} ({s.files:,} files, {render.size(s.bytes)})" for s in sides]
    out.print(f"{told[0]} -> {told[1]}")
    out.print(telling.headline(found))
    files = found.files
    lines = [
        *(("added", one.path, render.size(one.size)) for one in files.added),
        *(("removed", one.path, render.size(one.size)) for one in files.removed),
        *(
            (
                "changed",
                one.path,
                f"{render.size(one.size_before)} -> {render.size(one.size_after)}",
            )
            for one in files.changed
        ),
        *(("renamed", f"{o.before} -> {o.after}", render.size(o.size)) for o in files.renamed),
    ]
    if lines:
        out.print()
        render.table(out, ("", "FILE", "SIZE>"), lines[:_TOLD])
        _more(out, len(lines))
    for table in found.tables[:_TOLD]:
        _draw_table(out, table)
    _more(out, len(found.tables) + found.tables_left)


def _step(before: int, after: int) -> str:
    return f"{render.size(before)} -> {render.size(after)}"


def _draw_table(out: Console, table: TableChanges) -> None:
    from mainspring.workspace.data import telling

    out.print(f"\n{render.plain(table.table)}: {telling.rows_told(table)}")
    if table.why:
        out.print(f"  not compared: {render.plain(table.why)}")
        return
    if table.state == "changed":
        schema = [
            *(("new", name, "", "") for name in table.columns_added),
            *(("gone", name, "", "") for name in table.columns_removed),
            *(("type", one.column, one.before, one.after) for one in table.retyped),
        ]
        if schema:
            render.table(out, ("", "COLUMN", "BEFORE", "AFTER"), schema[:_TOLD])
            _more(out, len(schema))
        if table.moved:
            cells = [
                (one.column, one.what, telling.said(one.before), telling.said(one.after))
                for one in table.moved
            ]
            render.table(out, ("COLUMN", "STATISTIC", "BEFORE>", "AFTER>"), cells[: 3 * _TOLD])
            _more(out, len(cells), 3 * _TOLD)
    if table.rows is not None:
        out.print(render.plain(telling.keys_told(table)))
        for word in ("added", "removed", "changed"):
            keys = getattr(table.rows, f"{word}_keys")
            if keys:
                shown = "; ".join(", ".join(str(cell) for cell in key) for key in keys[:5])
                out.print(render.plain(f"  {word}: {shown}{' ...' if len(keys) > 5 else ''}"))


def _more(out: Console, many: int, most: int = _TOLD) -> None:
    if many > most:
        out.print(f"and {many - most:,} more (--json names them)")


def show(
    version: Annotated[str, Parameter(help="NAME, NAME@7 or NAME@DIGEST.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Show what a version holds: its tables, column by column, and which runs read it."""
    import msgspec

    with asking(options) as house:
        if isinstance(house, Local):
            from mainspring.workspace.data import showing

            with progress_bar(options) as tell:
                found = msgspec.to_builtins(showing.describe(house.workspace, version, tell=tell))
        else:
            found = house.call("contents.show", version=version)
    render.answer(options, found, lambda out: _draw_version(out, found))


def _draw_version(out: Console, found: dict[str, Any]) -> None:
    from mainspring.workspace.data.telling import said

    one = found["version"]
    size = f"{one['files']:,} files, {render.size(one['bytes'])}"
    out.print(render.plain(f"{one['name']}@{one['number']}: {one['kind']}, {size}"))
    facts = [("digest", one["digest"]), ("since", render.when(one["created"])), ("by", one["by"])]
    facts += [("from", one["source"]), ("message", one["message"])]
    facts += [("the same as", ", ".join(found["same"]))]
    facts += [(key, str(value)) for key, value in sorted(one["meta"].items())]
    for name, value in facts:
        if value:
            out.print(render.plain(f"  {name}: {value}"))
    for table in found["tables"]:
        rows = "cannot be read" if table["rows"] is None else f"{table['rows']:,} rows"
        parts = f" in {table['parts']:,} parts" if table["parts"] > 1 else ""
        out.print(f"\n{render.plain(table['name'])}: {rows}{parts}")
        if table["why"]:
            out.print(f"  {render.plain(table['why'])}")
            continue
        cells = [
            (
                column["name"],
                column["type"],
                f"{column['missing']:,}",
                said(None if column["distinct"] is None else round(column["distinct"])),
                said(column["low"]),
                said(column["mean"]),
                said(column["high"]),
            )
            for column in table["columns"]
        ]
        render.table(
            out, ("COLUMN", "TYPE", "MISSING>", "DISTINCT>", "LOW>", "MEAN>", "HIGH>"), cells
        )
    if found["readers"]:
        out.print()
        rows_ = [
            (one["run"], one["name"], render.when(one["started"]), one["context"])
            for one in found["readers"]
        ]
        render.table(out, ("READ BY", "", "STARTED (UTC)", ""), rows_)
