"""Where this process writes what it tracks: one journal a home, or a server's spool."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.experiments import journal
from mainspring.experiments.journal import Journal
from mainspring.ground.settings import Settings, load

if TYPE_CHECKING:
    from mainspring.ground.ports import Objects
    from mainspring.workspace.tracking.sending import Sender


class Target:
    """A home or a server that runs of this process are written to."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = settings.url
        self.folder = Path(settings.home) / "journals"
        if self.url:
            from mainspring.workspace.tracking import spool

            self.folder = spool.folder_of(Path(settings.home), self.url)
        self.journal = Journal(self.folder)
        self._sender: tuple[int, Sender] | None = None
        self._files: tuple[str, Objects] | None = None
        self.lock = threading.RLock()

    def attend(self) -> None:
        """Be ready for what comes: for a server, with a thread of this process that sends."""
        if self.url:
            from mainspring.workspace.tracking import sending, spool

            with self.lock:
                if self._sender is None:
                    spool.begin(self.folder, self.url)
                self._sender = sending.started(self, self._sender)

    def settle(self) -> None:
        """Wait a bounded time until a server that answers has all of it."""
        if self._sender is not None and self._sender[0] == os.getpid():
            self._sender[1].settle()

    def leave(self) -> None:
        """Do what is left to do at the exit of the process."""
        if self._sender is not None and self._sender[0] == os.getpid():
            from mainspring.workspace.tracking.sending import farewell

            farewell(self, self._sender[1])

    @contextmanager
    def objects(self) -> Iterator[Objects]:
        """Give where the bytes of files are kept: the home's objects, or beside the journal.

        Until the block ends nothing that was put is swept away, so that its frame is written.
        """
        from mainspring.backends.objects import open_objects

        with self.lock:
            url, name = self.settings.objects_url, ""
            if self.url:
                from mainspring.workspace.tracking import spool

                name = self.journal.id
                url = str(spool.objects_of(self.folder, name))
            if self._files is None or self._files[0] != name:
                self._files = (name, open_objects(url))
            yield self._files[1]

    def sweep(self, name: str, position: int) -> None:
        """Take away the files that the server has, and no frame names that it does not have."""
        from mainspring.experiments import frames
        from mainspring.workspace.tracking import spool

        place = spool.objects_of(self.folder, name)
        if not place.is_dir():
            return
        with self.lock:
            parts = journal.listed(self.folder).get(name, [])
            rest = journal.bytes_from(parts, position, 1 << 30) if parts else b""
            more = parts and position + len(rest) < parts[-1].begin + parts[-1].size
            if more:  # the next round is nearer to the end
                return
            named = {
                one.digest for one in frames.read(rest).frames if isinstance(one, frames.File)
            }
            for file in place.glob("??/*"):
                if file.parent.name + file.name not in named:
                    file.unlink(missing_ok=True)

    def forked(self) -> None:
        """Begin anew in the child of a fork: locks and threads are the parent's."""
        self.lock = threading.RLock()
        self._sender = None


_TARGETS: dict[tuple[str, str | None, str | None], Target] = {}
_LOCK = threading.Lock()


def target_of(settings: Settings | None = None) -> Target:
    """Return where runs are written to by the settings in force.

    Raises:
        BadInputError: if the settings cannot be used.
    """
    found = settings or load()
    of = (found.home, found.url, found.objects)
    with _LOCK:
        if of not in _TARGETS:
            _TARGETS[of] = Target(found)
        return _TARGETS[of]


def leave_all() -> None:
    """Do what is left to do at the exit of the process."""
    for target in list(_TARGETS.values()):
        target.leave()


def _forked() -> None:
    global _LOCK
    _LOCK = threading.Lock()
    for target in _TARGETS.values():
        target.forked()


os.register_at_fork(after_in_child=_forked)
