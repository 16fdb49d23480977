"""Find or build the Python environment that a model's requirements ask for, once.

An environment is named by the digest of what it was asked for. It is a virtual environment in the
cache; or one that a person named, if all that is required is in it. Building runs what the
packages bring along, so nothing is built for a model that nobody trusts.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from mainspring.ground import locks, venvs
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import canonical, sha256

#: What tells which packages, in which versions, a Python has.
_ASK = (
    "import json, sys; from importlib import metadata;"
    "print(json.dumps({'python': '%d.%d' % sys.version_info[:2],"
    " 'packages': {d.metadata['Name']: d.version for d in metadata.distributions()}}))"
)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment must have. ``python`` is such as 3.11; None takes any."""

    python: str | None = None
    requirements: list[str] = []

    @property
    def digest(self) -> str:
        """Return the name of such an environment."""
        return sha256(canonical(self))


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """``DIGEST.json``: which Python serves these requirements, and who chose it."""

    python: str  #: path of the interpreter
    named: str | None = None  #: by which name a person gave it; None: it was built here


def requirements(text: str) -> list[str]:
    """Return the lines of a requirements file, sorted.

    Raises:
        BadInputError: for a line that is no requirement, such as an option of pip's.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    found = []
    for line in text.splitlines():
        plain = line.split(" #")[0].strip()
        if not plain or plain.startswith("#"):
            continue
        try:
            found.append(str(Requirement(plain)))
        except InvalidRequirement as error:
            raise BadInputError(
                f"The requirement {plain[:100]!r} cannot be read: {str(error)[:100]}",
                field="requirements",
                hint="One package a line, such as pandas==2.3.0; no options of pip's.",
            ) from error
    return sorted(set(found))


def python_of(wanted: Wanted, cache: Path, named: Mapping[str, str] | None = None) -> Path:
    """Return the interpreter of an environment with all that is wanted; build it if need be.

    ``named`` are environments of the user's, by a name of theirs: the path of each folder or
    interpreter. One that holds everything is taken as it is.

    Raises:
        BadInputError: if a Python of that version is not here, or pip cannot install it.
        UnavailableError: if the build does not end in time.
    """
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    note = cache / f"{wanted.digest}.json"
    with _locked(cache / f"{wanted.digest}.lock"):
        if note.is_file():
            known = msgspec.json.decode(note.read_bytes(), type=Known)
            if Path(known.python).exists():
                return Path(known.python)
        found = _fitting(wanted, named or {})
        if found is None:
            found = Known(python=str(_built(wanted, cache)))
        part = note.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(found))
        part.replace(note)
        return Path(found.python)


def lacks(wanted: Wanted, python: Path) -> list[str]:
    """Return what an interpreter's environment lacks of what is wanted; empty if nothing."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    done = subprocess.run(  # noqa: S603  an interpreter that the user named
        [str(python), "-I", "-c", _ASK], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        return [f"a Python that runs: {done.stderr.strip()[-200:]}"]
    told: dict[str, Any] = json.loads(done.stdout)
    packages = {canonicalize_name(name): version for name, version in told["packages"].items()}
    missing = [] if wanted.python in (None, told["python"]) else [f"Python {wanted.python}"]
    for line in wanted.requirements:
        one = Requirement(line)
        if one.marker is not None and not one.marker.evaluate():
            continue
        version = packages.get(canonicalize_name(one.name))
        if version is None or one.url or not one.specifier.contains(version, prereleases=True):
            missing.append(line)
    return missing


def _fitting(wanted: Wanted, named: Mapping[str, str]) -> Known | None:
    for name, place in named.items():
        python = interpreter(Path(place))
        if not lacks(wanted, python):
            return Known(python=str(python), named=name)
    return None


def interpreter(place: Path) -> Path:
    """Return the interpreter of an environment's folder, or the one that the path names.

    Raises:
        BadInputError: if there is none.
    """
    # Not resolved: an environment is known by the place its interpreter is called at.
    python = place / "bin" / "python" if place.is_dir() else place
    if not python.is_file():
        raise BadInputError(f"There is no Python at {place}.", field="environments")
    return python


def _built(wanted: Wanted, cache: Path) -> Path:
    """Build it as the requirements say; what they need comes with them."""
    python = wanted.python or locks.here()
    came = "a model's requirements"
    return venvs.built(
        wanted.digest, python, wanted.requirements, [], came, cache / "built", whole=False
    )


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Let one process at a time choose an environment."""
    with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
