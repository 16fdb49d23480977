"""Compare two tables, or a window with its baseline, column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import (
    Column,
    ColumnProfile,
    Finding,
    MonitorPolicy,
    Profile,
    Signature,
)
from mainspring.monitoring import findings
from mainspring.monitoring.judge import judge_inputs
from mainspring.numerics.profiles import count_categories, profile_columns
from mainspring.workspace.reports import distributions, telling
from mainspring.workspace.reports.correlations import Moved, moved
from mainspring.workspace.reports.describing import (
    Described,
    Kind,
    declared_of,
    describe,
    kind_of,
)
from mainspring.workspace.reports.distributions import Distribution

if TYPE_CHECKING:
    import polars as pl

#: Columns of one comparison: each is judged, described and drawn.
MOST_COLUMNS = 5000

#: Told how many of how many steps are done.
Step = Callable[[int, int], object]

_ORDER = {"alarm": 0, "notice": 1, "quiet": 3}


class ColumnBeside(msgspec.Struct, frozen=True, kw_only=True):
    """One column of both tables, beside each other."""

    name: str
    kind: Kind
    change: str  #: to the schema: nothing, ``missing``, ``new`` or ``type``
    before: Described | None
    now: Described | None
    drift: Finding | None = None  #: how far it moved; None if it is only on one side
    checks: list[Finding] = []  #: missing, wrong type, out of range, unseen category
    distribution: Distribution | None = None
    verdict: str = "quiet"  #: the worst of all of it
    why: list[str] = []  #: what there is to say, the worst first


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """Two tables beside each other; the columns that differ most come first."""

    before: str  #: what the baseline is called
    now: str
    before_rows: int
    now_rows: int
    columns: list[ColumnBeside]
    correlations: list[Moved] = []
    others: list[Finding] = []  #: a window: what its other monitors found
    correlations_why: str = ""  #: why there are none, or what was looked at
    alpha: float = 0.001
    material: float = 0.05
    min_rows: int = 200


def beside(
    a: pl.DataFrame,
    b: pl.DataFrame,
    names: tuple[str, str],
    policy: MonitorPolicy,
    step: Step | None = None,
) -> Beside:
    """Return two tables beside each other; ``a`` is the baseline.

    Raises:
        BadInputError: if they have no column in common, or too many.
    """
    shared = [name for name in a.columns if name in b.columns]
    every = [*a.columns, *(name for name in b.columns if name not in a.columns)]
    if not shared:
        raise BadInputError(
            f"{names[0]} and {names[1]} have no column in common.",
            field="b",
            hint=f"The baseline has {_some(a.columns)}, the other {_some(b.columns)}.",
        )
    if len(every) > MOST_COLUMNS:
        raise BadInputError(
            f"The two tables have {len(every):,} columns, {MOST_COLUMNS:,} can be compared.",
            field="a",
            hint="Select columns first.",
        )
    a, b = _typed(a, b, shared), _typed(b, a, shared)
    kinds = {name: _kind(a[name], b[name]) for name in shared}
    judged = [name for name in shared if kinds[name] in ("number", "category")]
    found = _judged(a, b, judged, policy)
    columns = []
    for place, name in enumerate(every):
        if step is not None:
            step(place, len(every))
        sides = [frame[name] if name in frame.columns else None for frame in (a, b)]
        columns.append(_column(sides[0], sides[1], kinds.get(name), found.get(name, [])))
    numbers = [name for name in judged if kinds[name] == "number"]
    pairs, told = moved(a, b, numbers, policy.alpha)
    return Beside(
        before=names[0],
        now=names[1],
        before_rows=a.height,
        now_rows=b.height,
        columns=ordered(columns),
        correlations=pairs,
        correlations_why=told,
        alpha=policy.alpha,
        material=policy.material,
        min_rows=policy.min_rows,
    )


def ordered(columns: Iterable[ColumnBeside]) -> list[ColumnBeside]:
    """Return the columns that differ most first."""

    def rank(one: ColumnBeside) -> tuple[int, float]:
        far = one.drift.value if one.drift is not None else None
        return _ORDER.get(one.verdict, 2), -(far or 0.0)

    return sorted(columns, key=rank)


def _some(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:4]) + (", ..." if names[4:] else "")


def _typed(one: pl.DataFrame, other: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return a table whose columns without any value and type have the other's type."""
    import polars as pl

    untyped = [name for name in names if one[name].dtype == pl.Null]
    return one.with_columns(one[name].cast(other[name].dtype) for name in untyped)


def _kind(before: pl.Series, now: pl.Series) -> Kind:
    """Return how a column is compared: as the baseline has it, if that has any value."""
    return kind_of(before.dtype if before.null_count() < before.len() else now.dtype)


