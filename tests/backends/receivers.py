"""Those who are told, on free ports of this machine: over HTTP, and over SMTP."""

from __future__ import annotations

import json
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from serving_in_a_thread import listening


class Receiver:
    """Keeps what is posted, and answers with ``status`` (each of ``first`` before it)."""

    def __init__(self) -> None:
        self.status = 200
        self.first: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@contextmanager
def http_receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heads = {key.lower(): value for key, value in self.headers.items()}
            receiver.got.append((heads, body))
            self.send_response(receiver.first.pop(0) if receiver.first else receiver.status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/in?token=hidden"
    with listening(server):
        yield receiver


class Post:
    """A small SMTP server: keeps letters, knows one password, and may be unwilling."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, list[str], str]] = []
        self.answers: dict[str, str] = {}  # verb -> what it answers instead
        self.verbs: list[str] = []
        self.port = 0


class SmtpHandler(socketserver.StreamRequestHandler):
    """One conversation; what was said goes to the server's ``post``."""

    def handle(self) -> None:
        post: Post = self.server.post  # type: ignore[attr-defined]
        self._say("220 here")
        sender, to = "", []
        while line := self.rfile.readline().decode().strip():
            verb, _, rest = line.partition(" ")
            verb = verb.upper()
            post.verbs.append(verb)
            answer = {"EHLO": "250-here\r\n250 SIZE 1000000", "QUIT": "221 bye"}.get(
                verb, "250 ok"
            )
            if verb == "MAIL":
                sender, to = rest.partition(":")[2], []
            elif verb == "RCPT":
                to.append(rest.partition(":")[2])
            elif verb == "DATA" and verb not in post.answers:
                self._say("354 go on")
                post.letters.append((sender, to, self._letter()))
            self._say(post.answers.get(verb, answer))

    def _letter(self) -> str:
        lines = []
        while (line := self.rfile.readline().decode()) not in (".\r\n", ""):
            lines.append(line)
        return "".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def smtp_receiver() -> Iterator[Post]:
    post = Post()
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), SmtpHandler)
    server.daemon_threads = True
    server.post = post  # type: ignore[attr-defined]
    post.port = server.server_address[1]
    with listening(server):
        yield post
