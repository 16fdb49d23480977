"""The inference protocol by its own client, at an endpoint's port and through the main one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from mainspring.ground.objects import Routing
from mainspring.ground.settings import load
from mainspring.scaling.models import package
from mainspring.scaling.models.model import Model
from mainspring.web.app import build_app
from mainspring.workspace.opening import open_workspace
from mainspring.workspace.processes import write_json
from serving_in_a_thread import served

ROW = {"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}
TYPES = {"distance": "FP64", "hour": "INT64", "carrier": "BYTES", "weekend": "BOOL"}
INTS = ["INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"]
NUMPY = {"FP16": np.float16, "FP32": np.float32, "FP64": np.float64, "BOOL": np.bool_}
NUMPY |= {name: np.dtype(name.lower()) for name in INTS}


@pytest.fixture(scope="module")
def main_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], str]]:
    """The main port of a home, whose endpoint ``flights`` answers at the port it is told."""
    root = tmp_path_factory.mktemp("main")
    (root / "mainspring.toml").write_text("")
    settings = load({"max_body_mb": 2}, start=root, environ={})
    with contextlib.closing(open_workspace(settings)) as ws, served(build_app(ws)) as url:

        def told(port: int) -> str:
            write_json(ws.home / "run" / "endpoints" / "flights.json", {"port": port})
            return url.removeprefix("http://")

        yield told


@pytest.fixture(params=["own", "main"])
def through(
    request: pytest.FixtureRequest, main_port: Callable[[int], str]
) -> Iterator[Callable[[Any], triton.InferenceServerClient]]:
    """Make a client of a stage: at its own port, or through the main one."""
    with contextlib.ExitStack() as stack:

        def make(stage: Any) -> triton.InferenceServerClient:
            own = request.param == "own"
            url = f"127.0.0.1:{stage.port}" if own else main_port(stage.port)
            return stack.enter_context(
                contextlib.closing(triton.InferenceServerClient(url, network_timeout=60.0))
            )

        yield make


def columns(rows: int = 2, *, binary: bool = True, **types: str) -> list[triton.InferInput]:
    """Return rows as one tensor a column."""
    return [tensor(name, rows, types.get(name, TYPES[name]), binary) for name in ROW]


def tensor(name: str, rows: int, datatype: str, binary: bool) -> triton.InferInput:
    values = [ROW[name]] * rows
    dtype = NUMPY.get(datatype, np.object_)
    one = triton.InferInput(name, [rows, 1], datatype)
    one.set_data_from_numpy(np.array(values, dtype=dtype).reshape(rows, 1), binary_data=binary)
    return one


@pytest.fixture(scope="session")
def numeric(rows: pl.DataFrame, objects: Any) -> str:
    """A model whose columns are all numbers."""
    from sklearn.linear_model import LogisticRegression

    names = ["distance", "hour", "weekend"]
    model = Model(LogisticRegression(), target="late", time="at", positive="late", columns=names)
    return package.write(model.fit(rows[:1000], rows[1000:]), objects)


def test_the_server_and_its_model_tell_what_they_are(stage, through) -> None:
    client = through(stage())
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("flights")
    assert client.is_model_ready("flights", "1")
    told = client.get_server_metadata()
    assert told["name"].startswith("mainspring")
    assert "binary_tensor_data" in told["extensions"]
    for version in ("", "1"):
        told = client.get_model_metadata("flights", version)
        assert told["name"] == "flights"
        assert {one["name"]: one["datatype"] for one in told["inputs"]} == TYPES


def test_bytes_and_json_give_the_same_scores_both_ways(stage, through) -> None:
    client = through(stage())
    found = []
    for sent in (True, False):
        for back in (True, False, None):
            outputs = None
            if back is not None:
                names = ("prediction", "scores", "version", "prediction_id")
                outputs = [triton.InferRequestedOutput(name, binary_data=back) for name in names]
            answer = client.infer("flights", columns(binary=sent), outputs=outputs, request_id="q")
            assert answer.get_response()["id"] == "q"
            assert answer.get_response()["model_version"] == "1"
            assert answer.as_numpy("scores").shape == (2, 1)
            assert answer.as_numpy("version").tolist() == [1, 1]
            assert answer.as_numpy("prediction").tolist() in (
                [b"late", b"late"],
                ["late", "late"],
            )
            assert len(set(answer.as_numpy("prediction_id").tolist())) == 2
            in_json = "data" in answer.get_output("scores")
            assert in_json is (back is False)
            found.append(answer.as_numpy("scores").tobytes())
    assert len(set(found)) == 1


def test_some_outputs_may_be_bytes_and_others_not(stage, through) -> None:
    client = through(stage())
    outputs = [
        triton.InferRequestedOutput("version", binary_data=False),
        triton.InferRequestedOutput("scores", binary_data=True),
    ]
    answer = client.infer("flights", columns(), model_version="1", outputs=outputs)
    told = {one["name"]: one for one in answer.get_response()["outputs"]}
    assert set(told) == {"version", "scores"}
    assert told["version"]["data"] == [1, 1]
    assert told["scores"]["parameters"] == {"binary_data_size": 16}


@pytest.mark.parametrize("binary", [True, False], ids=["bytes", "json"])
def test_every_datatype_of_numbers_is_read_exactly(stage, binary) -> None:
    one = stage()
    with contextlib.closing(triton.InferenceServerClient(f"127.0.0.1:{one.port}")) as client:
        whole = client.infer("flights", columns()).as_numpy("scores").tobytes()
        for datatype in INTS:
            answer = client.infer("flights", columns(binary=binary, hour=datatype))
            assert answer.as_numpy("scores").tobytes() == whole, datatype
        for datatype in ("FP16", "FP32", "INT32", "UINT16"):
            answer = client.infer("flights", columns(binary=binary, distance=datatype))
            assert answer.as_numpy("scores").tobytes() == whole, datatype


@pytest.mark.parametrize("datatype", ["FP32", "FP64", "INT16"])
@pytest.mark.parametrize("binary", [True, False], ids=["bytes", "json"])
def test_a_matrix_holds_all_columns_by_place(stage, numeric, datatype, binary) -> None:
    one = stage(
        routing=Routing(endpoint="flights", model="flights", champion=1, champion_package=numeric)
    )
    names = [c.name for c in one.app.generations.current.champion.served.signature.columns]
    values = np.array([[ROW[name] for name in names], [0] * len(names)], NUMPY[datatype])
    matrix = triton.InferInput("anything", values.shape, datatype)
    matrix.set_data_from_numpy(values, binary_data=binary)
    rows = [{name: ROW[name] for name in names}, dict.fromkeys(names, 0)]
    rows[1]["weekend"] = False
    by_name = one.predict(rows)["scores"]
    with contextlib.closing(triton.InferenceServerClient(f"127.0.0.1:{one.port}")) as client:
        assert client.infer("flights", [matrix]).as_numpy("scores")[:, 0].tolist() == by_name
        narrow = triton.InferInput("anything", (2, 2), datatype)
        narrow.set_data_from_numpy(np.ascontiguousarray(values[:, :2]))
        with pytest.raises(InferenceServerException, match="has 2 columns, the model takes 3"):
            client.infer("flights", [narrow])


def test_a_matrix_of_numbers_cannot_hold_text(stage, through) -> None:
    matrix = triton.InferInput("x", (1, 4), "FP32")
    matrix.set_data_from_numpy(np.zeros((1, 4), np.float32))
    with pytest.raises(InferenceServerException, match="'carrier' is str"):
        through(stage()).infer("flights", [matrix])


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_bodies_are_compressed_both_ways_where_asked(stage, through, algorithm) -> None:
    client = through(stage())
    plain = client.infer("flights", columns(500)).as_numpy("scores")
    packed = client.infer(
        "flights",
        columns(500),
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    assert packed.as_numpy("scores").tobytes() == plain.tobytes()
    body, length = client.generate_request_body(columns(500))
    headers = {"Inference-Header-Content-Length": str(length), "Accept-Encoding": algorithm}
    raw = client._post("v2/models/flights/infer", body, headers, None)
    assert raw.get("Content-Encoding") == algorithm


def test_text_of_any_alphabet_comes_whole(stage, through) -> None:
    client = through(stage())
    inputs = columns(1)
    inputs[2].set_data_from_numpy(np.array([["Ærø ✈"]], dtype=np.object_))
    assert client.infer("flights", inputs).as_numpy("scores").shape == (1, 1)
    inputs[2].set_data_from_numpy(np.array([[b"\xff\xfe"]], dtype=np.object_))
    with pytest.raises(InferenceServerException, match="'carrier' holds bytes in element 0"):
        client.infer("flights", inputs)


def _wrong(change: str) -> list[triton.InferInput]:
    inputs = columns()
    if change == "missing":
        return inputs[1:]
    if change == "twice":
        return [*inputs, inputs[0]]
    if change == "mistyped":
        inputs[2] = triton.InferInput("carrier", [2], "FP64")
        inputs[2].set_data_from_numpy(np.zeros(2))
        return inputs
    if change == "infinite":
        inputs[0].set_data_from_numpy(np.full((2, 1), np.inf))
        return inputs
    inputs[0] = tensor("distance", 3, "FP64", True)
    return inputs


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("missing", "'distance' is missing"),
        ("twice", "'distance' is there twice"),
        ("mistyped", "'carrier', row 0: wanted a text"),
        ("infinite", "'distance', row 0: wanted a finite number"),
        ("longer", "has 2 rows"),
    ],
)
def test_a_wrong_tensor_is_named(stage, through, change, words) -> None:
    with pytest.raises(InferenceServerException, match=words) as caught:
        through(stage()).infer("flights", _wrong(change))
    assert caught.value.status() == "400"


def test_what_is_not_there_is_said_so(stage, through) -> None:
    client = through(stage())
    for name, version in (("flights", "9"), ("other", "")):
        with pytest.raises(InferenceServerException) as caught:
            client.get_model_metadata(name, version)
        assert caught.value.status() == "404"
    with pytest.raises(InferenceServerException, match="no output 'nothing'"):
        client.infer("flights", columns(), outputs=[triton.InferRequestedOutput("nothing")])
    outputs = [triton.InferRequestedOutput("scores", class_count=2)]
    with pytest.raises(InferenceServerException, match="classification"):
        client.infer("flights", columns(), outputs=outputs)
    shared = columns()
    shared[0].set_shared_memory("region", 16)
    with pytest.raises(InferenceServerException, match="shared_memory_region"):
        client.infer("flights", shared)


@pytest.mark.parametrize(
    ("size", "header", "words"),
    [
        (8, "60", "bytes, wanted"),
        (16, "9999", "the body"),
        (16, "0", "the body"),
        (16, "x", "the body"),
        (99, None, "should have 99 bytes"),
        (-1, None, "should have -1 bytes"),
        (True, None, "should have True bytes"),
    ],
)
def test_a_frame_that_does_not_add_up_is_refused(stage, size, header, words) -> None:
    one = stage()
    told = {"name": "distance", "shape": [2], "datatype": "FP64"}
    head = msgspec.json.encode({"inputs": [{**told, "parameters": {"binary_data_size": size}}]})
    length = str(len(head)) if header in (None, "60") else header
    answer = one.client.post(
        "/v2/models/flights/infer",
        content=head + bytes(16),
        headers={"Inference-Header-Content-Length": length},
    )
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_the_repository_lists_loads_and_lets_go(stage, through) -> None:
    one = stage()
    with contextlib.closing(triton.InferenceServerClient(f"127.0.0.1:{one.port}")) as client:
        told = [{"name": "flights", "version": "1", "state": "READY", "reason": ""}]
        assert client.get_model_repository_index() == told
        assert one.client.post("/v2/repository/index", json={"ready": True}).json() == told
    client = through(one)
    client.load_model("flights")
    with pytest.raises(InferenceServerException, match="parameter 'config'"):
        client.load_model("flights", config="{}")
    with pytest.raises(InferenceServerException, match="keeps its model") as caught:
        client.unload_model("flights")
    assert caught.value.status() == "409"
    gone = []

    async def let_go() -> None:
        gone.append("flights")

    one.app.let_go = let_go
    client.unload_model("flights")
    assert gone == ["flights"]


def test_statistics_count_what_was_scored(stage, through) -> None:
    client = through(stage())
    client.infer("flights", columns(3))
    for version in ("", "1"):
        told = client.get_inference_statistics("flights", version)["model_stats"]
        assert [(one["name"], one["version"]) for one in told] == [("flights", "1")]
        assert told[0]["inference_count"] == 3
        assert told[0]["inference_stats"]["success"]["count"] == 1
