"""The policies that history is replayed through: named ones, changed ones, and those of a file.

A contender is a retraining and a rollout policy as a loop declares them. The named ones differ
in what makes them train; all but ``default`` let what they trained serve at once, so that one
sees what a trigger alone is worth. ``default`` is the loop's own: gate, rollout, watch.

The default policy was made for windows of a week (check every 7 days, rest for 14). On a stream
whose windows are longer or shorter its lengths of time are stretched alike, and those of the
other named ones too. What is written out, ``cooldown=7d``, is real time, and ``cooldown=2p`` two
periods of the stream.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError
from mainspring.ground.nearest import nearest
from mainspring.ground.objects import DAY_S, Record, RetrainingPolicy, RolloutPolicy

WEEK_S = 7 * DAY_S
_PERIODS = re.compile(r"(\d+(?:\.\d+)?)\s*p")
_ENDLESS = 1_000_000
#: Just below: what is due after a whole period must not miss it by a rounding.
_JUST = 1 - 1e-9


class Contender(Record, frozen=True, kw_only=True):
    """A policy to be replayed."""

    name: str
    retraining: RetrainingPolicy
    rollout: RolloutPolicy = RolloutPolicy()
    gated: bool = True  #: False: what is trained serves at once, without gate and rollout
    minutes: float | None = None  #: of computing that one retraining takes, if it is known


#: Lengths of time here are in periods.
_OFF: dict[str, Any] = {
    "on_drift": "note",
    "on_performance": "note",
    "check_every_s": None,
    "check_cooldown_s": 0.0,
    "cooldown_s": 0.99,
    "budget": _ENDLESS,
}
#: Asked in every window: less than one, and above 0, or an answer would ask again.
_CHECKED: dict[str, Any] = {"check_every_s": 0.01, "check_cooldown_s": 0.01}
_NAMED: dict[str, dict[str, Any]] = {
    "static": {},
    "every-period": {"max_age_s": 0.99},
    "monthly": {"schedule": "0 0 1 * *", "cooldown_s": 0.0},
    "weekly": {"schedule": "0 0 * * 1", "cooldown_s": 0.0},
    "drift": {"on_drift": "retrain"},
    "performance": {"on_performance": "retrain"},
    "regret": _CHECKED,
    "regret-or-performance": _CHECKED | {"on_performance": "retrain"},
}
NAMES = (*_NAMED, "default")
#: What these were called when there were three.
_FORMERLY = {"periodic": "every-period", "loop": "default"}
_ROLLOUT = {"strategy", "share", "alpha", "harm_alpha", "margin"}


class Pace(Record, frozen=True):
    """How long a stream's periods and the windows in them are, in seconds."""

    period_s: float = WEEK_S
    window_s: float = WEEK_S


def named(name: str, pace: Pace) -> Contender:
    """Return a policy by its name, at the pace of a stream.

    >>> named("default", Pace()).retraining == RetrainingPolicy()
    True
    >>> named("drift", Pace()).retraining.on_drift
    'retrain'

    Raises:
        BadInputError: if there is no such policy.
    """
    wanted = _FORMERLY.get(name, name)
    if wanted not in NAMES:
        raise BadInputError(
            f"There is no policy {name!r}; known: {', '.join(NAMES)}.{_nearest(name, NAMES)}",
            field="policy",
        )
    if wanted == "default":
        scale = pace.window_s / WEEK_S * (1.0 if pace.window_s == WEEK_S else _JUST)
        return Contender(
            name=name,
            retraining=_scaled(RetrainingPolicy(), scale),
            rollout=_scaled(RolloutPolicy(), scale),
        )
    lengths = {
        key: value * pace.period_s if key.endswith("_s") and value is not None else value
        for key, value in (_OFF | _NAMED[wanted]).items()
    }
    policy = RetrainingPolicy(**lengths, holdout_s=pace.window_s * _JUST)
    return Contender(name=name, retraining=policy, gated=False)


