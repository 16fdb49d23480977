"""What a version is made of is written down whole, and its packages are compared with a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from homes import work_as_engine

from mainspring.ground.errors import BadInputError, ConflictError
from mainspring.ground.gates import Accepted
from mainspring.ground.objects import Signature, Version
from mainspring.ground.permissions import Permission
from mainspring.readiness import evidence, registry
from mainspring.web.api import call
from mainspring.workspace.opening import Workspace
from mainspring.workspace.proofs import parts

#: What ECMA-424 says of the objects we write: which keys there must be and which there may be.
MUST = {"bomFormat", "specVersion", "version", "serialNumber", "metadata", "components"}
COMPONENT = {"type", "bom-ref", "name", "version", "purl", "licenses", "hashes", "data",
             "modelCard", "properties", "supplier"}  # fmt: skip
TYPES = {"library", "platform", "data", "file", "machine-learning-model"}


def refs(document: dict[str, Any]) -> list[str]:
    own = [document["metadata"]["component"], *document["components"]]
    return [one["bom-ref"] for one in own]


def test_the_document_is_cyclonedx_of_all_parts(served: Workspace) -> None:
    answer = call(served, "proofs.sbom", model="tide", number=1)
    found = answer["document"]
    assert found.keys() >= MUST
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(
        r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found["serialNumber"]
    )
    every = [found["metadata"]["component"], *found["components"]]
    for one in every:
        assert one.keys() <= COMPONENT, one
        assert one["type"] in TYPES
        for told in one.get("hashes", []):
            assert told["alg"] == "SHA-256"
            assert re.fullmatch("[0-9a-f]{64}", told["content"])
        for told in one.get("licenses", []):
            assert set(told) <= {"expression", "license"}
    assert len(set(refs(found))) == len(refs(found))
    model = every[0]
    assert (model["name"], model["version"]) == ("tide", "1")
    assert model["modelCard"]["modelParameters"]["task"] == "binary classification"
    libraries = {one["name"]: one for one in every if one["type"] == "library"}
    assert libraries["numpy"]["purl"] == f"pkg:pypi/numpy@{libraries['numpy']['version']}"
    assert "licenses" in libraries["scikit-learn"]
    [tree] = [one for one in found["dependencies"] if one["ref"] == model["bom-ref"]]
    assert set(tree["dependsOn"]) <= set(refs(found))
    assert libraries["skops"]["bom-ref"] in tree["dependsOn"]
    assert "file:model.onnx" in tree["dependsOn"]
    kept = answer["evidence"]
    assert (kept["kind"], kept["subject"]) == ("sbom", "tide/1")
    digest = kept["opens"][0].removeprefix("artifact:")
    assert json.loads(served.objects.get(digest)) == found
    again = call(served, "proofs.sbom", model="tide", number=1)["document"]
    assert again["serialNumber"] == found["serialNumber"]


def file(ws: Workspace, name: str, fixed: str) -> str:
    events = [{"introduced": "0"}, {"fixed": fixed}]
    told = {
        "id": "GHSA-1",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": name},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
            }
        ],
    }
    return ws.objects.put(json.dumps(told).encode())


def test_packages_are_compared_with_a_file_and_what_was_accepted_may_stay(
    served: Workspace,
) -> None:
    old = file(served, "numpy", "0.1")
    assert call(served, "proofs.audit", model="tide", number=1, file=old)["passed"]
    bad = file(served, "NumPy", "999")
    found = call(served, "proofs.audit", model="tide", number=1, file=bad)
    assert (found["passed"], found["detail"]["counted"]) == (False, ["GHSA-1"])
    later = served.clock.now() + 100
    word = {"GHSA-1": Accepted(reason="We do not fall.", until=later)}
    assert parts.audit(served, "tide", 1, bad, accepted=word).passed
    kept = served.read(Permission.READ, lambda tx: evidence.listing(tx, "tide/1", "advisories"))
    assert [one.passed for one in kept] == [True, False, True]
    with pytest.raises(BadInputError, match="no advisory"):
        parts.audit(served, "tide", 1, served.objects.put(b"{}"))


def test_a_version_of_which_nothing_was_noted_is_refused(served: Workspace) -> None:
    from mainspring.ground.identity import canonical
    from mainspring.scaling.models.package import Manifest

    digest = served.objects.put(canonical(Manifest(format=1, files={})))

    def work(tx) -> None:
        signature = Signature(columns=[], kind="binary", target="y")
        told = {"run": None, "card": None, "metrics": {}, "created": 0.0, "by": "ada"}
        registry.register(
            tx, Version(model="bare", number=0, package=digest, signature=signature, **told)
        )

    work_as_engine(served, work)
    with pytest.raises(ConflictError, match="Nobody noted which packages bare/1"):
        parts.write_sbom(served, "bare", 1)


def test_a_gate_names_an_object_or_a_file_of_the_project_and_no_other(
    ws: Workspace, tmp_path: Path
) -> None:
    root = Path(ws.settings.root)
    root.mkdir(exist_ok=True)
    (root / "osv.json").write_text("{}")
    (tmp_path / "outside.json").write_text("{}")
    digest = parts.kept_file(ws, "osv.json")
    assert parts.kept_file(ws, digest) == digest
    for named in ("../outside.json", str(tmp_path / "outside.json"), "nothing.json", "."):
        with pytest.raises(BadInputError, match="no file of advisories"):
            parts.kept_file(ws, named)
