"""Build Python environments once, in a cache, by uv or else by venv and pip.

An environment lies in a folder named by the digest of its lock. Its note ``DIGEST.json`` is
renamed into place when all of it is there: a folder without one was interrupted, and is built
again. Nothing is moved afterwards, since programs in an environment know its place. A lock file
lets one process build while others wait; an environment in which something is missing is built
again, and one that a running step may use is never changed.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from mainspring.ground import locks
from mainspring.ground.errors import BadInputError, ConflictError, UnavailableError
from mainspring.ground.identity import canonical, sha256
from mainspring.ground.locks import Asked, Lock

BUILD_S = 1800.0  #: a build that takes longer is ended
_SHOWN = 1500  # characters of a tool's words in an error
_USED_S = 60.0  # a note's time is renewed no more often than this

Cancelled = Callable[[], bool]


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """The note of an environment that was built."""

    digest: str
    python: str  #: path of its interpreter
    version: str  #: of Python, such as 3.12
    lines: list[str]
    came: str
    by: str  #: uv or pip
    seconds: float  #: that it took
    made: float  #: UTC seconds


def ready(lock: Lock, cache: Path, cancelled: Cancelled = lambda: False) -> Path:
    """Return the interpreter of an environment that has what a lock names; build it if need be.

    With a warm cache of uv's nothing is asked of the network.

    Raises:
        BadInputError: if its Python is not here or a package cannot be had; in the tool's words.
        ConflictError: if it is of another kind of machine.
        UnavailableError: if it is not built in time, or was cancelled.
    """
    if lock.machine != locks.machine():
        raise ConflictError(
            f"The environment is of {lock.machine}, and this is {locks.machine()}.", field="env"
        )
    return built(lock.digest, lock.python, lock.lines, lock.options, lock.came, cache, cancelled)


def built(
    digest: str,
    python: str,
    lines: Sequence[str],
    options: Sequence[str],
    came: str,
    cache: Path,
    cancelled: Cancelled = lambda: False,
    *,
    whole: bool = True,
) -> Path:
    """Return the interpreter of the environment of this name; build it if it is not there.

    ``whole`` says that the lines name all there is; else what they need comes with them.
    """
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(cache / f"{digest}.lock"):
        note = known(cache, digest)
        if note is not None and is_whole(note):
            _used(cache / f"{digest}.json")
            return Path(note.python)
        began = time.monotonic()
        folder = cache / digest
        _drop(cache, digest)
        where = folder / "bin" / "python"
        if python != locks.here() and whole:
            # Ours is of another Python and of no use there.
            names = {locks.name_of(line) for line in lines}
            lines = [*lines, *([] if "msgspec" in names else [locks.our_msgspec()])]
        tool = _build(folder, where, python, lines, options, cancelled, whole=whole)
        made = Built(
            digest=digest, python=str(where), version=python, lines=list(lines), came=came,
            by=tool, seconds=round(time.monotonic() - began, 3), made=time.time(),  # noqa: TID251
        )  # fmt: skip
        part = cache / f"{digest}.part"
        part.write_bytes(msgspec.json.encode(made))
        part.replace(cache / f"{digest}.json")
        return where


def known(cache: Path, digest: str) -> Built | None:
    """Return the note of an environment, or None if none was built."""
    try:
        return msgspec.json.decode((cache / f"{digest}.json").read_bytes(), type=Built)
    except (OSError, msgspec.MsgspecError):
        return None


def listed(cache: Path) -> list[tuple[Built, float]]:
    """Return every environment that was built, with the time of its last use, newest first."""
    found = []
    for file in cache.glob("*.json"):
        note = known(cache, file.stem)
        if note is not None and note.digest == file.stem:
            with suppress(OSError):
                found.append((note, file.stat().st_mtime))
    return sorted(found, key=lambda one: -one[1])


def size_of(note: Built) -> int:
    """Return the bytes of an environment's files; those that are shared by links count too."""
    folder = Path(note.python).parents[1]
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(place) / name).lstat().st_size
    return total


def is_whole(note: Built) -> bool:
    """Return whether an environment still has its Python and every package it was built of."""
    python = Path(note.python)
    if not python.exists():
        return False
    there = {
        locks.name_of(entry.name.removesuffix(".dist-info").rpartition("-")[0])
        for entry in python.parents[1].glob("lib/python*/site-packages/*.dist-info")
        if (entry / "RECORD").is_file()
    }
    needed = {locks.name_of(line) for line in note.lines if ";" not in line}
    return needed <= there


def release(python: Path) -> str | None:
    """Return the release of an environment's Python, such as 3.11.7; None if it does not say."""
    with suppress(OSError):
        for line in (python.parents[1] / "pyvenv.cfg").read_text("utf-8").splitlines():
            key, _, value = line.partition("=")
            if key.strip() in ("version", "version_info"):
                return ".".join(value.strip().split(".")[:3])
    return None


