"""One child process that scores: start it, ask it with a deadline, end it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from mainspring.scaling.models.apart import child
from mainspring.scaling.models.check import Prepared

Floats = npt.NDArray[np.float64]

#: What a child may know of the environment: no proxies, no tokens, no keys.
KEPT = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "SYSTEMROOT")
_MOST_WORDS = 1 << 16  # bytes of what a child says beside scores
_LOOK_S = 0.5  # a dead child's line may be held open by one of its own children
_CODES = {"f": "f8", "i": "i8", "b": "b1"}


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a child is started and what it loads; see ``child.py``.

    ``python`` may belong to another environment, with none of our packages in it; ``path`` is
    put in front of its own. ``told`` is handed to the loader and must be plain JSON.
    """

    loader: str
    told: dict[str, Any] = field(default_factory=dict)
    python: str = sys.executable
    path: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    load_s: float = 60.0


def own_path() -> tuple[str, ...]:
    """Return where this process finds its modules, for a child that loads with our own code."""
    return tuple(place for place in sys.path if place)


class EndedError(Exception):
    """A child ended instead of answering; ``began`` says whether it had begun to score."""

    def __init__(self, why: str, *, began: bool) -> None:
        super().__init__(why)
        self.why, self.began = why, began


class HungError(Exception):
    """A child did not answer in time."""


