"""A line of the logs as it is answered, and a question about lines."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from mainspring.ground import durations, logs
from mainspring.ground.errors import BadInputError
from mainspring.ground.records import Record

#: Fields that a line may have and that can be asked for by their value.
IDS = ("request", "run", "step", "endpoint", "loop", "task", "version")
_OWN = ("time", "level", "process", "pid", "event", "trace", "prediction", *IDS)
MOST_TEXT = 1000  #: characters of a text that is looked for


class LogLine(Record, frozen=True, kw_only=True):
    """One thing that a process said."""

    time: float  #: UTC seconds
    level: str  #: debug, info, warning, error or critical
    process: str  #: web, engine, supervisor, endpoint-NAME, cli, steps
    pid: int
    event: str
    request: str | None = None  #: id of the HTTP request, as in the answer's X-Request-Id
    run: str | None = None
    step: str | None = None
    endpoint: str | None = None
    loop: str | None = None
    task: str | None = None
    version: str | None = None
    prediction: str | None = None  #: id of the first row's, where the line is of a prediction
    trace: str | None = None  #: of the exception, where there was one
    fields: dict[str, Any] = {}  #: whatever else it says


class Query(Record, frozen=True, kw_only=True):
    """Which lines are wanted: all of what is given must hold."""

    text: str = ""  #: stands somewhere in the line's values; small and capital letters alike
    since: float | None = None  #: UTC seconds
    until: float | None = None
    process: str | None = None  #: by name; "endpoint" stands for all of them
    level: str = "debug"  #: at least as serious
    request: str | None = None
    run: str | None = None
    also: tuple[str, ...] = ()  #: other runs whose lines are as good as those of ``run``
    step: str | None = None
    endpoint: str | None = None
    loop: str | None = None
    task: str | None = None
    version: str | None = None
    prediction: str | None = None  #: the id of any row of the request

    @property
    def levels(self) -> tuple[str, ...]:
        """Return the levels that are serious enough."""
        return logs.LEVELS[logs.LEVELS.index(self.level) :]

    def ids(self) -> dict[str, str]:
        """Return the ids that are asked for."""
        return {key: value for key in IDS if (value := getattr(self, key)) is not None}

    def is_of(self, process: str) -> bool:
        """Return whether lines of a process may be wanted."""
        return (
            self.process is None
            or process == self.process
            or (process.startswith(f"{self.process}-"))
        )

    def check(self) -> Query:
        """Return it unchanged, or say what cannot be asked.

        Raises:
            BadInputError: for an unknown level, too long a text, or an end before its beginning.
        """
        logs.check_level(self.level)
        if len(self.text) > MOST_TEXT:
            raise BadInputError(
                f"text must be at most {MOST_TEXT} characters, found {len(self.text)}.",
                field="text",
            )
        if self.since is not None and self.until is not None and self.until < self.since:
            raise BadInputError(
                f"until ({logs.stamp(self.until)}) is before since ({logs.stamp(self.since)}).",
                field="until",
            )
        return self


_DECODER = msgspec.json.Decoder(dict[str, Any])


def read(raw: bytes) -> dict[str, Any] | None:
    """Return what a line holds, or None for one that was torn or is not ours."""
    try:
        found = _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    whole = all(isinstance(found.get(key), str) for key in ("time", "level", "process", "event"))
    return found if whole and isinstance(found.get("pid"), int) else None


def shown(found: dict[str, Any]) -> LogLine:
    """Return a line as it is answered."""
    known = {key: str(found[key]) for key in ("trace", "prediction", *IDS) if key in found}
    return LogLine(
        time=seconds_of(found["time"]),
        level=found["level"],
        process=found["process"],
        pid=found["pid"],
        event=found["event"],
        fields={key: value for key, value in found.items() if key not in _OWN},
        **known,
    )


def holds(query: Query, found: dict[str, Any]) -> bool:
    """Return whether a line is what is asked for, its time aside."""
    if found["level"] not in query.levels or not query.is_of(found["process"]):
        return False
    for key, value in query.ids().items():
        given = str(found.get(key))
        if given != value and not (key == "run" and given in query.also):
            return False
    if query.prediction is not None and not _predicted(query.prediction, found):
        return False
    wanted = query.text.lower()
    return not wanted or any(wanted in _words(value) for value in found.values())


def process_of_prediction(prediction: str) -> str:
    """Return what the ids of one process's predictions begin with."""
    return prediction[: prediction.rfind("-") + 1]


def _predicted(wanted: str, found: dict[str, Any]) -> bool:
    """Return whether a line's request has the row that a prediction id names.

    A line bears the id of its first row, and how many rows there were; where the caller named
    the rows, their ids.
    """
    first, own = found.get("prediction"), found.get("ids")
    if not isinstance(first, str) or first == wanted:
        return first == wanted
    if isinstance(own, str):  # the caller named the rows
        return wanted in own.split(" ")
    begin = process_of_prediction(wanted)
    number, from_on, rows = wanted[len(begin) :], first[len(begin) :], found.get("rows")
    if not (first.startswith(begin) and number.isdecimal() and from_on.isdecimal()):
        return False
    return isinstance(rows, int) and int(from_on) <= int(number) < int(from_on) + rows


def _words(value: Any) -> str:
    return (value if isinstance(value, str) else json.dumps(value)).lower()


def seconds_of(text: str) -> float:
    """Return the time that a line bears, in UTC seconds; 0 for one that is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def moment(text: str, now: float, field: str) -> float:
    """Return a point in time: ``1h`` ago, ``2026-11-28T07:00`` (UTC unless it says), or seconds.

    >>> moment("1h", 7200.0, "since"), moment("1970-01-01T00:01", 0.0, "since")
    (3600.0, 60.0)

    Raises:
        BadInputError: if it is none of these.
    """
    given = text.strip()
    if re.fullmatch(r"\d{9,}(\.\d+)?", given):
        return float(given)
    if re.fullmatch(r"\d+(\.\d+)?\s*[smhdw]", given):
        return now - durations.seconds(given, field)
    try:
        found = datetime.fromisoformat(given)
    except ValueError as error:
        raise BadInputError(
            f"{field} must be a time or how long ago, found {text[:80]!r}.",
            field=field,
            hint="For example 15m, 1h, 2d, 2026-11-28T07:00, 2026-11-28T07:00:00Z.",
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
