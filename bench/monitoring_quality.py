"""Monitors beside each other on the same worlds: false alarms, what is found, how late.

Every detector is shown the same windows of 500 and of 5,000 rows, as its maker sets it up: clean
ones, nine harmful shifts, and two that concern nobody. Peers live in environments of their own
below ``--envs`` (default ``.venv-bench``), made on first use; those that do not install are named.
``--quick`` shows fewer windows, ``--only NAME,NAME`` leaves detectors out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FOLDER = Path(__file__).parent / "detectors"
#: name -> (module, what to install; None for our own environment). With pandas 3 two of them do
#: not start, and NannyML 0.13.1 does not name statsmodels among what it needs.
DETECTORS: dict[str, tuple[str, list[str] | None]] = {
    "ours": ("of_mainspring", None),
    "SageMaker's rule": ("of_rule", None),
    "evidently": ("of_evidently", ["evidently", "pandas<3"]),
    "nannyml": ("of_nannyml", ["nannyml", "pandas<3", "statsmodels"]),
    "alibi-detect": ("of_alibi", ["alibi-detect"]),
    "frouros": ("of_frouros", ["frouros"]),
}
SIZES = (500, 5_000)
CLEAN, SHIFTED = 40, 3
LIMIT_S = 1200


def main() -> int:
    """Show the worlds to each and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=Path, default=ROOT / ".venv-bench")
    parser.add_argument("--only", default=",".join(DETECTORS))
    parser.add_argument("--quick", action="store_true", help="ten clean windows and one shifted")
    asked = parser.parse_args()
    clean, shifted = (10, 1) if asked.quick else (CLEAN, SHIFTED)
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for name in [one for one in DETECTORS if one in asked.only.split(",")]:
        python, why = interpreter(name, asked.envs)
        for rows in SIZES:
            print(f"  ... {name}: {rows:,} rows", file=sys.stderr, flush=True)
            told = {"why": why} if python is None else shown(python, name, rows, clean, shifted)
            found.setdefault(name, {})[rows] = told
    for rows in SIZES:
        show(rows, {name: of[rows] for name, of in found.items()}, clean, shifted)
    return 0


def shown(python: str, name: str, rows: int, clean: int, shifted: int) -> dict[str, Any]:
    """Return what one detector, in a process of its own, paged on."""
    command = [python, str(FOLDER / "task.py"), DETECTORS[name][0]]
    command += [str(rows), str(clean), str(shifted)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=apart()
        )
    except subprocess.TimeoutExpired:
        return {"why": f"more than {LIMIT_S} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        return {"why": (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:120]}
    told: dict[str, Any] = json.loads(lines[-1])
    return told


def apart() -> dict[str, str]:
    """Return the environment, with one thread for each: how cores are shared is not measured."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def interpreter(name: str, envs: Path) -> tuple[str | None, str]:
    """Return the Python of a detector, made on first use, or why there is none."""
    wanted = DETECTORS[name][1]
    if wanted is None:
        return sys.executable, ""
    folder = envs / f"monitor-{name}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"  ... making an environment for {name}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        command = [str(python), "-m", "pip", "install", "--quiet", *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return None, f"does not install: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
        (folder / "ready").touch()
    return str(python), ""


# ---------------------------------------------------------------- what is shown


def show(rows: int, found: dict[str, dict[str, Any]], clean: int, shifted: int) -> None:
    """Print one table: a line a world, a column a detector."""
    sys.path.insert(0, str(FOLDER))
    import worlds

    print(f"\nmonitors, windows of {rows:,} rows, Python {platform.python_version()}")
    for name, one in found.items():
        if "why" in one:
            print(f"  {name}: not measured: {one['why']}")
    names = [name for name, one in found.items() if "paged" in one]
    titles = [f"{name} {found[name]['version']}" for name in names]
    print(f"  {'':<24}" + "".join(f"{title[:20]:>22}" for title in titles))
    groups = (
        (f"false alarms in {clean} windows", worlds.CLEAN, _counted),
        ("first window that paged, of those with the shift", worlds.HARMFUL, _delay),
        (f"pages in {shifted} windows that concern nobody", worlds.HARMLESS, _counted),
    )
    for title, of, words in groups:
        print(f"  {title}")
        for world in of:
            cells = [words(found[name]["paged"][world]) for name in names]
            print(f"    {world:<22}" + "".join(f"{cell:>22}" for cell in cells))
    cells = [f"{found[name]['cpu_ms_a_window']:.0f}" for name in names]
    print(f"  {'CPU ms a window':<24}" + "".join(f"{cell:>22}" for cell in cells))


def _counted(paged: list[bool]) -> str:
    return str(sum(paged)) if any(paged) else "-"


def _delay(paged: list[bool]) -> str:
    return str(paged.index(True) + 1) if any(paged) else "never"


if __name__ == "__main__":
    sys.exit(main())
