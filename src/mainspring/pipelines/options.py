"""How a step is run: the options of ``@step``, and what each may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import msgspec

from mainspring.ground.contracts import Contract
from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError
from mainspring.ground.sizes import in_bytes

MOST_WORKERS = 256
MOST_AGE_S = 100 * 365.25 * 86_400
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_OLDEST = 11  # of Python 3, for our own code


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What a step asks of the machine, each of its workers."""

    cpus: int | None = None  #: that it uses; None: not said, and nothing is kept free for it
    memory: int | None = None  #: bytes it may use; it is ended beyond
    gpus: int = 0


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """How often, and how soon, a step is tried again after some types of error.

    ``on`` are types of error, as classes or names, subclasses included; without it, any.
    ``most`` further tries, the first ``backoff_s`` seconds later and each next one
    ``backoff_rate`` times as long after, at most ``max_delay_s``; with ``jitter`` a part of that
    drawn by chance.

    >>> Retry(on=["OSError"], most=5).backoff_rate
    2.0
    """

    on: Any = ()
    most: int = 3
    backoff_s: float = 1.0
    backoff_rate: float = 2.0
    max_delay_s: float = 300.0
    jitter: bool = False


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a step is run, as it is kept in the graph: plain data only."""

    retries: int = 0  #: further tries after the step raised
    retry_on: list[str] = []  #: what is tried again, by the names of types; empty: whatever
    backoff_s: float = 1.0  #: before the first further try
    backoff_rate: float = 2.0  #: by which the wait grows with each try
    max_delay_s: float = 300.0  #: longer waits than that are cut
    jitter: bool = False  #: wait a part of it drawn by chance, so that many do not come at once
    retry: list[Retry] = []  #: by type of error: the first that fits counts; instead of these
    timeout_s: float | None = None
    heartbeat_s: float | None = None  #: it is ended when it gives no sign of life for so long
    cache: bool = True  #: False: the step runs anew in every run
    max_age_s: float | None = None  #: older results are not reused; None: however old
    env: str | list[str] | None = None  #: a file of requirements, or requirements; None: ours
    python: str | None = None  #: the version of Python it runs in, such as 3.12
    workers: int = 1  #: ranked processes that work on it together
    resources: Resources = Resources()
    files: list[str] = []  #: of the project, on which its result depends
    variables: list[str] = []  #: of the environment, on which its result depends
    secrets: list[str] = []  #: names of variables it is given, whose values nobody sees

    @property
    def rules(self) -> list[Retry]:
        """Return how it is tried again, by type of error: the first rule that fits counts."""
        return self.retry or [
            Retry(
                on=self.retry_on,
                most=self.retries,
                backoff_s=self.backoff_s,
                backoff_rate=self.backoff_rate,
                max_delay_s=self.max_delay_s,
                jitter=self.jitter,
            )
        ]

    @property
    def apart(self) -> bool:
        """Return whether the step runs in an environment of its own."""
        return self.env is not None or self.python is not None


class Given(TypedDict, total=False):
    """What ``@step`` takes; :func:`settle` makes Options of it. ``expects`` is kept apart."""

    retries: int
    retry_on: str | type[BaseException] | Sequence[str | type[BaseException]]
    backoff_s: float
    backoff_rate: float
    max_delay_s: float
    jitter: bool
    retry: Retry | Sequence[Retry]
    timeout_s: float | None
    heartbeat_s: float | None
    cache: bool | str | float
    env: str | Sequence[str] | None
    python: str | None
    workers: int
    resources: Mapping[str, Any] | None
    secrets: Sequence[str]
    expects: Contract | Mapping[str, Contract] | None


class GivenToStep(Given, total=False):
    """What ``@step`` takes besides: a program has files and variables in a sense of its own."""

    files: Sequence[str]
    variables: Sequence[str]


def settle(given: Mapping[str, Any]) -> Options:
    """Return the options of a step, each checked.

    Raises:
        BadInputError: naming the option that is unknown or cannot be so.
    """
    known = [name for name in Options.__struct_fields__ if name != "max_age_s"]  # cache sets it
    for name, value in given.items():
        if name not in known:
            raise BadInputError(
                f"A step has no option {name!r}.",
                field=name,
                hint=f"It has: {', '.join([*known, 'expects'])}.",
            )
        if name in _CHECKS:
            _CHECKS[name](name, value)
    env = given.get("env")
    kept = dict(given) | ({"env": list(env)} if isinstance(env, list | tuple) else {})
    kept |= {name: list(kept[name]) for name in ("files", "variables") if name in kept}
    if "cache" in kept:
        kept |= _reuse(kept["cache"])
    if "secrets" in kept:
        kept["secrets"] = list(dict.fromkeys(kept["secrets"]))
    if "resources" in kept:
        kept["resources"] = resources(kept["resources"])
    if "retry_on" in kept:
        kept["retry_on"] = names_of_errors("retry_on", kept["retry_on"])
    if "retry" in kept:
        kept["retry"] = _rules(kept)
    return Options(**kept)


def _reuse(given: object) -> dict[str, Any]:
    """Return whether results are reused, and how old they may be: ``True``, ``"7d"``, ``3600``.

    >>> _reuse("7d")
    {'cache': True, 'max_age_s': 604800.0}

    Raises:
        BadInputError: for what is neither, or no time at all.
    """
    if isinstance(given, bool):
        return {"cache": given}
    wanted = 'True, False or how old a result may be, such as "12h" or "7d"'
    if not isinstance(given, str | int | float):
        raise _wrong("cache", wanted, given)
    try:
        age = seconds(given, "cache")
    except BadInputError as error:
        raise _wrong("cache", wanted, given) from error
    if not 0 < age <= MOST_AGE_S:
        raise _wrong("cache", "above 0 and at most 100 years; False reuses nothing", given)
    return {"cache": True, "max_age_s": age}


def _rules(given: Mapping[str, Any]) -> list[Retry]:
    """Return rules of trying again, checked, with the names of their types of error."""
    found = given["retry"]
    rules = list(found) if isinstance(found, list | tuple) else [found]
    both = sorted(set(given) & {"retries", "retry_on", "backoff_s", "backoff_rate", "jitter"})
    if both:
        raise BadInputError(
            f"retry says all of it: {both[0]} is of no use beside it.",
            field=both[0],
            hint="Put it into a rule: ms.Retry(on=OSError, most=3, backoff_s=1.0).",
        )
    for rule in rules:
        if not isinstance(rule, Retry):
            raise _wrong("retry", "ms.Retry(...), or a list of them", rule)
        _whole("retry's most", rule.most)
        _switch("retry's jitter", rule.jitter)
        _seconds("retry's backoff_s", rule.backoff_s)
        _seconds("retry's max_delay_s", rule.max_delay_s)
        _growing("retry's backoff_rate", rule.backoff_rate)
    return [
        msgspec.structs.replace(rule, on=names_of_errors("retry's on", rule.on)) for rule in rules
    ]


def rules_of(retries: object, retry: object) -> list[dict[str, Any]]:
    """Return how a whole shape is tried again, as plain data: ``retries``, or rules by type.

    >>> rules_of(2, ())[0]["most"], rules_of(0, ())
    (2, [])

    Raises:
        BadInputError: for what is neither, or for both.
    """
    given: dict[str, Any] = {"retries": retries} if retries != 0 else {}
    given |= {"retry": retry} if isinstance(retry, Retry) or retry else {}
    found = [rule for rule in settle(given).rules if rule.most]
    return [dict(msgspec.to_builtins(rule)) for rule in found]


def resources(given: object) -> Resources:
    """Return what a step asks for, from ``{"cpus": 2, "memory": "1GB", "gpus": 1}``.

    Raises:
        BadInputError: naming what cannot be so.
    """
    if given is None or isinstance(given, Resources):
        return given or Resources()
    if not isinstance(given, Mapping):
        raise _wrong("resources", 'a dict such as {"cpus": 2, "memory": "1GB"}', given)
    for name, value in given.items():
        if name not in Resources.__struct_fields__:
            raise BadInputError(
                f"resources has no {name!r}.",
                field="resources",
                hint=f"It has: {', '.join(Resources.__struct_fields__)}.",
            )
        if name != "memory":
            _count(f"resources[{name!r}]", value, least=0 if name == "gpus" else 1)
    kept: dict[str, Any] = dict(given)
    if kept.get("memory") is not None:
        kept["memory"] = in_bytes(kept["memory"], "resources['memory']")
    return Resources(**kept)


def _count(name: str, value: object, *, least: int = 1) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST_WORKERS:
        raise _wrong(name, f"a whole number from {least} to {MOST_WORKERS}", value)


def names_of_errors(field: str, found: object) -> list[str]:
    """Return the names of types of error, which are given as names or as classes.

    >>> names_of_errors("retry_on", [OSError, "HTTPError"])
    ['OSError', 'HTTPError']

    Raises:
        BadInputError: for what is neither.
    """
    several = found if isinstance(found, list | tuple | set | frozenset) else [found]
    names = []
    for one in several:
        if isinstance(one, type) and issubclass(one, BaseException):
            names.append(one.__name__)
        elif isinstance(one, str) and one.rpartition(".")[2].isidentifier():
            names.append(one.rpartition(".")[2])
        else:
            raise _wrong(field, "types of error, or their names", one)
    return names


def delay_s(options: Options | Retry, tried: int, chance: float) -> float:
    """Return how long to wait after a step has been tried ``tried`` times, in seconds.

    ``chance`` (0 to 1) is the part of it that is waited with ``jitter``.

    >>> delay_s(Options(backoff_s=2.0, max_delay_s=5.0), 2, 0.5)
    4.0
    >>> delay_s(Options(backoff_s=2.0, max_delay_s=5.0), 3, 0.5)
    5.0
    """
    grown = options.backoff_s * options.backoff_rate ** min(tried - 1, 60)
    cut = min(grown, options.max_delay_s)
    return cut * chance if options.jitter else cut


def _growing(name: str, value: object) -> None:
    if not _is_number(value) or not 1 <= value <= 100:  # type: ignore[operator]
        raise _wrong(name, "from 1 to 100", value)


def _switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise _wrong(name, "True or False", value)


def _whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(name, "a whole number, 0 or more", value)


def _seconds(name: str, value: object) -> None:
    if not _is_number(value) or not value >= 0:  # type: ignore[operator]
        raise _wrong(name, "0 or more", value)


def _limit(name: str, value: object) -> None:
    if value is not None and (not _is_number(value) or not value > 0):  # type: ignore[operator]
        raise _wrong(name, "above 0", value)


def _names(name: str, value: object) -> None:
    """Let lists of text through; what is written alone, as text, is no list of letters."""
    if not isinstance(value, list | tuple) or not all(
        isinstance(one, str) and one.strip() for one in value
    ):
        raise _wrong(name, 'a list of names, such as ["one"]', value)


def _environment(name: str, value: object) -> None:
    if value is None or (isinstance(value, str) and value.strip()):
        return
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return
    raise _wrong(name, "the name of a file or a list of requirements", value)


def _version(name: str, value: object) -> None:
    """Let only Pythons through that our own code runs in."""
    if value is None:
        return
    if not isinstance(value, str) or not re.fullmatch(r"3\.\d{1,2}", value):
        raise _wrong(name, 'a version such as "3.12"', value)
    if int(value[2:]) < _OLDEST:
        raise _wrong(name, f"3.{_OLDEST} or newer, which our own code needs", value)


def _secrets(name: str, value: object) -> None:
    _names(name, value)
    for one in value:  # type: ignore[attr-defined]
        check_secret_name(one)


def check_secret_name(name: object) -> str:
    """Return the name of a secret: that of the variable a step finds it in.

    Raises:
        BadInputError: if it is none, or one of our own.
    """
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
        raise _wrong("secrets", "names of variables such as API_KEY", name)
    if name.startswith("MAINSPRING_"):
        raise _wrong("secrets", "names that are not our own", name)
    return name


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong(name: str, wanted: str, found: object) -> BadInputError:
    return BadInputError(f"{name} must be {wanted}, found {found!r}.", field=name)


#: One check an option; an option that takes anything has none.
_CHECKS: dict[str, Callable[[str, object], None]] = {
    "retries": _whole,
    "backoff_s": _seconds,
    "backoff_rate": _growing,
    "max_delay_s": _seconds,
    "jitter": _switch,
    "timeout_s": _limit,
    "heartbeat_s": _limit,
    "env": _environment,
    "python": _version,
    "workers": _count,
    "files": _names,
    "variables": _names,
    "secrets": _secrets,
}
