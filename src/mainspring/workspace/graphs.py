"""Register graphs of models: each member is looked up once and pinned by its package."""

from __future__ import annotations

import msgspec

from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.identity import check_name
from mainspring.ground.objects import Signature, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import registry
from mainspring.scaling.models import directories, graph, package, stages
from mainspring.scaling.models.stages import GraphSpec, Stage
from mainspring.workspace import registering
from mainspring.workspace.opening import Workspace


def register(ws: Workspace, model: str, spec: GraphSpec) -> Version:
    """Register a graph as the next version of a model, and return it.

    A member that is named by an alias is the version that it names now. The files of each member
    lie in the graph's package, so they stay as long as the graph does.

    Raises:
        NotFoundError: if a member is not there.
        ConflictError: if a member has no form that can be served yet.
        BadInputError: naming the stage that does not fit.
    """
    check_name(model, "model")
    spec = stages.read(msgspec.to_builtins(spec))

    def look(tx: Tx) -> dict[str, Version]:
        return {name: registry.resolve(tx, name) for name in spec.members()}

    found = ws.read(Permission.READ, look)
    names = {name: f"{one.model}/{one.number}" for name, one in found.items()}
    for name, one in found.items():
        if not package.holds_model(one.package, ws.objects):
            raise ConflictError(
                f"{names[name]} cannot be scored yet.",
                field="stages",
                hint=f"Judge it first: mainspring judge {names[name]} --rows ROWS --target COLUMN",
            )
        if one.model == model:
            raise BadInputError(f"The graph {model!r} names itself.", field="stages")
    pinned = {
        names[name]: graph.Pinned(package=one.package, signature=one.signature)
        for name, one in found.items()
    }
    settled = [_settled(stage, names) for stage in spec.stages]
    facts = graph.Facts(spec=msgspec.structs.replace(spec, stages=settled), members=pinned)
    columns, kind, classes = graph.planned(facts)
    files: dict[str, str] = {}
    for number, member in enumerate(pinned.values()):
        manifest = package.read_manifest(member.package, ws.objects)
        files |= graph.member_files(number, manifest.files)
    words = {column.name: column.type for column in columns}
    mlmodel = directories.mlmodel("graph", {"data": graph.FILE}, words)
    files["MLmodel"] = ws.objects.put(mlmodel)
    files[graph.FILE] = ws.objects.put(msgspec.json.encode(facts))
    version = registering.version_of_files(ws, model, files, f"graph of {', '.join(pinned)}")
    told = Signature(columns=columns, kind=kind, target="", classes=classes)
    version = msgspec.structs.replace(version, signature=told)
    return ws.write(Permission.REGISTER, lambda tx: registry.register(tx, version))


def shown(ws: Workspace, digest: str) -> graph.Facts | None:
    """Return the stages and members of a graph's package; None if it is no graph."""
    manifest = package.read_manifest(digest, ws.objects)
    if graph.FILE not in manifest.files:
        return None
    data = package.read_file(manifest, graph.FILE, ws.objects)
    return msgspec.json.decode(data, type=graph.Facts)


def _settled(stage: Stage, names: dict[str, str]) -> Stage:
    """Return a stage whose members are written as ``name/7``."""
    ensemble = None if stage.ensemble is None else [names[one] for one in stage.ensemble]
    return msgspec.structs.replace(
        stage,
        model=None if stage.model is None else names[stage.model],
        ensemble=ensemble,
        cases={value: names[one] for value, one in stage.cases.items()},
        otherwise=None if stage.otherwise is None else names[stage.otherwise],
    )
