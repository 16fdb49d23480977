"""Add what lies here to a server, and bring a server's versions here.

Only what the server lacks is sent, and it says what that is; see :mod:`receiving`. Cut short, it
goes on by being done again: what was sent is there, what was brought too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec

from mainspring.ground.errors import BadInputError, ConflictError, DamagedError, NotFoundError
from mainspring.ground.identity import sha256
from mainspring.ground.killpoints import here
from mainspring.pipelines.data import manifest, stats
from mainspring.pipelines.data.cuts import Chunk, cut_all
from mainspring.pipelines.data.manifest import Entry, Opened
from mainspring.pipelines.data.naming import DataVersion
from mainspring.pipelines.data.reading import SMALL, Hashing, batches, opened, read_ahead
from mainspring.pipelines.data.seen import Seen
from mainspring.pipelines.data.stats import State
from mainspring.pipelines.data.walk import Found, refuse
from mainspring.workspace.asking import Server
from mainspring.workspace.data import adding, comparing, getting, looking
from mainspring.workspace.data.adding import Added
from mainspring.workspace.data.getting import LINKS, Got
from mainspring.workspace.data.looking import Status
from mainspring.workspace.data.places import Tell, apart, far_home, place_of, quiet, stats_folder
from mainspring.workspace.data.profiles import Side
from mainspring.workspace.data.receiving import (
    MAX_FILES,
    MOST_ASKED,
    Committed,
    Lacking,
    SentFile,
    Taken,
)

_HELD = 32 << 20  # bytes of pieces that are asked for, and sent, together
_READ = 8 << 20
_ROUNDS = 4  # what a collection took away meanwhile is sent again


class There:
    """A server's data, seen from a machine that has files of its own."""

    def __init__(self, server: Server, home: Path) -> None:
        self.home = far_home(home, server.url)
        self._server = server

    def version(self, reference: str) -> DataVersion:
        """Return the version that a reference means.

        Raises:
            NotFoundError: if there is none.
        """
        query = {"version": reference, "limit": 1}
        told = self._server.ask("GET", "/api/v1/data-version", query=query)
        return msgspec.convert(told["version"], DataVersion)

    def newest(self, name: str) -> DataVersion | None:
        """Return the newest version of a dataset, if there is one."""
        try:
            return self.version(name)
        except NotFoundError:
            return None

    def lacking(self, digests: Iterable[str]) -> set[str]:
        """Return which of some pieces the server does not keep."""
        wanted = list(dict.fromkeys(digests))
        found: set[str] = set()
        for start in range(0, len(wanted), MOST_ASKED):
            some = {"digests": wanted[start : start + MOST_ASKED]}
            told = self._server.ask("POST", "/api/v1/data-lacking", body=some)
            found.update(msgspec.convert(told, Lacking).lacking)
        return found

    def send(self, pieces: Mapping[str, bytes]) -> int:
        """Send the pieces that the server lacks; return how many bytes were new there."""
        lacks = self.lacking(pieces)
        held = [data for digest, data in pieces.items() if digest in lacks]
        if not held:
            return 0
        body = msgspec.msgpack.encode(held)
        told = self._server.ask("PUT", f"/api/v1/data-pieces/{sha256(body)}", data=body)
        here("data.sent")
        return msgspec.convert(told, Taken).bytes

    def commit(self, name: str, files: Sequence[SentFile], **query: str) -> Committed:
        """Make files a version, or learn what lacks."""
        body = msgspec.msgpack.encode(files)
        if len(body) > MAX_FILES:
            raise BadInputError(
                f"The list of {len(files):,} files has {len(body):,} bytes; a server takes"
                f" {MAX_FILES:,}.",
                field="path",
                hint="Add it in parts, or to a home on this machine, and push that.",
            )
        path = f"/api/v1/data/{quote(name, safe='')}/versions"
        return msgspec.convert(self._server.ask("POST", path, query=query, data=body), Committed)

    def read(self, version: DataVersion) -> FarObjects:
        """Return what a version's bytes are read by."""
        return FarObjects(self._server, version.reference)

    def added(
        self,
        path: Path,
        *,
        name: str | None = None,
        message: str = "",
        tell: Tell = quiet,
    ) -> Added:
        """Add a file or folder of this machine as the next version of a dataset.

        Raises:
            BadInputError: if nothing is there; or naming the first files that cannot be kept.
            ConflictError: if the server does not keep what it is sent.
        """
        return _added(self, path, name, message, tell)

    def get(
        self,
        reference: str,
        target: Path | None = None,
        *,
        force: bool = False,
        link: str = "auto",
        tell: Tell = quiet,
    ) -> Got:
        """Bring a version to a place; see :func:`mainspring.workspace.data.getting.get`.

        Raises:
            BadInputError: for a link to a copy in a home, where there is none.
        """
        if link not in LINKS or link in ("hardlink", "symlink"):
            raise BadInputError(
                f"From a server files are copied, found {link[:40]!r}.",
                field="link",
                hint="Leave it out.",
            )
        version = self.version(reference)

        def before(state: State) -> Opened | None:
            try:
                if not state.digest:
                    return None
                return self.held(self.version(f"{state.name}@{state.digest}"))
            except NotFoundError:
                return None

        store = _Brought(self, version)
        return getting.bring(store, version, target, force=force, before=before, tell=tell)

    def status(self, place: Path, tell: Tell = quiet) -> Status:
        """Return how a place differs from the server's version that belongs there."""

        def held_of(name: str, digest: str, _state: State) -> Opened:
            return self.held(self.version(f"{name}@{digest}"))

        return looking.status(self.home, place, held_of, tell)

    def held(self, version: DataVersion) -> Opened:
        """Return what a version holds."""
        return Opened(version.manifest or "", self.read(version))


