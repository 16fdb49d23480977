"""Where a home keeps what it knows of data outside of its objects, and its hints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mainspring.ground.identity import sha256
from mainspring.ground.permissions import Permission

if TYPE_CHECKING:
    from mainspring.ground.ports import Readable
    from mainspring.pipelines.data.manifest import Part
    from mainspring.workspace.opening import Workspace

_FAR = "far"

Tell = Callable[[str, int, int], None]
"""Is told what is being done, how far it is, and how far it goes."""


def quiet(_what: str, _at: int, _of: int) -> None:
    """Tell nobody."""


def place_of(path: Path) -> Path:
    """Return a path in full, and without ``..``, so that a place has one name."""
    path = path.expanduser().absolute()
    return path.resolve() if ".." in path.parts else path


def stats_folder(home: Path) -> Path:
    """Return where the states of places in the file system are kept."""
    return home / "data" / "stats"


def trees_folder(home: Path) -> Path:
    """Return where versions lie that runs read, read-only."""
    return home / "data" / "trees"


class Store(Protocol):
    """What bringing data needs of a workspace, or of a server."""

    @property
    def home(self) -> Path:
        """Return where is kept what is known of places in the file system."""
        ...

    @property
    def objects(self) -> Readable:
        """Return where bytes are."""
        ...


def far_home(home: Path, url: str) -> Path:
    """Return where is kept what is known of places whose versions are a server's."""
    return home / _FAR / sha256(url.rstrip("/").encode())[:16]


def apart(home: Path) -> list[Path]:
    """Return the folders that are nobody's data: the home, also of what is known of a server."""
    return [home.parents[1] if home.parent.name == _FAR else home]


class Hints:
    """Where files and chunks are kept, as the database knows it."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    def find(self, digests: Iterable[str]) -> dict[str, Part]:
        """Return where those that are known are kept."""
        from mainspring.pipelines.data import known

        wanted = list(digests)
        if not wanted:
            return {}
        return self._ws.read(Permission.LOG, lambda tx: known.find(tx, wanted))

    def keep(self, notes: Mapping[str, Part], gone: Iterable[str]) -> None:
        """Note what was learnt of where things are."""
        from mainspring.pipelines.data import known

        absent = list(gone)
        if absent:
            self._ws.write(Permission.LOG, lambda tx: known.forget(tx, absent))
        for part in known.in_parts(list(notes.items()), known.BATCH):
            self._ws.write(Permission.LOG, partial(known.note, places=dict(part)))
