"""Find personal values in columns: by what a column is called, and by what its values are.

Patterns alone cry wolf: a version looks like an address, an order number like a card. So numbers
count only where a checksum holds of nearly all of them (Luhn for cards, ISO 7064 for IBANs, the
check digit of a national number), and names only where they are whole words. A column of digests
(32 or more hexadecimal digits) is hashed, whatever it is called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from mainspring.ground.objects import Record

#: Of the values that have the form, so many must have the right check digits: of random numbers
#: one in ten passes Luhn.
CHECKED = 0.9
#: Of all values, so many must be of a kind without a check digit.
SHARE = 0.2
#: Mail addresses are not met by chance: one value in a hundred is enough.
RARE = 0.01
#: Values, at least, that a kind is judged by.
LEAST = 3


class Hit(Record, frozen=True, kw_only=True):
    """A column that holds personal values, or is called as if it did. Never a value itself."""

    column: str
    kind: str  #: mail, phone, card, iban, ip, or a national number
    values: int  #: how many different values were looked at
    found: int  #: how many of them are of the kind; 0: only the name says so
    why: str


_NAMES = {
    "mail": ("email", "e_mail", "mail"),
    "phone": ("phone", "telephone", "mobile", "msisdn"),
    "name": ("first_name", "last_name", "full_name", "surname", "firstname", "lastname"),
    "address": ("street", "street_address", "home_address", "postal_address"),
    "birth": ("birth_date", "birthdate", "date_of_birth", "dob", "birthday"),
    "national number": ("ssn", "passport", "national_id", "tax_id", "social_security"),
    "card": ("credit_card", "card_number", "pan"),
    "iban": ("iban", "bank_account"),
    "ip": ("ip", "ip_address"),
}
_HASHED = re.compile(r"(?:[a-z0-9]+:)?[0-9a-f]{32,128}", re.IGNORECASE)
_MAIL = re.compile(r"[\w.+-]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24}", re.IGNORECASE)
# International, or with the marks by which people group digits: bare digits are no phone number.
_PHONE = re.compile(r"\+\d[\d ()./-]{6,20}\d|\(?0\d{1,4}\)?[ /-]\d[\d -]{4,12}\d")
_CARD = re.compile(r"(?:\d[ -]?){12,18}\d")
_IBAN = re.compile(r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}")
_IP4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)")
_DNI = re.compile(r"[XYZ\d]\d{7}[A-Z]")
_NIR = re.compile(r"[12]\d{2}(?:0[1-9]|1[0-2])(?:\d{2}|2[AB])\d{8}")
_CODICE = re.compile(r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]")
_PESEL = re.compile(r"\d{11}")
_CPF = re.compile(r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}")
_SSN = re.compile(r"(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")
#: First digits of the issuers of payment cards, by length.
_ISSUERS = re.compile(r"(?:4|5[1-5]|2[2-7]|3[47]|30[0-5]|36|38|6011|65|35)\d+")


def scan(column: str, values: Iterable[object]) -> list[Hit]:
    """Return what is personal in a column, by its values or else by its name.

    ``values`` are raw values, missing ones left out of account; whole numbers are read as their
    digits, other numbers are nobody's.

    Example:
        >>> scan("contact", ["ada@example.org", "grace@example.org", "x@example.com"])[0].kind
        'mail'
        >>> scan("version", ["1.2.3.4", "2.0", "3.1", "2.1", "3.0", "2.2"])
        []
    """
    texts = sorted({text for value in values if (text := _text(value))})
    if texts and all(is_hashed(text) for text in texts):
        return []
    found = [hit for kind, judge in _KINDS if (hit := judge(column, kind, texts)) is not None]
    if found:
        return found[:1]
    return _by_name(column, texts)


def is_hashed(text: str) -> bool:
    """Return whether a text is a digest: 32 or more hexadecimal digits.

    Example:
        >>> is_hashed("d41d8cd98f00b204e9800998ecf8427e"), is_hashed("ada@example.org")
        (True, False)
    """
    return _HASHED.fullmatch(text) is not None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _by_name(column: str, texts: Sequence[str]) -> list[Hit]:
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).lower()
    words = "_".join(re.findall(r"[a-z0-9]+", plain))
    for kind, names in _NAMES.items():
        if any(re.search(rf"(?:^|_){name}(?:_|$)", words) for name in names):
            # A flag or a count about it, such as has_phone or mail_opens, is not the thing.
            if len(texts) < LEAST or re.search(
                r"(?:^|_)(?:has|is|n|num|count|days)(?:_|$)", words
            ):
                return []
            why = f"it is called like a {kind}"
            return [Hit(column=column, kind=kind, values=len(texts), found=0, why=why)]
    return []


def _of_form(
    pattern: re.Pattern[str], share: float, *, inside: bool = False
) -> Callable[[str, str, Sequence[str]], Hit | None]:
    def judge(column: str, kind: str, texts: Sequence[str]) -> Hit | None:
        match = pattern.search if inside else pattern.fullmatch
        found = sum(match(text) is not None for text in texts)
        if found < LEAST or found < share * len(texts):
            return None
        why = f"{found} of {len(texts)} different values have the form of a {kind}"
        return Hit(column=column, kind=kind, values=len(texts), found=found, why=why)

    return judge


def _checked(
    pattern: re.Pattern[str], right: Callable[[str], bool]
) -> Callable[[str, str, Sequence[str]], Hit | None]:
    def judge(column: str, kind: str, texts: Sequence[str]) -> Hit | None:
        formed = [text for text in texts if pattern.fullmatch(text)]
        found = sum(right(re.sub(r"[ .-]", "", text)) for text in formed)
        if found < LEAST or found < CHECKED * len(formed) or found < RARE * len(texts):
            return None
        why = f"{found} of {len(texts)} different values have the check digits of a {kind}"
        return Hit(column=column, kind=kind, values=len(texts), found=found, why=why)

    return judge


# ---------------------------------------------------------------- check digits


def luhn(digits: str) -> bool:
    """Return whether digits end in the check digit of ISO/IEC 7812-1, as payment cards do.

    Example:
        >>> luhn("79927398713"), luhn("79927398710")
        (True, False)
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def iban(text: str) -> bool:
    """Return whether a text has the check digits of an IBAN (ISO 7064, mod 97-10).

    Example:
        >>> iban("GB82WEST12345698765432"), iban("GB83WEST12345698765432")
        (True, False)
    """
    turned = text[4:] + text[:4]
    return int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def dni(text: str) -> bool:
    """Return whether a Spanish DNI or NIE has its right letter.

    Example:
        >>> dni("12345678Z"), dni("X1234567L"), dni("12345678A")
        (True, True, False)
    """
    digits = text[:-1].translate(str.maketrans("XYZ", "012"))
    return text[-1] == "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23]


