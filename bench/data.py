"""Data versions, ours beside dvc in one run: many small files, one large one, what a change costs.

``--envs`` holds the environment of dvc (``ENVS/dvc``), made on first use. Each figure is a
command of its own, its start included, and for ours also the same work within a process that
is up. Walls rise with other load on the machine: read the CPU (of the command and of its
children) and the ratios. ``--files 600000 --megabytes 0 --only ours`` is the soak of many small
files (some 4 GB of disk; dvc takes minutes); ``--megabytes`` makes the large one. dvc flushes
nothing to the disk and ours does, which a machine with a slow disk shows.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
SMALL = 1000  #: bytes of a small file
PEAKS: list[float] = []  #: MB, of the commands since the last figure


class Figure:
    """CPU and wall of one thing, the most memory it had, and what it added to the store."""

    def __init__(self, cpu_s: float, wall_s: float, peak_mb: float, more_mb: float) -> None:
        self.cpu_s, self.wall_s, self.peak_mb, self.more_mb = cpu_s, wall_s, peak_mb, more_mb

    def __str__(self) -> str:
        more = f", {self.more_mb:,.1f} MB more" if self.more_mb >= 0.05 else ""
        peak = f", {self.peak_mb:,.0f} MB of memory" if self.peak_mb else ""
        return f"{self.cpu_s:6.2f} s CPU {self.wall_s:6.2f} s wall{peak}{more}"


def measured(work: Callable[[], object], store: Path, *, own: bool) -> Figure:
    """Do something and say what it cost, in this process or in its children."""
    PEAKS.clear()
    who = resource.RUSAGE_SELF if own else resource.RUSAGE_CHILDREN
    before, size, begun = resource.getrusage(who), size_of(store), time.perf_counter()
    work()
    wall, after = time.perf_counter() - begun, resource.getrusage(who)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figure(cpu, wall, max(PEAKS, default=0.0), (size_of(store) - size) / 1e6)


def run(command: list[str], cwd: Path, env: dict[str, str]) -> str:
    """Run a command, note the most memory it had, and return what it said."""
    with subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    PEAKS.append(used.ru_maxrss / 1024)
    if process.returncode not in (0, 1):  # 1: something differs
        raise SystemExit(f"{command} ended with {process.returncode}")
    return said


def size_of(folder: Path) -> int:
    """Return how many bytes the files below a folder have."""
    return sum(
        (Path(at) / name).lstat().st_size for at, _, names in os.walk(folder) for name in names
    )


class Ours:
    """``mainspring data``, each time a process of its own."""

    name = "ours"

    def __init__(self, place: Path, _envs: Path) -> None:
        self.place, self.store = place, place / ".mainspring" / "objects"
        self._env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        self._run("config")

    def version(self) -> str:
        return self._run("--version").strip()

    def add(self, path: str) -> None:
        self._run("data", "add", path)

    def check(self, path: str) -> None:
        self._run("data", "status", path)

    def _run(self, *args: str) -> str:
        return run([sys.executable, "-m", "mainspring", *args], self.place, self._env)


class OursWithin:
    """The same within one process, as a script or the engine does it."""

    name = "ours, in a process that is up"

    def __init__(self, place: Path, _envs: Path) -> None:
        sys.path.insert(0, str(ROOT / "src"))
        from mainspring.ground.settings import Settings
        from mainspring.workspace.opening import open_workspace

        self.place, self.store = place, place / ".mainspring" / "objects"
        settings = Settings(root=str(place), home=str(place / ".mainspring"))
        self._ws = open_workspace(settings)

    def version(self) -> str:
        return ""

    def add(self, path: str) -> None:
        from mainspring.workspace.data import adding

        adding.add(self._ws, self.place / path)

    def check(self, path: str) -> None:
        from mainspring.workspace.data import looking

        looking.status(self._ws.home, self.place / path, looking.in_home(lambda: self._ws))


class Dvc:
    """dvc without Git."""

    name = "dvc"

    def __init__(self, place: Path, envs: Path) -> None:
        self.place, self.store = place, place / ".dvc" / "cache"
        self._program = envs / "dvc" / "bin" / "dvc"
        if not self._program.exists():
            subprocess.run([sys.executable, "-m", "venv", str(envs / "dvc")], check=True)
            pip = str(envs / "dvc" / "bin" / "pip")
            subprocess.run([pip, "install", "-q", "dvc"], check=True)
        self._env = {**os.environ, "DVC_NO_ANALYTICS": "1"}
        self._env.pop("PYTHONPATH", None)
        self._run("init", "--no-scm")

    def version(self) -> str:
        return self._run("--version").strip()

    def add(self, path: str) -> None:
        self._run("add", "-q", path)

    def check(self, path: str) -> None:
        self._run("status", f"{path}.dvc")

    def _run(self, *args: str) -> str:
        return run([str(self._program), *args], self.place, self._env)


def small_files(place: Path, count: int) -> None:
    """Write files of a kilobyte, a thousand in a folder."""
    made = random.Random(0)
    for number in range(count):
        folder = place / f"{number // 1000:03}"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
        (folder / f"{number:06}.bin").write_bytes(made.randbytes(SMALL))


def large_file(file: Path, megabytes: int) -> None:
    """Write a large file that does not repeat."""
    made = random.Random(1)
    with file.open("wb") as opened:
        for _ in range(megabytes):
            opened.write(made.randbytes(1 << 20))


def change(file: Path) -> None:
    """Change eight bytes in the middle."""
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2)
        opened.write(b"8 bytes!")


def insert(file: Path) -> None:
    """Put eight bytes in near the beginning."""
    aside = file.with_suffix(".aside")
    with file.open("rb") as source, aside.open("wb") as target:
        target.write(source.read(file.stat().st_size // 3) + b"8 bytes!")
        shutil.copyfileobj(source, target, 1 << 20)
    aside.replace(file)


def tried(kind: type[Ours | OursWithin | Dvc], args: argparse.Namespace, folder: Path) -> dict:
    """Return every figure of one contender."""
    place = folder / kind.__name__
    place.mkdir()
    one = kind(place, args.envs)
    own = kind is OursWithin
    found: dict[str, Figure] = {}

    def note(what: str, work: Callable[[], object]) -> None:
        time.sleep(0.2)  # a file that was written this moment is not remembered by anyone
        found[what] = measured(work, one.store, own=own)
        print(f"  {what:<38}{found[what]}", flush=True)

    print(f"{one.name} {one.version()}")
    if args.files:
        small_files(place / "small", args.files)
        note(f"{args.files:,} x 1 kB added", lambda: one.add("small"))
        note("re-checked", lambda: one.check("small"))
        (place / "small" / "000" / "000007.bin").write_bytes(b"changed")
        note("looked at, one of them changed", lambda: one.check("small"))
        note("re-added, one of them changed", lambda: one.add("small"))
        shutil.rmtree(place / "small")
    if args.megabytes:
        file = place / "large.bin"
        large_file(file, args.megabytes)
        note(f"{args.megabytes:,} MiB added", lambda: one.add("large.bin"))
        note("re-added as it was", lambda: one.add("large.bin"))
        change(file)
        note("re-added, 8 bytes changed", lambda: one.add("large.bin"))
        insert(file)
        note("re-added, 8 bytes put in", lambda: one.add("large.bin"))
    shutil.rmtree(place)
    return found


def main() -> None:
    """Run it all and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--envs", type=Path, default=ROOT / ".venv-bench")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--megabytes", type=int, default=1_000)
    parser.add_argument("--only", default="", help="ours,within,dvc")
    args = parser.parse_args()
    known = {"ours": Ours, "within": OursWithin, "dvc": Dvc}
    chosen = [known[name] for name in args.only.split(",") if name] or list(known.values())
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    print(f"load before: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="bench-data-") as folder:
        figures = {kind.__name__: tried(kind, args, Path(folder)) for kind in chosen}
    ours, theirs = figures.get("Ours"), figures.get("Dvc")
    if ours and theirs:
        print("dvc over ours (CPU, wall):")
        for what, one in ours.items():
            other = theirs[what]
            cpu, wall = other.cpu_s / one.cpu_s, other.wall_s / one.wall_s
            print(f"  {what:<38}{cpu:6.1f} {wall:6.1f}")


if __name__ == "__main__":
    main()
