"""Over HTTP a version comes whole or not at all, only what lacks is sent, and no lie is kept."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from kept_data import Opener, bytes_of, settle

from mainspring.cli.start import main
from mainspring.ground.errors import (
    BadInputError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from mainspring.ground.killpoints import ENVIRONMENT
from mainspring.ground.permissions import Permission
from mainspring.pipelines.data import manifest, versions
from mainspring.web.app import build_app
from mainspring.workspace.asking import Server
from mainspring.workspace.data import adding
from mainspring.workspace.data.sending import There
from mainspring.workspace.keeping import pruning
from mainspring.workspace.opening import Workspace
from serving_in_a_thread import served

SERVE = """
import sys, threading
from pathlib import Path
from mainspring.ground.settings import Settings
from mainspring.web.app import build_app
from mainspring.web.server import bind, serve
from mainspring.workspace.opening import open_workspace

root = Path(sys.argv[1])
ws = open_workspace(Settings(root=str(root), home=str(root / "home"), capture=False))
listening = bind("127.0.0.1", 0)
ready = lambda: print(listening.getsockname()[1], flush=True)
serve(build_app(ws), listening, ready, threading.Event())
"""
SEND = """
import sys
from pathlib import Path
from mainspring.workspace.asking import Server
from mainspring.workspace.data.sending import There

