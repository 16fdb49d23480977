"""A packaged version is served from its folder: verified, without a home, recorded where asked."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from mainspring.backends.objects import open_objects
from mainspring.ground.errors import BadInputError, DamagedError, NotFoundError
from mainspring.ground.identity import canonical
from mainspring.ground.objects import Routing
from mainspring.ground.settings import load
from mainspring.scaling.models import package
from mainspring.scaling.models.model import Model
from mainspring.scaling.models.served import opened
from mainspring.scaling.serving import packaged
from mainspring.scaling.serving.app import EndpointApp
from mainspring.scaling.serving.recording import Printed, Unrecorded
from serving_in_a_thread import answering

RANDOM = np.random.default_rng(5)
ROWS = pl.DataFrame({"a": RANDOM.normal(size=80), "place": RANDOM.choice(["x", "y"], 80)})
ROWS = ROWS.with_columns(y=pl.col("a") > 0)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a folder that holds signs/4."""
    objects = open_objects(str(tmp_path_factory.mktemp("objects")))
    digest = package.write(Model(LogisticRegression(), "y").fit(ROWS), objects)
    manifest = package.read_manifest(digest, objects)
    files = {
        path: package.read_file(manifest, path, objects)
        for path in manifest.files
        if packaged.is_carried(path)
    }
    packed = packaged.Packed(model="signs", number=4, package=digest)
    return files | {"manifest.json": canonical(manifest), "version.json": canonical(packed)}


@pytest.fixture
def folder(kept: dict[str, bytes], tmp_path: Path) -> Path:
    for path, data in kept.items():
        file = tmp_path / "model" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return tmp_path / "model"


def test_a_folder_without_the_rows_of_the_training_is_whole(folder: Path) -> None:
    assert not (folder / "reference.parquet").exists()
    held = packaged.Folder(folder)
    assert (held.packed.model, held.packed.number) == ("signs", 4)
    served = opened(held.packed.package, held.files, held.read)
    assert served.form == "onnx"


@pytest.mark.parametrize("path", ["model.onnx", "signature.json", "manifest.json"])
def test_a_file_that_was_changed_is_not_served(folder: Path, path: str) -> None:
    file = folder / path
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(DamagedError, match="signs/4"):
        packaged.Folder(folder)


def test_what_is_missing_is_named(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(NotFoundError, match=r"no model\.onnx"):
        packaged.Folder(folder)


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes((folder / "model.onnx").read_bytes())
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to(outside)
    with pytest.raises(BadInputError, match="leads out"):
        packaged.Folder(folder)


def test_it_answers_records_and_asks_for_its_token(folder: Path, capfd) -> None:
    held = packaged.Folder(folder)
    served = opened(held.packed.package, held.files, held.read)
    routing = Routing(
        endpoint="signs", model="signs", champion=4, champion_package=held.packed.package
    )
    recorder = Printed()
    app = EndpointApp(
        "signs",
        lambda: routing,
        lambda _: served,
        recorder,
        packaged._admission("open sesame"),
        load({"root": str(folder), "home": str(folder)}, environ={}),
        changed=lambda: 0,
    )

    with answering(app) as port:
        assert ask(port, "GET", "/ping")[0] == 200
        lines = b'{"a": 1.5, "place": "x"}\n\n{"a": -1.5, "place": "y"}\n'
        kind = {"Content-Type": "application/jsonlines", "Accept": "application/jsonlines"}
        assert ask(port, "POST", "/invocations", lines, kind)[0] == 401
        shown = {**kind, "Authorization": "Bearer open sesame"}
        status, body = ask(port, "POST", "/invocations", lines, shown)
        assert status == 200
        answers = [json.loads(line) for line in body.splitlines()]
        assert [one["prediction"] for one in answers] == [True, False]
        assert ask(port, "GET", "/metrics", headers=shown)[0] == 200
    told = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [one["columns"] for one in told] == [
        {"a": 1.5, "place": "x"},
        {"a": -1.5, "place": "y"},
    ]
    assert [one["prediction_id"] for one in told] == [one["prediction_id"] for one in answers]
    assert [one["scores"][0] for one in told] == [one["score"] for one in answers]
    assert recorder.status()["written_rows"] == 2


def test_rows_that_are_not_recorded_have_ids_all_the_same() -> None:
    one = Unrecorded()
    assert one.ids(one.reserve(2), 2) == [f"{one.boot}-0", f"{one.boot}-1"]
    assert one.reserve(1) == 2
    assert one.folder is None


def test_an_image_says_what_it_can_do(capfd) -> None:
    assert packaged.main(["train"]) == 2
    assert "package the pipeline" in capfd.readouterr().err


@pytest.mark.parametrize("port", ["0", "70000", "http"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    with pytest.raises(BadInputError) as caught:
        packaged._port({"SAGEMAKER_BIND_TO_PORT": port})
    assert caught.value.field == "port"


def test_nothing_that_answers_is_not_healthy(capfd) -> None:
    assert packaged.health(1) == 1
    assert "nothing answers" in capfd.readouterr().err


def ask(port: int, method: str, path: str, body: bytes = b"", headers=None) -> tuple[int, bytes]:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        asked.request(method, path, body, headers or {})
        answer = asked.getresponse()
        return answer.status, answer.read()
    finally:
        asked.close()
