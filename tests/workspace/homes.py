"""Homes for tests: a declared loop, an executor without processes, an engine by hand."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TypeVar

import msgspec

from mainspring.ground.errors import MainspringError
from mainspring.ground.objects import (
    DAY_S,
    CheckResult,
    EndpointLimits,
    LoopSpec,
    MonitorPolicy,
    RolloutPolicy,
    Version,
)
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Call, Outcome, Tx
from mainspring.readiness import gate, registry
from mainspring.scaling.models import package
from mainspring.workspace.engines import make_engine
from mainspring.workspace.opening import Workspace

T = TypeVar("T")
NOW = 1_800_000_000.0
#: Of endpoints in tests: nobody is sent away because a busy machine is late.
PATIENT = EndpointLimits(deadline_ms=60_000, timeout_ms=60_000)
LOOP = LoopSpec(
    name="tide",
    model="tide",
    pipeline="project:tide",
    endpoint="tide",
    target="y",
    kind="binary",
    time="t",
    rollout=RolloutPolicy(watch_s=0.0),
    monitor=MonitorPolicy(window_s=DAY_S, label_delay_s=DAY_S, min_rows=50),
)


class InProcess:
    """An executor without processes, for tests that are not about them.

    ``fates`` are outcomes to give instead of running, the first first.
    """

    def __init__(self) -> None:
        self.fates: list[Outcome] = []
        self.calls: list[str] = []

    def run(self, call: Call, cancelled: Callable[[], bool] | None = None) -> Outcome:
        module, _, name = call.target.partition(":")
        self.calls.append(name)
        if self.fates:
            return self.fates.pop(0)
        try:
            value = getattr(importlib.import_module(module), name)(call.payload)
        except MainspringError as error:
            trace = getattr(error, "trace", "")
            types = [kind.__name__ for kind in type(error.__cause__ or error).__mro__]
            return Outcome(ok=False, error=str(error), code=error.code, trace=trace, types=types)
        return Outcome(ok=True, value=msgspec.to_builtins(value))

    def close(self) -> None:
        """Nothing is held."""


def work_as_engine(ws: Workspace, work: Callable[[Tx], T]) -> T:
    """Write as the engine may."""
    return ws.acting_as(service("test")).write(Permission.WORK, work)


def add_version(
    ws: Workspace, number: int, digest: str, *, passed: bool, model: str = "tide"
) -> None:
    version = Version(
        model=model,
        number=0,
        run=None,
        package=digest,
        signature=package.signature(digest, ws.objects),
        card=None,
        metrics={},
        created=NOW,
        by="test",
        command=f"made-{model}-{number}",
    )
    check = CheckResult(name="auc", passed=passed, found="0.8", wanted="0.7")

    def work(tx: Tx) -> None:
        registry.register(tx, version)
        gate.store_result(tx, gate.result(model, number, [check], NOW, "engine"))

    work_as_engine(ws, work)


def settle(ws: Workspace, *, scanning: bool = False) -> None:
    """Let an engine of this thread do what there is to do, turning the clock over waits."""
    engine = make_engine(ws, "test", scanning=scanning)
    for _ in range(500):
        if not engine.step_once():
            if engine.quiet():
                break
            ws.clock.turn(60.0)  # type: ignore[attr-defined]
    assert engine.quiet()
    assert not engine.troubles, engine.troubles
