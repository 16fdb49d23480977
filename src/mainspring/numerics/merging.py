"""Merge profiles of parts of a dataset into that of the whole, in whatever order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mainspring.ground.profiles import PROFILE_FORMAT, ColumnProfile, Correlations, Profile
from mainspring.numerics import comoments, profiles, tallies
from mainspring.numerics.comoments import Comoments


@dataclass(frozen=True, slots=True, eq=False)
class Moving:
    """The moments of some columns together, and why others are not among them."""

    columns: tuple[str, ...]
    moments: Comoments
    why: str = ""


def merge_columns(one: ColumnProfile, two: ColumnProfile) -> ColumnProfile:
    """Return the profile of both parts of a column, whichever comes first.

    Raises:
        BinsDifferError: if they are different columns, or profiles of format 1 that were
            counted over different edges.
    """
    if one.state is None or two.state is None or one.name != two.name:
        return profiles.merge(one, two)
    whole = tallies.merge(tallies.resume(one), tallies.resume(two))
    rows = one.rows + two.rows
    weighted = one.share * one.rows + two.share * two.rows
    share = weighted / rows if rows else max(one.share, two.share)
    return tallies.finish(one.name, whole, share)


def merge_profiles(one: Profile, two: Profile) -> Profile:
    """Return the profile of both parts of a dataset.

    A column that only one part has is missing in the rows of the other. Loss and metrics are of
    one model on one holdout, and are left out.

    Raises:
        BinsDifferError: if profiles of format 1 were counted over different edges.
    """
    names = [column.name for column in one.columns]
    left = {column.name: column for column in one.columns}
    right = {column.name: column for column in two.columns}
    names += [column.name for column in two.columns if column.name not in left]
    columns = []
    for name in names:
        a, b = left.get(name), right.get(name)
        if a is None or b is None:
            there, rows = (b, one.rows) if a is None else (a, two.rows)
            assert there is not None  # noqa: S101  a name comes from one of the two
            columns.append(_without(there, rows))
        else:
            columns.append(merge_columns(a, b))
    score = None
    if one.score is not None and two.score is not None:
        score = merge_columns(one.score, two.score)
    return assemble(
        one.rows + two.rows,
        columns,
        _joined(moving_of(one.correlations), moving_of(two.correlations)),
        score=score,
    )


def assemble(
    rows: int,
    columns: Sequence[ColumnProfile],
    moving: Moving | None,
    *,
    score: ColumnProfile | None = None,
) -> Profile:
    """Return columns as one profile, with what is known of them together."""
    return Profile(
        rows=rows,
        columns=list(columns),
        score=score,
        format=PROFILE_FORMAT,
        correlations=None if moving is None else correlations_of(moving),
        keys=[column.name for column in columns if is_key(column)],
    )


def is_key(column: ColumnProfile) -> bool:
    """Return whether every row has a value of its own, as far as the profile saw.

    Fractional numbers are no names of rows, however different they are.
    """
    told = column.kind in ("Integral", "String") and column.rows > 1
    return told and column.missing == 0 and column.wrong == 0 and column.repeated == 0


def correlations_of(moving: Moving) -> Correlations:
    """Return moments as the correlations that a profile shows."""
    found = comoments.correlations(moving.moments)
    cells = [[None if np.isnan(cell) else cell for cell in row] for row in found.tolist()]
    return Correlations(
        columns=list(moving.columns),
        matrix=cells,
        moments=comoments.pack(moving.moments),
        why=moving.why,
    )


def moving_of(correlations: Correlations | None) -> Moving | None:
    """Return the moments that a profile keeps."""
    if correlations is None:
        return None
    found = comoments.unpack(correlations.moments)
    return Moving(tuple(correlations.columns), found, correlations.why)


def picked(moving: Moving, places: Sequence[int], why: str = "") -> Moving:
    """Return the moments of some of the columns, by their places."""
    at = np.ix_(list(places), list(places))
    found = moving.moments
    kept = Comoments(found.rows[at], found.means[at], found.squares[at], found.products[at])
    return Moving(tuple(moving.columns[place] for place in places), kept, why)


def _joined(one: Moving | None, two: Moving | None) -> Moving | None:
    """Return the moments of the columns that both have."""
    if one is None or two is None:
        return None
    places: Mapping[str, int] = {name: place for place, name in enumerate(two.columns)}
    shared = tuple(name for name in one.columns if name in places)
    if not shared:
        return None
    left = picked(one, [one.columns.index(name) for name in shared])
    right = picked(two, [places[name] for name in shared])
    return Moving(shared, comoments.merge(left.moments, right.moments), one.why or two.why)


def _without(column: ColumnProfile, rows: int) -> ColumnProfile:
    """Return a column with further rows that do not have it."""
    if rows == 0:
        return column
    if column.state is not None:
        tally = tallies.with_missing(tallies.resume(column), rows)
        return tallies.finish(column.name, tally, column.share)
    gone = ColumnProfile(name=column.name, type=column.type, rows=rows, missing=rows)
    return profiles.merge(column, gone)
