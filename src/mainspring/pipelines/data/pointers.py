"""Pointer files: which version of a dataset lies at a place, small enough for Git.

``flights.csv.mainspring`` stands beside ``flights.csv`` and is committed in its place; the
data itself is named in ``.gitignore``.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from mainspring.ground.errors import BadInputError, StoreError
from mainspring.ground.identity import check_digest, check_name
from mainspring.pipelines.data.manifest import KINDS, Kind
from mainspring.pipelines.data.naming import DataVersion

SUFFIX = ".mainspring"
MAX_BYTES = 10_000
_CONFLICT = re.compile(r"^(<<<<<<<|=======|>>>>>>>)", re.MULTILINE)


class Pointer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version that belongs to a place."""

    name: str
    number: int
    digest: str  #: by which it is found in another home, whatever its number is there
    kind: Kind
    files: int
    bytes: int

    @property
    def reference(self) -> str:
        """Return how the version is spoken of, by its content."""
        return f"{self.name}@{self.digest}"


def beside(place: Path) -> Path:
    """Return where the pointer of a file or folder stands."""
    return place.with_name(place.name + SUFFIX)


def refuse_outside(path: Path) -> None:
    """Refuse a path that names no folder of the one it is written down in: ``.``, ``..``.

    Its pointer would stand where nobody looks for it, outside of the folder one stands in, or
    even of the repository.

    Raises:
        BadInputError: saying where to stand instead.
    """
    if path.name in ("", ".."):
        place = path.expanduser().resolve()
        raise BadInputError(
            f"The pointer of {path} would stand outside of it, in {place.parent}.",
            field="path",
            hint=f"Name the folder from there: cd {place.parent} && mainspring data add"
            f" {place.name or '.'}, or write no pointer: --no-pointer",
        )


def of_version(version: DataVersion) -> Pointer:
    """Return the pointer to a version."""
    told = {name: getattr(version, name) for name in Pointer.__struct_fields__}
    return Pointer(**told)


def write(place: Path, version: DataVersion) -> Path:
    """Write the pointer of a place, and keep Git from the data; return its file.

    Raises:
        StoreError: if it cannot be written.
    """
    file = beside(place)
    told = msgspec.structs.asdict(of_version(version))
    lines = [f"{key} = {json.dumps(told[key])}\n" for key in sorted(told)]
    _replace(
        file, "# Data that is versioned by Mainspring: mainspring data get\n" + "".join(lines)
    )
    _ignore(place)
    return file


def read(file: Path) -> Pointer:
    """Return what a pointer says.

    Raises:
        BadInputError: if there is none, two branches left it in conflict, or it says what
            cannot be.
    """
    try:
        with file.open("rb") as source:
            text = source.read(MAX_BYTES).decode()
        if _CONFLICT.search(text):
            raise BadInputError(
                f"{file} is in conflict: two branches changed the data.",
                field="pointer",
                hint=f"Take one side (git checkout --ours or --theirs {file.name}), then:"
                " mainspring data get",
            )
        found = msgspec.convert(tomllib.loads(text), Pointer)
        check_name(found.name)
        check_digest(found.digest)
    except FileNotFoundError:
        raise BadInputError(f"There is no pointer {file}.", field="pointer") from None
    except (
        OSError,
        UnicodeDecodeError,
        tomllib.TOMLDecodeError,
        msgspec.ValidationError,
    ) as error:
        raise BadInputError(f"{file} is no pointer to data: {error}", field="pointer") from error
    if found.kind not in KINDS:
        raise BadInputError(f"{file} has an unknown kind {found.kind!r}.", field="pointer")
    return found


def below(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Go through the pointers below a folder: each file, and the place it belongs to."""
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(at)
        for name in sorted(names):
            if name.endswith(SUFFIX) and name != SUFFIX:
                yield here / name, here / name.removesuffix(SUFFIX)


def _ignore(place: Path) -> None:
    """Name the data in the folder's .gitignore, once."""
    file = place.with_name(".gitignore")
    line = "/" + re.sub(r"([\\*?\[\]#! ])", r"\\\1", place.name)
    text = file.read_text("utf-8") if file.exists() else ""
    if line not in text.splitlines():
        _replace(file, text + ("" if not text or text.endswith("\n") else "\n") + line + "\n")


def _replace(file: Path, text: str) -> None:
    try:
        if file.exists() and file.read_text("utf-8") == text:
            return
        number, name = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as opened:
                opened.write(text)
            Path(name).chmod(0o644)
            Path(name).replace(file)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror or error}.") from error
