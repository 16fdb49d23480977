"""Say which facets are watched for bias: the word ``ms.Facet``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainspring.ground import objects
from mainspring.ground.errors import BadInputError
from mainspring.monitoring.truth import written
from mainspring.numerics.fairness import MEANINGS


def Facet(  # noqa: N802
    column: str,
    *,
    disadvantaged: Sequence[str | int | float | bool] = (),
    below: float | None = None,
    above: float | None = None,
    positive: str | int | bool | None = None,
    positive_above: float | None = None,
    group: str | None = None,
    allowed: Mapping[str, tuple[float, float]] | None = None,
) -> objects.Facet:
    """Say who is compared with whom, and what is good to get.

    ``disadvantaged`` are the values of the column that are compared with all others; a column of
    numbers is cut by ``below`` or ``above`` instead. Without any of them each value is compared
    with the rest. ``positive`` is the class that is good to get (binary: the positive one;
    regression: values above ``positive_above``). Within the values of ``group`` disparity is
    measured too. ``allowed`` gives metrics other ranges than -0.1 to 0.1 (DI: 0.8 to 1.25).

    >>> Facet("age", above=60, allowed={"DI": (0.9, 1.1)}).above
    60.0

    Raises:
        BadInputError: naming the field.
    """
    if sum(map(bool, (disadvantaged, below is not None, above is not None))) > 1:
        raise BadInputError(
            "A facet is cut by disadvantaged, below or above: by one of them.",
            field="disadvantaged",
        )
    for metric, (low, high) in (allowed or {}).items():
        if metric not in MEANINGS:
            raise BadInputError(
                f"There is no bias metric {metric!r}.",
                field="allowed",
                hint=f"Metrics are {', '.join(MEANINGS)}.",
            )
        if not low <= high:
            raise BadInputError(
                f"The range of {metric} must go up, found {low} to {high}.", field="allowed"
            )
    return objects.Facet(
        column=column,
        disadvantaged=[written(value) for value in disadvantaged],
        below=None if below is None else float(below),
        above=None if above is None else float(above),
        positive=None if positive is None else written(positive),
        positive_above=positive_above,
        group=group,
        allowed={name: (float(low), float(high)) for name, (low, high) in (allowed or {}).items()},
    )
