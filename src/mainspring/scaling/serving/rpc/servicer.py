"""Answer the calls of the inference protocol over gRPC, as the same requests over HTTP are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

import msgspec
import numpy as np

from mainspring.ground import extras
from mainspring.ground.errors import BadInputError, MainspringError
from mainspring.ground.permissions import Permission
from mainspring.scaling.serving import answers, inference, tensors
from mainspring.scaling.serving.app import EndpointApp
from mainspring.scaling.serving.protocols import oip, repository
from mainspring.scaling.serving.protocols.calls import Call, Reply
from mainspring.scaling.serving.rpc import messages
from mainspring.scaling.serving.tensors import Tensor

PEER_S = 0.5  # who holds the other end of a connection is asked of the kernel this often
PATIENCE = b"x-request-timeout-ms"
#: Statuses of ours as gRPC has them; others are INTERNAL.
CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
#: Where the values of a datatype stand that did not come as raw bytes. FP16 has no such place.
_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}

#: Makes a message of an answer from a request's message, for one endpoint.
Work = Callable[[EndpointApp, Call], Awaitable[Any]]


class Servicer:
    """The calls of one port.

    Args:
        find: a model's or an endpoint's name -> its application; raises a NotFoundError.
        every: returns all applications of this port.
        uid_of: (client, server) addresses -> the uid of who holds the client's end.
    """

    def __init__(
        self,
        find: Callable[[str], EndpointApp],
        every: Callable[[], Sequence[EndpointApp]],
        uid_of: Callable[[Any, Any], int],
    ) -> None:
        self.port = 0
        self._find, self._every, self._uid_of = find, every, uid_of
        self._peers: dict[str, tuple[float, int]] = {}
        self._kinds = messages.classes()

    def handlers(self, grpc: Any) -> Any:
        """Return the calls as a server of gRPC takes them."""
        told = {
            name: grpc.unary_unary_rpc_method_handler(
                getattr(self, f"_{_snake(name)}"),
                request_deserializer=self._kinds[f"{name}Request"].FromString,
                response_serializer=self._kinds[f"{name}Response"].SerializeToString,
            )
            for name in CALLS
        }
        return grpc.method_handlers_generic_handler(messages.SERVICE, told)

    # ------------------------------------------------------------ health and metadata

    async def _server_live(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        return self._kinds["ServerLiveResponse"](live=True)

    async def _server_ready(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        ready = all(app.ready for app in self._every())
        return self._kinds["ServerReadyResponse"](ready=ready)

    async def _server_metadata(self, request: Any, context: Any) -> Any:  # noqa: ARG002
        async def work(app: EndpointApp, call: Call) -> Any:
            app.admitted(call, Permission.READ)
            return self._kinds["ServerMetadataResponse"](**answers.server("mainspring"))

        return await self._answered(self._every()[0], "/v2", context, work, method="GET")

    async def _model_ready(self, request: Any, context: Any) -> Any:
        async def work(app: EndpointApp, call: Call) -> Any:
            app.admitted(call, Permission.READ)
            variant = oip.named(app, call.path.removeprefix(oip.MODELS), app.generations.current)
            return self._kinds["ModelReadyResponse"](ready=variant is not None)

        return await self._of_model(request.name, request.version, context, work, method="GET")

    async def _model_metadata(self, request: Any, context: Any) -> Any:
        async def work(app: EndpointApp, call: Call) -> Any:
            reply = await oip.model(app, call)
            told = msgspec.json.decode(reply.body)
            for tensor in (*told["inputs"], *told["outputs"]):
                tensor.pop("parameters", None)
            told.pop("parameters")
            return self._kinds["ModelMetadataResponse"](**told)

        return await self._of_model(request.name, request.version, context, work, method="GET")

    async def _model_statistics(self, request: Any, context: Any) -> Any:
        async def work(app: EndpointApp, call: Call) -> Any:
            call.path += "/stats"
            told = msgspec.json.decode((await oip.model(app, call)).body)
            return self._kinds["ModelStatisticsResponse"](**told)

        return await self._of_model(request.name, request.version, context, work, method="GET")

    # ------------------------------------------------------------ the repository

    async def _repository_index(self, request: Any, context: Any) -> Any:
        async def work(app: EndpointApp, call: Call) -> Any:
            app.admitted(call, Permission.READ)
            rows = [row for one in self._every() for row in repository.rows(one)]
            shown = [row for row in rows if row["state"] == "READY" or not request.ready]
            return self._kinds["RepositoryIndexResponse"](models=shown)

        path = "/v2/repository/index"
        return await self._answered(self._every()[0], path, context, work, method="GET")

    async def _repository_model_load(self, request: Any, context: Any) -> Any:
        return await self._changed(request, context, "load")

    async def _repository_model_unload(self, request: Any, context: Any) -> Any:
        return await self._changed(request, context, "unload")

    async def _changed(self, request: Any, context: Any, verb: str) -> Any:
        async def work(app: EndpointApp, call: Call) -> Any:
            await repository.changed(app, call, verb, _plain(request.parameters))
            return self._kinds[f"RepositoryModel{verb.title()}Response"]()

        path = f"{repository.MODELS}{request.model_name}/{verb}"
        return await self._of_model(request.model_name, "", context, work, path=path)

    # ------------------------------------------------------------ inference

    async def _model_infer(self, request: Any, context: Any) -> Any:
        async def work(app: EndpointApp, call: Call) -> Any:
            await app.asked_by(call)
            variant, given = await oip.inferred(
                app, call, call.path.removeprefix(oip.MODELS), _read(request)
            )
            answer = self._kinds["ModelInferResponse"](
                model_name=request.model_name, model_version=str(variant.number), id=request.id
            )
            _write(answer, given, raw=bool(request.raw_input_contents))
            return answer

        return await self._of_model(request.model_name, request.model_version, context, work)

    # ------------------------------------------------------------ the way of a call

    async def _of_model(
        self,
        name: str,
        version: str,
        context: Any,
        work: Work,
        *,
        path: str | None = None,
        method: str = "POST",
    ) -> Any:
        own = f"{oip.MODELS}{name}" + (f"/versions/{version}" if version else "")
        return await self._answered(name, path or own, context, work, method)

    async def _answered(
        self, asked: EndpointApp | str, path: str, context: Any, work: Work, method: str = "POST"
    ) -> Any:
        """Return what ``work`` makes, counted and refused as a request over HTTP would be."""
        found: list[Any] = []

        async def handler(app: EndpointApp, call: Call) -> Reply:
            found.append(await work(app, call))
            return Reply(200, b"application/grpc", b"")

        told: dict[str, Any] = {"body": b""}

        async def send(message: MutableMapping[str, Any]) -> None:
            told.update(message)

        try:
            app = self._find(asked) if isinstance(asked, str) else asked
        except MainspringError as error:
            await _refuse(context, error.status, str(error))
            raise  # it was refused by raising
        scope = self._scope(context, method, path)
        call = Call(scope, _Receive(), dict(scope["headers"]))
        await app.handle(call, send, handler)
        if found:
            return found[0]
        headers = dict(told.get("headers", ()))
        words = msgspec.json.decode(told["body"] or b"{}").get("error", "The call was given up.")
        await _refuse(context, told.get("status", 499), words, headers.get(b"retry-after"))
        return None

    def _scope(self, context: Any, method: str, path: str) -> dict[str, Any]:
        """Return what an HTTP request for the same would come with."""
        host = f"127.0.0.1:{self.port}".encode()
        headers = [(b"host", host)]
        for key, value in context.invocation_metadata() or ():
            if isinstance(value, str) and key != "host":
                headers.append((key.encode("latin-1"), value.encode("latin-1", "replace")))
        left = context.time_remaining()
        if left is not None:
            headers.append((PATIENCE, f"{max(1000 * left, 0.001):.3f}".encode()))
        client = _address(context.peer())
        return {
            "type": "http",
            "method": method,
            "path": path,
            "headers": headers,
            "client": client,
            "server": ("127.0.0.1", self.port),
            "state": {"peer_uid": self._uid(context.peer(), client)},
        }

    def _uid(self, peer: str, client: tuple[str, int] | None) -> int:
        """Return the uid of who asks, read from the kernel's table once in a while."""
        known = self._peers.get(peer)
        now = time.monotonic()
        if known is not None and now - known[0] < PEER_S:
            return known[1]
        if len(self._peers) > 1000:
            self._peers.clear()
        uid = self._uid_of(client, ("127.0.0.1", self.port))
        self._peers[peer] = (now, uid)
        return uid


