"""A real image is built by buildah and run by podman, and answers as the endpoint at home does."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import boxes
from homes import NOW, add_version, work_as_engine

from mainspring.cli.start import main
from mainspring.ground.clock import TurnedClock
from mainspring.ground.settings import Settings
from mainspring.ground.unpacking import unpack
from mainspring.pipelines.packaging import pins
from mainspring.readiness import registry
from mainspring.web.api import call
from mainspring.workspace import processes
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.packaging import building, folders, models, registries, verifying
from mainspring.workspace.peers import http_protocol
from serving_in_a_thread import answering
from waiting import held_port

_ID = re.compile(rb"[0-9a-f]{12}-\d+")
JSON, LINES = {"Content-Type": "application/json"}, {"Content-Type": "application/jsonlines"}
CSV = {"Content-Type": "text/csv", "Accept": "text/csv"}
ROWS = [{"a": 0.25, "b": -1.5}, {"a": 1e-3, "b": 7}, {"a": -3.75, "b": 0.1}]
SPLIT = {"columns": ["b", "a"], "data": [[0.5, 0.5]]}
#: What SageMaker says when it starts a container to serve, beside the port.
STARTED = [
    "SAGEMAKER_SAFE_PORT_RANGE=21000-22000",
    "SM_MODEL_DIR=/opt/ml/model",
    "SM_CURRENT_HOST=algo-1",
    'SM_HOSTS=["algo-1"]',
    "SAGEMAKER_REGION=eu-west-1",
    "MAINSPRING_UNHEARD_OF=1",
]
TENSORS = [
    {"name": "a", "shape": [2], "datatype": "FP64", "data": [0.1, 0.2]},
    {"name": "b", "shape": [2], "datatype": "FP64", "data": [0.3, -0.4]},
]
ASKED = [
    ("GET", "/ping", b"", {}),
    ("GET", "/health", b"", {}),
    ("GET", "/version", b"", {}),
    ("POST", "/invocations", json.dumps({"dataframe_records": ROWS}).encode(), JSON),
    ("POST", "/invocations", json.dumps({"dataframe_split": SPLIT}).encode(), JSON),
    ("POST", "/invocations", json.dumps({"instances": ROWS}).encode(), JSON),
    ("POST", "/invocations", json.dumps({"inputs": {"a": [1, 2], "b": [3, 4]}}).encode(), JSON),
    ("POST", "/invocations", b"\n".join(json.dumps(one).encode() for one in ROWS), LINES),
    ("POST", "/invocations", b"a,b\n0.25,-1.5\n1,2\n", CSV),
    ("POST", "/invocations", b'{"instances": [{"a": 1}]}', JSON),
    ("POST", "/invocations", b'{"instances": [{"a": "x", "b": 1}]}', JSON),
    ("POST", "/invocations", b"<rows/>", {"Content-Type": "text/xml"}),
    ("GET", "/v2/models/tide", b"", {}),
    ("GET", "/v2/health/ready", b"", {}),
    ("POST", "/v2/models/tide/infer", json.dumps({"id": "q", "inputs": TENSORS}).encode(), JSON),
    ("GET", "/nowhere", b"", {}),
]


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, packages: tuple[Path, dict[str, str]]
) -> Iterator[Workspace]:
    """A home with tide/1, the champion that an endpoint serves, and tide/2."""
    folder = tmp_path_factory.mktemp("images")
    settings = Settings(root=str(folder), home=str(folder / "home"))
    ws = open_workspace(settings, clock=TurnedClock(NOW))
    objects, made = packages
    shutil.copytree(objects, settings.objects_url, dirs_exist_ok=True)
    add_version(ws, 1, made["good"], passed=True)
    add_version(ws, 2, made["bad"], passed=True)
    work_as_engine(ws, lambda tx: registry.promote(tx, "tide", 1, reason="First.", at=NOW))
    call(ws, "endpoints.create", name="tide", model="tide")
    yield ws
    ws.close()


@pytest.fixture(scope="module")
def image(house: Workspace) -> Iterator[str]:
    """The image of tide/1, built by ``mainspring package`` without a network."""
    boxes.check_tools()
    place = boxes.place()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_STORAGE_CONF", str(boxes.storage(place)))
        tag = f"localhost/mainspring-tests/tide:{os.getpid()}"
        folder = Path(house.settings.root) / "image"
        words = ["package", "tide@champion", "--home", house.settings.home, "--out", str(folder)]
        words += ["--base", boxes.base(place), "--offline", "--build", "--tool", "buildah"]
        words += ["--tag", tag]
        assert main(words) == 0
        yield tag
        boxes.said("buildah", "rmi", "--force", tag)


@pytest.fixture(scope="module")
def at_home(house: Workspace) -> Iterator[int]:
    """The port of the endpoint at home, which serves the same version."""
    app = processes._app(house, house.settings, "tide")
    with answering(app, http=http_protocol()) as port:
        yield port


@pytest.fixture
def port() -> Iterator[int]:
    """A port for a container."""
    with held_port() as found:
        yield found


def test_the_image_answers_as_the_endpoint_at_home(image: str, at_home: int, port: int) -> None:
    with boxes.running(image, port, "--memory", "300m") as box:
        for method, path, body, headers in ASKED:
            theirs = boxes.ask(port, method, path, body, headers)
            ours = boxes.ask(at_home, method, path, body, headers)
            assert theirs[0] != 0
            told = [(one[0], one[1], _ID.sub(b"ID", one[2])) for one in (theirs, ours)]
            assert told[0] == told[1], (path, body)
        assert boxes.said(*boxes.PODMAN, "healthcheck", "run", box) == ""
        boxes.said(*boxes.PODMAN, "stop", "--time", "20", box)
        ended = boxes.said(*boxes.PODMAN, "inspect", "--format", "{{.State.ExitCode}}", box)
        assert ended == "0", "SIGTERM ends it as it should"


def test_a_mounted_model_is_served_instead(
    image: str, house: Workspace, port: int, tmp_path: Path
) -> None:
    _, data = models.artifact_of(house, "tide/2")
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        unpack(tar, tmp_path / "model")
    mount = ("-v", f"{tmp_path / 'model'}:/opt/ml/model:ro")
    told = [f"-e={name}" for name in STARTED]
    with boxes.running(image, port, *mount, *told, "-e", "MAINSPRING_RECORD=stdout") as box:
        status, _, body = boxes.ask(
            port, "POST", "/invocations", json.dumps({"instances": ROWS}).encode(), JSON
        )
        assert (status, json.loads(body)["model_version"]) == (200, "tide/2")
        boxes.said(*boxes.PODMAN, "stop", "--time", "20", box)
        lines = [json.loads(one) for one in boxes.said(*boxes.PODMAN, "logs", box).splitlines()]
    rows = [one["columns"] for one in lines if "columns" in one]
    assert [row["a"] for row in rows] == [row["a"] for row in ROWS]
    (tmp_path / "model" / "model.onnx").write_bytes(b"another")
    done = boxes.ran(image, "serve", options=mount)
    assert done.returncode == 1
    assert "model.onnx is not what tide/2 was made of" in done.stderr


_LOOK = """
import importlib.util, json, os, pathlib, re
from importlib import metadata
places = ("/opt", "/root", "/home", "/build", "/var/cache", "/etc", "/run")
found = [str(path) for top in places for path in pathlib.Path(top).rglob("*")]
asides = (".whl", "pip.conf", ".crt")
try:
    open("/opt/written", "w")
    written = True
