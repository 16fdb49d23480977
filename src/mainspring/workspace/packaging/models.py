"""Write what an image of one version is built from: its package, its packages, nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.experiments import runs as experiments
from mainspring.ground.environment import environment
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import canonical, sha256
from mainspring.ground.objects import Signature, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.version import __version__
from mainspring.pipelines import environments
from mainspring.pipelines import reading as pipelines
from mainspring.pipelines.packaging import containerfile, pins
from mainspring.pipelines.packaging.containerfile import Image
from mainspring.readiness import registry, sbom
from mainspring.scaling.models import exact, package
from mainspring.scaling.models.apart import code
from mainspring.scaling.models.onnx_form import Parity
from mainspring.scaling.serving import packaged
from mainspring.workspace.packaging import folders, telling
from mainspring.workspace.proofs import parts

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

_COMMIT = "mainspring.git.commit"
_ENTRY = ["python", "-m", "mainspring.scaling.serving.packaged"]
_MODEL = "model"  #: folder of the build folder


def folder_of(
    ws: Workspace, reference: str, base: str | None = None
) -> tuple[Version, dict[str, bytes]]:
    """Return the version that a reference names, and the build folder of its image.

    The same version and base give the same bytes.

    Raises:
        NotFoundError: if there is no such version.
        BadInputError: if it cannot be served from an image, or ``base`` is none.
        ConflictError: if nobody knows which packages it needs in which versions.
    """
    version, run, here, own = ws.read(Permission.READ, lambda tx: _told(tx, reference))
    manifest = package.read_manifest(version.package, ws.objects)
    _check(version, manifest)
    python = here.pop("python", environment()["python"])
    here.pop("machine", None)
    roots, why = _needed(ws, version, manifest)
    names = pins.closure(roots, python)
    locked = parts.pins_of(manifest, ws.objects, ("lock.txt", "requirements.txt"))
    pinned = pins.pinned(names, [locked, here, environment()])
    hashes = {**pins.locked(Path(ws.settings.root) / "uv.lock"), **pins.of_lines(own)}
    base = containerfile.check_base(base or containerfile.default_base(python))
    kept = _model(ws, version, manifest)
    document = sbom.document(
        version,
        {**pinned, "mainspring": __version__, "python": python},
        {path: digest for path, digest in manifest.files.items() if packaged.is_carried(path)},
        dict.fromkeys(roots, ""),
        parts.licences(pinned),
        version.created,
    )
    commit = run.get(_COMMIT)
    image = _image(version, base, python, commit)
    files = {
        folders.MARK: containerfile.containerfile(image).encode(),
        ".containerignore": containerfile.IGNORE.encode(),
        ".dockerignore": containerfile.IGNORE.encode(),
        "README.md": telling.of_model(version, base, python, why, pinned).encode(),
        "sbom.cdx.json": json.dumps(document, indent=2, sort_keys=True).encode() + b"\n",
        **folders.packages(pinned, hashes),
        **{f"{_MODEL}/{path}": data for path, data in kept.items()},
    }
    return version, files


def artifact_of(ws: Workspace, reference: str) -> tuple[Version, bytes]:
    """Return a version and its ``model.tar.gz``, as it is put into ``/opt/ml/model``.

    Raises:
        NotFoundError, BadInputError: as :func:`folder_of`.
    """
    version = version_of(ws, reference)
    manifest = package.read_manifest(version.package, ws.objects)
    _check(version, manifest)
    return version, folders.compressed(_model(ws, version, manifest), version.created)


def files_of(ws: Workspace, version: Version) -> dict[str, bytes]:
    """Return a version as the folder that is served: its files, whose it is, its digests."""
    manifest = package.read_manifest(version.package, ws.objects)
    return _model(ws, version, manifest)


def version_of(ws: Workspace, reference: str) -> Version:
    """Return the version that a reference names.

    Raises:
        NotFoundError, BadInputError: if there is none.
    """
    return ws.read(Permission.READ, lambda tx: registry.resolve(tx, reference))


def _told(tx: Tx, reference: str) -> tuple[Version, dict[str, str], dict[str, str], list[str]]:
    """Return a version, its run's tags, what was installed there, and its locks' lines."""
    version = registry.resolve(tx, reference)
    if version.run is None:
        return version, {}, {}, []
    try:
        tags = experiments.get(tx, version.run).tags
    except NotFoundError:  # it was deleted for good
        tags = {}
    digests = sorted(set(environments.of_steps(tx, version.run).values()))
    locks = [environments.lock_of(tx, one) for one in digests if one]
    own = [line for lock in locks if lock is not None for line in lock.lines]
    return version, tags, pipelines.environment_of(tx, version.run), own


def _check(version: Version, manifest: package.Manifest) -> None:
    name = f"{version.model}/{version.number}"
    files = manifest.files
    if any(path.rpartition("/")[2] == code.FILE for path in files):
        raise BadInputError(
            f"{name} runs code of its own in an environment of its own; an image does not.",
            field="reference",
            hint="Package the pipeline that makes it, or serve it from a home.",
        )
    if "signature.json" not in files or not ("model.onnx" in files or exact.holds(files)):
        raise BadInputError(
            f"{name} holds no model that can answer; it answers elsewhere.", field="reference"
        )


def _needed(ws: Workspace, version: Version, manifest: package.Manifest) -> tuple[set[str], str]:
    """Return the distributions that serving imports, and why in words."""
    roots, files = set(pins.SERVING), manifest.files
    wanted = parts.pins_of(manifest, ws.objects, ("requirements.txt",))
    if "model.onnx" not in files or "parity.json" not in files:
        return roots | set(wanted), "it is served in its own form, by the library it is of"
    parity = msgspec.json.decode(
        package.read_file(manifest, "parity.json", ws.objects), type=Parity
    )
    signature: Signature = version.signature
    gaps = any(column.nullable for column in signature.columns)
    if gaps and not parity.missing:
        return (
            roots | set(wanted),
            "rows with a missing value are scored by the estimator itself, whose library is there",
        )
    return roots, "its ONNX form answers every row, so no library of training is there"


def _model(ws: Workspace, version: Version, manifest: package.Manifest) -> dict[str, bytes]:
    """Return the files that are served; rows of the training data stay behind."""
    kept = {
        path: package.read_file(manifest, path, ws.objects)
        for path in sorted(manifest.files)
        if packaged.is_carried(path)
    }
    told = canonical(manifest)
    if sha256(told) != version.package:  # kept by an older release, in its own order
        told = ws.objects.get(version.package)
    packed = packaged.Packed(
        model=version.model,
        number=version.number,
        package=version.package,
        run=version.run,
        created=version.created,
    )
    return {**kept, packaged.MANIFEST: told, packaged.VERSION: canonical(packed)}


def _image(version: Version, base: str, python: str, commit: str | None) -> Image:
    name = f"{version.model}/{version.number}"
    labels: dict[str, str | None] = {
        "model": version.model,
        "number": str(version.number),
        "package": f"sha256:{version.package}",
        "run": version.run,
        "pipeline.code": version.code,
    }
    oci: dict[str, Any] = {
        "org.opencontainers.image.version": str(version.number),
        "org.opencontainers.image.description": f"Serves {name} on port {packaged.PORT}.",
    }
    if commit:
        oci["org.opencontainers.image.revision"] = commit
    return Image(
        title=name,
        base=base,
        python=python,
        created=version.created,
        labels={
            **containerfile.labels_of(labels),
            **oci,
            "com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true",
        },
        copies={f"{_MODEL}/": f"{packaged.OWN}/"},
        entry=_ENTRY,
        command=["serve"],
        health=[*_ENTRY, "health"],
        port=packaged.PORT,
    )
