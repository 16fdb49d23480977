"""Call a user's function once: its seed set, its metrics gathered, its failure told."""

from __future__ import annotations

import inspect
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mainspring.experiments.exact import exact_float, exact_key
from mainspring.experiments.trial import Pruned, Tell, Trial
from mainspring.experiments.trial import entered as entered_trial
from mainspring.ground.clock import SystemClock
from mainspring.ground.errors import BadInputError, MainspringError, ProjectError, StepFailedError
from mainspring.ground.settings import Settings
from mainspring.pipelines import project
from mainspring.pipelines.context import pack
from mainspring.pipelines.declare import Pipeline, Step
from mainspring.pipelines.parameters import fitted
from mainspring.pipelines.raised import users_trace
from mainspring.workspace.families.joined import JoinedRun


class Called(Pipeline[..., Any]):
    """A plain function, so that its params are read as a pipeline's are."""

    word = "function"


def find(root: str, target: str) -> Pipeline[..., Any]:
    """Return the pipeline or the function that a target names.

    Raises:
        ProjectError: if it is not there, or is no function whose params have names.
    """
    module, name = project.split_target(target)
    found = project.attribute(project.import_module(Path(root), module), name)
    return found if isinstance(found, Pipeline) else as_called(found)


def as_called(found: Any) -> Called:
    """Return a function as one whose params can be read.

    Raises:
        ProjectError: if it cannot be called, or takes ``*args`` or ``**kwargs``.
    """
    function = found.function if isinstance(found, Step) else found
    if not callable(function) or not hasattr(function, "__name__"):
        raise ProjectError(f"A function is wanted, found {type(found).__name__}.", field="target")
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ProjectError(
                f"Function {function.__name__} takes any number of arguments ({name}).",
                field="target",
                hint="Name each parameter: they are set, and shown, by name.",
            )
    return Called(function)


def described(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a target is, the names of its params, and the given ones as their types.

    ``varied`` are params that will be set later; they must be there.
    """
    found = find(payload["root"], payload["target"])
    return describe(found, payload["params"], payload["varied"]) | {
        "target": f"{found.function.__module__}:{found.function.__qualname__}",
    }


def describe(
    found: Pipeline[..., Any], params: Mapping[str, Any], varied: list[str]
) -> dict[str, Any]:
    """Return whether it is a pipeline, its name, its params' names, and those given, read.

    Raises:
        BadInputError: for a param that is unknown, missing or of the wrong type.
    """
    names = list(inspect.signature(found.function).parameters)
    if "seed" in names and "seed" not in params:
        varied = [*varied, "seed"]  # a repeat gives it
    for name in varied:
        if name not in names:
            raise BadInputError(
                f"{found.word.capitalize()} {found.name} has no parameter {name!r}.",
                field=name,
                hint=f"It has: {', '.join(names) or 'none'}.",
            )
    kept = {k: v for k, v in params.items() if k not in varied}
    return {
        "pipeline": not isinstance(found, Called),
        "name": found.name,
        "names": names,
        "params": fitted(found, kept, later=varied),
    }


def run(payload: Mapping[str, Any], tell: Tell | None) -> dict[str, Any]:
    """Import a function and call it: what runs in a process of its own."""
    seed = payload.get("seed")
    found = find(payload["root"], payload["target"])
    if seed is not None:
        set_seeds(seed)
    return call(found.function, payload, msgspec.convert(payload["settings"], Settings), tell)


def call(
    function: Callable[..., Any],
    payload: Mapping[str, Any],
    settings: Settings,
    tell: Tell | None,
) -> dict[str, Any]:
    """Call a function with its params and return its metrics, and whether it was pruned.

    Inside, ``ms.log`` and ``ms.current_run()`` mean the run of this call.
    Returns ``metrics`` ([key, value, step, time], as a step gathers them) and ``pruned``.

    Raises:
        StepFailedError: if it raised; with the user's lines only.
        BadInputError: if it returned what is no metric.
    """
    params = dict(payload["params"])
    trial = Trial(int(payload["number"]), params, tell)
    joined = JoinedRun(settings, str(payload["run"]), str(payload["experiment"]))
    name = function.__name__
    pruned = False
    with joined, entered_trial(trial):
        try:
            value = function(**params)
        except Pruned:
            value, pruned = None, True
        except MainspringError:
            raise
        except (Exception, SystemExit) as error:  # the user's code may raise anything
            first = str(error).strip().partition("\n")[0][:500]
            told = f"{type(error).__name__}: {first}" if first else type(error).__name__
            raise StepFailedError(f"{name} failed: {told}", trace=users_trace(error)) from error
    now = SystemClock().now()
    found = returned(value, str(payload["metric"]), name)
    points = [[exact_key(key, "metric"), pack(one), None, now] for key, one in found.items()]
    return {"metrics": points, "pruned": pruned}


def returned(value: Any, metric: str, name: str) -> dict[str, float]:
    """Return what a function returned as metrics: a number, or numbers by name, or nothing.

    >>> returned(0.5, "auc", "train"), returned({"auc": 1}, "", "train"), returned(None, "", "f")
    ({'auc': 0.5}, {'auc': 1.0}, {})

    Raises:
        BadInputError: if it is something else.
    """
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {str(key): exact_float(one, f"{name}: {key}") for key, one in value.items()}
    if isinstance(value, str | bytes) or not hasattr(value, "__float__"):
        raise BadInputError(
            f"{name} returned a {type(value).__name__}; a number, or a dict of numbers by"
            " metric, is wanted.",
            hint="Log other values inside of the function.",
        )
    return {metric or "value": exact_float(value, f"what {name} returned")}


def set_seeds(seed: int) -> None:
    """Seed ``random``, numpy, and torch where it is loaded."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
