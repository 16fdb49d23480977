"""Take in a table of ground truth, by prediction id: all of it or none, and say what it was.

What counts is told of every label: it is the first of its prediction, or says again what was
known (then it is not kept a second time), or otherwise than before (then it counts from now on).
Of several labels of one id in a table the last counts. A label whose prediction is not known is
kept: rows are captured a moment after they are answered, or fed later, and then it is joined.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from mainspring.ground.errors import BadInputError, TooLargeError
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import known, labels
from mainspring.monitoring.labels import MOST_ID_CHARS, MOST_LABELS, MOST_TEXT_CHARS
from mainspring.monitoring.truth import written
from mainspring.scaling.serving import capture, endpoints, sampling
from mainspring.workspace.feeding import reading
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.shapes import Labelled

MOST_IN_A_TABLE = 5_000_000
_TRUTHS = (pl.Boolean, pl.String, pl.Categorical, pl.Enum)


def take_file(
    ws: Workspace,
    endpoint: str,
    file: Path,
    *,
    id_column: str = "id",
    value_column: str = "value",
    name: str = "",
    tell: reading.Progress | None = None,
) -> Labelled:
    """Keep the labels of a file (CSV, Parquet, JSON lines, JSON): all of them, or none.

    Sent again, it changes nothing. At most :data:`MOST_IN_A_TABLE` labels a file, some 100 bytes
    of memory each.

    Raises:
        NotFoundError: if there is no such endpoint.
        BadInputError: naming line and column of the first label that cannot be used.
        TooLargeError: if there are too many.
    """
    ws.read(Permission.LABEL, lambda tx: endpoints.get(tx, endpoint))
    name = name or file.name
    parts, rows = [], 0
    for part in reading.parts(file, name, tell=tell):
        parts.append(_checked(part, id_column, value_column, name))
        rows += part.height
        if rows > MOST_IN_A_TABLE:
            raise TooLargeError(
                f"{name} has more than {MOST_IN_A_TABLE:,} labels.",
                field="file",
                hint="Send it in parts: what was kept once is not kept again.",
            )
    if not rows:
        raise BadInputError(f"{name} has no labels.", field="file")
    return take(ws, endpoint, reading.plainest(pl.concat(parts, how="vertical_relaxed")))


def take(ws: Workspace, endpoint: str, given: pl.DataFrame) -> Labelled:
    """Keep labels: text ``_id`` (changed by nothing), and ``_value`` of any one type."""
    ids = given["_id"].cast(pl.String)
    values = given["_value"]
    said = values.cast(pl.String)
    if values.dtype.is_float():
        said = pl.Series([written(one) for one in values.to_list()], dtype=pl.String)
    table = pl.DataFrame([ids, values, said.alias("_label")])
    last = table.unique("_id", keep="last", maintain_order=True)

    def look(tx: Tx) -> tuple[int, pl.DataFrame]:
        newest = labels.newest(tx, endpoint)
        return newest, known.of(tx, endpoint, last["_id"])

    # The long look is taken before anybody waits for us; what came meanwhile is seen below.
    newest, before = ws.read(Permission.LABEL, look)
    folder = ws.captures(endpoint)
    lacking = last["_id"].filter(~capture.there(folder, last["_id"]))
    left_out = sum(sampling.not_drawn(folder, lacking.to_list())) if lacking.len() else 0
    at, mark = ws.clock.now(), capture.watermark(folder)

    def keep(tx: Tx) -> Labelled:
        labels.take_turn(tx, endpoint)
        since = known.of(tx, endpoint, last["_id"], newest)
        judged = known.judged(last, known.joined(before, since))
        fresh = judged.filter(pl.col("_was") != "repeated")
        counts: dict[str, int] = dict(judged["_was"].value_counts().rows())
        batches = []
        for start in range(0, fresh.height, MOST_LABELS):
            some = fresh.slice(start, MOST_LABELS)
            ready = labels.prepare(some["_id"].to_list(), some["_value"].to_list())
            batches.append(labels.keep(tx, endpoint, ready, at, mark))
        return Labelled(
            endpoint=endpoint,
            labels=last.height,
            kept=counts.get("new", 0),
            changed=counts.get("changed", 0),
            repeated=counts.get("repeated", 0),
            doubled=table.height - last.height,
            unknown=lacking.len(),
            not_recorded=left_out,
            batches=batches,
        )

    return ws.write(Permission.LABEL, keep)


def _checked(part: pl.DataFrame, id_column: str, value_column: str, name: str) -> pl.DataFrame:
    for column, option in ((id_column, "--id"), (value_column, "--value")):
        if column not in part.columns:
            there = ", ".join(one for one in part.columns if one != reading.LINE)
            raise BadInputError(
                f"{name} has no column {column!r}; it has {there}.",
                field=column,
                hint=f"Name it with {option}.",
            )
    ids, values, lines = part[id_column], part[value_column], part[reading.LINE]
    if not (ids.dtype in (pl.String, pl.Categorical) or ids.dtype.is_integer()):
        raise BadInputError(
            f"{name}: column {id_column!r} holds {ids.dtype}, and a prediction id is text.",
            field=id_column,
        )
    ids = ids.cast(pl.String)
    size = ids.str.len_chars()
    wrong = (ids.is_null() | (size == 0) | (size > MOST_ID_CHARS)).fill_null(value=True)
    told = f"a prediction id is text of 1 to {MOST_ID_CHARS} characters"
    _refuse(name, id_column, lines, wrong, ids, told)
    number = values.dtype.is_integer() or values.dtype.is_float()
    if not number and values.dtype not in _TRUTHS and values.null_count() < values.len():
        raise BadInputError(
            f"{name}: column {value_column!r} holds {values.dtype}; a label is true or false, a"
            " number or text.",
            field=value_column,
        )
    if values.dtype in (pl.Categorical, pl.Enum) or values.dtype == pl.Null:
        values = values.cast(pl.String)
    wrong = values.is_null()
    if values.dtype.is_float():
        wrong = wrong | ~values.is_finite().fill_null(value=False)
    told = "a label is true or false, a number or text: leave out rows whose truth is not known"
    _refuse(name, value_column, lines, wrong, values, told)
    if values.dtype == pl.String:
        long = values.str.len_chars() > MOST_TEXT_CHARS
        told = f"a label has at most {MOST_TEXT_CHARS:,} characters"
        _refuse(name, value_column, lines, long, values, told)
    return pl.DataFrame([ids.alias("_id"), values.alias("_value")])


def _refuse(
    name: str, column: str, lines: pl.Series, wrong: pl.Series, found: pl.Series, why: str
) -> None:
    row = wrong.arg_max()
    if row is None or not wrong[row]:
        return
    value: Any = found[row]
    raise BadInputError(
        f"{name}, line {lines[row]}: {why}, found {repr(value)[:80]} in column {column!r}."
        " Nothing of it was taken.",
        field=column,
    )
