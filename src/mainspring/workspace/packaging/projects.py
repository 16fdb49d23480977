"""Write what an image of a pipeline is built from: the project's files and what they import."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.ground.environment import environment
from mainspring.ground.errors import BadInputError, ConflictError, TooLargeError
from mainspring.ground.identity import key_of, sha256
from mainspring.ground.version import __version__
from mainspring.pipelines.packaging import containerfile, pins
from mainspring.pipelines.packaging.containerfile import Image
from mainspring.readiness import sbom
from mainspring.workspace import calling
from mainspring.workspace.packaging import folders, telling
from mainspring.workspace.proofs import parts

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

PROJECT, HOME = "/opt/mainspring/project", "/var/lib/mainspring"
MOST_BYTES = 200 << 20  #: of a project; data belongs into a volume or a store
_ENTRY = ["python", "-m", "mainspring.cli.imaged"]
_NEVER = (".git", ".mainspring", ".venv", "__pycache__", "node_modules", "site-packages")
_SECRET = (".env", ".pem", ".key", ".p12", ".pypirc", ".netrc")
#: Of files that no commit dates: the first moment that archives of every kind can tell.
_UNDATED = 315_532_800.0


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """The build folder of a pipeline's image."""

    pipeline: str
    created: float
    files: dict[str, bytes]


def folder_of(ws: Workspace, pipeline: str, base: str | None = None) -> Project:
    """Return the build folder of the image that runs a pipeline of the project.

    The same files on the same commit, in the same environment, give the same bytes.

    Raises:
        BadInputError: if there is no such pipeline, or ``base`` is no image.
        TooLargeError: if the project's files are more than an image should carry.
        ConflictError: if nobody knows in which version something it imports is installed.
    """
    root = Path(ws.settings.root)
    target = _target(ws, pipeline)
    here = dict(environment())
    python = here.pop("python")
    kept = dict(_files(root, Path(ws.home)))
    roots = set(_required()) | set(_imported(kept))
    names = pins.closure(roots, python)
    pinned = pins.pinned(names, [here])
    base = containerfile.check_base(base or containerfile.default_base(python))
    commit, created = _commit(root)
    name = target.rpartition(":")[2].replace("_", "-")
    digest = key_of("project", {path: sha256(data) for path, data in kept.items()})
    image = Image(
        title=name,
        base=base,
        python=python,
        created=created,
        labels={
            **containerfile.labels_of({"pipeline": target, "project": f"sha256:{digest}"}),
            "org.opencontainers.image.description": f"Runs the pipeline {target}.",
            **({"org.opencontainers.image.revision": commit} if commit else {}),
        },
        copies={"project/": f"{PROJECT}/"},
        environ={"MAINSPRING_HOME": HOME, "MAINSPRING_PIPELINE": target},
        entry=_ENTRY,
        command=["run"],
        volumes=[HOME],
        folder=PROJECT,
    )
    packages = {**pinned, "mainspring": __version__, "python": python}
    document = sbom.of_image(
        name,
        digest,
        packages,
        {f"project/{path}": sha256(data) for path, data in kept.items()},
        parts.licences(pinned),
        created,
    )
    files = {
        folders.MARK: containerfile.containerfile(image).encode(),
        ".containerignore": containerfile.IGNORE.encode(),
        ".dockerignore": containerfile.IGNORE.encode(),
        "README.md": telling.of_pipeline(name, target, base, python, pinned, HOME).encode(),
        "sbom.cdx.json": json.dumps(document, indent=2, sort_keys=True).encode() + b"\n",
        **folders.packages(pinned, pins.locked(root / "uv.lock")),
        **{f"project/{path}": data for path, data in kept.items()},
    }
    return Project(pipeline=target, created=created, files=files)


def _target(ws: Workspace, pipeline: str) -> str:
    root = ws.settings.root
    found = calling.child(ws, "project", {"root": root}, root=root)["pipelines"]
    for one in found:
        if pipeline in (one["name"], one["target"]):
            return str(one["target"])
    names = ", ".join(one["name"] for one in found) or "none"
    raise BadInputError(
        f"The project has no pipeline {pipeline[:80]!r}; it has {names}.",
        field="pipeline",
        hint="A version is written MODEL/NUMBER or MODEL@ALIAS.",
    )


def _files(root: Path, home: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the project's files: those that git knows or would take, else all but hidden ones."""
    total = 0
    for path in sorted(_listed(root)):
        file = root / path
        parts_ = Path(path).parts
        aside = any(part in _NEVER for part in parts_) or parts_[0].startswith("image-")
        secret = file.name.startswith(".env") or file.suffix in _SECRET or file.name in _SECRET
        if aside or secret or file.is_symlink() or not file.is_file():
            continue
        if file.is_relative_to(home):
            continue
        data = file.read_bytes()
        total += len(data)
        if total > MOST_BYTES:
            raise TooLargeError(
                f"The project has more than {MOST_BYTES >> 20} MB of files, {path} among them.",
                field="pipeline",
                hint="Have git ignore what the image does not need; mount data as a volume.",
            )
        yield path, data


def _listed(root: Path) -> list[str]:
    told = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if told is not None:
        return [one for one in told.split("\0") if one]
    found = []
    for file in root.rglob("*"):
        path = file.relative_to(root)
        if file.is_file() and not any(part.startswith(".") for part in path.parts):
            found.append(path.as_posix())
    return found


def _commit(root: Path) -> tuple[str | None, float]:
    """Return the commit and its time; without one, a time that is always the same."""
    told = _git(root, "log", "-1", "--format=%H %ct")
    commit, _, at = (told or "").strip().partition(" ")
    return (commit, float(at)) if at else (None, _UNDATED)


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(root), *words],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def _required() -> set[str]:
    """Return what Mainspring itself requires, without its extras."""
    try:
        told = metadata.requires("mainspring") or []
    except metadata.PackageNotFoundError as error:
        raise ConflictError(
            "Mainspring is not installed here, so nobody knows what it requires.",
            field="packages",
            hint="Install it: pip install mainspring, or pip install --editable . in its sources.",
        ) from error
    return {pins.name_of(text) for text in told if "extra ==" not in text}


def _imported(files: Mapping[str, bytes]) -> set[str]:
    """Return the distributions that the project's own Python files import."""
    modules: set[str] = set()
    for path, data in files.items():
        if path.endswith(".py"):
            try:
                tree = ast.parse(data)
            except (SyntaxError, ValueError):
                continue  # whoever imports it is told; it may be a template
            modules |= set(_modules(tree))
    known = metadata.packages_distributions()
    found = {pins.normal(known[name][0]) for name in modules if name in known}
    return found - {"mainspring"}


def _modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]
