"""A build folder is signed by the home that could have written it, and by nobody else."""

from __future__ import annotations

import base64
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mainspring.backends.sealing import signing
from mainspring.cli.start import main
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import sha256
from mainspring.web.api import call
from mainspring.workspace.opening import Workspace
from mainspring.workspace.packaging import attesting, folders, models, verifying

BASE = f"docker.io/library/python:3.11-slim-bookworm@sha256:{'a' * 64}"
NAMES = ["signature", "files", "model", "sbom"]


@pytest.fixture
def place(served: Workspace, tmp_path: Path) -> Path:
    """The signed build folder of tide/1."""
    folder = tmp_path / "image"
    _, files = models.folder_of(served, "tide/1", BASE)
    folders.write(files, folder)
    (folder / attesting.FILE).write_bytes(attesting.text_of(asked(served, folder)))
    return folder


def asked(ws: Workspace, folder: Path, **more: Any) -> dict[str, Any]:
    told = {
        "reference": "tide/1",
        "base": BASE,
        "files": attesting.digests_of(folder),
        "requirements": (folder / "requirements.txt").read_text(),
    }
    envelope: dict[str, Any] = msgspec.to_builtins(call(ws, "images.attest", **told | more))
    return envelope


def told_of(verdict: verifying.Verdict) -> dict[str, str]:
    return {one.name: one.found for one in verdict.checks if not one.ok}


def test_what_was_signed_is_told_in_slsas_words(served: Workspace, place: Path) -> None:
    envelope = json.loads((place / attesting.FILE).read_text())
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    told = json.loads(base64.b64decode(envelope["payload"]))
    assert told["_type"] == "https://in-toto.io/Statement/v1"
    assert told["predicateType"] == "https://slsa.dev/provenance/v1"
    subjects = {one["name"]: one["digest"]["sha256"] for one in told["subject"]}
    assert subjects["sbom.cdx.json"] == sha256((place / "sbom.cdx.json").read_bytes())
    build = told["predicate"]["buildDefinition"]
    assert build["externalParameters"] == {"reference": "tide/1", "base": BASE}
    of = {one["name"]: one["digest"]["sha256"] for one in build["resolvedDependencies"]}
    version = models.version_of(served, "tide/1")
    assert (of["base"], of["tide/1"]) == ("a" * 64, version.package)
    assert asked(served, place) == envelope, "the same folder is signed in the same words"


def test_a_folder_as_it_was_signed_is_right(served: Workspace, place: Path) -> None:
    verdict = verifying.folder(place, call(served, "images.key")["pem"])
    assert (verdict.ok, [one.name for one in verdict.checks]) == (True, NAMES)


def rewritten(name: str, change: Callable[[str], str]) -> Callable[[Path], object]:
    return lambda place: (place / name).write_text(change((place / name).read_text()))


def signed_anew(home: Path, place: Path) -> None:
    """Sign what is there now: what only its makers would do, and leaves the other checks."""
    envelope = json.loads((place / attesting.FILE).read_text())
    told = json.loads(base64.b64decode(envelope["payload"]))
    digests = attesting.digests_of(place)
    told["subject"] = [{"name": n, "digest": {"sha256": d}} for n, d in digests.items()]
    new = signing.sign(home, attesting.KIND, json.dumps(told).encode())
    (place / attesting.FILE).write_text(json.dumps(new))


#: What is done to a folder, which check says what of it, and whether it is signed anew then.
CASES: dict[str, tuple[Callable[[Path], object], tuple[str, str], bool]] = {
    "other": (rewritten("Containerfile", lambda t: t + "USER root\n"),
              ("files", "Containerfile is another"), False),
    "more": (lambda p: (p / "model" / "more.py").write_text("1"),
             ("files", "model/more.py is nowhere in what was signed"), False),
    "link": (lambda p: (p / "model" / "more").symlink_to("/srv"),
             ("files", "model/more is nowhere in what was signed"), False),
    "linked": (lambda p: ((p / "README.md").rename(p.with_name("elsewhere.md")),
                          (p / "README.md").symlink_to(p.with_name("elsewhere.md"))),
               ("files", "README.md is another"), False),
    "deep": (rewritten(attesting.FILE, lambda t: "[" * 200_000),
             ("signature", "It is no DSSE"), False),
    "less": (lambda p: (p / "README.md").unlink(), ("files", "README.md is missing"), False),
    "unsigned": (lambda p: (p / attesting.FILE).unlink(), ("signature", "there is no"), False),
    "empty": (rewritten(attesting.FILE, lambda t: "{}"), ("signature", "It is no DSSE"), False),
    "model": (rewritten("model/signature.json", lambda t: t + " "), ("model", "is not what"),
              True),
    "pins": (rewritten("requirements.txt", lambda t: t.replace("numpy==", "numpy==9")),
             ("sbom", "numpy is another"), True),
    "sbom": (rewritten("sbom.cdx.json", lambda t: "[]"), ("sbom", "it cannot be read"), True),
    "whose": (rewritten("model/version.json", lambda t: t.replace('"number":1', '"number":2')),
              ("model", "it is tide/2, and tide/1 was signed for"), True),
}  # fmt: skip


