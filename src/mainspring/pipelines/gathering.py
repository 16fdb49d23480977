"""Join what steps gave without loading it: lists of outputs are lists of their digests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import canonical
from mainspring.ground.ports import Objects
from mainspring.pipelines import outputs as outputs_
from mainspring.pipelines.graph import Argument
from mainspring.pipelines.plain import from_json

#: The forms in which plain data is kept; they are read in the engine's own process.
_PLAIN = ("json", "text")
_OF_CLASSES = (b'"$object"', b'"$enum"')
MOST_BYTES = 64_000_000  #: of plain data that a controller reads
_PARTS = "parts"


class Gatherer:
    """Reads and joins what the steps around a controller gave."""

    def __init__(self, objects: Objects, outputs: Mapping[str, tuple[str, str]]) -> None:
        self._objects = objects
        self._outputs = outputs

    def resolved(self, argument: Argument) -> Argument:
        """Return an argument with its refs replaced by digests, as a child takes it.

        Raises:
            BadInputError: if a step has no output.
        """
        if "ref" in argument:
            name = argument["ref"]
            if name not in self._outputs:
                raise BadInputError(f"Step {name} has no output.", field="step")
            digest, kind = self._outputs[name]
            return {"digest": digest, "type": kind, "from": name}
        if "token" in argument:
            raise BadInputError(
                "A callback's token can be given to steps alone: it is made when one runs.",
                field="token",
                hint="Give it to the step that sends it out.",
            )
        for kind in ("list", "tuple"):
            if kind in argument:
                return {kind: [self.resolved(part) for part in argument[kind]]}
        if "dict" in argument:
            return {"dict": {k: self.resolved(v) for k, v in argument["dict"].items()}}
        return argument

    def value(self, argument: Argument, words: str) -> Any:
        """Return plain data.

        Raises:
            BadInputError: if it is no plain data, or too much of it.
        """
        found = self.resolved(argument)
        if "value" in found:
            return found["value"]
        if "digest" in found:
            return self._read(found["digest"], found["type"], words)
        if "dict" in found:
            return {k: self.value(v, words) for k, v in found["dict"].items()}
        kind = list if "list" in found else tuple
        return kind(self.value(part, words) for part in found["list" if kind is list else "tuple"])

    def items(self, argument: Argument, words: str) -> list[Argument]:
        """Return the items of a list, each as an argument; those kept apart are not read.

        Raises:
            BadInputError: if it is no list.
        """
        for kind in ("list", "tuple"):
            if kind in argument:
                return list(argument[kind])
        found = self.resolved(argument)
        if found.get("type") == _PARTS:
            manifest = msgspec.json.decode(self._objects.get(found["digest"]))
            if manifest["kind"] in ("list", "tuple"):
                return [{"digest": p["digest"], "type": p["type"]} for p in manifest["parts"]]
            raise _no_list(words, manifest["kind"])
        if found.get("type", _PLAIN[0]) not in _PLAIN:
            raise _no_list(words, found["type"])
        if found.get("type") == _PLAIN[0]:
            return [self._raw_item(one) for one in self._raw_list(found["digest"], words)]
        value = self.value(found, words)
        if not isinstance(value, list):
            raise _no_list(words, type(value).__name__)
        return [{"value": one} for one in value]

    def part(self, argument: Argument, at: str | int, words: str) -> Argument:
        """Return a part of a value as an argument: of a tuple, list or dict, or a field.

        Parts that are kept apart are not read.

        Raises:
            BadInputError: if it has no such part, naming those it has.
        """
        found = self.resolved(argument)
        type_ = str(found.get("type", ""))
        if type_.partition("@")[0] == _PARTS:
            manifest = msgspec.json.decode(self._objects.get(found["digest"]))
            keys = range(len(manifest["parts"])) if not manifest["keys"] else manifest["keys"]
            parts = [{"digest": p["digest"], "type": p["type"]} for p in manifest["parts"]]
            taken: Argument = _taken(dict(zip(keys, parts, strict=True)), at, words)
            return taken
        if type_ == "json":
            if self._objects.size(found["digest"]) > MOST_BYTES:
                raise BadInputError(f"{words} is of too much plain data.", field="of")
            raw = msgspec.json.decode(self._objects.get(found["digest"]))
            return self._raw_item(_taken(_raw_parts(raw), at, words))
        for kind in ("list", "tuple", "dict", "value"):
            if kind in found:
                return _of_argument(found[kind], at, words, plain=kind == "value")
        raise BadInputError(
            f"{words} is a part of a value that has none: a {type_.partition('@')[0]}.",
            field="of",
            hint="A tuple, a list or a dict has parts.",
        )

    def kept(self, argument: Argument, words: str) -> tuple[str, str]:
        """Return digest and type of an argument's value, kept if it is not yet."""
        found = self.resolved(argument)
        if "digest" in found:
            return found["digest"], found["type"]
        if "value" in found:
            stored = outputs_.encode(found["value"], self._objects, f"What {words} returned")
            return stored.digest, stored.type
        if "dict" in found:
            parts = [self.kept(one, words) for one in found["dict"].values()]
            return self._joined("dict", list(found["dict"]), parts)
        kind = "list" if "list" in found else "tuple"
        return self._joined(kind, None, [self.kept(one, words) for one in found[kind]])

    def listed(self, parts: Sequence[Argument | None], words: str) -> tuple[str, str]:
        """Return digest and type of a list of what arguments stand for; None stays None."""
        nothing: tuple[str, str] | None = None
        found = []
        for one in parts:
            if one is None:
                nothing = nothing or self.kept({"value": None}, words)
                found.append(nothing)
            else:
                found.append(self.kept(one, words))
        return self._joined("list", None, found)

    def reported(
        self, parts: Sequence[Argument | None], failed: Sequence[Mapping[str, Any]], words: str
    ) -> tuple[str, str]:
        """Return digest and type of a dict of a list, and of what failed of it."""
        told = self.kept({"value": [dict(one) for one in failed]}, words)
        return self._joined("dict", ["results", "failed"], [self.listed(parts, words), told])

    def _joined(
        self, kind: str, keys: list[str] | None, parts: Sequence[tuple[str, str]]
    ) -> tuple[str, str]:
        """Keep a manifest as ``outputs`` writes it for a list whose parts are kept apart."""
        told = [{"digest": digest, "type": type_} for digest, type_ in parts]
        return self._objects.put(canonical({"kind": kind, "keys": keys, "parts": told})), _PARTS

    def _read(self, digest: str, kind: str, words: str) -> Any:
        if kind not in (*_PLAIN, _PARTS):
            raise BadInputError(
                f"{words} needs plain data, found a {kind}.",
                field="step",
                hint="Let a step return what counts of it: a number, text, True or False.",
            )
        if self._objects.size(digest) > MOST_BYTES:
            raise BadInputError(
                f"{words} was given more than {MOST_BYTES // 1_000_000} MB of plain data.",
                field="step",
                hint="Return frames or files, in a list.",
            )
        if kind == _PARTS:
            manifest = msgspec.json.decode(self._objects.get(digest))
            parts = [self._read(p["digest"], p["type"], words) for p in manifest["parts"]]
            if manifest["kind"] == "dict":
                return dict(zip(manifest["keys"], parts, strict=True))
            return parts
        data = self._objects.get(digest)
        if kind == "text":
            return data.decode()
        if any(one in data for one in _OF_CLASSES):
            raise BadInputError(
                f"{words} needs plain data, found objects of the project's classes.",
                field="step",
                hint="Let a step return what counts of it: a number, text, True or False.",
            )
        return from_json(data)

    def _raw_list(self, digest: str, words: str) -> list[Any]:
        if self._objects.size(digest) > MOST_BYTES:
            raise BadInputError(
                f"{words} goes over more than {MOST_BYTES // 1_000_000} MB of plain data.",
                field="over",
                hint="Return frames or files, in a list.",
            )
        raw = msgspec.json.decode(self._objects.get(digest))
        if isinstance(raw, dict) and list(raw) == ["$tuple"]:
            raw = raw["$tuple"]
        if not isinstance(raw, list):
            raise _no_list(words, type(raw).__name__)
        return raw

    def _raw_item(self, raw: Any) -> Argument:
        """Return an item as it stands in a step's arguments.

        What is more than JSON stays as it is written, in an object of its own: it may be of the
        project's classes, and those are loaded where the project's code runs.
        """
        if _is_more(raw):
            return {"digest": self._objects.put(msgspec.json.encode(raw)), "type": _PLAIN[0]}
        return {"value": raw}


