"""The same search, written in plain Python over runs in memory: what finding must agree with."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from mainspring.experiments.expressions import And, Condition, Expression, Not, Order
from mainspring.experiments.readings import number_in
from mainspring.ground.objects import Run


def meets(run: Run, expression: Expression) -> bool:
    if isinstance(expression, And):
        return all(meets(run, part) for part in expression.parts)
    if isinstance(expression, Not):
        return not meets(run, expression.part)
    if isinstance(expression, Condition):
        return _holds(_value(run, expression.kind, expression.key), expression)
    return any(meets(run, part) for part in expression.parts)


def ordered(several: Sequence[Run], orders: Sequence[Order]) -> list[str]:
    found = sorted(several, key=lambda run: run.id, reverse=not orders[0].ascending)
    for one in reversed(orders):
        found = _sorted(found, one)
    return [run.id for run in found]


def _value(run: Run, kind: str, key: str) -> Any:
    if kind == "run":
        if key == "duration":
            return None if run.ended is None else run.ended - run.started
        if key in ("group", "user"):
            return run.tags.get(f"mainspring.{key}")
        return getattr(run, key)
    return getattr(run, f"{kind}s").get(key)


def _holds(found: Any, one: Condition) -> bool:
    if one.op in ("null", "not null"):
        return (found is None) == (one.op == "null")
    if found is None:
        return False
    if one.op in ("nan", "not nan"):
        return math.isnan(found) == (one.op == "nan")
    values = one.value if isinstance(one.value, list) else [one.value]
    if isinstance(values[0], float) and isinstance(found, str):
        number = number_in(found)
        if number is None:
            return False
        found = number
    if isinstance(found, float) and math.isnan(found):
        return False
    first: Any = values[0]
    return {
        "=": lambda: found == first,
        "!=": lambda: found != first,
        "<": lambda: found < first,
        "<=": lambda: found <= first,
        ">": lambda: found > first,
        ">=": lambda: found >= first,
        "in": lambda: found in values,
        "not in": lambda: found not in values,
        "like": lambda: _like(first, found, fold=False),
        "not like": lambda: not _like(first, found, fold=False),
        "ilike": lambda: _like(first, found, fold=True),
        "not ilike": lambda: not _like(first, found, fold=True),
    }[one.op]()


def _like(pattern: str, text: str, *, fold: bool) -> bool:
    if fold:  # A to Z alone
        pattern, text = (re.sub("[A-Z]", lambda m: m[0].lower(), one) for one in (pattern, text))
    parts = [".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern]
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def _sorted(several: Sequence[Run], one: Order) -> list[Run]:
    ranked: list[list[tuple[Any, Run]]] = [[], [], []]
    for run in several:
        found = _value(run, one.kind, one.key)
        reads = one.kind in ("param", "tag") or one.key in ("group", "user")
        if found is None:
            ranked[2].append((0, run))
        elif isinstance(found, float):
            ranked[1 if math.isnan(found) else 0].append((0 if math.isnan(found) else found, run))
        elif reads and not one.textual:
            number = number_in(found)
            key = (found[:200],) if number is None else (number, found[:200])
            ranked[1 if number is None else 0].append((key, run))
        else:
            ranked[0].append((found[:200] if reads else str(found), run))
    out: list[Run] = []
    for rank in ranked:
        out += [r for _, r in sorted(rank, key=lambda each: each[0], reverse=not one.ascending)]
    return out
