"""Runs that are logged for a server: there, away, answering in vain, and gone for ever."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mainspring.experiments import artifacts, frames, histories, journal, metrics
from mainspring.ground.errors import UnavailableError
from mainspring.ground.held import Held
from mainspring.ground.identity import new_id, sha256
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.web.app import build_app
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking import spool, syncing
from mainspring.workspace.tracking.courier import Courier
from mainspring.workspace.views.runs import run_detail
from mainspring.workspace.views.searching import run_page
from serving_in_a_thread import served
from waiting import until

BYTES = {"Content-Type": "application/octet-stream"}

#: A client that obeys: how many points to log, or the name of something to do.
CLIENT = """
import os, sys
import mainspring as ms
from mainspring.workspace.tracking import sending
sending.EVERY_S, sending.LONGEST_S, sending.END_S = 0.05, 0.2, float(os.environ["END_S"])
from mainspring.experiments import journal
journal.Journal.__init__.__kwdefaults__["turn_bytes"] = int(os.environ.get("TURN_BYTES", 1 << 25))
run = ms.run("far", params={"rate": 0.1}, capture=False)
print(run.id, flush=True)
step = 0
for line in sys.stdin:
    word = line.strip()
    if word.isdigit():
        for _ in range(int(word)):
            run.log(loss=float(step), step=step)
            step += 1
    elif word == "file":
        run.log_text("hello " * 1000, to="notes/hello.txt")
    elif word == "end":
        run.end()
    elif word == "kill":
        os.kill(os.getpid(), 9)
    print(step, flush=True)
