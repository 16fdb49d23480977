"""Put the rows of an archive beside those that are there: all of them, or none.

A row is known by its name, not by a number that a database gave it. A row that is there
already in the same words is passed over; one that differs is refused, with all others that do.
Rows without a name of their own (points of a metric, cards) are compared by what they belong to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Table, insert, literal, select, text, tuple_
from sqlalchemy.engine import Row

from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.identity import canonical
from mainspring.ground.ports import Tx
from mainspring.workspace.archive import contents, form
from mainspring.workspace.archive.reading import Archive
from mainspring.workspace.keeping import texts

BATCH = 200  #: rows looked up in one statement; SQLite takes a bounded number of variables
FAST = 5000  #: rows put in at once where nothing has to be looked up
TOLD = 10  #: differences that are told; all are counted


class Merged(msgspec.Struct, kw_only=True):
    """What became of the rows."""

    added: int = 0
    same: int = 0
    clashes: int = 0
    told: list[str] = []

    def clash(self, what: str) -> None:
        """Note a row that differs from the one that is there."""
        self.clashes += 1
        if len(self.told) < TOLD:
            self.told.append(what)


def merge(tx: Tx, archive: Archive) -> Merged:
    """Put every row of an archive in.

    Raises:
        ConflictError: if a row is there already and says something else; it names up to ten.
        BadInputError: if the archive has a table or column that this release does not know.
    """
    done = Merged()
    numbers: dict[int, int] = {}  # experiments: their number there -> here
    known = {table.name: table for table in contents.tables()}
    strange = archive.manifest.tables.keys() - known.keys()
    if strange:
        raise BadInputError(
            f"The archive holds {', '.join(sorted(strange))}, which this release does not take.",
            field="file",
            hint="Use the release that wrote it, or a newer one.",
        )
    for table in known.values():
        if table.name in archive.manifest.tables:
            _Merging(tx, archive, table, done, numbers).merge()
    if done.clashes:
        more = done.clashes - len(done.told)
        raise ConflictError(
            f"{done.clashes} rows are there already and differ: {'; '.join(done.told)}"
            + (f"; and {more} more." if more else "."),
            field="file",
            hint="Nothing was imported. Import into an empty home, or delete what differs first.",
        )
    return done


class _Merging:
    """One table on its way in."""

    def __init__(
        self, tx: Tx, archive: Archive, table: Table, done: Merged, numbers: dict[int, int]
    ) -> None:
        self._tx, self._archive, self._table = tx, archive, table
        self._done, self._numbers = done, numbers
        self._columns = archive.manifest.tables[table.name].columns
        strange = set(self._columns) - {column.name for column in table.columns}
        if strange:
            raise BadInputError(
                f"The archive has {table.name}.{', '.join(sorted(strange))}, which this release"
                " does not know.",
                field="file",
                hint="Use a newer release.",
            )
        self._serial = contents.serial(table)
        self._key = contents.identity(table)
        self._moved = [  # columns that hold an experiment's number
            next(iter(key.column_keys))
            for key in table.foreign_key_constraints
            if key.referred_table.name == "experiments"
        ]

    def merge(self) -> None:
        """Put the table's rows in."""
        empty = self._tx.one(select(literal(1)).select_from(self._table).limit(1)) is None
        rows = self._rows()
        if self._table.name == "experiments":
            self._join_experiments(rows)
        elif empty:
            while part := list(islice(rows, FAST)):
                self._add(part)
            self._count_on()
        elif self._key:
            while part := list(islice(rows, BATCH)):
                self._beside(part)
        else:
            self._by_owner(rows)

    def _rows(self) -> Iterator[dict[str, Any]]:
        columns = [self._table.c[name] for name in self._columns]
        for cells in self._archive.rows(self._table.name):
            row = {
                str(column.name): contents.from_json(column, cell)
                for column, cell in zip(columns, cells, strict=True)
            }
            for name in self._moved:
                if row[name] not in self._numbers:
                    raise form.damaged(f"{self._table.name} names an experiment that is not in it")
                row[name] = self._numbers[row[name]]
            yield row

    def _add(self, rows: list[dict[str, Any]], *, numbered: bool = True) -> None:
        if not numbered and self._serial is not None:
            rows = [{k: v for k, v in row.items() if k != self._serial} for row in rows]
        self._tx.run(insert(self._table), rows)
        self._done.added += len(rows)

    def _count_on(self) -> None:
        """Let the database go on counting behind the numbers that were put in."""
        if self._serial is not None and self._tx.dialect == "postgresql":
            name, column = self._table.name, self._serial
            self._tx.all(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{name}', '{column}'),"  # noqa: S608
                    f" (SELECT greatest(max({column}), 1) FROM {name}))"
                )
            )

    # ------------------------------------------------------------ rows with a name

    def _beside(self, rows: list[dict[str, Any]]) -> None:
        there = self._there(rows)
        fresh = []
        for row in rows:
            name = self._name(row)
            if name not in there:
                fresh.append(row)
            elif differs := self._differs(there[name], row):
                self._done.clash(f"{self._table.name} {self._said(row)} ({differs})")
            else:
                self._done.same += 1
        if fresh:
            self._add(fresh, numbered=False)

    def _there(self, rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], Row[Any]]:
        columns = [self._table.c[name] for name in self._key]
        wanted = [self._name(row) for row in rows]
        if len(columns) == 1:
            where = columns[0].in_([name[0] for name in wanted])
        else:
            where = tuple_(*columns).in_(wanted)
        found = self._tx.all(select(self._table).where(where))
        return {tuple(getattr(row, name) for name in self._key): row for row in found}

    def _name(self, row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in self._key)

    def _said(self, row: dict[str, Any]) -> str:
        return "/".join(str(row[name])[:60] for name in self._key)

    def _differs(self, here: Row[Any], row: dict[str, Any]) -> str:
        """Return the first column that differs, or nothing."""
        mine = here._asdict()
        for name, value in row.items():
            if name != self._serial and not _same(mine[name], value):
                return f"{name} is {str(mine[name])[:40]!r} here, {str(value)[:40]!r} there"
        return ""

    # ------------------------------------------------------------ rows without one

    def _by_owner(self, rows: Iterator[dict[str, Any]]) -> None:
        owner = contents.owner(self._table)
        columns = [self._table.c[name] for name in owner]
        old: dict[tuple[Any, ...], bool] = {}  # whether its rows are there already
        sums: dict[tuple[Any, ...], int] = {}
        while part := list(islice(rows, BATCH)):
            names = {tuple(row[name] for name in owner) for row in part} - old.keys()
            for name in names:
                same = [column == value for column, value in zip(columns, name, strict=True)]
                old[name] = self._tx.one(select(literal(1)).where(*same).limit(1)) is not None
            fresh = []
            for row in part:
                name = tuple(row[each] for each in owner)
                if old[name]:
                    sums[name] = sums.get(name, 0) + self._weight(row)
                else:
                    fresh.append(row)
            if fresh:
                self._add(fresh, numbered=False)
        for name, total in sums.items():
            self._compare(columns, name, total)

    def _compare(self, columns: list[Any], name: tuple[Any, ...], total: int) -> None:
        same = [column == value for column, value in zip(columns, name, strict=True)]
        mine = [self._table.c[each] for each in self._columns]
        count = total_here = 0
        for row in texts.pages(self._tx, self._table, mine, *same):
            total_here += self._weight(self._chosen(row._asdict()))
            count += 1
        if total_here != total:
            self._done.clash(f"{self._table.name} of {'/'.join(map(str, name))[:80]}")
        else:
            self._done.same += count

    def _chosen(self, row: dict[str, Any]) -> dict[str, Any]:
        return {name: row[name] for name in self._columns}

    def _weight(self, row: dict[str, Any]) -> int:
        # A sum of digests: the same for the same rows, in whichever order they come.
        cells = [
            [name, contents.to_json(_plain(value))]
            for name, value in sorted(row.items())
            if name != self._serial
        ]
        return int.from_bytes(hashlib.sha256(canonical(cells)).digest())

    # ------------------------------------------------------------ experiments

    def _join_experiments(self, rows: Iterator[dict[str, Any]]) -> None:
        """Add experiments by name; one that is there is joined, whenever it was made."""
        experiments = self._table
        taken = {row.id for row in self._tx.all(select(experiments.c.id))}
        for row in rows:
            number = int(row["id"])
            free = number if number not in taken else max(taken) + 1
            here = experiments.c.key == row["key"]
            there = self._tx.one(select(experiments).where(here))
            if there is None:
                self._tx.run(insert(experiments).values(**row | {"id": free}))
                taken.add(free)
                self._done.added += 1
                there = self._tx.one(select(experiments).where(here))
            else:
                self._done.same += 1
            assert there is not None  # noqa: S101  it was put in just now
            self._numbers[number] = there.id
        self._count_on()


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def _same(mine: Any, value: Any) -> bool:
    mine = _plain(mine)
    return bool(mine == value) or (mine != mine and value != value)
