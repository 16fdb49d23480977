"""Write what a pull request should be told of a version: metrics, data, params and its gate."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mainspring.experiments import runs
from mainspring.ground.errors import BadInputError, MainspringError, NotFoundError
from mainspring.ground.objects import ColumnProfile, GateResult, Profile, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, facts, registry, verdicts
from mainspring.readiness.references import parse
from mainspring.readiness.telling import cell, of_gate, table, verdict
from mainspring.scaling.models import package
from mainspring.workspace.opening import Workspace

MOST_COLUMNS = 10  #: that are told of one by one
#: How far a mean has to move, in standard deviations of the other version, to be told.
_TOLD = 0.05


def comment(
    ws: Workspace, model: str, number: int, against: str = "champion", url: str | None = None
) -> str:
    """Return a comment on a version as Markdown: how it differs from another, and its gate.

    ``against`` is an alias of the model, a number, or a reference such as ``flights/7``. Where
    the model has no champion yet there is nothing to compare with, and the comment says so.

    Raises:
        NotFoundError: if there is no such version, or none to compare with by the name given.
    """

    def look(tx: Tx) -> tuple[Version, Version | None, GateResult | None, list[str]]:
        name = facts.called(tx, model)
        version = registry.get(tx, name, number)
        told = [f"{one.by}: {one.reason}" for one in decisions.overrides_of(tx, name, number)]
        return version, _other(tx, name, against), verdicts.latest(tx, name, number), told

    version, other, gate, overrides = ws.read(Permission.READ, look)
    now = ws.clock.now()
    said = "not judged yet" if gate is None else verdict(gate, now)
    name = cell(f"{version.model}/{version.number}")
    beside = "" if other is None else f" against {cell(f'{other.model}/{other.number}')}"
    lines = [f"## {name}{beside}: {said}", ""]
    lines += [f"> **Let into a canary by an override.** {cell(one)}\n" for one in overrides]
    if other is None:
        lines += [f"There is no {cell(against)} to compare it with yet.", ""]
    elif other.number == version.number:
        lines += [f"It is the {cell(against)} itself.", ""]
    else:
        lines += _metrics(version, other)
        lines += _params(ws, version, other)
        lines += _data(ws, version, other)
    if gate is not None:
        lines.append(of_gate(gate, now, url))
    return "\n".join(lines).rstrip() + "\n"


def _other(tx: Tx, model: str, against: str) -> Version | None:
    if against.isascii() and against.isdecimal():
        return registry.get(tx, model, int(against))
    if "/" in against or "@" in against:
        found = parse(against)
        if facts.called(tx, found.model) != model:
            raise BadInputError(
                f"{against} is another model than {model}.",
                field="against",
                hint="Name a version or an alias of the same model.",
            )
        return registry.resolve(tx, against)
    if against == registry.CHAMPION and registry.champion(tx, model) is None:
        return None
    return registry.resolve(tx, f"{model}@{against}")


def _metrics(version: Version, other: Version) -> list[str]:
    names = sorted({*version.metrics, *other.metrics})
    if not names:
        return ["No metric is known of either.", ""]
    rows = []
    for name in names:
        was, now = other.metrics.get(name), version.metrics.get(name)
        moved = "" if was is None or now is None else f"{now - was:+.4g}"
        rows.append((name, _figure(was), _figure(now), moved))
    head = ("Metric (its own held-out rows)", f"{other.number}", f"{version.number}", "Difference")
    return ["#### Metrics", "", *table(head, rows), ""]


def _params(ws: Workspace, version: Version, other: Version) -> list[str]:
    def look(tx: Tx) -> tuple[Mapping[str, str], Mapping[str, str]] | None:
        try:
            made = [runs.get(tx, one.run).params for one in (other, version) if one.run]
        except NotFoundError:
            return None
        return (made[0], made[1]) if len(made) == 2 else None

    found = ws.read(Permission.READ, look)
    if found is None:
        return []
    was, now = found
    rows = [
        (key, was.get(key, "not set"), now.get(key, "not set"))
        for key in sorted({*was, *now})
        if was.get(key) != now.get(key)
    ]
    if not rows:
        return ["The params are the same.", ""]
    head = ("Param", f"{other.number}", f"{version.number}")
    return ["#### Params", "", *table(head, rows), ""]


def _data(ws: Workspace, version: Version, other: Version) -> list[str]:
    rows = [
        (name, other.data.get(name, "none")[:12], version.data.get(name, "none")[:12])
        for name in sorted({*version.data, *other.data})
        if version.data.get(name) != other.data.get(name)
    ]
    lines = ["#### Data", ""]
    if rows:
        head = ("Input", f"{other.number}", f"{version.number}")
        lines += [*table(head, rows), ""]
    else:
        lines += ["Both read the same data.", ""]
    try:
        was = package.profile(other.package, ws.objects)
        now = package.profile(version.package, ws.objects)
    except MainspringError as error:  # a version of another tool that was never judged
        return [*lines, f"The columns cannot be compared: {cell(str(error))}", ""]
    return lines + _columns(was, now, other, version)


def _columns(was: Profile, now: Profile, other: Version, version: Version) -> list[str]:
    before = {column.name: column for column in was.columns}
    after = {column.name: column for column in now.columns}
    lines = [f"Training rows: {was.rows:,}, now {now.rows:,}.", ""]
    for word, names in (("Gone", before.keys() - after), ("New", after.keys() - before)):
        if names:
            lines += [f"{word}: {', '.join(cell(name) for name in sorted(names))}.", ""]
    both = [(before[name], after[name]) for name in sorted(before.keys() & after)]
    moved = sorted(both, key=lambda pair: -_shift(*pair))
    told = [pair for pair in moved if _shift(*pair) >= _TOLD]
    if not told:
        return [*lines, "No column moved by more than a twentieth of its spread.", ""]
    head = ("Column", f"{other.number}", f"{version.number}", "Moved by")
    rows = [
        (old.name, _said(old), _said(new), f"{_shift(old, new):.2f}")
        for old, new in told[:MOST_COLUMNS]
    ]
    lines += [*table(head, rows), ""]
    if len(told) > MOST_COLUMNS:
        lines += [f"And {len(told) - MOST_COLUMNS} more.", ""]
    return lines


def _shift(old: ColumnProfile, new: ColumnProfile) -> float:
    """Return how far a column moved: in spreads of its mean, or in share of its rows.

    The mean of numbers in standard deviations as they were, the total variation of categories,
    and the change of the missing share, whichever is most.
    """
    holes = abs(_share(new.missing, new.rows) - _share(old.missing, old.rows))
    if old.type != new.type:
        return max(1.0, holes)
    if old.type == "category":
        names = {*old.categories, *new.categories}
        a, b = sum(old.categories.values()), sum(new.categories.values())
        gaps = (
            abs(_share(old.categories.get(n, 0), a) - _share(new.categories.get(n, 0), b))
            for n in names
        )
        return max(sum(gaps) / 2, holes)
    if old.mean is None or new.mean is None:
        return holes
    spread = old.std or abs(old.mean) or 1.0
    moved = abs(new.mean - old.mean) / spread
    return max(moved if math.isfinite(moved) else 1.0, holes)


def _said(column: ColumnProfile) -> str:
    holes = f", {_share(column.missing, column.rows):.1%} missing" if column.missing else ""
    if column.type == "category":
        top = max(column.categories.items(), key=lambda pair: pair[1], default=("nothing", 0))
        return f"mostly {top[0]}{holes}"
    mean = "no numbers" if column.mean is None else f"mean {column.mean:.4g}"
    return mean + holes


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _figure(value: float | None) -> str:
    return "not known" if value is None else f"{value:.4g}"
