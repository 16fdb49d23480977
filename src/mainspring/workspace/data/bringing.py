"""One version on its way to one place: what is there is told from what a person changed.

Every file is written aside, checked and renamed, one by one: whoever is killed on the way
calls it again, and what is there already is not brought twice. A file that lies there goes only
if it is, byte for byte, of the version that was there before; by force others go that are in
the way, and what is not in the way stays in any case.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath

import msgspec

from mainspring.ground.errors import ConflictError, StoreError
from mainspring.ground.identity import sha256
from mainspring.pipelines.data import fetching, stats
from mainspring.pipelines.data.manifest import Entry, Manifest, Opened
from mainspring.pipelines.data.seen import only
from mainspring.pipelines.data.stats import State
from mainspring.pipelines.data.versions import DataVersion
from mainspring.pipelines.data.walk import PARTIAL
from mainspring.workspace.data import looking
from mainspring.workspace.data.places import Store, Tell, stats_folder

_TOLD = 5


class Got(msgspec.Struct, frozen=True, kw_only=True):
    """What bringing a version did."""

    version: DataVersion
    path: str
    written: int  #: files
    kept: int  #: files that were there already
    removed: int  #: files of the version before that are not in this one
    extra: int  #: files of somebody's own that are in no way and stay


class Getting:
    """One version on its way to one place."""

    def __init__(
        self,
        store: Store,
        version: DataVersion,
        held: Manifest,
        place: Path,
        tell: Tell,
        mode: int | None = None,
    ) -> None:
        self._store, self._version, self._held, self._place = store, version, held, place
        self._tell = tell
        self._mode = _usual_mode() if mode is None else mode
        self._single = held.kind != "folder"
        self.held_before: Callable[[State], Opened | None] = partial(looking.held_at, store)

    def get(self, force: bool, link: str, source: Path | None) -> Got:
        """Bring it; by links to ``source``, if that is said."""
        there, state = self._there()
        wanted = {self._key(entry): entry for entry in self._held.entries}
        before = self._before(state)
        same = {p for p, digest in there.items() if p in wanted and wanted[p].sha256 == digest}
        ours = {p for p, digest in there.items() if before.get(p) == digest}
        known = same | ours
        blocked = sorted(p for p in there if p in wanted and p not in known)
        if blocked and not force:
            raise self._blocked(blocked)
        gone = sorted(ours - wanted.keys())
        self._refuse_what_is_in_the_way(wanted, there.keys() - set(gone))
        todo = [entry for path, entry in wanted.items() if path not in same]
        for path in gone:  # first, as a folder may come where a file was
            self._remove(path)
        self._write(todo, link, source)
        self._modes([entry for path, entry in wanted.items() if path in same])
        self._remember(state, same)
        return Got(
            version=self._version,
            path=str(self._place),
            written=len(todo),
            kept=len(same),
            removed=len(gone),
            extra=len(there.keys() - wanted.keys() - ours),
        )

    def _key(self, entry: Entry) -> str:
        return self._place.name if self._single else entry.path

    def _there(self) -> tuple[dict[str, str], State]:
        """Return the digests of the files that lie there."""
        if not self._place.exists():
            return {}, State(place=str(self._place))
        if self._place.is_dir() == self._single:
            what = "folder" if self._place.is_dir() else "file"
            raise ConflictError(f"{self._place} is a {what} already.", field="target")
        found = looking.look(self._store.home, self._place, self._tell)
        for left in _partials(self._place):
            left.unlink(missing_ok=True)
        return found.seen.known(), found.state

    def _before(self, state: State) -> dict[str, str]:
        held = self.held_before(state)
        if held is None:
            return {}
        name = self._place.name if held.kind != "folder" else ""
        return {name or one.path: one.sha256 for one in held.entries}

    def _refuse_what_is_in_the_way(
        self, wanted: Mapping[str, Entry], stay: Collection[str]
    ) -> None:
        """Refuse to lead through a link, or to take a folder or file away for the other."""
        if self._single or not self._place.is_dir():
            return
        above = {str(one) for path in wanted for one in PurePosixPath(path).parents} - {"."}
        found = {path for path in above if (self._place / path).is_symlink() or path in stay}
        kept = {str(one) for path in stay for one in PurePosixPath(path).parents}
        for path in wanted:
            at = self._place / path
            if path in kept or (at.is_dir() and not at.is_symlink() and not any(at.iterdir())):
                found.add(path)
        if found:
            raise self._blocked(sorted(found), "Move it away.")

    def _blocked(self, paths: list[str], hint: str = "") -> ConflictError:
        first = ", ".join(paths[:_TOLD])
        more = f" and {len(paths) - _TOLD} more" if len(paths) > _TOLD else ""
        return ConflictError(
            f"{first}{more} in {self._place} would be overwritten, and is in no version that"
            " was there.",
            field="target",
            hint=hint or "Add it first (mainspring data add), or overwrite it with --force.",
        )

    def _write(self, todo: list[Entry], link: str, source: Path | None) -> None:
        def tell(at: int, of: int) -> None:
            self._tell("bringing", at, of)

        try:
            if not self._single:
                self._place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self._place} cannot be made: {error.strerror}.") from error
        if source is not None:
            for entry in todo:
                self._link(entry, link, source)
        elif self._single:
            for entry in todo:
                fetching.fetch(entry, self._store.objects, self._place, self._mode)
        else:
            fetching.fetch_all(todo, self._store.objects, self._place, mode=self._mode, tell=tell)

    def _link(self, entry: Entry, link: str, source: Path) -> None:
        target = self._place if self._single else self._place / entry.path
        origin = source if self._single else source / entry.path
        aside = target.with_name(f"{PARTIAL}{sha256(target.name.encode())[:16]}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            aside.unlink(missing_ok=True)
            if link == "symlink":
                aside.symlink_to(origin)
            else:
                aside.hardlink_to(origin)
            aside.replace(target)
            aside.unlink(missing_ok=True)  # two names of one file are not renamed onto each other
        except OSError as error:
            raise StoreError(
                f"{target} cannot be a {link}: {error.strerror}.", hint="Use --link copy."
            ) from error

    def _remove(self, path: str) -> None:
        file = self._place / path
        file.unlink(missing_ok=True)
        for folder in file.parents:
            if folder == self._place:
                break
            try:
                folder.rmdir()
            except OSError:  # it is not empty
                break

    def _modes(self, same: list[Entry]) -> None:
        """Make a file executable or not, whose bytes were right."""
        for entry in same:
            file = self._place if self._single else self._place / entry.path
            if bool(file.stat().st_mode & 0o100) != entry.executable:
                with suppress(OSError):  # a link to what is not ours to change
                    file.chmod(self._mode | (0o111 if entry.executable else 0))

    def _remember(self, state: State, same: set[str]) -> None:
        # Of what was just written nothing is remembered: it may have been changed since.
        kept = stats.of_version(self._place, self._version, "", only(state, same))
        if kept != state:
            stats.save(stats_folder(self._store.home), kept)


def _partials(place: Path) -> Iterator[Path]:
    if place.is_dir():
        for folder, _, names in os.walk(place):
            for name in names:
                if name.lstrip(".").startswith(PARTIAL[1:]):
                    yield Path(folder) / name


def _usual_mode() -> int:
    """Return the mode of a new file as this process makes it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


@contextmanager
def alone(store: Store, place: Path) -> Iterator[None]:
    """Keep two from bringing to one place at once.

    Raises:
        StoreError: if the home cannot be written.
    """
    folder = stats_folder(store.home)
    file = folder / f"{sha256(os.fsencode(place))[:32]}.lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror or error}.") from error
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)
