"""Who looks whether a home is up is in nobody's way."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from mainspring.cli import homes


def looking(home: Path) -> int:
    """Be in the middle of a look."""
    file = home / homes.LOCK
    file.parent.mkdir(exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def test_a_home_is_up_as_long_as_somebody_holds_it(tmp_path: Path) -> None:
    assert not homes.is_up(tmp_path)
    held = homes.take_lock(tmp_path)
    assert held is not None
    assert homes.is_up(tmp_path)
    assert homes.take_lock(tmp_path) is None
    os.close(held)
    assert not homes.is_up(tmp_path)


def test_of_two_who_look_at_once_none_takes_the_other_for_a_supervisor(tmp_path: Path) -> None:
    looks = looking(tmp_path)
    assert not homes.is_up(tmp_path)
    os.close(looks)


def test_who_only_looks_keeps_no_home_from_coming_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = looking(tmp_path)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        if not waited:
            os.close(looks)
        waited.append(seconds)

    monkeypatch.setattr(homes.time, "sleep", sleep)
    held = homes.take_lock(tmp_path)
    assert held is not None
    assert len(waited) == 1
    os.close(held)
