"""The project's policy of columns: who owns each, where it comes from, and what is forbidden.

It is ``columns.toml`` beside ``project.py``::

    forbidden = ["ssn"]        # in no model, whatever it gains
    feature_us = 50.0          # microseconds that one feature of one row may cost

    [columns.carrier]
    owner = "data team"
    source = "timetable"
    personal = false           # looks like a name and is none

A column may also be ``private`` (it must be hashed or dropped before it is captured),
``deprecated`` (with what to use instead) or a ``proxy_of`` something protected.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.ground.nearest import meant
from mainspring.ground.objects import Record

FILE = "columns.toml"


class ColumnPolicy(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of one column."""

    owner: str = ""  #: who answers for it
    source: str = ""  #: where it comes from
    private: bool = False  #: it must be hashed or dropped before it is captured
    personal: bool | None = None  #: False: it looks personal, and a person says it is not
    deprecated: str = ""  #: what to use instead
    proxy_of: str = ""  #: the protected attribute it gives away


class Policy(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the project asks of columns."""

    forbidden: list[str] = []
    feature_us: float | None = None  #: microseconds that one feature of one row may cost
    columns: dict[str, ColumnPolicy] = {}


def read(text: str) -> Policy:
    """Return the policy that TOML text holds.

    Raises:
        BadInputError: naming the key that is not known, with the nearest one that is.

    Example:
        >>> read('forbidden = ["ssn"]').forbidden
        ['ssn']
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"{FILE} is not valid TOML: {error}", field=FILE) from error
    _check_keys(found, Policy, "")
    columns = found.get("columns", {})
    if not isinstance(columns, dict):
        raise BadInputError(f"{FILE}: columns must be tables.", field="columns")
    for name, told in columns.items():
        if isinstance(told, dict):
            _check_keys(told, ColumnPolicy, f"columns.{name}.")
    try:
        policy = msgspec.convert(found, Policy, strict=True)
    except msgspec.ValidationError as error:
        field = str(error).rpartition("$.")[2].rstrip("`")
        raise BadInputError(f"{FILE}: {error}", field=field) from error
    if policy.feature_us is not None and not 0 < policy.feature_us < 1e9:
        raise BadInputError(
            f"{FILE}: feature_us must be more than 0, found {policy.feature_us}.",
            field="feature_us",
        )
    return policy


def _check_keys(found: dict[str, Any], kind: type[msgspec.Struct], where: str) -> None:
    known = kind.__struct_fields__
    for key in found:
        if key not in known:
            raise BadInputError(
                f"{FILE} has an unknown key {where}{key}.",
                field=f"{where}{key}",
                hint=meant(key, known),
            )


def breaches(policy: Policy, names: Iterable[str]) -> list[str]:
    """Return in which ways a model's columns break the policy, a sentence each.

    Example:
        >>> breaches(read('forbidden = ["ssn"]'), ["ssn"])
        ['ssn is forbidden.']
    """
    found = []
    for name in names:
        if name in policy.forbidden:
            found.append(f"{name} is forbidden.")
            continue
        said = policy.columns.get(name)
        if said is None or not said.owner.strip() or not said.source.strip():
            lacks = "owner and source" if said is None else "owner or source"
            found.append(f"{name} has no {lacks}.")
        elif said.deprecated:
            found.append(f"{name} is deprecated: use {said.deprecated}.")
        elif said.proxy_of:
            found.append(f"{name} gives away {said.proxy_of}.")
    return found
