"""The records of a profile: what is known of a dataset, column by column, without its rows."""

from __future__ import annotations

from typing import Literal

from mainspring.ground.records import Record

#: What this release writes. Format 1 had no state: two of its profiles can be merged only where
#: they were counted over the same edges.
PROFILE_FORMAT = 2

#: What a value is. ``Unknown`` is the kind of a column without values, or one of format 1.
ValueKind = Literal["Unknown", "Integral", "Fractional", "String", "Boolean", "Time"]


class NumberState(Record, frozen=True, kw_only=True):
    """What is kept of numbers so that more can be added."""

    rows: int  #: finite ones
    mean: float
    squares: float  #: sum of squared deviations from the mean
    low: float | None
    high: float | None
    sketch: bytes  #: see mainspring.numerics.sketches


class TextState(Record, frozen=True, kw_only=True):
    """What is kept of texts so that more can be added."""

    counts: dict[str, int]
    rows: int
    error: int  #: a count is too low by at most that
    rest: int  #: a text that is not among them came at most so often


class ColumnState(Record, frozen=True, kw_only=True):
    """What merging needs of a column beyond what is shown of it."""

    numbers: NumberState | None = None
    times: NumberState | None = None
    texts: TextState | None = None
    distinct: bytes  #: see mainspring.numerics.distinct


class Correlations(Record, frozen=True, kw_only=True):
    """How the number columns move together, each pair over the rows that have both."""

    columns: list[str]
    matrix: list[list[float | None]]  #: Pearson's; None where a column does not vary
    moments: bytes  #: see mainspring.numerics.comoments
    why: str = ""  #: which columns were left out, and why


class ColumnProfile(Record, frozen=True, kw_only=True):
    """Statistics of one column, mergeable, with the edges they were counted on."""

    name: str
    type: Literal["number", "category"]
    rows: int
    missing: int
    share: float = 0.0  #: of the model's response, 0 to 1: what the column is worth to the model
    edges: list[float] = []  #: numbers: the right edges of the bins, ascending
    counts: list[int] = []  #: numbers: rows per bin, len(edges) + 1
    categories: dict[str, int] = {}  #: categories: rows per value
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    std: float | None = None
    kind: ValueKind = "Unknown"  #: a Time is a number: UTC seconds
    kinds: dict[str, int] = {}  #: values of each kind; those of another than ``kind`` are wrong
    wrong: int = 0  #: values of a wrong kind; they are neither missing nor described further
    categories_error: int = 0  #: a value has at most so many more rows than ``categories`` says
    categories_rest: int = 0  #: a value that is not among ``categories`` has at most so many rows
    distinct: float | None = None  #: about how many different values; None: nobody counted
    distinct_error: float = 0.0  #: relative standard error of ``distinct``; 0: it is exact
    repeated: float | None = None  #: share of the different values that occur more than once
    repeated_high: float | None = None  #: upper end of its 95 % interval
    quantiles: dict[str, float] = {}  #: numbers: the value by probability, such as "0.5"
    rank_error: float = 0.0  #: a rank read from the quantiles is off by at most that, always
    state: ColumnState | None = None  #: None: it cannot be merged but over the same edges


class Profile(Record, frozen=True, kw_only=True):
    """Statistics of a dataset. A version's training profile is its baseline."""

    rows: int
    columns: list[ColumnProfile]
    score: ColumnProfile | None = None  #: the model's own output on those rows
    loss: float | None = None  #: mean bounded loss on held-out rows
    metrics: dict[str, float] = {}  #: quality on held-out rows
    format: int = 1  #: see PROFILE_FORMAT; what has none is of the first
    correlations: Correlations | None = None
    keys: list[str] = []  #: columns of which every row has a value of its own, as far as seen
