"""Keep what a program leaves in its folder of checkpoints while it runs, and put it back.

It is what SageMaker does with ``/opt/ml/checkpoints``. A folder that was the same at two looks is
copied, and the copy kept if nothing changed meanwhile: what is being written is not in it.
"""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mainspring.ground.errors import MainspringError
from mainspring.pipelines.checkpoints import Shelf
from mainspring.pipelines.context import current

LOOK_S = 0.5  #: between looks
_KEEP = 2
Signature = tuple[tuple[str, int, int], ...]


@contextmanager
def followed(folder: Path) -> Iterator[Following]:
    """Put the last checkpoint into a folder, and keep new ones as long as the program runs.

    Each of several workers has its own; one that has kept none begins with the first one's.
    """
    context = current()
    shelf = None if context is None else context.folder_shelf
    following = Following(folder, shelf, folder.with_name("checkpoints-kept"))
    following.restore(None if context is None else context.shelf)
    thread = threading.Thread(target=following.run, name="checkpoints", daemon=True)
    if shelf is not None:
        thread.start()
    try:
        yield following
    finally:
        following.over.set()
        if thread.is_alive():
            thread.join()


class Following:
    """A folder of checkpoints that is looked at."""

    def __init__(self, folder: Path, shelf: Shelf | None, copy: Path) -> None:
        self._folder, self._shelf, self._copy = folder, shelf, copy
        self._step = 0
        self._seen: Signature = ()
        self._kept: Signature = ()
        self.over = threading.Event()

    def restore(self, other: Shelf | None = None) -> None:
        """Put back what was kept last; what ``other`` has if that is nothing."""
        last = None if self._shelf is None else self._shelf.last()
        self._step = 0 if last is None else last.step
        if last is None and other is not self._shelf and other is not None:
            last = other.last()
        if last is not None:
            shutil.copytree(last.value, self._folder, dirs_exist_ok=True)
            self._kept = self._seen = signature(self._folder)

    def run(self) -> None:
        """Look until it is over."""
        while not self.over.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        """Keep the folder if it is another than the kept one, and the same as a look before."""
        found = signature(self._folder)
        if found == self._seen and found != self._kept:
            self._keep(found)
        self._seen = found

    def closed(self) -> None:
        """Keep what a program left that ended by itself: its files are closed."""
        if self._shelf is not None:
            self._seen = signature(self._folder)
            self.look()

    def _keep(self, found: Signature) -> None:
        shutil.rmtree(self._copy, ignore_errors=True)
        with suppress(FileNotFoundError, shutil.Error):  # it was renamed or taken away meanwhile
            shutil.copytree(self._folder, self._copy)
        if signature(self._folder) != found or self._shelf is None:
            return
        try:
            self._shelf.put(self._copy, self._step + 1, _KEEP)
        except MainspringError as error:
            sys.stderr.write(f"Checkpoints are not kept: {error.message}\n")
        else:
            self._step += 1
        self._kept = found  # also if not: what cannot be kept is told once


def signature(folder: Path) -> Signature:
    """Return what tells a folder's content from another without reading it."""
    found = []
    for file in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError):
            told = file.stat()
            found.append((file.relative_to(folder).as_posix(), told.st_size, told.st_mtime_ns))
    return tuple(one for one in found if not (folder / one[0]).is_dir())
