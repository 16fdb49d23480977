"""Clients that are slow, silent, half gone, too large or too many hold nothing: on raw sockets."""

import asyncio
import contextlib
import json
import resource
import select
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from mainspring.scaling.serving import body, connections, server
from mainspring.scaling.serving.connections import most_connections
from mainspring.scaling.serving.cycles import Cycle
from mainspring.web import proxy
from waiting import until

ROW = {"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}
BODY = json.dumps({"dataframe_records": [ROW]}).encode()
HEAD = b"POST /invocations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
SOON_S = 0.3


@pytest.fixture
def here(stage):
    return stage()


def link(here, **options) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", here.port), timeout=60)
    for option, value in options.items():
        made.setsockopt(socket.SOL_SOCKET, getattr(socket, option), value)
    return made


def drip(one: socket.socket, data: bytes) -> None:
    """Send a byte at a time until the other end has enough."""
    try:
        for byte in data:
            one.sendall(bytes([byte]))
            time.sleep(0.05)
    except OSError:
        return  # it was hung up on, as it should be


def all_of(one: socket.socket) -> bytes:
    """Return what comes until the end of the connection."""
    found = b""
    try:
        while part := one.recv(65536):
            found += part
    except ConnectionError:
        return found
    return found


def answered(here) -> None:
    assert here.predict([ROW])["versions"] == [1]


@pytest.mark.parametrize(
    ("sent", "bound", "status"),
    [
        (b"", (connections, "HEAD_S"), b""),
        (HEAD, (connections, "HEAD_S"), b""),
        (HEAD + b"content-length: 400\r\n\r\n{", (body, "READ_S"), b"HTTP/1.1 504"),
        (
            b"GET /nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: 400\r\n\r\n{",
            (connections, "REST_S"),
            b"HTTP/1.1 404",
        ),
    ],
    ids=["silent", "head", "body", "unread body"],
)
def test_a_client_that_sends_a_byte_now_and_then_is_hung_up_on(
    here, monkeypatch, sent, bound, status
):
    # This bound alone: what comes as it should may be slow too, on a busy machine.
    with monkeypatch.context() as patch, link(here) as one:
        patch.setattr(*bound, SOON_S)
        one.sendall(sent)
        dripping = threading.Thread(target=drip, args=(one, b"x" * 400 if sent else b""))
        dripping.start()
        found = all_of(one)
        assert found[: len(status)] == status
        one.close()
        dripping.join(60)
    answered(here)


def test_a_client_that_never_reads_is_hung_up_on(here, monkeypatch):
    monkeypatch.setattr(connections, "WRITE_S", SOON_S)
    rows = json.dumps({"dataframe_records": [ROW] * 900}).encode()
    asked = HEAD + b"content-length: %d\r\n\r\n%s" % (len(rows), rows)
    with link(here, SO_RCVBUF=4096) as one:
        one.settimeout(0.2)
        with contextlib.suppress(OSError):  # it is hung up on, or its own buffer is full
            for _ in range(2_000):
                one.sendall(asked)
        waiting = select.poll()
        waiting.register(one, 0)  # told of errors alone: nothing is read
        assert waiting.poll(60_000)
    answered(here)


def test_a_half_closed_connection_ends(here):
    with link(here) as one:
        one.sendall(HEAD + b"content-length: 400\r\n\r\n{")
        one.shutdown(socket.SHUT_WR)
        assert all_of(one) == b""
    with link(here) as one:
        one.sendall(HEAD + b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY))
        one.shutdown(socket.SHUT_WR)
        assert all_of(one)[:12] in (b"HTTP/1.1 200", b"")
    answered(here)


def test_an_endless_head_is_refused(here):
    with link(here) as one:
        one.sendall(HEAD)
        try:
            for number in range(200):
                one.sendall(b"x-%d: %s\r\n" % (number, b"y" * 1000))
        except ConnectionError:
            pass  # it had seen enough
        assert all_of(one)[:12] in (b"HTTP/1.1 400", b"")
    answered(here)


