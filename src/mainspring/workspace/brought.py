"""Keep the packages that no index has, so that a run can be made again without them installed.

A package installed for editing is code like the project's: its commit and what differs from it,
or its own files where no repository has them, and its compiled parts as they are. Any other,
installed from a folder, a file or an address, is packed as a wheel of what is installed. Both
are named in what the run keeps of its code (:mod:`mainspring.workspace.captured`), so they live
and move as the run does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from mainspring.experiments.capture import files, git
from mainspring.experiments.capture.git import GitState, LeftOut
from mainspring.ground import locks, repacking
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import canonical, sha256, sha256_file
from mainspring.ground.sizes import size

if TYPE_CHECKING:
    from mainspring.ground.ports import Objects

_COMPILED = (".so", ".pyd", ".dylib")
MOST_COMPILED = 50 << 20  #: bytes of them in one package
_TEXTS = ("METADATA", "entry_points.txt", "top_level.txt", "WHEEL")


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """A working tree as it was: of a repository, or file by file."""

    root: str  #: its folder
    folder: str = "."  #: the same from the repository's root
    git: GitState | None = None
    files: dict[str, str] = {}  #: path -> digest, where no repository has them
    programs: list[str] = []  #: which of the files may be executed
    left_out: list[LeftOut] = []


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A package that no index has."""

    version: str
    came: str  #: where it was installed from, in words
    wheel: str | None = None  #: digest of the wheel that was packed of it
    file: str = ""  #: the name of that wheel
    sources: Sources | None = None  #: of one installed for editing
    patch: str | None = None  #: digest of what differs from the commit
    paths: list[str] = []  #: folders that are imported from, from the root of its sources
    #: Its compiled parts, from the root of its sources -> digest; for this Python and machine.
    compiled: dict[str, str] = {}
    texts: dict[str, str] = {}  #: what its installation says of it: name of the file -> text
    why: str = ""  #: it could not be kept


class _Read(NamedTuple):
    sources: Sources
    patch: bytes


def taken(left: Mapping[str, str], versions: Mapping[str, str], objects: Objects, cache: Path) -> dict[str, Package]:  # noqa: E501  # fmt: skip
    """Keep each package that no index has, by name; ``left`` says where each came from.

    ``cache`` is a folder for what is known of packages that do not change. Nothing is raised
    for a package that cannot be kept: it says why.
    """
    found = {}
    for name, came in left.items():
        if name == locks.OURS:
            continue
        one = Package(version=versions.get(name, ""), came=came)
        info = repacking.info_of(name)
        try:
            if info is None:
                raise BadInputError("it is not to be found")
            found[name] = _editable(one, info, objects) or _packed(one, info, objects, cache)
        except (BadInputError, git.CannotError, OSError, ValueError) as error:
            found[name] = msgspec.structs.replace(one, why=str(error)[:200])
    return found


def is_same(was: Package, name: str) -> bool:
    """Return whether a package is installed here exactly as it was; nothing is written."""
    info = repacking.info_of(name)
    if info is None or was.why:
        return False
    try:
        if was.sources is None:
            return was.wheel is not None and sha256(repacking.wheel(info)[1]) == was.wheel
        now = _read(info)
        return now is not None and _is_same_tree(was, was.sources, now)
    except (BadInputError, git.CannotError, OSError, ValueError):
        return False


def _is_same_tree(was: Package, old: Sources, now: _Read) -> bool:
    top = Path(now.sources.git.root if now.sources.git else now.sources.root)
    if {path: sha256_file(top / path) for path in _compiled(was.paths, top)} != was.compiled:
        return False
    if now.sources.git is None or old.git is None:
        return now.sources.git is old.git and _digests(now.sources) == old.files
    patch = sha256(now.patch) if now.patch else None
    return now.sources.git.commit == old.git.commit and patch == was.patch


