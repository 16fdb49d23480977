"""Is one row scored fast enough?"""

from __future__ import annotations

import numpy as np

from mainspring.ground.objects import CheckResult, Gate
from mainspring.readiness.inputs import GateInputs


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return whether the 95th percentile of the measured times is within the limit.

    It is the smallest measured time that at least 95 % of the times do not exceed, so it is
    never a time that nobody measured. Not measured is not passed.
    """
    wanted = f"at most {policy.max_latency_ms:.4g} ms for one row, 95th percentile"
    times = np.asarray(inputs.latencies_ms, dtype=np.float64)
    if times.size == 0 or not np.isfinite(times).all():
        found = "no latency was measured" if times.size == 0 else "a time is not a number"
        return [CheckResult(name="latency", passed=False, found=found, wanted=wanted)]
    p50, p95 = np.quantile(times, [0.5, 0.95], method="inverted_cdf")
    return [
        CheckResult(
            name="latency",
            passed=bool(p95 <= policy.max_latency_ms),
            found=f"{p95:.3g} ms in {times.size} requests",
            wanted=wanted,
            evidence={"p50_ms": float(p50), "p95_ms": float(p95), "requests": int(times.size)},
        )
    ]
