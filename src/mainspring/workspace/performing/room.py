"""What a machine has room for: cpus and gpus are taken before a step begins, memory is bounded.

Cpus and gpus are files in the home, each locked by who holds it; the system takes a lock back
when its holder dies, however it dies. Who waits holds the turn, so that whoever asks for much
is not overtaken for ever by those who ask for little.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.ground.errors import BadInputError
from mainspring.ground.sizes import size
from mainspring.pipelines.graph import Node
from mainspring.pipelines.options import Options

if TYPE_CHECKING:
    from mainspring.ground.settings import Settings
    from mainspring.workspace.opening import Workspace

_ASK_S = 0.05  # how often one who waits looks again
#: How the libraries of numbers are told how many threads to use.
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
_CGROUP = Path("/sys/fs/cgroup")


def cpus(settings: Settings) -> int:
    """Return how many cpus steps may take together: what is set, else what we may use."""
    if settings.cpus is not None:
        return settings.cpus
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    found = allowed or os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = (_CGROUP / "cpu.max").read_text("ascii").split()
        if quota != "max":
            found = min(found, max(1, int(quota) // int(period)))
    return found


def memory() -> int | None:
    """Return the bytes of memory that this machine, or our part of it, has; None: not known."""
    found: list[int] = []
    with suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(OSError, ValueError):
        found.append(int((_CGROUP / "memory.max").read_text("ascii")))  # or "max"
    return min(found, default=None)


def bounded() -> str:
    """Return in words how a step is kept to its memory here."""
    from mainspring.backends.executors import groups

    place, why = groups.found()
    if place is None:
        told = f"looked at 50 times a second, without a control group: {why}"
        return f"{told}; beyond its limit it ends"
    what = "memory" if place.cpu is None else "memory and cpus"
    return f"the kernel keeps each to its {what}, in a control group of version {place.version}"


def gpus() -> list[str]:
    """Return the gpus we may use, by the names CUDA knows them by."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [one.strip() for one in named.split(",") if one.strip() not in ("", "-1")]
    found = [re.fullmatch(r"nvidia(\d+)", path.name) for path in Path("/dev").glob("nvidia*")]
    return sorted((one[1] for one in found if one), key=int)


def check_all(settings: Settings, nodes: Sequence[Node]) -> None:
    """Refuse a graph that has a step which this machine could never run.

    Raises:
        BadInputError: naming the step, what it wants and what there is.
    """
    for node in nodes:
        check(settings, node.name, node.options)


def check(settings: Settings, step: str, options: Options) -> None:
    """Refuse a step that this machine could never run.

    Raises:
        BadInputError: naming the step, what it wants and what there is.
    """
    refusal = _wanting(settings, options)
    if refusal:
        raise BadInputError(
            f"Step {step} {refusal}",
            field="resources",
            hint="Ask for less in resources=, or run it on a machine that has it.",
        )


def _wanting(settings: Settings, options: Options) -> str:
    """Return what a step wants and this machine has not, in words; nothing if it has it all."""
    wanted, workers = options.resources, options.workers
    each = f" ({workers} workers of {{}} each)" if workers > 1 else ""
    there = cpus(settings)
    if (wanted.cpus or 0) * workers > there:
        told = f"wants {(wanted.cpus or 0) * workers} cpus{each.format(wanted.cpus)}"
        return f"{told}, and there are {there}."
    most = memory()
    if wanted.memory and most is not None and wanted.memory * workers > most:
        told = f"wants {size(wanted.memory * workers)} of memory{each.format(size(wanted.memory))}"
        return f"{told}, and there is {size(most)}."
    if wanted.gpus and wanted.gpus * workers > len(gpus()):
        found = len(gpus()) or "none"
        return (
            f"wants {wanted.gpus * workers} gpus{each.format(wanted.gpus)}, and there is {found}."
        )
    return ""


@contextmanager
def taken(
    ws: Workspace, options: Options, cancelled: Callable[[], bool]
) -> Iterator[list[dict[str, str]] | None]:
    """Hold what a step asks for; yield each worker's variables, or None if it was cancelled.

    A step that asks for nothing waits for nothing.
    """
    wanted, workers = options.resources, options.workers
    names = gpus() if wanted.gpus else []
    with ExitStack() as held:
        folder = Path(ws.settings.home) / "run" / "room"
        got: list[int] | None = []
        if wanted.cpus or wanted.gpus:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            turn = _open(folder / "turn", held)
            if not _wait(lambda: _lock(turn), cancelled):
                yield None
                return
            for kind, count, there in (
                ("cpu", wanted.cpus or 0, cpus(ws.settings)),
                ("gpu", wanted.gpus, len(names)),
            ):
                got = _several(folder, kind, count * workers, there, cancelled, held)
                if got is None:
                    yield None
                    return
            fcntl.flock(turn, fcntl.LOCK_UN)
        shown = [names[number] for number in got or []] if wanted.gpus else []
        yield [_variables(options, shown, number) for number in range(workers)]


def _variables(options: Options, shown: Sequence[str], number: int) -> dict[str, str]:
    out: dict[str, str] = {}
    if options.resources.cpus is not None:
        out |= dict.fromkeys(_THREADS, str(options.resources.cpus))
    count = options.resources.gpus
    if count:
        out["CUDA_VISIBLE_DEVICES"] = ",".join(shown[number * count : (number + 1) * count])
    return out


def _several(
    folder: Path,
    kind: str,
    count: int,
    there: int,
    cancelled: Callable[[], bool],
    held: ExitStack,
) -> list[int] | None:
    """Lock so many files of a kind, waiting for those that are not free; return their numbers."""
    got: dict[int, int] = {}

    def enough() -> bool:
        for number in range(there):
            if len(got) < count and number not in got:
                opened = _open(folder / f"{kind}-{number}", held)
                if _lock(opened):
                    got[number] = opened
        return len(got) >= count

    return sorted(got) if _wait(enough, cancelled) else None


def _wait(ready: Callable[[], bool], cancelled: Callable[[], bool]) -> bool:
    while not ready():
        if cancelled():
            return False
        time.sleep(_ASK_S)
    return True


def _open(path: Path, held: ExitStack) -> int:
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    held.callback(os.close, number)
    return number


def _lock(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
