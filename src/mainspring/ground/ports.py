"""What a backend promises: the store, the objects, the executor. At most ten methods each.

``mainspring.testing`` holds these promises as test suites; a backend is done when it
passes its suite. Only ``workspace`` knows which backend stands behind a port.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from mainspring.ground.permissions import Permission, Principal
from mainspring.ground.rules import Message

T = TypeVar("T")


class Tx(Protocol):
    """One transaction, as the rooms see it.

    Statements are SQLAlchemy Core; rows are read by attribute (``row.name``). One that is asked
    often is built once, with named places that ``values`` fill: building costs ten times what
    running it does.

    * **Atomic:** everything done in one ``Store.write`` is kept together or not at all.
    * **Ordered:** writes happen one after another; a read sees every write acknowledged before.
    """

    @property
    def who(self) -> Principal:
        """Who asked for this transaction."""
        ...

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        ...

    def all(self, statement: Any, values: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Return every row of a SELECT (or of a RETURNING)."""
        ...

    def one(self, statement: Any, values: Mapping[str, Any] | None = None) -> Any | None:
        """Return the first row, or None."""
        ...

    def run(
        self,
        statement: Any,
        rows: Sequence[Mapping[str, Any]] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> int:
        """Execute a change, once or for each of ``rows``; return how many rows changed."""
        ...

    def audit(
        self, action: str, subject: str, detail: Mapping[str, Any], reason: str = ""
    ) -> None:
        """Append one row to the hash-chained audit log, in this same transaction."""
        ...

    def now(self) -> float:
        """Return wall time, UTC seconds: evidence ages and audit rows are dated by it."""
        ...

    def lease_now(self) -> float:
        """Return seconds on the clock by which leases are kept; it never goes backwards.

        The database's own clock on PostgreSQL; the machine's boot-relative clock on SQLite.
        """
        ...


class Store(Protocol):
    """The database, asked by somebody for something. Denied by default.

    * **Authorised:** every call names a principal and a permission; the store refuses before
      any statement runs.
    * **Durable:** when ``write`` returns, a power cut loses nothing of it.
    * **Grouped:** concurrent writers of one process share one fsync. ``work`` may be run
      again if the database asks for it, so it does nothing but talk to its transaction.
    * **Fail-stop:** after a failed fsync every further write raises ``StoreError``.
    """

    def read(self, who: Principal, permission: Permission, work: Callable[[Tx], T]) -> T:
        """Run ``work`` on one consistent view of the data; it must not change anything."""
        ...

    def write(self, who: Principal, permission: Permission, work: Callable[[Tx], T]) -> T:
        """Run ``work`` in one durable transaction and return its result.

        An exception raised by ``work`` undoes all of it and is raised here.
        """
        ...

    def changed(self) -> int:
        """Return a number that differs after anybody, in any process, committed a write.

        Cheap enough to be asked ten times a second.
        """
        ...

    def close(self) -> None:
        """Let go of every connection."""
        ...


class Kept(msgspec.Struct, frozen=True):
    """One object as it lies there."""

    digest: str
    size: int
    at: float  #: UTC seconds: when it was last put, to within half a day


class Objects(Protocol):
    """Bytes kept under the sha256 of their plain content. Created once, never changed.

    * **Durable:** when ``put`` returns the digest, a power cut loses nothing.
    * **Idempotent:** putting the same bytes again is a hit, not an error.
    * **Verified:** reads check the digest of the bytes they return.
    * **Fresh:** a ``put`` makes an object at most half a day old, also where it is a hit, and
      no ``delete`` that asks for an older one takes it away, whichever of the two came first.
    """

    def put(self, data: bytes) -> str:
        """Keep bytes and return their digest."""
        ...

    def put_file(self, source: Path | Iterable[bytes | memoryview]) -> str:
        """Keep a file's bytes, or pieces as they come, without holding them in memory.

        Return their digest. A piece is not looked at again once the next was asked for.
        """
        ...

    def get(self, digest: str) -> bytes:
        """Return the bytes.

        Raises:
            NotFoundError: if there are none by that digest.
            DamagedError: if what is kept does not have that digest any more.
        """
        ...

    def fetch(self, digest: str, target: Path | None) -> None:
        """Write the bytes to a file, verified, without holding them in memory.

        Without a target they are read and verified, and written nowhere.
        """
        ...

    def has(self, digest: str) -> bool:
        """Return whether the bytes are kept."""
        ...

    def renew(self, digest: str) -> bool:
        """Make an object fresh, as a put of its bytes would; return whether it is there.

        For those who are told a digest by somebody else and are about to write a row with it.
        """
        ...

    def size(self, digest: str) -> int:
        """Return the number of bytes kept under a digest."""
        ...

    def part(self, digest: str, start: int, count: int) -> bytes:
        """Return ``count`` bytes from ``start`` on, or as many as there are; not verified."""
        ...

    def each(self) -> Iterator[Kept]:
        """Go through everything that is kept, in no order, as it is found."""
        ...

    def delete(self, digest: str, before: float) -> bool:
        """Take an object away unless it was put at or after ``before``; return whether it went.

        ``before`` lies at least a day in the past wherever others may be at work, since they
        rely on what they put until a row names it.
        """
        ...


class Readable(Protocol):
    """Of :class:`Objects` what reading needs: what lies on a server has no more."""

    def get(self, digest: str) -> bytes:
        """Return the bytes, verified."""
        ...

    def fetch(self, digest: str, target: Path | None) -> None:
        """Write the bytes to a file, verified."""
        ...

    def part(self, digest: str, start: int, count: int) -> bytes:
        """Return some of the bytes, not verified."""
        ...


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Work for a process of its own: a function of ours and its JSON-like payload."""

    target: str  #: "package.module:function", taking the payload and returning JSON-like values
    payload: dict[str, Any]
    cwd: str | None = None
    env: dict[str, str] = {}
    path: list[str] = []  #: put in front of sys.path, for the user's own modules
    log: str | None = None  #: a file that receives stdout and stderr
    timeout_s: float | None = None
    beat: str | None = None  #: a file it touches to show that it gets on
    beat_s: float | None = None  #: without a touch for so long it is ended
    prefix: str = ""  #: before each line of what it prints; several calls may have one log
    hide: list[str] = []  #: never in its log, in any of the forms a text may take
    memory: int | None = None  #: bytes it and its children may use; it is ended beyond
    cpus: int | None = None  #: that it and its children may use, where that can be bounded
    groups: list[str] = []  #: control groups it is to join: the executor's own affair
    python: str | None = None  #: an environment's interpreter to run it in; None: ours
    light: bool = False  #: it needs neither tables nor models: run it where they are not loaded
    soon: bool = False  #: it needs little: begin, though what most calls use is not loaded yet


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended."""

    ok: bool
    value: Any = None  #: what the function returned
    error: str = ""  #: one line: the exception, the signal or the time-out
    code: str = ""  #: the MainspringError code, when it was one of ours
    field: str | None = None  #: the input that was wrong, when it was one of ours
    trace: str = ""  #: the traceback, the user's frames only where there are any
    types: list[str] = []  #: the class of what was raised and its bases, by name
    killed: bool = False  #: by SIGKILL from outside, or with its server: not the function's doing
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0


class Executor(Protocol):
    """Runs calls in processes of their own, each the leader of its process group.

    * **Isolated:** a crash, a segfault or a kill of the child is an Outcome, never ours.
    * **Mortal:** when this process dies, by kill -9 too, its children die with it.
    """

    def run(self, call: Call, cancelled: Callable[[], bool] | None = None) -> Outcome:
        """Run one call to its end; safe to use from several threads.

        ``cancelled`` is asked a few times a second; once true, the child's whole process
        group gets SIGTERM and, a grace later, SIGKILL.
        """
        ...

    def close(self) -> None:
        """End every child."""
        ...


class Notifier(Protocol):
    """Tells people something, over one channel.

    * **At least once:** the same message may come twice, under the same ``Message.id``.
    * **In time:** it answers or raises within a minute, whatever the other side does.
    * **Silent about secrets:** neither what it returns nor what it raises holds one.
    """

    def send(self, message: Message, at: float) -> str:
        """Tell it now (``at`` is wall time) and return what the other side said, in short.

        Raises:
            UnavailableError: if another try may do better.
            BadInputError: if none will.
        """
        ...
