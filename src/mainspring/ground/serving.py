"""How an endpoint is served: in which process, by how many workers, within which limits."""

from __future__ import annotations

from typing import Literal

from mainspring.ground.records import Record


class Scaling(Record, frozen=True, kw_only=True):
    """How many worker processes an endpoint has, by target tracking.

    Workers are added until each has at most ``in_flight`` requests (or, with ``latency_ms``, until
    the 95th percentile is below it), and taken away when fewer would do for ``in_after_s``.
    With ``fewest`` 0 an endpoint that nobody asked for ``idle_s`` has none; the next request
    starts one and is answered by it.
    """

    fewest: int = 1
    most: int = 1
    in_flight: float = 8.0
    latency_ms: float | None = None
    out_after_s: float = 2.0  #: between two steps up
    in_after_s: float = 60.0  #: fewer must have done for so long before a step down
    idle_s: float = 300.0


class EndpointLimits(Record, frozen=True, kw_only=True):
    """What an endpoint lets in, and how long it may take."""

    queue: int = 256  #: requests that wait for a turn, at most
    deadline_ms: float = 1000.0  #: a request that cannot have its turn within it is refused
    timeout_ms: float = 10_000.0  #: a scoring that takes longer is given up: 504
    per_client: int | None = None  #: requests under way of one caller
    batch_rows: int = 1024  #: rows that are scored at once, at most
    memory_mb: int | None = None  #: of one worker process of a model; None: no limit


class EndpointOptions(Record, frozen=True, kw_only=True):
    """How an endpoint is served."""

    #: ``own``: processes of its own; ``shared``: with others in one process, loaded on demand
    place: Literal["own", "shared"] = "own"
    scaling: Scaling = Scaling()
    limits: EndpointLimits = EndpointLimits()
    capture_share: float = 1.0  #: of the rows that are recorded, 0 to 1
    #: the port on loopback on which it speaks the inference protocol over gRPC, 0: a free one
    grpc: int | None = None
