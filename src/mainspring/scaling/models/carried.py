"""What each column carried of a row's score: by how much it is higher than for usual values."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import Signature
from mainspring.ground.ports import Objects
from mainspring.scaling.models import package
from mainspring.scaling.models.check import Prepared, Values, check_frame

#: Rows whose values stand in for a column's own, to see what it carried.
STAND_INS = 64
_CELLS = 2_000_000  # of rows that are scored at once: 16 MB of numbers

Score = Callable[[Prepared], npt.NDArray[np.float64]]


def usual(digest: str, objects: Objects) -> pl.DataFrame:
    """Return rows of a package that stand for usual ones: those it was measured on, at most 64.

    Raises:
        NotFoundError, DamagedError: if the package is not there or not what it was.
    """
    kept = package.reference(digest, objects)
    found = package.example(digest, objects) if kept is None else kept
    # Rows from all over, not the oldest: what is usual may have changed on the way.
    step = max(found.height // STAND_INS, 1)
    return found.gather_every(step).head(STAND_INS)


def stand_ins(usual: pl.DataFrame, signature: Signature) -> Prepared:
    """Return usual rows ready to stand in for those of a signature; gaps are usual values too."""
    columns = [
        msgspec.structs.replace(column, nullable=True)
        for column in signature.columns
        if column.name in usual.columns
    ]
    return check_frame(usual, msgspec.structs.replace(signature, columns=columns))


def carried(
    score: Score, rows: Prepared, row: int, others: Prepared, place: int
) -> dict[str, float]:
    """Return by how much a row's score is higher for each column's value than for usual ones.

    ``place`` is the column of the scores that is meant. Columns that the stand-ins do not have
    are left out. The values do not add up to the score: columns act together.
    """
    one = {name: values[row : row + 1] for name, values in rows.columns.items()}
    itself = float(score(Prepared(1, one, rows.types))[0, place])
    names = [name for name in rows.columns if name in others.columns]
    many = others.rows
    at_once = max(_CELLS // max(many * len(one), 1), 1)
    found: dict[str, float] = {}
    for start in range(0, len(names), at_once):
        part = names[start : start + at_once]
        whole = {name: _column(name, values, part, others) for name, values in one.items()}
        scores = score(Prepared(many * len(part), whole, rows.types))[:, place]
        means = scores.reshape(len(part), many).mean(axis=1)
        found.update(zip(part, (itself - means).tolist(), strict=True))
    return found


def _column(name: str, own: Values, part: list[str], others: Prepared) -> Values:
    """Return a column of all rows of a part: the row's own value, but the others in its turn."""
    many = others.rows
    before = part.index(name) * many if name in part else -1
    if isinstance(own, list):
        texts = own * (many * len(part))
        if before >= 0:
            texts[before : before + many] = others.columns[name]
        return texts
    if before < 0:
        return np.repeat(own, many * len(part))
    theirs = np.asarray(others.columns[name])
    # Whole numbers are decimals where some of them are missing.
    whole = np.repeat(own.astype(np.result_type(own, theirs)), many * len(part))
    whole[before : before + many] = theirs
    return whole
