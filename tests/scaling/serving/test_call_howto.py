"""The page on calling an endpoint does what it says, block by block."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mainspring.ground.objects import EndpointOptions
from mainspring.ground.settings import load
from mainspring.scaling.models import carried
from mainspring.scaling.serving.rpc.door import Door
from mainspring.web.app import build_app
from mainspring.workspace.opening import open_workspace
from mainspring.workspace.peers import uid_of
from mainspring.workspace.processes import write_json
from serving_in_a_thread import served
from waiting import until

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "call-an-endpoint.md"
BLOCKS = re.findall(r"```(python|sh)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)

CLIENT = """
import warnings
warnings.simplefilter("ignore")
import pandas
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
client = ScoringServerClient("127.0.0.1", PORT)
client.ping()
print(client.get_version())
rows = pandas.DataFrame([{"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}])
print(client.invoke(rows).get_predictions(predictions_format="ndarray").tolist())
try:
    client.invoke(rows, params={"depth": 3})
except Exception as error:
    print(error)
"""


@contextlib.contextmanager
def main_port(root: Path, port: int) -> Iterator[str]:
    (root / "mainspring.toml").write_text("")
    settings = load({"max_body_mb": 2}, start=root, environ={})
    with contextlib.closing(open_workspace(settings)) as ws, served(build_app(ws)) as url:
        write_json(ws.home / "run" / "endpoints" / "flights.json", {"port": port})
        yield url.removeprefix("http://")


def asked_by_curl(command: str) -> dict[str, Any]:
    """Do what a curl command of the page does."""
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:2] == ["curl", "-s"]
    headers = dict(words[at + 1].split(": ") for at, word in enumerate(words) if word == "-H")
    body = words[words.index("-d") + 1]
    answer = httpx.post(words[2], content=body, headers=headers, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_page_can_be_followed(
    stage: Any, objects: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = stage(usual=lambda digest: carried.usual(digest, objects))
    keeper = one.app.doorkeeper
    keeper.door = Door(one.app, uid_of, 2**20)
    one.route(options=EndpointOptions(grpc=0))
    until(lambda: keeper.port is not None)
    names: dict[str, Any] = {}
    told = []
    with main_port(tmp_path, one.port) as main:
        for language, text in BLOCKS:
            block = text.replace("127.0.0.1:8750", main)
            block = block.replace("127.0.0.1:8751", f"127.0.0.1:{keeper.port}")
            if language == "python":
                exec(compile(block, str(PAGE), "exec"), names)
            elif block.startswith("curl"):
                told.append(asked_by_curl(block))
            else:
                assert block == "mainspring endpoint set flights --grpc 8751\n"
    said = capsys.readouterr().out
    assert told[0]["prediction_ids"] == ["order-17"]
    assert set(told[0]["explanations"][0]["carried"]) >= {"distance", "hour"}
    assert [answer["predictions"] for answer in told] == [["late"]] * 2
    assert "[b'late' b'on time']" in said
    assert "1 ['order-18']" in said


def test_mlflows_scoring_client_is_answered(stage: Any) -> None:
    one = stage()
    script = CLIENT.replace("PORT", str(one.port))
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=300
    )
    assert told.returncode == 0, told.stderr
    version, predictions, refused = told.stdout.strip().splitlines()[-3:]
    assert version == one.client.get("/version").text
    assert json.loads(predictions.replace("'", '"')) == ["late"]
    assert "error code 400" in refused
    assert "takes no params, found depth" in refused
