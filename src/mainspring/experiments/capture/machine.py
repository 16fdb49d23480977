"""Know the machine: host, system, processor, memory, graphics cards, and how busy they are."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec

_MB = 1024 * 1024
_GPU_PATIENCE_S = 5.0  #: a driver that is starting up takes seconds to answer
_SHORTEST_S = 0.02  #: below two ticks of the kernel's clock a share says nothing
_GPU_FIELDS = "index,name,driver_version,memory.total,utilization.gpu,memory.used"


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One graphics card, and how busy it is; what the driver does not say is None."""

    index: int
    name: str
    driver: str
    memory_mb: float | None
    percent: float | None
    used_mb: float | None


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run ran."""

    host: str
    system: str  #: such as "Linux 6.1.0 x86_64"
    processor: str
    cores: int  #: that this process may use
    memory_mb: float
    gpus: list[dict[str, Any]] = []


def read() -> Machine:
    """Return the machine this process is on."""
    import psutil

    cards = [
        {"name": one.name, "driver": one.driver, "memory_mb": one.memory_mb} for one in gpus()
    ]
    return Machine(
        host=platform.node(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        processor=_processor(),
        cores=_cores(),
        memory_mb=round(psutil.virtual_memory().total / _MB, 1),
        gpus=cards,
    )


def gpus() -> list[Gpu]:
    """Return the graphics cards that nvidia-smi lists; none where there is no such program."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    words = [program, f"--query-gpu={_GPU_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(  # noqa: S603  the driver's own program, found on the path
            words, capture_output=True, stdin=subprocess.DEVNULL, timeout=_GPU_PATIENCE_S,
            check=False, text=True, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    if done.returncode != 0:
        return []
    return [one for one in map(_gpu, done.stdout.splitlines()) if one is not None]


class Load:
    """How busy this process, its children and the machine are since it was last asked."""

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self._process = psutil.Process()
        self._at = time.monotonic()
        self._own = self._cpu_s([])
        self._family: float | None = None  # unknown until children were looked for
        self._machine = self._machine_s()

    def read(self, *, with_children: bool = True) -> dict[str, float]:
        """Return metrics by key; percent of one core, and megabytes of 2**20 bytes.

        Children are looked for in the whole process table, which takes milliseconds.
        """
        children = self._children() if with_children else []
        found = {
            "system/memory_mb": round(sum(map(self._memory_mb, [self._process, *children])), 1),
            "system/machine_memory_percent": float(self._psutil.virtual_memory().percent),
        }
        passed = time.monotonic() - self._at
        if passed >= _SHORTEST_S:
            found["system/cpu_percent"] = round(100 * self._spent_s(children) / passed, 1)
            self._at += passed
            self._own = self._cpu_s([])
            self._family = self._cpu_s(children) if with_children else None
        (busy, all_), now = self._machine, self._machine_s()
        if now[1] > all_:
            share = max(0.0, min(1.0, (now[0] - busy) / (now[1] - all_)))
            found["system/machine_cpu_percent"] = round(100 * share, 1)
            self._machine = now
        return found

    def _spent_s(self, children: list[Any]) -> float:
        if self._family is None:  # what children had used up before is not known
            return max(0.0, self._cpu_s([]) - self._own)
        return max(0.0, self._cpu_s(children) - self._family)

    def _children(self) -> list[Any]:
        try:
            return list(self._process.children(recursive=True))
        except (self._psutil.Error, OSError):
            return []

    def _cpu_s(self, children: list[Any]) -> float:
        """Return what this process, those it waited for, and these children used up."""
        own = self._process.cpu_times()
        total = float(own.user + own.system)
        total += float(getattr(own, "children_user", 0.0) + getattr(own, "children_system", 0.0))
        for child in children:
            try:
                spent = child.cpu_times()
            except (self._psutil.Error, OSError):  # it ended meanwhile
                continue
            total += float(spent.user + spent.system)
        return total

    def _memory_mb(self, process: Any) -> float:
        try:
            return float(process.memory_info().rss) / _MB
        except (self._psutil.Error, OSError):
            return 0.0

    def _machine_s(self) -> tuple[float, float]:
        found = self._psutil.cpu_times()
        idle = float(found.idle) + float(getattr(found, "iowait", 0.0))
        # Linux counts the time of guests in user time too.
        guests = float(getattr(found, "guest", 0.0)) + float(getattr(found, "guest_nice", 0.0))
        total = float(sum(found)) - guests
        return total - idle, total


def gpu_load() -> dict[str, float]:
    """Return how busy each graphics card is, as metrics; nothing where there is none."""
    found: dict[str, float] = {}
    for one in gpus():
        if one.percent is not None:
            found[f"system/gpu_{one.index}_percent"] = one.percent
        if one.used_mb is not None:
            found[f"system/gpu_{one.index}_memory_mb"] = one.used_mb
    return found


# ---------------------------------------------------------------- parts


def _gpu(line: str) -> Gpu | None:
    parts = [one.strip() for one in line.split(",")]
    if len(parts) != _GPU_FIELDS.count(",") + 1 or not parts[0].isdecimal():
        return None
    return Gpu(
        index=int(parts[0]),
        name=parts[1],
        driver=parts[2],
        memory_mb=_number(parts[3]),
        percent=_number(parts[4]),
        used_mb=_number(parts[5]),
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # "[N/A]", "[Not Supported]"
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model", "Processor"):
                return value.strip()
    except OSError:  # no Linux
        pass
    return platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
