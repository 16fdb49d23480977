"""Write down what a version is made of, as a CycloneDX 1.6 document: its parts and its data.

The packages are those that were installed where its run was planned, so that what trained it can
be asked about, not only what serves it. Licences are those that packages of the very version tell
of themselves where they are installed here; what is not known is left out, never guessed.

Source: CycloneDX 1.6, ECMA-424; https://cyclonedx.org/docs/1.6/json/.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from mainspring.ground.clock import iso
from mainspring.ground.identity import key_of
from mainspring.ground.objects import Version
from mainspring.ground.version import __version__

_NOT_PACKAGES = ("python", "machine", "sample")
_TASKS = {
    "binary": "binary classification",
    "multiclass": "multiclass classification",
    "regression": "regression",
}
#: What this document is told apart by from all others: a name space of our own.
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/bom/mainspring")


def document(
    version: Version,
    packages: Mapping[str, str],
    files: Mapping[str, str],
    needed: Mapping[str, str],
    licences: Mapping[str, str],
    at: float,
) -> dict[str, Any]:
    """Return the document of a version.

    ``packages`` are distributions by name with their version (``python`` is the interpreter),
    ``files`` those of its package with their digests, ``needed`` the distributions without which
    it cannot be loaded, ``licences`` what is known of packages: an SPDX expression, or a name
    after ``name:``.
    """
    ref = f"model:{version.model}/{version.number}"
    libraries = _libraries(packages, licences)
    known = {one["name"]: one["bom-ref"] for one in libraries}
    wanted = sorted(known[_plain(name)] for name in needed if _plain(name) in known)
    data = [_data(name, digest) for name, digest in sorted(version.data.items())]
    held = [_file(path, digest) for path, digest in sorted(files.items())]
    components = [*libraries, *_python(packages), *data, *held]
    same = key_of("sbom", version.package, dict(packages), dict(version.data))
    depends = [*wanted, *(one["bom-ref"] for one in [*data, *held])]
    about = _model(version, ref, [one["bom-ref"] for one in data])
    return _whole(same, at, about, components, depends)


def of_image(
    name: str,
    digest: str,
    packages: Mapping[str, str],
    files: Mapping[str, str],
    licences: Mapping[str, str],
    at: float,
) -> dict[str, Any]:
    """Return the document of an image that runs a project's code; ``digest`` is of its files."""
    libraries, held = (
        _libraries(packages, licences),
        [_file(*one) for one in sorted(files.items())],
    )
    about = {
        "type": "container",
        "bom-ref": f"image:{name}",
        "name": name,
        "version": f"sha256:{digest}",
        "hashes": _hashes(digest),
    }
    components = [*libraries, *_python(packages), *held]
    same = key_of("sbom", name, digest, dict(packages))
    return _whole(same, at, about, components, [one["bom-ref"] for one in [*libraries, *held]])


def _libraries(packages: Mapping[str, str], licences: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        _library(name, told, licences.get(name))
        for name, told in sorted(packages.items())
        if name not in _NOT_PACKAGES
    ]


def _whole(
    same: str,
    at: float,
    about: dict[str, Any],
    components: list[dict[str, Any]],
    depends: list[str],
) -> dict[str, Any]:
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, same)}",
        "version": 1,
        "metadata": {
            "timestamp": iso(at),
            "tools": {
                "components": [
                    {"type": "application", "name": "mainspring", "version": __version__}
                ]
            },
            "component": about,
        },
        "components": components,
        "dependencies": [
            {"ref": about["bom-ref"], "dependsOn": depends},
            *({"ref": one["bom-ref"]} for one in components),
        ],
    }


def _model(version: Version, ref: str, data: list[str]) -> dict[str, Any]:
    signature, card = version.signature, version.card
    parameters: dict[str, Any] = {
        "approach": {"type": "supervised"},
        "task": _TASKS[signature.kind],
        "inputs": [{"format": f"{one.name}: {one.type}"} for one in signature.columns],
        "outputs": [{"format": signature.target or "score"}],
    }
    if data:
        parameters["datasets"] = [{"ref": one} for one in data]
    told: dict[str, Any] = {"modelParameters": parameters}
    if version.metrics:
        told["quantitativeAnalysis"] = {
            "performanceMetrics": [
                {"type": name, "value": repr(value)}
                for name, value in sorted(version.metrics.items())
            ]
        }
    if card is not None:
        told["considerations"] = {
            "useCases": [card.purpose],
            "technicalLimitations": [card.limitations],
        }
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "name": version.model,
        "version": str(version.number),
        "hashes": _hashes(version.package),
        "modelCard": told,
        "properties": [
            {"name": f"mainspring:{name}", "value": value}
            for name, value in (("code", version.code), ("run", version.run or ""))
            if value
        ],
    }
    if card is not None:
        found["supplier"] = {"name": card.owner}
    return found


def _library(name: str, version: str, licence: str | None) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
    }
    if licence is not None and licence.startswith("name:"):
        found["licenses"] = [{"license": {"name": licence.removeprefix("name:")}}]
    elif licence is not None:
        found["licenses"] = [{"expression": licence}]
    return found


def _python(packages: Mapping[str, str]) -> list[dict[str, Any]]:
    told = packages.get("python")
    if told is None:
        return []
    purl = f"pkg:generic/python@{told}"
    kind = {"type": "platform", "bom-ref": purl, "name": "python", "version": told, "purl": purl}
    return [kind]


def _data(name: str, digest: str) -> dict[str, Any]:
    """Return what it learnt from: a component of type data, with the digest of its bytes."""
    found: dict[str, Any] = {
        "type": "data",
        "bom-ref": f"data:{name}",
        "name": name,
        "data": [{"type": "dataset", "name": name}],
    }
    if _hashes(digest):
        found["hashes"] = _hashes(digest)
    return found


def _file(path: str, digest: str) -> dict[str, Any]:
    return {"type": "file", "bom-ref": f"file:{path}", "name": path, "hashes": _hashes(digest)}


def _hashes(digest: str) -> list[dict[str, str]]:
    whole = re.fullmatch(r"[0-9a-f]{64}", digest) is not None
    return [{"alg": "SHA-256", "content": digest}] if whole else []


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
