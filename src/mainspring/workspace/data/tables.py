"""Frames and the answers of queries as versions: streamed to Parquet, with what they came from."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

import msgspec
import polars as pl

from mainspring.experiments import tabular
from mainspring.ground.errors import BadInputError, NotExactError
from mainspring.ground.identity import check_name
from mainspring.ground.permissions import Permission
from mainspring.pipelines.data import versions
from mainspring.pipelines.outputs.frames import GROUP, is_lazy
from mainspring.workspace.data import adding
from mainspring.workspace.data.adding import Added
from mainspring.workspace.data.places import Tell, quiet

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from mainspring.pipelines.data.versions import DataVersion
    from mainspring.workspace.opening import Workspace

AT_ONCE = 50_000  #: rows of an answer that are held together
_EXACT = 2**53  # the largest whole number up to which every one is a double


def add_frame(ws: Workspace, name: str, frame: Any, *, message: str = "") -> DataVersion:
    """Keep a table as the next version of a dataset; a lazy frame is streamed.

    ``frame`` is a frame of polars or pandas, a table of pyarrow, or rows as dicts.

    Raises:
        BadInputError: if it is no table.
        NotExactError: if it could not come back as it is.
    """
    check_name(name, "name")
    lazy = frame if is_lazy(frame) else tabular.frame_of(frame, "frame").lazy()
    with _folder() as folder:
        file = folder / f"{name}.parquet"
        rows = _sunk(lazy, file)
        meta = {"rows": rows, "columns": _columns(file)}
        return adding.add(
            ws, file, name=name, message=message, kind="table", source="a frame", meta=meta
        )


def add_query(
    ws: Workspace,
    name: str,
    query: str,
    source: str,
    *,
    message: str = "",
    again: bool = False,
    tell: Tell = quiet,
) -> Added:
    """Keep what a database answers a query with as the next version of a dataset.

    The database is opened to be read only and is asked once; its rows are streamed to Parquet in
    the order they come (say ``order by``, or that may be another each time). The version keeps
    the query, the address without its password, and the number of rows. If the newest version is
    of the same query and address, that is returned and nobody is asked, unless ``again``.

    Raises:
        BadInputError: if the database cannot be read or does not answer, or a column has values
            of several kinds.
    """
    check_name(name, "name")
    url = _url(source)
    shown = _without_password(url)
    last = ws.read(Permission.LOG, lambda tx: versions.newest(tx, name))
    asked = {"query": query.strip(), "from": shown}
    if last is not None and not again and asked.items() <= last.meta.items():
        return Added(version=last, new=False, stored=0, read=0)
    with _folder() as folder:
        columns = _Columns()
        rows = 0
        parts = []
        for number, frame in enumerate(_answered(url, query, columns)):
            part = folder / f"{number:08}.part"
            frame.write_parquet(part, compression="lz4")
            parts.append(part)
            rows += frame.height
            tell("rows", rows, 0)
        file = folder / f"{name}.parquet"
        _sunk(pl.concat([pl.scan_parquet(part) for part in parts], how="vertical_relaxed"), file)
        meta = {**asked, "rows": rows, "columns": _columns(file)}
        given = {"message": message, "source": shown, "meta": meta}
        return adding.added(ws, file, name=name, kind="query", tell=tell, **given)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mainspring-table-") as folder:
        yield Path(folder)


def _sunk(lazy: pl.LazyFrame, file: Path) -> int:
    """Stream rows to a file, such that the same rows are the same bytes; return their number."""
    try:
        lazy.sink_parquet(file, compression="zstd", row_group_size=GROUP, maintain_order=True)
        return int(pl.scan_parquet(file).select(pl.len()).collect().item())
    except pl.exceptions.PolarsError as error:
        first = str(error).partition("\n")[0][:200]
        raise NotExactError(f"The table cannot be written as Parquet: {first}") from error


def _columns(file: Path) -> dict[str, str]:
    return {name: str(kind) for name, kind in pl.read_parquet_schema(file).items()}


def _url(text: str) -> URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except ArgumentError as error:
        raise BadInputError(
            "That is no address of a database.",
            field="from",
            hint="Name it as sqlite:///FILE or postgresql://HOST/NAME.",
        ) from error
    kind = url.get_backend_name()
    if kind == "sqlite":
        if not url.database or not Path(url.database).is_file():
            raise BadInputError(f"There is no file {url.database}.", field="from")
        return url
    if kind == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    raise BadInputError(
        f"Queries are asked of sqlite and postgresql, not of {kind[:40]}.", field="from"
    )


def _without_password(url: URL) -> str:
    kind = url.get_backend_name()
    bare = url.set(drivername=kind, password=None).difference_update_query(
        [name for name in url.query if "pass" in name.lower()]
    )
    if kind == "sqlite":
        bare = bare.set(database=str(Path(bare.database or "").absolute()))
    return bare.render_as_string(hide_password=True)


@contextmanager
def _engine(url: URL) -> Iterator[Any]:
    """Give an engine whose connections can only read."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    if url.get_backend_name() == "sqlite":
        place = quote(str(Path(url.database or "").absolute()))
        url = url.set(database=f"file:{place}", query={"mode": "ro", "uri": "true"})
        engine = create_engine(url, poolclass=NullPool)
    else:
        engine = create_engine(
            url,
            poolclass=NullPool,
            connect_args={"options": "-c default_transaction_read_only=on"},
        )
    try:
        yield engine
    finally:
        engine.dispose()


