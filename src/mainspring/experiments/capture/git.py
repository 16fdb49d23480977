"""Know the code again: the commit, and what differs from it as one patch.

The patch holds new files too, and ``git apply --binary`` takes it on a fresh checkout. Neither
the index nor the objects of the repository are written to: git works on a copy of the index,
and new objects, if any, land in a temporary folder.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import msgspec

PATIENCE_S = 10.0  #: for all of git's work; it goes on beside the run, which does not wait
MAX_FILE_BYTES = 5_000_000  #: a larger file is named, not kept
MAX_NEW_BYTES = 20_000_000  #: of all new files
MAX_NEW_FILES = 1_000
MAX_PATCH_BYTES = 40_000_000
_MOST_LARGE = 200  #: changed files above the bound; more would not fit a command line

_SECRETS = (
    ".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.keystore", "id_rsa*",
    "id_ed25519*", "id_ecdsa*", ".netrc", ".pypirc", ".htpasswd", "credentials", "credentials.*",
    "secret*.json", "secret*.y*ml", "secret*.toml", "secret*.txt", "*.kubeconfig", "kaggle.json",
)  # fmt: skip
#: What says to git where and how to work; a hook that starts training sets these for itself.
_MEANT_FOR_OTHERS = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"}
    | {"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_NAMESPACE"}
    | {f"GIT_{kind}_PATHSPECS" for kind in ("LITERAL", "GLOB", "NOGLOB", "ICASE")}
)
MADE = frozenset({"__pycache__", ".ipynb_checkpoints", "node_modules", ".mainspring"})
_DIFF = (
    "diff", "--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-renames",
    "--no-color", "--unified=3", "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short",
    "--ignore-submodules=dirty",
)  # fmt: skip
_STATUS = (
    "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames",
    "--ignore-submodules=dirty",
)  # fmt: skip


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A changed or new file that the patch does not hold."""

    path: str  #: from the root of the repository
    size: int
    why: str


class GitState(msgspec.Struct, frozen=True, kw_only=True):
    """Where the code of a run stood."""

    root: str  #: folder of the working tree
    commit: str | None  #: None before the first commit
    branch: str | None  #: None on a detached HEAD
    remote: str | None  #: without credentials
    changed: list[str] = []  #: files that differ from the commit, from the root
    new: list[str] = []  #: files git does not know, and does not ignore
    left_out: list[LeftOut] = []

    @property
    def dirty(self) -> bool:
        """Return whether anything differs from the commit."""
        return bool(self.changed or self.new)


class CannotError(Exception):
    """Git's state could not be had; the text says why."""


def read(folder: Path, *, apart: Sequence[Path] = ()) -> tuple[GitState, bytes]:
    """Return the state of the repository around a folder, and its patch (empty if clean).

    ``apart`` are folders that are not the user's, such as the home.

    Raises:
        CannotError: saying why: no git, no repository, not in time.
    """
    git, git_dir, found = _asked(folder, apart)
    state, new, large = _state(git, found)
    if not found.changed and not new:
        return state, b""
    return state, _patch(git, git_dir, found, new, large)


def look(folder: Path, *, apart: Sequence[Path] = ()) -> GitState:
    """Return the state of the repository around a folder alone, for those who keep no patch.

    Raises:
        CannotError: as :func:`read`.
    """
    git, _, found = _asked(folder, apart)
    return _state(git, found)[0]


def _asked(folder: Path, apart: Sequence[Path]) -> tuple[_Git, Path, _Status]:
    if shutil.which("git") is None:
        raise CannotError("git is not installed")
    git = _Git(folder)
    root, git_dir = git.lines("rev-parse", "--show-toplevel", "--absolute-git-dir")
    git.folder = Path(root)
    inside = [_relative(one, git.folder) for one in apart]
    return git, Path(git_dir), _status(git, [one for one in inside if one])


def _state(git: _Git, found: _Status) -> tuple[GitState, list[str], list[str]]:
    """Return the state, the new files a patch holds, and the changed ones too large for it."""
    large = _too_large(git.folder, found.changed)
    new, more = keepable(git.folder, found.new)
    state = GitState(
        root=os.fspath(git.folder),
        commit=found.commit,
        branch=found.branch,
        remote=_remote(git, found.branch),
        changed=[_shown(one) for one in found.changed],
        new=[_shown(one) for one in new],
        left_out=[*large.values(), *more],
    )
    return state, new, list(large)


