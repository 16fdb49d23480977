"""What is signed and with what, as it travels: an envelope, a public key."""

from __future__ import annotations

from mainspring.ground.records import Record


class Signed(Record, frozen=True, kw_only=True):
    """One signature, and the name of the key that made it."""

    keyid: str
    sig: str  #: base64


class Envelope(Record, frozen=True, kw_only=True, rename="camel"):
    """A DSSE envelope."""

    payload_type: str
    payload: str  #: base64
    signatures: list[Signed]


class PublicKey(Record, frozen=True, kw_only=True):
    """What checks the signatures of a home."""

    name: str  #: sha256 of the key
    pem: str
