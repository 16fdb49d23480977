"""Say in words how one column of two tables differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mainspring.ground.objects import Finding
from mainspring.ground.words import figure, share
from mainspring.workspace.reports.describing import Described, Kind

Told = tuple[str, str]  # a verdict, and why

_CHECKS = {
    "missing": "have no value",
    "wrong type": "have a value of another type than the baseline's",
    "out of range": "lie outside of what the baseline holds",
    "unseen category": "hold a value that the baseline never has",
}


def of_findings(
    drift: Finding | None,
    checks: Sequence[Finding],
    before: Described | None,
    now: Described | None,
    *,
    of_model: bool,
) -> Iterator[tuple[Finding, str]]:
    """Yield each finding that has something to say, with its words.

    ``of_model`` keeps what a monitor said of a model's window.
    """
    if drift is not None:
        yield drift, drift.why if of_model else _drift(drift, before, now)
    for one in checks:
        if one.verdict in ("alarm", "notice"):
            yield one, one.why if of_model else _check(one)


def of_schema(change: str, before: Described | None, now: Described | None) -> list[Told]:
    """Return what changed in the shape of the table."""
    if change == "missing":
        return [("alarm", "The column is not there any more.")]
    if change == "new":
        return [("notice", "The column is new: the baseline does not have it.")]
    if change == "type" and before is not None and now is not None:
        return [("alarm", f"Its type went from {before.type} to {now.type}.")]
    return []


def unjudged(kind: Kind) -> Told:
    """Return why a column that is on both sides was not compared."""
    if kind == "time":
        return "not judged", "Times go on: their range is shown, and nothing is judged."
    return "not judged", "Only numbers, text and booleans are compared."


def _drift(one: Finding, before: Described | None, now: Described | None) -> str:
    if one.value is None or one.radius is None:
        return _scarce(one, before, now)
    told = f"Distance {one.value:.3f}; chance alone reaches {one.radius:.3f}"
    if one.verdict in ("alarm", "notice"):
        moved = _from_to(one, before, now)
        line = "" if one.line is None else f", and from {one.line:g} on it matters"
        return f"{told}{line}.{moved}"
    if one.value > one.radius:
        return f"{told}. A certain shift, but below {one.line:g}, where it begins to matter."
    return f"{told}, and a shift of less than {one.smallest:.3f} could not have been seen."


def _scarce(one: Finding, before: Described | None, now: Described | None) -> str:
    if before is None or now is None or min(before.present, now.present) > 0:
        return one.why
    empty = "the baseline" if before.present == 0 else "the table"
    return f"Not judged: {empty} has no value in this column."


def _from_to(one: Finding, before: Described | None, now: Described | None) -> str:
    most = (one.detail.get("moved") or [None])[0]
    if isinstance(most, dict):
        name, old, new = most["category"], share(most["before"]), share(most["now"])
        return f" Most moved: {str(name)[:60]!r}, from {old} to {new}."
    if before is None or now is None:
        return ""
    if before.mean is not None and now.mean is not None:
        return f" Its mean went from {figure(before.mean)} to {figure(now.mean)}."
    return ""


def _check(one: Finding) -> str:
    name = str(one.detail.get("check", one.subject.partition("/")[2]))
    told = _CHECKS.get(name)
    if told is None or one.value is None:
        return one.why
    least = "" if one.low is None else f" (at least {share(one.low)})"
    return f"{share(one.value)} of {one.rows:,} rows {told}{least}; {share(one.baseline)} before."
