"""Compare runs: params that differ, metrics with their spread, code and packages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking
from mainspring.cli.runs import full_id
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

_SIDE_BY_SIDE = 4  #: runs that stand beside each other in 80 columns; more stand below
_COLUMNS = 4  #: params that are shown of many runs
_METRICS = 12


def compare(
    *runs: Annotated[str, Parameter(help="Their ids, or the first characters of them.")],
    filter: Annotated[  # noqa: A002
        str | None, Parameter(help="Instead of ids: what must hold of the runs.")
    ] = None,
    experiment: str | None = None,
    order: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    limit: int = 100,
    columns: str | None = None,
    by: str | None = None,
    options: Everywhere = HERE,
) -> None:
    """Compare runs: what differs, and how metrics spread.

    Parameters
    ----------
    experiment
        Only those of one experiment.
    order
        By what found runs are ordered, a minus in front for falling.
    limit
        How many found runs at most, up to 300.
    columns
        Only these params, metrics and tags, parted by commas.
    by
        Group by one thing, such as params.C: mean, deviation and interval of each group.
    """
    if len(runs) == 1 or (not runs and filter is None and experiment is None):
        raise BadInputError(
            f"At least two runs are compared, found {len(runs)}.",
            field="runs",
            hint="Name them, or give --filter or --experiment.",
        )
    if runs and (filter is not None or experiment is not None):
        raise BadInputError("Name runs or give a filter, not both.", field="filter")
    with asking(options) as house:
        found = house.call(
            "runs.compare",
            runs=[full_id(house, run) for run in runs] or None,
            filter=filter,
            experiment=experiment,
            order=order,
            limit=limit,
            columns=columns,
            by=by,
        )
    render.answer(options, found, lambda out: draw(out, found))


def draw(out: Console, found: dict[str, Any]) -> None:
    """Print a comparison so that it fits 80 columns."""
    letters = [_letter(place) for place in range(len(found["runs"]))]
    many = len(letters) > _SIDE_BY_SIDE
    heads = [
        (letter, run["id"], run["name"][:24], run["status"])
        for letter, run in zip(letters, found["runs"], strict=True)
    ]
    params = found["params"]
    if many:
        shown = params[:_COLUMNS]
        names = [row["key"][:12] for row in shown]
        cells = [
            (*head[:2], *(_short(row["values"][place], 12) for row in shown))
            for place, head in enumerate(heads)
        ]
        render.table(out, ("", "RUN", *names), cells)
        _say_rest(out, [row["key"] for row in params[_COLUMNS:]], "Params that differ too")
    else:
        render.table(out, ("", "RUN", "NAME", "STATUS"), heads)
        _rows(out, "PARAM", params, letters)
    same = [f"{key} = {_short(value, 20)}" for key, value in found["same_params"].items()]
    _say_rest(out, same, "The same in all")
    _metrics(out, found["metrics"], letters, many=many)
    for title, kind in (("CODE", "code"), ("PACKAGE", "packages"), ("DATA", "data"),
                        ("TAG", "tags")):  # fmt: skip
        if many:
            _say_rest(out, [_counted(row) for row in found[kind]], f"{title.capitalize()} differs")
        else:
            _rows(out, title, found[kind], letters)
    _groups(out, found)


def _rows(
    out: Console, title: str, rows: Sequence[dict[str, Any]], letters: Sequence[str]
) -> None:
    if rows:
        out.print()
        width = 56 // len(letters)
        cells = [
            (_short(row["key"], 20), *(_short(v, width) for v in row["values"])) for row in rows
        ]
        render.table(out, (title, *letters), cells)


def _metrics(
    out: Console, rows: Sequence[dict[str, Any]], letters: Sequence[str], *, many: bool
) -> None:
    if not rows:
        return
    cells = []
    for row in rows[:_METRICS]:
        spread = row["spread"]
        if many:
            ends = [_end(row, spread, end, letters) for end in ("lowest", "highest")]
            middle = [_number(spread["mean"]), _number(spread["sd"]), *ends, spread["runs"]]
        else:
            middle = [_number(value) for value in (*row["values"], spread["mean"], spread["sd"])]
        cells.append((_short(row["key"], 22), *middle))
    heads = ("MEAN>", "SD>", "LOWEST>", "HIGHEST>", "RUNS>") if many else (
        *(f"{letter}>" for letter in letters), "MEAN>", "SD>",
    )  # fmt: skip
    out.print()
    render.table(out, ("METRIC", *heads), cells)
    _say_rest(out, [row["key"] for row in rows[_METRICS:]], "Further metrics")


def _groups(out: Console, found: dict[str, Any]) -> None:
    if not found["groups"]:
        return
    keys = sorted({key for group in found["groups"] for key in group["metrics"]})
    for key in keys[:_METRICS]:
        cells = []
        for group in found["groups"]:
            spread = group["metrics"].get(key)
            if spread is None:
                continue
            numbers = [_number(spread[name]) for name in ("mean", "sd", "low", "high")]
            value = "(none)" if group["value"] is None else group["value"]
            cells.append((_short(value, 24), spread["runs"], *numbers))
        out.print(f"\n{render.plain(key)} by {render.plain(found['by'])}")
        heads = ("VALUE", "RUNS>", "MEAN>", "SD>", "95% FROM>", "TO>")
        render.table(out, heads, cells)


def _end(row: dict[str, Any], spread: dict[str, Any], end: str, letters: Sequence[str]) -> str:
    if spread[end] is None:
        return ""
    return f"{_number(spread[end])} {letters[row['values'].index(spread[end])]}"


def _counted(row: dict[str, Any]) -> str:
    return f"{row['key']} ({len(set(row['values']))} kinds)"


def _say_rest(out: Console, names: Sequence[str], what: str) -> None:
    if names:
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        out.print(f"{what}: {render.plain(', '.join(names[:8]))}{more}")


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def _number(value: Any) -> str:
    return (
        "" if value is None else f"{value:.4g}" if isinstance(value, float | int) else str(value)
    )


def _short(value: str | None, width: int) -> str:
    if value is None:
        return "-"
    text = " ".join(value.split())
    return text if len(text) <= width else f"{text[: width - 1]}\u2026"