def _answered(url: URL, query: str, columns: _Columns) -> Iterator[pl.DataFrame]:
    """Yield the answer portion by portion, at least one, if only to say the columns."""
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    if not query.strip():
        raise BadInputError("A database is asked something.", field="query")
    asked = text(query.strip().rstrip(";").replace(":", "\\:"))  # no colon names a parameter
    try:
        with (
            _engine(url) as engine,
            engine.connect().execution_options(
                stream_results=True, yield_per=AT_ONCE
            ) as connection,
            closing(connection.execute(asked)) as answer,
        ):
            if not answer.returns_rows:
                raise BadInputError("That answers with no rows: ask by select.", field="query")
            names = list(answer.keys())
            _check_names(names)
            none = True
            for several in answer.partitions(AT_ONCE):
                none = False
                yield columns.frame(names, several)
            if none:
                yield columns.frame(names, [])
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        short = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
        raise BadInputError(f"The query cannot be answered: {short}", field="query") from error


def _check_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise BadInputError(
            f"The query answers with more than one column {twice[0]!r}.",
            field="query",
            hint="Give each a name of its own: select a.id as a_id, ...",
        )


class _Columns:
    """What kind of values each column has had so far: one, or it is refused."""

    def __init__(self) -> None:
        self._kinds: dict[str, type] = {}
        self._large: set[str] = set()  # columns with whole numbers that no double holds

    def frame(self, names: Sequence[str], rows: Sequence[Any]) -> pl.DataFrame:
        """Return rows as a frame.

        Raises:
            BadInputError: naming the column that mixes kinds.
        """
        return pl.DataFrame(
            [self._series(name, [row[n] for row in rows]) for n, name in enumerate(names)]
        )

    def _series(self, name: str, values: list[Any]) -> pl.Series:
        values = [_plain(value) for value in values]
        kinds = {_kind(value) for value in values if value is not None}
        before = self._kinds.get(name)
        every = kinds | ({before} if before else set())
        if int in every and any(type(v) is int and abs(v) > _EXACT for v in values):
            self._large.add(name)
        if every == {int, float} and name not in self._large:
            every = {float}
        if len(every) > 1:
            told = " and ".join(sorted(kind.__name__ for kind in every))
            raise BadInputError(
                f"Column {name!r} of the answer has values of several kinds: {told}.",
                field="query",
                hint=f"Make them one kind in the query: cast({name} as text).",
            )
        if not every:
            return pl.Series(name, values, pl.Null)
        [kind] = every
        self._kinds[name] = kind
        if kind is float:
            values = [None if value is None else float(value) for value in values]
        try:
            return pl.Series(name, values, _TYPES.get(kind), strict=True)
        except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
            raise BadInputError(
                f"Column {name!r} of the answer cannot be kept: {error}", field="query"
            ) from error


class _InZone(dt.datetime):
    """Stands for times that say their zone: they are kept in UTC, and mix with no others."""


def _kind(value: Any) -> type:
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return _InZone
    return type(value)


#: What is written whatever a portion holds, so that all portions fit together.
_TYPES: dict[type, Any] = {
    int: pl.Int64,
    float: pl.Float64,
    str: pl.String,
    bool: pl.Boolean,
    bytes: pl.Binary,
    dt.datetime: pl.Datetime("us"),
    _InZone: pl.Datetime("us", "UTC"),
    dt.date: pl.Date,
    dt.time: pl.Time,
    dt.timedelta: pl.Duration("us"),
}


def _plain(value: Any) -> Any:
    """Return a database's value as a table has it; what a table has not, as text."""
    change = _CHANGES.get(type(value))
    return value if change is None else change(value)


def _utc(value: dt.datetime) -> dt.datetime:
    return value if value.tzinfo is None else value.astimezone(dt.UTC)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


_CHANGES: dict[type, Callable[[Any], Any]] = {
    dt.datetime: _utc,
    Decimal: str,  # exact, where no one scale holds all of them
    UUID: str,
    memoryview: bytes,
    dict: _json,
    list: _json,
}
