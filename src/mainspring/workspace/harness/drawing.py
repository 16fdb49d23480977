"""Draw rows to test with: as a contract allows them, edges first, or as a profile found them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from mainspring.ground import extras
from mainspring.ground.clock import SystemClock
from mainspring.ground.contracts import Contract, Expect
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import DAY_S
from mainspring.ground.profiles import ColumnProfile, Profile

_ROUNDS = 50  # draws until enough rows keep the rules between columns
_GAPS = 0.05  # share of missing values where nothing says how many there may be
_WIDE = 1_000_000


def sample_rows(
    of: Contract | Profile | Any,
    rows: int = 100,
    seed: int = 0,
    *,
    values: Mapping[str, Sequence[Any]] | None = None,
    now: float | None = None,
) -> pl.DataFrame:
    """Return rows as a contract allows them, or as a profile found them.

    Of a contract, the first rows hold the least and greatest values; types, ranges, allowed
    values, uniqueness, completeness and rules between columns are kept. Of a profile (or of a
    table, which is profiled) values come as often as they did. ``values`` gives the values of a
    column to choose from, such as one with a pattern. The same ``seed`` gives the same rows; times
    end at ``now`` (UTC seconds; this moment by default).

    >>> from mainspring.ground.contracts import Contract, Expect
    >>> age = Contract(columns={"age": Expect(type="Integral", low=0, high=120, completeness=1)})
    >>> sample_rows(age, 3)["age"].to_list()[:2]
    [0, 120]

    Raises:
        BadInputError: if a column has a pattern and no values, or rules that no draw keeps.
    """
    if rows < 0:
        raise BadInputError(f"rows must be 0 or more, found {rows}.", field="rows")
    random = np.random.default_rng(seed)
    given = dict(values or {})
    if isinstance(of, Profile):
        return _of_profile(of, rows, random, given)
    if isinstance(of, Contract):
        moment = SystemClock().now() if now is None else now
        return _of_contract(of, rows, random, given, moment)
    from mainspring.workspace import profiling

    return _of_profile(profiling.profile(of), rows, random, given)


def rows_strategy(
    of: Contract | Profile | Any,
    *,
    least: int = 1,
    most: int = 50,
    values: Mapping[str, Sequence[Any]] | None = None,
    now: float | None = None,
) -> Any:
    """Return a hypothesis strategy of tables, for property tests written by the schema.

    It needs hypothesis. A failing table shrinks to fewer rows.

    Raises:
        MissingExtraError: if hypothesis is not installed.
    """
    st = extras.need("hypothesis.strategies", extra="test", purpose="Drawing tables by chance")
    if not isinstance(of, Contract | Profile):
        from mainspring.workspace import profiling

        of = profiling.profile(of)
    moment = SystemClock().now() if now is None else now  # one for all, or nothing repeats
    return st.builds(
        lambda rows, seed: sample_rows(of, rows, seed, values=values, now=moment),
        st.integers(least, most),
        st.integers(0, 2**32 - 1),
    )


# ---------------------------------------------------------------- contracts


def _of_contract(
    contract: Contract, rows: int, random: Any, values: dict[str, Sequence[Any]], now: float
) -> pl.DataFrame:
    alone = [name for name, one in contract.columns.items() if one.unique]
    kept = pl.DataFrame()
    for _ in range(_ROUNDS if contract.rules else 1):
        drawn = pl.DataFrame(
            [
                _column(name, expect, max(rows, 1), random, values.get(name), now)
                for name, expect in contract.columns.items()
            ]
        )
        for rule in contract.rules.values():
            drawn = drawn.filter(pl.sql_expr(f"({rule}) IS NOT FALSE"))
        kept = drawn if kept.is_empty() else pl.concat([kept, drawn])
        for name in alone:  # draws do not know of each other
            kept = kept.unique(name, keep="first", maintain_order=True)
        if kept.height >= rows:
            break
    if kept.height < rows:
        raise BadInputError(
            f"In {_ROUNDS} draws only {kept.height} of {rows} rows kept the rules"
            f" {', '.join(contract.rules)}.",
            field="rules",
            hint="Give the columns they speak of with values={...}, or narrow their ranges.",
        )
    return kept.head(rows)


def _column(
    name: str,
    expect: Expect,
    rows: int,
    random: Any,
    values: Sequence[Any] | None,
    now: float,
) -> pl.Series:
    if values is None and expect.allowed is None and expect.pattern is not None:
        raise BadInputError(
            f"Column {name!r} has a pattern, which no values are drawn from.",
            field=name,
            hint=f"Give some: values={{{name!r}: [...]}}.",
        )
    series = _drawn(name, expect, rows, random, values, now)
    share = _GAPS if expect.completeness is None else (1 - expect.completeness) / 2
    if expect.unique or expect.newest_within_s is not None or share <= 0:
        return series
    gone = random.random(rows) < share
    gone[:3] = False  # the edges stay
    return pl.select(pl.when(pl.Series(gone)).then(None).otherwise(series).alias(name))[name]


def _drawn(
    name: str, expect: Expect, rows: int, random: Any, values: Sequence[Any] | None, now: float
) -> pl.Series:
    kind = expect.type or "String"
    if values is None and expect.allowed is not None:
        values = [_as(kind, one) for one in expect.allowed]
    if values is not None:
        if expect.unique and len(values) < rows:
            raise BadInputError(
                f"Column {name!r} is unique and has {len(values)} values for {rows} rows.",
                field=name,
            )
        places = random.permutation(len(values)) if expect.unique else None
        chosen = places[:rows] if places is not None else random.integers(len(values), size=rows)
        return pl.Series(name, [values[place] for place in chosen])
    if kind == "Boolean":
        return pl.Series(name, random.random(rows) < 0.5)
    if kind in ("String", "Unknown"):
        letters = np.array(list("abcdefghij"))
        texts = ["".join(random.choice(letters, size=6)) for _ in range(rows)]
        return pl.Series(
            name, [f"{t}{n}" for n, t in enumerate(texts)] if expect.unique else texts
        )
    return _numbers(name, kind, expect, rows, random, now)


def _numbers(
    name: str, kind: str, expect: Expect, rows: int, random: Any, now: float
) -> pl.Series:
    if kind == "Time":
        high = now if expect.high is None else expect.high
        low = high - 365 * DAY_S if expect.low is None else expect.low
        found = random.uniform(low, high, size=rows)
        found[:2] = [high, low][:rows]  # the newest first: it may have to be fresh
        whole = (found * 1e6).astype(np.int64)
        return pl.Series(name, whole).cast(pl.Datetime("us", "UTC"))
    low = -float(_WIDE) if expect.low is None else expect.low
    high = max(low, float(_WIDE)) if expect.high is None else expect.high
    if kind == "Integral":
        first, last = int(np.ceil(low)), int(np.floor(high))
        edges: list[Any] = [first, last, *([0] if first <= 0 <= last else [])]
        if expect.unique:
            return pl.Series(name, _different(name, first, last, rows, random), dtype=pl.Int64)
        drawn = random.integers(first, last + 1, size=rows)
    else:
        edges = [low, high, *([0.0] if low <= 0 <= high else [])]
        drawn = random.uniform(low, high, size=rows)
    if not expect.unique:
        drawn[: len(edges)] = edges[:rows]
    return pl.Series(name, drawn)


def _different(name: str, first: int, last: int, rows: int, random: Any) -> list[int]:
    if last - first + 1 < rows:
        raise BadInputError(
            f"Column {name!r} is unique and has {last - first + 1} values for {rows} rows.",
            field=name,
        )
    found: dict[int, None] = dict.fromkeys([first, last][:rows])
    while len(found) < rows:
        found[int(random.integers(first, last + 1))] = None
    return list(found)


def _as(kind: str, text: str) -> Any:
    if kind == "Boolean":
        return text == "true"
    if kind == "Integral":
        return int(text)
    return float(text) if kind == "Fractional" else text


# ---------------------------------------------------------------- profiles


def _of_profile(
    profile: Profile, rows: int, random: Any, values: dict[str, Sequence[Any]]
) -> pl.DataFrame:
    return pl.DataFrame(
        [_like(one, rows, random, values.get(one.name)) for one in profile.columns]
    )


def _like(
    column: ColumnProfile, rows: int, random: Any, values: Sequence[Any] | None
) -> pl.Series:
    if values is not None:
        series = pl.Series(
            column.name, [values[n] for n in random.integers(len(values), size=rows)]
        )
    elif column.type == "category":
        series = _categories(column, rows, random)
    else:
        series = _quantiles(column, rows, random)
    gone = random.random(rows) < (column.missing / column.rows if column.rows else 0.0)
    return pl.select(pl.when(pl.Series(gone)).then(None).otherwise(series).alias(column.name))[
        column.name
    ]


def _categories(column: ColumnProfile, rows: int, random: Any) -> pl.Series:
    names = list(column.categories)
    if not names:
        return pl.Series(column.name, [None] * rows, dtype=pl.String)
    shares = np.array([column.categories[name] for name in names], dtype=np.float64)
    found = [names[n] for n in random.choice(len(names), size=rows, p=shares / shares.sum())]
    if column.kind == "Boolean":
        return pl.Series(column.name, [one == "true" for one in found])
    return pl.Series(column.name, found)


def _quantiles(column: ColumnProfile, rows: int, random: Any) -> pl.Series:
    points = {float(p): value for p, value in column.quantiles.items()}
    if column.low is not None and column.high is not None:
        points |= {0.0: column.low, 1.0: column.high}
    if not points:
        return pl.Series(column.name, [None] * rows, dtype=pl.Float64)
    at = sorted(points)
    found = np.interp(random.random(rows), at, [points[p] for p in at])
    if column.kind == "Time":
        return pl.Series(column.name, (found * 1e6).astype(np.int64)).cast(
            pl.Datetime("us", "UTC")
        )
    if column.kind == "Integral":
        return pl.Series(column.name, np.rint(found).astype(np.int64))
    return pl.Series(column.name, found)