def test_what_is_not_as_it_was_signed_is_named(served: Workspace, place: Path) -> None:
    public = call(served, "images.key")["pem"]
    for name, (change, (check, told), resigned) in CASES.items():
        folder = place.with_name(name)
        shutil.copytree(place, folder)
        change(folder)
        if resigned:
            signed_anew(served.home, folder)
        verdict = verifying.folder(folder, public)
        assert not verdict.ok, name
        assert told in told_of(verdict).get(check, ""), (name, verdict)


def test_a_home_signs_nothing_that_it_would_not_have_written(
    served: Workspace, place: Path
) -> None:
    files, text = attesting.digests_of(place), (place / "requirements.txt").read_text()
    strange = sha256(b"strange")
    for told, words in (
        ({"files": files | {"Containerfile": strange}}, "Containerfile is not what is packaged"),
        ({"files": files | {"model/more.py": strange}}, "'model/more.py' does not belong"),
        ({"files": files | {"wheels/evil-1-py3-none-any.whl": strange}}, "does not belong"),
        ({"files": {k: v for k, v in files.items() if k != "README.md"}}, "README.md is not what"),
        ({"requirements": text + " "}, "requirements.txt is not what is packaged"),
        ({"reference": ""}, "Name a reference or a pipeline"),
        ({"pipeline": "project:train"}, "Name a reference or a pipeline"),
    ):
        with pytest.raises(BadInputError, match=words):
            asked(served, place, **told)
    other = text.replace("numpy==", "numpy==9")
    changed = files | {"requirements.txt": sha256(other.encode())}
    with pytest.raises(BadInputError, match="names other packages than it would here"):
        asked(served, place, files=changed, requirements=other)
    # Hashes and the wheels they name are for whoever packages it to find.
    hashed = text.replace("\n", f" --hash=sha256:{strange}\n", 1)
    changed = files | {"requirements.txt": sha256(hashed.encode())}
    changed |= {"wheels/found-1-py3-none-any.whl": strange}
    assert asked(served, place, files=changed, requirements=hashed)["signatures"]


def test_the_command_ends_with_1_where_something_is_another(
    served: Workspace, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(served.home)]
    assert main(["package", "verify", str(place), *home]) == 0
    assert f"{place} is what was signed" in capsys.readouterr().out
    key = tmp_path / "key.pem"
    assert main(["package", "key", "--out", str(key), *home]) == 0
    assert capsys.readouterr().out == key.read_text()
    (place / "README.md").write_text("other")
    assert main(["package", "verify", str(place), "--key", str(key), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
    assert main(["package", "verify", "tide:1", *home]) == 2
    assert main(["package", "verify", str(place), "--key", str(tmp_path / "none.pem")]) != 0


def layer(place: Path, name: str, files: dict[str, bytes]) -> Path:
    with tarfile.open(place / name, "w") as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return place / name


def test_an_image_holds_what_its_layers_add_and_take_away(tmp_path: Path) -> None:
    site = "opt/mainspring/python/lib/python3.11/site-packages"
    first = layer(
        tmp_path,
        "first",
        {
            "./opt/mainspring/model/a": b"a",
            "opt/mainspring/model/b": b"b",
            "opt/mainspring/models/c": b"c",
            f"{site}/Some_Name-1.2.dist-info/METADATA": b"",
            f"{site}/gone-1.dist-info/METADATA": b"",
        },
    )
    second = layer(
        tmp_path,
        "second",
        {
            "opt/mainspring/model/.wh.b": b"",
            "opt/mainspring/model/a": b"other",
            f"{site}/.wh.gone-1.dist-info": b"",
        },
    )
    held, packages = verifying._contents([first, second], ["/opt/mainspring/model/", "./"])
    assert held == {"/opt/mainspring/model/a": sha256(b"other")}
    assert packages == {"some-name": "1.2"}
    third = tmp_path / "third"
    with tarfile.open(third, "w") as tar:
        entry = tarfile.TarInfo("opt/mainspring")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/srv"
        tar.addfile(entry)
    held, _ = verifying._contents([first, third], ["/opt/mainspring/model/"])
    assert held == {"/opt/mainspring": "a link: /srv"}, "what is served then lies elsewhere"
