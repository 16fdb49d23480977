"""Take in predictions made elsewhere: whole or not at all, once however often they are sent.

1. What is wrong with a row is found before any row counts.
2. The rows come to count with one rename (:mod:`mainspring.scaling.serving.staging`).
3. The labels that came with them, and the name of the batch, are kept in one transaction.

Who was told that a batch is kept can rely on it; who was not, sends it again under its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from sqlalchemy import insert, select

from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.identity import canonical
from mainspring.ground.killpoints import here
from mainspring.ground.objects import Record, Rollout, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import labels, watches, windows
from mainspring.monitoring.labels import MOST_LABELS
from mainspring.scaling.models import package
from mainspring.scaling.serving import capture, endpoints, rollouts
from mainspring.scaling.serving.staging import Stage, in_turn
from mainspring.scaling.serving.tables import fed_batches
from mainspring.workspace.feeding import declared, reading, versions
from mainspring.workspace.feeding.naming import Columns, find
from mainspring.workspace.feeding.shadowing import Shadow
from mainspring.workspace.feeding.shaping import Shaper
from mainspring.workspace.opening import Workspace

MOST_BATCH_CHARS = 128
_BATCH_APART_S = 0.002  # two batches of one monitor are never at the same moment


class Fed(Record, frozen=True, kw_only=True):
    """What became of a batch of rows."""

    endpoint: str
    batch: str
    rows: int
    labels: int = 0
    again: bool = False  #: it was kept before, and nothing was added
    first: float | None = None  #: event time of the oldest row
    last: float | None = None
    late: int = 0  #: rows older than what was judged already: in no window, labels still join
    ahead: int = 0  #: rows whose time is beyond the clock that received them
    doubled: int = 0  #: rows whose id stood in the batch before; the first one counts
    columns: Columns = Columns()
    said: list[str] = []  #: what was guessed, to be told


class _Place(Record, frozen=True, kw_only=True):
    """What is known of the endpoint before its rows are read."""

    model: str
    usual: Version
    columns: Columns
    judged_until: float | None
    by_batch: bool
    rollout: Rollout | None


def feed(
    ws: Workspace,
    endpoint: str,
    rows: Path | Iterator[pl.DataFrame],
    *,
    batch: str | None = None,
    columns: Columns | None = None,
    name: str = "",
    tell: reading.Progress | None = None,
    digest: str | None = None,
) -> Fed:
    """Keep the predictions in a file and the labels beside them; return what became of them.

    ``rows`` is a file, or rows in parts as :func:`reading.parts` yields them; then their
    ``digest`` and ``name`` are needed.

    ``batch`` is the client's own name of it: sent again under it, nothing is doubled. Left out,
    the file's content is its name. ``columns`` say which is what; what is not said is what the
    monitor was told before, then what is usual. ``digest`` (64 hexadecimal digits) stands for
    the rows where their file is made anew each time, and not byte by byte the same.

    Raises:
        NotFoundError: if there is no such endpoint.
        ConflictError: if it is served here, or the batch was kept with other rows.
        BadInputError: naming the line that cannot be used; then no row is kept.
    """
    if isinstance(rows, Path):
        digest, name = digest or _digest(rows, columns), name or rows.name
        rows = reading.parts(rows, name, tell=tell)
    if digest is None:
        raise BadInputError("Rows without a file need a digest.", field="digest")
    batch = _named(batch or f"sha256:{digest[:32]}")
    place, kept = ws.read(Permission.LABEL, partial(_look, endpoint=endpoint, batch=batch))
    if kept is not None:
        return _again(kept, digest)
    given = columns or Columns()
    turn = in_turn(ws.captures(endpoint)) if place.by_batch else nullcontext()
    with turn, Stage(ws.captures(endpoint)) as stage:
        taken = _Taken(ws, endpoint, place, batch, given, name)
        taken.read(rows, stage)
        fed = taken.answer(stage.seal())
        here("feed.staged")
        stage.publish(batch)
        newest = capture.watermark(ws.captures(endpoint))
        kept = ws.write(
            Permission.LABEL,
            lambda tx: _keep(tx, fed, digest, ws.clock.now(), taken.labels(), newest),
        )
        here("feed.kept")
    return fed if kept is None else _again(kept, digest)


class _Taken:
    """The rows of one batch while they are read."""

    def __init__(
        self, ws: Workspace, endpoint: str, place: _Place, batch: str, given: Columns, name: str
    ) -> None:
        self._ws, self._endpoint, self._place = ws, endpoint, place
        self._batch, self._given, self._name = batch, given, name
        self._shaper: Shaper | None = None
        self._shadow = Shadow(ws, place.rollout) if place.rollout is not None else None
        self._said: list[str] = []
        self._labels: list[labels.Ready] = []
        self._label_rows = 0
        self._late = 0
        self._hashes: list[pl.Series] = []

    def read(self, parts: Iterator[pl.DataFrame], stage: Stage) -> None:
        """Shape all parts and stage them."""
        for part in parts:
            shaper = self._shaper or self._begin(part)
            lacking = [name for name in shaper.columns.named() if name not in part.columns]
            part = part.with_columns(pl.lit(None).alias(name) for name in lacking)  # noqa: PLW2901
            rows, given = shaper.shape(part)
            if self._shadow is not None:
                rows = self._shadow.score(rows)
            ids = pl.concat_str("_boot", pl.lit("-"), "_n")
            self._hashes.append(rows.select(ids.hash().alias("h")).to_series())
            if self._place.judged_until is not None:
                self._late += int((rows["_time"] < self._place.judged_until).sum())
            if given is not None and given.height:
                self._hold(given)
            stage.add(rows)
        if self._shaper is None:
            raise BadInputError(f"{self._name} has no rows.", field="rows")

    def _begin(self, part: pl.DataFrame) -> Shaper:
        """Find out from the first rows which column is what."""
        usual = self._place.usual
        signature = usual.signature
        there = [name for name in part.columns if name != reading.LINE]
        given = _merged(self._given, self._place.columns, there)
        columns, said = find(
            there,
            given,
            inputs=[column.name for column in signature.columns],
            target=signature.target,
            classes=signature.classes,
        )
        now = self._ws.clock.now()
        self._said = said
        if columns.version is None:
            self._said.append(f"no version column: rows are taken as {usual.model}/{usual.number}")
        at = None
        if self._place.by_batch:
            newest = capture.watermark(self._ws.captures(self._endpoint))
            at = round(max(now, (newest or 0.0) + _BATCH_APART_S), 3)
            self._said.append("the batch is one window")
        elif columns.time is None:
            self._said.append("no time column: rows are taken as of now")
        profile = package.profile(usual.package, self._ws.objects)
        self._shaper = Shaper(
            name=self._name,
            columns=columns,
            signature=signature,
            received=now if at is None else at,
            version=usual.number,
            batch=hashlib.sha256(self._batch.encode()).hexdigest()[:16],
            scored=profile.score is not None,
            at=at,
            numbered=self._numbered,
        )
        return self._shaper

    def _numbered(self, names: Sequence[str]) -> dict[str, int]:
        model, now = self._place.model, self._ws.clock.now()

        def ask(tx: Tx) -> dict[str, int]:
            return versions.called(tx, self._endpoint)

        known = self._ws.read(Permission.LABEL, ask)
        if not set(names) <= set(known):
            return self._ws.write(
                Permission.LABEL,
                lambda tx: versions.numbers(tx, self._endpoint, model, names, now),
            )
        return known

    def _hold(self, given: pl.DataFrame) -> None:
        """Keep labels until the rows count, in the few bytes in which they are stored."""
        for start in range(0, given.height, MOST_LABELS):
            part = given.slice(start, MOST_LABELS)
            self._labels.append(labels.prepare(part["_id"].to_list(), part["_label"].to_list()))
            self._label_rows += part.height

    def labels(self) -> list[labels.Ready]:
        """Return the labels that came with the rows."""
        return self._labels

    def answer(self, reach: tuple[float, float] | None) -> Fed:
        """Return what is told of the batch."""
        shaper = self._shaper
        if shaper is None or reach is None:
            raise BadInputError(f"{self._name} has no rows.", field="rows")
        different = pl.concat(self._hashes).n_unique()
        return Fed(
            endpoint=self._endpoint,
            batch=self._batch,
            rows=shaper.rows,
            labels=self._label_rows,
            first=reach[0],
            last=reach[1],
            late=self._late,
            ahead=shaper.ahead,
            doubled=shaper.rows - different,
            columns=shaper.columns,
            said=[*self._said, *shaper.said, *(self._shadow.said if self._shadow else [])],
        )


def _look(tx: Tx, endpoint: str, batch: str) -> tuple[_Place, Any]:
    found = endpoints.get(tx, endpoint)
    if found.kind != "fed":
        raise ConflictError(
            f"{endpoint} is served here: what it answers is captured as it answers.",
            field="endpoint",
            hint="Rows are fed to a monitor of a model elsewhere: mainspring monitor create NAME",
        )
    watch = watches.find(tx, endpoint)
    spec = declared.spec_of(tx, endpoint)
    place = _Place(
        model=found.model,
        usual=versions.usual(tx, found.model),
        columns=msgspec.convert(watch.columns if watch else {}, Columns),
        judged_until=windows.monitor(tx, endpoint).judged_until,
        by_batch=spec.monitor.by_batch,
        rollout=rollouts.running(tx, endpoint),
    )
    return place, _kept(tx, endpoint, batch)


def _kept(tx: Tx, endpoint: str, batch: str) -> Any:
    mine = (fed_batches.c.endpoint == endpoint) & (fed_batches.c.batch == batch)
    return tx.one(select(fed_batches).where(mine))


def _keep(
    tx: Tx,
    fed: Fed,
    digest: str,
    now: float,
    parts: list[labels.Ready],
    watermark: float | None,
) -> Any:
    """Keep what the store keeps of a batch; return its row if somebody did meanwhile."""
    # Writers of one endpoint wait for each other here, and count what came too late.
    windows.count_late(tx, fed.endpoint, 0)
    there = _kept(tx, fed.endpoint, fed.batch)
    if there is not None:
        return there
    for part in parts:
        labels.keep(tx, fed.endpoint, part, now, watermark)
    tx.run(
        insert(fed_batches).values(
            endpoint=fed.endpoint,
            batch=fed.batch,
            digest=digest,
            answer=canonical(fed).decode(),
            at=now,
            by=tx.who.name,
        )
    )
    if fed.late:
        windows.count_late(tx, fed.endpoint, fed.late)
    return None


def _again(kept: Any, digest: str) -> Fed:
    if kept.digest != digest:
        raise ConflictError(
            f"Batch {kept.batch!r} was kept with other rows.",
            field="batch",
            hint="A batch's name stands for its rows: give these another.",
        )
    return msgspec.structs.replace(msgspec.json.decode(kept.answer, type=Fed), again=True)


def _merged(given: Columns, remembered: Columns, there: Sequence[str]) -> Columns:
    """Return what was said of these rows, and of what was not, what the monitor was told.

    What was only remembered may be missing in these rows; what was named may not.
    """
    told = {k: v for k, v in msgspec.structs.asdict(remembered).items() if v}
    told = {k: v for k, v in told.items() if set(v if isinstance(v, list) else [v]) <= set(there)}
    return Columns(**{**told, **{k: v for k, v in msgspec.structs.asdict(given).items() if v}})


def _named(batch: str) -> str:
    if not 0 < len(batch) <= MOST_BATCH_CHARS or not batch.isprintable():
        raise BadInputError(
            f"A batch's name has 1 to {MOST_BATCH_CHARS} printable characters.", field="batch"
        )
    return batch


def _digest(file: Path, columns: Columns | None) -> str:
    if not file.is_file():
        raise BadInputError(f"There is no file {file}.", field="file")
    digest = hashlib.sha256(canonical(columns or Columns()))
    with file.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
