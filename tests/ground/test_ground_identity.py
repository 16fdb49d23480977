"""Ids sort, digests name, names are harmless."""

from __future__ import annotations

import hashlib
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground import identity
from mainspring.ground.errors import BadInputError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_ids_are_unique_and_sort_by_time(monkeypatch) -> None:
    ids = {identity.new_id("run") for _ in range(2000)}
    assert len(ids) == 2000
    assert all(i.startswith("run_") and len(i) == 30 for i in ids)
    times = iter([1_700_000_000_000_000_000, 1_700_000_000_001_000_000, 1_900_000_000_000_000_000])
    monkeypatch.setattr(identity.time, "time_ns", lambda: next(times))
    made = [identity.new_id("x") for _ in range(3)]
    assert made == sorted(made)
    identity.check_name(made[0])


@given(JSON)
def test_equal_values_have_one_canonical_form(value) -> None:
    import msgspec

    form = identity.canonical(value)
    again = msgspec.json.decode(form)
    assert identity.canonical(again) == form
    assert identity.key_of(value) == identity.key_of(again)


@given(st.dictionaries(st.text(), st.integers(-(2**53), 2**53), max_size=6))
def test_the_order_of_keys_does_not_count(value) -> None:
    turned = dict(reversed(value.items()))
    assert identity.canonical(value) == identity.canonical(turned)


def test_the_order_of_parts_counts() -> None:
    assert identity.key_of("a", "b") != identity.key_of("b", "a")
    assert identity.key_of("ab") != identity.key_of("a", "b")


@given(st.binary(max_size=200_000))
def test_a_file_has_the_digest_of_its_bytes(tmp_path_factory, data: bytes) -> None:
    file: Path = tmp_path_factory.getbasetemp() / "digested"
    file.write_bytes(data)
    assert identity.sha256_file(file) == identity.sha256(data) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", ["a", "churn-model_2.1", "A" * 128, "0"])
def test_plain_names_pass(name: str) -> None:
    assert identity.check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a..b", "-x", "_x", "a/b", "a b", "a\n", "ä", "A" * 129, "a\x00", "x;y"],
)
def test_other_names_are_refused_by_field(name: str) -> None:
    with pytest.raises(BadInputError) as caught:
        identity.check_name(name, "model")
    assert caught.value.field == "model"


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 63 + "\n"])
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        identity.check_digest(text)


@given(st.text())
def test_a_slug_is_always_a_name(text: str) -> None:
    made = identity.slug(text)
    assert identity.check_name(made) == made
    assert set(made) <= set(string.ascii_lowercase + string.digits + "-_")
    assert identity.slug(made) == made
