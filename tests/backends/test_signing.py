"""What a home signs is checked by its public key alone, and by anybody's tools."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from mainspring.backends.sealing import signing
from mainspring.ground.errors import BadInputError, DamagedError

KIND = "application/vnd.in-toto+json"


def test_the_bytes_that_are_signed_are_those_of_the_protocol(tmp_path: Path) -> None:
    # The first example of the protocol: type http://example.com/HelloWorld, body hello world.
    told = signing._said("http://example.com/HelloWorld", b"hello world")
    assert told == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    envelope = signing.sign(tmp_path, KIND, b"{}")
    key = load_pem_public_key(signing.public_of(tmp_path).encode())
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    key.verify(signature, b"DSSEv1 28 application/vnd.in-toto+json 2 {}")  # type: ignore[union-attr,call-arg]
    assert base64.b64decode(envelope["payload"]) == b"{}"
    assert signing.sign(tmp_path, KIND, b"{}") == envelope, "the same again, by the same key"


def test_the_key_is_its_owners_alone_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    first = signing.key_of(tmp_path)
    file = tmp_path / signing.KEY
    assert (len(first), file.stat().st_mode & 0o777) == (32, 0o600)
    assert [one.name for one in tmp_path.iterdir()] == [signing.KEY]
    assert signing.key_of(tmp_path) == first
    file.write_bytes(b"short")
    with pytest.raises(DamagedError, match="does not hold a key"):
        signing.key_of(tmp_path)


def test_only_what_the_key_signed_is_opened(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.mkdir()
    theirs.mkdir()
    envelope = signing.sign(mine, KIND, b'{"a": 1}')
    public = signing.public_of(mine)
    assert signing.opened(json.dumps(envelope).encode(), KIND, public) == b'{"a": 1}'

    def refused(words: str, key: str = public, **changed: Any) -> None:
        with pytest.raises(BadInputError, match=words):
            signing.opened(json.dumps(envelope | changed).encode(), KIND, key)

    refused("not signed by", key=signing.public_of(theirs))
    refused("not signed by", payload=base64.b64encode(b'{"a": 2}').decode())
    refused("not signed by", signatures=[])
    refused("is of type", payloadType="text/plain")
    refused("no DSSE envelope", payload="?")
    refused("no DSSE envelope", signatures="none")
    refused("no public key", key="-----BEGIN PUBLIC KEY-----\n")
    with pytest.raises(BadInputError, match="no DSSE envelope"):
        signing.opened(b"[]", KIND, public)
    # The type is signed too: the same body cannot be shown as something else.
    other = envelope | {"payloadType": "text/plain"}
    with pytest.raises(BadInputError, match="not signed by"):
        signing.opened(json.dumps(other).encode(), "text/plain", public)


def test_a_key_of_another_kind_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    form = PublicFormat.SubjectPublicKeyInfo
    pem = generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, form)
    with pytest.raises(BadInputError, match="no Ed25519 key"):
        signing.name_of(pem.decode())
