"""Push versions to another place and pull them from there: only what lacks, and last the record.

Objects have the same digests everywhere, so whoever is cut short goes on by doing it again. A
version is known by its content: its number there may be another than here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from mainspring.ground.errors import DamagedError, NotFoundError
from mainspring.ground.killpoints import here
from mainspring.ground.permissions import Permission, authorise
from mainspring.ground.ports import Objects
from mainspring.pipelines.data import manifest, versions
from mainspring.pipelines.data.versions import DataVersion
from mainspring.workspace.data.places import Tell, quiet
from mainspring.workspace.data.sides import Home, Side, open_side
from mainspring.workspace.opening import Workspace

_AT_ONCE = 8
_HELD = 64 << 20  # bytes of an object that goes through memory


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """One version that was pushed or pulled."""

    name: str
    number: int  #: here
    there: int  #: its number at the remote
    digest: str
    objects: int  #: that lacked
    bytes: int  #: of them


def push(ws: Workspace, remote: str, names: Sequence[str] = (), tell: Tell = quiet) -> list[Moved]:
    """Send versions to a remote: those of the datasets or versions named, or all.

    Raises:
        BadInputError: if the remote is none.
        NotFoundError: if a dataset or version is not there.
    """
    authorise(ws.who, Permission.READ)
    other = open_side(remote, create=True)
    try:
        return [
            msgspec.structs.replace(one, number=one.there, there=one.number)
            for one in _move(Home(ws), other, names, tell)
        ]
    finally:
        other.close()


def pull(ws: Workspace, remote: str, names: Sequence[str] = (), tell: Tell = quiet) -> list[Moved]:
    """Bring versions from a remote: those of the datasets or versions named, or all.

    Raises:
        BadInputError: if the remote is none.
        NotFoundError: if a dataset or version is not there.
        DamagedError: if something there is not what it should be; nothing names it here then.
    """
    authorise(ws.who, Permission.LOG)
    other = open_side(remote, create=False)
    try:
        return _move(other, Home(ws), names, tell)
    finally:
        other.close()


def _move(source: Side, target: Side, names: Sequence[str], tell: Tell) -> list[Moved]:
    """Copy versions; ``number`` of an answer is the target's, ``there`` the source's."""
    wanted: list[DataVersion] = []
    for name in names or source.names():
        wanted += _meant(source, name)
    moved = []
    for version in wanted:
        count, size = _copy(source.objects, target.objects, version, tell)
        here("data.moved")
        kept = target.keep(version)
        moved.append(
            Moved(
                name=version.name,
                number=kept.number,
                there=version.number,
                digest=version.digest,
                objects=count,
                bytes=size,
            )
        )
    return moved


def _meant(side: Side, text: str) -> list[DataVersion]:
    wanted = versions.parse(text)
    found = side.versions(wanted.name)
    if wanted.number is not None:
        found = [one for one in found if one.number == wanted.number]
    elif wanted.digest is not None:
        found = [one for one in found if one.digest.startswith(wanted.digest)]
    elif "@" in text:
        found = found[-1:]
    if not found:
        raise NotFoundError(f"There is no data version {text!r} there.", field="dataset")
    return found


def _copy(source: Objects, target: Objects, version: DataVersion, tell: Tell) -> tuple[int, int]:
    """Copy what a version needs and the target lacks; the manifest last."""
    digest = version.manifest or ""
    held = manifest.read(digest, source)
    if held.digest != version.digest or len(held.entries) != version.files:
        raise DamagedError(f"The manifest of {version.reference} holds something else.")
    needed = sorted(held.objects | set(manifest.leaves(digest, source)))
    lacking = [one for one in needed if not target.renew(one)]
    told = version.reference
    done = 0
    size = 0
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="move") as pool:
        for count in pool.map(_copier(source, target), lacking):
            done += 1
            size += count
            tell(told, done, len(lacking))
    target.put(source.get(digest))
    return len(lacking), size


def _copier(source: Objects, target: Objects) -> Callable[[str], int]:
    def copy(digest: str) -> int:
        size = source.size(digest)
        if size <= _HELD:
            target.put(source.get(digest))
        else:
            with tempfile.TemporaryDirectory(prefix="mainspring-data-") as folder:
                file = Path(folder) / "object"
                source.fetch(digest, file)
                target.put_file(file)
        here("data.copied")
        return size

    return copy
