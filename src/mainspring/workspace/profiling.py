"""Profiles as people ask for them: of a table in hand, of a file, of what a run logs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.experiments import tabular
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import canonical
from mainspring.ground.profiles import PROFILE_FORMAT, Profile

if TYPE_CHECKING:
    from mainspring.monitoring.streams import Progress

#: Where a run keeps the profiles of its datasets, by the digest of what each is of.
FOLDER = "mainspring/profiles"
#: A file up to this size is profiled when it is logged, without being asked to.
AT_ONCE_BYTES = 100 * 2**20


def profile(data: Any, *, progress: Progress | None = None) -> Profile:
    """Return the statistics of a table: a file, or any frame that a script holds.

    ``data`` is a path (CSV, JSON lines, Parquet: read in one pass and bounded memory) or a
    table (polars, pandas, pyarrow, a list of dicts, a dict of lists). Everything is said with
    its error, where it is not exact: ranks within 1e-3, different values within 2.2 %
    (standard error), categories beyond 8,192 within what each column states. Two profiles
    are joined by :func:`mainspring.merge_profiles`.

    Raises:
        BadInputError: if there is no such file, or it is no table.

    Example:
        >>> found = profile({"x": [1, 2, None], "city": ["Ulm", "Ulm", "Bonn"]})
        >>> [(column.name, column.kind, column.missing) for column in found.columns]
        [('x', 'Integral', 1), ('city', 'String', 0)]
    """
    from mainspring.monitoring import profiling, streams

    if isinstance(data, str | os.PathLike):
        return streams.profile_table(data, progress=progress)
    return profiling.profile_frames([tabular.frame_of(data, "data")])


def of_logged(data: Any, wanted: bool | Profile | None) -> Profile | None:
    """Return the profile of data that a run logs, or None where there shall or can be none."""
    from mainspring.monitoring.streams import CSV, JSON_LINES, PARQUET

    if wanted is False or isinstance(wanted, Profile):
        return wanted or None
    if not isinstance(data, str | os.PathLike):
        return profile(data)
    file = Path(data)
    table = file.is_file() and file.suffix.lower() in (*CSV, *JSON_LINES, *PARQUET)
    if not table or (wanted is None and file.stat().st_size > AT_ONCE_BYTES):
        return None
    try:
        return profile(file)
    except BadInputError:
        if wanted:
            raise
        return None  # a file of text that is no table is data as well


def merge_profiles(*several: Profile) -> Profile:
    """Return the profile of several parts of a dataset together, in whatever order.

    Example:
        >>> one, two = profile({"x": [1, 2]}), profile({"x": [3]})
        >>> merge_profiles(one, two).columns[0].quantiles["0.5"]
        2.0

    Raises:
        BadInputError: if there is none, or one is of a release that counted otherwise.
    """
    from mainspring.numerics import merging
    from mainspring.numerics.errors import NumericsError

    if not several:
        raise BadInputError("Merging needs at least one profile.", field="several")
    found, *rest = several
    try:
        for one in rest:
            found = merging.merge_profiles(found, one)
    except NumericsError as error:
        raise BadInputError(f"These profiles cannot be merged: {error}") from error
    return found


def encode(found: Profile) -> bytes:
    """Return a profile as it is kept: canonical JSON."""
    return canonical(found)


def decode(data: bytes, what: str = "profile") -> Profile:
    """Return a profile that was kept.

    Raises:
        BadInputError: if it is none, or one of a later format.
    """
    try:
        found = msgspec.json.decode(data, type=Profile)
    except msgspec.MsgspecError as error:
        raise BadInputError(f"{what} is no profile: {error}", field="profile") from error
    if found.format > PROFILE_FORMAT:
        raise BadInputError(
            f"{what} is a profile of format {found.format}; this release reads up to"
            f" {PROFILE_FORMAT}.",
            field="profile",
        )
    return found


def told(found: Profile, brief: str | None) -> str:
    """Return what stands with a dataset of its profile: a few figures a column, as JSON.

    ``brief`` is what was known of the data without it.
    """
    known = msgspec.json.decode(brief or "{}")
    columns = [
        {
            "name": column.name,
            "kind": column.kind,
            "missing": column.missing,
            "distinct": column.distinct,
            "low": column.low,
            "high": column.high,
            "mean": column.mean,
        }
        for column in found.columns
    ]
    return msgspec.json.encode({**known, "rows": found.rows, "columns": columns}).decode()
