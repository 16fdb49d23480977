"""Run a command that finds a folder of ours at ``/opt/ml``, and nobody else finds it there.

``python -I -S mounting.py FOLDER VIEW COMMAND...``: in a mount name space of its own, FOLDER is
bound to ``/opt/ml``, and then this process becomes the command. Where there is no ``/opt/ml``,
VIEW, an empty folder, becomes ``/opt`` with all that ``/opt`` has and ``ml`` beside it: the
machine itself is not touched. Who is not root is put into a user name space as who they are. It
needs Linux; it imports nothing of ours, for it runs in whatever environment the command does.

Source: unshare(2), mount(2), user_namespaces(7).
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_BIND, _REC, _PRIVATE = 0x1000, 0x4000, 1 << 18
_OPT = Path("/opt")
#: What is said where it cannot be; read by whoever began this.
CANNOT = "cannot bind /opt/ml"


def main(words: list[str]) -> None:
    """Bind the folder, then become the command.

    Raises:
        SystemExit: if it cannot be bound, saying why; with 127 if there is no such command.
    """
    folder, view, *command = words
    place = str(_OPT / "ml")
    here = str(Path.cwd()).replace(folder, place, 1)
    try:
        if sys.platform != "linux":
            raise OSError(f"{sys.platform} has no name spaces of mounts")

        apart()
        if not (_OPT / "ml").is_dir():
            _add(Path(view))
        _mount(folder, place, _BIND | _REC)
    except OSError as error:
        sys.exit(f"{CANNOT}: {error.strerror or error}")
    os.chdir(here)
    try:
        os.execvp(command[0], command)  # noqa: S606  it is the user's own program
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        os._exit(127)


def command_in(folder: Path, view: Path, command: Sequence[str]) -> list[str]:
    """Return the command that runs another one with ``folder`` at ``/opt/ml``."""
    # Alone, whatever it is that the step's environment holds: it imports nothing else.
    return [sys.executable, "-I", "-S", __file__, str(folder), str(view), *command]


def refusal() -> str:
    """Return why no folder can be at ``/opt/ml`` here; nothing if it can be, which is tried."""
    with tempfile.TemporaryDirectory(prefix="mainspring-opt-") as place:
        folder, view = Path(place, "ml"), Path(place, "view")
        folder.mkdir()
        view.mkdir()
        command = command_in(folder, view, ["true"])
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return "" if done.returncode == 0 else done.stderr.strip().removeprefix(f"{CANNOT}: ")


def apart() -> None:
    """Put this process into a mount name space of its own, from which nothing gets out.

    Raises:
        OSError: if the system does not let it.
    """
    user, group = os.getuid(), os.getgid()
    try:
        _unshare(_NEWNS)
    except PermissionError:
        try:
            _unshare(_NEWNS | _NEWUSER)
        except OSError as error:
            raise OSError(error.errno, "user name spaces are not allowed here") from error
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _mount("none", "/", _PRIVATE | _REC)


def _add(view: Path) -> None:
    """Make ``view`` what ``/opt`` is, with a folder ``ml``, and put it in its place."""
    for one in _OPT.iterdir():
        place = view / one.name
        if one.is_symlink():
            place.symlink_to(one.readlink())
            continue
        place.mkdir() if one.is_dir() else place.touch()
        _mount(str(one), str(place), _BIND | _REC)
    (view / "ml").mkdir()
    _mount(str(view), str(_OPT), _BIND | _REC)


def _unshare(flags: int) -> None:
    if _libc().unshare(flags) != 0:
        raise _said()


def _mount(source: str, target: str, flags: int) -> None:
    if _libc().mount(source.encode(), target.encode(), None, ctypes.c_ulong(flags), None) != 0:
        raise _said()


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _said() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1:])
