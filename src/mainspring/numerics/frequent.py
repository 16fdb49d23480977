"""Count categories in bounded memory, and say how far each count can be off.

While there are at most ``most`` different values all are counted exactly. Beyond that the
(most + 1)-th largest count is taken from every count and what falls to 0 is forgotten: a count
is then too low by at most the sum of what was taken, which is at most rows / (most + 1) in all,
in whatever order counts are added or merged. No value above that share is ever missed.

Source: Misra and Gries, Finding repeated elements, Science of Computer Programming 2 (1982);
merging: Agarwal et al., Mergeable summaries, ACM TODS 38 (2013), theorem 2.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mainspring.numerics.errors import OutOfRangeError

#: Values counted while rows come in.
MOST = 8_192


@dataclass(frozen=True, slots=True)
class Frequent:
    """How often each value came: at least ``counts``, at most ``error`` more."""

    counts: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    error: int = 0


def add(
    known: Frequent, counts: Mapping[str, int], rows: int | None = None, most: int = MOST
) -> Frequent:
    """Return the counts with further ones; ``rows`` are their sum unless some are not told.

    >>> add(Frequent(), {"a": 3, "b": 1, "c": 1}, most=2)
    Frequent(counts={'a': 2}, rows=5, error=1)
    """
    more = Frequent(counts, sum(counts.values()) if rows is None else rows)
    return merge([known, more], most)


def merge(several: Iterable[Frequent], most: int = MOST) -> Frequent:
    """Return the counts of all together.

    Raises:
        OutOfRangeError: if no value at all may be kept.
    """
    if most < 1:
        raise OutOfRangeError(f"At least one value must be kept, asked for {most}.")
    rows = error = 0
    counts: Counter[str] = Counter()
    for one in several:
        counts.update(one.counts)
        rows += one.rows
        error += one.error
    if len(counts) <= most:
        return Frequent(dict(counts), rows, error)
    taken = sorted(counts.values(), reverse=True)[most]
    left = {value: count - taken for value, count in counts.items() if count > taken}
    return Frequent(left, rows, error + taken)


def top(known: Frequent, most: int) -> tuple[dict[str, int], int]:
    """Return the most frequent values by name, and how often any other value came at most.

    >>> top(Frequent({"a": 5, "b": 2, "c": 1}, 8), 2)
    ({'a': 5, 'b': 2}, 1)
    """
    ranked = sorted(known.counts.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = known.error + (ranked[most][1] if len(ranked) > most else 0)
    return dict(sorted(ranked[:most])), rest
