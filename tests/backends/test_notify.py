"""Each way to tell people, against something that really listens."""

import base64
import email
import hashlib
import hmac
import json
import logging
import socket
import sys
from email.header import decode_header, make_header
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from receivers import http_receiver, smtp_receiver

from mainspring.backends.notify.command import CommandNotifier
from mainspring.backends.notify.opening import host_of, open_notifier
from mainspring.ground.errors import BadInputError, MissingExtraError, UnavailableError
from mainspring.ground.rules import Message
from waiting import alive, until

HERE = ["127.0.0.1"]
ALARM = Message(
    id="page_1",
    event="ALARM",
    title="flights: 2 alarms, inputs moved: drift temp\r\nBcc: evil@example.com",
    lines=["drift temp: far <!channel> & away", "größer"],
    at=1_800_000_000.0,
    endpoint="flights",
    data={"group": "group_1"},
)


def test_a_webhook_is_signed_as_standard_webhooks_are():
    with http_receiver() as receiver:
        said = open_notifier("webhook", {"url": receiver.url}, "s3cret", HERE).send(ALARM, 17.9)
    assert said == "200"
    [(heads, body)] = receiver.got
    made = hmac.new(b"s3cret", b"page_1.17." + body, hashlib.sha256).digest()
    assert heads["webhook-id"] == "page_1"
    assert heads["webhook-signature"] == f"v1,{base64.b64encode(made).decode()}"
    told = json.loads(body)
    assert (told["event"], told["at"]) == ("ALARM", "2027-01-15T08:00:00Z")
    assert told["data"] == {"group": "group_1"}


@pytest.mark.parametrize("kind", ["webhook", "slack"])
def test_a_receiver_that_is_busy_is_asked_again_and_one_that_refuses_is_not(kind):
    with http_receiver() as receiver:
        target = {"url": receiver.url} if kind == "webhook" else {}
        secret = receiver.url if kind == "slack" else None
        notifier = open_notifier(kind, target, secret, HERE)
        for status in (500, 503, 429):
            receiver.status = status
            with pytest.raises(UnavailableError, match=str(status)):
                notifier.send(ALARM, 1.0)
        receiver.status = 404
        with pytest.raises(BadInputError, match="404"):
            notifier.send(ALARM, 1.0)
    with pytest.raises(UnavailableError):
        notifier.send(ALARM, 1.0)


def test_slack_gets_its_form_and_nothing_in_it_calls_everybody():
    with http_receiver() as receiver:
        open_notifier("slack", {}, receiver.url, HERE).send(ALARM, 1.0)
    [body] = receiver.bodies
    assert body["text"].startswith("ALARM: flights: 2 alarms")
    assert "&lt;!channel&gt; &amp; away" in body["blocks"][1]["text"]["text"]
    assert all(block["type"] == "section" for block in body["blocks"])


def test_an_address_of_this_network_is_refused_and_no_error_holds_the_secret():
    with pytest.raises(BadInputError, match="an address of this network"):
        open_notifier("webhook", {"url": "http://127.0.0.1:1/x"}, None, [])
    with http_receiver() as receiver:
        notifier = open_notifier("slack", {}, receiver.url, HERE)
    with pytest.raises(UnavailableError) as refused:  # nobody listens there any more
        notifier.send(ALARM, 1.0)
    assert "hidden" not in str(refused.value)


def test_a_mail_arrives_with_one_subject_line_and_the_same_id_at_every_try():
    with smtp_receiver() as post:
        target = {
            "host": "127.0.0.1", "port": post.port, "security": "none",
            "sender": "mainspring@example.com", "to": ["a@example.com", "b@example.com"],
        }  # fmt: skip
        notifier = open_notifier("mail", target, None, [])
        assert notifier.send(ALARM, 1_800_000_000.0) == "sent to 2 of 2"
        notifier.send(ALARM, 1_800_000_060.0)
    letters = [email.message_from_bytes(text.encode()) for _, _, text in post.letters]
    assert [one["Message-ID"] for one in letters] == ["<page_1@example.com>"] * 2
    subject = str(make_header(decode_header(letters[0]["Subject"])))
    assert " ".join(subject.split()).startswith("[ALARM] flights: 2 alarms")
    assert letters[0]["Bcc"] is None
    assert post.letters[0][1] == ["<a@example.com>", "<b@example.com>"]
    assert "größer" in letters[0].get_payload(decode=True).decode()


@pytest.mark.parametrize(
    ("verb", "answer", "error"),
    [
        ("MAIL", "451 later", UnavailableError),
        ("MAIL", "550 never", BadInputError),
        ("RCPT", "450 later", UnavailableError),
        ("RCPT", "550 nobody", BadInputError),
        ("DATA", "554 no", BadInputError),
    ],
)
def test_a_mail_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not(
    verb, answer, error
):
    with smtp_receiver() as post:
        post.answers[verb] = answer
        target = {
            "host": "127.0.0.1", "port": post.port, "security": "none",
            "sender": "m@example.com", "to": ["a@example.com"],
        }  # fmt: skip
        with pytest.raises(error):
            open_notifier("mail", target, None, []).send(ALARM, 1.0)


