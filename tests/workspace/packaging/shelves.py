"""A real registry for tests: Debian's docker-registry on loopback, with tokens if wanted."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from serving_in_a_thread import listening

PAIR = base64.b64encode(b"reader:letters").decode()  #: who is given tokens
_OCI = "application/vnd.oci.image"


@contextmanager
def registry(folder: Path, realm: str | None = None) -> Iterator[str]:
    """Serve a registry from a folder; yield its host and port. ``realm`` gives out tokens."""
    if shutil.which("docker-registry") is None:
        pytest.fail("docker-registry is missing. Install it: sh tools/system.sh")
    told = {
        "version": 0.1,
        "log": {"level": "info", "formatter": "json"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": "127.0.0.1:0"},
    }
    if realm:
        wanted = {"realm": realm, "service": "shelf", "issuer": "test"}
        told["auth"] = {"token": {**wanted, "rootcertbundle": str(folder / "cert.pem")}}
    (folder / "registry.json").write_text(json.dumps(told))
    words = ["docker-registry", "serve", str(folder / "registry.json")]
    log = folder / "registry.log"
    with log.open("wb") as out, subprocess.Popen(words, stdout=out, stderr=out) as running:
        try:
            yield _listening(log, running)
        finally:
            running.terminate()


def _listening(log: Path, running: subprocess.Popen[bytes]) -> str:
    for _ in range(1_200):
        for line in log.read_text().splitlines():
            if '"listening on ' in line and line.endswith("}"):
                return str(json.loads(line)["msg"].removeprefix("listening on "))
        if running.poll() is not None:
            break
        time.sleep(0.05)
    pytest.fail(f"The registry does not start:\n{log.read_text()[-2000:]}")


@contextmanager
def tokens(folder: Path) -> Iterator[str]:
    """Give out tokens as Docker Hub does, to ``PAIR`` alone; yield the address."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test"
    _openssl(*words.split(), "-keyout", str(key), "-out", str(cert))
    der = base64.b64encode(_openssl("x509", "-in", str(cert), "-outform", "DER")).decode()

    class Giver(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            known = self.headers.get("Authorization") == f"Basic {PAIR}"
            self.send_response(200 if known else 401)
            self.end_headers()
            if known:
                self.wfile.write(json.dumps({"token": _token(asked, der, key)}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Giver)) as server:
        yield f"http://127.0.0.1:{server.server_port}/token"


def _token(asked: Mapping[str, list[str]], der: str, key: Path) -> str:
    kind, name, actions = asked["scope"][0].split(":")
    now = int(time.time())
    access = [{"type": kind, "name": name, "actions": actions.split(",")}]
    about = {"iss": "test", "sub": "reader", "aud": asked["service"][0], "jti": "1"}
    times = {"exp": now + 600, "nbf": now - 600, "iat": now}
    parts = [{"typ": "JWT", "alg": "RS256", "x5c": [der]}, {**about, **times, "access": access}]
    text = b".".join(_plain(json.dumps(one).encode()) for one in parts)
    signed = _openssl("dgst", "-sha256", "-sign", str(key), text=text)
    return (text + b"." + _plain(signed)).decode()


def _plain(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _openssl(*words: str, text: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *words], input=text, capture_output=True, check=True).stdout


def put(host: str, name: str, tag: str) -> str:
    """Put an image of nothing into a registry that asks for no token; return its digest."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers"}})
    data = config.encode()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    place = _ask(host, "POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
    _ask(host, "PUT", f"{place}&digest={digest}", data, "application/octet-stream")
    kind = f"{_OCI}.manifest.v1+json"
    held = {"mediaType": f"{_OCI}.config.v1+json", "digest": digest, "size": len(data)}
    told = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": held, "layers": []})
    _ask(host, "PUT", f"/v2/{name}/manifests/{tag}", told.encode(), kind)
    return f"sha256:{hashlib.sha256(told.encode()).hexdigest()}"


def _ask(host: str, method: str, path: str, data: bytes = b"", kind: str = "text/plain"):
    url = path if path.startswith("http") else f"http://{host}{path}"
    headers = {"Content-Type": kind}
    asked = urllib.request.Request(url, data=data, method=method, headers=headers)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return answer
