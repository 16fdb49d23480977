"""Does the version answer fast enough, small enough and soon enough, as it would be served?

Measured over HTTP against a process of its own on this machine. A busy machine only ever adds, so
the calmest of some rounds counts. A request that failed fails the check, whatever the times say.
"""

from __future__ import annotations

import msgspec

from mainspring.ground.limits import LoadLimits
from mainspring.ground.objects import CheckResult, Gate
from mainspring.readiness.inputs import GateInputs
from mainspring.readiness.measured import LoadMeasured


def check(inputs: GateInputs, policy: Gate) -> list[CheckResult]:
    """Return whether the load test stayed within its limits; not measured is not passed."""
    if policy.load is None:
        return []
    found = inputs.measured.load
    if found is None or found.why:
        why = "there was no load test" if found is None else found.why
        return [_result(False, f"not measured: {why}", policy.load, found)]
    broken = exceeded(found, policy.load)
    told = "; ".join(broken) if broken else said(found)
    return [_result(not broken, told, policy.load, found)]


def exceeded(found: LoadMeasured, limits: LoadLimits) -> list[str]:
    """Return in words which limits a load test broke."""
    out = []
    if found.errors:
        out.append(f"{found.errors} requests were not answered")
    for name, value, most, unit in (
        ("p95", found.p95_ms, limits.max_p95_ms, "ms"),
        ("p99", found.p99_ms, limits.max_p99_ms, "ms"),
        ("memory", found.memory_mb, limits.max_memory_mb, "MB"),
        ("cold start", found.cold_start_s, limits.max_cold_start_s, "s"),
    ):
        if most is not None and value is None:
            out.append(f"{name} was not measured")
        elif most is not None and value is not None and value > most:
            out.append(f"{name} {value:.3g} {unit}, more than {most:.4g}")
    if limits.least_rps is not None:
        if found.rps is None:
            out.append("throughput was not measured")
        elif found.rps < limits.least_rps:
            out.append(f"{found.rps:.0f} answers a second, fewer than {limits.least_rps:.4g}")
    return out


def said(found: LoadMeasured) -> str:
    """Return the figures of a load test in one sentence's words."""
    if found.why:
        return f"not measured: {found.why}"
    memory = "" if found.memory_mb is None else f", {found.memory_mb:.0f} MB"
    return (
        f"p50 {found.p50_ms:.3g}, p95 {found.p95_ms:.3g}, p99 {found.p99_ms:.3g} ms and"
        f" {found.rps:.0f} answers a second with {found.connections} connections"
        f" ({found.requests} requests, the calmest of {len(found.rounds)} rounds){memory},"
        f" cold start {found.cold_start_s:.2f} s"
    )


def _result(
    passed: bool, found: str, limits: LoadLimits, measured: LoadMeasured | None
) -> CheckResult:
    asked = [
        f"{name} at most {most:.4g} {unit}"
        for name, most, unit in (
            ("p95", limits.max_p95_ms, "ms"),
            ("p99", limits.max_p99_ms, "ms"),
            ("memory", limits.max_memory_mb, "MB"),
            ("cold start", limits.max_cold_start_s, "s"),
        )
        if most is not None
    ]
    if limits.least_rps is not None:
        asked.append(f"at least {limits.least_rps:.4g} answers a second")
    return CheckResult(
        name="load",
        passed=passed,
        found=found,
        wanted=", ".join(asked) or "every request answered",
        evidence={} if measured is None else msgspec.to_builtins(measured),
    )