def remove(cache: Path, digest: str) -> bool:
    """Delete an environment; return whether there was one. It is built again when needed."""
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(cache / f"{digest}.lock"):
        there = (cache / digest).exists() or (cache / f"{digest}.json").exists()
        _drop(cache, digest)
    (cache / f"{digest}.lock").unlink(missing_ok=True)
    return there


def resolved(asked: Asked, root: Path, cache: Path, *, anew: bool = False) -> Lock:
    """Return the lock of what is asked for: the same one until it is asked for ``anew``.

    A tool resolves what is not exact yet, for the Python that is wanted; nothing is installed.

    Raises:
        BadInputError: if it cannot be resolved, or its Python is not here.
    """
    python = asked.python or locks.here()
    if asked.whole:
        return locks.of_lines(asked.lines, python=python, options=asked.options, came=asked.came)
    name = sha256(canonical([asked.lines, asked.options, python, locks.machine()]))
    file = cache / "locks" / f"{name}.json"
    if file.is_file() and not anew:
        with suppress(msgspec.MsgspecError):
            kept = msgspec.json.decode(file.read_bytes(), type=Lock)
            return msgspec.structs.replace(kept, came=asked.came)
    lines = _compiled(asked, python, root)
    lock = locks.of_lines(lines, python=python, options=asked.options, came=asked.came)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(msgspec.json.encode(lock))
    part.replace(file)
    return lock


def exported(file: Path, python: str | None) -> Asked:
    """Return what a project's ``uv.lock`` names, without the project itself.

    Raises:
        BadInputError: if uv is not here or does not take the file; in uv's words.
    """
    uv = _uv()
    if uv is None:
        raise BadInputError(
            "Only uv reads uv.lock, and it is not here.",
            field="env",
            hint="pip install 'mainspring[lock]', or name a pylock.toml or requirements.txt.",
        )
    command = [uv, "export", "--frozen", "--quiet", "--no-header", "--no-annotate"]
    command += ["--no-emit-project", "--no-emit-local", "--format", "requirements.txt"]
    text = _said(command, file.parent)
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    lines = [" ".join(line.split()) for line in lines if not line.startswith("#")]
    return Asked(lines=lines, python=python, came=file.name, whole=True)


def interpreter(version: str) -> str:
    """Return a Python of a version, such as 3.12, that is on this machine.

    Raises:
        BadInputError: if there is none; nothing is downloaded.
    """
    if version == locks.here():
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    ways = [shutil.which(f"python{version}"), _uv_finds(version)]
    for name in [*ways, *map(str, pyenv.glob(f"{version}.*/bin/python"))]:
        if name and _is_python(name, version):
            return name
    raise BadInputError(
        f"Python {version} is asked for, and it is not on this machine.",
        field="python",
        hint=f"Install python{version}, or: uv python install {version}",
    )


# ---------------------------------------------------------------- tools


def _uv() -> str | None:
    """Return uv: on the path, or beside our own Python (extra ``lock``)."""
    beside = Path(sys.executable).parent / "uv"
    return shutil.which("uv") or (str(beside) if os.access(beside, os.X_OK) else None)


