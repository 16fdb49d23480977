"""Compute features from raw columns by SQL expressions, which travel with the version as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import polars as pl
from polars.exceptions import PolarsError

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Column

Word = Literal["float", "int", "str", "bool"]

DTYPES: dict[str, type[pl.DataType]] = {
    "float": pl.Float64,
    "int": pl.Int64,
    "str": pl.String,
    "bool": pl.Boolean,
}


class Features:
    """Compiled feature expressions: the same text gives the same numbers wherever it runs.

    ``names`` are the columns the estimator sees, ``types`` their type by name. ``plain`` is
    true when the raw columns are the features and nothing has to be computed.
    """

    def __init__(
        self, expressions: Mapping[str, str] | None, names: list[str], types: dict[str, Word]
    ) -> None:
        self.expressions = None if expressions is None else dict(expressions)
        self.names = names
        self.types = types
        self.plain = expressions is None
        self._compiled = [
            pl.sql_expr(text).cast(DTYPES[types[name]]).alias(name)
            for name, text in (expressions or {}).items()
        ]

    def apply(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the features of raw rows, one row for each.

        Raises:
            BadInputError: if an expression fails on these values, such as a division of text.
        """
        if self.plain:
            return frame.select(self.names)
        try:
            return frame.select(self._compiled)
        except PolarsError as error:
            raise BadInputError(
                f"The features could not be computed from these rows: {_first_line(error)}",
                field="features",
            ) from error

    def check_rowwise(self, frame: pl.DataFrame) -> None:
        """Make sure that a row's features do not depend on the rows beside it.

        ``frame`` holds a few real rows; each is computed alone and among the others.

        Raises:
            BadInputError: naming the feature that differs, such as ``a - avg(a)``.
        """
        if self.plain or frame.height < 2:
            return
        together = self.apply(frame)
        alone = pl.concat([self.apply(frame[row : row + 1]) for row in range(frame.height)])
        for name in self.names:
            if not together[name].equals(alone[name], null_equal=True):
                raise BadInputError(
                    f"Feature {name!r} = {(self.expressions or {})[name]!r} depends on other"
                    " rows, so that an answer would depend on who else asks at the same time.",
                    field=name,
                )


def compile_features(expressions: Mapping[str, str] | None, columns: Sequence[Column]) -> Features:
    """Return the features that SQL ``expressions`` (name -> text) give over raw columns.

    None means that the raw columns are the features. An expression sees one row only: sums and
    ranks over rows are refused, for they would depend on who else is in the request.

    Raises:
        BadInputError: naming the feature and its expression, if it cannot be parsed, reads a
            column that is not there, looks at other rows, or gives neither number, text nor
            boolean.

    Example:
        >>> columns = [Column(name="a", type="float")]
        >>> compile_features({"twice": "a * 2"}, columns).names
        ['twice']
    """
    if expressions is None:
        types: dict[str, Word] = {column.name: column.type for column in columns}
        return Features(None, list(types), types)
    if not expressions:
        raise BadInputError(
            "features is empty; leave it out to use the raw columns.", field="features"
        )
    empty = pl.DataFrame(schema={column.name: DTYPES[column.type] for column in columns})
    types = {name: _check(name, text, empty) for name, text in expressions.items()}
    return Features(expressions, list(types), types)


def _check(name: str, text: str, empty: pl.DataFrame) -> Word:
    def refused(why: str) -> BadInputError:
        return BadInputError(f"Feature {name!r} = {text!r} {why}.", field=name)

    if not text.strip():
        raise refused("is not an SQL expression")
    try:
        expression = pl.sql_expr(text)
        roots = set(expression.meta.root_names())
        unknown = sorted(roots - set(empty.columns))
        if unknown:
            raise refused(
                f"reads {unknown[0]!r}, which is none of the columns {', '.join(empty.columns)}"
            )
        if not roots:
            raise refused("reads no column")
        result = empty.select(expression.alias(name))
        if result.height or result.width != 1:
            raise refused("does not give one value for each row")
        dtype = result.schema[name]
    except PolarsError as error:
        raise refused(f"cannot be used: {_first_line(error)}") from error
    found = type_of(dtype)
    if found is None:
        raise refused(f"gives {dtype}; a feature is a number, a text or a boolean")
    return found


def type_of(dtype: pl.DataType) -> Word | None:
    """Return our word for a polars type: float, int, str, bool, or None if there is none."""
    if dtype == pl.Null:
        return "float"
    if dtype.is_float() or dtype.is_decimal():  # SQL's own literals, such as 24.0, are decimals
        return "float"
    if dtype.is_integer():
        return "int"
    if dtype == pl.Boolean:
        return "bool"
    if dtype == pl.String or dtype == pl.Categorical or dtype == pl.Enum:
        return "str"
    return None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
