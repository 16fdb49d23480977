"""The table of operations: what can be asked, who may, and how a request is read.

A room's file declares its operations with :func:`operation`; it is imported when the first of
them is asked for. Nothing here knows HTTP beyond a method and a path to be found under.
"""

from __future__ import annotations

import importlib
import re
import textwrap
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints
from urllib.parse import quote

import msgspec

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.permissions import Permission, authorise
from mainspring.web.api.exact import refuse_inexact, refuse_unknown
from mainspring.web.api.fields import Nothing
from mainspring.workspace.opening import Workspace

F = TypeVar("F", bound=Callable[..., Any])

#: First word of an operation's name -> the file it is declared in.
ROOMS = {
    "runs": "runs",
    "packages": "packages",
    "graphs": "packages",
    "images": "images",
    "journals": "journals",
    "objects": "journals",
    "experiments": "keeping",
    "retention": "keeping",
    "artifacts": "artifacts",
    "datasets": "datasets",
    "data": "data",
    "contents": "data_diff",
    "pieces": "data_sending",
    "pipelines": "pipelines",
    "schedules": "schedules",
    "triggers": "triggers",
    "lineage": "lineage",
    "repeats": "repeats",
    "tunings": "tunings",
    "waits": "waits",
    "callbacks": "callbacks",
    "queue": "queue",
    "models": "models",
    "gates": "gates",
    "proofs": "proofs",
    "environments": "environments",
    "endpoints": "endpoints",
    "rollouts": "rollouts",
    "monitor": "monitoring",
    "bias": "fairness",
    "attribution": "fairness",
    "age": "fairness",
    "skew": "fairness",
    "alarms": "alarms",
    "channels": "channels",
    "backtests": "backtests",
    "reports": "reports",
    "feeds": "feeds",
    "cards": "cards",
    "configs": "configs",
    "datasheets": "cards",
    "decisions": "loops",
    "evidence": "evidence",
    "scores": "scores",
    "scripts": "scripts",
    "drills": "drills",
    "loops": "loops",
    "replays": "replays",
    "tokens": "access",
    "audit": "access",
    "secrets": "secrets",
    "webhooks": "webhooks",
    "debt": "debt",
    "dependents": "consumers",
    "consumers": "consumers",
    "deprecations": "consumers",
    "system": "system",
    "logs": "logs",
    "predictions": "predictions",
}

