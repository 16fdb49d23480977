"""The verbs of Python: ``ms.create_monitor``, ``ms.feed``, ``ms.check_window``.

They work on the home, or over HTTP where a URL is set (``MAINSPRING_URL``), as commands do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Kind, MonitorPolicy
from mainspring.workspace.feeding.comparing import Comparison
from mainspring.workspace.feeding.declared import Declared
from mainspring.workspace.feeding.naming import Columns
from mainspring.workspace.feeding.taking import Fed

if TYPE_CHECKING:
    import polars as pl

    from mainspring.workspace.asking import Server
    from mainspring.workspace.opening import Workspace

#: A table of rows: a file, a polars, pandas or pyarrow table, a dictionary of columns.
Rows = Any
Named = Sequence[str] | str | None


def create_monitor(
    name: str,
    baseline: Rows,
    *,
    model: str | None = None,
    version: str | None = None,
    kind: Kind | None = None,
    positive: str | None = None,
    policy: MonitorPolicy | None = None,
    home: str | Path | None = None,
    **columns: Named,
) -> Declared:
    """Watch a model that answers elsewhere, compared with rows of a time when it was trusted.

    Args:
        name: of the monitor.
        baseline: rows with the model's inputs, its predictions and, where known, labels: a file
            (CSV, JSON lines, Parquet) or a table. Or a version of ours, ``"fraud@champion"``.
        model: the model's name, the monitor's when left out.
        version: what the rows that are fed later call the version that this baseline is of.
        kind: binary, multiclass or regression; found from labels and predictions when left out.
        positive: binary: the class whose probability is the score.
        policy: how rows are cut into windows, ``ms.Monitor(...)``.
        home: where to work; the default as everywhere.
        columns: which column is what, as ``id``, ``time``, ``score``, ``prediction``,
            ``label``, ``version``; what is left out is guessed by usual names, and ``said``
            in the answer.

    Raises:
        BadInputError: naming what is wrong with the baseline.
        ConflictError: if the name is taken by another model.
    """
    from mainspring.workspace.feeding import declared

    wanted = columns_of(columns)
    reference = isinstance(baseline, str) and not Path(baseline).is_file()
    with _place(home) as place:
        if isinstance(place, _Far):
            given = {"model": model, "version": version, **_policy_fields(policy)}
            if reference:
                found = place.call("feeds.create", name=name, baseline=baseline, **given)
            else:
                given |= {"kind": kind, "positive": positive, **_column_fields(wanted)}
                with as_file(baseline) as file:
                    found = place.send("feeds.baseline", file, name=name, **given)
            return msgspec.convert(found, Declared)
        with _baseline(baseline, reference=reference) as rows:
            return declared.create(
                place,
                name,
                baseline=rows,
                model=model,
                version=version,
                kind=kind,
                positive=positive,
                policy=policy,
                columns=wanted,
                called=str(baseline) if isinstance(baseline, str | Path) else "the baseline",
            )


def feed(
    name: str,
    rows: Rows,
    *,
    batch: str | None = None,
    judge: bool = False,
    home: str | Path | None = None,
    **columns: Named,
) -> Fed:
    """Give a monitor predictions that were made elsewhere; once it returns they are on disk.

    Args:
        name: of the monitor.
        rows: inputs, predictions, ids and times, and labels where they are known: a file (CSV,
            JSON lines, Parquet), or a table. All of them are kept, or none.
        batch: your own name of these rows. Sent again under it, nothing is doubled; by default
            the rows themselves are their name.
        judge: judge the windows that are over now, in this process. Otherwise the engine does
            within a second, while ``mainspring up`` runs.
        home: where to work; the default as everywhere.
        columns: as for :func:`create_monitor`; what is left out is what the monitor was told
            before.

    Raises:
        NotFoundError: if there is no such monitor.
        BadInputError: naming the row that cannot be used.
        ConflictError: if the batch was kept with other rows.
    """
    from mainspring.workspace.feeding.taking import feed as take

    wanted = columns_of(columns)
    with _place(home) as place, as_file(rows) as file:
        called = str(rows) if isinstance(rows, str | Path) else "the rows"
        if isinstance(place, _Far):
            fields = {"endpoint": name, "batch": batch, "file": called[-300:]}
            found = place.send("feeds.send", file, **fields, **_column_fields(wanted))
            return msgspec.convert(found, Fed)
        fed = take(place, name, file, batch=batch, columns=wanted, name=called)
        if judge:
            from mainspring.workspace.catching_up import catch_up

            catch_up(place, name)
        return fed


def check_window(
    current: Rows,
    baseline: Rows,
    *,
    policy: MonitorPolicy | None = None,
    kind: Kind | None = None,
    positive: str | None = None,
    **columns: Named,
) -> Comparison:
    """Judge rows against others as one window of traffic would be; nothing is kept.

    Args:
        current: the rows to judge: a file, or a table.
        baseline: what they are compared with: a file, or a table.
        policy: what is alarming, ``ms.Monitor(...)``.
        kind: binary, multiclass or regression; found when left out.
        positive: binary: the class whose probability is the score.
        columns: which column is what, as for :func:`create_monitor`. Rows need no prediction,
            no label and no time; with predictions and labels the performance is judged too.

    Raises:
        BadInputError: naming what cannot be used.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> then = {"x": rng.normal(0, 1, 5000)}
        >>> check_window({"x": rng.normal(0, 1, 5000)}, then).verdict
        'quiet'
        >>> [a.subject for a in check_window({"x": rng.normal(1, 1, 5000)}, then).alarms]
        ['x']
    """
    from mainspring.workspace.feeding import comparing

    wanted = columns_of(columns)
    base = comparing.against(_rows(baseline), wanted, kind=kind, positive=positive)
    return comparing.compare(_rows(current), base, policy or MonitorPolicy(), wanted)


def columns_of(given: Mapping[str, Named]) -> Columns:
    """Return which column is what, from keyword arguments such as ``score="p"``.

    Raises:
        BadInputError: for a keyword that is none.
    """
    known = Columns.__struct_fields__
    for key in given:
        if key not in known:
            raise BadInputError(
                f"There is no {key!r} among {', '.join(known)}.",
                field=key,
                hint="Columns are named as id=, time=, score=, prediction=, label=, version=.",
            )
    told: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if "score" in told:
        score = told["score"]
        told["score"] = [score] if isinstance(score, str) else list(score)
    return Columns(**told)


@contextmanager
def as_file(rows: Rows) -> Iterator[Path]:
    """Have rows as a file: the file they are in, or one made for as long as it is needed."""
    if isinstance(rows, str | Path):
        yield Path(rows).expanduser()
        return
    from mainspring.experiments.tabular import frame_of

    with tempfile.TemporaryDirectory(prefix="mainspring-rows-") as folder:
        file = Path(folder) / "rows"
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            # As JSON lines: a column of mixed types is something for a monitor to see.
            file.write_bytes(b"\n".join(msgspec.json.encode(row) for row in rows))
        else:
            frame_of(rows, "rows").write_parquet(file)
        yield file


def _rows(rows: Rows) -> pl.DataFrame | Path:
    if isinstance(rows, str | Path):
        return Path(rows).expanduser()
    from mainspring.experiments.tabular import frame_of

    return frame_of(rows, "rows")


@contextmanager
def _baseline(baseline: Rows, *, reference: bool) -> Iterator[Any]:
    yield baseline if reference else _rows(baseline)


class _Far:
    """A server, asked for operations."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def call(self, name: str, /, **fields: Any) -> Any:
        path = self._path(name, fields)
        return self._server.ask("POST", path[0], body=path[1])

    def send(self, name: str, file: Path, /, **fields: Any) -> Any:
        path, query = self._path(name, fields)
        return self._server.ask("POST", path, query=query, file=file)

    @staticmethod
    def _path(name: str, fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return where an operation is, and what is told besides; the table is above us."""
        path = _PATHS[name]
        rest = {key: value for key, value in fields.items() if value is not None}
        for key in ("name", "endpoint"):
            if f"{{{key}}}" in path:
                path = path.replace(f"{{{key}}}", str(rest.pop(key)))
        return path, rest


_PATHS = {
    "feeds.create": "/api/v1/monitors",
    "feeds.baseline": "/api/v1/monitors/{name}/baseline",
    "feeds.send": "/api/v1/monitor/{endpoint}/predictions",
}


@contextmanager
def _place(home: str | Path | None) -> Iterator[Workspace | _Far]:
    from mainspring.ground.settings import load
    from mainspring.workspace.asking import Server
    from mainspring.workspace.opening import open_workspace

    settings = load({"home": None if home is None else str(home)})
    if settings.url and home is None:
        server = Server(settings.url, settings.token)
        try:
            yield _Far(server)
        finally:
            server.close()
        return
    ws = open_workspace(settings)
    try:
        yield ws
    finally:
        ws.close()


def _column_fields(columns: Columns) -> dict[str, Any]:
    """Return the fields by which an operation is told of columns."""
    told = {f"{k}_column": v for k, v in msgspec.structs.asdict(columns).items() if v}
    if "score_column" in told:
        told["score_column"] = ",".join(told["score_column"])
    return told


def _policy_fields(policy: MonitorPolicy | None) -> dict[str, Any]:
    """Return the fields by which an operation is told how to cut and judge.

    Raises:
        BadInputError: for what cannot be told over HTTP.
    """
    if policy is None:
        return {}
    told: dict[str, Any] = {
        "window": "batch" if policy.by_batch else f"{policy.window_s}s",
        "window_rows": policy.window_rows,
        "grace": f"{policy.grace_s}s",
        "label_delay": f"{policy.label_delay_s}s",
        "min_rows": policy.min_rows,
        "alpha": policy.alpha,
    }
    plain = MonitorPolicy(
        window_s=policy.window_s,
        window_rows=policy.window_rows,
        by_batch=policy.by_batch,
        grace_s=policy.grace_s,
        label_delay_s=policy.label_delay_s,
        min_rows=policy.min_rows,
        alpha=policy.alpha,
    )
    if plain != policy:
        raise BadInputError(
            "Over HTTP a monitor is told window, window_rows, grace, label_delay, min_rows and"
            " alpha only.",
            field="policy",
            hint="Declare the monitor in the home itself, with home=.",
        )
    return told
