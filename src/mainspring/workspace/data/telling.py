"""Say what differs between two versions of data in Markdown, for a review."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mainspring.workspace.data.comparing import DataChanges, Moved, TableChanges

_MOST = 20


def markdown(found: DataChanges) -> str:
    """Return what differs as Markdown: a line in all, then the files, then a part a table."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: DataChanges) -> Iterator[str]:
    yield f"## {_cell(found.before.name)} -> {_cell(found.after.name)}"
    yield ""
    yield headline(found)
    files = found.files
    if not files.none:
        rows = [
            *(("added", one.path, "", _bytes(one.size)) for one in files.added),
            *(("removed", one.path, _bytes(one.size), "") for one in files.removed),
            *(
                ("changed", one.path, _bytes(one.size_before), _bytes(one.size_after))
                for one in files.changed
            ),
            *(
                ("renamed", f"{one.before} -> {one.after}", _bytes(one.size), _bytes(one.size))
                for one in files.renamed
            ),
        ]
        yield from _table(("", "file", "before", "after"), rows)
    for table in found.tables:
        yield from _of_table(table)
    if found.tables_left:
        yield f"\nAnd {found.tables_left:,} tables more."


def _of_table(table: TableChanges) -> Iterator[str]:
    yield ""
    yield f"### {_cell(table.table)}: {rows_told(table)}"
    if table.why:
        yield f"\nNot compared: {_cell(table.why)}"
        return
    if table.state == "changed":
        schema = [
            *(("added", name, "", "") for name in table.columns_added),
            *(("removed", name, "", "") for name in table.columns_removed),
            *(("type", one.column, one.before, one.after) for one in table.retyped),
        ]
        if schema:
            yield from _table(("", "column", "before", "after"), schema)
        if table.moved:
            cells = [
                (one.column, one.what, said(one.before), said(one.after)) for one in table.moved
            ]
            yield from _table(("column", "statistic", "before", "after"), cells)
    if table.rows is not None:
        yield ""
        yield keys_told(table)


def headline(found: DataChanges) -> str:
    """Return in one line what differs."""
    if found.same:
        return "Nothing differs."
    told = [f"{many:,} {name}" for name, many in found.counts.items() if many]
    return f"Files: {', '.join(told)}."


def rows_told(table: TableChanges) -> str:
    """Return what became of the number of rows."""
    if table.rows_before is None and table.rows_after is None:
        return table.state
    if table.rows_before is None:
        return f"added, {table.rows_after:,} rows"
    if table.rows_after is None:
        return f"removed, {table.rows_before:,} rows"
    step = table.rows_after - table.rows_before
    return f"{table.rows_before:,} -> {table.rows_after:,} rows ({step:+,})"


def keys_told(table: TableChanges) -> str:
    """Return what became of the rows by their key."""
    rows = table.rows
    if rows is None:
        return ""
    twice = ""
    if rows.repeated_before or rows.repeated_after:
        twice = f" Beyond the first of their key: {rows.repeated_before:,} before,"
        twice += f" {rows.repeated_after:,} after."
    return (
        f"By {', '.join(rows.key)}: {rows.added:,} rows added, {rows.removed:,} removed,"
        f" {rows.changed:,} changed, {rows.same:,} the same.{twice}"
    )


def said(value: float | None) -> str:
    """Return a number as people read it."""
    if value is None:
        return ""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.6g}"


def by_column(moved: list[Moved]) -> dict[str, list[Moved]]:
    """Return the statistics that changed, by column."""
    out: dict[str, list[Moved]] = {}
    for one in moved:
        out.setdefault(one.column, []).append(one)
    return out


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows[:_MOST]:
        yield f"| {' | '.join(_cell(one) for one in row)} |"
    if len(rows) > _MOST:
        yield f"\nAnd {len(rows) - _MOST:,} more."


def _cell(text: str) -> str:
    """Return text that stays within its cell and is no markup."""
    plain = " ".join(text.split())[:200]
    for letter in "\\`*_[]<>|#":
        plain = plain.replace(letter, f"\\{letter}")
    return plain


def _bytes(count: int) -> str:
    return f"{count:,} B"
