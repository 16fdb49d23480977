"""Run a batch: score what is not scored yet, make the output, feed the monitor, remember it.

1. The source is read part by part; workers score parts and keep each for good (:mod:`parts`).
2. All parts become one output, beside them; where a monitor watches, their rows are fed to it.
3. One rename puts the output in its place, and the run is remembered: the same command again does
   nothing, and any other is refused until it says that the output may go.

Killed anywhere, the same command goes on, and the output has the same bytes as without a kill.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError, ConflictError, MainspringError
from mainspring.ground.identity import canonical
from mainspring.ground.killpoints import here
from mainspring.ground.objects import EndpointLimits, Record, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import watches
from mainspring.readiness import registry
from mainspring.scaling.models.scorer import Scorer
from mainspring.scaling.serving import endpoints
from mainspring.scaling.serving.scorers import choosing
from mainspring.workspace.batches import joining
from mainspring.workspace.batches.parts import Done, Parts, write
from mainspring.workspace.batches.scoring import ID, VERSION, Scoring, score_names
from mainspring.workspace.batches.sources import Files, Part, Source, open_source
from mainspring.workspace.feeding import reading, taking
from mainspring.workspace.feeding.naming import Columns
from mainspring.workspace.opening import Workspace

#: Told how many bytes of the source were read, and how many rows are done.
Progress = Callable[[int, int], None]
MOST_WORKERS = 64
TIMEOUT_S = 600.0  # for one part, where the code of others scores it in a process of its own


class Scored(Record, frozen=True, kw_only=True):
    """What was done with a table."""

    rows: int  #: scored, and in the output
    version: str  #: MODEL/NUMBER
    out: str
    bad: int = 0  #: rows set aside
    bad_rows: str | None = None  #: the file they were set aside in
    endpoint: str | None = None  #: the monitor that the rows were fed to
    batch: str | None = None
    again: bool = False  #: these rows, scored by this version, were fed before: none is doubled
    resumed: int = 0  #: rows that an earlier run had scored already
    done_before: bool = False  #: the same command was through already: nothing was done
    seconds: float = 0.0


def score_table(
    ws: Workspace,
    reference: str,
    given: str | Path,
    out: Path,
    *,
    query: str | None = None,
    endpoint: str | None = None,
    batch: str | None = None,
    columns: Columns | None = None,
    bad_rows: Path | None = None,
    workers: int | None = None,
    fresh: bool = False,
    tell: Progress | None = None,
) -> Scored:
    """Write rows with what a version says of each beside them; return what was done.

    ``given`` is a file, a folder, a pattern, or the address of a database that is asked
    ``query``. ``out`` ends with .csv, .parquet, .jsonl or .ndjson, or has no ending and is a
    folder of Parquet files; it appears whole or not at all, rows in their order. It has the
    columns given and ``prediction_id``, ``prediction``, ``score`` (several classes:
    ``score_CLASS``), ``model_version``. With ``endpoint`` the rows are fed to that monitor as one
    batch, named ``batch`` or else by the rows and the version. Rows that the version cannot score
    end the run, or go to ``bad_rows`` (JSON lines), each with its line, field and reason.

    Raises:
        NotFoundError: if there is no such version or monitor.
        ConflictError: if the output or its parts are another run's and not ``fresh``, or the
            monitor is served here.
        BadInputError, NotExactError: naming the line that the version cannot score.
    """
    began, columns = time.monotonic(), columns or Columns()
    place = ws.read(Permission.READ, lambda tx: _Place.find(tx, reference, endpoint))
    source = open_source(str(given), query)
    joining.check_out(out, source.files if isinstance(source, Files) else [])
    named = _Name.of(source, place.version, columns, batch)
    run = {
        "version": f"{place.version.model}/{place.version.number}",
        "package": place.version.package,
        "source": source.described(),
        "rows_a_part": reading.ROWS_AT_ONCE,
        "monitor": endpoint,
        "columns": msgspec.to_builtins(columns),
        "batch": batch,
    }
    memory = _Memory(ws, out)
    before = None if fresh else memory.recall(run)
    if before is not None:
        return msgspec.structs.replace(before, done_before=True, again=endpoint is not None)
    with joining.writing(out), Parts(out, run, fresh=fresh) as parts:
        if out.exists() and not parts.goes_on and not fresh:
            parts.remove()
            raise ConflictError(
                f"{out} is there already, and not of this run.",
                field="out",
                hint="Name another, or say --fresh to replace it.",
            )
        try:
            with closing(choosing.served(place.version.package, ws.objects, _limits)) as scorer:
                scored = _Run(ws, place, source, parts, named, scorer, aside=bad_rows is not None)
                scored.score(workers or min(4, os.cpu_count() or 1), tell or (lambda *_: None))
            done = scored.finish(out, bad_rows, endpoint, columns)
        except MainspringError:
            if not parts.done():
                parts.remove()  # there is nothing to go on with
            raise
        done = msgspec.structs.replace(done, seconds=round(time.monotonic() - began, 3))
        memory.keep(run, done)
        parts.remove()
    return done


class _Run:
    """One run while it is at it."""

    def __init__(
        self,
        ws: Workspace,
        place: _Place,
        source: Source,
        parts: Parts,
        named: _Name,
        scorer: Scorer,
        *,
        aside: bool,
    ) -> None:
        self._ws, self._place, self._source, self._parts = ws, place, source, parts
        self._name = named.known(parts.run)
        self._digest = named.digest
        prefix = hashlib.sha256(self._name.encode()).hexdigest()[:16]
        self._scoring = Scoring(scorer, place.version.number, prefix, aside)
        self._resumed = 0

    def score(self, workers: int, tell: Progress) -> None:
        """Score what is not done yet, a few parts at a time."""
        if not 1 <= workers <= MOST_WORKERS:
            raise BadInputError(
                f"workers must be 1 to {MOST_WORKERS}, found {workers}.", field="workers"
            )
        there = self._parts.done()
        at = [0, 0]

        def read(position: int) -> None:
            at[0] = position
            tell(*at)

        def finished(rows: int) -> None:
            at[1] += rows
            tell(*at)

        waiting: deque[Future[int]] = deque()
        with ThreadPoolExecutor(workers, thread_name_prefix="score") as pool:
            try:
                for part in self._source.parts(read):
                    known = there.pop(part.number, None)
                    if known is not None:
                        self._same(part, known)
                        self._resumed += known.rows - known.bad
                        finished(part.rows.height)
                        continue
                    if len(waiting) > workers:  # memory is bounded by what is under way
                        finished(waiting.popleft().result())
                    waiting.append(pool.submit(self._part, part))
                while waiting:
                    finished(waiting.popleft().result())
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        if there:
            raise ConflictError(
                "The source has fewer rows than when the run began.",
                field="in",
                hint="Say --fresh to begin anew.",
            )

    def _part(self, part: Part) -> int:
        rows, bad = self._scoring.part(part)
        done = Done(rows=part.rows.height, bad=len(bad), told=part.told)
        self._parts.keep(part.number, rows, bad, done)
        return part.rows.height

    def _same(self, part: Part, known: Done) -> None:
        if known.bad and not self._scoring.aside:
            raise BadInputError(
                f"{known.bad:,} rows of {part.name} cannot be scored, and were set aside before.",
                field="bad_rows",
                hint="Name the file again with --bad-rows, or say --fresh to begin anew.",
            )
        if (part.rows.height, part.told) != (known.rows, known.told):
            raise ConflictError(
                f"{part.name} answers otherwise than when the run began.",
                field="in",
                hint="Say --fresh to begin anew; a query that says 'order by' answers the same.",
            )

    def finish(
        self, out: Path, bad_rows: Path | None, endpoint: str | None, columns: Columns
    ) -> Scored:
        """Make the output of all parts and put it in its place; feed the monitor before."""
        parts = self._parts
        done = list(parts.done().values())
        if not done:
            raise BadInputError(f"{self._source.name} has no rows.", field="in")
        bad = sum(one.bad for one in done)
        version = self._place.version
        told = Scored(
            rows=sum(one.rows for one in done) - bad,
            version=f"{version.model}/{version.number}",
            out=str(out),
            bad=bad,
            resumed=self._resumed,
        )
        whole = joining.join(parts, out)
        here("batch.joined")
        if endpoint is not None:
            told = self._fed(told, endpoint, columns)
        if bad_rows is not None:
            write(bad_rows, b"".join(file.read_bytes() for file in parts.bad()))
            told = msgspec.structs.replace(told, bad_rows=str(bad_rows))
        joining.put(whole, out)
        here("batch.put")
        return told

    def _fed(self, told: Scored, endpoint: str, columns: Columns) -> Scored:
        if not told.rows:
            raise BadInputError("No row could be scored: there is nothing to watch.", field="in")
        names = score_names(self._place.version.signature)
        there = next(joining.read(self._parts)).columns
        digest = self._digest
        if digest is None:
            known = [one.told for _, one in sorted(self._parts.done().items())]
            digest = hashlib.sha256(canonical([self._name, known])).hexdigest()
        fed = taking.feed(
            self._ws,
            endpoint,
            joining.read(self._parts),
            batch=self._name,
            columns=self._place.columns(columns, there, names),
            name=self._source.name,
            digest=digest,
        )
        return msgspec.structs.replace(told, endpoint=endpoint, batch=fed.batch, again=fed.again)


def _limits() -> EndpointLimits:
    return EndpointLimits(timeout_ms=1000 * TIMEOUT_S)


class _Place(Record, frozen=True, kw_only=True):
    """The version that scores, and what its monitor was told of columns."""

    version: Version
    remembered: Columns = Columns()

    @classmethod
    def find(cls, tx: Tx, reference: str, endpoint: str | None) -> _Place:
        version = registry.resolve(tx, reference)
        if endpoint is None:
            return cls(version=version)
        place = endpoints.get(tx, endpoint)
        hint = (
            f"Make a monitor for it: mainspring monitor create NAME"
            f" --baseline {version.model}/{version.number}"
        )
        if place.kind != "fed":
            raise ConflictError(
                f"{endpoint} is served here: what it answers is captured as it answers.",
                field="endpoint",
                hint=hint,
            )
        if place.model != version.model:
            raise BadInputError(
                f"{endpoint} watches {place.model}, not {version.model}.",
                field="endpoint",
                hint=hint,
            )
        watch = watches.find(tx, endpoint)
        told = msgspec.convert(watch.columns if watch else {}, Columns)
        return cls(version=version, remembered=told)

    def columns(self, given: Columns, there: list[str], scores: list[str]) -> Columns:
        """Return which column of the scored rows is what."""
        time = given.time or self.remembered.time or self.version.signature.time
        return Columns(
            id=given.id or ID,
            time=given.time or (time if time in there else None),
            label=given.label,
            score=scores,
            version=VERSION,
        )


class _Name(Record, frozen=True, kw_only=True):
    """How the rows of a run are called: by the person, by their content, or by the run itself."""

    given: str | None
    digest: str | None  #: of the rows and who scored them; None: a query, known when it was read

    @classmethod
    def of(cls, source: Source, version: Version, columns: Columns, batch: str | None) -> _Name:
        content = source.digest()
        if content is None:
            return cls(given=batch, digest=None)
        told = canonical([version.package, version.number, columns, content])
        return cls(given=batch, digest=hashlib.sha256(told).hexdigest())

    def known(self, run: str) -> str:
        """Return the batch's name."""
        return self.given or (run if self.digest is None else f"sha256:{self.digest[:32]}")


class _Memory:
    """What was made of a run, so that the same command again does nothing."""

    def __init__(self, ws: Workspace, out: Path) -> None:
        self._out = out
        name = hashlib.sha256(str(out.absolute()).encode()).hexdigest()[:32]
        self._file = ws.home / "batches" / f"{name}.json"

    def recall(self, run: dict[str, Any]) -> Scored | None:
        """Return what the same run answered, if its output is there as it left it."""
        try:
            known = msgspec.json.decode(self._file.read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        if known["run"] != msgspec.to_builtins(run) or known["state"] != self._state():
            return None
        return msgspec.convert(known["answer"], Scored)

    def keep(self, run: dict[str, Any], answer: Scored) -> None:
        """Remember a run that is through."""
        self._file.parent.mkdir(mode=0o700, exist_ok=True)
        known = {"run": run, "state": self._state(), "answer": answer}
        write(self._file, msgspec.json.encode(msgspec.to_builtins(known)))

    def _state(self) -> list[Any]:
        out = self._out
        files = sorted(out.iterdir()) if out.is_dir() else [out] if out.exists() else []
        return [[one.name, one.stat().st_size, one.stat().st_mtime_ns] for one in files]
