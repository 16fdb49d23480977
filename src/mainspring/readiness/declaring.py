"""Say what a version must show before it may serve: the word ``ms.Gate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import msgspec
from msgspec.structs import fields

from mainspring.ground import bounds, objects
from mainspring.ground.cards import check_fields
from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError
from mainspring.ground.gates import Accepted
from mainspring.ground.limits import CalibrationBounds, LoadLimits, RobustnessLimits
from mainspring.ground.nearest import meant
from mainspring.ground.objects import Facet

T = TypeVar("T", LoadLimits, RobustnessLimits)


def Gate(  # noqa: N802  reads as the record it makes
    *,
    at_least: Mapping[str, float] | None = None,
    at_most: Mapping[str, float] | None = None,
    max_latency_ms: float = 100.0,
    tolerance: float = 0.0,
    better: bool = False,
    margin: float = 0.0,
    few_rows: Literal["pass", "refuse"] = "pass",
    slices: Sequence[str] = (),
    search_slices: bool = True,
    slice_tolerance: float = 0.05,
    worst_slice: float | None = None,
    calibration: float | Mapping[str, Any] | None = None,
    trained_within: str | float | None = None,
    load: Mapping[str, float] | None = None,
    bias: Sequence[Facet] = (),
    robustness: bool | Mapping[str, Any] = True,
    baselines: bool = True,
    simpler: Literal["tell", "refuse"] = "tell",
    leaks: Literal["tell", "refuse"] = "tell",
    max_feedback_share: float | None = None,
    needs_card: bool = True,
    security: bool = True,
    advisories: str | Mapping[str, Any] = "",
    reproduced: bool = False,
    tests: bool = False,
    tests_share: float = 0.0,
    proof_age: str | float = "30d",
    valid: str | float = "30d",
    approval: bool = False,
    card_requires: Sequence[str] = (),
) -> objects.Gate:
    """Say what a candidate must show before it meets anybody.

    ``at_least`` and ``at_most`` bound its metrics on held-out rows. One row must be scored in
    ``max_latency_ms`` (95th percentile). Its mean bounded loss (0 to 1) must not surely be worse
    than the champion's by more than ``tolerance``, on the same fresh rows; with ``better`` it must
    surely be better by more than ``margin``. Fewer than 30 rows show neither: it then passes
    (the rollout judges it), or not, as ``few_rows`` says. ``needs_card`` asks for a card with
    every required field filled; ``card_requires`` adds to those fields, such as
    ``["ethics", "assumptions"]``: where assumptions are required, none may be overdue.

    ``security`` asks that its files were scanned and nothing was found against them: no pickled
    code that nobody trusts, every digest right, no call, path or archive that could do harm.

    ``advisories`` is a file of the project (OSV records, or a zip of them) that the packages it
    was made with are matched against: none may be known from ``high`` on. A mapping sets the
    ``file``, what counts (``least``), and what is ``accepted``: ``{"GHSA-1": ("2027-01-31",
    "We never parse XML.")}``.

    ``reproduced`` asks that its run, done again with nothing reused, gives the same bytes or
    metrics within tolerance; where nobody tried, the gate does so itself (it takes as long as the
    training). ``tests`` asks that the project's own tests passed on exactly the code that made it
    (``mainspring test``), having run at least ``tests_share`` of the lines of its steps. What was
    tried longer than ``proof_age`` ago does not count.

    What it found holds for as long as it is ``valid``, by the wall clock; then the gate must look
    again before the version may be given a guarded alias. ``approval`` asks for the word of
    another person than the author (``mainspring approve``).

    ``slices`` are columns, or conditions in SQL such as ``"distance > 1000"``: none of them, and
    none that a search finds, may surely be worse than the champion's there by more than
    ``slice_tolerance``, or lose more than ``worst_slice``. ``calibration`` is the highest expected
    calibration error, or ``{"max_ece": 0.05, "slope": (0.8, 1.25)}``. ``trained_within`` is how
    far its newest training row may lie before the newest fresh one. ``load`` asks for a load test
    over HTTP and bounds it: ``max_p95_ms``, ``max_p99_ms``, ``max_memory_mb``,
    ``max_cold_start_s``, ``least_rps`` (and ``connections``, ``requests``, ``rounds``,
    ``round_s``). ``bias`` are facets (:func:`Facet`) whose figures must not surely lie outside of
    their allowed ranges.

    ``robustness`` tries gaps, values out of range and small changes: never an error or an answer
    that is no number, and at most ``max_moved`` (0.25) of the rows moved by small changes; False
    leaves it out, a mapping sets ``max_moved``, ``max_flipped`` (by one strange value), ``noise``,
    ``epsilon``, ``extreme``, ``rows``, ``columns``. ``baselines`` refuses what is surely worse
    than a constant answer; with ``simpler="refuse"`` also what a linear model or a shallow tree
    does as well. With ``leaks="refuse"`` no sure leak may be in the rows it learnt from, and
    surely no more than ``max_feedback_share`` of them be labelled because of its own score.

    >>> gate = Gate(at_least={"auc": 0.7}, slices=["carrier"], load={"max_p99_ms": 20})
    >>> gate.load.max_p99_ms, Gate(trained_within="30d").trained_within_s
    (20.0, 2592000.0)

    Raises:
        BadInputError: naming the field.
    """
    bounds.within("max_latency_ms", max_latency_ms, 0, float("inf"))
    _one_of("few_rows", few_rows, ("pass", "refuse"))
    _one_of("simpler", simpler, ("tell", "refuse"))
    return objects.Gate(
        **_bounded(at_least or {}, at_most or {}),
        max_latency_ms=max_latency_ms,
        tolerance=tolerance,
        better=better,
        margin=bounds.at_least("margin", margin, 0),
        few_rows=few_rows,
        **_slices(slices, search_slices, slice_tolerance, worst_slice),
        calibration=_calibration(calibration),
        trained_within_s=_seconds("trained_within", trained_within),
        load=None if load is None else load_limits(load),
        bias=_facets(bias),
        robustness=_robustness(robustness),
        baselines=baselines,
        simpler=simpler,
        **_learnt(leaks, max_feedback_share),
        needs_card=needs_card,
        **_proofs(security, reproduced, tests, tests_share, proof_age, advisories),
        valid_s=_valid(valid),
        approval=approval,
        card_requires=check_fields(card_requires),
    )


def _bounded(least: Mapping[str, float], most: Mapping[str, float]) -> dict[str, Any]:
    return {
        "at_least": {name: float(bound) for name, bound in least.items()},
        "at_most": {name: float(bound) for name, bound in most.items()},
    }


def _learnt(leaks: str, most: float | None) -> dict[str, Any]:
    _one_of("leaks", leaks, ("tell", "refuse"))
    if most is not None:
        bounds.share("max_feedback_share", most)
    return {"leaks": leaks, "max_feedback_share": most}


def _proofs(
    security: bool,
    reproduced: bool,
    tests: bool,
    share: float,
    age: str | float,
    advisories: str | Mapping[str, Any],
) -> dict[str, Any]:
    bounds.share("tests_share", share)
    told: dict[str, Any] = {"file": advisories}
    if not isinstance(advisories, str):
        told = dict(advisories)
    unknown = set(told) - {"file", "least", "accepted"}
    if unknown or "file" not in told:
        raise BadInputError(
            f"advisories is a file, or has file, least and accepted; found {sorted(told)}.",
            field="advisories",
        )
    least = told.get("least", "high")
    _one_of("advisories.least", least, ("low", "moderate", "high", "critical"))
    return {
        "security": security,
        "reproduced": reproduced,
        "tests": tests or share > 0,
        "tests_share": share,
        "proof_age_s": seconds(age, "proof_age"),
        "advisories": told["file"],
        "advisories_from": least,
        "accepted": _accepted(told.get("accepted") or {}),
    }


def _accepted(given: Mapping[str, tuple[str, str]]) -> dict[str, Accepted]:
    found = {}
    for name, (until, reason) in given.items():
        try:
            day = datetime.fromisoformat(until)
        except ValueError as error:
            raise BadInputError(
                f"accepted[{name!r}] must be (date, reason), found {until!r}.", field="accepted"
            ) from error
        if not reason.strip():
            raise BadInputError(f"accepted[{name!r}] needs a reason.", field="accepted")
        day = day if day.tzinfo else day.replace(tzinfo=UTC)
        found[name] = Accepted(reason=reason, until=day.timestamp())
    return found


def _valid(valid: str | float) -> float:
    found = seconds(valid, "valid")
    bounds.within("valid", found, 0, 100 * 365 * objects.DAY_S)
    return found


def _seconds(field: str, given: str | float | None) -> float | None:
    return None if given is None else seconds(given, field)


def _slices(
    given: Sequence[str], search: bool, tolerance: float, worst: float | None
) -> dict[str, Any]:
    if worst is not None:
        bounds.share("worst_slice", worst)
    return {
        "slices": _texts("slices", given),
        "search_slices": search,
        "slice_tolerance": bounds.at_least("slice_tolerance", tolerance, 0),
        "worst_slice": worst,
    }


def _calibration(given: float | Mapping[str, Any] | None) -> CalibrationBounds | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        given = {"max_ece": given}
    strange = sorted(given.keys() - {"max_ece", "slope"})
    if strange or not given:
        raise BadInputError(
            f"calibration bounds max_ece or slope, found {', '.join(strange) or 'neither'}.",
            field="calibration",
            hint='Such as {"max_ece": 0.05, "slope": (0.8, 1.25)}.',
        )
    ece, slope = given.get("max_ece"), given.get("slope")
    if ece is not None:
        bounds.share("calibration.max_ece", ece)
    if slope is not None and not (len(slope) == 2 and slope[0] <= slope[1]):
        raise BadInputError(
            f"calibration.slope is a range (low, high), found {slope}.", field="calibration.slope"
        )
    return CalibrationBounds(
        max_ece=None if ece is None else float(ece),
        slope=None if slope is None else (float(slope[0]), float(slope[1])),
    )


def load_limits(given: Mapping[str, float]) -> LoadLimits:
    """Return the limits of a load test by their names.

    >>> load_limits({"max_p99_ms": 20}).connections
    4

    Raises:
        BadInputError: for a name that there is not, with the nearest; or a number out of bounds.
    """
    return checked_load(_made(LoadLimits, "load", given))


def checked_load(found: LoadLimits) -> LoadLimits:
    """Return limits of a load test that takes a sane time.

    Raises:
        BadInputError: naming the field.
    """
    for name, most in (("connections", 64), ("requests", 10_000), ("rounds", 20), ("round_s", 60)):
        bounds.within(f"load.{name}", getattr(found, name), 0, most)
    return found


def checked(gate: objects.Gate) -> objects.Gate:
    """Return a gate that came over the wire, if :func:`Gate` would have made it.

    Raises:
        BadInputError: naming the field.
    """
    bounds.within("gate.max_latency_ms", gate.max_latency_ms, 0, float("inf"))
    for name in ("margin", "slice_tolerance"):
        bounds.at_least(f"gate.{name}", getattr(gate, name), 0)
    if gate.worst_slice is not None:
        bounds.share("gate.worst_slice", gate.worst_slice)
    if gate.max_feedback_share is not None:
        bounds.share("gate.max_feedback_share", gate.max_feedback_share)
    _texts("gate.slices", gate.slices)
    if gate.load is not None:
        checked_load(gate.load)
    if gate.robustness is not None:
        checked_robustness(gate.robustness)
    if gate.calibration is not None:
        _calibration(
            {
                name: value
                for name in ("max_ece", "slope")
                if (value := getattr(gate.calibration, name)) is not None
            }
        )
    return gate


def _robustness(given: bool | Mapping[str, Any]) -> RobustnessLimits | None:
    if isinstance(given, bool):
        return RobustnessLimits() if given else None
    return checked_robustness(_made(RobustnessLimits, "robustness", given))


def checked_robustness(found: RobustnessLimits) -> RobustnessLimits:
    """Return robustness limits within what can be tried.

    Raises:
        BadInputError: naming the field.
    """
    for name in ("max_moved", "max_flipped"):
        if (value := getattr(found, name)) is not None:
            bounds.share(f"robustness.{name}", value)
    bounds.within("robustness.rows", found.rows, 0, 2_000)
    bounds.within("robustness.columns", found.columns, 0, 1_000)
    return found


def _made(kind: type[T], field: str, given: Mapping[str, Any]) -> T:
    """Return limits by their names; a number is 0 or more, and made what its field holds."""
    known = {one.name: one for one in fields(kind)}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise BadInputError(
                f"{field} has no {name!r}.",
                field=f"{field}.{name}"[:80],
                hint=meant(name, known),
            )
        if isinstance(known[name].default, bool):
            values[name] = bool(value)
        elif value is None:
            values[name] = None
        else:
            bounds.at_least(f"{field}.{name}", value, 0)
            whole = isinstance(known[name].default, int)
            values[name] = int(value) if whole else float(value)
    return kind(**values)


def _facets(given: Sequence[Facet | Mapping[str, Any]]) -> list[Facet]:
    """Return facets; one from a file comes as a table of its fields."""
    found = []
    for one in given:
        try:
            found.append(msgspec.convert(one, Facet))
        except msgspec.ValidationError as error:
            raise BadInputError(
                f"bias takes facets, found {one!r}: {error}.",
                field="bias",
                hint="Such as ms.Facet('sex').",
            ) from error
    return found


def _texts(field: str, given: Sequence[str]) -> list[str]:
    if isinstance(given, str) or not all(str(one).strip() for one in given):
        raise BadInputError(
            f"{field} is a list of columns or conditions, found {given!r}.", field=field
        )
    return list(dict.fromkeys(given))


def _one_of(field: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise BadInputError(f"{field} is {' or '.join(known)}, found {given!r}.", field=field)
