"""The engine says that it lives once a second, however long its looks at the store take."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mainspring.ground.clock import TurnedClock
from mainspring.workspace import processes


class Slow:
    """A machine on which every look takes longer than a beat, and the link that ends it all."""

    def __init__(self, rounds: int) -> None:
        self.now, self.left, self.sent = 100.0, rounds, list[Any]()
        self.stop = SimpleNamespace(is_set=lambda: self.left <= 0, wait=self.wait)

    def wait(self, _: float) -> None:
        self.left -= 1

    def send(self, message: Any) -> None:
        self.sent.append(message)

    def look(self) -> int:
        self.now += 1.5
        return -1  # nothing has changed


def test_a_slow_look_holds_up_no_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, written = Slow(rounds=5), list[Path]()
    monkeypatch.setattr(processes.time, "monotonic", lambda: slow.now)
    monkeypatch.setattr(processes, "write_json", lambda file, told: written.append(file))
    ws: Any = SimpleNamespace(
        home=tmp_path,
        clock=TurnedClock(1e9),
        store=SimpleNamespace(changed=slow.look),
        acting_as=lambda who: None,
    )
    engine: Any = SimpleNamespace(troubles={})
    processes._beat(ws, engine, slow)  # type: ignore[arg-type]
    assert len(written) == 5, "one a round, as each took longer than a second"
    assert slow.sent == [{"ready": True}]
