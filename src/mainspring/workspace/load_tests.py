"""Test a version's load by hand, as the gate does, and keep what came as evidence."""

from __future__ import annotations

import msgspec

from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.limits import CapacityAsked, LoadLimits
from mainspring.ground.objects import Evidence, Version
from mainspring.ground.permissions import Permission, authorise
from mainspring.ground.ports import Tx
from mainspring.readiness import evidence, facts, registry
from mainspring.readiness.measured import CapacityMeasured, LoadMeasured
from mainspring.scaling.models import package
from mainspring.workspace import calling, gates
from mainspring.workspace.handlers.judging import AS_SERVED
from mainspring.workspace.measuring import written
from mainspring.workspace.opening import Workspace


def load_test(
    ws: Workspace, model: str, number: int, limits: LoadLimits | None = None
) -> Evidence:
    """Ask a version over HTTP in a process of its own; return the evidence, which is kept.

    Without ``limits`` those of the model's gate are taken, if it has any.

    Raises:
        NotFoundError: if there is no such version.
        ConflictError: if it holds no model that can be served.
    """
    version, declared = _version(ws, model, number)
    asked = limits or declared or LoadLimits()
    payload = {"candidate": version.package, "limits": msgspec.to_builtins(asked)}
    found = calling.child(ws, "load_test", payload, env=AS_SERVED)
    made = written.of_load(
        f"{version.model}/{number}",
        msgspec.convert(found["load"], LoadMeasured),
        asked,
        ws.clock.now(),
        ws.who.name,
        opens=[f"/models/{version.model}/{number}"],
        automatic=False,
    )
    ws.write(Permission.REGISTER, lambda tx: evidence.record(tx, made))
    return made


def capacity(
    ws: Workspace, model: str, number: int, asked: CapacityAsked | None = None
) -> Evidence:
    """Find how much one worker of a version can answer; return the evidence, which is kept.

    Raises:
        NotFoundError: if there is no such version.
        ConflictError: if it holds no model that can be served.
        BadInputError: if what is asked for cannot be.
    """
    version, _ = _version(ws, model, number)
    asked = _checked(asked or CapacityAsked())
    payload = {"candidate": version.package, "asked": msgspec.to_builtins(asked)}
    found = calling.child(ws, "capacity", payload, env=AS_SERVED)
    made = written.of_capacity(
        f"{version.model}/{number}",
        msgspec.convert(found["capacity"], CapacityMeasured),
        asked,
        ws.clock.now(),
        ws.who.name,
        f"/models/{version.model}/{number}",
    )
    ws.write(Permission.REGISTER, lambda tx: evidence.record(tx, made))
    return made


def _version(ws: Workspace, model: str, number: int) -> tuple[Version, LoadLimits | None]:
    """Return a version that can be served, and what its model's gate says of load."""
    authorise(ws.who, Permission.REGISTER)

    def look(tx: Tx) -> tuple[Version, LoadLimits | None]:
        name = facts.called(tx, model)
        return registry.get(tx, name, number), gates.of_model(tx, name).gate.load

    version, declared = ws.read(Permission.READ, look)
    if not package.holds_model(version.package, ws.objects):
        raise ConflictError(
            f"{version.model}/{number} holds no model that can be served.",
            field="number",
            hint="One that a client registered is made ready by: mainspring judge",
        )
    return version, declared


def _checked(asked: CapacityAsked) -> CapacityAsked:
    for field, low, high, unit in (
        ("rate", 0.001, 1e7, "requests a second"),
        ("p99_ms", 0.1, 3.6e6, "ms"),
        ("connections", 1, 256, "connections"),
        ("step_s", 0.1, 30, "s"),
    ):
        value = getattr(asked, field)
        if value is not None and not low <= value <= high:
            raise BadInputError(
                f"{field} must be {low:g} to {high:g} {unit}, found {value:g}.", field=field
            )
    return asked
