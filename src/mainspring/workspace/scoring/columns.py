"""Look at the columns of a model: personal values, the project's policy, what features cost."""

from __future__ import annotations

import stat
import time

import polars as pl

from mainspring.debt import columns, personal
from mainspring.ground.errors import ConflictError
from mainspring.ground.objects import Evidence
from mainspring.scaling.models import load, package
from mainspring.workspace.opening import Workspace
from mainspring.workspace.scoring import subject as s

#: Different values of a column that are looked at.
MOST_VALUES = 5_000
#: Rows whose features are computed at once, and how often; the calmest round counts.
COST_ROWS, ROUNDS = 1_000, 5


def privacy(ws: Workspace, subject: s.Subject) -> Evidence:
    """Look for personal values among what was trained on and what was captured, and keep that.

    It passes if no column holds any (or a person said that it is not personal), every column
    declared private is hashed, and captures can be read by their owner alone.
    """
    policy = s.policy_of(ws) or columns.Policy()
    rows = {"trained on": s.trained(ws, subject), "captured": s.answered(ws, subject)}
    hits: dict[str, personal.Hit] = {}
    bare: list[str] = []
    for frame in rows.values():
        for name in [] if frame is None else _raw(frame):
            assert frame is not None  # noqa: S101  it has columns
            said = policy.columns.get(name)
            if said is not None and said.private:
                bare += [] if _hashed(frame[name]) else [name]
            elif said is None or said.personal is not False:
                for hit in personal.scan(name, _values(frame, name)):
                    hits.setdefault(name, hit)
    open_to = [n for n in subject.endpoints if _open_to_others(ws, n)]
    told = [f"{one.column} holds personal values: {one.why}" for one in hits.values()]
    told += [f"{name} is declared private and is not hashed" for name in dict.fromkeys(bare)]
    told += [f"captures of {name} can be read by others" for name in open_to]
    counts = {where: 0 if frame is None else frame.height for where, frame in rows.items()}
    shown = ", ".join(f"{count:,} rows {where}" for where, count in counts.items())
    looked = len({n for frame in rows.values() if frame is not None for n in _raw(frame)})
    return s.keep(
        ws,
        "privacy",
        f"model:{subject.model}",
        passed=not told,
        found=f"{'; '.join(told)}."
        if told
        else f"Nothing personal in {looked} columns of {shown}.",
        detail={
            "columns": looked,
            "rows": counts,
            "hits": [
                {"column": h.column, "kind": h.kind, "values": h.values, "found": h.found}
                for h in hits.values()
            ],
            "not_hashed": list(dict.fromkeys(bare)),
        },
        opens=_opens(subject),
    )


def policy(ws: Workspace, subject: s.Subject) -> Evidence:
    """Hold the champion's columns against the project's ``columns.toml``, and keep that.

    Raises:
        ConflictError: if the project declares no policy.
    """
    said = s.policy_of(ws)
    if said is None:
        raise ConflictError(
            f"There is no {columns.FILE} beside the project to hold columns against.",
            hint="Say in it of each column who owns it and where it comes from.",
        )
    names = [column.name for column in subject.champion.signature.columns]
    found = columns.breaches(said, names)
    return s.keep(
        ws,
        "feature_policy",
        _version(subject),
        passed=not found,
        found=" ".join(found[:5])
        if found
        else f"All {len(names)} columns have an owner and a source, and none is forbidden.",
        detail={"columns": len(names), "breaches": found},
        opens=_opens(subject),
    )


def costs(ws: Workspace, subject: s.Subject) -> Evidence:
    """Measure what each feature costs to compute and to keep, and hold it against the budget.

    Raises:
        ConflictError: if the project declares no ``feature_us``.
    """
    said = s.policy_of(ws)
    if said is None or said.feature_us is None:
        raise ConflictError(
            f"{columns.FILE} declares no feature_us, so no cost is too much.",
            hint="Declare how many microseconds one feature of one row may cost.",
        )
    digest = subject.champion.package
    frame = s.trained(ws, subject).head(COST_ROWS)
    names = [column.name for column in subject.champion.signature.columns]
    expressions = package.features(digest, ws.objects) or {name: f'"{name}"' for name in names}
    raw = frame.select([name for name in names if name in frame.columns])
    served = load.load(digest, ws.objects)
    made = served.features(raw)
    found = {}
    for name, text in expressions.items():
        values = made[name] if name in made.columns else pl.Series([], dtype=pl.Null)
        found[name] = {
            "us": _microseconds(raw, text),
            "bytes": values.estimated_size() / max(raw.height, 1),
            "missing": values.null_count() / max(values.len(), 1),
        }
    dear = {name: one for name, one in found.items() if one["us"] > said.feature_us}
    worst = max(found, key=lambda name: found[name]["us"])
    told = ", ".join(f"{name} costs {one['us']:.3g} us" for name, one in dear.items())
    return s.keep(
        ws,
        "feature_costs",
        _version(subject),
        passed=not dear,
        found=f"{told} a row; {said.feature_us:g} us is the budget."
        if dear
        else f"The dearest of {len(found)} features, {worst}, costs {found[worst]['us']:.3g} us a"
        f" row; {said.feature_us:g} us is the budget.",
        detail={"features": found, "budget_us": said.feature_us, "rows": raw.height},
        opens=_opens(subject),
    )


def _microseconds(raw: pl.DataFrame, text: str) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        raw.select(pl.sql_expr(text).alias("_made"))
        best = min(best, time.perf_counter() - start)
    return 1e6 * best / max(raw.height, 1)


def _raw(frame: pl.DataFrame) -> list[str]:
    return [name for name in frame.columns if not name.startswith("_")]


def _values(frame: pl.DataFrame, name: str) -> list[object]:
    column = frame[name]
    if not (column.dtype == pl.String or column.dtype.is_integer()):
        return []
    return column.drop_nulls().unique(maintain_order=True).head(MOST_VALUES).to_list()


def _hashed(column: pl.Series) -> bool:
    values = column.drop_nulls().unique(maintain_order=True).head(MOST_VALUES)
    return all(isinstance(value, str) and personal.is_hashed(value) for value in values)


def _open_to_others(ws: Workspace, endpoint: str) -> bool:
    folder = ws.captures(endpoint)
    found = folder if folder.is_dir() else ws.home / "captures"
    return bool(stat.S_IMODE(found.stat().st_mode) & 0o077)


def _version(subject: s.Subject) -> str:
    return f"{subject.model}/{subject.champion.number}"


def _opens(subject: s.Subject) -> list[str]:
    return [f"/models/{subject.model}", f"artifact:{subject.champion.package}"]
