"""Where what a running step prints is found, so that it can be followed from outside."""

from __future__ import annotations

from pathlib import Path

from mainspring.ground.identity import sha256


def file_of(home: Path, run: str, step: str) -> Path:
    """Return the file a step prints to while it runs; it is gone when the step has ended.

    Its name is a digest: names of steps never become paths.
    """
    return home / "run" / "steps" / f"{sha256(f'{run}:{step}'.encode())[:32]}.log"
