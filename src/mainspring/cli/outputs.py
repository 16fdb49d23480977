"""Take what the supervisor's processes print into the logs. Standard library only.

Each process prints into a file of its own, ``logs/NAME.log``, whatever becomes of us; how far
each has been taken is kept, so that the last words of a process whose supervisor was killed
are taken by the next one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from mainspring.ground.clock import SystemClock
from mainspring.ground.logfiles import LogFile
from mainspring.ground.logs import line_of
from mainspring.ground.tails import Tail


class Outputs:
    """What the processes of a home print, and how far it has been taken."""

    def __init__(self, home: Path, *, days: float = 14, most_mb: int = 256) -> None:
        self._folder = home / "logs"
        self._kept = home / "run" / "outputs.json"
        self._days, self._most = days, most_mb * 1_000_000
        self._tails: dict[str, Tail] = {}
        self._pids: dict[str, int] = {}
        self._places = self._read()

    def prepare(self, name: str) -> None:
        """Take what the process before left, so that a new one may start.

        Before it starts and not after: what it prints at once is its own, and none of it is
        taken for what an older release left.
        """
        self.drain(name, final=True)
        if name not in self._tails:
            file = self._folder / f"{name}.log"
            # Without a note of how far it was taken, what is there is of an older release.
            there = file.stat().st_size if file.exists() else 0
            self._tails[name] = self._tail(name, file, self._places.get(name, there))
            self.drain(name, final=True)

    def follow(self, name: str, pid: int | None) -> None:
        """Take what a process prints from now on; :meth:`prepare` came before it started."""
        self._pids[name] = pid or 0

    def drain(self, name: str | None = None, *, final: bool = False) -> None:
        """Take what was printed since the last time, by one process or by all."""
        before = dict(self._places)
        for one in [name] if name is not None else list(self._tails):
            if one in self._tails:
                self._tails[one].drain(final=final)
                self._places[one] = self._tails[one].place
        if self._places != before:
            self._write()

    def _tail(self, name: str, file: Path, start: int) -> Tail:
        lines = LogFile(self._folder, name, days=self._days, most_bytes=self._most)
        of_endpoint = name.startswith("endpoint-")
        endpoint = name.removeprefix("endpoint-").partition("~")[0] if of_endpoint else None
        clock = SystemClock()

        def take(level: str, text: str, trace: str) -> None:
            fields = {"stream": "output", "endpoint": endpoint, "trace": trace or None}
            pid = self._pids.get(name, 0)
            lines.append(line_of(clock.now(), level, name, pid, text, fields))

        return Tail(file, take, start=start)

    def _read(self) -> dict[str, int]:
        try:
            found = json.loads(self._kept.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {k: v for k, v in found.items() if isinstance(v, int)} if found else {}

    def _write(self) -> None:
        part = self._kept.with_name(f"{self._kept.name}.{os.getpid()}.part")
        try:
            part.touch(mode=0o600)
            part.write_text(json.dumps(self._places), "utf-8")
            part.replace(self._kept)
        except OSError:  # a full disk: at worst a few lines are taken twice
            return
