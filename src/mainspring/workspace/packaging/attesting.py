"""Say who made a build folder, and of what: an in-toto statement with SLSA provenance, signed.

The home signs what it can make itself: the folder is made anew, and every file that is to be
signed must be the same, but for the hashes and wheels that whoever packaged it has put in.

Source: in-toto Statement v1, https://github.com/in-toto/attestation; SLSA provenance v1,
https://slsa.dev/spec/v1.0/provenance.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.backends.sealing import signing
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import canonical, sha256, sha256_file
from mainspring.ground.objects import Version
from mainspring.ground.version import __version__
from mainspring.pipelines.packaging import pins
from mainspring.workspace.packaging import folders, models, projects, telling
from mainspring.workspace.packaging.signed import Envelope, PublicKey

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

FILE = "provenance.dsse.json"  #: of a build folder; it goes into no image
KIND = "application/vnd.in-toto+json"
STATEMENT, PREDICATE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
BUILD = "urn:mainspring:package:1"  #: how the folder came to be
ASKED, SBOM = "requirements.txt", "sbom.cdx.json"
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def attest(
    ws: Workspace,
    what: Mapping[str, str],
    base: str | None,
    digests: Mapping[str, str],
    requirements: str,
) -> Envelope:
    """Return the signed statement on a build folder's files, of which the digests are told.

    ``what`` has ``reference`` (a version) or ``pipeline``, as the folder was asked for;
    ``requirements`` is the text of ``requirements.txt``.

    Raises:
        BadInputError: naming a file that is not what this home would have written.
        NotFoundError: if there is no such version or pipeline.
    """
    version: Version | None = None
    if "reference" in what:
        version, made = models.folder_of(ws, what["reference"], base)
    else:
        made = projects.folder_of(ws, what["pipeline"], base).files
    _check(made, digests, requirements.encode())
    told = statement(what, made, digests, version)
    return msgspec.convert(signing.sign(ws.home, KIND, canonical(told)), Envelope)


def key_of(ws: Workspace) -> PublicKey:
    """Return the key that checks what this home signs."""
    pem = signing.public_of(ws.home)
    return PublicKey(name=signing.name_of(pem), pem=pem)


def statement(
    what: Mapping[str, str],
    made: Mapping[str, bytes],
    digests: Mapping[str, str],
    version: Version | None,
) -> dict[str, Any]:
    """Return what is signed; it follows from the files and from what they were made of."""
    about = telling.read_back(made)
    base, _, digest = about["base"].partition("@")
    stands: dict[str, Any] = {"name": "base", "uri": f"docker://{base}"}
    of = [stands | ({"digest": {"sha256": digest.removeprefix("sha256:")}} if digest else {})]
    if version is not None:
        of += [
            {"name": f"{version.model}/{version.number}", "digest": {"sha256": version.package}},
            *(
                {"name": f"data:{name}", "digest": {"sha256": told}}
                for name, told in sorted(version.data.items())
            ),
        ]
        of += [{"name": "pipeline code", "digest": {"sha256": version.code}}] * bool(version.code)
    metadata = {"invocationId": version.run} if version is not None and version.run else {}
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": path, "digest": {"sha256": told}} for path, told in sorted(digests.items())
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": {**what, "base": about["base"]},
                "internalParameters": {"python": about["python"], "title": about["title"]},
                "resolvedDependencies": of,
            },
            "runDetails": {
                "builder": {"id": "urn:mainspring:home", "version": {"mainspring": __version__}},
                "metadata": metadata,
                "byproducts": [{"name": SBOM, "digest": {"sha256": digests[SBOM]}}],
            },
        },
    }


def _check(made: Mapping[str, bytes], digests: Mapping[str, str], requirements: bytes) -> None:
    """Refuse what this home would not have written itself."""
    told = {**made, ASKED: requirements}
    for path, data in told.items():
        if digests.get(path) != sha256(data):
            raise BadInputError(f"{path} is not what is packaged here.", field="files")
    if pins.versions(requirements.decode()) != pins.versions(made[ASKED].decode()):
        raise BadInputError(f"{ASKED} names other packages than it would here.", field="files")
    known = set(_HASH.findall(requirements.decode()))
    for path, digest in digests.items():
        wheel = path.startswith("wheels/") and path.endswith(".whl") and digest in known
        if path not in told and not wheel and path != folders.COMPLETE:
            raise BadInputError(f"{path[:200]!r} does not belong into it.", field="files")


def digests_of(folder: Path) -> dict[str, str]:
    """Return the digests of a build folder's files, its statement aside.

    What is neither a file nor a folder, such as a link, stands in it by what it is: what it leads
    to could be changed later, and is looked at by nobody.
    """
    return {
        file.relative_to(folder).as_posix(): _digest(file)
        for file in sorted(folder.rglob("*"))
        if file != folder / FILE and (file.is_symlink() or not file.is_dir())
    }


def _digest(file: Path) -> str:
    if file.is_symlink():
        return f"a link: {file.readlink()}"
    return sha256_file(file) if file.is_file() else "no file"


def text_of(envelope: Mapping[str, Any]) -> bytes:
    """Return the envelope as the file that lies beside the SBOM."""
    return json.dumps(envelope, indent=2, sort_keys=True).encode() + b"\n"
