"""Say how an endpoint is served, and change it while it serves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import EndpointOptions
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.serving import EndpointLimits, Scaling
from mainspring.scaling.serving import endpoints
from mainspring.workspace.opening import Workspace

#: The most workers of one endpoint: more than a machine has cores for.
MOST_WORKERS = 256
#: What each may be, and what is said of it.
RANGES: dict[str, tuple[float, float, str]] = {
    "fewest": (0, MOST_WORKERS, "workers"),
    "most": (1, MOST_WORKERS, "workers"),
    "in_flight": (0.1, 100_000, "requests under way in each worker"),
    "latency_ms": (0.1, 3_600_000, "ms"),
    "out_after_s": (0, 3_600, "s"),
    "in_after_s": (0, 86_400, "s"),
    "idle_s": (1, 30 * 86_400, "s"),
    "queue": (0, 1_000_000, "requests that wait"),
    "deadline_ms": (1, 3_600_000, "ms"),
    "timeout_ms": (1, 3_600_000, "ms"),
    "per_client": (1, 1_000_000, "requests under way of one caller"),
    "batch_rows": (1, 10_000_000, "rows scored at once"),
    "memory_mb": (64, 10_000_000, "MB"),
    "capture_share": (0, 1, "of the rows"),
    "grpc": (1, 65_535, "as a port"),
}
#: Of these 0 takes the limit, or the port, away.
MAY_BE_NONE = ("latency_ms", "per_client", "memory_mb", "grpc")
SCALING = frozenset(Scaling.__struct_fields__)
LIMITS = frozenset(EndpointLimits.__struct_fields__)


def look(ws: Workspace, name: str) -> EndpointOptions:
    """Return how an endpoint is served.

    Raises:
        NotFoundError: if there is none by that name.
    """
    return ws.read(Permission.READ, lambda tx: endpoints.get(tx, name).options)


def configure(ws: Workspace, name: str, changes: Mapping[str, Any]) -> EndpointOptions:
    """Change how an endpoint is served from now on; what is not named stays as it is.

    Raises:
        NotFoundError: if there is none by that name.
        ConflictError: if it is answered elsewhere.
        BadInputError: naming the field, what was found and what it may be.
    """

    def work(tx: Tx) -> EndpointOptions:
        after = changed(endpoints.get(tx, name).options, changes)
        return endpoints.configure(tx, name, after).options

    return ws.write(Permission.SERVE, work)


def changed(before: EndpointOptions, changes: Mapping[str, Any]) -> EndpointOptions:
    """Return options with some of them changed; 0 of what may be without a limit is none.

    >>> changed(EndpointOptions(), {"most": 4, "memory_mb": 0}).scaling.most
    4

    Raises:
        BadInputError: naming the field, what was found and what it may be.
    """
    if not changes:
        raise BadInputError("Nothing is to be changed.", hint="Such as: --workers 0..4")
    found = {field: _checked(field, value) for field, value in changes.items()}
    place = found.get("place", before.place)
    asked = sorted(SCALING & found.keys())
    if place == "shared" and asked:
        raise BadInputError(
            f"{asked[0]} is of workers, and an endpoint that shares a process has none.",
            field=asked[0],
            hint="Give it workers of its own: --place own",
        )
    scaling = msgspec.structs.replace(
        before.scaling, **{k: v for k, v in found.items() if k in SCALING}
    )
    if scaling.fewest > scaling.most:
        raise BadInputError(
            f"At least {scaling.fewest} and at most {scaling.most} workers cannot be.",
            field="most" if "most" in found else "fewest",
            hint="Give both: --workers 1..4",
        )
    return EndpointOptions(
        place=place,
        scaling=scaling,
        limits=msgspec.structs.replace(
            before.limits, **{k: v for k, v in found.items() if k in LIMITS}
        ),
        capture_share=found.get("capture_share", before.capture_share),
        grpc=found.get("grpc", before.grpc),
    )


def _checked(field: str, value: Any) -> Any:
    if field == "place":
        if value not in ("own", "shared"):
            raise BadInputError(f"place is own or shared, found {value!r}.", field=field)
        return value
    if field not in RANGES:
        raise BadInputError(
            f"There is no option {field!r}.", field=field, hint=f"There are: {', '.join(RANGES)}."
        )
    if field in MAY_BE_NONE and value == 0:
        return None
    low, high, words = RANGES[field]
    if not isinstance(value, int | float) or not low <= value <= high or math.isnan(value):
        without = "no port" if field == "grpc" else "no limit"
        none = f", or 0 for {without}" if field in MAY_BE_NONE else ""
        raise BadInputError(
            f"{field} must be {low:g} to {high:g} {words}{none}, found {value!r}.", field=field
        )
    return value
