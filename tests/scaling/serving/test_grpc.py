"""The inference protocol over gRPC, by its own client."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from mainspring.ground.errors import UnauthenticatedError
from mainspring.ground.objects import EndpointOptions, Strategy
from mainspring.ground.permissions import Principal, Role, owner
from mainspring.scaling.models import load
from mainspring.scaling.serving import capture
from mainspring.scaling.serving.rpc import messages
from mainspring.scaling.serving.rpc.door import Door
from mainspring.workspace.peers import uid_of
from waiting import until

ROW = {"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}
TYPES = {"distance": "FP64", "hour": "INT64", "carrier": "BYTES", "weekend": "BOOL"}
NUMPY = {"FP16": np.float16, "FP32": np.float32, "FP64": np.float64, "BOOL": np.bool_}
NUMPY |= {
    f"{sign}INT{bits}": np.dtype(f"{sign}int{bits}".lower())
    for sign in ("", "U")
    for bits in (8, 16, 32, 64)
}


def opened(stage: Any, port: int | None = 0) -> int | None:
    """Have a stage open its gRPC port, and return that."""
    keeper = stage.app.doorkeeper
    if keeper.door is None:
        keeper.door = Door(stage.app, uid_of, 2**20)
    stage.route(options=EndpointOptions(grpc=port))
    until(lambda: keeper.trouble or (keeper.port is not None) is (port is not None))
    return keeper.port


@pytest.fixture
def dial() -> Iterator[Callable[[Any], triton.InferenceServerClient]]:
    with contextlib.ExitStack() as stack:

        def make(stage: Any) -> triton.InferenceServerClient:
            client = triton.InferenceServerClient(f"127.0.0.1:{opened(stage)}")
            return stack.enter_context(contextlib.closing(client))

        yield make


def columns(rows: int = 2, **types: str) -> list[triton.InferInput]:
    found = []
    for name, value in ROW.items():
        datatype = types.get(name, TYPES[name])
        one = triton.InferInput(name, [rows, 1], datatype)
        dtype = NUMPY.get(datatype, np.object_)
        one.set_data_from_numpy(np.array([value] * rows, dtype=dtype).reshape(rows, 1))
        found.append(one)
    return found


def plain(**change: Any) -> Any:
    """Return a request whose values are no raw bytes."""
    fields = dict(
        zip(
            ROW,
            ("fp64_contents", "int64_contents", "bytes_contents", "bool_contents"),
            strict=True,
        )
    )
    request = service_pb2.ModelInferRequest(model_name="flights", id="q7")
    for name, value in {**ROW, **change}.items():
        one = request.inputs.add(name=name, datatype=TYPES.get(name, "FP64"), shape=[1])
        sent = value.encode() if isinstance(value, str) else value
        getattr(one.contents, fields.get(name, "fp64_contents")).append(sent)
    return request


def test_the_messages_are_the_protocols_own() -> None:
    theirs = service_pb2.DESCRIPTOR.pool
    nested = {
        "TensorMetadata": "ModelMetadataResponse",
        "InferInputTensor": "ModelInferRequest",
        "InferRequestedOutputTensor": "ModelInferRequest",
        "InferOutputTensor": "ModelInferResponse",
        "ModelIndex": "RepositoryIndexResponse",
    }
    for name, kind in messages.classes().items():
        path = f"{nested[name]}.{name}" if name in nested else name
        known = theirs.FindMessageTypeByName(f"inference.{path}").fields_by_name
        for field in kind.DESCRIPTOR.fields:
            other = known[field.name]
            assert (field.number, field.type, field.is_repeated) == (
                other.number,
                other.type,
                other.is_repeated,
            ), f"{name}.{field.name}"


def test_health_and_metadata_are_told(stage, dial) -> None:
    client = dial(stage())
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("flights", "1")
    assert "binary_tensor_data" in client.get_server_metadata().extensions
    told = client.get_model_metadata("flights")
    assert (told.name, list(told.versions)) == ("flights", ["1"])
    assert {one.name: one.datatype for one in told.inputs} == TYPES
    assert [list(one.shape) for one in told.outputs] == [[-1], [-1, 1], [-1], [-1]]


def test_raw_and_plain_contents_score_as_http_does(stage, dial) -> None:
    one = stage()
    client = dial(one)
    over_http = one.predict([ROW])["scores"][0]
    answer = client.infer("flights", columns(), request_id="q1")
    assert answer.get_response().id == "q1"
    assert answer.get_response().model_version == "1"
    assert answer.as_numpy("scores").tolist() == [[over_http]] * 2
    assert answer.as_numpy("prediction").tolist() == [b"late", b"late"]
    assert answer.as_numpy("version").tolist() == [1, 1]
    for datatype in ("INT8", "UINT16", "INT32", "UINT64"):
        found = client.infer("flights", columns(hour=datatype, distance="FP16"))
        assert found.as_numpy("scores")[0, 0] == over_http
    with grpc.insecure_channel(f"127.0.0.1:{one.app.doorkeeper.port}") as channel:
        found = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(plain())
    assert not found.raw_output_contents
    outputs = {output.name: output.contents for output in found.outputs}
    assert list(outputs["scores"].fp64_contents) == [over_http]
    assert list(outputs["prediction"].bytes_contents) == [b"late"]
    assert list(outputs["version"].int64_contents) == [1]
    assert one.captures.flush()
    ids = capture.read(one.folder, None, None)["_id"].to_list()
    assert outputs["prediction_id"].bytes_contents[0].decode() in ids


def test_outputs_and_versions_are_chosen(stage, dial, second) -> None:
    one = stage()
    client = dial(one)
    one.route(
        challenger=2,
        challenger_package=second,
        strategy=Strategy.CANARY,
        share=0.0,
        rollout="r1",
    )
    wanted = [triton.InferRequestedOutput("version"), triton.InferRequestedOutput("scores")]
    answer = client.infer("flights", columns(), model_version="2", outputs=wanted)
    assert {output.name for output in answer.get_response().outputs} == {"version", "scores"}
    assert answer.as_numpy("version").tolist() == [2, 2]


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ({"model_name": "other"}, "NOT_FOUND", "no model 'other'"),
        ({"model_version": "9"}, "NOT_FOUND", "'9'"),
        (
            {"outputs": [triton.InferRequestedOutput("none")]},
            "INVALID_ARGUMENT",
            "no output 'none'",
        ),
        ({"inputs": columns()[1:]}, "INVALID_ARGUMENT", "'distance' is missing"),
        ({"inputs": columns()[:3]}, "INVALID_ARGUMENT", "'weekend' is missing"),
        (
            {"outputs": [triton.InferRequestedOutput("scores", class_count=2)]},
            "INVALID_ARGUMENT",
            "classification",
        ),
    ],
    ids=["model", "version", "output", "first", "last", "classes"],
)
def test_a_refusal_says_what_is_wrong(stage, dial, asked, code, words) -> None:
    with pytest.raises(InferenceServerException) as caught:
        dial(stage()).infer(**{"model_name": "flights", "inputs": columns(), **asked})
    assert caught.value.status() == f"StatusCode.{code}"
    assert words in caught.value.message()


def test_every_wrong_field_is_named_over_grpc_too(stage) -> None:
    request = plain(distanse=1.0)
    del request.inputs[0]
    with (
        grpc.insecure_channel(f"127.0.0.1:{opened(stage())}") as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Did you mean 'distance'?" in caught.value.details()
    assert "'distance' is missing" in caught.value.details()


def test_a_model_that_fails_is_an_internal_error(stage, dial, objects) -> None:
    def broken(digest: str) -> Any:
        served = load.load(digest, objects)

        def score(rows: Any) -> Any:
            raise ZeroDivisionError

        served.score = score
        return served

    one = stage(loader=broken)
    with pytest.raises(InferenceServerException) as caught:
        dial(one).infer("flights", columns())
    assert caught.value.status() == "StatusCode.INTERNAL"
    assert "ZeroDivisionError" in caught.value.message()
    assert one.app.status()["answers"]["500"] == 1


def test_a_token_in_the_metadata_says_who_asks(stage, dial) -> None:
    def admit(scope: Any) -> Principal:
        shown = dict(scope["headers"]).get(b"authorization")
        if shown == b"Bearer viewer":
            return Principal(name="viewer", role=Role.VIEWER)
        if scope["state"]["peer_uid"] < 0 or scope["client"] is None:
            raise UnauthenticatedError("Where from?")
        if shown is None:
            raise UnauthenticatedError("Who are you?")
        return owner()

    client = dial(stage(authenticate=admit))
    with pytest.raises(InferenceServerException) as caught:
        client.infer("flights", columns())
    assert caught.value.status() == "StatusCode.UNAUTHENTICATED"
    assert client.is_server_live()
    viewer = {"authorization": "Bearer viewer"}
    assert client.infer("flights", columns(), headers=viewer).as_numpy("version") is not None
    with pytest.raises(InferenceServerException) as caught:
        client.unload_model("flights", headers=viewer)
    assert caught.value.status() == "StatusCode.PERMISSION_DENIED"


def test_the_repository_and_statistics_are_told(stage, dial) -> None:
    one = stage()
    client = dial(one)
    [listed] = client.get_model_repository_index().models
    assert (listed.name, listed.version, listed.state) == ("flights", "1", "READY")
    client.load_model("flights")
    with pytest.raises(InferenceServerException) as caught:
        client.unload_model("flights")
    assert caught.value.status() == "StatusCode.FAILED_PRECONDITION"
    gone = []

    async def let_go() -> None:
        gone.append("flights")

    one.app.let_go = let_go
    client.unload_model("flights")
    assert gone == ["flights"]
    client.infer("flights", columns(3))
    [told] = client.get_inference_statistics("flights").model_stats
    assert told.inference_count == 3
    assert told.inference_stats.success.count == 1


def test_the_port_is_opened_and_closed_while_it_serves(stage) -> None:
    one = stage()
    port = opened(one)
    assert one.app.status()["grpc"] == port
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert stub.ServerLive(service_pb2.ServerLiveRequest()).live
        assert opened(one, None) is None
        with pytest.raises(grpc.RpcError) as caught:
            stub.ServerLive(service_pb2.ServerLiveRequest(), timeout=30)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert one.predict([ROW])["predictions"] == ["late"]


def test_a_port_that_another_has_is_told_and_http_goes_on(stage) -> None:
    one = stage()
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert opened(one, taken.getsockname()[1]) is None
    assert "gRPC port" in one.app.status()["trouble"]
    assert one.predict([ROW])["predictions"] == ["late"]


def test_a_message_above_the_budget_is_refused(stage, dial) -> None:
    with pytest.raises(InferenceServerException) as caught:
        dial(stage()).infer("flights", columns(100_000))
    assert caught.value.status() == "StatusCode.RESOURCE_EXHAUSTED"
