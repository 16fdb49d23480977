"""Read the rows of a request in each of the forms that clients send."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl
from polars.exceptions import PolarsError

from mainspring.ground.errors import BadInputError, MainspringError
from mainspring.ground.objects import Signature

Scalar = bool | int | float | str | None
Row = dict[str, Scalar] | list[Scalar]
Columns = Mapping[str, Any]


class MediaTypeError(MainspringError):
    """The content type is none that is read here."""

    code = "MEDIA_TYPE"
    status = 415
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks: raw columns, each a list of plain values or an array; its own id."""

    columns: Columns
    id: str | None = None


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    columns: list[str]
    data: list[list[Scalar]]
    index: list[Scalar] | None = None


class _Invocation(msgspec.Struct, forbid_unknown_fields=True):
    dataframe_split: _Split | msgspec.UnsetType = msgspec.UNSET
    dataframe_records: list[dict[str, Scalar]] | msgspec.UnsetType = msgspec.UNSET
    instances: list[Row] | msgspec.UnsetType = msgspec.UNSET
    inputs: dict[str, Scalar | list[Scalar]] | list[Row] | msgspec.UnsetType = msgspec.UNSET
    params: dict[str, Any] | None = None


_invocation: Callable[[bytes | memoryview], _Invocation] = msgspec.json.Decoder(_Invocation).decode

_KEYS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def read_invocation(body: bytes, content_type: str, signature: Signature) -> Asked:
    """Return the rows of a ``POST /invocations``: JSON in one of four forms, or CSV.

    Raises:
        MediaTypeError: for any other content type, or text that is not UTF-8.
        BadInputError: for rows that cannot be read, saying where.
    """
    kind = content_type if content_type == "application/json" else _kind(content_type)
    if kind == "text/csv":
        return Asked(_csv(body, signature))
    if kind not in ("application/json", ""):
        raise MediaTypeError(
            f"Content type {kind[:80]!r} is not read; send application/json or text/csv."
        )
    sent = decoded(_invocation, body)
    given = [key for key in _KEYS if getattr(sent, key) is not msgspec.UNSET]
    if len(given) != 1:
        raise BadInputError(
            f"Wanted exactly one of {', '.join(_KEYS)}, found {', '.join(given) or 'none'}."
        )
    if sent.params:
        raise BadInputError("The model takes no params.", field="params")
    return Asked(_columns_of(sent, given[0], signature))


def _kind(content_type: str) -> str:
    kind, _, rest = content_type.partition(";")
    charset = rest.partition("charset=")[2].partition(";")[0].strip(" \"'").lower()
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise MediaTypeError(f"Text must be UTF-8, found charset {charset[:40]!r}.")
    return kind.strip().lower()


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
    if isinstance(value, dict):
        return {k: v if isinstance(v, list) else [v] for k, v in value.items()}
    if all(isinstance(row, dict) for row in value):
        return _by_name(value)
    if all(isinstance(row, list) for row in value):
        return _by_place([column.name for column in signature.columns], value)
    raise BadInputError(f"{key} mixes rows by name and rows by place.", field=key)


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


def _by_name(rows: list[dict[str, Any]]) -> Columns:
    """Return records column by column; a name missing in some rows is a missing value there."""
    if len(rows) == 1:
        return {name: [value] for name, value in rows[0].items()}
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _csv(body: bytes, signature: Signature) -> Columns:
    try:
        frame = pl.read_csv(io.BytesIO(body), infer_schema=False)
    except PolarsError as error:
        raise BadInputError(
            f"The CSV cannot be read: {str(error).partition(chr(10))[0]}"
        ) from error
    types = {column.name: column.type for column in signature.columns}
    return {name: _parsed(frame[name], types.get(name, "str")) for name in frame.columns}


def _parsed(texts: pl.Series, kind: str) -> list[Any]:
    if kind == "str":
        return texts.to_list()
    if kind == "bool":
        lower = texts.str.to_lowercase().str.strip_chars()
        values = lower.replace_strict(
            {"true": True, "false": False, "1": True, "0": False},
            default=None,
            return_dtype=pl.Boolean,
        )
    else:
        values = texts.str.strip_chars().cast(
            pl.Int64 if kind == "int" else pl.Float64, strict=False
        )
    bad = (values.is_null() & texts.is_not_null()).arg_true()
    if bad.len():
        row = int(bad[0])
        raise BadInputError(
            f"Column {texts.name!r}, row {row}: {texts[row][:80]!r} is not {kind}.",
            field=texts.name,
        )
    return values.to_list()
