"""Register what is no estimator from Python: ``ms.register``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.ground.identity import sha256
from mainspring.ground.objects import Version
from mainspring.scaling.models.directories import Directory
from mainspring.scaling.models.stages import GraphSpec
from mainspring.workspace import graphs, registering
from mainspring.workspace.asking import Server
from mainspring.workspace.found import asked_place

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace


def register(model: str, what: Directory | GraphSpec) -> Version:
    """Register a predictor, an ONNX file or a graph as the next version of a model.

    ``what`` is made by :func:`mainspring.Predictor`, :func:`mainspring.OnnxModel` or
    :func:`mainspring.Graph`. The version serves once it was judged, and its code runs once a
    person trusts it. It is registered in the home, or at the server that MAINSPRING_URL names.

    Raises:
        NotFoundError: if a graph names a version that is not there.
        ConflictError: if a member of a graph was never judged.
        BadInputError: if the model's name cannot be one, or a stage does not fit.
    """
    with asked_place() as place:
        if isinstance(what, GraphSpec):
            if not isinstance(place, Server):
                return graphs.register(place, model, what)
            body = {"model": model, **msgspec.to_builtins(what)}
            return msgspec.convert(place.ask("POST", "/api/v1/graphs", body=body), Version)
        digests = {path: _kept(place, data) for path, data in what.files.items()}
        source = f"{what.flavor} by ms.register"
        if not isinstance(place, Server):
            return registering.add(place, model, digests, source)
        asked = {"model": model, "files": digests, "source": source}
        return msgspec.convert(place.ask("POST", "/api/v1/packages", body=asked), Version)


def _kept(place: Workspace | Server, data: bytes) -> str:
    if not isinstance(place, Server):
        return place.objects.put(data)
    digest = sha256(data)
    with tempfile.NamedTemporaryFile() as held:
        Path(held.name).write_bytes(data)
        place.ask("PUT", f"/api/v1/objects/{digest}", file=Path(held.name))
    return digest
