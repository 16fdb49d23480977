"""What the tests of data share: a home on the real clock, and a folder with files of each size."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mainspring.ground.settings import Settings
from mainspring.testing.s3 import S3Server
from mainspring.workspace.opening import Workspace, open_workspace

sys.path.insert(0, str(Path(__file__).parent))

from kept_data import Opener


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[Opener]:
    """Open homes by name; all are let go of at the end."""
    opened: list[Workspace] = []

    def open_one(name: str = "home", **more: str) -> Workspace:
        settings = Settings(root=str(tmp_path), home=str(tmp_path / name), capture=False, **more)
        opened.append(open_workspace(settings))
        return opened[-1]

    yield open_one
    for ws in opened:
        ws.close()


@pytest.fixture
def ws(homes: Opener) -> Workspace:
    return homes()


@pytest.fixture(scope="session")
def large() -> bytes:
    return np.random.default_rng(1).bytes(9 << 20)


@pytest.fixture
def folder(tmp_path: Path, large: bytes) -> Path:
    """Small files, one that is empty, one that runs, one of a megabyte, one of nine."""
    place = tmp_path / "flights"
    (place / "sub" / "deep").mkdir(parents=True)
    for number in range(20):
        (place / "sub" / f"{number:02}.csv").write_text(f"row {number}\n" * number)
    (place / "run.sh").write_text("#!/bin/sh\n")
    (place / "run.sh").chmod(0o755)
    (place / "sub" / "deep" / "middle.bin").write_bytes(large[: (1 << 20) + 5])
    (place / "large.bin").write_bytes(large)
    return place


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a new bucket."""
    return s3_server.bucket(tmp_path_factory.mktemp("bucket").name)