There(Server(sys.argv[1], None), Path(sys.argv[2])).added(Path(sys.argv[3]))
"""


@pytest.fixture
def url(ws: Workspace) -> Iterator[str]:
    """A server on the home ``ws``."""
    with served(build_app(ws)) as found:
        yield found


@pytest.fixture
def there(url: str, tmp_path: Path) -> Iterator[There]:
    server = Server(url, None)
    yield There(server, tmp_path / "here")
    server.close()


def test_the_commands_say_there_what_they_say_here(
    url: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAINSPRING_URL", url)
    settle(folder)

    def said(code: int, *words: str) -> str:
        assert main(["data", *words]) == code, capsys.readouterr()
        told = capsys.readouterr()
        return told.out + told.err

    assert "flights@1 is new" in said(0, "add", str(folder))
    assert "clean, flights@1" in said(0, "status", str(folder))
    (folder / "new").write_text("new")
    assert "1 added" in said(1, "diff", "flights@1", str(folder), "--files-only")
    assert "flights@2 is new" in said(0, "add", str(folder))
    assert "1 added" in said(1, "diff", "flights@1", "flights@2", "--files-only")
    (folder / "new").unlink()
    assert "0 there already" in said(0, "get", "flights@1", "out")
    assert bytes_of(tmp_path / "out") == bytes_of(folder)
    assert "nope" in said(2, "get", "nope@1")
    assert "flights@2" in said(0, "log", "flights")


def test_a_folder_goes_there_and_comes_back(
    there: There, ws: Workspace, folder: Path, tmp_path: Path, large: bytes
) -> None:
    settle(folder)
    first = there.added(folder, message="May is in")
    assert (first.version.reference, first.version.by, first.new) == ("flights@1", "owner", True)
    assert first.version.digest == adding.add(ws, folder, name="again").digest
    assert there.status(folder).state == "clean"
    assert there.added(folder).new is False
    out = tmp_path / "out"
    got = there.get("flights", out)
    assert (got.written, bytes_of(out)) == (23, bytes_of(folder))

    (folder / "large.bin").write_bytes(large[: 5 << 20] + b"8 bytes!" + large[5 << 20 :])
    (folder / "run.sh").unlink()
    told = there.status(folder)
    assert (told.state, told.changed, told.removed) == ("changed", ["large.bin"], ["run.sh"])
    second = there.added(folder)
    assert (second.version.number, second.read) == (2, 1)
    assert second.stored <= 5 << 20
    assert there.get("flights@2", out).kept == 21
    assert bytes_of(out) == bytes_of(folder)
    with pytest.raises(NotFoundError):
        there.get("flights@3", out)
    with pytest.raises(BadInputError, match="files are copied"):
        there.get("flights", out, link="symlink")


def test_what_the_server_lost_is_sent_again(
    there: There, ws: Workspace, folder: Path, tmp_path: Path
) -> None:
    settle(folder)
    version = there.added(folder).version
    for digest in manifest.read(version.manifest or "", ws.objects).objects:
        assert ws.objects.delete(digest, 1e12)
    (folder / "new").write_text("new")
    again = there.added(folder)
    assert (again.version.number, again.stored > 10 << 20) == (2, True)
    there.get("flights@2", tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(folder)


DATA = b"some bytes"
SHA = hashlib.sha256(DATA).digest()
GOOD = ["a.csv", len(DATA), SHA]
LIES: dict[str, tuple[list[Any], str]] = {
    "above": ([["../a.csv", *GOOD[1:]]], "path"),
    "absolute": ([["/etc/passwd", *GOOD[1:]]], "path"),
    "within": ([["a/../../b", *GOOD[1:]]], "path"),
    "backslash": ([["..\\a", *GOOD[1:]]], "path"),
    "zero byte": ([["a\x00b", *GOOD[1:]]], "path"),
    "twice": ([GOOD, GOOD], "path"),
    "file and folder": ([GOOD, ["a.csv/b", *GOOD[1:]]], "path"),
    "longer": ([["a.csv", 11, SHA]], "size"),
    "negative": ([["a.csv", -1, SHA]], "body"),
    "empty": ([["a.csv", 0, SHA]], "sha256"),
    "short digest": ([["a.csv", 10, SHA[:31]]], "body"),
    "more chunks": ([[*GOOD, False, [[10, SHA], [10, SHA]]]], "chunks"),
    "fewer chunks": ([["a.csv", 20, SHA, False, [[10, SHA]]]], "chunks"),
    "chunk's length": ([["a.csv", 11, SHA, False, [[11, SHA]]]], "chunks"),
    "another file's": ([["a.csv", 20, SHA, False, [[10, SHA], [10, SHA]]]], "sha256"),
    "a link": ([[*GOOD, False, [], "symlink"]], "body"),
    "no files": ({"a": 1}, "body"),  # type: ignore[dict-item]
    "another version": ([["other.csv", *GOOD[1:]]], "digest"),
}


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    headers = {"Content-Type": "application/octet-stream"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        body = msgspec.msgpack.encode([DATA])
        digest = hashlib.sha256(body).hexdigest()
        assert client.put(f"/api/v1/data-pieces/{digest}", content=body).json()["bytes"] == 10
        yield client


def refused(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["field"]


def test_no_lie_about_a_version_is_kept(client: httpx.Client, ws: Workspace) -> None:
    line = ("a.csv", 10, SHA.hex(), False)
    query = {"kind": "folder", "digest": manifest.digest_of_lines("folder", [line])}
    path = "/api/v1/data/flights/versions"
    for what, (files, field) in LIES.items():
        reply = client.post(path, params=query, content=msgspec.msgpack.encode(files))
        assert refused(reply) == (400, field), (what, reply.text)
    for kind, field in (("file", "digest"), ("picture", "kind")):
        reply = client.post(
            path, params={**query, "kind": kind}, content=msgspec.msgpack.encode([GOOD])
        )
        assert refused(reply) == (400, field)
    assert refused(client.post(path, params=query, content=b"\xdd\xff\xff\xff\xff")) == (
        400,
        "body",
    )
    absent = hashlib.sha256(b"nobody sent it").digest()
    reply = client.post(
        path, params=query, content=msgspec.msgpack.encode([GOOD, ["b", 14, absent]])
    )
    assert reply.json() == {"version": None, "new": False, "missing": [absent.hex()]}
    assert ws.read(Permission.READ, versions.names) == []
    reply = client.post(path, params=query, content=msgspec.msgpack.encode([GOOD]))
    assert reply.json()["version"]["number"] == 1


def test_no_lie_about_pieces_is_kept(client: httpx.Client, ws: Workspace) -> None:
    for pieces, digest, field in (
        ([b"x"], "ab" * 32, "digest"),
        ([b"x", b""], None, "body"),
        ([bytes((4 << 20) + 1)], None, "body"),
        (["text"], None, "body"),
        ([[b"x"]], None, "body"),
        ([b"x"] * 20_001, None, "body"),
    ):
        body = msgspec.msgpack.encode(pieces)
        digest = digest or hashlib.sha256(body).hexdigest()
        reply = client.put(f"/api/v1/data-pieces/{digest}", content=body)
        assert refused(reply) == (400, field)
    cut = msgspec.msgpack.encode([b"first", b"second"])[:-1]
    reply = client.put(f"/api/v1/data-pieces/{hashlib.sha256(cut).hexdigest()}", content=cut)
    assert refused(reply) == (400, "body")
    asked = {"digests": [hashlib.sha256(one).hexdigest() for one in (b"x", b"first", DATA)]}
    reply = client.request(
        "POST", "/api/v1/data-lacking", json=asked, headers={"Content-Type": "application/json"}
    )
    assert reply.json() == {"lacking": asked["digests"][:2]}


def test_only_what_a_version_holds_is_read(
    client: httpx.Client, ws: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_bytes(DATA)
    adding.add(ws, tmp_path / "a.csv", name="flights")
    other = ws.objects.put(b"another's")
    query = {"version": "flights@1", "object": other}
    assert refused(client.get("/api/v1/data-bytes", params=query)) == (404, "object")
    query["object"] = SHA.hex()
    assert client.get("/api/v1/data-bytes", params={**query, "start": 5}).content == DATA[5:]
    assert client.get("/api/v1/data-bytes", params={**query, "start": 99}).content == b""
    reply = client.get("/api/v1/data-bytes", params={**query, "count": 1 << 40})
    assert refused(reply) == (400, "count")


def test_a_viewer_brings_and_adds_nothing(url: str, ws: Workspace, folder: Path) -> None:
    adding.add(ws, folder)
    # The first token ends that whoever is on this machine is the owner.
    made = httpx.post(
        f"{url}/api/v1/tokens", json={"name": "eve", "role": "viewer"}, timeout=60
    ).json()
    server = Server(url, made["token"])
    with contextlib.closing(server):
        viewer = There(server, folder.parent / "here")
        out = folder.parent / "out"
        assert viewer.get("flights@1", out).written == 23
        (out / "mine").write_text("mine")
        with pytest.raises(PermissionDeniedError):
            viewer.added(out, name="flights")


def test_a_client_that_is_killed_leaves_nothing_half_and_goes_on(
    url: str, there: There, ws: Workspace, folder: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SEND, url, str(tmp_path / "here"), str(folder)],
        env={**os.environ, ENVIRONMENT: "data.sent:2"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert ws.read(Permission.READ, versions.names) == []
    assert pruning.prune(ws).objects == 0  # what is under way is too young
    again = there.added(folder)
    assert again.version.number == 1
    assert again.stored < again.version.bytes // 2 + (2 << 20)  # the rest alone
    there.get("flights", tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(folder)


@pytest.mark.parametrize(
    "at",
    ["data.received:2", pytest.param("data.manifest:1", marks=pytest.mark.soak)],
)
def test_a_server_that_is_killed_leaves_nothing_half_and_goes_on(
    homes: Opener, folder: Path, tmp_path: Path, at: str
) -> None:
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    with subprocess.Popen(
        command, env={**os.environ, ENVIRONMENT: at}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        server = Server(f"http://127.0.0.1:{port}", None)
        with contextlib.closing(server), pytest.raises(UnavailableError):
            There(server, tmp_path / "here").added(folder)
        assert process.wait(60) == -signal.SIGKILL
    ws = homes()
    assert ws.read(Permission.READ, versions.names) == []
    assert pruning.prune(ws).objects == 0
    with served(build_app(ws)) as url, contextlib.closing(Server(url, None)) as server:
        there = There(server, tmp_path / "here")
        again = there.added(folder)
        assert (again.version.number, again.stored < again.version.bytes) == (1, True)
        there.get("flights", tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(folder)
