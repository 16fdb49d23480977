"""Say what a version must show before it may serve: the word ``ms.Gate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring.ground import bounds, objects
from mainspring.ground.cards import check_fields
from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError


def Gate(  # noqa: N802  reads as the record it makes
    *,
    at_least: Mapping[str, float] | None = None,
    at_most: Mapping[str, float] | None = None,
    max_latency_ms: float = 100.0,
    tolerance: float = 0.0,
    needs_card: bool = True,
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
    than the champion's by more than ``tolerance``, on the same fresh rows. ``needs_card`` asks
    for a card with every required field filled; ``card_requires`` adds to those fields, such as
    ``["ethics", "assumptions"]``: where assumptions are required, none may be overdue.

    ``tests`` asks that the project's own tests passed on exactly the code that made it
    (``mainspring test``), having run at least ``tests_share`` of the lines of its steps. What was
    tried longer than ``proof_age`` ago does not count.

    What it found holds for as long as it is ``valid``, by the wall clock; then the gate must look
    again before the version may be given a guarded alias. ``approval`` asks for the word of
    another person than the author (``mainspring approve``).

    >>> Gate(at_least={"auc": 0.7}, tolerance=0.002).at_least
    {'auc': 0.7}

    Raises:
        BadInputError: naming the field.
    """
    if not max_latency_ms > 0:
        raise BadInputError(
            f"max_latency_ms must be above 0, found {max_latency_ms}.", field="max_latency_ms"
        )
    bounds.share("tests_share", tests_share)
    return objects.Gate(
        at_least={name: float(bound) for name, bound in (at_least or {}).items()},
        at_most={name: float(bound) for name, bound in (at_most or {}).items()},
        max_latency_ms=max_latency_ms,
        tolerance=tolerance,
        needs_card=needs_card,
        tests=tests or tests_share > 0,
        tests_share=tests_share,
        proof_age_s=seconds(proof_age, "proof_age"),
        valid_s=_valid(valid),
        approval=approval,
        card_requires=check_fields(card_requires),
    )


def _valid(valid: str | float) -> float:
    found = seconds(valid, "valid")
    bounds.within("valid", found, 0, 100 * 365 * objects.DAY_S)
    return found
