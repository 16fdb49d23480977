"""Check a build folder, or an image that was built from one, against what was signed.

1. The statement is signed by the key that is asked for; nothing else of it is read before.
2. Every file of the folder is what the statement says, and there is no other.
3. What is served is the version that the statement names, file by file.
4. The SBOM tells of those packages and files, and of no others.
5. Of an image: its labels, user and commands, the files that were copied into it, and the
   distributions in it. Its base and the inside of distributions are not looked at: build the
   folder again for that, and compare the ids.
"""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from mainspring.backends.sealing import signing
from mainspring.ground.errors import BadInputError, MainspringError
from mainspring.ground.identity import sha256, sha256_file
from mainspring.pipelines.packaging import pins
from mainspring.scaling.serving import packaged
from mainspring.workspace.packaging import attesting
from mainspring.workspace.packaging.settling import said

_COPY = re.compile(r"^COPY (?!--)(\S+) (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'^LABEL (\S+)="(.*)"$', re.MULTILINE)
_INSTALLED = re.compile(
    r"opt/mainspring/python/lib/[^/]+/site-packages/([^/]+)\.dist-info/METADATA"
)
_TOLD = 3


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; ``ok`` if all is as it was signed."""

    what: str
    ok: bool
    key: str  #: the name of the key that signed it, or that was asked for
    checks: list[Check]


def folder(place: Path, public: str) -> Verdict:
    """Check a build folder against its statement, signed by the owner of a public key.

    Raises:
        BadInputError: if ``public`` is no key.
    """
    return _verdict(place, public, list(_of_folder(place, public)))


def image(name: str, place: Path, public: str, tool: str) -> Verdict:
    """Check an image against the folder it was built from, and that against its statement.

    Raises:
        BadInputError: if ``public`` is no key.
        MainspringError: if the tool has no such image.
    """
    checks = list(_of_folder(place, public))
    if all(one.ok for one in checks):  # else nothing can be said of what stands on it
        checks += _of_image(name, place, tool)
    return msgspec.structs.replace(_verdict(place, public, checks), what=name)


def _verdict(place: Path, public: str, checks: list[Check]) -> Verdict:
    ok = all(one.ok for one in checks)
    return Verdict(what=str(place), ok=ok, key=signing.name_of(public), checks=checks)


def _of_folder(place: Path, public: str) -> Iterator[Check]:
    name = signing.name_of(public)
    try:
        body = signing.opened((place / attesting.FILE).read_bytes(), attesting.KIND, public)
        told = json.loads(body)
        subjects = {one["name"]: one["digest"]["sha256"] for one in told["subject"]}
        of = {
            one["name"]: one.get("digest", {}).get("sha256", "")
            for one in told["predicate"]["buildDefinition"]["resolvedDependencies"]
        }
        title = told["predicate"]["buildDefinition"]["internalParameters"]["title"]
    except FileNotFoundError:
        yield Check(name="signature", ok=False, found=f"there is no {place / attesting.FILE}")
        return
    except BadInputError as error:
        yield Check(name="signature", ok=False, found=error.message)
        return
    except (ValueError, KeyError, TypeError) as error:
        yield Check(name="signature", ok=False, found=f"it is no statement of ours: {error!r}")
        return
    yield Check(name="signature", ok=True, found=f"signed by {name[:19]}")
    yield _same("files", subjects, attesting.digests_of(place))
    if (place / "model" / packaged.VERSION).is_file():
        yield _model(place, title, of)
    yield _sbom(place, subjects)


def _model(place: Path, title: str, of: Mapping[str, str]) -> Check:
    """Check that what is served is the version that was signed for."""
    try:
        held = packaged.Folder(place / "model")
    except (MainspringError, msgspec.DecodeError) as error:
        return Check(name="model", ok=False, found=str(error))
    named = f"{held.packed.model}/{held.packed.number}"
    if (named, held.packed.package) != (title, of.get(title)):
        return Check(name="model", ok=False, found=f"it is {named}, and {title} was signed for")
    return Check(name="model", ok=True, found=f"{named}, package {held.packed.package[:12]}")


def _sbom(place: Path, subjects: Mapping[str, str]) -> Check:
    """Check that the SBOM tells of what is there: each package by version, each file by digest."""
    try:
        told = json.loads((place / attesting.SBOM).read_bytes())
        parts = told["components"]
        libraries = {one["name"]: one["version"] for one in parts if one["type"] == "library"}
        files = {
            one["name"]: one["hashes"][0]["content"] for one in parts if one["type"] == "file"
        }
        wanted = pins.versions((place / attesting.ASKED).read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        return Check(name="sbom", ok=False, found=f"it cannot be read: {error!r}")
    libraries.pop("mainspring", None)  # its wheel lies there, and is among the files
    packages = _same("sbom", wanted, libraries)
    if not packages.ok:
        return packages
    # A model's files are named from its own folder, a project's from the build folder.
    held = {path: subjects.get(f"model/{path}") or subjects.get(path, "") for path in files}
    same = _same("sbom", {path: digest for path, digest in held.items() if digest}, files)
    words = f"{len(libraries) + 1} packages, {len(files)} files, as they are"
    return msgspec.structs.replace(same, found=words) if same.ok else same


def _of_image(name: str, place: Path, tool: str) -> Iterator[Check]:
    text = (place / "Containerfile").read_text("utf-8")
    with tempfile.TemporaryDirectory(prefix="mainspring-verify-") as temporary:
        config, layers = _saved(name, tool, Path(temporary))
        held, installed = _contents(layers, [target for _, target in _COPY.findall(text)])
    own = config.get("config") or {}
    labels = {key: re.sub(r"\\(.)", r"\1", value) for key, value in _LABEL.findall(text)}
    found = {key: value for key, value in (own.get("Labels") or {}).items() if key in labels}
    yield _same("labels", labels, found)
    wanted = {word: _last(text, word) for word in ("USER", "ENTRYPOINT", "CMD")}
    begun = {"USER": own.get("User"), "ENTRYPOINT": own.get("Entrypoint"), "CMD": own.get("Cmd")}
    yield _same("what it begins", wanted, begun)
    yield _same("its files", dict(_copied(text, place)), held)
    packages = pins.versions((place / attesting.ASKED).read_text("utf-8"))
    installed.pop("mainspring", None)
    yield _same("its packages", packages, installed)


def _copied(text: str, place: Path) -> Iterator[tuple[str, str]]:
    """Yield the files that a Containerfile copies, by their path in the image, with digests."""
    for source, target in _COPY.findall(text):
        if not target.startswith("/"):  # into the stage that is thrown away
            continue
        whole = place / source
        for file in sorted(whole.rglob("*")) if whole.is_dir() else [whole]:
            if file.is_file():
                inner = file.relative_to(whole) if whole.is_dir() else Path()
                yield (PurePosixPath(target) / inner.as_posix()).as_posix(), sha256_file(file)


def _last(text: str, word: str) -> Any:
    told = [line.partition(" ")[2] for line in text.splitlines() if line.startswith(f"{word} ")]
    return json.loads(told[-1]) if told[-1].startswith("[") else told[-1]


def _saved(name: str, tool: str, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    """Write an image's configuration and layers into a folder; return them, lowest first."""
    if tool == "docker":
        said(tool, "save", "--output", str(folder / "image.tar"), name)
        with tarfile.open(folder / "image.tar") as tar:
            tar.extractall(folder / "image", filter="data")
        told = json.loads((folder / "image" / "manifest.json").read_bytes())[0]
        config = json.loads((folder / "image" / told["Config"]).read_bytes())
        return config, [folder / "image" / one for one in told["Layers"]]
    if tool == "buildah":
        said(tool, "push", "--quiet", "--format=v2s2", name, f"dir:{folder}")
    else:
        said(tool, "save", "--quiet", "--format", "docker-dir", "--output", str(folder), name)
    told = json.loads((folder / "manifest.json").read_bytes())
    named = [one["digest"].removeprefix("sha256:") for one in (told["config"], *told["layers"])]
    return json.loads((folder / named[0]).read_bytes()), [folder / one for one in named[1:]]


def _contents(layers: list[Path], targets: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the digests of the files below some paths of an image, and its distributions."""
    places = [target.strip("/") for target in targets if target.startswith("/")]
    held: dict[str, str] = {}
    names: set[str] = set()
    for layer in layers:
        with tarfile.open(layer, "r|*") as tar:
            for entry in tar:
                path = PurePosixPath(entry.name.lstrip("./")).as_posix()
                if (gone := _taken_away(path)) is not None:
                    held = {one: told for one, told in held.items() if not _below(one, gone)}
                    names = {one for one in names if not _below(one, gone)}
                elif _INSTALLED.fullmatch(path):
                    names.add(path)
                elif entry.isdir():
                    held.pop(path, None)
                elif any(_below(path, one) or _within(one, path) for one in places):
                    # In the place of a folder it is in that of all that was in it.
                    held = {one: told for one, told in held.items() if not _within(one, path)}
                    inside = tar.extractfile(entry) if entry.isreg() else None
                    held[path] = sha256(inside.read()) if inside else f"a link: {entry.linkname}"
    packages = dict(found[1].split("-", 1) for one in names if (found := _INSTALLED.match(one)))
    return (
        {f"/{path}": told for path, told in held.items()},
        {pins.normal(name): version for name, version in packages.items()},
    )


def _taken_away(path: str) -> str | None:
    """Return what a layer says is not there any more."""
    above, _, name = path.rpartition("/")
    if name == ".wh..wh..opq":
        return above
    return f"{above}/{name[4:]}" if name.startswith(".wh.") else None


def _below(path: str, folder: str) -> bool:
    return path == folder or _within(path, folder)


def _within(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")


def _same(name: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Check:
    """Return whether two tables say the same, else which names they differ in."""
    told = [
        *(f"{one} is missing" for one in wanted if one not in found),
        *(f"{one} is nowhere in what was signed" for one in found if one not in wanted),
        *(f"{one} is another" for one in wanted if one in found and found[one] != wanted[one]),
    ]
    if not told:
        return Check(name=name, ok=True, found=f"{len(wanted)}, as they were signed")
    more = f", and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return Check(name=name, ok=False, found=f"{', '.join(sorted(told)[:_TOLD])}{more}"[:1000])