def test_without_tls_no_password_leaves_and_with_it_none_is_sent_before():
    with smtp_receiver() as post:
        target = {
            "host": "127.0.0.1", "port": post.port, "security": "starttls", "user": "u",
            "sender": "m@example.com", "to": ["a@example.com"],
        }  # fmt: skip
        # The server offers no STARTTLS: nothing of the password is said.
        with pytest.raises(UnavailableError):
            open_notifier("mail", target, "pass", []).send(ALARM, 1.0)
        assert "AUTH" not in post.verbs
    with pytest.raises(BadInputError, match="not sent without TLS"):
        open_notifier("mail", {**target, "security": "none"}, "pass", [])


def test_a_command_gets_the_message_and_an_environment_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("MAINSPRING_TOKEN", "secret")
    out = tmp_path / "out"
    script = (
        "import json, os, sys; json.dump([json.load(sys.stdin), dict(os.environ)],"
        f" open({str(out)!r}, 'w'))"
    )
    said = open_notifier("command", {"command": [sys.executable, "-c", script]}, None, [])
    assert said.send(ALARM, 1.0) == "exit code 0"
    told, environment = json.loads(out.read_text())
    assert told["id"] == "page_1"
    assert environment["MAINSPRING_ALARM_EVENT"] == "ALARM"
    assert "MAINSPRING_TOKEN" not in environment
    assert "$(touch" not in environment["MAINSPRING_ALARM_TITLE"]


def test_a_word_that_a_shell_would_run_is_a_word(tmp_path):
    mark = tmp_path / "ran"
    words = [sys.executable, "-c", "import sys; sys.exit(len(sys.argv) != 2)", f"$(touch {mark})"]
    assert CommandNotifier(words).send(ALARM, 1.0) == "exit code 0"
    assert not mark.exists()


def test_a_command_that_fails_or_takes_too_long_ends_with_all_it_started(tmp_path):
    with pytest.raises(UnavailableError, match="ended with 3"):
        CommandNotifier([sys.executable, "-c", "raise SystemExit(3)"]).send(ALARM, 1.0)
    with pytest.raises(BadInputError, match="cannot be started"):
        CommandNotifier([str(tmp_path / "nothing")]).send(ALARM, 1.0)
    pid = tmp_path / "pid"
    script = (
        "import pathlib, subprocess, sys, time;"
        " child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        f" pathlib.Path({str(pid)!r}).write_text(str(child.pid)); time.sleep(600)"
    )
    # Long enough for it to begin on a busy machine: what is asked is that it ends.
    with pytest.raises(UnavailableError, match="took longer"):
        CommandNotifier([sys.executable, "-c", script], timeout_s=5.0).send(ALARM, 1.0)
    if pid.exists() and (told := pid.read_text()):
        until(lambda: not alive(int(told)))


def test_the_log_gets_a_line(caplog):
    with caplog.at_level(logging.INFO, "mainspring.alarms"):
        assert open_notifier("log", {}, None, []).send(ALARM, 1.0) == "logged"
    assert caplog.records[0].levelname == "WARNING"


def test_apprise_names_the_extra_that_installs_it():
    with pytest.raises(MissingExtraError, match="apprise") as missing:
        open_notifier("apprise", {}, "json://localhost", []).send(ALARM, 1.0)
    assert "mainspring[notify]" in (missing.value.hint or "")


@pytest.mark.parametrize(
    ("kind", "target", "secret", "field"),
    [
        ("smoke", {}, None, "kind"),
        ("webhook", {}, None, "url"),
        ("webhook", {"url": "ftp://example.com"}, None, "url"),
        ("webhook", {"url": "https://u:p@example.com/"}, None, "url"),
        ("webhook", {"uri": "x"}, None, "uri"),
        ("slack", {}, None, "url"),
        ("apprise", {}, "no-url", "url"),
        ("mail", {"host": "h", "sender": "m@e.c"}, None, "to"),
        ("mail", {"host": "h", "sender": "nobody", "to": ["a@e.c"]}, None, "sender"),
        ("mail", {"sender": "m@e.c", "to": ["a@e.c"]}, None, "host"),
        ("mail", {"host": "h", "sender": "m@e.c", "to": ["a@e.c\r\nBcc: x@e.c"]}, None, "to"),
        ("mail", {"host": "h", "sender": "m@e.c", "to": ["a@e.c"], "port": 0}, None, "port"),
        ("mail", {"host": "h", "sender": "m@e.c", "to": ["a@e.c"], "security": "x"}, None,
         "security"),
        ("command", {"command": "rm -rf /"}, None, "command"),
        ("command", {"command": [""]}, None, "command"),
        ("command", {"command": ["x"], "timeout_s": "soon"}, None, "timeout_s"),
    ],
)  # fmt: skip
def test_a_target_that_cannot_be_is_refused_with_the_field(kind, target, secret, field):
    with pytest.raises(BadInputError) as refused:
        open_notifier(kind, target, secret, [])
    assert refused.value.field == field


def test_what_is_shown_of_a_url_is_its_host():
    assert host_of("https://user:pass@hooks.example.com/T0/secret?x=1") == (
        "https://hooks.example.com/..."
    )
    assert host_of("tgram://token/chat") == "..."
    assert host_of("nonsense[") == "..."


def test_nobody_at_a_mail_server_is_asked_again():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    target = {
        "host": "127.0.0.1", "port": port, "security": "none",
        "sender": "m@example.com", "to": ["a@example.com"],
    }  # fmt: skip
    with pytest.raises(UnavailableError):
        open_notifier("mail", target, None, []).send(ALARM, 1.0)
