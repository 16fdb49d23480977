"""Targets for the executor's tests: what a child may do, well and badly."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from mainspring.ground.errors import ConflictError


def echo(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the payload and something about the process."""
    where = {"cwd": str(Path.cwd()), "path0": sys.path[0]}
    ids = {"pid": os.getpid(), "group": os.getpgid(0), "session": os.getsid(0)}
    return {**payload, **where, **ids, "var": os.environ.get("PROMISED")}


def speak(payload: dict[str, Any]) -> None:
    """Write to both streams."""
    print(payload["text"])  # noqa: T201
    print("to stderr", file=sys.stderr)  # noqa: T201
    subprocess.run(["/bin/echo", "from a grandchild"], check=True)


def fail(payload: dict[str, Any]) -> None:
    """Raise as a user's code would."""
    _inner(payload["text"])


def _inner(text: str) -> None:
    raise ValueError(text)


def refuse(payload: dict[str, Any]) -> None:
    """Raise one of our own errors."""
    raise ConflictError(f"Cannot do {payload['text']}.", hint="Do something else.")


def die(payload: dict[str, Any]) -> None:
    """End without a word, in the way asked for."""
    how = payload["how"]
    if how == "exit":
        os._exit(3)
    if how == "sys.exit":
        sys.exit("enough")
    if how == "segfault":
        ctypes.string_at(0)
    os.kill(os.getpid(), getattr(signal, how))


def strange(_: dict[str, Any]) -> object:
    """Return what cannot be written as JSON."""
    return object()


def large(payload: dict[str, Any]) -> str:
    """Return a long text."""
    return "x" * int(payload["size"])


def sleep(payload: dict[str, Any]) -> None:
    """Leave a grandchild behind and sleep, telling both pids in a file."""
    if payload.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["/bin/sleep", "120"])
    file = Path(payload["file"])
    part = file.with_suffix(".part")
    part.write_text(f"{os.getpid()} {child.pid}")
    part.replace(file)
    if not payload.get("leave"):
        time.sleep(120)


def compute(_: dict[str, Any]) -> list[float]:
    """Use the preloaded libraries in earnest: a query, a product of matrices, a draw."""
    import numpy as np
    import polars as pl

    frame = pl.DataFrame({"group": [1, 1, 2], "value": [1.0, 2.0, 3.0]})
    sums = frame.lazy().group_by("group").agg(pl.col("value").sum()).sort("group").collect()
    ones = np.ones((300, 300))
    return [*sums["value"].to_list(), float((ones @ ones).sum()), float(np.random.rand())]
