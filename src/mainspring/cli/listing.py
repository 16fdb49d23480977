"""Show found runs: a table for people, comma-separated values for other programs."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from mainspring.cli import halts, render

if TYPE_CHECKING:
    from rich.console import Console

#: What is shown of a run where no columns were chosen.
_PLAIN = ("RUN", "STATUS", "NAME", "STARTED (UTC)", "TOOK>", "METRICS")


def draw(
    out: Console, page: dict[str, Any], columns: str | None, *, narrowed: bool = False
) -> None:
    """Print found runs, and how to go on. ``narrowed`` says that only some were asked for."""
    empty = (
        "No run meets that. See all of them: mainspring runs"
        if narrowed
        else "No runs. Begin one: with ms.run() in a script, or mainspring run PIPELINE"
    )
    if columns is None:
        rows = [
            (
                run["id"],
                halts.word(run),
                run["pipeline"] or run["name"],
                render.when(run["started"]),
                render.took(run["started"], run["ended"]),
                render.figures(_own(run["metrics"])),
            )
            for run in page["runs"]
        ]
        render.table(out, _PLAIN, rows, empty)
    else:
        chosen = [one for one in _chosen(columns) if one[0] not in ("id", "status")]
        heads = ["RUN", "STATUS", *(name for name, _ in chosen)]
        cells = [
            [run["id"], halts.word(run), *(_shown(name, read(run)) for name, read in chosen)]
            for run in page["runs"]
        ]
        render.table(out, heads, cells, empty)
    for line in halts.lines(page["runs"]):
        out.print(render.plain(line), soft_wrap=True)
    if page["total"] is not None:
        least = "more than " if page["more"] else ""
        out.print(f"There are {least}{page['total']:,}.")
    if page["cursor"]:
        out.print(f"More: --cursor {render.plain(page['cursor'])}", soft_wrap=True)


def _own(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what the run itself logged; the machine's own figures would hide it.

    >>> _own({"system/memory_mb": 23.7, "auc": 0.9, "gap": None})
    {'auc': 0.9, 'gap': 'NaN'}
    """
    return {
        key: "NaN" if value is None else value
        for key, value in metrics.items()
        if not key.startswith("system/")
    }


def as_csv(out: TextIO, runs: Sequence[dict[str, Any]], columns: str | None) -> None:
    """Write found runs as comma-separated values; numbers with every digit, times in seconds."""
    chosen = _every(runs) if columns is None else _chosen(columns)
    if "id" not in [name for name, _ in chosen]:
        chosen = [("id", lambda run: run["id"]), *chosen]
    written = csv.writer(out, lineterminator="\n")
    written.writerow([name for name, _ in chosen])
    for run in runs:
        written.writerow([_exact(read(run)) for _, read in chosen])


Reader = Callable[[dict[str, Any]], Any]


def _chosen(columns: str) -> list[tuple[str, Reader]]:
    from mainspring.experiments.expressions import column
    from mainspring.experiments.filters import parse_columns

    return [(column(kind, key), _reader(kind, key)) for kind, key in parse_columns(columns)]


def _every(runs: Sequence[dict[str, Any]]) -> list[tuple[str, Reader]]:
    from mainspring.experiments.expressions import Kind, column

    names = ("id", "name", "experiment", "status", "started", "ended")
    found: list[tuple[str, Reader]] = [(name, _reader("run", name)) for name in names]
    kinds: tuple[Kind, ...] = ("param", "metric", "tag")
    for kind in kinds:
        keys = sorted({key for run in runs for key in run[f"{kind}s"]})
        found += [(column(kind, key), _reader(kind, key)) for key in keys]
    return found


def _reader(kind: str, key: str) -> Reader:
    if kind != "run":
        return lambda run: run[f"{kind}s"].get(key)
    if key == "duration":
        return lambda run: None if run["ended"] is None else run["ended"] - run["started"]
    if key in ("group", "user"):
        return lambda run: run["tags"].get(f"mainspring.{key}")
    return lambda run: run[key]


def _shown(name: str, value: Any) -> Any:
    if name in ("started", "ended"):
        return render.when(value)
    return f"{value:.1f} s" if name == "duration" and value is not None else value


def _exact(value: Any) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)