def _uv_finds(version: str) -> str | None:
    uv = _uv()
    if uv is None:
        return None
    done = subprocess.run(  # noqa: S603  our tool, a checked version
        [uv, "python", "find", "--no-python-downloads", version],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout.strip() or None


def _is_python(program: str, version: str) -> bool:
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(  # noqa: S603  an interpreter
            [program, "-I", "-c", ask], capture_output=True, text=True, timeout=60, check=False
        )
    except OSError:
        return False
    return done.stdout.strip() == version


def _compiled(asked: Asked, python: str, root: Path) -> list[str]:
    """Return exact lines for what is asked, with the digests of their files."""
    if not asked.lines:
        return []
    program, uv = interpreter(python), _uv()
    text = "".join(f"{line}\n" for line in asked.lines)
    if uv is not None:
        command = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
        command += ["--generate-hashes", "--python", program, *asked.options, "-"]
        said = _said(command, root, text)
    else:
        said = _pip_report(asked, program, root)
    lines = said.replace("\\\n", " ").splitlines()
    return [" ".join(one.split()) for one in lines if one.strip() and one[0] not in "#-"]


def _pip_report(asked: Asked, program: str, root: Path) -> str:
    """Return what pip would install, with digests, as requirements."""
    with tempfile.TemporaryDirectory(prefix="mainspring-lock-") as folder:
        pip = _pip(Path(folder) / "venv", program)
        report = Path(folder) / "report.json"
        command = [*pip, "install", "--dry-run", "--ignore-installed", "--quiet", "--no-input"]
        _said([*command, "--report", str(report), *asked.options, *asked.lines], root)
        found = msgspec.json.decode(report.read_bytes())
    out = []
    for one in found["install"]:
        told = one["metadata"]
        digests = one["download_info"].get("archive_info", {}).get("hashes", {})
        more = f" --hash=sha256:{digests['sha256']}" if "sha256" in digests else ""
        out.append(f"{told['name']}=={told['version']}{more}")
    return "\n".join(out)


def _pip(folder: Path, program: str) -> list[str]:
    """Return how pip is called: our own where we have one, else that of a new environment."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "--python", program]
    _said([program, "-m", "venv", str(folder)], folder.parent)
    return [str(folder / "bin" / "python"), "-m", "pip", "--python", program]


def _build(
    folder: Path,
    python: Path,
    version: str,
    lines: Sequence[str],
    options: Sequence[str],
    cancelled: Cancelled,
    *,
    whole: bool,
) -> str:
    """Make the environment and install into it; return which tool did it."""
    program, uv = interpreter(version), _uv()
    log = folder.with_suffix(".log")
    log.write_bytes(b"")
    listed = folder.with_suffix(".txt")
    listed.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    more = [*options, *(["--no-deps"] if whole else [])]
    if uv is not None:
        make = [uv, "venv", "--quiet", "--no-python-downloads", "--python", program, str(folder)]
        install = [uv, "pip", "install", "--python", str(python), *more, "-r", str(listed)]
        # What is in uv's cache needs no network, and is there in milliseconds.
        ways = [[*install, "--offline"], install] if whole else [install]
    else:
        make = [program, "-m", "venv", "--without-pip", str(folder)]
        pip = _pip(folder.with_suffix(".pip"), str(python)) if lines else []
        pip = [*pip, "install", "--no-input", "--disable-pip-version-check"]
        ways = [[*pip, *more, "-r", str(listed)]]
    try:
        _run(make, log, cancelled, last=True)
        for way in ways if lines else []:
            if _run(way, log, cancelled, last=way is ways[-1]):
                break
    finally:
        shutil.rmtree(folder.with_suffix(".pip"), ignore_errors=True)
    return "uv" if uv is not None else "pip"


def _run(command: Sequence[str], log: Path, cancelled: Cancelled, *, last: bool) -> bool:
    """Run a tool to its end; return whether it did what it should, or raise if it is the last.

    Its words go into the log, and into the error.
    """
    with log.open("ab") as out:
        out.write(f"$ {' '.join(command)}\n".encode())
        out.flush()
        begun = out.tell()
        child = subprocess.Popen(  # noqa: S603  venv, pip or uv, with names that were parsed
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
        )
        status = _waited(child, cancelled)
    if status == 0 or not last:
        return status == 0
    told = log.read_bytes()[begun:].decode("utf-8", "replace").strip()
    raise _failed(told, f"The whole log is {log}.")


def _waited(child: subprocess.Popen[bytes], cancelled: Cancelled) -> int:
    end = time.monotonic() + BUILD_S
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return child.wait(0.2)
            late = time.monotonic() > end
            if late or cancelled():
                why = f"was not built within {BUILD_S:g} s" if late else "was cancelled"
                raise UnavailableError(f"The environment {why}.")
    finally:
        if child.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _said(command: Sequence[str], folder: Path, stdin: str = "") -> str:
    """Return what a tool wrote.

    Raises:
        BadInputError: in the tool's words.
    """
    try:
        done = subprocess.run(  # noqa: S603  venv, pip or uv, with names that were parsed
            command, cwd=folder, input=stdin, capture_output=True, text=True, timeout=BUILD_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"{Path(command[0]).name} took longer than {BUILD_S:g} s."
        ) from error
    if done.returncode:
        raise _failed(done.stderr.strip() or done.stdout.strip(), None)
    return done.stdout


def _failed(told: str, hint: str | None) -> BadInputError:
    short = told if len(told) <= _SHOWN else f"...{told[-_SHOWN:]}"
    return BadInputError(f"The environment cannot be built: {short}", field="env", hint=hint)


# ---------------------------------------------------------------- files


def _drop(cache: Path, digest: str) -> None:
    (cache / f"{digest}.json").unlink(missing_ok=True)  # first: without it, it is not one
    shutil.rmtree(cache / digest, ignore_errors=True)
    for kind in ("log", "txt", "part"):
        (cache / f"{digest}.{kind}").unlink(missing_ok=True)


def _used(note: Path) -> None:
    with suppress(OSError):
        if time.time() - note.stat().st_mtime > _USED_S:  # noqa: TID251  a file's own time
            os.utime(note)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Let one process at a time build an environment; the file may be gone by then."""
    while True:
        with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            try:
                same = os.fstat(held.fileno()).st_ino == file.stat().st_ino
            except FileNotFoundError:
                same = False
            if same:
                yield
                return
