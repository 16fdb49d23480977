"""What a run is to be, every part of it checked before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from mainspring.experiments.exact import exact_key, exact_text, param_text
from mainspring.experiments.reserved import GROUP
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import check_name


class Named(Protocol):
    """A run by its handle."""

    @property
    def id(self) -> str:
        """Return the run's id."""
        ...


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is to be, before it has begun."""

    experiment: str
    name: str | None
    params: dict[str, str]
    tags: dict[str, str]
    parent: str | None
    resume: str | None
    capture: bool


def plan_of(
    experiment: str,
    name: str | None,
    params: Mapping[str, Any] | None,
    tags: Mapping[str, Any] | None,
    group: str | None,
    parent: str | Named | None,
    resume: str | None,
    *,
    capture: bool,
) -> Plan:
    """Return what a run is to be, every part of it checked."""
    exact_text(experiment, "experiment")
    if not experiment.strip() or len(experiment) > 500:
        raise BadInputError("experiment must be 1 to 500 characters.", field="experiment")
    texts = {exact_key(k, "tag"): param_text(v, f"tag {k}") for k, v in (tags or {}).items()}
    if group is not None:
        texts[GROUP] = exact_key(group, "group")
    return Plan(
        experiment=experiment,
        name=None if name is None else exact_key(name, "name"),
        params=flattened(params or {}),
        tags=texts,
        parent=_id(parent if isinstance(parent, str | None) else parent.id, "parent"),
        resume=_id(resume, "resume"),
        capture=capture,
    )


def flattened(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Return params as text, those of nested dicts under dotted names.

    >>> flattened({"rate": 0.1, "model": {"depth": 3, "layers": [8, 8]}})
    {'rate': '0.1', 'model.depth': '3', 'model.layers': '[8,8]'}

    Raises:
        BadInputError: if two of them get the same name, or a value cannot be kept.
    """
    found: dict[str, str] = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise BadInputError(f"The name of a param must be text, found {key!r}.", field="param")
        name = f"{before}{key}"
        inner = {name: param_text(value, f"param {name}")} if not _nested(value) else None
        for full, text in (flattened(value, f"{name}.") if inner is None else inner).items():
            if full in found:
                raise BadInputError(f"Two params are called {full}.", field=full)
            found[exact_key(full, "param")] = text
    return found


def _nested(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value)


def _id(text: str | None, field: str) -> str | None:
    return None if text is None else check_name(text, field)
