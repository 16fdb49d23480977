"""Read-only copies of versions in the home, for those who only read them: runs, and links.

One is made once a version, in a folder that gets its name when all is there and verified. What
was changed in it since is seen by what the file system says of its files, and mended.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mainspring.ground.errors import DamagedError, StoreError
from mainspring.ground.killpoints import here
from mainspring.pipelines.data import fetching, manifest, stats
from mainspring.pipelines.data.manifest import Opened
from mainspring.pipelines.data.seen import Seen, beside
from mainspring.pipelines.data.stats import State
from mainspring.pipelines.data.versions import DataVersion
from mainspring.workspace.data import looking
from mainspring.workspace.data.bringing import Getting, alone
from mainspring.workspace.data.places import Tell, quiet, stats_folder, trees_folder
from mainspring.workspace.opening import Workspace

_MODE = 0o444


def tree(ws: Workspace, version: DataVersion, tell: Tell = quiet) -> Path:
    """Return a read-only copy of a version in the home, made if it is not there, and verified.

    It is a folder, or the one file. What was changed in it is brought anew, and what was put
    into it is taken away.

    Raises:
        NotFoundError, DamagedError: if bytes of it are gone or changed.
        StoreError: if there is no room for it.
    """
    folder = trees_folder(ws.home) / f"{version.kind}-{version.digest}"
    held = Opened(version.manifest or "", ws.objects)
    place = folder if version.kind == "folder" else folder / next(held.entries).path
    with alone(ws, place):
        if version.kind == "folder" and not folder.exists():
            _make(ws, version, held, folder, tell)
        elif version.kind != "folder" or not _is_whole(ws, version, folder, tell):
            _mend(ws, version, held, place, tell)
    os.utime(folder)  # when it was last needed
    return place


def _make(ws: Workspace, version: DataVersion, held: Opened, folder: Path, tell: Tell) -> None:
    """Make the copy of a folder aside, remember what was made, and give it its name."""
    aside = folder.with_name(f".making-{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)  # of one that died
    try:
        aside.mkdir(parents=True)
    except OSError as error:
        raise StoreError(f"{aside} cannot be made: {error.strerror}.") from error
    told = held.count
    fetching.make(held.entries, ws.objects, aside, _MODE, lambda at: tell("bringing", at, told))
    seen_ns = stats.now_ns()
    seen = Seen(aside, State(place=str(folder)))

    def digests() -> Iterator[bytes]:
        for file, _, entry in beside(seen.each(), held.entries):
            if file is None or entry is None:
                raise DamagedError(f"Something else writes to {aside}.")
            yield bytes.fromhex(entry.sha256)

    seen.learn(digests())  # nobody knew of the folder, so nobody changed it since
    content, folders = seen.to_remember("folder", seen_ns)
    here("data.made")
    aside.rename(folder)
    _remember(ws, version, folder, content, folders)


def _remember(
    ws: Workspace,
    version: DataVersion,
    folder: Path,
    content: str,
    folders: dict[str, stats.Packed],
) -> None:
    state = stats.of_version(folder, version, content, folders)
    stats.save(stats_folder(ws.home), state)


def _is_whole(ws: Workspace, version: DataVersion, folder: Path, tell: Tell) -> bool:
    """Return whether the copy of a folder holds what it should, and no more."""
    seen = looking.look(ws.home, folder, tell).seen
    return not seen.refused and seen.content("folder") == version.digest


def _mend(ws: Workspace, version: DataVersion, held: Opened, place: Path, tell: Tell) -> None:
    """Bring anew what was changed in a copy, and take away what is not of it."""
    whole = manifest.Manifest(kind=held.kind, entries=list(held.entries))
    Getting(ws, version, whole, place, tell, mode=_MODE).get(True, "auto", None)
    if version.kind == "folder":
        seen = looking.look(ws.home, place, tell).seen
        extra = [
            file.path
            for file, _, entry in beside(seen.each(), whole.entries)
            if file is not None and entry is None
        ]
        links = [one.path for one in seen.refused if (place / one.path).is_symlink()]
        for path in extra + links:
            (place / path).unlink(missing_ok=True)