class FarObjects:
    """The objects of one version on a server."""

    def __init__(self, server: Server, reference: str) -> None:
        self._server, self._reference = server, reference

    def part(self, digest: str, start: int, count: int) -> bytes:
        """Return some of the bytes, not verified."""
        found = []
        while count > 0:
            query = {
                "version": self._reference,
                "object": digest,
                "start": start,
                "count": min(count, _READ),
            }
            data: bytes = self._server.ask("GET", "/api/v1/data-bytes", query=query, as_json=False)
            if not data:
                break
            found.append(data)
            start, count = start + len(data), count - len(data)
        return b"".join(found)

    def get(self, digest: str) -> bytes:
        """Return the bytes, verified."""
        data = self.part(digest, 0, 2**62)
        _verify(digest, sha256(data))
        return data

    def fetch(self, digest: str, target: Path | None) -> None:
        """Write the bytes to a file, verified, without holding them in memory."""
        found, start = hashlib.sha256(), 0
        with (target or Path("/dev/null")).open("wb") as file:
            while data := self.part(digest, start, _READ):
                found.update(data)
                file.write(data)
                start += len(data)
        _verify(digest, found.hexdigest())


def _verify(digest: str, found: str) -> None:
    if digest != found:
        raise DamagedError(f"Object {digest} came with the digest {found} from the server.")


def side(there: There, text: str, tell: Tell = quiet) -> Side:
    """Return a file or folder of this machine, or a version of a server's, to compare its files.

    Raises:
        NotFoundError: if it is neither.
    """
    place = Path(text).expanduser().absolute()
    if place.exists():
        return comparing.place_side(there.home, place, text, tell)
    version = there.version(text)
    held = there.held(version)

    def nowhere(entry: Entry, _folder: Path) -> Path:
        raise NotFoundError(f"{entry.path} lies on the server.")

    entries = list(held.entries)
    return Side(name=version.reference, digest=version.digest, entries=entries, open=nowhere)


class _Brought:
    """Where a version is brought from, and where is kept what is known of its place."""

    def __init__(self, there: There, version: DataVersion) -> None:
        self.home, self.objects = there.home, there.read(version)


