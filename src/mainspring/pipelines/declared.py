"""What a step says it depends on besides its code and its arguments: files and variables.

A file counts by its content, a folder by all files in it. A variable of the environment counts
by its value; where its name says that it is a secret, by a digest that can only be made with the
home's own key. Both are read when the run is planned, and looked at again when the step runs.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from pathlib import Path

from mainspring.ground.errors import ConflictError, ProjectError
from mainspring.ground.identity import canonical, sha256, sha256_file
from mainspring.ground.secrecy import is_secret_name
from mainspring.pipelines.options import Options

FILE, VARIABLE = "file ", "variable "
_SHOWN = 200  # characters of a value that is kept as it is
_MOST_FILES = 10_000
_UNSET = "not set"
_SECRET = "secret "  # noqa: S105  begins what stands for a secret's value


def parts(root: Path, options: Options, key: bytes) -> dict[str, str]:
    """Return the parts of a step's key that it declared: ``file a.json``, ``variable REGION``.

    Raises:
        ProjectError: if a file is not there, or is outside of the project.
    """
    found = {f"{FILE}{name}": _file(root, name) for name in options.files}
    return found | {f"{VARIABLE}{name}": _variable(name, key) for name in options.variables}


def of_code(code_parts: Mapping[str, str]) -> dict[str, str]:
    """Return those parts of a step's code that it declared."""
    return {k: v for k, v in code_parts.items() if k.startswith((FILE, VARIABLE))}


def settle(planned: Mapping[str, str], root: Path, step: str, key: bytes) -> None:
    """Make declared variables what they were when the run was planned.

    Raises:
        ConflictError: if that cannot be: a file has changed since, or a secret is another here.
    """
    for part, wanted in planned.items():
        kind, _, name = part.partition(" ")
        if kind == FILE.strip():
            if _file(root, name) != wanted:
                raise ConflictError(
                    f"File {name}, which step {step} depends on, has changed since this run was"
                    " planned.",
                    hint="Start the run again; steps that do not depend on it are reused.",
                )
        elif _variable(name, key) != wanted:
            if wanted.startswith(_SECRET) or _is_digest(wanted):
                raise ConflictError(
                    f"Variable {name}, which step {step} depends on, is not what it was when this"
                    " run was planned.",
                    hint="Set it where the engine runs as where the run was started.",
                )
            if wanted == _UNSET:
                os.environ.pop(name, None)
            else:
                os.environ[name] = wanted[1:]


def _file(root: Path, name: str) -> str:
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ProjectError(f"files= names {name!r}, which is outside of the project.")
    if path.is_file():
        return sha256_file(path)
    if not path.is_dir():
        raise ProjectError(
            f"files= names {name!r}, and there is no such file in {root}.",
            field="files",
            hint="Paths are from the project's folder.",
        )
    inner = sorted(one for one in path.rglob("*") if one.is_file())
    if len(inner) > _MOST_FILES:
        raise ProjectError(
            f"files= names the folder {name!r} with {len(inner):,} files; at most"
            f" {_MOST_FILES:,} are looked at in each run.",
            field="files",
            hint="Make it a data version: mainspring data add.",
        )
    told = {str(one.relative_to(path)): sha256_file(one) for one in inner}
    return sha256(canonical(told))


def _variable(name: str, key: bytes) -> str:
    """Return what stands for a variable: ``=value``, a digest, or that it is not set."""
    value = os.environ.get(name)
    if value is None:
        return _UNSET
    if is_secret_name(name):
        told = hmac.new(key, f"{name}={value}".encode("utf-8", "surrogateescape"), hashlib.sha256)
        return f"{_SECRET}{told.hexdigest()[:32]}"
    if len(value) <= _SHOWN and value.isprintable():
        return f"={value}"
    return sha256(value.encode("utf-8", "surrogateescape"))


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def change(old: str | None, new: str | None) -> str:
    """Return in words how a declared variable or file differs."""
    if old is None:
        return "is declared now"
    if new is None:
        return "is not declared any more"
    if old.startswith(_SECRET) or new.startswith(_SECRET):
        if _UNSET in (old, new):
            return "is set now" if old == _UNSET else "is not set any more"
        return "changed (it is a secret)"
    if _is_digest(old) or _is_digest(new):
        return "changed"
    return f"{old.removeprefix('=')} -> {new.removeprefix('=')}"