class RaisedError(Exception):
    """The model raised; the child goes on."""

    def __init__(self, kind: str, message: str, trace: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind, self.message, self.trace = kind, message, trace


def encode(rows: Prepared) -> tuple[bytes, bytes]:
    """Return the head and the body of a batch: a layout, and each column's values in turn."""
    layout, parts = [], []
    for name, values in rows.columns.items():
        if isinstance(values, list):
            code, data = "text", msgspec.json.encode(values)
        else:
            code, data = _CODES[values.dtype.kind], values.tobytes()
        layout.append((name, rows.types[name], code))
        parts += [child.LENGTH.pack(len(data)), data, b"\0" * (-len(data) % 8)]
    return msgspec.json.encode(layout), b"".join(parts)


class Spawned:
    """One child. Used by one thread at a time; :meth:`end` may be called by any."""

    def __init__(self, launch: Launch, memory_mb: int | None) -> None:
        ours, theirs = socket.socketpair()
        self.since = monotonic()
        self.scored = 0  #: batches
        self.why = ""  #: what we ended it for
        self._ended = False
        me = str(os.getpid())
        asked = {"loader": launch.loader, "told": launch.told, "path": list(launch.path)}
        try:
            self._process = subprocess.Popen(  # noqa: S603  our own file, by a Python of ours
                # -I: neither the folder we stand in nor PYTHON* variables choose its modules.
                [launch.python, "-I", "-u", child.__file__, str(theirs.fileno()), me],
                stdin=subprocess.DEVNULL,
                env=_environment() | launch.environment,
                pass_fds=[theirs.fileno()],
                cwd=tempfile.gettempdir(),
                start_new_session=True,  # so that what it starts can be ended with it
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._line = ours
        ours.settimeout(launch.load_s)
        with contextlib.suppress(OSError):  # if it is dead already, that is seen soon enough
            child.send(ours, child.LOAD, json.dumps(asked | {"memory_mb": memory_mb}).encode())

    @property
    def pid(self) -> int:
        """Return its process number."""
        return self._process.pid

    def fileno(self) -> int:
        """Return the descriptor of the line, readable once the child has something to say."""
        return self._line.fileno()

    def heard(self) -> dict[str, Any] | None:
        """Return what a starting child says once it has loaded: ``{}``, or its trouble.

        None while it has said nothing yet.
        """
        try:
            if not select_one(self._line, 0.0):
                return None
            self._line.settimeout(_LOOK_S)
            frame = child.receive(self._line, _MOST_WORDS)
        except (OSError, ValueError) as error:
            return {"error": "EndedError", "message": str(error)}
        if frame is None:
            return {"error": "EndedError", "message": self.ending()}
        kind, head, _, _ = frame
        return {} if kind == child.READY else _words(head)

    def ask(self, head: bytes, body: bytes, rows: int, width: int, until: float) -> Floats:
        """Return scores of shape (rows, width).

        Raises:
            EndedError, HungError, RaisedError: if there are none.
        """
        began = False
        try:
            self._line.settimeout(max(until - monotonic(), 0.001))
            child.send(self._line, child.SCORE, head, body, rows)
            while True:
                frame = self._next(until, most=max(_MOST_WORDS, 8 + 8 * rows * width))
                if frame is None:
                    raise EndedError(self.ending(), began=began)
                kind, said, data, _ = frame
                if kind == child.BEGAN:
                    began = True
                    continue
                return self._scores(kind, said, data, rows, width)
        except TimeoutError:
            raise HungError from None
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.ECONNRESET):
                raise EndedError(self.ending(), began=began) from error
            raise EndedError(str(error), began=True) from error
        except ValueError as error:
            raise EndedError(f"it spoke nonsense: {error}", began=True) from error

    def _next(self, until: float, most: int) -> Any:
        while not select_one(self._line, min(_LOOK_S, max(until - monotonic(), 0.0))):
            if monotonic() >= until:
                raise TimeoutError
            if self._process.poll() is not None and not select_one(self._line, 0.0):
                return None
        self._line.settimeout(max(until - monotonic(), 0.001))
        return child.receive(self._line, most)

    def _scores(self, kind: int, said: bytes, data: memoryview, rows: int, width: int) -> Floats:
        if kind == child.RAISED:
            told = _words(said)
            raise RaisedError(told["error"], told["message"], told["trace"])
        if kind == child.MEMORY:
            self.why = "it ran out of its memory"
            raise EndedError(self.why, began=True)
        if kind != child.SCORES or len(data) < 8:
            raise ValueError(f"a frame of kind {kind}")
        found = child.LENGTH.unpack_from(data)[0]
        if found != width or len(data) != 8 + 8 * rows * width:
            message = f"{found} scores a row, the signature wants {width}"
            raise RaisedError("ValueError", message, "")
        self.scored += 1
        return np.frombuffer(data[8:], dtype="<f8").reshape(rows, width)

    def alive(self) -> bool:
        """Return whether the process is there."""
        return self._process.poll() is None

    def memory_bytes(self) -> int:
        """Return how much memory it holds, 0 where that cannot be told."""
        return resident_bytes(self.pid)

    def ending(self) -> str:
        """Return how it ended, in words; waits a little for it to be gone."""
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return self.why or "it closed its line"
        if self.why:
            return self.why
        if code >= 0:
            return f"it ended with code {code}"
        with contextlib.suppress(ValueError):
            return f"it was ended by {signal.Signals(-code).name}"
        return f"it was ended by signal {-code}"

    def end(self, why: str = "") -> None:
        """End it and what it started, now; who asks it sees the line end."""
        if self._ended:
            return
        self._ended, self.why = True, self.why or why
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self, why: str = "") -> None:
        """End it and let go of its line; for the thread that asks it, if one does."""
        self.end(why)
        self._process.wait()
        self._line.close()


def select_one(line: socket.socket, seconds: float) -> bool:
    """Return whether a socket has something to read, or has ended, within some seconds."""
    waiting = select.poll()  # select() refuses descriptors above 1,023
    waiting.register(line, select.POLLIN)
    return bool(waiting.poll(max(0, round(seconds * 1000))))


def resident_bytes(pid: int | Literal["self"] = "self") -> int:
    """Return how much memory a process holds, 0 where that cannot be told."""
    try:
        words = Path(f"/proc/{pid}/statm").read_text("ascii").split()
    except OSError:
        return 0
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE")


def _environment() -> dict[str, str]:
    """Return what a child is told of the world: where programs are, and to use one thread."""
    one = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**dict.fromkeys(one, "1"), "MALLOC_ARENA_MAX": "2", **kept}


def _words(head: bytes) -> dict[str, str]:
    try:
        found = json.loads(head)
        return {name: str(found.get(name, "")) for name in ("error", "message", "trace")}
    except (ValueError, AttributeError):
        return {"error": "EndedError", "message": "it spoke nonsense", "trace": ""}
