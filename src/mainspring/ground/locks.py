"""Write down an environment so that it can be built again: exact packages, Python, machine.

A :class:`Lock` is a list of exact requirements, with the digests of their files where they are
known. It is made of what is installed, of a project's own lock file, or of requirements that a
tool has resolved (:mod:`mainspring.ground.venvs`).
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from mainspring.ground.environment import environment, environment_digest
from mainspring.ground.errors import BadInputError

OURS = "mainspring"  #: never fetched: an environment is given the one that runs
#: Lines of a requirements file that say where packages come from; all others are refused.
_WHERE = ("--find-links", "-f", "--index-url", "-i", "--extra-index-url", "--no-index", "--pre")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_EXACT = re.compile(rf"({_NAME.pattern})\s*(?:\[[^]]*\])?\s*===?\s*([^\s;*,]+)")
_DEPTH = 8  # of requirements files that name further ones


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """An environment as it can be built again."""

    python: str  #: such as 3.11
    machine: str  #: such as "Linux x86_64"
    lines: list[str]  #: exact requirements, by name; with ``--hash`` where files are known
    listing: dict[str, str]  #: distribution -> version, with "python" and "machine"
    options: list[str] = []  #: where packages come from, as pip and uv take it
    left: dict[str, str] = {}  #: what cannot be fetched again -> why, such as an editable one
    came: str = "installed"  #: what it was made of

    @property
    def digest(self) -> str:
        """Return the digest of the environment: the same packages have the same."""
        return environment_digest(self.listing)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment is asked to have, before anything is resolved."""

    lines: list[str]
    options: list[str] = []
    python: str | None = None  #: such as 3.12; None: the one that runs
    came: str = "requirements"
    whole: bool = False  #: the lines name all there is, exactly


def here() -> str:
    """Return the version of Python that runs, such as 3.11."""
    return "{}.{}".format(*sys.version_info[:2])


def machine() -> str:
    """Return what kind of machine this is, such as "Linux x86_64"."""
    return f"{platform.system()} {platform.machine()}"


def installed() -> Lock:
    """Return the environment of this process.

    What was not fetched from an index, such as a package installed for editing, is told apart.
    """
    listing = dict(environment())
    left: dict[str, str] = {}
    sources = _direct()
    lines = []
    for name, version in listing.items():
        if name in ("python", "machine"):
            continue
        told = sources.get(name)
        if name == OURS:
            left[name] = "the one that runs is taken"
        elif told is None:
            lines.append(f"{name}=={version}")
        elif told.startswith("git+"):
            lines.append(f"{name} @ {told}")
        else:
            left[name] = told
    return Lock(python=here(), machine=machine(), lines=lines, listing=listing, left=left)


def of_lines(lines: Sequence[str], *, python: str, options: Sequence[str] = (), came: str) -> Lock:
    """Return the lock of lines that name all there is, exactly.

    Raises:
        BadInputError: for a line that is not exact.
    """
    listing = {}
    kept = sorted({line for line in lines if name_of(line) != OURS}, key=str.lower)
    for line in kept:
        listing[name_of(line)] = _version(line)
    listing = dict(sorted(listing.items())) | {"python": python, "machine": machine()}
    return Lock(
        python=python, machine=machine(), lines=kept, listing=dict(sorted(listing.items())),
        options=list(options), came=came,
    )  # fmt: skip


def asked(env: str | Sequence[str], root: Path, python: str | None = None) -> Asked:
    """Return what a step's ``env`` asks for: requirements, or a file of the project.

    A file is ``requirements*.txt`` (or ``.in``) or ``pylock.toml``; what a ``uv.lock`` says is
    for uv alone to read (:func:`mainspring.ground.venvs.exported`).

    Raises:
        BadInputError: if the file is not there, is none of these, or a line cannot be read.
    """
    if not isinstance(env, str):
        lines, options = _parsed("\n".join(env), root, "env")
        return Asked(lines=lines, options=options, python=python, came="requirements")
    file = _inside(env, root)
    if file.name.startswith("pylock") and file.suffix == ".toml":
        return Asked(lines=_pylock(file), python=python, came=env, whole=True)
    if file.suffix not in (".txt", ".in"):
        raise BadInputError(
            f"env = {env!r} is no file of requirements.",
            field="env",
            hint="Name requirements.txt, pylock.toml or uv.lock, or list requirements.",
        )
    lines, options = _parsed(file.read_text("utf-8"), file.parent, env)
    whole = bool(lines) and all(_is_exact(line) and "--hash=" in line for line in lines)
    return Asked(lines=lines, options=options, python=python, came=env, whole=whole)


def name_of(line: str) -> str:
    """Return the name a requirement is of, as distributions are listed.

    >>> name_of("Foo_Bar[x]==1.0 --hash=sha256:ab")
    'foo-bar'
    """
    found = _NAME.match(line.strip())
    return re.sub(r"[-_.]+", "-", found.group()).lower() if found else ""


