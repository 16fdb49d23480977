"""What a run is to be, every part of it checked before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from mainspring.experiments.exact import exact_key, param_text, plain_name
from mainspring.experiments.frames import check_count
from mainspring.experiments.reserved import GROUP
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import check_name

_DEEPEST = 50  #: levels of params within params


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
    experiment = plain_name(experiment, "experiment", 500)
    texts = {exact_key(k, "tag"): param_text(v, f"tag {k}") for k, v in (tags or {}).items()}
    if group is not None:
        texts[GROUP] = exact_key(group, "group")
    flat = flattened(params or {})
    check_count(len(texts), "tags")
    check_count(len(flat), "params")
    return Plan(
        experiment=experiment,
        name=None if name is None else exact_key(name, "name"),
        params=flat,
        tags=texts,
        parent=_id(parent if isinstance(parent, str | None) else parent.id, "parent"),
        resume=_id(resume, "resume"),
        capture=capture,
    )


def flattened(values: Mapping[str, Any], before: str = "", depth: int = 0) -> dict[str, str]:
    """Return params as text, those of nested dicts under dotted names.

    >>> flattened({"rate": 0.1, "model": {"depth": 3, "layers": [8, 8]}})
    {'rate': '0.1', 'model.depth': '3', 'model.layers': '[8,8]'}

    Raises:
        BadInputError: if two of them get the same name, or a value cannot be kept.
    """
    if depth > _DEEPEST:
        raise BadInputError(
            f"param {before[:60]}... is nested deeper than {_DEEPEST} levels.", field="param"
        )
    found: dict[str, str] = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise BadInputError(f"The name of a param must be text, found {key!r}.", field="param")
        name = f"{before}{key}"
        inner = {name: param_text(value, f"param {name}")} if not _nested(value) else None
        if inner is None:
            inner = flattened(value, f"{name}.", depth + 1)
        for full, text in inner.items():
            kept = exact_key(full, "param")
            if kept in found:
                raise BadInputError(f"Two params are called {kept}.", field=kept)
            found[kept] = text
    return found


def _nested(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value)


def _id(text: str | None, field: str) -> str | None:
    return None if text is None else check_name(text, field)
