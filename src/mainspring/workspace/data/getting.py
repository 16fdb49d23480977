"""Bring a version to a place in the file system, and touch nothing that a person changed.

Every file is written aside, checked and renamed, one by one: whoever is killed on the way
calls it again, and what is there already is not brought twice. A file that lies there goes only
if it is, byte for byte, of the version that was there before; ``force`` overwrites others that
are in the way, and what is not in the way stays in any case.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath

import msgspec

from mainspring.ground.errors import BadInputError, ConflictError, StoreError
from mainspring.ground.identity import sha256
from mainspring.ground.permissions import Permission
from mainspring.pipelines.data import fetching, manifest, pointers, stats, versions
from mainspring.pipelines.data.manifest import Entry, Manifest
from mainspring.pipelines.data.seen import only
from mainspring.pipelines.data.stats import State
from mainspring.pipelines.data.versions import DataVersion
from mainspring.pipelines.data.walk import PARTIAL
from mainspring.workspace.data import looking
from mainspring.workspace.data.places import Store, Tell, quiet, stats_folder, trees_folder
from mainspring.workspace.opening import Workspace

LINKS = ("auto", "reflink", "copy", "hardlink", "symlink")
_TOLD = 5


class Got(msgspec.Struct, frozen=True, kw_only=True):
    """What bringing a version did."""

    version: DataVersion
    path: str
    written: int  #: files
    kept: int  #: files that were there already
    removed: int  #: files of the version before that are not in this one
    extra: int  #: files of somebody's own that are in no way and stay


def get(
    ws: Workspace,
    reference: str,
    target: Path | None = None,
    *,
    force: bool = False,
    link: str = "auto",
    tell: Tell = quiet,
) -> Got:
    """Bring a version to a place; without one to the folder one stands in, by its name.

    ``link`` says how a file gets there: ``auto`` and ``reflink`` share the blocks of a file
    where the file system can and copy where not, ``copy`` is the same and asks for no more;
    ``hardlink`` and ``symlink`` name one read-only copy that the home keeps beside its objects,
    so that whoever writes through a link spoils no version.

    Raises:
        NotFoundError: if there is no such version.
        ConflictError: if a file in the way was changed, naming the first few.
        DamagedError: if bytes are not what they should be; then that file is not written.
        StoreError: if a disk fails or is full; what was written by then is whole.
    """
    if link not in LINKS:
        raise BadInputError(f"There is no link {link[:40]!r}: {', '.join(LINKS)}.", field="link")
    version = ws.read(Permission.READ, lambda tx: versions.resolve(tx, reference))
    source = tree(ws, version, tell) if link in ("hardlink", "symlink") else None
    return bring(ws, version, target, force=force, link=link, source=source, tell=tell)


def bring(
    store: Store,
    version: DataVersion,
    target: Path | None = None,
    *,
    force: bool = False,
    link: str = "auto",
    source: Path | None = None,
    before: Callable[[State], Manifest | None] | None = None,
    tell: Tell = quiet,
) -> Got:
    """Do what :func:`get` does with a version that was found, from wherever its bytes are.

    ``before`` tells what the version holds that was last at a place, where the store's own
    objects do not.
    """
    held = manifest.read(version.manifest or "", store.objects)
    place = (target or Path(_name(version, held))).expanduser().absolute()
    if target is not None and version.kind != "folder" and place.is_dir():
        place /= held.entries[0].path
    with _alone(store, place):
        getting = _Getting(store, version, held, place, tell)
        getting.held_before = before or getting.held_before
        return getting.get(force, link, source)


def tree(ws: Workspace, version: DataVersion, tell: Tell = quiet) -> Path:
    """Return a read-only copy of a version in the home, made if it is not there, and verified.

    It is a folder, or the one file. What was changed in it is brought anew.
    """
    held = manifest.read(version.manifest or "", ws.objects)
    folder = trees_folder(ws.home) / f"{version.kind}-{version.digest}"
    place = folder if version.kind == "folder" else folder / held.entries[0].path
    with _alone(ws, place):
        _Getting(ws, version, held, place, tell, mode=0o444).get(True, "auto", None)
    os.utime(folder)  # when it was last needed
    return place


class _Getting:
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
        self.held_before: Callable[[State], Manifest | None] = partial(looking.held_at, store)

    def get(self, force: bool, link: str, source: Path | None) -> Got:
        there, state = self._there()
        wanted = {self._key(entry): entry for entry in self._held.entries}
        before = self._before(state)
        same = {p for p, digest in there.items() if p in wanted and wanted[p].sha256 == digest}
        ours = {p for p, digest in there.items() if before.get(p) == digest}
        blocked = sorted(p for p in there if p in wanted and p not in same | ours)
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
        if held.kind != "folder":
            return {self._place.name: held.entries[0].sha256}
        return {entry.path: entry.sha256 for entry in held.entries}

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
        kept = State(
            place=str(self._place),
            name=self._version.name,
            number=self._version.number,
            digest=self._version.digest,
            manifest=self._version.manifest or "",
            kind=self._version.kind,
            folders=only(state, same),
        )
        if kept != state:
            stats.save(stats_folder(self._store.home), kept)


def _partials(place: Path) -> Iterator[Path]:
    if place.is_dir():
        for folder, _, names in os.walk(place):
            for name in names:
                if name.lstrip(".").startswith(PARTIAL[1:]):
                    yield Path(folder) / name


@contextmanager
def _alone(store: Store, place: Path) -> Iterator[None]:
    """Keep two from bringing to one place at once."""
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


def _usual_mode() -> int:
    """Return the mode of a new file as this process makes it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def _name(version: DataVersion, held: Manifest) -> str:
    return version.name if version.kind == "folder" else held.entries[0].path


def by_pointers(folder: Path, get_one: Callable[[str, Path], Got]) -> list[Got]:
    """Bring everything that pointers below a folder name to where they stand.

    Raises:
        BadInputError: if there is none, or one cannot be read.
    """
    found = list(pointers.below(folder))
    if not found:
        raise BadInputError(
            f"There is no pointer below {folder}.",
            field="dataset",
            hint="Name a version: mainspring data get NAME@7 TARGET",
        )
    read = [(pointers.read(file), place) for file, place in found]  # all of them, before any
    return [get_one(pointer.reference, place) for pointer, place in read]
