"""What hostile and careless clients send to the native doors of tracking, at a served home."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import httpx
import msgspec
import psutil
import pytest
from tests.acceptance.conftest import Stranger

from mainspring.ground.identity import new_id
from waiting import alive, until

BYTES = {"Content-Type": "application/octet-stream"}
ALIKE = ["a\u200b", "a ", " a", "a\u00a0b", "a\u202eb", "a\u3164", "a\nb", "\u2800", " "]
pack = msgspec.msgpack.encode


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """A home that is up, with nothing in it."""
    stranger = Stranger(tmp_path_factory.mktemp("hostile"))
    (stranger.folder / "mainspring.toml").write_text("")
    pids: dict[str, int] = {}
    try:
        stranger.url = stranger.spawn("up", "--port", "0", "--detach")["url"]
        pids = stranger.pids()
        yield stranger
    finally:
        stranger.say("stop")
        until(lambda: not any(alive(pid) for pid in pids.values()))


@pytest.fixture(scope="module")
def web(home: Stranger) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=home.url, trust_env=False, timeout=120) as client:
        yield client


def packed(body: bytes) -> bytes:
    return struct.pack("<II", len(body), crc32(body)) + body


def frame(*parts: object) -> bytes:
    return packed(pack(parts))


def begun(
    run: str, experiment: str = "e", name: str = "n", started: float = 1.0, own: bool = True
) -> bytes:
    return frame("run", run, experiment, name, started, None, own, {}, {})


def send(web: httpx.Client, data: bytes, name: str = "", **more: object) -> httpx.Response:
    params = {"position": 0, **more}
    path = f"/api/v1/journals/{name or new_id('jrn')}"
    return web.post(path, params=params, content=data, headers=BYTES)  # type: ignore[arg-type]


def refused(answer: httpx.Response) -> str:
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:300])
    assert answer.json()["field"]
    return str(answer.json()["message"])


def test_names_that_look_like_others_are_refused_through_a_journal(web: httpx.Client) -> None:
    for name in ALIKE:
        run = new_id("run")
        for data in (
            begun(run, experiment=name),
            begun(run, name=name),
            begun(run) + frame("points", run, None, 1.0, {name: 1.0}),
            begun(run) + frame("params", run, {name: "1"}),
            begun(run) + frame("tags", run, {name: "1"}),
        ):
            refused(send(web, data))
        assert web.get(f"/api/v1/runs/{run}").status_code == 404


def test_two_ways_to_write_a_key_are_one_key(web: httpx.Client) -> None:
    run, one, other = new_id("run"), "caf\u00e9", "cafe\u0301"
    data = begun(run, experiment=other)
    for step, key in enumerate((one, other)):
        data += frame("points", run, step, 1.0, {key: float(step)})
        data += frame("params", run, {key: "1"}) + frame("tags", run, {key: str(step)})
    assert send(web, data).json()["position"] == len(data)
    found = web.get(f"/api/v1/runs/{run}").json()["run"]
    assert found["params"] == {one: "1"}
    assert (found["tags"][one], other in found["tags"]) == ("1", False)
    assert found["metrics"] == {one: 1.0}


def test_what_no_frame_can_say_is_refused_and_never_an_accident(web: httpx.Client) -> None:
    run = new_id("run")
    half = b"\xa3\xed\xa0\x80"
    extra = b"\x95\xa5extra" + pack(run) + pack("dataset")
    bodies = [
        extra + b"\x81\xa1a" * 100_000 + b"\xc0" + pack(1.0),
        extra + b"\x81\xa1a" + b"\x91" * 1_000_000 + b"\xc0" + pack(1.0),
        b"\x93\xa6params" + pack(run) + b"\x81\xa1a" + half,
        b"\x93\xa6params" + pack(run) + b"\x81" + half + b"\xa1a",
        b"\x95\xa6points" + pack(run) + b"\xc0" + pack(1.0) + b"\xdf\xff\xff\xff\xff",
        pack(["points", run, 2**63, 1.0, {"a": 1.0}]),
        pack(["points", run, 1, 1e30, {"a": 1.0}]),
        pack(["points", run, 1, float("nan"), {"a": 1.0}]),
        pack(["points", "a\x00", 1, 1.0, {"a": 1.0}]),
        pack(["tags", "../x", {"a": "1"}]),
        pack(["ended", run, "finished", 1e300]),
        pack(["ended", run, "eaten", 1.0]),
    ]
    for body in bodies:
        refused(send(web, begun(run) + packed(body)))
    refused(send(web, begun(run, started=1e300)))
    assert web.get(f"/api/v1/runs/{run}").status_code == 404


def test_a_journal_is_cut_anywhere_and_goes_on_but_is_never_garbage(web: httpx.Client) -> None:
    run, name = new_id("run"), new_id("jrn")
    first, second = begun(run), frame("points", run, 0, 1.0, {"a": 1.0})
    whole = first + second
    for end in range(len(first), len(whole)):
        assert send(web, whole[:end], name).json()["position"] == len(first)
    assert send(web, whole[7:], name, position=7).json()["position"] == len(whole)
    assert send(web, whole, name, position=10_000).json()["position"] == len(whole)
    flipped = bytearray(frame("points", run, 1, 1.0, {"a": 2.0}))
    flipped[-1] ^= 1
    assert "damaged" in refused(send(web, bytes(flipped), name, position=len(whole)))
    huge = struct.pack("<II", 1 << 30, 0) + b"x"
    assert "damaged" in refused(send(web, huge, name, position=len(whole)))
    assert web.get(f"/api/v1/runs/{run}").json()["run"]["metrics"] == {"a": 1.0}


def test_a_file_is_as_large_as_its_bytes(web: httpx.Client) -> None:
    data = b"hello"
    digest = hashlib.sha256(data).hexdigest()
    assert web.put(f"/api/v1/objects/{digest}", content=data, headers=BYTES).is_success
    model = {"id": f"m-{'a' * 32}", "name": "m", "type": "t"}
    for size in (0, 1, 10**6, 2**63 - 1):
        run = new_id("run")
        said = refused(send(web, begun(run) + frame("file", run, "a.txt", digest, size, 1.0)))
        assert "5 bytes" in said
        files = {"files": {"MLmodel": [digest, size]}}
        refused(send(web, begun(run) + frame("extra", run, "model", {**model, **files}, 1.0)))
    run = new_id("run")
    gone = {"files": {"MLmodel": ["0" * 64, 1]}}
    sent = begun(run) + frame("extra", run, "model", {**model, **gone}, 1.0)
    assert send(web, sent).json()["missing"] == ["0" * 64]
    odd = {"files": {"MLmodel": [digest, 2**64 - 1]}}
    assert send(web, begun(run) + frame("extra", run, "model", {**model, **odd}, 1.0)).is_success
    for path in ("../x", "a/\u200b", "a /b", "/etc/passwd", "%2e%2e/x"):
        refused(send(web, begun(run) + frame("file", run, path, digest, 5, 1.0)))
    sent = begun(run) + frame("file", run, "cafe\u0301.txt", digest, 5, 1.0)
    assert send(web, sent).is_success
    for path in ("caf\u00e9.txt", "cafe\u0301.txt"):
        assert web.get(f"/runs/{run}/files/{path}").content == data


def test_large_bodies_and_bombs_cost_little(home: Stranger, web: httpx.Client) -> None:
    server = psutil.Process(home.pids()["web"])
    before = server.memory_info().rss
    with suppress(httpx.TransportError):  # it may hang up before it read it all
        assert send(web, b"\0" * (64 << 20)).status_code == 413
    run = new_id("run")
    crowd = {f"{number:x}": 1.0 for number in range(60_000)}
    assert "60,000 metrics" in refused(send(web, begun(run) + frame("points", run, 0, 1.0, crowd)))
    looks = struct.pack("<II", 4 << 20, 0) + b"\x93\xa6params"
    refused(send(web, begun(run) + b"\1" * 9 + looks * ((8 << 20) // len(looks))))
    assert server.memory_info().rss - before < 300 << 20


def test_what_is_too_much_for_one_transaction_is_taken_in_parts(web: httpx.Client) -> None:
    run, name = new_id("run"), new_id("jrn")
    data = begun(run, own=False)
    data += b"".join(
        frame("tags", run, {f"{part}-{number}": "v" for number in range(10_000)})
        for part in range(7)
    )
    position, parts = 0, 0
    while position < len(data):
        told = send(web, data[position:], name, position=position, ended=9.0).json()
        assert told["position"] > position
        position, parts = told["position"], parts + 1
    assert parts == 2
    assert told["closed"]
    assert len(web.get(f"/api/v1/runs/{run}").json()["run"]["tags"]) == 70_000


def test_what_a_script_logs_is_refused_before_it_is_written(tmp_path: Path) -> None:
    stranger = Stranger(tmp_path)
    (tmp_path / "mainspring.toml").write_text("")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, json, os\n"
        "import numpy as np\n"
        "import mainspring as ms\n"
        "from mainspring.ground.errors import BadInputError\n"
        "run = ms.run('e', capture=False)\n"
        "told = []\n"
        "for name in json.loads(sys.argv[1]):\n"
        "    for act in (\n"
        "        lambda: ms.run(name, capture=False).start(),\n"
        "        lambda: ms.run('e', name=name, capture=False).start(),\n"
        "        lambda: run.log({name: 1.0}), lambda: run.log_params({name: 1}),\n"
        "        lambda: run.tag({name: 1}), lambda: run.log_text('x', to=name),\n"
        "    ):\n"
        "        try:\n"
        "            act()\n"
        "        except BadInputError as error:\n"
        "            told.append(str(error))\n"
        "deep, round = [], {}\n"
        "for _ in range(5_000):\n"
        "    deep = [deep]\n"
        "round['a'] = round\n"
        "os.makedirs('folder')\n"
        "os.symlink('b', 'folder/b')\n"
        "for act in (\n"
        "    lambda: run.log_params(a=deep), lambda: run.log_params(round),\n"
        "    lambda: run.log_artifacts('folder'), lambda: ms.run(5),\n"
        "):\n"
        "    try:\n"
        "        act()\n"
        "    except BadInputError as error:\n"
        "        told.append(str(error))\n"
        "for value in (np.bool_(True), True, None, '1', {1}, 2**53 + 1, [1]):\n"
        "    try:\n"
        "        run.log(a=value)\n"
        "    except BadInputError as error:\n"
        "        told.append(str(error))\n"
        "for at in (1e30, float('nan'), 'now', True):\n"
        "    try:\n"
        "        run.log(a=1.0, at=at)\n"
        "    except BadInputError as error:\n"
        "        told.append(str(error))\n"
        "run.log({'caf\\u00e9': 1.0, 'a': 1e400})\n"
        "run.log({'cafe\\u0301': 2.0})\n"
        "run.end()\n"
        "print(json.dumps([run.id, len(told)]))\n"
    )
    said = subprocess.run(
        [sys.executable, str(script), json.dumps(ALIKE)],
        cwd=tmp_path,
        env=stranger.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    run, count = json.loads(said.stdout)
    assert count == 6 * len(ALIKE) + 4 + 7 + 4
    (found,) = [one for one in stranger.ask("runs")["runs"] if one["id"] == run]
    assert found["metrics"] == {"caf\u00e9": 2.0, "a": "inf"}
