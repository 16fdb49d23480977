"""What watching data costs: a window, streams, wide tables, merged profiles; beside its peers.

Peers live in environments of their own below ``--envs`` (default ``.venv-bench``), made on first
use; those that do not install are said so. Each figure is from a process of its own, one after
the other; ``--quick`` takes a tenth of the rows, ``--only NAME,NAME`` picks peers, ``--only
none`` leaves them out. Walls rise with other load on the machine: read the ratios, and the CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "monitors"
ROOT = Path(__file__).parent.parent
PEERS = {
    "evidently": ["evidently"],
    "nannyml": ["nannyml", "statsmodels", "setuptools<81"],  # the two it uses and does not name
    "whylogs": ["whylogs", "numpy<2", "pandas<3", "pyarrow<21"],  # it needs numpy 1
}
LIMIT_S = 900
ONE_THREAD = dict.fromkeys(
    ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)


def main() -> int:
    """Measure, and print a table."""
    asked = _asked()
    print(
        f"monitoring: polars {version('polars')}, numpy {version('numpy')},"
        f" Python {platform.python_version()}, one thread each"
    )
    part = 10 if asked.quick else 1
    code = _run([sys.executable, str(HERE / "window.py"), "--measure"])
    for task, count in (
        ("profiles", 1_000_000 // part),
        ("stream", 10_000_000 // part),
        ("merged", 100_000_000 // part),
        ("wide", 1_000 // part),
    ):
        code |= _run([sys.executable, str(HERE / "sizes.py"), task, str(count)])
    names = [name for name in PEERS if asked.only is None or name in asked.only.split(",")]
    if names:
        _beside(names, asked.rows // part, Path(asked.envs))
    return code


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only")
    parser.add_argument("--envs", default=str(ROOT / ".venv-bench"))
    parser.add_argument("--rows", type=int, default=1_000_000, help="of what peers are given")
    return parser.parse_args()


def _run(words: list[str]) -> int:
    return subprocess.run(words, check=False, env={**os.environ, **ONE_THREAD}).returncode


def _beside(names: list[str], rows: int, envs: Path) -> None:
    sys.path.insert(0, str(HERE))
    from made import BASELINE, files

    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
        reference, current = files(Path(folder), rows)
        print(
            f"\n  {rows:,} x 25 against {BASELINE:,} reference rows      wall s   CPU s  peak MB"
        )
        told = {}
        for name in ("ours", "ours_profile", *names):
            python = sys.executable if name.startswith("ours") else _environment(name, envs)
            found = _measured(python, name, reference, current)
            if isinstance(found, str):
                print(f"  {name:<44} {found}")
                continue
            told[name] = found
            figures = (found["wall_s"], found["cpu_s"], found["peak_mb"])
            print(f"  {name:<44} {figures[0]:8.2f}{figures[1]:8.2f}{figures[2]:9.0f}")
    for name in names:
        mine = "ours_profile" if name == "whylogs" else "ours"
        if name in told and mine in told:
            ratio = {key: told[name][key] / told[mine][key] for key in told[mine]}
            print(
                f"  {name} takes {ratio['wall_s']:.0f}x the time, {ratio['cpu_s']:.0f}x the CPU"
                f" and {ratio['peak_mb']:.1f}x the memory of {mine}"
            )


def _environment(name: str, envs: Path) -> str:
    """Return the Python of a peer's environment, made on first use."""
    python = envs / name / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(envs / name)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check",
             *PEERS[name], "pandas", "pyarrow"],
            check=False,
        )  # fmt: skip
    return str(python)


def _measured(python: str, name: str, reference: Path, current: Path) -> dict[str, Any] | str:
    words = [python, str(HERE / "peers.py"), name, str(reference), str(current)]
    try:
        done = subprocess.run(
            words, check=False, capture_output=True, text=True, timeout=LIMIT_S,
            env={**os.environ, **ONE_THREAD},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"more than {LIMIT_S} s"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return f"could not be measured: {last[:90]}"
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
