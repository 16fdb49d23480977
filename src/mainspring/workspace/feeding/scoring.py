"""Score a file with a version of ours, in parts, and watch the scored rows like traffic.

1. The file is read, scored and set aside part by part, so that its size costs disk, not memory.
2. The parts become one file beside ``out``; where a monitor watches, its rows are fed to it.
3. One rename puts the file in its place. Whatever failed before leaves no trace there, and the
   same command again finishes what it began without doubling a row.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.errors import BadInputError, ConflictError, NotExactError
from mainspring.ground.identity import canonical
from mainspring.ground.objects import Record, Signature, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.monitoring import watches
from mainspring.readiness import registry
from mainspring.scaling.models import load
from mainspring.scaling.models.check import Prepared, check_frame
from mainspring.scaling.serving import endpoints
from mainspring.workspace.feeding import reading, taking
from mainspring.workspace.feeding.naming import Columns
from mainspring.workspace.feeding.shaping import settled
from mainspring.workspace.opening import Workspace

SCORE, VERSION = "score", "model_version"
_ENDINGS = (".csv", ".parquet")
_ROWS_A_GROUP = 50_000
_LOCK = ".lock"


class Scored(Record, frozen=True, kw_only=True):
    """What was done with a file."""

    rows: int
    version: str  #: MODEL/NUMBER
    out: str
    endpoint: str | None = None  #: the monitor that the rows were fed to
    batch: str | None = None
    again: bool = False  #: these rows, scored by this version, were fed before: none is doubled


def score_file(
    ws: Workspace,
    reference: str,
    file: Path,
    out: Path,
    *,
    endpoint: str | None = None,
    batch: str | None = None,
    columns: Columns | None = None,
    tell: reading.Progress | None = None,
) -> Scored:
    """Write the rows of a file with the scores of a version beside them; return what was done.

    ``out`` ends with .csv or .parquet and appears whole or not at all. It has the columns of the
    file, ``score`` (several classes: ``score_CLASS``) and ``model_version``. With ``endpoint``
    the scored rows are fed to that monitor as one batch, named ``batch`` or else by the rows
    and the version; ``columns`` say which holds ids, times and labels.

    Raises:
        NotFoundError: if there is no such version or monitor.
        ConflictError: if the monitor is served here, or the batch was kept with other rows.
        BadInputError, NotExactError: naming the line that the version cannot score.
    """
    place = ws.read(Permission.READ, lambda tx: _Place.find(tx, reference, endpoint))
    version = place.version
    _check_out(file, out)
    names = _score_names(version.signature)
    with _beside(out) as folder:
        served = load.load(version.package, ws.objects)
        rows = 0
        for number, part in enumerate(reading.parts(file, tell=tell)):
            _check_names(part, {*names, VERSION}, file)
            scores = served.score(_prepared(part, served.signature, file))
            given = _with_scores(part.drop(reading.LINE), names, scores, version.number)
            with _writing(out):
                given.write_parquet(folder / f"{number:08d}", compression="lz4")
            rows += part.height
        if not rows:
            raise BadInputError(f"{file} has no rows.", field="file")
        with _writing(out):
            whole = _joined(folder, out)
        told = Scored(rows=rows, version=f"{version.model}/{version.number}", out=str(out))
        if endpoint is not None:
            fed = taking.feed(
                ws,
                endpoint,
                whole,
                batch=batch,
                columns=place.columns(columns or Columns(), given.columns, names),
                name=out.name,
                digest=_digest(file, version, columns),
            )
            told = msgspec.structs.replace(
                told, endpoint=endpoint, batch=fed.batch, again=fed.again
            )
        with _writing(out):
            whole.replace(out)
    return told


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
            id=given.id,
            time=given.time or (time if time in there else None),
            label=given.label,
            score=scores,
            version=VERSION,
        )


def _check_out(file: Path, out: Path) -> None:
    if out.suffix.lower() not in _ENDINGS:
        raise BadInputError(f"{out} ends neither with .csv nor with .parquet.", field="out")
    if out.is_dir():
        raise BadInputError(f"{out} is a folder.", field="out")
    if out.exists() and file.exists() and out.samefile(file):
        raise BadInputError(f"{out} is the file itself: name another.", field="out")


def _check_names(part: pl.DataFrame, taken: set[str], file: Path) -> None:
    there = sorted(taken & set(part.columns))
    if there:
        raise BadInputError(
            f"{file} has a column {there[0]!r} already.",
            field=there[0],
            hint="The scores are written under that name: rename the column.",
        )


def _typed(part: pl.DataFrame, signature: Signature) -> pl.DataFrame:
    """Return the inputs of a part in their declared types, where they are of them."""
    inputs = [column for column in signature.columns if column.name in part.columns]
    return part.select(settled(part[column.name], column.type) for column in inputs)


def _prepared(part: pl.DataFrame, signature: Signature, file: Path) -> Prepared:
    """Return rows that passed the check; else name the first line that does not."""
    lacking = [one.name for one in signature.columns if one.name not in part.columns]
    if lacking:
        raise BadInputError(
            f"{file.name} has no column {lacking[0]!r}, which the version takes.",
            field=lacking[0],
            hint=f"It has {', '.join(part.drop(reading.LINE).columns[:30])}.",
        )
    try:
        return check_frame(_typed(part, signature), signature)
    except (BadInputError, NotExactError) as error:
        row, told = _first_refused(part, signature, error)
        why = told.message.replace(", row 0:", ":")
        line = part[reading.LINE][row]
        raise type(told)(
            f"{file.name}, line {line}: {why}", field=told.field, hint=told.hint
        ) from error


def _first_refused(
    part: pl.DataFrame, signature: Signature, told: BadInputError | NotExactError
) -> tuple[int, BadInputError | NotExactError]:
    """Return the first row that does not pass by itself, and why; found by halving."""
    good, bad = 0, part.height  # rows before `good` pass, one before `bad` does not
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            check_frame(_typed(part.slice(good, middle - good), signature), signature)
            good = middle
        except (BadInputError, NotExactError):
            bad = middle
    try:
        check_frame(_typed(part.slice(good, 1), signature), signature)
    except (BadInputError, NotExactError) as closer:
        return good, closer
    return good, told


def _with_scores(
    rows: pl.DataFrame, names: list[str], scores: npt.NDArray[np.float64], number: int
) -> pl.DataFrame:
    table = np.asarray(scores, dtype=np.float64).reshape(rows.height, -1)
    return rows.with_columns(
        *(pl.Series(name, table[:, at]) for at, name in enumerate(names)),
        pl.Series(VERSION, [str(number)] * rows.height, dtype=pl.String),
    )


def _score_names(signature: Signature) -> list[str]:
    if signature.kind == "multiclass":
        return [f"{SCORE}_{name}" for name in signature.classes]
    return [SCORE]


def _joined(folder: Path, out: Path) -> Path:
    """Return the one file that all parts in a folder make, written as they are read."""
    whole = folder / f"whole{out.suffix.lower()}"
    parts = sorted(folder.glob("[0-9]*"))
    frames = [pl.scan_parquet(part, glob=False) for part in parts]
    rows = pl.concat(frames, how="diagonal_relaxed")
    if whole.suffix == ".parquet":
        rows.sink_parquet(whole, row_group_size=_ROWS_A_GROUP)
        return whole
    for name, dtype in rows.collect_schema().items():
        if dtype.is_nested():
            raise BadInputError(
                f"Column {name!r} holds {dtype}, which a CSV cannot.",
                field=name,
                hint=f"Name {out.with_suffix('.parquet').name} instead.",
            )
    rows.sink_csv(whole)
    return whole


def _digest(file: Path, version: Version, columns: Columns | None) -> str:
    """Return what names the scored rows: the file, who scored it, and how it is read."""
    digest = hashlib.sha256(canonical([version.package, version.number, columns or Columns()]))
    with file.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """Have a folder beside a file to be, so that one rename makes it; taken away at the end.

    Those that a kill left behind are taken away as well: nobody holds their lock.
    """
    head, tail = f".{out.name}.", ".part"
    with _writing(out):
        folder = Path(tempfile.mkdtemp(prefix=head, suffix=tail, dir=out.parent))
    try:
        with (folder / ".lock.new").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / ".lock.new").rename(folder / _LOCK)
            for other in out.parent.iterdir():
                if other != folder and other.name.startswith(head) and other.suffix == tail:
                    _sweep(other)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(folder: Path) -> None:
    try:
        with (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # it lives, or is being made or taken away


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Say where it was that nothing could be written."""
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        short = " ".join(str(error).split())[:300]
        raise BadInputError(f"{out} cannot be written: {short}.", field="out") from error