"""


class Client:
    """A script of its own process that logs when it is told to."""

    def __init__(self, url: str, home: Path, **env: str) -> None:
        given = {"MAINSPRING_URL": url, "MAINSPRING_HOME": str(home), "END_S": "300", **env}
        self._process = subprocess.Popen(
            [sys.executable, "-c", CLIENT],
            env={**os.environ, **given},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.spool = spool.folder_of(home, url)
        self.run = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def tell(self, word: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self._line()

    def leave(self) -> str:
        """Let it go to its end and return what it said on stderr."""
        return self._process.communicate()[1]


class Place:
    """A server that can be stopped and started again on the same port."""

    def __init__(
        self, ws: Workspace, wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app
    ) -> None:
        self.ws, self._wrap = ws, wrap
        self._held = Held("127.0.0.1")  # clients try it while nobody listens there
        self.url = f"http://127.0.0.1:{self._held.port}"
        self._serving = ExitStack()

    def start(self) -> None:
        app = self._wrap(build_app(self.ws))
        self._serving.enter_context(served(app, self._held.port))

    def stop(self) -> None:
        self._serving.close()

    def close(self) -> None:
        self.stop()
        self._held.close()


@pytest.fixture
def place(house: Workspace) -> Iterator[Place]:
    found = Place(house)
    yield found
    found.close()


@pytest.fixture
def away(tmp_path: Path) -> Path:
    return tmp_path / "away"


def values(ws: Workspace, run: str) -> list[tuple[int, float]]:
    points, _ = ws.read(Permission.READ, lambda tx: metrics.history(tx, run, "loss"))
    return [(one.step, one.value) for one in points]


def numbered(count: int) -> list[tuple[int, float]]:
    return [(n, float(n)) for n in range(count)]


def status(ws: Workspace, run: str) -> str:
    return str(run_detail(ws, run).run.status)


def sync(home: Path, *more: str) -> dict[str, Any]:
    text = "import sys; from mainspring.cli.start import main; sys.exit(main(sys.argv[1:]))"
    told = subprocess.run(
        [sys.executable, "-c", text, "sync", "--home", str(home), "--json", *more],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout, told.stderr
    return json.loads(told.stdout)


def test_a_run_logged_for_a_server_is_there_and_leaves_nothing_behind(
    place: Place, away: Path
) -> None:
    place.start()
    client = Client(place.url, away)
    client.tell("500")
    client.tell("file")
    client.tell("end")
    assert status(place.ws, client.run) == "finished"
    assert values(place.ws, client.run) == numbered(500)
    assert run_detail(place.ws, client.run).run.params == {"rate": "0.1"}
    kept = place.ws.read(
        Permission.READ, lambda tx: artifacts.get(tx, client.run, "notes/hello.txt")
    )
    assert place.ws.objects.get(kept.digest) == b"hello " * 1000
    assert client.leave() == ""
    assert spool.waiting(client.spool) == 0
    assert not list((client.spool / "objects").glob("*/??/*"))


def test_a_server_that_comes_and_goes_gets_everything_once_and_in_order(
    place: Place, away: Path
) -> None:
    client = Client(place.url, away)
    client.tell("100")
    for turn in range(3):
        client.tell("file")
        place.start()
        client.tell("100")
        wanted = 100 * (2 * turn + 2)
        until(lambda wanted=wanted: _count(place.ws, client.run) >= wanted - 100)
        place.stop()
        client.tell("100")
    place.start()
    client.tell("end")
    until(lambda: status(place.ws, client.run) == "finished")
    assert values(place.ws, client.run) == numbered(700)
    assert client.leave() == ""


def _count(ws: Workspace, run: str) -> int:
    return len(ws.read(Permission.READ, lambda tx: histories.series(tx, run, "loss")))


def test_lost_answers_double_nothing(house: Workspace, away: Path) -> None:
    lost: list[str] = []

    def losing(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            async def answer(message: Message) -> None:
                if scope.get("method") == "POST" and message["type"] == "http.response.start":
                    lost.append(scope["path"])
                    if len(lost) % 3:
                        raise ConnectionResetError("the line broke")
                await send(message)

            await app(scope, receive, answer)

        return wrapped

    place = Place(house, losing)
    place.start()
    try:
        client = Client(place.url, away)
        for _ in range(5):
            client.tell("50")
            seen = len(lost)
            until(lambda seen=seen: len(lost) > seen)
        client.tell("end")
        client.leave()
        until(lambda: status(house, client.run) == "finished")
        assert values(house, client.run) == numbered(250)
        assert len(lost) > 5
    finally:
        place.close()


def test_what_a_killed_client_logged_is_sent_later_and_its_run_is_crashed(
    place: Place, away: Path
) -> None:
    client = Client(place.url, away)
    client.tell("700")
    client.tell("file")
    client.tell("kill")
    client.leave()
    assert spool.waiting(client.spool) > 0
    place.start()
    told = sync(away)["servers"][0]
    assert (told["journals"], told["waiting"], told["troubles"]) == (1, 0, [])
    assert values(place.ws, client.run) == numbered(700)
    assert status(place.ws, client.run) == "crashed"
    assert sync(away)["servers"][0]["bytes"] == 0


def test_the_next_script_sends_what_a_killed_one_left(place: Place, away: Path) -> None:
    client = Client(place.url, away)
    client.tell("70")
    client.tell("kill")
    client.leave()
    place.start()
    second = Client(place.url, away)
    second.tell("10")
    second.tell("end")
    until(lambda: spool.waiting(client.spool) == 0 or not _others(client.spool))
    second.leave()
    assert values(place.ws, client.run) == numbered(70)
    assert status(place.ws, client.run) == "crashed"


def _others(folder: Path) -> list[str]:
    return [name for name in journal.listed(folder) if not journal.is_alive(folder, name)]


def test_a_sync_beside_a_script_that_lives_doubles_nothing(place: Place, away: Path) -> None:
    place.start()
    client = Client(place.url, away, TURN_BYTES="2000")
    for _ in range(4):
        client.tell("100")
        told = sync(away)["servers"][0]
        assert told["troubles"] == []
    client.tell("100")
    client.tell("end")
    assert client.leave() == ""
    assert values(place.ws, client.run) == numbered(500)
    assert spool.waiting(client.spool) == 0


@pytest.mark.parametrize(
    ("url", "shown"), [("http://127.0.0.1:9", "secret"), ("http://127.0.0.1:8", None)]
)
def test_a_token_is_shown_to_no_other_server(
    away: Path, monkeypatch: pytest.MonkeyPatch, url: str, shown: str | None
) -> None:
    seen = []
    monkeypatch.setattr(syncing, "Courier", lambda url, token: seen.append((url, token)) or Deaf())
    for one in ("http://127.0.0.1:9", "http://127.0.0.1:7"):
        spool.begin(spool.folder_of(away, one), one)
    given = Settings(root=str(away), home=str(away), url=url, token="secret")
    syncing.sync_all(given, None, lambda at, of: None)
    assert dict(seen) == {"http://127.0.0.1:7": None, "http://127.0.0.1:9": shown}


class Deaf:
    """Nobody, who is asked nothing."""

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("answer", ["[]", '{"position": "x"}', "<html>", '{"run": 1}'])
def test_a_server_that_is_another_program_is_as_good_as_away(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Courier("http://127.0.0.1:9", None)
    monkeypatch.setattr(one, "_connect", lambda: Saying(answer))
    with pytest.raises(UnavailableError, match="not as Mainspring does"):
        one.standing("jrn_1")
    with pytest.raises(UnavailableError, match="not as Mainspring does"):
        one.run("run_1")


class Saying:
    """A connection on which one thing is said, whatever is asked."""

    status = 200

    def __init__(self, text: str) -> None:
        self._text = text

    def request(self, *given: object) -> None:
        """Nothing is sent."""

    def getresponse(self) -> Saying:
        return self

    def read(self) -> bytes:
        return self._text.encode()


def test_a_server_that_never_comes_is_not_waited_for(place: Place, away: Path) -> None:
    client = Client(place.url, away)
    client.tell("300")
    client.tell("end")
    said = client.leave()
    assert "bytes wait in" in said
    assert "mainspring sync" in said
    assert said.count("\n") == 1
    place.start()
    sync(away)
    assert status(place.ws, client.run) == "finished"
    assert values(place.ws, client.run) == numbered(300)


def test_a_run_of_a_server_goes_on_also_while_the_server_is_away(place: Place, away: Path) -> None:
    place.start()
    client = Client(place.url, away)
    client.tell("5")
    client.tell("kill")
    client.leave()
    sync(away)
    assert status(place.ws, client.run) == "crashed"
    text = """
