"""Seal a text so that only who holds the key can read it, or change it unseen.

AES-256-GCM, with a fresh random nonce of 96 bits for each value, and the place where the value
lies as associated data: a sealed value that is moved to another row does not open. What is kept
is text, ``sealed:1:KEYID:BASE64``; the key's id says which key it takes without saying the key.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence

from mainspring.ground.errors import DamagedError, SecretKeyError
from mainspring.ground.identity import sha256

KEY_BYTES = 32
_MARK = "sealed:1:"
_NONCE_BYTES = 12  # NIST SP 800-38D, section 8.2.2: random, for fewer than 2**32 values a key


def key_id(key: bytes) -> str:
    """Return by what a key is known: 16 digits of a digest that tells nothing of the key."""
    return sha256(b"mainspring secret key\0" + key)[:16]


def is_sealed(text: str) -> bool:
    """Return whether a text is one that :meth:`Ring.seal` made."""
    return text.startswith(_MARK)


def key_of(text: str) -> str:
    """Return the id of the key that a sealed text takes; empty if it is not sealed.

    >>> key_of("sealed:1:00c0ffee00c0ffee:AAAA"), key_of("hush")
    ('00c0ffee00c0ffee', '')
    """
    return text.removeprefix(_MARK).partition(":")[0] if is_sealed(text) else ""


class Ring:
    """The keys of a home: the first seals, each opens what it sealed; without keys none is opened.

    ``where`` says in errors where the keys are from.
    """

    def __init__(self, keys: Sequence[bytes], where: str) -> None:
        self.keys, self.where = list(keys), where
        self._by_id = {key_id(key): key for key in keys}

    @property
    def current(self) -> str:
        """Return the id of the key that seals."""
        return key_id(self.keys[0])

    def knows(self, key: str) -> bool:
        """Return whether the key of that id is here."""
        return key in self._by_id

    def seal(self, place: str, value: str) -> str:
        """Return a value as it may lie in a database at ``place``."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE_BYTES)
        made = AESGCM(self.keys[0]).encrypt(nonce, value.encode(), _bound(place, self.current))
        return f"{_MARK}{self.current}:{base64.b64encode(nonce + made).decode()}"

    def unseal(self, place: str, text: str) -> str:
        """Return the value that was sealed for ``place``.

        Raises:
            SecretKeyError: if it takes a key that is not here.
            DamagedError: if it was changed, was sealed for another place, or was never sealed.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if not is_sealed(text):
            raise DamagedError(
                f"The value of {place} lies in the database unsealed, as this release never"
                " writes it.",
                hint="If an older release wrote it: mainspring secret rotate. Else set it anew.",
            )
        key, _, body = text.removeprefix(_MARK).partition(":")
        if key not in self._by_id:
            raise missing(place, key, self.where)
        try:
            data = base64.b64decode(body, validate=True)
            found = AESGCM(self._by_id[key]).decrypt(
                data[:_NONCE_BYTES], data[_NONCE_BYTES:], _bound(place, key)
            )
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise DamagedError(
                f"The sealed value of {place} was changed, or is not its own.",
                hint="Set it anew, or restore the database from a backup.",
            ) from error
        return found.decode()


def missing(place: str, key: str, where: str) -> SecretKeyError:
    """Return the error that says which key is not here, and what to do."""
    return SecretKeyError(
        f"The value of {place} is sealed with the key {key}, which is not in {where}.",
        hint="Nothing is lost: bring back the secret.key of the home that sealed it, or name it"
        " with MAINSPRING_SECRET_KEY or the setting secret_key_file. If it is gone for good, set"
        " the value anew.",
    )


def _bound(place: str, key: str) -> bytes:
    return f"mainspring/{key}/{place}".encode()
