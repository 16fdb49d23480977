"""Correlations of columns in one pass, from moments that can be merged.

Each pair of columns is counted over the rows that have both. All is kept around the means, so
that a column of large numbers that hardly vary loses nothing.

Source: Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample
variances, Stanford STAN-CS-79-773 (1979), equation 2.1, and the same for products.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import BinsDifferError, OutOfRangeError
from mainspring.numerics.histograms import Floats

#: Columns taken at most: the work and the memory grow with their square.
MOST_COLUMNS = 100

_FORM = 1
_HEAD = struct.Struct("<BI")


@dataclass(frozen=True, slots=True, eq=False)
class Comoments:
    """Four matrices of shape (columns, columns); cell (i, j) is of the rows that have both.

    ``rows`` counts them, ``means`` is the mean of i, ``squares`` the squared deviations of i
    from it, ``products`` the products of the deviations of i and j.
    """

    rows: Floats
    means: Floats
    squares: Floats
    products: Floats


def of_rows(values: npt.ArrayLike) -> Comoments:
    """Return the moments of rows, shape (rows, columns); NaN and infinities are missing."""
    matrix = np.asarray(values, dtype=np.float64)
    here = np.isfinite(matrix)
    whole = bool(here.all())
    count = here.sum(axis=0)
    safe = matrix if whole else np.where(here, matrix, 0.0)
    pivot = safe.sum(axis=0) / np.maximum(count, 1)
    moved = safe - pivot
    if whole:
        shape = (matrix.shape[1],) * 2
        rows = np.full(shape, float(matrix.shape[0]))
        sums = np.repeat(moved.sum(axis=0)[:, None], shape[0], axis=1)
        squares = np.repeat((moved * moved).sum(axis=0)[:, None], shape[0], axis=1)
    else:
        mask = here.astype(np.float64)
        moved *= mask
        rows = mask.T @ mask
        sums, squares = moved.T @ mask, (moved * moved).T @ mask
    some = np.maximum(rows, 1.0)
    means = pivot[:, None] + sums / some
    return Comoments(
        rows,
        np.where(rows > 0, means, 0.0),
        np.maximum(squares - sums * sums / some, 0.0),
        moved.T @ moved - sums * sums.T / some,
    )


def merge(one: Comoments, two: Comoments) -> Comoments:
    """Return the moments of both samples together.

    Raises:
        BinsDifferError: if they are not of equally many columns.
    """
    if one.rows.shape != two.rows.shape:
        raise BinsDifferError(f"{one.rows.shape[0]} columns cannot join {two.rows.shape[0]}.")
    rows = one.rows + two.rows
    some = np.maximum(rows, 1.0)
    apart = np.where((one.rows > 0) & (two.rows > 0), two.means - one.means, 0.0)
    weight = one.rows * two.rows / some
    means = (one.means * one.rows + two.means * two.rows) / some
    return Comoments(
        rows,
        means,
        one.squares + two.squares + apart * apart * weight,
        one.products + two.products + apart * apart.T * weight,
    )


def correlations(moments: Comoments) -> Floats:
    """Return Pearson's correlations, shape (columns, columns); NaN where a column is constant.

    A column counts as constant if its deviations are below what rounding makes of its size.
    """
    noise = moments.rows * (np.finfo(np.float64).eps * 8 * np.abs(moments.means)) ** 2
    varies = (moments.squares > noise) & (moments.rows > 1)
    size = np.sqrt(moments.squares) * np.sqrt(moments.squares.T)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.clip(moments.products / size, -1.0, 1.0)
    return np.where(varies & varies.T, found, np.nan)


def pack(moments: Comoments) -> bytes:
    """Return moments as bytes; :func:`unpack` reads them."""
    parts = (moments.rows, moments.means, moments.squares, moments.products)
    body = b"".join(part.astype("<f8").tobytes() for part in parts)
    return _HEAD.pack(_FORM, moments.rows.shape[0]) + zlib.compress(body, 6)


def unpack(data: bytes) -> Comoments:
    """Return the moments that :func:`pack` wrote.

    Raises:
        OutOfRangeError: if these bytes are no moments, or of a later form.
    """
    try:
        form, size = _HEAD.unpack_from(data)
        if form != _FORM or size > 10 * MOST_COLUMNS:
            raise OutOfRangeError(f"Moments of form {form} and {size} columns cannot be read.")
        body = zlib.decompressobj().decompress(data[_HEAD.size :], 32 * size * size + 1)
        both = np.frombuffer(body, "<f8").reshape(4, size, size).astype(np.float64)
    except (struct.error, zlib.error, ValueError) as problem:
        if isinstance(problem, OutOfRangeError):
            raise
        raise OutOfRangeError(f"These bytes are no moments: {problem}.") from problem
    return Comoments(*both)
