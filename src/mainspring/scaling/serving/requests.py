"""Read the rows of a request in each of the forms that clients send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError, MainspringError
from mainspring.ground.objects import Signature
from mainspring.scaling.serving.sheets import read_csv, read_parquet

Scalar = bool | int | float | str | None
#: A value, or a list of the one value that a tensor of shape [rows, 1] has for a row.
Cell = Scalar | list[Scalar]
Row = dict[str, Cell] | list[Scalar] | Scalar
Columns = Mapping[str, Any]


class MediaTypeError(MainspringError):
    """The content type is none that is read here."""

    code = "MEDIA_TYPE"
    status = 415
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks: raw columns, each a list of plain values or an array.

    ``id`` is its own name for the request, ``ids`` for each of its predictions; ``sticky`` is a
    key whose rows are all answered by one version.
    """

    columns: Columns
    id: str | None = None
    ids: list[str] | None = None
    sticky: str | None = None

    @property
    def rows(self) -> int:
        """Return how many rows are asked: those of the longest column."""
        return max((len(values) for values in self.columns.values()), default=0)


class NotAcceptableError(MainspringError):
    """The answer cannot be given in a form that the caller accepts."""

    code = "NOT_ACCEPTABLE"
    status = 406
    exit_code = 2


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    columns: list[str]
    data: list[list[Scalar]]
    index: list[Scalar] | None = None


class _Invocation(msgspec.Struct, forbid_unknown_fields=True):
    dataframe_split: _Split | msgspec.UnsetType = msgspec.UNSET
    dataframe_records: list[dict[str, Scalar]] | msgspec.UnsetType = msgspec.UNSET
    instances: list[Row] | msgspec.UnsetType = msgspec.UNSET
    inputs: dict[str, Scalar | list[Cell]] | list[Row] | msgspec.UnsetType = msgspec.UNSET
    params: dict[str, Any] | None = None


_invocation: Callable[[bytes | memoryview], _Invocation] = msgspec.json.Decoder(_Invocation).decode
_row: Callable[[bytes | memoryview], Row] = msgspec.json.Decoder(Row).decode

MOST_ROWS = 100_000
#: One row a line, by name or by place; SageMaker splits and joins batches at the ends of lines.
LINES = ("application/jsonlines", "application/x-jsonlines", "application/x-ndjson")
PARQUET = ("application/vnd.apache.parquet", "application/x-parquet")
_HEADER = {"present": True, "absent": False}
_KEYS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def read_invocation(
    body: bytes, content_type: str, signature: Signature, most_rows: int = MOST_ROWS
) -> Asked:
    """Return the rows of a ``POST /invocations``: JSON in one of four forms, lines, CSV, Parquet.

    Raises:
        MediaTypeError: for any other content type, or text that is not UTF-8.
        BadInputError: for rows that cannot be read, saying where.
    """
    kind = content_type if content_type == "application/json" else _kind(content_type)
    if kind in ("application/json", ""):
        return Asked(_read_json(body, signature))
    if kind == "text/csv":
        said = _parameter(content_type, "header")
        return Asked(read_csv(body, signature, header=_HEADER.get(said)))
    if kind in PARQUET:
        return Asked(read_parquet(body, signature, most_rows))
    if kind in LINES:
        return Asked(_read_lines(body, signature))
    raise MediaTypeError(
        f"Content type {kind[:80]!r} is not read; send application/json, {LINES[0]}, text/csv or"
        f" {PARQUET[0]}."
    )


def _read_lines(body: bytes, signature: Signature) -> Columns:
    rows = [decoded(_row, line) for line in body.split(b"\n") if line.strip()]
    return _columns_of(_Invocation(instances=rows), "instances", signature)


def _read_json(body: bytes, signature: Signature) -> Columns:
    sent = decoded(_invocation, body)
    given = [key for key in _KEYS if getattr(sent, key) is not msgspec.UNSET]
    if len(given) != 1:
        raise BadInputError(
            f"Wanted exactly one of {', '.join(_KEYS)}, found {', '.join(given) or 'none'}."
        )
    if sent.params:
        names = ", ".join(sorted(sent.params))[:200]
        raise BadInputError(f"The model takes no params, found {names}.", field="params")
    return _columns_of(sent, given[0], signature)


def _kind(content_type: str) -> str:
    kind = content_type.partition(";")[0]
    charset = _parameter(content_type, "charset")
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise MediaTypeError(f"Text must be UTF-8, found charset {charset[:40]!r}.")
    return kind.strip().lower()


def _parameter(content_type: str, name: str) -> str:
    """Return a parameter of a content type, in small letters, or nothing."""
    for part in content_type.split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip(" \"'").lower()
    return ""


def decoded(decode: Callable[[bytes | memoryview], Any], body: bytes | memoryview) -> Any:
    """Return what a body of JSON holds.

    Raises:
        BadInputError: if it is no JSON, not of that form, or nested too deeply.
    """
    try:
        return decode(body)
    except RecursionError as error:
        raise BadInputError("The JSON is nested too deeply.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInputError(f"The body cannot be read: {error}") from error


def _columns_of(sent: _Invocation, key: str, signature: Signature) -> Columns:
    if key == "dataframe_split":
        split: Any = sent.dataframe_split
        if len(set(split.columns)) != len(split.columns):
            raise BadInputError("dataframe_split names a column twice.", field="columns")
        return _by_place(split.columns, split.data)
    value: Any = getattr(sent, key)
    if key == "dataframe_records":
        return by_name(value)
    if isinstance(value, dict):
        return {k: _opened(k, v) if isinstance(v, list) else [v] for k, v in value.items()}
    kinds = set(map(type, value))
    if kinds <= {dict}:
        return {name: _opened(name, values) for name, values in by_name(value).items()}
    names = [column.name for column in signature.columns]
    if kinds == {list}:
        return _by_place(names, value)
    if not kinds & {dict, list} and len(names) == 1:
        return {names[0]: value}  # the rows of a model of one column
    raise BadInputError(
        f"{key} mixes rows by name and rows by place, or single values.", field=key
    )


def _opened(name: str, values: list[Any]) -> list[Any]:
    """Return values out of the lists of one that tensors of shape [rows, 1] have them in."""
    if list not in set(map(type, values)):
        return values
    for row, value in enumerate(values):
        if type(value) is not list or len(value) != 1:
            raise BadInputError(
                f"Column {name!r}, row {row}: wanted one value, found {str(value)[:80]}.",
                field=name,
            )
    return [value[0] for value in values]


def _by_place(names: list[str], rows: list[list[Any]]) -> Columns:
    for place, row in enumerate(rows):
        if len(row) != len(names):
            raise BadInputError(
                f"Row {place} has {len(row)} values for {len(names)} columns.", field="data"
            )
    if not rows:
        return {name: [] for name in names}
    if len(rows) == 1:
        return {name: [value] for name, value in zip(names, rows[0], strict=True)}
    return {
        name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }


def by_name(rows: list[dict[str, Any]]) -> Columns:
    """Return records column by column; a name missing in some rows is a missing value there."""
    if len(rows) == 1:
        return {name: [value] for name, value in rows[0].items()}
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
