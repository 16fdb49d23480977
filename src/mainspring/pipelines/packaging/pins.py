"""Say which distributions an image needs, in which version, with hashes where known."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from mainspring.ground.errors import ConflictError

#: What serving a version in its ONNX form imports; the rest of a plain install stays away.
SERVING = ("httptools", "msgspec", "numpy", "onnxruntime", "polars", "uvicorn", "uvloop")
_OURS = "mainspring"

#: First line of requirements of which each has its hash: pip then takes nothing without one.
HASHED = "--require-hashes\n"

Hashes = Mapping[tuple[str, str], frozenset[str]]


def normal(name: str) -> str:
    """Return a distribution's name as indexes compare it.

    >>> normal("Scikit_Learn")
    'scikit-learn'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    """Return the distribution that a requirement names.

    >>> name_of("uvloop>=0.21; sys_platform != 'win32'")
    'uvloop'
    """
    return normal(Requirement(requirement).name)


def closure(roots: Iterable[str], python: str) -> set[str]:
    """Return distributions and all that they require, as those that are installed here tell it.

    ``python`` is the interpreter of the image, such as 3.11. One that is not installed here
    counts as requiring nothing. Mainspring itself is no part of it.
    """
    found: set[str] = set()
    waiting = [(normal(name), frozenset[str]()) for name in roots]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        name, extras = one
        found.add(name)
        waiting.extend(_required(name, extras, python))
    return found - {_OURS}


def _required(
    name: str, extras: frozenset[str], python: str
) -> Iterable[tuple[str, frozenset[str]]]:
    try:
        told = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for text in told:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue
        there = {"python_version": python, "python_full_version": f"{python}.0"}
        there |= {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
        asked = [{**there, "extra": extra} for extra in ("", *extras)]
        if wanted.marker is None or any(wanted.marker.evaluate(one) for one in asked):
            yield normal(wanted.name), frozenset(wanted.extras)


def pinned(names: Iterable[str], known: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return a version for each name: of the first of ``known`` that has one.

    Raises:
        ConflictError: naming those of which nobody knows a version.
    """
    tables = [{normal(name): version for name, version in one.items()} for one in known]
    found, strange = {}, []
    for name in sorted(names):
        version = next((table[name] for table in tables if name in table), None)
        if version is None:
            strange.append(name)
        else:
            found[name] = version
    if strange:
        raise ConflictError(
            f"Nobody knows a version of {', '.join(strange)}.",
            field="packages",
            hint="Install what the model needs where it is packaged.",
        )
    return found


def lines(pins: Mapping[str, str], hashes: Hashes) -> str:
    """Return pins as pip reads them; with hashes if those of every one of them are known.

    pip wants the hashes of all, or of none.

    >>> print(lines({"six": "1.17.0"}, {("six", "1.17.0"): frozenset({"sha256:ab"})}), end="")
    --require-hashes
    six==1.17.0 --hash=sha256:ab
    """
    every = all(hashes.get((name, version)) for name, version in pins.items())
    out = [HASHED] if every else []
    for name, version in sorted(pins.items()):
        told = sorted(hashes[name, version]) if every else []
        out.append(" ".join([f"{name}=={version}", *(f"--hash={one}" for one in told)]) + "\n")
    return "".join(out)


def versions(requirements: str) -> dict[str, str]:
    r"""Return the version of each distribution in exact requirements.

    >>> versions("--require-hashes\nsix==1.17.0 --hash=sha256:ab\n")
    {'six': '1.17.0'}
    """
    found = {}
    for line in requirements.splitlines():
        name, equals, rest = line.partition("==")
        if equals and rest.split():
            found[name] = rest.split()[0]
    return found


def of_lines(requirements: Iterable[str]) -> dict[tuple[str, str], frozenset[str]]:
    """Return the hashes in exact requirements, by name and version.

    >>> of_lines(["Six==1.17.0 --hash=sha256:ab", "click==8.1"])
    {('six', '1.17.0'): frozenset({'sha256:ab'})}
    """
    found = {}
    for line in requirements:
        named, *rest = line.replace("\\", " ").split()
        name, equals, version = named.partition("==")
        hashes = frozenset(w.removeprefix("--hash=") for w in rest if w.startswith("--hash="))
        if equals and hashes:
            found[normal(name.partition("[")[0]), version.rstrip(";")] = hashes
    return found


def locked(file: Path) -> dict[tuple[str, str], frozenset[str]]:
    """Return the hashes in a lock file of uv, by name and version; none where there is none."""
    try:
        told = tomllib.loads(file.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return {}
    found = {}
    for one in told.get("package", []):
        wheels = [*one.get("wheels", []), *([one["sdist"]] if "sdist" in one else [])]
        hashes = frozenset(wheel["hash"] for wheel in wheels if "hash" in wheel)
        if hashes and "version" in one:
            found[normal(one["name"]), one["version"]] = hashes
    return found