def _raw_parts(raw: Any) -> dict[Any, Any]:
    """Return the parts of plain data as it is written, by name or number; none if it has none."""
    if isinstance(raw, dict) and list(raw) == ["$tuple"]:
        raw = raw["$tuple"]
    if isinstance(raw, list):
        return dict(enumerate(raw))
    marked = isinstance(raw, dict) and any(key.startswith("$") for key in raw)
    return raw if isinstance(raw, dict) and not marked else {}


def _of_argument(found: Any, at: str | int, words: str, *, plain: bool) -> Argument:
    """Return a part of an argument that is written in the graph."""
    parts = found if isinstance(found, dict) else {}
    if isinstance(found, list | tuple):
        parts = dict(enumerate(found))
    part = _taken(parts, at, words)
    return {"value": part} if plain else part


def _taken(parts: dict[Any, Any], at: str | int, words: str) -> Any:
    if at in parts:
        return parts[at]
    there = ", ".join(repr(one) for one in list(parts)[:10]) or "none"
    raise BadInputError(
        f"{words}: there is no part {at!r:.80}.",
        field="of",
        hint=f"There are {there}{', ...' if len(parts) > 10 else ''}.",
    )


def _is_more(raw: Any) -> bool:
    if isinstance(raw, list):
        return any(_is_more(one) for one in raw)
    if not isinstance(raw, dict):
        return False
    marked = len(raw) == 1 and next(iter(raw)).startswith("$")
    return marked or any(_is_more(one) for one in raw.values())


def _no_list(words: str, found: str) -> BadInputError:
    return BadInputError(
        f"{words} goes over a list, found a {found}.",
        field="over",
        hint="Let the step before it return a list.",
    )
