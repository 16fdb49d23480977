"""Secrets do not reach the logs."""

from __future__ import annotations

import logging

import pytest

from mainspring.ground import logs
from mainspring.ground.secrecy import hide, is_secret_name, scrubbed

#: Of the form of ours; the same in every process, for it is part of a test's name.
TOKEN = f"ms_01m8gpe6gwe18075qhcz0arjq5_{'Az0_9-x' * 6}Q"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"token {TOKEN} was shown", "token *** was shown"),
        ("Authorization: Bearer abc.DEF-123 and more", "Authorization: *** and more"),
        ("{'authorization': 'Basic dXNlcjpwdw=='}", "{'authorization': '***'}"),
        ("(b'authorization', b'Bearer abcdefgh')", "(b'authorization', b'***')"),
        ("x-mainspring-secret=Zm9vYmFy", "x-mainspring-secret=***"),
        ("cookie: mainspring_token=abcdef", "cookie: ***"),
        ("postgresql://me:p%40ss@db/x", "postgresql://me:***@db/x"),
        ("password=hunter2&user=me", "password=***&user=me"),
        ('{"api_key": "abc123", "n": 1}', '{"api_key": "***", "n": 1}'),
        ("MAINSPRING_TOKEN=abcdef mainspring up", "MAINSPRING_TOKEN=*** mainspring up"),
        ("AWS AKIAIOSFODNN7EXAMPLE used", "AWS *** used"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ", "***"),
        ("https://hooks.slack.com/services/T0/B0/xyz", "https://***"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----", "***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln", "***"),
    ],
)
def test_secrets_are_known_by_their_form_or_by_what_stands_before_them(said, kept) -> None:
    assert scrubbed(said) == kept
    assert scrubbed(scrubbed(said)) == kept


@pytest.mark.parametrize(
    "said",
    ["12 tokens were counted", "the key is missing", "http://127.0.0.1:8750/api", "a:b@c", ""],
)
def test_plain_words_stay(said) -> None:
    assert scrubbed(said) == said


def test_what_a_process_was_given_is_hidden_wherever_it_stands() -> None:
    hide("correct-horse-battery")
    hide("ab")  # would tear holes into common words
    assert scrubbed("GET /?q=correct-horse-battery about") == "GET /?q=*** about"


def test_a_field_that_is_named_like_a_secret_holds_none() -> None:
    assert [is_secret_name(one) for one in ("Authorization", "db_password", "rows")] == [
        True,
        True,
        False,
    ]


def test_no_secret_reaches_a_file_by_event_field_or_trace(tmp_path) -> None:
    begun = logs.begin(tmp_path, "web", secrets=("open-sesame-1",))
    log = logging.getLogger("mainspring.web")
    log.warning("shown %s", TOKEN, extra={"token": "abcdef", "header": f"Bearer {TOKEN}"})
    try:
        raise ValueError(f"open-sesame-1 with {TOKEN}")
    except ValueError:
        log.exception("failed")
    begun.close()
    text = (tmp_path / "logs" / "web.jsonl").read_text()
    assert "ValueError: *** with ***" in text
    for secret in (TOKEN, "open-sesame-1", "abcdef"):
        assert secret not in text
