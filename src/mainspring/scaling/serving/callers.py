"""Count who calls an endpoint: by token, by what it says it is, by class of program.

No person and no address is kept: the name of the token, the header ``X-Client`` if it is a plain
name, and of the User-Agent the first word without its version. Counted in memory by the day, and
written out by the thread that writes the tallies.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from mainspring.ground.objects import DAY_S, Record

FOLDER = "callers"
MOST = 500  #: callers of a process between two writes; what is more is counted together
OTHERS = "others"
KEPT_DAYS = 400

_CLIENT = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")
_AGENT = re.compile(rb"[A-Za-z][A-Za-z0-9._\-]{0,39}")

#: (name of the token, X-Client, User-Agent) as they came
_Key = tuple[str, bytes, bytes]


class Calls(Record, frozen=True, kw_only=True):
    """How often one caller called, and when."""

    token: str = ""  #: blank: none was shown
    client: str = ""
    agent: str = ""
    requests: int
    first: float
    last: float


class Callers:
    """The callers of one endpoint process."""

    def __init__(self, folder: Path | None, boot: str, now: Callable[[], float]) -> None:
        self.trouble = ""
        self._folder = None if folder is None else folder / FOLDER  #: None: none is written
        self._boot, self._now = boot, now
        self._seen: dict[_Key, list[float]] = {}
        self._lock = threading.Lock()

    def add(self, token: str, headers: Mapping[bytes, bytes]) -> None:
        """Count one request of somebody; ``token`` is blank where none was shown."""
        key = (token, headers.get(b"x-client", b""), headers.get(b"user-agent", b""))
        now = self._now()
        with self._lock:
            found = self._seen.get(key)
            if found is None:
                if len(self._seen) >= MOST:  # strangers must not fill our memory
                    key = (token, OTHERS.encode(), b"")
                found = self._seen.setdefault(key, [0, now, now])
            found[0] += 1
            found[2] = now

    def flush(self) -> None:
        """Write out what was counted since the last time."""
        with self._lock:
            seen, self._seen = self._seen, {}
        if not seen or self._folder is None:
            return
        lines = [
            msgspec.json.encode(
                Calls(
                    token=token,
                    client=client_of(client),
                    agent=agent_class(agent),
                    requests=int(requests),
                    first=first,
                    last=last,
                )
            )
            for (token, client, agent), (requests, first, last) in seen.items()
        ]
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._folder / f"{int(self._now() // DAY_S):08d}-{self._boot}.jsonl"
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, b"\n".join(lines) + b"\n")
            finally:
                os.close(file)
        except OSError as error:
            # A full disk must not end the serving; these counts are lost.
            self.trouble = str(error)


def agent_class(header: bytes) -> str:
    """Return the class of a program by its User-Agent: its first word, without a version.

    >>> agent_class(b"python-requests/2.32.3"), agent_class(b"Mozilla/5.0 (X11)"), agent_class(b"")
    ('python-requests', 'browser', '')
    """
    found = _AGENT.match(header)
    if found is None:
        return "unnamed" if header else ""
    name = found[0].decode().lower()
    return "browser" if name == "mozilla" else name


def client_of(header: bytes) -> str:
    """Return what a caller says it is; a name that could be a person's address is not kept."""
    if not header:
        return ""
    return header.decode() if _CLIENT.fullmatch(header) else "unnamed"


def read(folder: Path, since: float, until: float) -> list[Calls]:
    """Return who called with since <= last < until, the most frequent first.

    A line that was being written is left out.
    """
    whole: dict[tuple[str, str, str], Calls] = {}
    for path in _files(folder):
        if not since // DAY_S <= _day(path) <= until // DAY_S + 1:
            continue
        for line in path.read_bytes().split(b"\n"):
            try:
                found = msgspec.json.decode(line, type=Calls)
            except msgspec.MsgspecError:
                continue
            if since <= found.last < until:
                key = (found.token, found.client, found.agent)
                whole[key] = _added(whole.get(key), found)
    return sorted(
        whole.values(), key=lambda one: (-one.requests, one.token, one.client, one.agent)
    )


def prune(folder: Path) -> int:
    """Remove files of days long past, counted from the newest; return how many."""
    files = _files(folder)
    newest = max(map(_day, files), default=0)
    old = [path for path in files if _day(path) < newest - KEPT_DAYS]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _added(before: Calls | None, more: Calls) -> Calls:
    if before is None:
        return more
    return msgspec.structs.replace(
        before,
        requests=before.requests + more.requests,
        first=min(before.first, more.first),
        last=max(before.last, more.last),
    )


def _files(folder: Path) -> list[Path]:
    there = (folder / FOLDER).glob("*.jsonl") if (folder / FOLDER).is_dir() else ()
    return sorted(path for path in there if path.name.partition("-")[0].isdecimal())


def _day(path: Path) -> int:
    return int(path.name.partition("-")[0])
