"""Where the keys that seal secrets come from: the environment, else a file beside the database.

The file is made on first need, readable by its owner alone. It holds a key a line in base64:
the first seals, the others only open what they sealed before a rotation.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
from pathlib import Path

from mainspring.backends.sealing import KEY_BYTES, Ring
from mainspring.ground.errors import SecretKeyError
from mainspring.ground.secrecy import hide
from mainspring.ground.settings import Settings

VARIABLE = "MAINSPRING_SECRET_KEY"
FILE = "secret.key"


def place(settings: Settings) -> Path:
    """Return the file that holds the keys where the environment does not."""
    named = settings.secret_key_file
    return Path(settings.root, named) if named else Path(settings.home, FILE)


def told() -> bool:
    """Return whether the environment gives the keys."""
    return bool(os.environ.get(VARIABLE, "").strip())


def found(settings: Settings) -> Ring | None:
    """Return the keys as they are now; None if there is none yet.

    Raises:
        SecretKeyError: if what should be a key is none, or may be read by others.
    """
    if told():
        text = os.environ[VARIABLE]
        return Ring(_read(text.replace(",", "\n"), VARIABLE), VARIABLE)
    file = place(settings)
    try:
        mode, text = file.stat().st_mode, file.read_text("ascii", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SecretKeyError(f"{file} cannot be read: {error.strerror}.") from error
    if mode & 0o077:
        raise SecretKeyError(
            f"{file} holds the key of the secrets and is open to other users.",
            hint=f"Close it: chmod 600 {file}",
        )
    return Ring(_read(text, str(file)), str(file))


def made(settings: Settings) -> Ring:
    """Return the keys, making the first if there is none; the first of several makers wins.

    Raises:
        SecretKeyError: as :func:`found`, or if a setting names a file that is not there.
    """
    there = found(settings)
    if there is not None:
        return there
    file = place(settings)
    if settings.secret_key_file:
        raise SecretKeyError(
            f"The setting secret_key_file names {file}, and there is no such file.",
            hint=f"Make it: (umask 077; openssl rand -base64 32 > {file})",
        )
    mine = _written(file, [secrets.token_bytes(32)])
    with contextlib.suppress(FileExistsError):
        os.link(mine, file)
    mine.unlink()
    _settle(file.parent)
    ring = found(settings)
    if ring is None:
        raise SecretKeyError(f"{file} was taken away while it was made.")
    return ring


def replace(settings: Settings, keys: list[bytes]) -> None:
    """Keep these keys instead of those there are, all or nothing."""
    file = place(settings)
    mine = _written(file, keys)
    mine.replace(file)
    _settle(file.parent)


def _written(file: Path, keys: list[bytes]) -> Path:
    mine = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    number = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(number, "wb") as to:
        to.write(b"".join(base64.b64encode(key) + b"\n" for key in keys))
        to.flush()
        os.fsync(to.fileno())
    return mine


def _settle(folder: Path) -> None:
    # A value must never be durable while its key is not.
    number = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _read(text: str, where: str) -> list[bytes]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        hide(line)
    try:
        found = [base64.b64decode(line, validate=True) for line in lines]
    except (binascii.Error, ValueError):
        found = []
    if not found or any(len(key) != KEY_BYTES for key in found):
        raise SecretKeyError(  # without what was found, which may be most of a key
            f"{where} does not hold a key: one has {KEY_BYTES} bytes, written in base64.",
            hint="Put back the key that was there. Where there was none, make one:"
            f" openssl rand -base64 {KEY_BYTES}",
        )
    return found
