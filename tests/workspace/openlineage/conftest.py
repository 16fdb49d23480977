"""A home whose runs are told to a receiver, in this process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mainspring.workspace.opening import Workspace
from mainspring.workspace.vault import verbs as vault

sys.path.insert(0, str(Path(__file__).parent))

from homes import InProcess
from openlineage_receivers import PROJECT, Receiver

from serving_in_a_thread import listening


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening(Receiver()) as found:
        yield found


@pytest.fixture
def place(ws: Workspace, executor: InProcess, receiver: Receiver) -> Workspace:
    Path(ws.settings.root).mkdir(exist_ok=True)
    (Path(ws.settings.root) / "project.py").write_text(PROJECT)
    url = f"http://127.0.0.1:{receiver.server_port}"
    more = {"openlineage_url": url, "openlineage_key": "secret:RECEIVER_KEY"}
    vault.put(ws, "RECEIVER_KEY", "the key itself")
    ws.settings = msgspec.structs.replace(ws.settings, **more)
    return ws