except OSError:
    written = False
sbom = json.load(open("/opt/mainspring/sbom.cdx.json"))
told = {one["name"]: one["version"] for one in sbom["components"] if one["type"] == "library"}
held = {re.sub("[-_.]+", "-", one.metadata["Name"]).lower(): one.version
        for one in metadata.distributions()}
print(json.dumps({
    "untold": sorted(set(held.items()) ^ set(told.items())),
    "uid": os.getuid(),
    "written": written,
    "there": [one for one in ("sklearn", "pip") if importlib.util.find_spec(one)],
    "left": [path for path in found if path.endswith(asides) or "/.cache" in path],
    "rows": [str(path) for path in pathlib.Path("/opt/mainspring/model").rglob("*.parquet")],
    "sbom": sbom["bomFormat"],
}))
"""


def test_it_holds_no_more_than_it_needs_and_has_no_rights(image: str) -> None:
    done = boxes.ran(image, "-c", _LOOK, entry="python")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "untold": [],
        "uid": 10_001,
        "written": False,
        "there": [],
        "left": [],
        "rows": [],
        "sbom": "CycloneDX",
    }
    told = json.loads(boxes.said(*boxes.PODMAN, "image", "inspect", image))[0]
    assert told["Labels"]["io.mainspring.model"] == "tide"
    assert told["Created"].startswith("2027-01-15T08:00:00")
    assert told["Size"] < 520_000_000
    history = boxes.said(*boxes.PODMAN, "history", "--no-trunc", image)
    assert "secret=" not in history


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")  # MLflow warns of its own types when it is imported
def test_mlflows_own_client_is_answered(image: str, port: int) -> None:
    import pandas as pd
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    with boxes.running(image, port):
        client = ScoringServerClient("127.0.0.1", port)
        client.ping()
        assert re.fullmatch(r"\d+\.\d+\.\d+", client.get_version())
        rows = pd.DataFrame(ROWS)
        found = client.invoke(rows).get_predictions()
        asked = json.dumps({"dataframe_records": ROWS}).encode()
        told = json.loads(boxes.ask(port, "POST", "/invocations", asked, JSON)[2])
        assert found[0].tolist() == told["predictions"]


@pytest.mark.soak
def test_it_is_pushed_pulled_back_and_is_the_same(image: str, port: int, tmp_path: Path) -> None:
    import shelves

    with shelves.registry(tmp_path) as host:
        name = f"{host}/team/tide:1"
        first = building.push(image, name, "buildah")
        assert building.push(image, name, "podman") == first
        assert registries.digest(name) == first
        before = boxes.said("podman", "image", "inspect", "--format", "{{.Id}}", image)
        pulled = f"{host}/team/tide@{first}"
        boxes.said("podman", "pull", "--quiet", "--tls-verify=false", pulled)
        after = boxes.said("podman", "image", "inspect", "--format", "{{.Id}}", pulled)
        assert after == before
        with boxes.running(pulled, port):
            pass
        boxes.said("podman", "untag", after)
        boxes.said("podman", "tag", after, image)


def test_more_memory_than_it_may_have_ends_it(image: str) -> None:
    words = ("-c", "held = b'x' * (400 << 20)")
    done = boxes.ran(image, *words, entry="python", options=("--memory", "64m"))
    assert done.returncode == 137


@pytest.mark.soak
def test_an_image_is_compared_with_what_was_signed(image: str, house: Workspace) -> None:
    folder = Path(house.settings.root) / "image"
    public = call(house, "images.key")["pem"]
    for tool in ("podman", "buildah"):
        verdict = verifying.image(image, folder, public, tool)
        assert verdict.ok, verdict
        assert [one.name for one in verdict.checks][-2:] == ["its files", "its packages"]
    other, box = f"{image}-other", f"other-{os.getpid()}"
    boxes.said("buildah", "from", "--pull=never", "--name", box, image)
    try:
        more = str(folder / "README.md")
        boxes.said("buildah", "copy", box, more, "/opt/mainspring/model/more.py")
        boxes.said("buildah", "config", "--user", "root", box)
        boxes.said("buildah", "commit", "--format", "docker", box, other)
        verdict = verifying.image(other, folder, public, "podman")
    finally:
        boxes.said("buildah", "rm", box)
        boxes.said("buildah", "rmi", "--force", other)
    assert {one.name: one.found for one in verdict.checks if not one.ok} == {
        "what it begins": "USER is another",
        "its files": "/opt/mainspring/model/more.py is nowhere in what was signed",
    }


@pytest.mark.soak
def test_wheels_come_from_the_index_by_the_hashes_that_it_tells(
    image: str, house: Workspace, port: int
) -> None:
    tag, folder = f"{image}-index", Path(house.settings.root) / "image-index"
    words = ["package", "tide@champion", "--home", house.settings.home, "--out", str(folder)]
    words += ["--base", boxes.base(boxes.place()), "--build", "--tool", "buildah", "--tag", tag]
    try:
        assert main(words) == 0
        text = (folder / "requirements.txt").read_text()
        assert text.startswith(pins.HASHED)
        assert not (folder / folders.COMPLETE).exists()
        assert len(list((folder / "wheels").iterdir())) == 1, "ours alone"
        verdict = verifying.image(tag, folder, call(house, "images.key")["pem"], "podman")
        assert verdict.ok, verdict
        with boxes.running(tag, port):
            pass  # it answered
    finally:
        boxes.said("buildah", "rmi", "--force", tag)
