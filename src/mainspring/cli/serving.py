"""Serving: serve a model, ask an endpoint, send ground truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking, call
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from rich.console import Console

Endpoint = Annotated[str, Parameter(help="The endpoint's name.")]


def serve(
    model: Annotated[str, Parameter(help="The model whose champion answers.")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="The endpoint's; default: the model's.")] = None,
    shared: Annotated[
        bool,
        Parameter(negative=(), help="By one process for many endpoints; models load on demand."),
    ] = False,
    workers: Annotated[
        str | None, Parameter(help="How many processes, such as 2, or 0..4 by load.")
    ] = None,
    remove: Annotated[
        bool, Parameter(negative=(), help="Stop serving instead. Captured traffic is kept.")
    ] = False,
    options: Everywhere = HERE,
) -> None:
    """Serve a model's champion under a name. It runs while ``mainspring up`` does."""
    name = name or model
    if remove:
        done = call(options, "endpoints.remove", name=name)
        render.said(options, done, f"{name} is no longer served.")
        return
    bounds = {} if workers is None else workers_of(workers)
    done = call(options, "endpoints.create", name=name, model=model, shared=shared)
    if bounds:
        call(options, "endpoints.configure", name=name, **bounds)
    render.said(
        options,
        done,
        f"{name} serves {model}@champion while mainspring is up.",
        f"Ask it: mainspring predict {name} --rows FILE",
    )


def workers_of(text: str) -> dict[str, int]:
    """Return the bounds in a text like ``2`` or ``0..4``.

    >>> workers_of("0..4"), workers_of("2")
    ({'fewest': 0, 'most': 4}, {'fewest': 2, 'most': 2})

    Raises:
        BadInputError: if it is neither.
    """
    first, dots, last = text.partition("..")
    try:
        fewest = int(first)
        return {"fewest": fewest, "most": int(last) if dots else fewest}
    except ValueError as error:
        raise BadInputError(
            f"--workers is a number or two, found {text!r}.",
            field="workers",
            hint="Such as 2, or 0..4 to have as many as the load asks for.",
        ) from error


def predict(
    endpoint: Endpoint,
    /,
    *,
    rows: Annotated[str, Parameter(help="A CSV, Parquet or JSON file, or JSON itself.")],
    explain: Annotated[
        bool, Parameter(negative="", help="Say what carried each score; at most 32 rows.")
    ] = False,
    options: Everywhere = HERE,
) -> None:
    """Ask an endpoint about rows. Every answer comes with the prediction id that labels need."""
    asked = read_rows(rows)
    found = call(options, "endpoints.predict", name=endpoint, rows=asked, explain=explain)

    def draw(out: Console) -> None:
        ids = found.get("prediction_ids") or [""] * len(found["predictions"])
        scores = found.get("scores") or [""] * len(ids)
        heads = ["PREDICTION", "SCORE>", "ID"]
        columns = [found["predictions"], scores, ids]
        if explain:
            heads.append("CARRIED MOST BY")
            columns.append([_heaviest(told["carried"]) for told in found["explanations"]])
        render.table(out, tuple(heads), list(zip(*columns, strict=False)))
        if "model_version" in found:
            out.print(render.plain(f"answered by version {found['model_version']}"))

    render.answer(options, found, draw)


def _heaviest(carried: dict[str, float], most: int = 3) -> str:
    """Return the columns that carried most of a score, with what each added to it.

    >>> _heaviest({"a": 0.1, "b": -0.25, "c": 0.0})
    'b -0.25, a +0.1, c +0'
    """
    told = sorted(carried.items(), key=lambda one: -abs(one[1]))
    return ", ".join(f"{name} {value:+.3g}" for name, value in told[:most])


def label(
    endpoint: Endpoint,
    file: Annotated[
        Path,
        Parameter(help="CSV, Parquet or JSON lines with a prediction id and a value a row."),
    ],
    /,
    *,
    id_column: Annotated[str, Parameter(name="--id", help="Column of prediction ids.")] = "id",
    value_column: Annotated[str, Parameter(name="--value", help="Column of labels.")] = "value",
    options: Everywhere = HERE,
) -> None:
    """Send ground truth by prediction id: all of a file, or none. A later label of an id wins."""
    from mainspring.cli.feeds import bytes_bar, send_file

    file = file.expanduser()
    named = {"id_column": id_column, "value_column": value_column, "file": file.name[-300:]}
    with asking(options) as house, bytes_bar(options, [file]) as tell:
        found = send_file(house, "endpoints.label_file", file, tell, name=endpoint, **named)

    def draw(out: Console) -> None:
        for line in _labelled(found):
            out.print(render.plain(line))

    render.answer(options, found, draw)


def _labelled(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['labels']:,} labels: {found['kept']:,} are new."
    told = {
        "changed": "{n:,} say otherwise than before, and count from now on.",
        "repeated": "{n:,} say what was known, and change nothing.",
        "doubled": "{n:,} were given more than once in the file: the last of each counts.",
        "unknown": "{n:,} have no prediction here by now; they are kept, and join it if it comes.",
        "not_recorded": "{n:,} of them never will: a share of the rows is recorded, not theirs.",
    }
    for key, text in told.items():
        if found[key]:
            yield text.format(n=found[key])


def read_rows(text: str) -> list[dict[str, Any]]:
    """Return the rows in a file, or in the JSON that stands in its place.

    Raises:
        BadInputError: if there is no such file, or it holds no rows.
    """
    if text.lstrip()[:1] in ("{", "["):
        return _from_json(text, "--rows")
    file = Path(text).expanduser()
    if not file.is_file():
        raise BadInputError(
            f"There is no file {text!r}.",
            field="rows",
            hint="Give a file, or JSON like '{\"a\": 1}'.",
        )
    if file.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        return _from_json(file.read_text("utf-8"), str(file))
    from mainspring.workspace.tables import read

    found: list[dict[str, Any]] = _as_json(read(file)).to_dicts()
    return found


def _as_json(frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows as JSON can hold them: times as ISO 8601 text, what is not a number as null."""
    import polars as pl

    times = frame.select(pl.selectors.by_dtype(pl.Date, pl.Datetime)).columns
    floats = frame.select(pl.selectors.float()).columns
    return frame.with_columns(
        pl.col(times).dt.to_string("iso"),
        pl.when(pl.col(floats).is_finite()).then(pl.col(floats)),
    )


def _from_json(text: str, where: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except ValueError:
        try:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise BadInputError(f"{where} is not JSON: {error}.", field="rows") from error
    rows = found if isinstance(found, list) else [found]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise BadInputError(
            f"{where} must hold objects, one a row.", field="rows", hint='Such as [{"a": 1}].'
        )
    return rows