def _editable(one: Package, info: Path, objects: Objects) -> Package | None:
    """Return a package that is installed for editing, its code kept; None if it is not."""
    now = _read(info)
    if now is None:
        return None
    top = Path(now.sources.git.root if now.sources.git else now.sources.root)
    places = [Path(each) for each in imported_from(info)]
    if not places or not all(each.is_relative_to(top) for each in places):
        raise BadInputError("where it is imported from cannot be told")
    compiled = _compiled([each.relative_to(top).as_posix() for each in places], top)
    kept = {
        path: objects.put((Path(now.sources.root) / path).read_bytes())
        for path in now.sources.files
    }
    return msgspec.structs.replace(
        one,
        sources=msgspec.structs.replace(now.sources, files=kept),
        patch=objects.put(now.patch) if now.patch else None,
        paths=[each.relative_to(top).as_posix() for each in places],
        compiled={path: objects.put((top / path).read_bytes()) for path in compiled},
        texts={
            name: (info / name).read_text("utf-8") for name in _TEXTS if (info / name).is_file()
        },
    )


def _read(info: Path) -> _Read | None:
    """Return the sources of a package that is installed for editing."""
    told = msgspec.json.decode((info / "direct_url.json").read_bytes())
    url = str(told.get("url", ""))
    if not told.get("dir_info", {}).get("editable") or not url.startswith("file://"):
        return None
    root = locks.path_of(url)
    try:
        if not git.ignores(root):
            state, patch = git.read(root)
            inside = root.resolve().relative_to(Path(state.root).resolve()).as_posix()
            return _Read(Sources(root=os.fspath(root), folder=inside, git=state), patch)
    except git.CannotError as error:
        if "in no git repository" not in str(error):
            raise
    kept, left = files.read(root)
    programs = [path for path in kept if os.access(root / path, os.X_OK)]
    found = Sources(
        root=os.fspath(root), files=dict.fromkeys(kept, ""), programs=programs, left_out=left
    )
    return _Read(found, b"")


def _digests(sources: Sources) -> dict[str, str]:
    return {path: sha256((Path(sources.root) / path).read_bytes()) for path in sources.files}


def imported_from(info: Path) -> list[str]:
    """Return the folders that an editable package is imported from.

    They stand in the ``.pth`` file it was installed with, or in the finder of setuptools.
    """
    found: list[str] = []
    for path in repacking.paths(info):
        file = info.parent / path
        if path.endswith(".pth") and file.is_file():
            lines = file.read_text("utf-8").splitlines()
            found += [line for line in lines if line and Path(line).is_dir()]
        elif path.startswith("__editable__") and path.endswith("_finder.py"):
            found += _mapped(file.read_text("utf-8"))
    return list(dict.fromkeys(found))


def _mapped(text: str) -> Iterator[str]:
    """Yield the folders above the packages that a finder of setuptools maps."""
    import ast

    for node in ast.parse(text).body:
        names = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        value = getattr(node, "value", None)
        if [getattr(one, "id", "") for one in names] == ["MAPPING"] and value is not None:
            for name, place in ast.literal_eval(value).items():
                yield os.fspath(Path(place).parents[name.count(".")])


def _compiled(paths: Sequence[str], top: Path) -> list[str]:
    """Return the compiled parts below folders of a working tree, from its root.

    Raises:
        BadInputError: if they are more than is kept of one package.
    """
    found, total = set(), 0
    for path in paths:
        for place, folders, names in os.walk(top / path):
            folders[:] = [
                one for one in folders if not one.startswith(".") and one not in git.MADE
            ]
            folders[:] = [one for one in folders if not Path(place, one, "pyvenv.cfg").is_file()]
            for file in (Path(place, one) for one in names if one.endswith(_COMPILED)):
                found.add(file.relative_to(top).as_posix())
                total += file.stat().st_size
    if total > MOST_COMPILED:
        raise BadInputError(
            f"it has compiled parts of {size(total)}, and {size(MOST_COMPILED)} are kept at most"
        )
    return sorted(found)


def _packed(one: Package, info: Path, objects: Objects, cache: Path) -> Package:
    """Return a package as a wheel of what is installed, packed once for each installation."""
    known = cache / f"{sha256((info / 'RECORD').read_bytes())}.json"
    if known.is_file():
        name, digest = msgspec.json.decode(known.read_bytes(), type=tuple[str, str])
        if objects.renew(digest):
            return msgspec.structs.replace(one, wheel=digest, file=name)
    name, data = repacking.wheel(info)
    digest = objects.put(data)
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = known.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(canonical([name, digest]))
    part.replace(known)
    return msgspec.structs.replace(one, wheel=digest, file=name)
