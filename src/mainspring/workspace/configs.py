"""The configuration of a run, a version or a loop, as flat keys that can be compared."""

from __future__ import annotations

import msgspec

from mainspring.engine import reactor
from mainspring.experiments import artifacts, runs
from mainspring.experiments.capture import packages
from mainspring.experiments.capture.facts import ENVIRONMENT, EnvironmentFile
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.flat import flatten
from mainspring.ground.objects import LoopSpec, Run, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines import runs as pipelines
from mainspring.readiness import registry
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up

_CODE = ("mainspring.git.commit", "mainspring.git.branch", "mainspring.git.dirty")


def configuration(ws: Workspace, ref: str) -> dict[str, str]:
    """Return what decides how something behaves, flat and by name.

    ``ref`` is a run's id, ``model/7`` or ``model@alias`` (what its run was given, what it takes
    and gives, its data), or ``loop:NAME`` and ``loop:NAME@2`` (the loop's second declaration).

    Raises:
        BadInputError: if it is none of these.
        NotFoundError: if what it names is not there.
    """
    caught_up(ws)
    return ws.read(Permission.READ, lambda tx: _of(ws, tx, ref))


def _of(ws: Workspace, tx: Tx, ref: str) -> dict[str, str]:
    kind, colon, name = ref.partition(":")
    if colon and kind == "loop":
        return flatten(msgspec.to_builtins(_loop(tx, name)))
    if colon and kind == "run":
        return _of_run(ws, tx, runs.get(tx, name))
    if "/" in ref or "@" in ref:
        return _of_version(ws, tx, registry.resolve(tx, ref))
    if ref.startswith("run_") or len(ref) == 32:  # MLflow clients know runs by 32 digits
        return _of_run(ws, tx, runs.get(tx, ref))
    raise BadInputError(
        f"{ref[:80]!r} names no configuration.",
        field="ref",
        hint="Name a run (run_01j9...), a version (flights/7), a loop (loop:flights), or a file.",
    )


def _loop(tx: Tx, text: str) -> LoopSpec:
    name, mark, number = text.partition("@")
    if not mark:
        return reactor.spec(tx, name)
    if not (number.isascii() and number.isdecimal()):
        raise BadInputError(
            f"A declaration of a loop is named loop:NAME@2, found {text[:80]!r}.", field="ref"
        )
    return reactor.spec(tx, name, int(number))


def _of_run(ws: Workspace, tx: Tx, run: Run) -> dict[str, str]:
    found = {f"params.{name}": value for name, value in run.params.items()}
    if run.pipeline is not None:
        found["pipeline"] = run.pipeline
    found |= {
        name.removeprefix("mainspring."): run.tags[name] for name in _CODE if name in run.tags
    }
    for step in pipelines.steps_of(tx, run.id):
        found |= {f"inputs.{step.step}.{name}": digest for name, digest in step.inputs.items()}
    return found | _packages(ws, tx, run.id)


def _packages(ws: Workspace, tx: Tx, run: str) -> dict[str, str]:
    try:
        digest = artifacts.get(tx, run, ENVIRONMENT).digest
    except NotFoundError:
        return {}  # a run that kept nothing of its environment
    if not ws.objects.has(digest):
        return {}
    told = msgspec.json.decode(ws.objects.get(digest), type=EnvironmentFile).packages
    if told is None:
        return {}
    installed = packages.versions(told.installed)
    return {"python": told.python} | {f"packages.{name}": v for name, v in installed.items()}


def _of_version(ws: Workspace, tx: Tx, version: Version) -> dict[str, str]:
    found = {f"data.{name}": digest for name, digest in version.data.items()}
    found |= flatten({"signature": msgspec.to_builtins(version.signature)})
    if version.code:
        found["code"] = version.code
    if version.card is not None:
        found |= flatten({"card": msgspec.to_builtins(version.card)})
    if version.run is None:
        return found
    try:
        return found | _of_run(ws, tx, runs.get(tx, version.run))
    except NotFoundError:
        return found  # its run was deleted, or never was here