def ignored(folder: Path) -> list[str]:
    """Return the files and folders that git ignores, from the root, such as data.

    What programs make anew each time, and what is hidden, is left out.

    Raises:
        CannotError: as :func:`read`.
    """
    git = _Git(folder)
    git.folder = Path(git.lines("rev-parse", "--show-toplevel")[0])
    words = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
    found = []
    for one in os.fsdecode(git.bytes(*words)).split("\0"):
        path = PurePosixPath(one)
        hidden = any(part.startswith(".") or part in MADE for part in path.parts)
        made = one.endswith((".pyc", ".egg-info/")) or (git.folder / path / "pyvenv.cfg").is_file()
        if one and not hidden and not made:
            found.append(_shown(str(path)))
    return found[:_MOST_LARGE]


def ignores(folder: Path) -> bool:
    """Return whether the repository around a folder ignores all of it; False if there is none."""
    if (folder / ".git").exists() or shutil.which("git") is None:
        return False
    try:
        _Git(folder).bytes("check-ignore", "--quiet", ".")
    except CannotError:  # it ends with 1 where it does not
        return False
    return True


def without_credentials(url: str) -> str:
    """Return an address without user, password, query or fragment.

    >>> without_credentials("https://me:token@git.example/team/repo.git?key=1")
    'https://git.example/team/repo.git'
    >>> without_credentials("git@git.example:team/repo.git")
    'git@git.example:team/repo.git'
    """
    scheme, there, rest = url.partition("://")
    if not there:
        return url
    if scheme == "file":
        return url
    host, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


# ---------------------------------------------------------------- asking git