def _judged(
    a: pl.DataFrame, b: pl.DataFrame, names: Sequence[str], policy: MonitorPolicy
) -> dict[str, list[Finding]]:
    """Return what drift and quality monitors find of each column.

    The columns go by their number here: monitors read names such as ``_time`` as their own.
    """
    alias = {name: f"c{place}" for place, name in enumerate(names)}
    back = {short: name for name, short in alias.items()}
    profile: list[ColumnProfile] = []
    for name, short in alias.items():
        profile += profile_columns({short: _plain(a[name])}, {short: 1.0})
    signature = Signature(
        columns=[
            Column(name=short, type=declared_of(a[name].dtype)) for name, short in alias.items()
        ],
        kind="regression",
        target="",
    )
    baseline = Profile(rows=a.height, columns=profile)
    frame = b.select([_plain(b[name]).alias(short) for name, short in alias.items()])
    window, _ = judge_inputs(frame, baseline, signature, policy, (0.0, 1.0), "tables", 0)
    found: dict[str, list[Finding]] = {}
    for one in findings.of_window(window):
        column = one.subject.partition("/")[0]
        if one.monitor in ("drift", "quality") and column in back:
            found.setdefault(back[column], []).append(one)
    return found


def _plain(column: pl.Series) -> pl.Series:
    """Return a column in a type that profiles count: decimals as floats, infinity as missing."""
    import polars as pl

    if column.dtype.is_decimal() or column.dtype in (pl.Int128, pl.UInt64):
        return column.cast(pl.Float64)
    if column.dtype.is_float():
        return column.set(column.is_infinite(), None)
    return column.cast(pl.String) if column.dtype == pl.Null else column


def _column(
    before: pl.Series | None, now: pl.Series | None, kind: Kind | None, found: list[Finding]
) -> ColumnBeside:
    there = [side for side in (before, now) if side is not None]
    told = Facts(
        name=there[0].name,
        kind=kind or kind_of(there[0].dtype),
        before=None if before is None else describe(before),
        now=None if now is None else describe(now),
    )
    laid = None
    if before is not None and now is not None:
        laid = distribution(before, now, told.kind)
    return judged_column(told, found, laid)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a column before anything is judged."""

    name: str
    kind: Kind
    before: Described | None
    now: Described | None


def judged_column(
    told: Facts, found: Sequence[Finding], laid: Distribution | None, *, of_model: bool = False
) -> ColumnBeside:
    """Return a column with its verdict in words; ``of_model`` keeps the monitors' own words."""
    drift = next((one for one in found if one.monitor in ("drift", "score_drift")), None)
    checks = [one for one in found if one.monitor == "quality"]
    change = _change(told.before, told.now)
    verdicts: list[telling.Told] = [(one.verdict, words) for one, words in telling.of_findings(
        drift, checks, told.before, told.now, of_model=of_model
    )]  # fmt: skip
    verdicts += telling.of_schema(change, told.before, told.now)
    if drift is None and not change and not verdicts:
        verdicts.append(telling.unjudged(told.kind))
    verdicts.sort(key=lambda pair: _ORDER.get(pair[0], 2))
    return ColumnBeside(
        name=told.name,
        kind=told.kind,
        change=change,
        before=told.before,
        now=told.now,
        drift=drift,
        checks=checks,
        distribution=laid,
        verdict=verdicts[0][0] if verdicts else "quiet",
        why=[words for _, words in verdicts],
    )


def _change(before: Described | None, now: Described | None) -> str:
    if before is None and now is None:
        return ""
    if before is None:
        return "new"
    if now is None:
        return "missing"
    return "type" if _family(before.type) != _family(now.type) else ""


def _family(type_name: str) -> str:
    """Return a type without its width: 32 or 64 bits are no change of a table's shape."""
    name = type_name.partition("(")[0].rstrip("0123456789")
    return {"UInt": "Int", "Categorical": "String", "Enum": "String"}.get(name, name)


def distribution(before: pl.Series, now: pl.Series, kind: Kind) -> Distribution | None:
    """Return two columns laid over each other; None for a kind that has no distribution."""
    if kind == "number":
        return distributions.of_numbers(_floats(before), _floats(now))
    if kind == "category":
        old, new = (count_categories(_text(side))[0] for side in (before, now))
        return distributions.of_categories(old, new)
    return None


def _floats(column: pl.Series) -> Any:
    import polars as pl

    return column.cast(pl.Float64, strict=False).drop_nulls().to_numpy()


def _text(column: pl.Series) -> pl.Series:
    import polars as pl

    return column if column.dtype == pl.Boolean else column.cast(pl.String, strict=False)
