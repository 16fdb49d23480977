"""Personal values: found by form and check digit, and not where chance alone looks like them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.debt.personal import iban, luhn, scan

CASES: dict[str, list[object]] = {
    "mail": ["ada@example.org", "grace.h@mail.example.com", "x+y@example.net"] + ["none"] * 9,
    "phone": ["+44 20 7946 0958", "+1 (202) 555-0143", "020 7946 0959", "+4930123456"],
    "card": ["4111111111111111", "5500 0000 0000 0004", "340000000000009"],
    "iban": ["GB82WEST12345698765432", "DE89370400440532013000", "FR1420041010050500013M02606"],
    "ip": ["192.0.2.1", "198.51.100.7", "203.0.113.9"],
    "DNI": ["12345678Z", "X1234567L", "00000000T"],
    "NIR": ["255081416802538", "188057800608436", "269054958815780"],
    "codice fiscale": ["RSSMRA85T10A562S", "MRTMTT91D08F205J", "BNCLRA80A41H501S"],
    "PESEL": ["44051401359", "02070803628", "90090515836"],
    "CPF": ["529.982.247-25", "11144477735", "390.533.447-05"],
    "SSN": ["123-45-6789", "078-05-1120", "219-09-9999"],
}


@pytest.mark.parametrize("kind", [k for k in CASES if k not in ("NIR", "codice fiscale")])
def test_each_kind_is_found_by_its_values_whatever_the_column_is_called(kind: str) -> None:
    (hit,) = scan("x", CASES[kind])
    assert hit.kind == kind
    assert hit.found >= 3
    assert not any(str(value) in hit.why for value in CASES[kind])


def test_card_numbers_that_came_as_whole_numbers_are_found() -> None:
    (hit,) = scan("ref", [4111111111111111, 5500000000000004, 4012888888881881])
    assert hit.kind == "card"


def test_mail_addresses_inside_of_free_text_are_found() -> None:
    notes = [f"Call back {n}." for n in range(200)] + [f"Write to c{n}@example.org" for n in "123"]
    (hit,) = scan("note", notes)
    assert (hit.kind, hit.found) == ("mail", 3)


NOBODY: dict[str, list[object]] = {
    "versions": ["1.2.3.4", "2.0", "3.1", "2.1", "3.0", "2.2", "4.0", "5.1", "6.2"],
    "order numbers": [f"{n:016d}" for n in range(4_000_000_000_000_000, 4_000_000_000_000_300)],
    "counters": list(range(11_000_000_000, 11_000_000_400)),
    "dates": ["2024-01-02", "2024-01-03", "2024-01-04", "2024-05-06"],
    "times": [f"{n / 7:.3f}" for n in range(100)],
    "codes": ["EWR", "JFK", "LGA", "AA", "B6"],
    "floats": [0.1, 4111111111111111.0, 2.0],
    "flags": [True, False],
    "nothing": [],
    "product codes": ["AB12-3456", "CD34-5678", "EF56-7890"],
}


@pytest.mark.parametrize("what", NOBODY)
def test_what_only_looks_like_it_is_nobody_s(what: str) -> None:
    assert scan("x", NOBODY[what]) == []


def test_random_numbers_are_no_cards_and_no_national_numbers() -> None:
    chance = random.Random(5)
    for digits in (11, 13, 15, 16):
        values = [chance.randrange(10 ** (digits - 1), 10**digits) for _ in range(500)]
        assert scan("x", values) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("customer_email", "mail"), ("Phone", "phone"), ("dateOfBirth", "birth"),
        ("last-name", "name"), ("SSN", "national number"), ("client ip", "ip"),
    ],
)  # fmt: skip
def test_a_name_tells_where_values_do_not(name: str, kind: str) -> None:
    (hit,) = scan(name, ["a", "b", "c", "d"])
    assert (hit.kind, hit.found, hit.why) == (kind, 0, f"it is called like a {kind}")


@pytest.mark.parametrize("name", ["has_phone", "n_emails", "mail_count", "trip", "ship", "zip"])
def test_a_column_about_it_is_not_it(name: str) -> None:
    assert scan(name, ["a", "b", "c", "d"]) == []


def test_what_is_hashed_is_nobody_s_whatever_it_is_called() -> None:
    assert scan("email", [f"{n:064x}" for n in range(5)]) == []


@settings(max_examples=50, deadline=None)
@given(st.text("0123456789", min_size=2, max_size=18), st.integers(0, 17), st.integers(1, 9))
def test_luhn_sees_every_single_wrong_digit(body: str, place: int, off: int) -> None:
    right = next(body + d for d in "0123456789" if luhn(body + d))
    at = place % len(right)
    wrong = right[:at] + str((int(right[at]) + off) % 10) + right[at + 1 :]
    assert not luhn(wrong)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**18 - 1), st.integers(0, 17), st.integers(1, 9))
def test_an_iban_sees_every_single_wrong_digit(account: int, place: int, off: int) -> None:
    text = f"{account:018d}"
    right = next(f"DE{n:02d}{text}" for n in range(2, 99) if iban(f"DE{n:02d}{text}"))
    at = 4 + place
    wrong = right[:at] + str((int(right[at]) + off) % 10) + right[at + 1 :]
    assert not iban(wrong)