#: Filled as the rooms' files are imported; :func:`every` fills it wholly.
OPERATIONS: dict[str, Operation] = {}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be asked."""

    name: str  #: room.verb
    method: str
    path: str  #: with {field} for the fields that stand in it
    permission: Permission
    function: Callable[..., Any]  #: of the workspace, and of the request if it has fields
    media: str = "application/json"  #: of the answer
    takes_bytes: int = 0  #: of a body that is a file, at most; 0: the body, if any, is JSON
    accepts: tuple[str, ...] = ()  #: media types of such a body, besides bytes
    example: dict[str, Any] = {}  #: fields of a request that could be
    by: str = ""  #: the service that does it for whoever shows the secret it asks for; no login

    @property
    def tag(self) -> str:
        """Return the room, as OpenAPI groups by."""
        return self.name.partition(".")[0]

    @property
    def summary(self) -> str:
        """Return the docstring's first sentence."""
        return self.description.partition("\n\n")[0].replace("\n", " ")

    @property
    def description(self) -> str:
        """Return the docstring."""
        first, _, rest = (self.function.__doc__ or "").partition("\n")
        return f"{first.strip()}\n{textwrap.dedent(rest)}".strip()

    @property
    def request(self) -> type[msgspec.Struct]:
        """Return the type of the request."""
        found: type[msgspec.Struct] = self._hints().get("request", Nothing)
        return found

    @property
    def response(self) -> Any:
        """Return the type of the answer."""
        return self._hints()["return"]

    @property
    def in_path(self) -> tuple[str, ...]:
        """Return the fields that stand in the path."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def has_body(self) -> bool:
        """Return whether the other fields stand in a JSON body, not in the query string."""
        return self.method == "POST" and not self.takes_bytes

    def _hints(self) -> dict[str, Any]:
        return _hints_of(self.function)

    def from_texts(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return fields that were written out, as in a path or query string, as values.

        Raises:
            BadInputError: naming the field that is unknown or cannot be read.
        """
        kinds = {field.encode_name: field.type for field in msgspec.structs.fields(self.request)}
        found: dict[str, Any] = {}
        for key, text in texts.items():
            try:
                value = msgspec.convert(text, kinds.get(key, str), strict=False)
            except msgspec.ValidationError as error:
                raise BadInputError(f"{key}: {_plain(str(error))}.", field=key) from error
            found[key] = msgspec.to_builtins(value)
        return found

    def read(self, given: Mapping[str, Any]) -> msgspec.Struct:
        """Return the request that fields make, every one of them checked.

        Raises:
            BadInputError: naming the field that is unknown, missing or of the wrong type.
            NotExactError: for a value that could not be kept exactly.
        """
        try:
            request = msgspec.convert(given, self.request)
        except msgspec.ValidationError as error:
            raise _bad_field(str(error), self.request) from error
        refuse_unknown(given, request)
        refuse_inexact(request)
        return request

    def run(self, ws: Workspace, request: msgspec.Struct, body: Path | None = None) -> Any:
        """Carry it out as the workspace's principal; the store asks for permission again."""
        authorise(ws.who, self.permission)
        if self.takes_bytes:
            return self.function(ws, request, body)
        if "request" in self._hints():
            return self.function(ws, request)
        return self.function(ws)

    def split(self, fields: Mapping[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return path, query and JSON body of a request over HTTP. Fields of None are left out.

        Raises:
            BadInputError: if a field of the path is missing.
        """
        rest = {key: value for key, value in fields.items() if value is not None}
        path = self.path
        for key in self.in_path:
            if key not in rest:
                raise BadInputError(f"{key} is missing.", field=key)
            path = path.replace(f"{{{key}}}", quote(str(rest.pop(key)), safe=""))
        if self.has_body:
            return path, {}, rest
        texts = {k: str(v).lower() if isinstance(v, bool) else v for k, v in rest.items()}
        return path, texts, {}


def operation(
    name: str,
    method: str,
    path: str,
    permission: Permission,
    *,
    media: str = "application/json",
    takes_bytes: int = 0,
    accepts: tuple[str, ...] = (),
    example: dict[str, Any] | None = None,
    by: str = "",
) -> Callable[[F], F]:
    """Put a function into the table under a name, a method and a path."""

    def put(function: F) -> F:
        OPERATIONS[name] = Operation(
            name=name,
            method=method,
            path=path,
            permission=permission,
            function=function,
            media=media,
            takes_bytes=takes_bytes,
            accepts=accepts,
            example=example or {},
            by=by,
        )
        return function

    return put


def find(name: str) -> Operation:
    """Return an operation by its name; only its room's file is imported.

    Raises:
        NotFoundError: if there is none.
    """
    room = ROOMS.get(name.partition(".")[0])
    if room is not None:
        importlib.import_module(f"mainspring.web.api.{room}")
    if name not in OPERATIONS:
        raise NotFoundError(f"There is no operation {name[:80]!r}.", field="name")
    return OPERATIONS[name]


def every() -> dict[str, Operation]:
    """Return the whole table, every room's file imported."""
    for room in ROOMS.values():
        importlib.import_module(f"mainspring.web.api.{room}")
    return OPERATIONS


def call(ws: Workspace, name: str, /, **fields: Any) -> Any:
    """Carry out an operation in this process and return what HTTP would, as plain values.

    Fields of None count as not given.

    Raises:
        MainspringError: the same that HTTP would tell.
    """
    wanted = find(name)
    given = {key: value for key, value in fields.items() if value is not None}
    answer = wanted.run(ws, wanted.read(given))
    if wanted.media != "application/json":
        return answer
    return msgspec.json.decode(msgspec.json.encode(answer))


@cache
def _hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(function, include_extras=True)


def _plain(complaint: str) -> str:
    return complaint.replace("`", "").replace("Expected", "expected", 1)


_AT = re.compile(r" - at `(key in )?\$\.?([^`]*)`$")
_QUOTED = re.compile(r"field `([^`]*)`")


def _bad_field(message: str, kind: type[msgspec.Struct]) -> BadInputError:
    """Word msgspec's complaint so that it names the field first."""
    found = _AT.search(message)
    where = found[2] if found else ""
    what = message[: found.start()] if found else message
    named = _QUOTED.search(what)
    if named is None:
        field = where or None
        return BadInputError(f"{field or 'The request'}: {_plain(what)}.", field=field)
    field = f"{where}.{named[1]}" if where else named[1]
    if "missing" in what:
        return BadInputError(f"{field} is missing.", field=field)
    known = "" if where else f"Fields are: {', '.join(kind.__struct_fields__) or 'none'}."
    return BadInputError(f"There is no field {field!r}.", field=field, hint=known or None)