def parse(text: str, pace: Pace, declared: Contender | None = None) -> Contender:
    """Return the policy that a text asks for: a name, a name with changes, or a file.

    ``default,cooldown=7d,cost=40`` changes two lines of the default; ``3p`` is three periods. A
    file (TOML or JSON) holds the same lines, with ``base`` for the name it begins with.
    ``declared`` is what that word stands for.

    Raises:
        BadInputError: naming what is not known or cannot be.
    """
    if text.endswith((".toml", ".json")):
        fields = _file(Path(text))
        base, name = str(fields.pop("base", "default")), str(fields.pop("name", Path(text).stem))
    else:
        base, *lines = (part.strip() for part in text.split(","))
        fields, name = dict(_line(part) for part in lines if part), text
    if base == "declared":
        if declared is None:
            raise BadInputError("Only a loop has a declared policy.", field="policy")
        begun = declared
    else:
        begun = named(base, pace)
    return msgspec.structs.replace(_changed(begun, fields, pace.period_s), name=name)


def _line(part: str) -> tuple[str, str]:
    key, found, value = part.partition("=")
    if not found:
        raise BadInputError(
            f"{part!r} is no change of a policy.", field="policy", hint="Write cooldown=7d."
        )
    return key.strip().replace("-", "_"), value.strip()


def _file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text()
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path} is no policy: {error}.", field="policy") from error
    if not isinstance(found, dict):
        raise BadInputError(f"{path} must hold names and values.", field="policy")
    return found


def _changed(base: Contender, fields: dict[str, Any], period_s: float) -> Contender:
    of: dict[type, dict[str, Any]] = {RetrainingPolicy: {}, RolloutPolicy: {}, Contender: {}}
    known: dict[str, tuple[type, str, Any]] = {}
    parts: tuple[tuple[type, set[str] | None], ...]
    parts = ((RetrainingPolicy, None), (RolloutPolicy, None), (Contender, _OWN))
    for kind, names in parts:
        for name, hint in get_type_hints(kind).items():
            if names is None or name in names:
                # budget counts retrainings and budget_s their seconds: that one keeps its unit.
                short = name.removesuffix("_s")
                known[name if short in known else short] = (kind, name, hint)
    for key, value in fields.items():
        if key not in known:
            raise BadInputError(
                f"A policy has no {key!r}.{_nearest(key, known)}",
                field="policy",
                hint=f"It has {', '.join(sorted(known))}.",
            )
        owner, name, hint = known[key]
        of[owner][name] = _value(key, value, name, hint, period_s)
    return msgspec.structs.replace(
        base,
        retraining=_checked(base.retraining, of[RetrainingPolicy]),
        rollout=_checked(base.rollout, of[RolloutPolicy]),
        **of[Contender],
    )


_OWN = {"gated", "minutes"}


def _value(key: str, value: Any, name: str, hint: Any, period_s: float) -> Any:
    if (
        isinstance(value, str)
        and value.lower() in ("none", "off")
        and type(None) in get_args(hint)
    ):
        return None
    if name.endswith("_s"):
        if isinstance(value, str) and (found := _PERIODS.fullmatch(value)):
            return float(found[1]) * period_s * _JUST
        return seconds(value, key)
    try:
        return msgspec.convert(value, hint, strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        raise BadInputError(f"{key}={value!r} cannot be: {error}.", field="policy") from error


def _checked(record: Any, changes: dict[str, Any]) -> Any:
    changed = msgspec.structs.replace(record, **changes)
    try:
        return msgspec.convert(msgspec.to_builtins(changed), type(record))
    except msgspec.ValidationError as error:
        raise BadInputError(f"The policy cannot be: {error}.", field="policy") from error


def _scaled(record: Any, scale: float) -> Any:
    lengths = {
        name: getattr(record, name) * scale
        for name in record.__struct_fields__
        if name.endswith("_s") and getattr(record, name) is not None
    }
    return msgspec.structs.replace(record, **lengths)


def _nearest(name: str, known: Iterable[str]) -> str:
    found = nearest(name, known)
    return "" if found is None else f" Did you mean {found!r}?"
