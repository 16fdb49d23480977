"""How much CPU it takes to start: the import, the version, a command's help, a command."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

TIMES = 7
#: What is measured -> (how, budget in CPU milliseconds or None).
WHAT: dict[str, tuple[list[str], float | None]] = {
    "python -c pass": (["-c", "pass"], None),
    "import mainspring": (["-c", "import mainspring"], 60),
    "mainspring --version": (["-m", "mainspring.cli.start", "--version"], 120),
    "mainspring run --help": (["-m", "mainspring.cli.start", "run", "--help"], None),
    "mainspring config": (["-m", "mainspring.cli.start", "config"], None),
    "mainspring runs": (["-m", "mainspring.cli.start", "runs"], None),
}


def cpu_ms(arguments: list[str], environ: dict[str, str], folder: Path) -> float:
    """Return the CPU time of one start, children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments], env=environ, cwd=folder, check=True, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent * 1000


def main() -> int:
    """Print the least of several starts each, which is the one least disturbed."""
    # Without its compiled files every start would compile all of it again.
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    print(f"start-up: CPU ms, least of {TIMES}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ["MAINSPRING_HOME"] = str(folder / "home")
        (folder / "home").mkdir()
        bare = 0.0
        for label, (arguments, budget) in WHAT.items():
            found = min(cpu_ms(arguments, environ, folder) for _ in range(TIMES))
            bare = bare or found
            told = "" if budget is None else f"  budget {budget:.0f}"
            print(f"  {label:<24}{found:8.1f}  {found / bare:5.1f} x a bare start{told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
