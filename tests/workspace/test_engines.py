"""Work that is driven beside a command: it is over when the command goes on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from mainspring.engine.worker import Engine
from mainspring.workspace.engines import driving


class Slow:
    """An engine that has something to finish after it was told to stop."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.watched = threading.Event()

    def run_group(self, group: str, stop: threading.Event) -> dict[str, Any]:
        self.watched.wait()
        os.kill(os.getpid(), signal.SIGINT)
        stop.wait()
        threading.Event().wait(0.2)
        self.done.append(group)
        return {}


def follow(engine: Slow) -> None:
    with driving(cast(Engine, engine), "run_a") as ended:
        engine.watched.set()
        while not ended.wait(5):
            pass


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let SIGINT be what it is in a fresh process, whatever ran in this one before."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_waits_for_what_is_being_finished() -> None:
    engine = Slow()
    with pytest.raises(KeyboardInterrupt):
        follow(engine)
    assert engine.done == ["run_a"]
