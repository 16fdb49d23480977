"""What MLflow's own clients do, each version in a process and an environment of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("client_script.py")


@pytest.mark.parametrize("version", ["3.10", "3.17"])
def test_a_strangers_script_notices_nothing(version: str, url: str, tmp_path: Path) -> None:
    python = ROOT / f".venv-mlflow-{version}" / "bin" / "python"
    ready = python.parents[1] / "ready"
    assert ready.exists(), f"There is no MLflow {version} to test with. Run: make clients"
    folder = tmp_path / "client"
    folder.mkdir()
    done = subprocess.run(
        [str(python), str(SCRIPT), url, str(folder)],
        cwd=folder,
        env={"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    assert f"mlflow {version}." in done.stdout.splitlines()[-1]