class _Git:
    """Runs git on a folder, all of it within the patience there is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.end = time.monotonic() + PATIENCE_S
        kept = {k: v for k, v in os.environ.items() if k not in _MEANT_FOR_OTHERS}
        # Without optional locks `git status` leaves the index as it is.
        self.env = kept | {
            "LC_ALL": "C",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
        }

    def bytes(
        self, *words: str, env: dict[str, str] | None = None, stdin: bytes | None = None
    ) -> bytes:
        with tempfile.TemporaryFile() as out:  # bounded by its size, not held in memory
            try:
                done = subprocess.run(  # noqa: S603  a fixed program, words never a shell's
                    ["git", "-C", os.fspath(self.folder), *words],  # noqa: S607  the user's git
                    env=self.env | (env or {}),
                    input=stdin,
                    stdin=subprocess.DEVNULL if stdin is None else None,
                    stdout=out,
                    stderr=subprocess.PIPE,
                    timeout=max(0.1, self.end - time.monotonic()),
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise CannotError(f"git {words[0]} took longer than {PATIENCE_S:g} s") from error
            except OSError as error:
                raise CannotError(f"git cannot be run: {error}") from error
            if done.returncode != 0:
                told = done.stderr.decode("utf-8", "replace").strip().splitlines()
                raise CannotError(_plainly(told[0] if told else "", words[0], self.folder))
            if out.tell() > MAX_PATCH_BYTES:
                size = out.tell() // 1_000_000
                raise CannotError(f"git {words[0]} gave {size:,} MB, which is too large to keep")
            out.seek(0)
            return out.read()

    def lines(self, *words: str) -> list[str]:
        return os.fsdecode(self.bytes(*words)).splitlines()


def _plainly(told: str, word: str, folder: Path) -> str:
    if "not a git repository" in told:
        return f"{folder} is in no git repository"
    if "must be run in a work tree" in told:
        return f"{folder} is in a git repository without a working tree"
    return f"git {word}: {told.removeprefix('fatal: ') or 'it failed'}"


# ---------------------------------------------------------------- what differs


class _Status(msgspec.Struct):
    commit: str | None = None
    branch: str | None = None
    changed: list[str] = []
    new: list[str] = []
    unmerged: bool = False


def _status(git: _Git, apart: Sequence[str]) -> _Status:
    spec = ["--", ".", *(f":(exclude,literal){one}" for one in apart)] if apart else []
    found = _Status()
    for entry in os.fsdecode(git.bytes(*_STATUS, *spec)).split("\0"):
        kind, _, rest = entry.partition(" ")
        if entry.startswith("# branch.oid ") and entry[13:] != "(initial)":
            found.commit = entry[13:]
        elif entry.startswith("# branch.head ") and entry[14:] != "(detached)":
            found.branch = entry[14:]
        elif kind == "1":
            found.changed.append(rest.split(" ", 7)[7])
        elif kind == "u":
            found.changed.append(rest.split(" ", 9)[9])
            found.unmerged = True
        elif kind == "?":
            found.new.append(rest)
    return found


def _too_large(root: Path, changed: Sequence[str]) -> dict[str, LeftOut]:
    sizes = {path: _size(root / path) or 0 for path in changed}
    return {
        path: LeftOut(path=_shown(path), size=size, why=_above(MAX_FILE_BYTES))
        for path, size in sizes.items()
        if size > MAX_FILE_BYTES
    }


def keepable(root: Path, new: Sequence[str]) -> tuple[list[str], list[LeftOut]]:
    """Return which new files the patch holds, and which not for what reason."""
    kept: list[str] = []
    left: list[LeftOut] = []
    total = 0
    environments: dict[str, bool] = {}
    for path in new:
        if _is_made(root, path, environments):
            continue
        size = _size(root / path)
        if size is None:
            why = "a repository inside this one, or no plain file"
        elif any(fnmatch.fnmatch(PurePosixPath(path).name.lower(), one) for one in _SECRETS):
            why = "its name says it may hold a secret"
        elif size > MAX_FILE_BYTES:
            why = _above(MAX_FILE_BYTES)
        elif total + size > MAX_NEW_BYTES or len(kept) >= MAX_NEW_FILES:
            why = f"above {MAX_NEW_BYTES // 1_000_000} MB or {MAX_NEW_FILES:,} new files in all"
        else:
            total += size
            kept.append(path)
            continue
        left.append(LeftOut(path=_shown(path), size=size or 0, why=why))
    return kept, left[:MAX_NEW_FILES]


def _is_made(root: Path, path: str, environments: dict[str, bool]) -> bool:
    """Return whether a program made this file anew each time: byte code, an environment."""
    folders = PurePosixPath(path).parts[:-1]
    if MADE.intersection(folders):
        return True
    if not folders:
        return False
    top = folders[0]
    if top not in environments:
        environments[top] = (root / top / "pyvenv.cfg").is_file()
    return environments[top]


def _size(path: Path) -> int | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    plain = stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)
    return found.st_size if plain else None


# ---------------------------------------------------------------- the patch


def _patch(
    git: _Git, git_dir: Path, found: _Status, new: Sequence[str], without: Sequence[str]
) -> bytes:
    if len(without) > _MOST_LARGE:
        raise CannotError(f"{len(without)} changed files are too large to keep")
    commit = found.commit or git.lines("hash-object", "-t", "tree", os.devnull)[0]
    with tempfile.TemporaryDirectory(prefix="mainspring-git-") as folder:
        apart = _apart(git, git_dir, Path(folder))
        if found.unmerged:  # a conflict cannot be compared; begin with the commit's own index
            Path(apart["GIT_INDEX_FILE"]).unlink(missing_ok=True)
            git.bytes("read-tree", commit, env=apart)
        if new:
            # Intent to add: git then sees the files as new, without keeping their content.
            names = b"\0".join(os.fsencode(one) for one in new)
            words = ("add", "--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul")
            git.bytes(*words, env=apart | {"GIT_LITERAL_PATHSPECS": "1"}, stdin=names)
        spec = [f":(exclude,literal){one}" for one in without]
        return git.bytes(*_DIFF, commit, *(["--", ".", *spec] if spec else []), env=apart)


def _apart(git: _Git, git_dir: Path, folder: Path) -> dict[str, str]:
    """Return an environment in which git reads the repository and writes only to ``folder``."""
    index = folder / "index"
    if (git_dir / "index").is_file():
        shutil.copy2(git_dir / "index", index)
    objects = git.lines("rev-parse", "--path-format=absolute", "--git-path", "objects")[0]
    (folder / "objects").mkdir()
    return {
        "GIT_INDEX_FILE": os.fspath(index),
        "GIT_OBJECT_DIRECTORY": os.fspath(folder / "objects"),
        # Quoted, since a colon parts the entries of this list.
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": '"' + re.sub(r'(["\\])', r"\\\1", objects) + '"',
    }


# ---------------------------------------------------------------- parts


def _remote(git: _Git, branch: str | None) -> str | None:
    """Return where the branch comes from, else ``origin``, else the first remote there is."""
    try:
        told = os.fsdecode(git.bytes("config", "-z", "--get-regexp", r"^(remote|branch)\."))
    except CannotError:  # git exits with 1 when nothing matches
        return None
    pairs = [one.partition("\n")[::2] for one in told.split("\0") if one]
    known = dict(pairs)
    urls = [key[7:-4] for key, _ in pairs if key.startswith("remote.") and key.endswith(".url")]
    for name in (known.get(f"branch.{branch}.remote"), "origin", *urls):
        url = known.get(f"remote.{name}.url")
        if url:
            return without_credentials(url)
    return None


def _relative(folder: Path, root: Path) -> str | None:
    try:
        found = folder.resolve().relative_to(root.resolve())
    except ValueError:
        return None
    return found.as_posix() if found.parts else None


def _above(size: int) -> str:
    return f"larger than {size // 1_000_000} MB"


def _shown(path: str) -> str:
    """Return a path as text that JSON can hold; bytes that are no UTF-8 become question marks."""
    return path.encode("utf-8", "replace").decode()
