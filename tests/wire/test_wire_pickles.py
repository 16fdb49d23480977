"""A stranger's pickle is brought to every door of the server, and none of them opens it."""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from mainspring.ground.errors import MainspringError, PermissionDeniedError
from mainspring.ground.identity import canonical
from mainspring.ground.objects import Gate
from mainspring.ground.permissions import Permission
from mainspring.pipelines import outputs
from mainspring.pipelines.outputs import pickled
from mainspring.pipelines.tables import steps
from mainspring.readiness import registry
from mainspring.web.api import call
from mainspring.workspace import engines, registering
from mainspring.workspace.opening import Workspace

BYTES = {"content-type": "application/octet-stream"}
ROWS = [{"a": float(n), "b": 1.0, "y": n % 2} for n in range(60)]
INPUTS = '[{"type": "double", "name": "a"}, {"type": "double", "name": "b"}]'
#: What each says of itself, and in which file the pickle lies.
FLAVORS = {
    "model.pkl": "sklearn: {pickled_model: model.pkl, serialization_format: pickle}",
    "model.skops": "sklearn: {pickled_model: model.skops, serialization_format: skops}",
    "python_model.pkl": "python_function: {loader_module: mlflow.pyfunc.model,"
    " python_model: python_model.pkl, cloudpickle_version: 3.0.0}",
    "model.xgb": "xgboost: {data: model.xgb, model_class: xgboost.sklearn.XGBClassifier}",
}


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.fixture
def burnt(tmp_path: Path) -> Path:
    """What would be there had a pickle been read."""
    file = tmp_path / "burnt"
    pickle.loads(pickle.dumps(Bomb(file)))
    assert file.exists(), "the bomb works"
    file.unlink()
    return file


def zipped(data: bytes) -> bytes:
    """Return a file that looks like skops' own, with a pickle for its content."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("schema.json", '{"__class__": "object", "__module__": "builtins"}')
        archive.writestr("object.pkl", data)
    return made.getvalue()


def test_models_in_every_form_that_could_hold_a_pickle_are_refused(
    client: Any, url: str, house: Workspace, tmp_path: Path, burnt: Path
) -> None:
    bomb = pickle.dumps(Bomb(burnt))
    client.create_registered_model("tide")
    for number, (name, flavor) in enumerate(FLAVORS.items(), 1):
        folder = tmp_path / f"model{number}"
        folder.mkdir()
        (folder / name).write_bytes(zipped(bomb) if name.endswith("skops") else bomb)
        told = f"flavors:\n  {flavor}\nsignature:\n  inputs: '{INPUTS}'\n"
        (folder / "MLmodel").write_text(told)
        run = client.create_run("0").info.run_id
        client.log_artifacts(run, str(folder), "model")
        client.create_model_version("tide", f"runs:/{run}/model", run)
        asked = registering.judge(house, "tide", number, ROWS, "y", Gate(needs_card=False), None)
        engines.settle(house, asked)
        judged = registering.judging(house, asked)
        assert judged.state == "failed", name
        assert judged.result is None, name
        with pytest.raises(MainspringError):
            call(house, "aliases.set", model="tide", alias="champion", number=number)
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as web:
            for path in (
                f"/runs/{run}", f"/models/tide?version={number}",
                f"/api/v1/runs/{run}/artifacts", f"/api/v1/models/tide/versions/{number}/scan",
            ):  # fmt: skip
                assert web.get(path).status_code < 500, path
    assert not burnt.exists()


def test_a_pickle_that_was_put_among_the_objects_is_never_read_as_a_steps_output(
    url: str, house: Workspace, burnt: Path
) -> None:
    bomb = pickle.dumps(Bomb(burnt))
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as web:

        def put(data: bytes) -> str:
            digest = hashlib.sha256(data).hexdigest()
            answer = web.put(f"/api/v1/objects/{digest}", content=data, headers=BYTES)
            assert answer.status_code == 200, answer.text
            return digest

        pickled.install(house.home)
        told = {
            "format": 1, "workspace": pickled._own().workspace, "content": put(bomb),
            "type": "builtins.object", "python": "3.11",
        }  # fmt: skip
        forged = [put(canonical({**told, "mac": mac})) for mac in ("", "0" * 64)]
    for digest in [*forged, told["content"]]:
        with pytest.raises(MainspringError):
            outputs.decode(digest, "pickle", house.objects, house.home)
    with pytest.raises(PermissionDeniedError):
        outputs.decode(forged[0], "pickle", house.objects, house.home)
    assert not burnt.exists()


def test_no_door_of_the_server_takes_a_steps_record_or_an_archive(
    url: str, house: Workspace, burnt: Path
) -> None:
    """The rows that say what a step gave are written by the engine alone."""
    bomb = pickle.dumps(Bomb(burnt))
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as web:
        for path in ("import", "archive", "archives", "steps", "runs/r/steps", "data/x", "data"):
            for method in ("POST", "PUT", "PATCH"):
                answer = web.request(method, f"/api/v1/{path}", content=bomb)
                assert answer.status_code in (400, 404, 405, 415, 422), (method, path)
        body = {"position": 0, "ended": "true"}
        journal = "/api/v1/journals/jrn_01jz0000000000000000000000"
        answer = web.post(journal, params=body, content=bomb, headers=BYTES)
        assert answer.status_code in (400, 409), answer.text
    assert house.read(Permission.READ, lambda tx: tx.all(steps.select())) == []
    assert house.read(Permission.READ, registry.models) == []
    assert not burnt.exists()
