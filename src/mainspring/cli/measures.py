"""The options that say what a gate measures beyond metrics, latency and the champion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from mainspring.cli.pipelines import pair
from mainspring.ground.errors import BadInputError

_GROUP = Group("What is measured", sort_key=50)


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True)
class Measures:
    """What a gate asks beyond its first bounds."""

    better: Annotated[
        bool, Parameter(negative=(), help="It must surely be better than the champion.")
    ] = False
    slice: Annotated[
        list[str] | None,
        Parameter(negative=(), help="A column, or a condition, that is judged apart."),
    ] = None
    worst_slice: Annotated[
        float | None, Parameter(help="Mean loss that no slice may surely exceed, 0 to 1.")
    ] = None
    max_ece: Annotated[
        float | None, Parameter(help="Highest expected calibration error, 0 to 1.")
    ] = None
    trained_within: Annotated[
        str | None, Parameter(help="How old its newest training row may be, such as 30d.")
    ] = None
    load: Annotated[
        list[str] | None,
        Parameter(
            negative=(),
            help="A limit of a load test over HTTP: max_p99_ms, max_p95_ms, max_memory_mb,"
            " max_cold_start_s or least_rps, such as max_p99_ms=20.",
        ),
    ] = None
    simpler: Annotated[
        Literal["tell", "refuse"] | None,
        Parameter(help="What becomes of one that a linear model or a shallow tree equals."),
    ] = None

    def words(self) -> dict[str, Any]:
        """Return what was given, by the names of ``ms.Gate``."""
        found = {
            "better": self.better or None,
            "slices": self.slice,
            "worst_slice": self.worst_slice,
            "calibration": self.max_ece,
            "trained_within": self.trained_within,
            "load": None if self.load is None else limits(self.load),
            "simpler": self.simpler,
        }
        return {name: value for name, value in found.items() if value is not None}


MEASURES = Measures()


def limits(several: list[str]) -> dict[str, float]:
    """Return limits that were written name=number.

    Raises:
        BadInputError: if one is not.
    """
    found = {}
    for text in several:
        name, value = pair(text)
        try:
            found[name.replace("-", "_")] = float(value)
        except ValueError:
            raise BadInputError(
                f"A limit is written name=number, found {text!r}.", field="load"
            ) from None
    return found
