"""What a version is made of: its SBOM, and the advisories that hold for its packages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.errors import BadInputError, ConflictError, MainspringError
from mainspring.ground.gates import Accepted
from mainspring.ground.identity import canonical, is_digest, new_id
from mainspring.ground.objects import Evidence, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Objects, Tx
from mainspring.pipelines import reading as pipelines
from mainspring.readiness import advisories, audits, evidence, registry, sbom
from mainspring.readiness.advisories import Severity
from mainspring.scaling.models import package
from mainspring.workspace import calling

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;#]+)", re.MULTILINE)
_MOST_REQUIREMENTS = 1 << 20


def write_sbom(
    ws: Workspace, model: str, number: int, permission: Permission = Permission.RUN
) -> tuple[dict[str, Any], Evidence]:
    """Return the CycloneDX document of a version, kept as an object and as evidence.

    Raises:
        NotFoundError: if there is no such version.
        ConflictError: if nobody noted what was installed where it was made.
    """
    version, packages = ws.read(Permission.READ, lambda tx: _packages(ws, tx, model, number))
    manifest = package.read_manifest(version.package, ws.objects)
    needed = pins_of(manifest, ws.objects, ("requirements.txt",))
    found = sbom.document(
        version, packages, manifest.files, needed, licences(packages), ws.clock.now()
    )
    digest = ws.objects.put(canonical(found))
    count = sum(one["type"] == "library" for one in found["components"])
    known = sum("licenses" in one for one in found["components"])
    told = f"{count} packages, {known} with a licence, {len(manifest.files)} files"
    made = _evidence(ws, version, "sbom", None, f"{told}, {len(version.data)} data sets")
    made = msgspec.structs.replace(
        made, detail={"packages": count, "licences": known}, opens=[f"artifact:{digest}"]
    )
    ws.write(permission, lambda tx: evidence.record(tx, made))
    return found, made


def audit(
    ws: Workspace,
    model: str,
    number: int,
    file: str,
    *,
    least: Severity = "high",
    accepted: Mapping[str, Accepted] | None = None,
    permission: Permission = Permission.RUN,
    lease: Lease | None = None,
) -> Evidence:
    """Match a version's packages against a file of advisories, kept under a digest.

    Raises:
        NotFoundError: if there is no such version or object.
        BadInputError: if the file holds no advisories.
        ConflictError: if nobody noted what was installed where it was made.
    """
    version, packages = ws.read(Permission.READ, lambda tx: _packages(ws, tx, model, number))
    packages.pop("python", None)  # advisories of PyPI do not speak of it
    given = dict(accepted or {})
    told = calling.child(ws, "audit", {"file": file, "packages": packages}, lease)
    known = msgspec.convert(told["known"], list[advisories.Known])
    passed, words, counted = audits.verdict(
        known, least, given, ws.clock.now(), len(packages), told["count"]
    )
    made = msgspec.structs.replace(
        _evidence(ws, version, "advisories", passed, words),
        detail={
            "least": least,
            "counted": counted,
            "known": msgspec.to_builtins(known[:500]),
            "accepted": msgspec.to_builtins(given),
            "advisories": told["count"],
            "packages": len(packages),
        },
        opens=[f"artifact:{file}"],
    )
    ws.write(permission, lambda tx: evidence.record(tx, made))
    return made


def cannot(ws: Workspace, version: Version, why: MainspringError) -> Evidence:
    """Return that a version's packages cannot be compared, as evidence that is not kept yet."""
    told = f"its packages cannot be compared with the advisories: {why.message}"
    return _evidence(ws, version, "advisories", False, told)


def kept_file(ws: Workspace, named: str) -> str:
    """Return the digest of a file of advisories: of an object, or of a file of the project.

    Raises:
        BadInputError: if it is neither; files outside of the project are not read.
    """
    if is_digest(named):
        return named
    root = Path(ws.settings.root).resolve()
    path = (root / named).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise BadInputError(
            f"There is no file of advisories {named[:200]!r} in the project.", field="advisories"
        )
    return ws.objects.put_file(path)


def in_child(payload: dict[str, Any], objects: Objects) -> dict[str, Any]:
    """Return what holds for packages. For a process of its own: files may be large."""
    found, count = advisories.match(objects.get(payload["file"]), payload["packages"])
    return {"known": msgspec.to_builtins(found), "count": count}


def licences(packages: Mapping[str, str]) -> dict[str, str]:
    """Return the licences of packages that are installed here in the very same version."""
    found = {}
    for name, version in packages.items():
        try:
            told = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue
        if told["Version"] != version:
            continue
        expression = next(iter(told.get_all("License-Expression") or []), None)
        classes = [one for one in told.get_all("Classifier") or [] if one.startswith("License ::")]
        if expression:
            found[name] = str(expression)
        elif classes:
            found[name] = f"name:{classes[0].rpartition(' :: ')[2]}"
    return found


def _packages(ws: Workspace, tx: Tx, model: str, number: int) -> tuple[Version, dict[str, str]]:
    """Return a version and what was installed where it was made: by its run, else as it says."""
    version = registry.get(tx, model, number)
    found = pipelines.environment_of(tx, version.run) if version.run else {}
    if not found:
        manifest = package.read_manifest(version.origin or version.package, ws.objects)
        found = pins_of(manifest, ws.objects, ("lock.txt", "requirements.txt"))
    found.pop("machine", None)
    if not found:
        raise ConflictError(
            f"Nobody noted which packages {model}/{number} was made with.", field="version"
        )
    return version, found


def pins_of(
    manifest: package.Manifest, objects: Objects, names: tuple[str, ...]
) -> dict[str, str]:
    """Return the versions that files of a package pin, by name: ``lock.txt``, say."""
    found: dict[str, str] = {}
    for name in names:
        digest = manifest.files.get(name)
        if digest is not None and objects.size(digest) <= _MOST_REQUIREMENTS:
            text = package.verified(digest, objects).decode("utf-8", "replace")
            found |= {advisories.normal(one): told for one, told in _PIN.findall(text)}
    return found


def _evidence(
    ws: Workspace, version: Version, kind: str, passed: bool | None, found: str
) -> Evidence:
    return Evidence(
        id=new_id("ev"),
        kind=kind,
        subject=f"{version.model}/{version.number}",
        passed=passed,
        found=found[:1000],
        at=ws.clock.now(),
        by=ws.who.name,
    )
