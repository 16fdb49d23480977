"""What a step's result depends on, part by part; and what differs between two such lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mainspring.ground.errors import ConflictError
from mainspring.ground.identity import canonical, key_of, sha256
from mainspring.pipelines import declared
from mainspring.pipelines.data import asked
from mainspring.pipelines.graph import Argument, leaves
from mainspring.pipelines.outputs import FORMAT

_SHOWN = 200  # values up to this length are kept as they are, so that `why` can show them


def key(parts: Mapping[str, str]) -> str:
    """Return the digest of all parts; their order does not count.

    >>> key({"a": "1", "b": "2"}) == key({"b": "2", "a": "1"})
    True
    """
    return key_of("step", dict(parts))


def parts_of(
    args: Mapping[str, Argument],
    outputs: Mapping[str, str],
    code: Mapping[str, str],
    env: str,
    *,
    seed: int = 0,
) -> dict[str, str]:
    """Return what a step's result depends on.

    ``code function train`` and the like -> digest; what it declared, ``file schema.json`` and
    ``variable REGION``; ``param trees`` -> its JSON (a digest if
    that is long); ``input rows`` -> type and digest of what the step before returned (text and
    bytes may have one digest); ``data rows`` -> name, kind and digest of a data version;
    ``environment``; ``format``; the run's ``seed`` where it is not 0. ``outputs`` holds type and
    digest, in one text, for every step needed.

    Raises:
        ConflictError: if a step before has no output yet.
    """
    said = declared.of_code(code)
    out = said | {f"code {name}": found for name, found in code.items() if name not in said}
    for path, leaf in leaves(args):
        if "ref" in leaf:
            if leaf["ref"] not in outputs:
                raise ConflictError(f"Step {leaf['ref']} has no output yet.", field="step")
            out[f"input {path}"] = outputs[leaf["ref"]]
        elif "data" in leaf:
            out[f"data {path}"] = asked.part_of(leaf)
        else:
            text = canonical(leaf.get("value", leaf.get("shape"))).decode()
            kind = "param" if "value" in leaf else "shape"
            out[f"{kind} {path}"] = text if len(text) <= _SHOWN else sha256(text.encode())
    out["environment"] = env
    out["format"] = FORMAT
    if seed:
        out["seed"] = str(seed)
    return dict(sorted(out.items()))


def differences(
    before: Mapping[str, str],
    after: Mapping[str, str],
    *,
    refs: Mapping[str, str],
    environment: Callable[[str, str], list[str]],
    code: Callable[[str], list[str]] = lambda _: [],
    data: Callable[[str, str | None, str | None], str] = lambda path, _old, _new: f"data {path}",
) -> list[str]:
    """Return in words what differs between two lists of parts, the nearest to the user first.

    ``refs`` gives for each input path the step behind it and what that did, such as "load ran
    again"; ``environment`` the words for two digests, ``code`` for a part of the code, the lines
    that differ, ``data`` the words for two data versions.
    """
    order = {"param": 0, "shape": 0, "data": 1, "input": 1, "code": 2, "file": 3, "variable": 3}
    order |= {"environment": 4, "format": 5}
    changed = [name for name in {*before, *after} if before.get(name) != after.get(name)]
    out: list[str] = []
    for name in sorted(changed, key=lambda name: (order.get(name.partition(" ")[0], 9), name)):
        kind, _, rest = name.partition(" ")
        old, new = before.get(name), after.get(name)
        if kind == "environment":
            listed = environment(old or "", new or "")
            out.append(f"environment: {', '.join(listed) or 'changed'}")
        elif kind == "data":
            out.append(data(rest, old, new))
        elif kind == "seed":
            out.append(f"seed: {old or 0} -> {new or 0}")
        elif kind == "input":
            out.append(_input(rest, old, new, refs.get(rest)))
        elif kind in ("file", "variable"):
            out.append(f"{kind} {rest}: {declared.change(old, new)}")
        elif kind == "code" and old and new and (lines := code(rest)):
            out.append(f"code {rest}: {', '.join(lines)}")
        elif kind == "format":
            out.append("format: outputs are kept in a new form")
        else:
            label = "argument" if kind == "shape" else kind
            out.append(f"{label} {rest}: {_change(old, new)}")
    return out


def refs_of(args: Mapping[str, Argument]) -> dict[str, str]:
    """Return which step is behind each input path."""
    return {path: leaf["ref"] for path, leaf in leaves(args) if "ref" in leaf}


def _input(path: str, old: str | None, new: str | None, did: str | None) -> str:
    if old is None:
        return f"input {path}: is new"
    if new is None:
        return f"input {path}: is gone"
    return f"input {path}: changed because {did} and its output differs"


def _change(old: Any, new: Any) -> str:
    if old is None:
        return "is new" if _is_digest(new) else f"is new: {new}"
    if new is None:
        return "is gone"
    if _is_digest(old) or _is_digest(new):
        return "changed"
    return f"{old} -> {new}"


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")
