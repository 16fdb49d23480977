"""Ask a version over HTTP as its callers would: in a process of its own, on this machine.

The process is a fresh interpreter with the endpoint's own code, one version and nothing else. It
listens on a free loopback port, answers only who knows a secret that is told to it through a
pipe, and ends when that pipe closes, however the asking process ends.
"""

from __future__ import annotations

import http.client
import itertools
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from mainspring.ground.limits import LoadLimits
from mainspring.readiness.measured import LoadMeasured, LoadRound

#: Different rows that are asked about in turn.
_ROWS = 64
_WARM = 20
#: A process that did not answer by then is not going to.
START_S = 60.0
_ANSWER_S = 30.0
_STOP_S = 10.0
#: The asking threads share one interpreter: with its usual 5 ms of patience they would wait for
#: each other, and that would look like a slow version (p95 10 ms instead of 3, 2026-11).
_SWITCH_S = 0.0005
_JSON = {"Content-Type": "application/json"}


def measure(package: str, objects: str, example: pl.DataFrame, limits: LoadLimits) -> LoadMeasured:
    """Return how a packaged version answers; ``objects`` is the URL of where it is kept."""
    bodies = [
        msgspec.json.encode({"dataframe_records": [row]})
        for row in example.head(_ROWS).iter_rows(named=True)
    ]
    if not bodies:
        return LoadMeasured(why="the package keeps no rows to ask about")
    with (
        tempfile.TemporaryDirectory(prefix="mainspring-load-") as folder,
        alone(package, objects, folder) as served,
    ):
        return (
            LoadMeasured(why=served) if isinstance(served, str) else _asked(served, bodies, limits)
        )


class Alone:
    """A version that answers in a process of its own, only to who knows its secret."""

    def __init__(self, process: subprocess.Popen[str], secret: str, began: float) -> None:
        self.pid, self.secret, self.began = process.pid, secret, began
        self.port, self.form = 0, ""
        self._process = process

    def wait(self, package: str, objects: str) -> bool:
        """Tell it what to serve and wait until it does; False if it dies first."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
        with_limit = threading.Timer(START_S, process.kill)
        with_limit.start()
        try:
            order = msgspec.json.encode((self.secret, package, objects)).decode()
            process.stdin.write(order + "\n")
            process.stdin.flush()
            ready = process.stdout.readline()
        except OSError:  # it died before it was told what to serve
            ready = ""
        finally:
            with_limit.cancel()
        if ready:
            self.port, self.form = msgspec.json.decode(ready, type=tuple[int, str])
        return bool(ready)

    def memory(self) -> float | None:
        """Tell it to end, and return the most memory in MB that it held."""
        return _memory(self._process)


@contextmanager
def alone(package: str, objects: str, folder: str) -> Iterator[Alone | str]:
    """Give a packaged version that is served, or why it is not; what it prints goes to folder."""
    said = Path(folder) / "said"
    with said.open("wb") as printed:
        began = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603  our own module
            [sys.executable, "-P", "-m", "mainspring.workspace.measuring.alone", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printed,
            text=True,
        )
    try:
        served = Alone(process, secrets.token_urlsafe(16), began)
        if served.wait(package, objects):
            yield served
        else:
            last = said.read_text("utf-8", "replace").strip().splitlines()[-1:]
            yield f"the process did not start: {' '.join(last)[:300] or 'no word'}"
    finally:
        _end(process)


def _asked(served: Alone, bodies: Sequence[bytes], limits: LoadLimits) -> LoadMeasured:
    port, form = served.port, served.form
    caller = _Caller(port, served.secret, bodies)
    first = caller.ask(0)
    cold = time.perf_counter() - served.began
    if first is None:
        caller.close()
        return LoadMeasured(errors=1, form=form, why=f"the first request failed: {caller.told}")
    for place in range(1, _WARM):
        caller.ask(place)
    caller.close()
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        rounds = [
            _round(
                port, served.secret, bodies, limits.connections, limits.requests, limits.round_s
            )
            for _ in range(limits.rounds)
        ]
    finally:
        sys.setswitchinterval(usual)
    able = [one for one in rounds if one.requests > one.errors]
    memory = served.memory()
    errors = sum(one.errors for one in rounds)
    if not able:
        return LoadMeasured(errors=errors, form=form, rounds=rounds, why="no request was answered")
    calm = min(able, key=lambda one: one.p95_ms)
    return LoadMeasured(
        connections=limits.connections,
        requests=calm.requests,
        errors=errors,
        p50_ms=calm.p50_ms,
        p95_ms=calm.p95_ms,
        p99_ms=calm.p99_ms,
        rps=(calm.requests - calm.errors) / calm.seconds,
        memory_mb=memory,
        cold_start_s=cold,
        rounds=rounds,
        form=form,
    )


class _Caller:
    """One connection that asks about one row after the other."""

    def __init__(self, port: int, secret: str, bodies: Sequence[bytes]) -> None:
        self._link = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
        self._headers = {**_JSON, "Authorization": f"Bearer {secret}"}
        self._bodies = bodies
        self.told = ""

    def ask(self, place: int) -> float | None:
        """Return the milliseconds until the whole answer was there, or None if it is none."""
        start = time.perf_counter()
        try:
            body = self._bodies[place % len(self._bodies)]
            self._link.request("POST", "/invocations", body, self._headers)
            answer = self._link.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._link.close()
            self.told = f"{type(error).__name__}: {error}"
            return None
        if answer.status != 200:
            self.told = f"{answer.status} {said[:200].decode('utf-8', 'replace')}"
            return None
        return (time.perf_counter() - start) * 1000

    def close(self) -> None:
        """Leave the connection."""
        self._link.close()


def _round(
    port: int, secret: str, bodies: Sequence[bytes], connections: int, most: int, seconds: float
) -> LoadRound:
    """Ask from several connections at once, until enough were asked or the time is over."""
    numbers = itertools.count()
    times: list[float | None] = []
    end = time.perf_counter() + seconds

    def ask() -> None:
        caller = _Caller(port, secret, bodies)
        for place in numbers:
            # A slow version is asked at least once a connection, however short the round.
            if place >= most or (place >= connections and time.perf_counter() > end):
                break
            times.append(caller.ask(place))
        caller.close()

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(connections)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    good = np.array([one for one in times if one is not None])
    p50, p95, p99 = (
        np.quantile(good, [0.5, 0.95, 0.99], method="inverted_cdf").tolist()
        if good.size
        else (0.0, 0.0, 0.0)
    )
    return LoadRound(
        requests=len(times),
        errors=len(times) - int(good.size),
        seconds=took,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )


def _memory(served: subprocess.Popen[str]) -> float | None:
    """Return the most memory in MB that the process held, once it has been told to end."""
    assert served.stdin is not None and served.stdout is not None  # noqa: S101, PT018  for mypy
    killer = threading.Timer(_STOP_S, served.kill)
    killer.start()
    try:
        served.stdin.close()
        said = served.stdout.readline()
    finally:
        killer.cancel()
    found: Any = msgspec.json.decode(said) if said.strip() else None
    return float(found) if found is not None else None


def _end(served: subprocess.Popen[str]) -> None:
    for pipe in (served.stdin, served.stdout):
        if pipe is not None and not pipe.closed:
            pipe.close()
    try:
        served.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        served.kill()
        served.wait()
