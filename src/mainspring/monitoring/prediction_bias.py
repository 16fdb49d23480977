"""Say in which slices what a version says on average is not what comes on average.

A model may be right on the whole and promise too much to some: the mean of what it said beside
the mean of what came, in all labelled rows of a window and in slices of them. A slice is biased
only if the difference is certain (beyond what chance explains in time-ordered labels, with all
slices together) and material. For several classes the chance of the most frequent class counts.

Source: Breck et al., The ML Test Score, IEEE Big Data 2017, table IV, test 7.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Profile, Record, Signature
from mainspring.monitoring.graded import Graded, reach
from mainspring.monitoring.slicing import condition, cut_column

#: Chance that any slice of a window is called biased though none is.
ALPHA = 0.001
#: A mean probability that is off by less matters to nobody; of a number, a share of its scale.
MATERIAL = 0.02
#: Rows of a slice below which it is not looked at.
LEAST_ROWS = 50
#: Columns that are cut into slices where none is declared: those the model listens to most.
HEAVIEST = 3


class Tilt(Record, frozen=True, kw_only=True):
    """What was said and what came on average in one slice."""

    slice: str  #: "all rows", or the slice's name
    said: float
    came: float
    rows: int
    radius: float  #: what chance alone explains of the difference
    biased: bool  #: certain and material


def tilts(
    own: Graded, signature: Signature, baseline: Profile, declared: Sequence[str] = ()
) -> list[Tilt]:
    """Return the prediction bias of all rows and of slices, those with most rows first.

    ``own`` are labelled rows in the order of time. ``declared`` are columns or conditions in
    SQL; without one the heaviest columns of the baseline are cut. Empty with too few rows.
    """
    if own.rows < LEAST_ROWS:
        return []
    said, came = _sides(own, signature)
    line = MATERIAL * (signature.scale if signature.kind == "regression" else 1.0)
    found = [(name, rows) for name, rows in _slices(own, baseline, declared)]
    parts = [(name, rows) for name, rows in found if LEAST_ROWS <= rows.sum() < own.rows]
    parts = [("all rows", np.ones(own.rows, dtype=bool)), *parts]
    alpha = ALPHA / len(parts) / 2  # too high or too low
    told = [_tilt(name, said[rows], came[rows], alpha, line) for name, rows in parts]
    return sorted(told, key=lambda one: -one.rows)


def _tilt(
    name: str,
    said: npt.NDArray[np.float64],
    came: npt.NDArray[np.float64],
    alpha: float,
    line: float,
) -> Tilt:
    gap = came - said
    radius = float(reach(gap, alpha))
    off = abs(float(gap.mean()))
    return Tilt(
        slice=name,
        said=float(said.mean()),
        came=float(came.mean()),
        rows=int(gap.size),
        radius=radius,
        biased=off > radius and off > line,
    )


def _sides(
    own: Graded, signature: Signature
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if signature.kind != "multiclass":
        return own.scores[:, 0], own.truth
    most = int(np.bincount(own.truth.astype(np.int64)).argmax())
    return own.scores[:, most], (own.truth == most).astype(np.float64)


def _slices(
    own: Graded, baseline: Profile, declared: Sequence[str]
) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    names = list(declared)
    if not names:
        heavy = sorted(baseline.columns, key=lambda one: (-one.share, one.name))
        names = [one.name for one in heavy if one.name in own.frame.columns][:HEAVIEST]
    for text in names:
        if text not in own.frame.columns:
            try:
                yield text, condition(text, own.frame)
            except BadInputError:  # declared for rows that had a column these do not have
                continue
            continue
        cut = cut_column(text, baseline, None)
        if cut is not None:
            codes = cut.codes(own.frame)
            yield from ((name, codes == place) for place, name in enumerate(cut.names))