import sys
import mainspring as ms
from mainspring.ground.errors import ConflictError
from mainspring.workspace.tracking import sending
sending.END_S = 300.0  # a server that is there is waited for, however slow it is
with ms.run(resume=sys.argv[1], capture=False) as run:
    run.log(loss=float(sys.argv[2]))
    try:
        run.log_params(rate=0.2)
    except ConflictError:
        print("known")
"""
    given = {"MAINSPRING_URL": place.url, "MAINSPRING_HOME": str(away)}

    def go_on(value: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", text, client.run, value],
            env={**os.environ, **given},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    assert go_on("5") == "known"
    assert status(place.ws, client.run) == "finished"
    place.stop()
    assert go_on("6") == ""
    place.start()
    sync(away)
    assert values(place.ws, client.run) == numbered(7)
    [note] = run_detail(place.ws, client.run).notes
    assert "rate" in note


def test_a_server_that_refuses_is_told_of_once_and_the_spool_is_kept(
    house: Workspace, away: Path
) -> None:
    from mainspring.web.api import call

    secrets = {
        role: call(house, "tokens.create", name=role, role=role)["token"]
        for role in ("viewer", "contributor", "admin")
    }
    place = Place(house)
    place.start()
    try:
        client = Client(place.url, away, MAINSPRING_TOKEN=secrets["viewer"])
        client.tell("50")
        client.tell("end")
        said = client.leave()
        assert "viewer (viewer) may not log" in said
        assert said.count("does not take") == 1
        assert spool.waiting(client.spool) > 0
        sync(away, "--token", secrets["contributor"])
        assert values(house, client.run) == numbered(50)
    finally:
        place.close()


# ---------------------------------------------------------------- the operations themselves


def packed(*several: frames.AnyFrame) -> bytes:
    return b"".join(frames.packed(frames.encode(one)) for one in several)


def begun(run: str) -> frames.Begun:
    return frames.Begun(run, "far", "one", 5.0, None, True, {}, {})


def post(client: httpx.Client, name: str, data: bytes, **query: object) -> httpx.Response:
    given = {"position": 0, **query}
    return client.post(f"/api/v1/journals/{name}", params=given, content=data, headers=BYTES)


def test_every_bit_comes_through_the_wire(web: httpx.Client, house: Workspace) -> None:
    odd = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_1234))[0]
    values_ = [odd, float("inf"), float("-inf"), -0.0, 5e-324]
    steps = [-(2**63), 2**63 - 1, 0, 1, -1]
    run = new_id("run")
    points = [
        frames.Points(run, step, 6.0, {"loss": value})
        for step, value in zip(steps, values_, strict=True)
    ]
    data = packed(begun(run), *points)
    told = post(web, new_id("jrn"), data).json()
    assert told == {"position": len(data), "closed": False, "missing": []}
    got = house.read(Permission.READ, lambda tx: histories.series(tx, run, "loss"))
    assert got.values.tobytes() == struct.pack("<5d", *values_)
    assert got.steps.tolist() == steps


def test_a_journal_goes_on_where_the_server_says(web: httpx.Client, house: Workspace) -> None:
    run, name = new_id("run"), new_id("jrn")
    data = packed(begun(run), *(frames.Points(run, n, 6.0, {"loss": float(n)}) for n in range(9)))
    assert web.get(f"/api/v1/journals/{name}").json()["position"] == 0
    assert post(web, name, data[40:], position=40).json()["position"] == 0
    first = post(web, name, data[:100]).json()["position"]
    assert 0 < first <= 100
    assert post(web, name, data).json()["position"] == len(data)
    assert post(web, name, data, ended=9.0).json()["closed"]
    assert post(web, name, packed(begun(new_id("run"))), position=len(data)).json()["closed"]
    assert values(house, run) == numbered(9)
    assert status(house, run) == "crashed"


def test_files_come_before_the_frames_that_name_them(web: httpx.Client, house: Workspace) -> None:
    run, name, digest = new_id("run"), new_id("jrn"), sha256(b"hello")
    data = packed(begun(run), frames.File(run, "a.txt", digest, 5, 6.0))
    assert post(web, name, data).json()["missing"] == [digest]
    assert web.get(f"/api/v1/journals/{name}").json()["position"] == 0
    path = f"/api/v1/objects/{digest}"
    wrong = web.put(path, content=b"hullo", headers=BYTES)
    assert (wrong.status_code, wrong.json()["field"]) == (400, "digest")
    assert web.put(path, content=b"hello", headers=BYTES).json() == {"done": True}
    assert web.put(path, content=b"hello", headers=BYTES).json() == {"done": True}
    assert post(web, name, data).json()["position"] == len(data)
    kept = house.read(Permission.READ, lambda tx: artifacts.get(tx, run, "a.txt"))
    assert house.objects.get(kept.digest) == b"hello"


def test_what_is_no_journal_is_refused(web: httpx.Client, house: Workspace) -> None:
    run, name = new_id("run"), new_id("jrn")
    good = packed(begun(run))
    bad = packed(frames.Ended(run, "running", 7.0))
    torn = bytearray(packed(frames.Points(run, 0, 6.0, {"loss": 1.0})))
    torn[9] ^= 0xFF
    cases: list[tuple[httpx.Response, int]] = [
        (post(web, "nonsense", good), 400),
        (post(web, f"jrn_{'../' * 9}", good), 405),
        (post(web, name, good, position=-1), 400),
        (post(web, name, good, position="x"), 400),
        (post(web, name, good, more=1), 400),
        (post(web, name, good + bad), 400),
        (post(web, name, good + bytes(torn) + good), 400),
        (web.post(f"/api/v1/journals/{name}?position=0", content=good), 400),
        (web.put(f"/api/v1/objects/{'x' * 64}", content=b"", headers=BYTES), 400),
    ]
    assert [got.status_code for got, _ in cases] == [wanted for _, wanted in cases]
    assert not [one for one in run_page(house).runs if one.metrics and one.id == run]


def test_a_journal_is_taken_in_bounded_stretches(web: httpx.Client) -> None:
    with contextlib.suppress(httpx.TransportError):  # it may hang up before it read it all
        got = post(web, new_id("jrn"), b"\0" * (17 << 20))
        assert got.status_code == 413


def test_a_journal_belongs_to_who_began_it_and_needs_the_permission_to_log(
    as_token: Callable[..., httpx.Client],
) -> None:
    run, name = new_id("run"), new_id("jrn")
    mine, other = as_token("contributor", name="mine"), as_token("contributor", name="other")
    viewer, admin = as_token("viewer"), as_token("admin")
    data = packed(begun(run))
    assert post(viewer, name, data).status_code == 403
    assert viewer.get(f"/api/v1/journals/{name}").status_code == 403
    assert viewer.put(f"/api/v1/objects/{'a' * 64}", content=b"", headers=BYTES).status_code == 403
    assert post(mine, name, data).status_code == 200
    assert post(other, name, data).status_code == 403
    assert other.get(f"/api/v1/journals/{name}").status_code == 403
    more = packed(frames.Ended(run, "failed", 7.0))
    assert post(admin, name, more, position=len(data)).json()["position"] > len(data)
