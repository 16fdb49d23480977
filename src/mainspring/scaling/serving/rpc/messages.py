"""The messages of ``inference.GRPCInferenceService``, made at run time from the table below.

Names, types and numbers are those of the protocol's ``grpc_predict_v2.proto``: they are the wire.
A pool of our own holds them, so that a client's generated module may live in the same process.

Source: KServe, Open Inference Protocol (V2), gRPC, ``grpc_predict_v2.proto``; the statistics and
``double_param``/``uint64_param`` are Triton's, ``grpc_service.proto``.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from mainspring.ground import extras

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

#: A message by its fields, each as a .proto has it; fields of one ``oneof`` stand in brackets.
MESSAGES: dict[str, str] = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "bool live = 1",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "bool ready = 1",
    "ModelReadyRequest": "string name = 1; string version = 2",
    "ModelReadyResponse": "bool ready = 1",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "string name = 1; string version = 2;"
    " repeated string extensions = 3",
    "ModelMetadataRequest": "string name = 1; string version = 2",
    "TensorMetadata": "string name = 1; string datatype = 2; repeated int64 shape = 3",
    "ModelMetadataResponse": "string name = 1; repeated string versions = 2; string platform = 3;"
    " repeated TensorMetadata inputs = 4; repeated TensorMetadata outputs = 5",
    "InferParameter": "[bool bool_param = 1; int64 int64_param = 2; string string_param = 3;"
    " double double_param = 4; uint64 uint64_param = 5]",
    "InferTensorContents": "repeated bool bool_contents = 1; repeated int32 int_contents = 2;"
    " repeated int64 int64_contents = 3; repeated uint32 uint_contents = 4;"
    " repeated uint64 uint64_contents = 5; repeated float fp32_contents = 6;"
    " repeated double fp64_contents = 7; repeated bytes bytes_contents = 8",
    "InferInputTensor": "string name = 1; string datatype = 2; repeated int64 shape = 3;"
    " map InferParameter parameters = 4; InferTensorContents contents = 5",
    "InferRequestedOutputTensor": "string name = 1; map InferParameter parameters = 2",
    "ModelInferRequest": "string model_name = 1; string model_version = 2; string id = 3;"
    " map InferParameter parameters = 4; repeated InferInputTensor inputs = 5;"
    " repeated InferRequestedOutputTensor outputs = 6; repeated bytes raw_input_contents = 7",
    "InferOutputTensor": "string name = 1; string datatype = 2; repeated int64 shape = 3;"
    " map InferParameter parameters = 4; InferTensorContents contents = 5",
    "ModelInferResponse": "string model_name = 1; string model_version = 2; string id = 3;"
    " map InferParameter parameters = 4; repeated InferOutputTensor outputs = 5;"
    " repeated bytes raw_output_contents = 6",
    "RepositoryIndexRequest": "string repository_name = 1; bool ready = 2",
    "ModelIndex": "string name = 1; string version = 2; string state = 3; string reason = 4",
    "RepositoryIndexResponse": "repeated ModelIndex models = 1",
    "ModelRepositoryParameter": "[bool bool_param = 1; int64 int64_param = 2;"
    " string string_param = 3; bytes bytes_param = 4]",
    "RepositoryModelLoadRequest": "string repository_name = 1; string model_name = 2;"
    " map ModelRepositoryParameter parameters = 3",
    "RepositoryModelLoadResponse": "",
    "RepositoryModelUnloadRequest": "string repository_name = 1; string model_name = 2;"
    " map ModelRepositoryParameter parameters = 3",
    "RepositoryModelUnloadResponse": "",
    "StatisticDuration": "uint64 count = 1; uint64 ns = 2",
    "InferStatistics": "StatisticDuration success = 1; StatisticDuration fail = 2;"
    " StatisticDuration compute_infer = 5",
    "ModelStatistics": "string name = 1; string version = 2; uint64 inference_count = 4;"
    " uint64 execution_count = 5; InferStatistics inference_stats = 6",
    "ModelStatisticsRequest": "string name = 1; string version = 2",
    "ModelStatisticsResponse": "repeated ModelStatistics model_stats = 1",
}
_FIELD = re.compile(r"(?:(repeated|map) )?(\w+) (\w+) = (\d+)")


@cache
def classes() -> dict[str, Any]:
    """Return the class of each message by its name.

    Raises:
        MissingExtraError: if protobuf is not installed.
    """
    purpose = "Serving over gRPC"
    descriptor_pb2 = extras.need("google.protobuf.descriptor_pb2", extra="grpc", purpose=purpose)
    pools = extras.need("google.protobuf.descriptor_pool", extra="grpc", purpose=purpose)
    factory = extras.need("google.protobuf.message_factory", extra="grpc", purpose=purpose)
    file = descriptor_pb2.FileDescriptorProto(
        name="mainspring/inference.proto", package=PACKAGE, syntax="proto3"
    )
    for name, fields in MESSAGES.items():
        _add(file.message_type.add(name=name), name, fields)
    pool = pools.DescriptorPool()
    pool.Add(file)
    return {
        name: factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in MESSAGES
    }


def _add(message: Any, name: str, fields: str) -> None:
    one_of = fields.startswith("[")
    if one_of:
        message.oneof_decl.add(name="parameter_choice")
    for told in filter(None, (part.strip() for part in fields.strip("[]").split(";"))):
        found = _FIELD.fullmatch(told)
        assert found is not None, told  # noqa: S101  the table is ours
        label, kind, field, number = found.groups()
        if label == "map":
            entry = message.nested_type.add(
                name="".join(map(str.title, field.split("_"))) + "Entry"
            )
            entry.options.map_entry = True
            _field(entry, "string", "key", 1)
            _field(entry, kind, "value", 2)
            kind = f"{name}.{entry.name}"
        one = _field(message, kind, field, int(number), many=label is not None)
        if one_of:
            one.oneof_index = 0


def _field(message: Any, kind: str, name: str, number: int, *, many: bool = False) -> Any:
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_REPEATED if many else field.LABEL_OPTIONAL
    scalar = getattr(field, f"TYPE_{kind.upper()}", None)
    if scalar is None:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    else:
        field.type = scalar
    return field
