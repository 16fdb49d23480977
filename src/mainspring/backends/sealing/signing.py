"""Sign what leaves the home, and check what others have signed: Ed25519, in DSSE envelopes.

The key is a file of the home, made on first need and readable by its owner alone. What is signed
is the type and the bytes together, so that no signature of one thing is taken for one of another.

Source: DSSE 1.0.2, https://github.com/secure-systems-lab/dsse/blob/master/protocol.md; RFC 8032.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from mainspring.ground.errors import BadInputError, DamagedError

KEY = "signing.key"  #: the file of a home
_BYTES = 32


def key_of(home: Path) -> bytes:
    """Return the private key of a home, as 32 bytes.

    Raises:
        DamagedError: if the file holds no key.
    """
    file = home / KEY
    if not file.exists():
        mine = file.with_name(f"{KEY}.{secrets.token_hex(8)}")
        number = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "wb") as to:
            to.write(secrets.token_bytes(_BYTES))
            to.flush()
            os.fsync(to.fileno())
        with suppress(FileExistsError):
            os.link(mine, file)  # whole or not at all; the first of several wins
        mine.unlink()
    key = file.read_bytes()
    if len(key) != _BYTES:
        raise DamagedError(
            f"{file} does not hold a key.",
            hint="Remove it: a new one is made, and who checks signatures is given that.",
        )
    return key


def public_of(home: Path) -> str:
    """Return the public key of a home, in PEM: what others check its signatures with."""
    from cryptography.hazmat.primitives import serialization

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    told: bytes = (
        _private(key_of(home)).public_key().public_bytes(serialization.Encoding.PEM, form)
    )
    return told.decode("ascii")


def sign(home: Path, kind: str, body: bytes) -> dict[str, Any]:
    """Return an envelope with a body of a type and the home's signature; always the same one."""
    signature = _private(key_of(home)).sign(_said(kind, body))
    told = {"keyid": name_of(public_of(home)), "sig": _coded(signature)}
    return {"payloadType": kind, "payload": _coded(body), "signatures": [told]}


def opened(envelope: bytes, kind: str, public: str) -> bytes:
    """Return the body of an envelope, if the key has signed it.

    Raises:
        BadInputError: if it is no envelope of that type, ``public`` is no such key, or no
            signature is the key's.
    """
    from cryptography.exceptions import InvalidSignature

    key = _public(public)
    try:
        told = json.loads(envelope)
        body = base64.b64decode(told["payload"], validate=True)
        found = str(told["payloadType"])
        signatures = [base64.b64decode(one["sig"], validate=True) for one in told["signatures"]]
        named = [str(one.get("keyid", "")) for one in told["signatures"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInputError("It is no DSSE envelope.", field="signature") from error
    if found != kind:
        raise BadInputError(f"It is of type {found[:80]!r}, not {kind!r}.", field="signature")
    for signature in signatures:
        with suppress(InvalidSignature):
            key.verify(signature, _said(found, body))
            return body
    by = ", ".join(one[:19] for one in named) or "nobody"
    raise BadInputError(
        f"It is not signed by {name_of(public)[:19]}: it says {by}.",
        field="signature",
        hint="Name the key of who signed it, --key FILE; of a home: mainspring package key",
    )


def name_of(public: str) -> str:
    """Return the name of a public key: the digest of what it says."""
    from cryptography.hazmat.primitives import serialization

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    told = _public(public).public_bytes(serialization.Encoding.DER, form)
    return f"sha256:{hashlib.sha256(told).hexdigest()}"


def _private(key: bytes) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(key)


def _public(text: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInputError("It is no public key in PEM.", field="key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadInputError("It is no Ed25519 key.", field="key")
    return key


def _said(kind: str, body: bytes) -> bytes:
    """Return what is signed: DSSE's encoding of type and body, in which neither can be moved."""
    name = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(body), body)


def _coded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