def path_of(url: str) -> Path:
    """Return the path that an address of a file or folder names.

    >>> path_of("file:///a%20b/c")
    PosixPath('/a b/c')
    """
    return Path(unquote(urlsplit(url).path))


def _direct() -> dict[str, str]:
    """Return where distributions came from that no index gave, by name."""
    found: dict[str, str] = {}
    for place in sys.path:
        for file in Path(place or ".").glob("*.dist-info/direct_url.json"):
            try:
                told = json.loads(file.read_text("utf-8"))
            except (OSError, ValueError):
                continue
            name = file.parent.name.removesuffix(".dist-info").rpartition("-")[0]
            found.setdefault(name.lower().replace("_", "-"), _told(told))
    return found


def _told(told: dict[str, Any]) -> str:
    url, vcs = str(told.get("url", "")), told.get("vcs_info", {})
    if vcs.get("vcs") == "git" and vcs.get("commit_id") and "@" not in url:
        inside = told.get("subdirectory")
        return f"git+{url}@{vcs['commit_id']}" + (f"#subdirectory={inside}" if inside else "")
    if told.get("dir_info", {}).get("editable"):
        return f"installed for editing from {url}"
    return f"installed from {re.sub(r'(?<=://)[^/@]+@', '', url)}"


def _inside(name: str, root: Path) -> Path:
    file = (root / name).resolve()
    if not file.is_file():
        raise BadInputError(f"There is no file {name!r} in {root}.", field="env")
    return file


def _parsed(text: str, folder: Path, named: str, depth: int = 0) -> tuple[list[str], list[str]]:
    """Return the requirements of a file, and its lines that say where packages come from."""
    lines: list[str] = []
    options: list[str] = []
    for raw in text.replace("\\\n", " ").splitlines():
        plain = re.sub(r"(^|\s)#.*$", "", raw).strip()
        word, _, rest = plain.replace("=", " ", 1).partition(" ") if plain.startswith("-") else ("", "", "")  # fmt: skip  # noqa: E501
        if not plain:
            continue
        if word in ("-r", "--requirement") and depth < _DEPTH:
            other = _inside(rest.strip(), folder)
            more = _parsed(other.read_text("utf-8"), other.parent, rest.strip(), depth + 1)
            lines += more[0]
            options += more[1]
        elif word in _WHERE:
            options += _where(word, rest.strip(), folder)
        elif plain.startswith("-") or not _NAME.match(plain):
            raise BadInputError(
                f"{named}: the line {plain[:100]!r} is no requirement.",
                field="env",
                hint=f"One package a line, such as pandas==2.3.0, or one of: {', '.join(_WHERE)}.",
            )
        else:
            lines.append(re.sub(r"\s+", " ", plain))
    return lines, options


def _where(word: str, value: str, folder: Path) -> list[str]:
    if re.search(r"://[^/\s]*@", value):
        raise BadInputError(
            f"{word} holds a name or password, which would be kept with the run.",
            field="env",
            hint="Put the address into UV_INDEX_URL (or PIP_INDEX_URL), or use a .netrc file.",
        )
    if word in ("--find-links", "-f") and "://" not in value:
        value = str((folder / value).resolve())
    long = {"-f": "--find-links", "-i": "--index-url"}.get(word, word)
    return [f"{long}={value}"] if value else [long]


def _pylock(file: Path) -> list[str]:
    """Return the lines of a ``pylock.toml`` (PEP 751)."""
    lines = []
    for package in _toml(file.read_text("utf-8"), file.name).get("packages", []):
        name, version = package.get("name"), package.get("version")
        vcs, marker = package.get("vcs"), package.get("marker")
        if vcs:
            line = f"{name} @ {vcs.get('type')}+{vcs.get('url')}@{vcs.get('commit-id')}"
        elif version and "directory" not in package:
            files = [*package.get("wheels", []), package.get("sdist", {})]
            digests = [one["hashes"]["sha256"] for one in files if one.get("hashes")]
            line = f"{name}=={version}"
            line += f" ; {marker}" if marker else ""
            line += "".join(f" --hash=sha256:{one}" for one in digests)
        else:
            raise BadInputError(
                f"{file.name}: {name} is a folder or an archive, which cannot be fetched again.",
                field="env",
            )
        lines.append(line)
    return lines


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"{name} is no TOML: {error}", field="env") from error


def _is_exact(line: str) -> bool:
    return _EXACT.match(line) is not None or "@" in line


def _version(line: str) -> str:
    found = _EXACT.match(line.strip())
    if found is not None:
        return found.group(2)
    _, at, url = line.partition("@")
    if not at:
        raise BadInputError(f"The requirement {line[:100]!r} is not exact.", field="env")
    return url.strip().partition(" ")[0]


def our_msgspec() -> str:
    """Return the requirement of the one package that our own code cannot do without."""
    return f"msgspec=={importlib.metadata.version('msgspec')}"
