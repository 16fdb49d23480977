"""Score rows for another process: load one model, then answer batches until the line closes.

Any Python from 3.8 on runs this file by its path; it needs nothing but the standard library, so
that an environment in which Mainspring is not installed can serve a model. It is given a
descriptor of a socket and the number of the process that started it.

The first frame says what to load: ``{"loader": "module:function" or "/a/file.py:function",
"told": {...}, "path": [...], "memory_mb": ...}``. The function is called with ``told`` and returns
``score(rows, columns, types)``: how many rows, the columns by name, the word of each column's
type (float, int, str, bool). Columns are numpy arrays where numpy is there, else memoryviews;
text is a list of ``str | None``. It returns scores of shape (rows, k) or (rows,).
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import struct
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Frame = tuple[int, bytes, memoryview, int]

#: kind, bytes of the head (JSON), bytes of the body, rows
FRAME = struct.Struct("<B3xIQQ")
LENGTH = struct.Struct("<Q")
LOAD, READY, FAILED, SCORE, BEGAN, SCORES, RAISED, MEMORY = range(1, 9)

_FEEL_S = 1.0  # a parent that died is noticed this late where the kernel does not tell
_MB = 1 << 20
_ROOM = 16 * _MB  # that a model may grow by in any case after it was loaded


def receive(line: socket.socket, most: int = 1 << 40) -> Frame | None:
    """Return (kind, head, body, rows) of the next frame, or None at the end of the line."""
    start = _exactly(line, FRAME.size)
    if start is None:
        return None
    kind, head, body, rows = FRAME.unpack(start)
    if head + body > most:
        raise ValueError(f"a frame of {head + body} bytes, at most {most} were expected")
    data = _exactly(line, head + body)
    if data is None:
        return None
    return kind, bytes(data[:head]), memoryview(data)[head:], rows


def send(
    line: socket.socket, kind: int, head: bytes = b"", body: bytes = b"", rows: int = 0
) -> None:
    """Send one frame."""
    line.sendall(FRAME.pack(kind, len(head), len(body), rows) + head + body)


def _exactly(line: socket.socket, count: int) -> bytearray | None:
    data = bytearray(count)
    view, done = memoryview(data), 0
    while done < count:
        got = line.recv_into(view[done:])
        if got == 0:
            return None
        done += got
    return data


def main() -> None:
    """Load, say so, and score until nobody asks any more."""
    number, parent = int(sys.argv[1]), int(sys.argv[2])
    _die_with(parent)
    os.set_inheritable(number, False)
    line = socket.socket(fileno=number)
    first = receive(line)
    if first is None:
        return
    asked = json.loads(first[1])
    start = time.monotonic()
    try:
        score = _load(asked)
    except MemoryError:
        send(line, FAILED, _told("MemoryError", "it does not fit into its memory", ""))
        return
    # Whatever loading raises is the parent's to tell; it is no reason to die without a word.
    except BaseException as error:  # noqa: BLE001
        send(line, FAILED, _trouble(error))
        return
    _bound_memory(asked.get("memory_mb"))
    seconds = round(time.monotonic() - start, 3)
    send(line, READY, json.dumps({"pid": os.getpid(), "seconds": seconds}).encode())
    while True:
        frame = receive(line)
        if frame is None:
            return
        send(line, BEGAN)
        _answer(line, score, frame)


def _answer(line: socket.socket, score: Any, frame: Frame) -> None:
    _, head, body, rows = frame
    try:
        columns, types = _columns(head, body)
        found = score(rows, columns, types)
        width, data = _flat(found, rows)
    except MemoryError:
        send(line, MEMORY)
        # What is half built stays behind in memory; a new process begins without it.
        os._exit(3)
    # A model may raise what it likes: the request fails, the process goes on.
    except Exception as error:  # noqa: BLE001
        send(line, RAISED, _trouble(error))
        return
    send(line, SCORES, b"", LENGTH.pack(width) + data, rows)


def _columns(head: bytes, body: memoryview) -> tuple[dict[str, Any], dict[str, str]]:
    """Return values and types of the columns of one batch."""
    layout = _LAYOUTS.get(head)
    if layout is None:
        if len(_LAYOUTS) > 100:
            _LAYOUTS.clear()
        layout = _LAYOUTS[head] = json.loads(head)
    columns: dict[str, Any] = {}
    at = 0
    for name, _, code in layout:
        (size,) = LENGTH.unpack_from(body, at)
        at += LENGTH.size
        part = body[at : at + size]
        columns[name] = json.loads(bytes(part)) if code == "text" else _numbers(part, code)
        at += (size + 7) // 8 * 8
    return columns, {one[0]: one[1] for one in layout}


#: What heads say: those of one model are nearly always the same.
_LAYOUTS: dict[bytes, list[list[str]]] = {}


def _numbers(part: memoryview, code: str) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return part.cast("d" if code == "f8" else "q" if code == "i8" else "?")
    return numpy.frombuffer(part, dtype={"f8": "<f8", "i8": "<i8", "b1": "?"}[code])


def _flat(found: Any, rows: int) -> tuple[int, bytes]:
    """Return how many scores a row has, and all of them as bytes of float64."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        scores = numpy.ascontiguousarray(found, dtype=numpy.float64)
        if scores.ndim not in (1, 2) or len(scores) != rows:
            raise ValueError(f"scores of shape {scores.shape} for {rows} rows")
        return (1 if scores.ndim == 1 else scores.shape[1]), scores.tobytes()
    several = [one if isinstance(one, (list, tuple)) else [one] for one in found]
    widths = {len(one) for one in several}
    if len(several) != rows or len(widths) > 1:
        raise ValueError(f"{len(several)} scores of widths {widths} for {rows} rows")
    flat = array.array("d", [value for one in several for value in one])
    return (widths.pop() if widths else 1), flat.tobytes()


def _load(asked: dict[str, Any]) -> Any:
    sys.path[:0] = [place for place in asked.get("path", []) if place not in sys.path]
    with contextlib.suppress(ImportError):
        __import__("numpy")
    where, _, name = asked["loader"].rpartition(":")
    if where.endswith(".py"):
        import importlib.util

        spec = importlib.util.spec_from_file_location("mainspring_child_loader", where)
        if spec is None or spec.loader is None:
            raise ImportError(f"{where} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    else:
        import importlib

        module = importlib.import_module(where)
    return getattr(module, name)(asked.get("told", {}))


def _trouble(error: BaseException) -> bytes:
    import traceback

    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return _told(type(error).__name__, str(error), trace)


def _told(kind: str, message: str, trace: str) -> bytes:
    found = {"error": kind, "message": message[:2000], "trace": trace[-8000:]}
    return json.dumps(found).encode()


def _die_with(parent: int) -> None:
    """Do not outlive the process that started us, whatever the model does meanwhile."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)
        # If memory runs out on the machine, it shall be this process that ends.
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
            file.write("500")

    def feel() -> None:
        while os.getppid() == parent:
            time.sleep(_FEEL_S)
        os._exit(1)

    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=feel, name="parent", daemon=True).start()
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _bound_memory(most_mb: int | None) -> None:
    """Let the process grow by what is left of its memory, and not further.

    What is reserved counts for the kernel, what is used counts for us; so the limit is set by how
    much may still be added once the model is loaded.
    """
    if not most_mb:
        return
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123
            reserved, used = (
                int(word) * os.sysconf("SC_PAGE_SIZE") for word in file.read().split()[:2]
            )
        import resource

        most = reserved + max(most_mb * _MB - used, _ROOM)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    except (OSError, ValueError, ImportError):
        return  # the parent watches it as well


if __name__ == "__main__":
    main()