def nir(text: str) -> bool:
    """Return whether a French social security number has its right key.

    Example:
        >>> nir("255081416802538"), nir("255081416802539")
        (True, False)
    """
    plain = text[:13].replace("2A", "19").replace("2B", "18")
    return int(text[13:]) == 97 - int(plain) % 97


def codice_fiscale(text: str) -> bool:
    """Return whether an Italian tax code has its right last letter.

    Example:
        >>> codice_fiscale("RSSMRA85T10A562S"), codice_fiscale("RSSMRA85T10A562T")
        (True, False)
    """
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25,
           24, 23)  # fmt: skip
    places = [int(c) if c.isdecimal() else ord(c) - ord("A") for c in text[:15]]
    total = sum(odd[value] if n % 2 == 0 else value for n, value in enumerate(places))
    return text[15] == chr(ord("A") + total % 26)


def pesel(text: str) -> bool:
    """Return whether a Polish PESEL names a possible day and has its right check digit.

    Example:
        >>> pesel("44051401359"), pesel("44051401358")
        (True, False)
    """
    month, day = int(text[2:4]) % 20, int(text[4:6])
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)
    total = sum(w * int(d) for w, d in zip(weights, text[:10], strict=True))
    return 1 <= month <= 12 and 1 <= day <= 31 and (10 - total % 10) % 10 == int(text[10])


def cpf(text: str) -> bool:
    """Return whether a Brazilian CPF has its two right check digits.

    Example:
        >>> cpf("52998224725"), cpf("52998224724"), cpf("11111111111")
        (True, False, False)
    """
    if len(set(text)) == 1:
        return False
    for size in (9, 10):
        total = sum((size + 1 - n) * int(text[n]) for n in range(size))
        if total * 10 % 11 % 10 != int(text[size]):
            return False
    return True


def _card(digits: str) -> bool:
    return _ISSUERS.fullmatch(digits) is not None and luhn(digits)


_KINDS: tuple[tuple[str, Callable[[str, str, Sequence[str]], Hit | None]], ...] = (
    ("mail", _of_form(_MAIL, RARE, inside=True)),
    ("iban", _checked(_IBAN, iban)),
    ("card", _checked(_CARD, _card)),
    ("DNI", _checked(_DNI, dni)),
    ("NIR", _checked(_NIR, nir)),
    ("codice fiscale", _checked(_CODICE, codice_fiscale)),
    ("PESEL", _checked(_PESEL, pesel)),
    ("CPF", _checked(_CPF, cpf)),
    ("SSN", _of_form(_SSN, SHARE)),
    ("phone", _of_form(_PHONE, SHARE)),
    ("ip", _of_form(_IP4, SHARE)),
)
