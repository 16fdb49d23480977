"""Write a step's checkpoints into the store, from the process that runs the step."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from mainspring.ground.ports import Tx
from mainspring.pipelines import outputs


class Writer:
    """Opens the store when the first checkpoint comes; most steps write none."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self._payload = payload
        self._opened: tuple[int, Any] | None = None

    def __call__(self, step: int, stored: outputs.Stored, keep: int, drop: list[int]) -> None:
        """Keep what is stored as the checkpoint of a step."""
        from mainspring.ground.permissions import Permission
        from mainspring.pipelines import checkpoint_rows

        ws, asked = self._workspace(), self._payload["checkpoints"]

        def work(tx: Tx) -> None:
            checkpoint_rows.keep_one(
                tx,
                asked["scope"],
                step,
                stored,
                run=self._payload["run"],
                step=self._payload["step"],
                at=ws.clock.now(),
                keep=keep,
                drop=drop,
            )

        ws.write(Permission.WORK, work)

    def _workspace(self) -> Any:
        """Return the open workspace; a process that forked opens one of its own."""
        if self._opened is None or self._opened[0] != os.getpid():
            from mainspring.ground.permissions import service
            from mainspring.ground.settings import Settings
            from mainspring.workspace.opening import open_workspace

            settings = msgspec.convert(self._payload["checkpoints"]["settings"], Settings)
            self._opened = (os.getpid(), open_workspace(settings).acting_as(service("engine")))
        return self._opened[1]
