"""What is sealed opens with its own key, in its own place, unchanged, and not otherwise."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.backends.sealing import Ring, is_sealed, key_id, key_of
from mainspring.ground.errors import DamagedError, SecretKeyError

ONE, TWO = bytes(range(32)), bytes(range(1, 33))


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300), st.text(max_size=20))
def test_any_text_comes_back_and_never_looks_the_same_twice(value: str, place: str) -> None:
    place = place.encode("utf-8", "replace").decode()
    ring = Ring([ONE], "here")
    first, second = ring.seal(place, value), ring.seal(place, value)
    assert ring.unseal(place, first) == ring.unseal(place, second) == value
    assert first != second
    assert is_sealed(first)
    assert key_of(first) == key_id(ONE) == ring.current


def test_the_form_is_what_another_program_would_read() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    mark, version, key, body = Ring([ONE], "here").seal("secret:A", "hush").split(":")
    data = base64.b64decode(body)
    bound = f"mainspring/{key}/secret:A".encode()
    assert (mark, version, key) == ("sealed", "1", key_id(ONE))
    assert AESGCM(ONE).decrypt(data[:12], data[12:], bound) == b"hush"


def test_an_older_key_of_the_ring_opens_and_the_first_seals() -> None:
    old = Ring([ONE], "here").seal("secret:A", "hush")
    ring = Ring([TWO, ONE], "here")
    assert ring.unseal("secret:A", old) == "hush"
    assert key_of(ring.seal("secret:A", "hush")) == key_id(TWO)


def test_what_was_changed_or_moved_does_not_open() -> None:
    ring = Ring([ONE], "here")
    text = ring.seal("secret:A", "hush")
    head, body = text.rsplit(":", 1)
    for place in range(0, len(body) - 2, 7):
        other = "A" if body[place] != "A" else "B"
        with pytest.raises(DamagedError, match="was changed"):
            ring.unseal("secret:A", f"{head}:{body[:place]}{other}{body[place + 1 :]}")
    for wrong in (f"{head}:", f"{head}:!!", f"{head}:AAAA"):
        with pytest.raises(DamagedError, match="was changed"):
            ring.unseal("secret:A", wrong)
    with pytest.raises(DamagedError, match="is not its own"):
        ring.unseal("secret:B", text)
    with pytest.raises(DamagedError, match="unsealed"):
        ring.unseal("secret:A", "hush")


def test_a_key_that_is_not_here_is_named_with_what_to_do() -> None:
    text = Ring([ONE], "here").seal("secret:A", "hush")
    for ring in (Ring([TWO], "/home/secret.key"), Ring([], "/home/secret.key")):
        with pytest.raises(SecretKeyError) as caught:
            ring.unseal("secret:A", text)
        assert key_id(ONE) in str(caught.value)
        assert "not in /home/secret.key" in str(caught.value)
        assert "MAINSPRING_SECRET_KEY" in str(caught.value)
        assert "hush" not in str(caught.value)
