"""Where this process writes what it tracks: one journal a home, or a server's spool."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.experiments.journal import Journal
from mainspring.ground.identity import sha256, slug
from mainspring.ground.settings import Settings, load

if TYPE_CHECKING:
    from mainspring.ground.ports import Objects


class Target:
    """A home or a server that runs of this process are written to."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = settings.url
        home = Path(settings.home)
        self.folder = spool_of(home, settings.url) if settings.url else home / "journals"
        self.journal = Journal(self.folder)
        self._objects: Objects | None = None
        self._lock = threading.Lock()

    @property
    def objects(self) -> Objects:
        """Return where the bytes of artifacts are kept: the home's objects, or the spool's."""
        with self._lock:
            if self._objects is None:
                from mainspring.backends.objects import open_objects

                url = str(self.folder / "objects") if self.url else self.settings.objects_url
                self._objects = open_objects(url)
            return self._objects


_TARGETS: dict[tuple[str, str | None], Target] = {}
_LOCK = threading.Lock()


def target_of(settings: Settings | None = None) -> Target:
    """Return where runs are written to by the settings in force.

    Raises:
        BadInputError: if the settings cannot be used.
    """
    found = settings or load()
    of = (found.home, found.url)
    with _LOCK:
        if of not in _TARGETS:
            _TARGETS[of] = Target(found)
        return _TARGETS[of]


def spool_of(home: Path, url: str) -> Path:
    """Return the folder in which what is meant for a server waits.

    >>> spool_of(Path("/h"), "http://ml.lan:8750").name
    'http-ml-lan-8750.bb78b91f'
    """
    plain = url.rstrip("/")
    return home / "spool" / f"{slug(plain)}.{sha256(plain.encode())[:8]}"