def _added(there: There, path: Path, name: str | None, message: str, tell: Tell) -> Added:
    path = place_of(path)
    named, is_kind = adding.named_at(path, name), adding.kind_of(path, None)
    seen_ns = stats.now_ns()
    tell("looking", 0, 0)
    state = stats.load(stats_folder(there.home), path)
    seen = Seen(path, state, apart=apart(there.home))
    refuse(seen.refused)
    last = there.newest(named)
    if last is not None and last.kind == is_kind and seen.content(is_kind) == last.digest:
        return Added(version=last, new=False, stored=0, read=0)
    sending = _Sending(there, path, seen.files(), tell)
    if last is not None and (state.name, state.digest) == (named, last.digest):
        sending.trust(seen.known())
    sending.send()
    lines = sending.lines()
    digest = manifest.digest_of_lines(is_kind, lines)
    told = {"kind": is_kind, "digest": digest, "message": message, "source": str(path)}
    for _ in range(_ROUNDS):
        tell("writing down", 0, 0)
        done = there.commit(named, sending.files(), **told)
        if done.version is not None:
            version = done.version
            break
        sending.again(done.missing)
    else:
        raise ConflictError(
            f"The server still lacks {len(done.missing):,} pieces of {named}.",
            hint="Something takes them away as they come: ask whoever runs it.",
        )
    by_path = {line[0]: line[2] for line in lines}
    digests = (bytes.fromhex(by_path[file.path]) for file, _ in seen.each(unknown=True))
    adding.remember(there.home, path, version, digests, seen, seen_ns)
    return Added(version=version, new=done.new, stored=sending.stored, read=sending.read)


class _Sending:
    """The files of one place on their way to a server."""

    def __init__(self, there: There, root: Path, files: Sequence[Found], tell: Tell) -> None:
        self.stored = 0  #: bytes that were new there
        self.read = 0  #: files that were read
        self._there, self._root, self._found, self._tell = there, root, files, tell
        self._sent: dict[str, SentFile] = {}
        self._size = sum(file.size for file in files)

    def trust(self, digests: Mapping[str, str]) -> None:
        """Take files as kept there that are as they were when they were sent."""
        for file in self._found:
            if (digest := digests.get(file.path)) is not None:
                told = file.path, file.size, bytes.fromhex(digest), file.executable
                self._sent[file.path] = SentFile(*told)

    def send(self) -> None:
        """Send what the server lacks of all files that nothing was told of yet."""
        todo = [file for file in self._found if file.path not in self._sent]
        at = self._size - sum(file.size for file in todo)
        small = batches(file for file in todo if file.size < SMALL)
        for batch, read in read_ahead(self._root, small, list):
            self.stored += self._there.send({digest: data for data, digest in read if data})
            for file, (data, digest) in zip(batch, read, strict=True):
                told = file.path, len(data), bytes.fromhex(digest), file.executable
                self._sent[file.path] = SentFile(*told)
            at += sum(file.size for file in batch)
            self._tell("sending", at, self._size)
        for file in todo:
            if file.size >= SMALL:
                self._sent[file.path] = self._large(file, at)
                at += file.size
        self.read += len(todo)

    def again(self, missing: Sequence[str]) -> None:
        """Read and send the files anew of which the server lacks something."""
        lacks = {bytes.fromhex(one) for one in missing}
        for path, sent in list(self._sent.items()):
            if sent.sha256 in lacks or any(digest in lacks for _, digest in sent.chunks):
                del self._sent[path]
        self.send()

    def files(self) -> list[SentFile]:
        """Return every file, as the server is told of it."""
        return [self._sent[file.path] for file in self._found]

    def lines(self) -> list[manifest.Line]:
        """Return every file, as a version's digest is made of it."""
        return [(s.path, s.size, s.sha256.hex(), s.executable) for s in self.files()]

    def _large(self, file: Found, at: int) -> SentFile:
        """Cut a file, and send the chunks that the server lacks."""
        held: dict[str, bytes] = {}
        chunks: list[tuple[int, bytes]] = []
        waiting = 0

        def flush() -> None:
            nonlocal waiting
            self.stored += self._there.send(held)
            held.clear()
            waiting = 0

        def take(_at: int, chunk: Chunk, data: memoryview) -> None:
            nonlocal waiting
            chunks.append((chunk.length, bytes.fromhex(chunk.sha256)))
            held[chunk.sha256] = bytes(data)
            waiting += chunk.length
            if waiting >= _HELD:
                flush()

        with opened(self._root, file) as source, Hashing() as hashing:

            def pieces() -> Iterable[bytes]:
                while piece := source.read(_READ):
                    hashing.update(piece)
                    yield piece
                    self._tell("sending", at + hashing.size, self._size)

            cut_all(pieces(), take)
            flush()
            digest = bytes.fromhex(hashing.hexdigest())
            return SentFile(file.path, hashing.size, digest, file.executable, tuple(chunks))