@pytest.mark.parametrize(
    "framing",
    [b"content-length: 1000000000000\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n"],
    ids=["announced", "chunked"],
)
def test_a_huge_body_is_refused_before_it_is_there(here, framing):
    with link(here) as one:
        one.sendall(HEAD + framing)
        try:
            for _ in range(100):
                one.sendall(b"10000\r\n" + b"z" * 65536 + b"\r\n")
        except ConnectionError:
            pass  # it had seen enough
        assert all_of(one)[:12] in (b"HTTP/1.1 413", b"")
    answered(here)


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"content-length: %d\r\nexpect: 100-continue\r\n\r\n%s" % (len(BODY), BODY),
        HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
        (HEAD + b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY)) * 3,
    ],
    ids=["expect", "chunked", "pipelined"],
)
def test_what_http_allows_is_answered(here, sent):
    with link(here) as one:
        one.sendall(sent)
        wanted, found = max(1, sent.count(b"POST ")), b""
        while found.count(b'"prediction_ids"') < wanted:
            part = one.recv(65536)
            assert part, found
            found += part
    assert found.count(b"HTTP/1.1 200") == wanted


def test_more_connections_than_descriptors_are_sent_away_and_it_goes_on(here, monkeypatch):
    monkeypatch.setattr(connections, "most_connections", lambda: 3)
    kept = [link(here) for _ in range(3)]
    with link(here) as one:
        found = all_of(one)
        assert found.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in found
    for other in kept:
        other.close()
    monkeypatch.undo()
    answered(here)


SERVER = """
import resource, sys, threading
from mainspring.scaling.serving.server import serve

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})

resource.setrlimit(resource.RLIMIT_NOFILE, (120, 120))
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
serve(app, "127.0.0.1", 0, lambda port: print(port, flush=True), stop)
"""


def test_a_process_out_of_descriptors_sheds_and_recovers():
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        port = int(process.stdout.readline())
        held = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(200)]
        turned = 0
        for one in held[-50:]:
            turned += all_of(one).startswith(b"HTTP/1.1 503")
        assert turned == 50
        for one in held:
            one.close()

        def recovered() -> bool:
            with (
                contextlib.suppress(ConnectionError),
                socket.create_connection(("127.0.0.1", port), timeout=60) as one,
            ):
                one.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                return all_of(one).startswith(b"HTTP/1.1 204")
            return False

        until(recovered)
    finally:
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_connections_leave_descriptors_to_everything_else():
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < most_connections() < max(soft, 1 << 20)


def test_an_idle_connection_is_kept_longer_than_the_main_port_keeps_its_end():
    kept_s = server._server(None, None, lambda: None, None).config.timeout_keep_alive
    assert kept_s > 2 * (proxy._ROOM.keepalive_expiry or kept_s)


def test_an_answer_is_written_as_uvicorn_writes_it(here):
    with link(here) as one:
        one.sendall(b"HEAD /ping HTTP/1.1\r\nhost: localhost\r\n\r\n")
        head = one.recv(65536)
        assert head.startswith(b"HTTP/1.1 200")
        assert head.endswith(b"\r\n\r\n")
        one.sendall(b"GET /ping?x=%31 HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert one.recv(65536).endswith(b'{"ready":true}')
        one.sendall(b"GET /ping HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        last = all_of(one)
        assert b"connection: close" in last.lower()
        assert last.endswith(b'{"ready":true}')
    with link(here) as one:
        one.sendall(b"GET /ping HTTP/1.0\r\nhost: localhost\r\n\r\n")
        assert all_of(one).endswith(b'{"ready":true}')


def test_a_header_cannot_smuggle_another_in():
    class Transport:
        def __init__(self) -> None:
            self.data = b""

        def write(self, data: bytes) -> None:
            self.data += data

        def close(self) -> None: ...

    def cycle() -> Cycle:
        return Cycle(
            scope={"type": "http", "method": "GET"},
            transport=Transport(),
            flow=SimpleNamespace(write_paused=False),
            logger=None,
            access_logger=None,
            access_log=False,
            default_headers=[(b"date", b"now")],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=True,
            on_response=lambda: None,
        )

    async def answer(one: Cycle, *headers: tuple[bytes, bytes], body: bytes = b"ok") -> bytes:
        head = [(b"content-length", b"2"), *headers]
        await one.send({"type": "http.response.start", "status": 200, "headers": head})
        await one.send({"type": "http.response.body", "body": body})
        return one.transport.data

    plain = asyncio.run(answer(cycle(), (b"x-a", b"b")))
    assert plain == (b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 2\r\nx-a: b\r\n\r\nok")
    with pytest.raises(RuntimeError, match="header value"):
        asyncio.run(answer(cycle(), (b"x-a", b"b\r\nx-b: c")))
    with pytest.raises(RuntimeError, match="longer"):
        asyncio.run(answer(cycle(), body=b"too long"))
