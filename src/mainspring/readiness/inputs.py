"""What the gate looks at: everything measured on one candidate, gathered by the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import Card, Evidence, Version
from mainspring.readiness.measured import Measured

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class GateInputs:
    """The facts of one candidate.

    ``candidate_losses`` and ``champion_losses`` are bounded losses in [0, 1] of the same fresh
    rows, shape (rows,), rows neither version learnt from; None where there is no champion or no
    labelled row. ``blocks`` names the block (the day) of each of these rows. ``latencies_ms``
    are times to score one row. ``contract`` holds one sentence for each way in which the
    candidate breaks the data contract of the one it shall replace. ``evidence`` is the newest of
    each kind on the version, its model and its pipeline; ``now`` is wall time, by which it ages.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    candidate_losses: Floats | None = None
    champion_losses: Floats | None = None
    blocks: npt.NDArray[np.generic] | None = None
    latencies_ms: Sequence[float] = ()
    contract: Sequence[str] = ()
    card: Card | None = None
    champion: int | None = None  #: for the words
    version: Version | None = None
    evidence: Sequence[Evidence] = ()
    now: float = 0.0
    steps: Mapping[str, str] = field(default_factory=dict)  #: of its run: target -> code digest
    measured: Measured = field(
        default_factory=Measured
    )  #: everything beyond losses, latency and contract
    at: float | None = None  #: event time of the gate
    rows: str | None = None  #: digest of the fresh rows
