"""gRPC in an endpoint's real process: opened while it serves, and unknown where nobody asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from homes import PATIENT
from tritonclient.utils import InferenceServerException

from mainspring.ground.objects import EndpointOptions
from mainspring.ground.permissions import Permission
from mainspring.scaling.serving import endpoints
from mainspring.web.api import call
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views import endpoint_http
from waiting import until


@pytest.fixture
def process(served: Workspace) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "mainspring.cli.processes", "endpoint", "tide"]
    made = subprocess.Popen([*command, "--home", str(served.home)])
    yield made
    made.terminate()
    made.wait(60)


def test_a_port_for_grpc_is_opened_on_demand_and_asks_for_tokens(
    served: Workspace, process: subprocess.Popen[bytes]
) -> None:
    url = until(lambda: endpoint_http.address(served.home, "tide"))

    def status() -> dict[str, Any]:
        return httpx.get(f"{url}/status", trust_env=False, timeout=60).json()

    until(lambda: status()["ready"])
    maps = Path(f"/proc/{process.pid}/maps")
    assert status()["grpc"] is None
    if maps.exists():
        assert "/grpc/" not in maps.read_text()
    options = EndpointOptions(grpc=0, limits=PATIENT)
    served.write(Permission.SERVE, lambda tx: endpoints.configure(tx, "tide", options))
    port = until(lambda: status()["grpc"])
    inputs = []
    for name, value in (("a", 1.0), ("b", 0.5)):
        inputs.append(triton.InferInput(name, [1], "FP64"))
        inputs[-1].set_data_from_numpy(np.array([value]))
    client = triton.InferenceServerClient(f"127.0.0.1:{port}")
    try:
        scores = client.infer("tide", inputs).as_numpy("scores")
        rows = [{"a": 1.0, "b": 0.5}]
        over_http = endpoint_http.predict(served, "tide", rows)["scores"]
        assert scores.ravel().tolist() == over_http
        token = call(served, "tokens.create", name="caller", role="viewer")["token"]

        def refused() -> bool:
            try:
                client.infer("tide", inputs)
            except InferenceServerException as error:
                return error.status() == str(grpc.StatusCode.UNAUTHENTICATED)
            return False

        until(refused)
        shown = {"authorization": f"Bearer {token}"}
        assert (
            client.infer("tide", inputs, headers=shown).as_numpy("scores").tolist()
            == scores.tolist()
        )
    finally:
        client.close()
