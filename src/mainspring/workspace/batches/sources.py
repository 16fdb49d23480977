"""What a batch scores: a file, a folder of files, a pattern, or the rows of a query; in parts.

The same source gives the same parts in the same order each time, or says that it cannot: that is
what going on after a kill rests on. A file that changed has another size or time; a query is
asked again, and what it answered before is compared.
"""

from __future__ import annotations

import datetime
import decimal
import glob
import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.workspace.feeding import reading

ENDINGS = (".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson", ".json")
MOST_FILES = 100_000


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows in a row of a source; ``first`` is the place of the first among all, from 0."""

    number: int
    first: int
    name: str  #: the file, or the query: for complaints
    rows: pl.DataFrame  #: with :data:`reading.LINE`
    told: str = ""  #: what the rows are, where a source cannot promise that they stay the same


class Files:
    """One file or several, in the order of their paths."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files
        self.name = files[0].name if len(files) == 1 else f"{len(files):,} files"
        self.bytes = sum(file.stat().st_size for file in files)

    def described(self) -> Any:
        """Return what must be the same for a run to go on."""
        return [
            [str(file.resolve()), told.st_size, told.st_mtime_ns]
            for file in self.files
            for told in (file.stat(),)
        ]

    def digest(self) -> Any:
        """Return what stands for the rows themselves, wherever their files lie."""
        found = []
        for file in self.files:
            with file.open("rb") as handle:
                found.append(hashlib.file_digest(handle, "sha256").hexdigest())
        return found

    def parts(self, tell: Callable[[int], None]) -> Iterator[Part]:
        """Yield the rows; ``tell`` hears how many bytes were read."""
        number = first = before = 0
        for file in self.files:
            done = before

            def told(at: int, done: int = done) -> None:
                tell(done + at)

            for rows in reading.parts(file, tell=told):
                yield Part(number, first, file.name, rows)
                number, first = number + 1, first + rows.height
            before += file.stat().st_size
            tell(before)


class Query:
    """The rows that a database answers a query with, as they come."""

    def __init__(self, url: str, query: str) -> None:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            self._url = make_url(url)
        except ArgumentError as error:
            raise BadInputError(
                f"{url[:80]!r} is no address of a database.", field="in"
            ) from error
        if self._url.drivername == "postgresql":
            self._url = self._url.set(drivername="postgresql+psycopg")
        self._query, self.name, self.bytes = query, "the query", 0

    def described(self) -> Any:
        """Return what must be the same for a run to go on; no password."""
        return [self._url.render_as_string(hide_password=True), self._query]

    def digest(self) -> Any:
        """Return None: the rows are known once they were all read."""
        return None

    def parts(self, tell: Callable[[int], None]) -> Iterator[Part]:  # noqa: ARG002
        """Yield the rows; the database is asked once, and streams."""
        from sqlalchemy import create_engine, text
        from sqlalchemy.exc import SQLAlchemyError
        from sqlalchemy.pool import NullPool

        try:
            engine = create_engine(self._url, poolclass=NullPool)
            with engine.connect().execution_options(
                stream_results=True, yield_per=reading.ROWS_AT_ONCE
            ) as connection:
                answer = connection.execute(text(self._query))
                names = list(answer.keys())
                _check_names(names)
                first = 0
                for number, several in enumerate(answer.partitions(reading.ROWS_AT_ONCE)):
                    rows = _table(names, several, first)
                    yield Part(number, first, self.name, rows, _told(rows))
                    first += rows.height
        except (SQLAlchemyError, ModuleNotFoundError) as error:
            short = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
            raise BadInputError(f"The query cannot be answered: {short}", field="query") from error


Source = Files | Query


def open_source(given: str, query: str | None = None) -> Source:
    """Return what is to be scored: a file, a folder, a pattern such as ``day-*.csv``, a query.

    Raises:
        BadInputError: if there is nothing of that name, or a query without a database.
    """
    if "://" in given:
        if not query or not query.strip():
            raise BadInputError(
                "A database is asked something.",
                field="query",
                hint='Such as --query "select * from orders order by id".',
            )
        return Query(given, query)
    if query is not None:
        raise BadInputError(
            f"A query asks a database, and {given[:80]!r} is none.",
            field="in",
            hint="Name it as sqlite:///FILE or postgresql://HOST/NAME.",
        )
    path = Path(given).expanduser()
    if path.is_file():
        return Files([path])
    if path.is_dir():
        inside = [one for one in path.rglob("*") if _counts(one, path)]
        return _several(inside, f"{path} has no file that ends with {', '.join(ENDINGS)}.")
    if glob.has_magic(given):
        inside = [Path(one) for one in glob.glob(str(path), recursive=True)]  # noqa: PTH207
        return _several([one for one in inside if one.is_file()], f"No file is called {given}.")
    raise BadInputError(f"There is no file {given}.", field="in")


def _counts(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.suffix.lower() in ENDINGS and not hidden and file.is_file()


def _several(files: list[Path], none: str) -> Files:
    if not files:
        raise BadInputError(none, field="in")
    if len(files) > MOST_FILES:
        raise BadInputError(f"A batch is of at most {MOST_FILES:,} files.", field="in")
    return Files(sorted(files))


def _check_names(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInputError(
            f"The query answers with more than one column {twice[0]!r}.",
            field="query",
            hint="Give each a name of its own: select a.id as a_id, ...",
        )


def _table(names: list[str], several: Any, first: int) -> pl.DataFrame:
    records = [{n: _plain(v) for n, v in zip(names, row, strict=True)} for row in several]
    return reading.of_records(records, list(range(first + 1, first + 1 + len(records))))


def _plain(value: Any) -> Any:
    """Return a database's value as files have them: times as ISO 8601, decimals as numbers."""
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, bytes | memoryview):
        with suppress(UnicodeDecodeError):
            return bytes(value).decode()
        raise BadInputError("The query answers with bytes that are no text.", field="query")
    return value


def _told(rows: pl.DataFrame) -> str:
    held = io.BytesIO()
    rows.write_ipc(held)
    return hashlib.sha256(held.getbuffer()).hexdigest()