#: The calls that are answered.
CALLS = (
    "ServerLive",
    "ServerReady",
    "ServerMetadata",
    "ModelReady",
    "ModelMetadata",
    "ModelInfer",
    "ModelStatistics",
    "RepositoryIndex",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
)


class _Receive:
    """The body of a call, which came with it: nothing, and then silence until the call ends."""

    def __init__(self) -> None:
        self._told = False

    async def __call__(self) -> MutableMapping[str, Any]:
        if self._told:
            # Who cancels a call cancels its task, and with it this wait.
            await asyncio.get_running_loop().create_future()
        self._told = True
        return {"type": "http.request", "body": b"", "more_body": False}


async def _refuse(context: Any, status: int, words: str, retry: bytes | None = None) -> None:
    grpc: Any = extras.need("grpc", extra="grpc", purpose="Serving over gRPC")
    code = getattr(grpc.StatusCode, CODES.get(status, "INTERNAL"))
    trailing = () if retry is None else (("retry-after", retry.decode()),)
    await context.abort(code, words, trailing)


def _read(request: Any) -> inference.Inference:
    """Return the request of a ModelInferRequest.

    Raises:
        BadInputError: for a tensor that cannot be read, naming it.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise BadInputError(f"There are {len(raw)} raw contents for {len(request.inputs)} inputs.")
    found = []
    for place, one in enumerate(request.inputs):
        inference.refuse_unread(one.name, one.parameters)
        shape = list(one.shape)
        if raw:
            found.append(tensors.of_bytes(one.name, one.datatype, shape, raw[place]))
        else:
            values = _contents(one)
            found.append(tensors.of_json(one.name, one.datatype, shape, values))
    for output in request.outputs:
        inference.refuse_unread(output.name, output.parameters)
    names = tuple(output.name for output in request.outputs)
    return inference.Inference(found, request.id or None, names)


def _contents(one: Any) -> list[Any]:
    field = _CONTENTS.get(one.datatype)
    if field is None:
        return []  # what reads it says that there is no such datatype, or no values
    values = list(getattr(one.contents, field))
    if field != "bytes_contents":
        return values
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError as error:
        raise tensors.refused(one.name, "holds bytes that are not UTF-8") from error


def _write(answer: Any, given: Sequence[Tensor], *, raw: bool) -> None:
    """Put outputs into an answer: as raw bytes, if the inputs came so."""
    for one in given:
        out = answer.outputs.add(name=one.name, datatype=one.datatype, shape=one.shape)
        if raw:
            answer.raw_output_contents.append(tensors.to_bytes(one))
            continue
        values = one.values
        told = values.tolist() if isinstance(values, np.ndarray) else values
        if one.datatype == "BYTES":
            told = [text.encode() for text in told]
        getattr(out.contents, _CONTENTS[one.datatype]).extend(told)


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(value) for name, value in parameters.items()}


def _address(peer: str) -> tuple[str, int] | None:
    """Return an address as gRPC names it: ``ipv4:127.0.0.1:4711``.

    >>> _address("ipv4:127.0.0.1:4711"), _address("unix:x")
    (('127.0.0.1', 4711), None)
    """
    kind, _, rest = peer.partition(":")
    host, _, port = rest.rpartition(":")
    if kind not in ("ipv4", "ipv6") or not port.isdecimal():
        return None
    return host.strip("[]").replace("%5B", "").replace("%5D", ""), int(port)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
