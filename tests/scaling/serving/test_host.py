"""Many endpoints in one process, over real HTTP: loaded on demand, let go of, kept apart."""

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from mainspring.ground.errors import NotFoundError, UnauthenticatedError, UnavailableError
from mainspring.ground.objects import Column, EndpointLimits, EndpointOptions, Routing, Signature
from mainspring.ground.permissions import owner
from mainspring.ground.settings import Settings
from mainspring.scaling.models import load
from mainspring.scaling.models.apart.spawned import Launch
from mainspring.scaling.serving import capture
from mainspring.scaling.serving.app import EndpointApp
from mainspring.scaling.serving.capture import CaptureWriter
from mainspring.scaling.serving.chores import Chores
from mainspring.scaling.serving.host import Host
from mainspring.scaling.serving.library import Library
from mainspring.scaling.serving.places import Places
from mainspring.scaling.serving.scorers.isolated import Isolated
from serving_in_a_thread import answering
from waiting import until

ROW = {"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}
ILL = Path(__file__).parent / "scorers" / "ill_models.py"
PATIENT = {"timeout_ms": 60_000, "deadline_ms": 60_000}
TWO = Signature(
    columns=[Column(name="a", type="float"), Column(name="b", type="float")],
    kind="regression",
    target="y",
)


def digest(number: int) -> str:
    return f"{number:064x}"


class Hosted:
    """A host that really serves; every digest is loaded as the same small model."""

    def __init__(self, folder: Path, objects, package: str, **bounds) -> None:
        self.folder, self.objects, self.package = folder, objects, package
        self.loaded: list[str] = []
        self.gates: dict[str, threading.Event] = {}  # a load waits for its gate
        self.ill: dict[str, Callable[..., object]] = {}
        self.routings: dict[str, Routing] = {}
        self.writing, self.counting = Chores("capture"), Chores("tallies")
        self.places = Places(
            self._make,
            Library(self._load),
            most_models=bounds.get("most_models", 100),
            most_bytes=bounds.get("most_bytes", 1 << 30),
        )
        self.host = Host(self.places, lambda _: owner(), create=self._create, begin=self._begin)
        self._serving = ExitStack()
        port = self._serving.enter_context(answering(self.host))
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)

    def _make(self, name, routing, loader) -> EndpointApp:
        return EndpointApp(
            *(name, routing, loader),
            CaptureWriter(self.folder / name, chores=self.writing),
            lambda _: owner(),
            Settings(root="", home=""),
            chores=self.counting,
        )

    def _load(self, wanted: str, limits: Callable[[], EndpointLimits]):
        self.loaded.append(wanted)
        if wanted in self.gates:
            assert self.gates[wanted].wait(60)
        if wanted in self.ill:
            return self.ill[wanted](limits)
        found = load.load(self.package, self.objects)
        found.digest = wanted
        return found

    def _create(self, name: str, model: str) -> None:
        self.route(**{name: 1}, model=model)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def within(self, work: Callable[[], object]) -> object:
        """Do something in the host's event loop."""

        async def done() -> object:
            found = work()
            return await found if asyncio.iscoroutine(found) else found

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(60)

    def route(self, *, model: str | None = None, limits=None, **numbers: int | None) -> None:
        """Have endpoints serve the package of a number; None: not any more."""
        for name, number in numbers.items():
            if number is None:
                del self.routings[name]
                continue
            self.routings[name] = Routing(
                endpoint=name,
                model=model or name,
                champion=number,
                champion_package=digest(number),
                options=EndpointOptions(
                    place="shared",
                    limits=limits or EndpointLimits(timeout_ms=60_000, deadline_ms=60_000),
                ),
            )
        self.within(lambda: self.places.route(dict(self.routings)))

    def ask(self, name: str, row: dict | None = None) -> httpx.Response:
        return self.client.post(f"/e/{name}/invocations", json={"instances": [row or ROW]})

    def account(self) -> dict:
        return self.client.get("/status").json()

    def close(self) -> None:
        for gate in self.gates.values():
            gate.set()
        self.client.close()
        self._serving.close()
        self.writing.close()
        self.counting.close()


def known(one: Hosted) -> list[str]:
    """Return the models that are in memory."""
    gc.collect()
    return [scorer.digest for scorer in list(one.places.library._known.values())]


@pytest.fixture
def hosted(tmp_path: Path, objects, first: str) -> Iterator[Callable[..., Hosted]]:
    made: list[Hosted] = []

    def make(**bounds) -> Hosted:
        made.append(Hosted(tmp_path / f"captures{len(made)}", objects, first, **bounds))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_each_endpoint_answers_below_its_own_path(hosted) -> None:
    one = hosted()
    one.route(north=1, south=2)
    assert one.ask("north").json()["model_version"] == "north/1"
    assert one.ask("south").json()["model_version"] == "south/2"
    assert one.client.get("/e/south/v2/models/south").json()["versions"] == ["2"]
    for path in ("/e/west/invocations", "/invocations", "/e/north/nowhere"):
        assert one.client.post(path, json={}).status_code == 404


def test_nothing_is_loaded_before_it_is_asked_and_what_sleeps_is_ready(hosted) -> None:
    one = hosted()
    one.route(**{f"m{n}": n + 1 for n in range(50)})
    for path in ("/ping", "/v2/health/ready", "/v2/models/m7/ready", "/status", "/metrics"):
        assert one.client.get(f"/e/m7{path}").status_code == 200
    told = one.client.get("/e/m7/status").json()
    assert (told["ready"], told["asleep"], told["champion"]) == (True, True, None)
    assert one.loaded == []
    assert one.ask("m7").status_code == 200
    assert one.loaded == [digest(8)]
    assert one.client.get("/e/m7/status").json()["asleep"] is False


def test_first_requests_at_once_load_once_and_hold_up_nobody_else(hosted) -> None:
    one = hosted()
    one.gates[digest(1)] = threading.Event()
    one.route(slow=1, quick=2)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(one.ask, "slow") for _ in range(8)]
        until(lambda: digest(1) in one.loaded)
        assert one.ask("quick").status_code == 200
        assert not any(answer.done() for answer in waiting)
        one.gates[digest(1)].set()
        assert [answer.result().status_code for answer in waiting] == [200] * 8
    assert one.loaded.count(digest(1)) == 1


def test_a_load_that_takes_too_long_is_told_and_goes_on(hosted) -> None:
    one = hosted()
    one.gates[digest(1)] = threading.Event()
    one.route(slow=1, limits=EndpointLimits(timeout_ms=50))
    late = one.ask("slow")
    assert late.status_code == 503
    assert "still being loaded" in late.json()["message"]
    assert late.headers["retry-after"] == "1"
    one.gates[digest(1)].set()
    one.route(slow=1)
    until(lambda: one.ask("slow").status_code == 200)
    assert one.loaded == [digest(1)]


def test_who_was_asked_the_longest_ago_is_let_go_of_and_comes_back(hosted) -> None:
    one = hosted(most_models=2)
    one.route(a=1, b=2, c=3)
    for name in "abac":  # b is the oldest when c comes
        assert one.ask(name).status_code == 200
    assert one.ask("a").status_code == 200
    assert one.loaded == [digest(1), digest(2), digest(3)]
    assert one.ask("b").json()["model_version"] == "b/2"
    assert one.loaded[3:] == [digest(2)]
    told = one.account()
    assert (told["models"], told["awake"], told["evictions"]) == (2, 2, 2)


def test_what_is_let_go_of_leaves_the_memory(hosted) -> None:
    one = hosted(most_models=1)
    one.route(a=1, b=2)
    one.ask("a")
    one.ask("b")
    until(lambda: known(one) == [digest(2)])


def test_bytes_are_bounded_as_the_number_is(hosted) -> None:
    one = hosted(most_bytes=1)
    one.route(a=1, b=2)
    assert [one.ask(name).status_code for name in "abab"] == [200] * 4
    assert one.account()["models"] == 1
    assert len(one.loaded) == 4


def test_a_model_with_a_request_under_way_stays(hosted) -> None:
    one = hosted(most_models=1)
    one.ill[digest(1)] = lambda limits: Isolated(
        digest(1), TWO, "python", Launch(loader=f"{ILL}:by_order"), limits=limits
    ).open()
    one.route(held=1, other=2)
    assert one.ask("held", {"a": 0, "b": 0}).status_code == 200
    one.route(held=1, limits=EndpointLimits(timeout_ms=2_000, deadline_ms=60_000))
    with ThreadPoolExecutor(1) as pool:
        # It hangs until its deadline; meanwhile there is no room but by letting go of it.
        stuck = pool.submit(one.ask, "held", {"a": 2, "b": 0})
        held = one.places.known["held"].app.counts
        until(lambda: held.in_flight == 1 or stuck.done())
        assert one.ask("other").status_code == 200
        assert stuck.result().status_code == 504


def test_a_package_is_loaded_once_however_many_endpoints_serve_it(hosted) -> None:
    one = hosted()
    one.route(**{f"m{n}": 1 for n in range(30)})
    assert {one.ask(f"m{n}").status_code for n in range(30)} == {200}
    assert one.loaded == [digest(1)]
    assert (one.account()["models"], one.account()["awake"]) == (1, 30)


def test_endpoints_have_no_thread_of_their_own(hosted) -> None:
    one = hosted()
    one.route(**{f"m{n}": n + 1 for n in range(60)})
    one.ask("m0")
    before = threading.active_count()
    assert {one.ask(f"m{n}").status_code for n in range(60)} == {200}
    # Loaders are started as they are needed, up to their number, whatever that of the endpoints.
    assert threading.active_count() <= before + 16


def test_a_new_champion_answers_and_the_one_before_leaves(hosted) -> None:
    one = hosted()
    one.route(a=1)
    assert one.ask("a").json()["model_version"] == "a/1"
    one.route(a=2)
    until(lambda: one.ask("a").json()["model_version"] == "a/2")
    until(lambda: known(one) == [digest(2)])  # once the last who held the first has gone


def test_a_model_that_cannot_be_loaded_is_told_and_tried_again(hosted) -> None:
    one = hosted()

    def refuse(_: object) -> object:
        raise UnavailableError("its file is gone")

    one.ill[digest(1)] = refuse
    one.route(a=1, b=2)
    refused = one.ask("a")
    assert refused.status_code == 503
    assert "its file is gone" in one.client.get("/e/a/status").json()["trouble"]
    assert one.ask("b").status_code == 200
    del one.ill[digest(1)]
    until(lambda: one.ask("a").status_code == 200)


def test_an_endpoint_that_is_taken_away_answers_no_more_and_keeps_what_it_captured(hosted) -> None:
    one = hosted()
    one.route(a=1, b=2)
    assert one.ask("a").status_code == 200
    one.route(a=None)
    assert one.ask("a").status_code == 404
    until(lambda: capture.watermark(one.folder / "a") is not None)
    assert one.ask("b").status_code == 200


def test_the_catalog_lists_loads_and_lets_go(hosted) -> None:
    one = hosted()
    one.route(**{f"m{n}": n + 1 for n in range(5)})
    page, after = one.within(lambda: one.host.names(None, 2))
    assert ([m.name for m in page], after) == (["m0", "m1"], "m1")
    page, after = one.within(lambda: one.host.names("m3", 2))
    assert ([m.name for m in page], after) == (["m4"], None)
    made = one.within(lambda: one.host.load("m4", "m4@champion"))
    assert (made.loaded, made.version, made.reference) == (True, 5, "m4@champion")
    assert made.bytes > 0
    one.within(lambda: one.host.unload("m4"))
    assert one.within(lambda: one.host.get("m4")).loaded is False
    with pytest.raises(NotFoundError):
        one.within(lambda: one.host.load("m9"))
    assert one.within(lambda: one.host.load("m9", "other@champion")).reference == "other@champion"
    assert one.ask("m4").status_code == 200


def test_the_repository_of_an_endpoint_loads_and_lets_go(hosted) -> None:
    one = hosted()
    one.route(a=1)
    assert one.client.post("/e/a/v2/repository/models/a/load").status_code == 200
    assert one.loaded == [digest(1)]
    assert one.client.post("/e/a/v2/repository/models/a/unload").status_code == 200
    assert one.account()["models"] == 0
    assert one.ask("a").status_code == 200


def test_models_that_crash_hang_or_eat_memory_leave_a_good_one_alone(hosted) -> None:
    one = hosted()
    for number in (1, 2, 3):
        one.ill[digest(number)] = lambda limits, n=number: Isolated(
            digest(n), TWO, "python", Launch(loader=f"{ILL}:by_order"), limits=limits
        ).open()
    one.route(good=9)
    one.route(
        crashing=1,
        eating=3,
        limits=EndpointLimits(timeout_ms=60_000, deadline_ms=60_000, memory_mb=300),
    )
    one.route(hanging=2)
    assert one.ask("hanging", {"a": 0, "b": 0}).status_code == 200
    one.route(hanging=2, limits=EndpointLimits(timeout_ms=500, deadline_ms=60_000))
    orders = {"crashing": 1, "hanging": 2, "eating": 4}
    stop, good, ill = threading.Event(), [], {name: [] for name in orders}

    def load_good() -> None:
        with httpx.Client(base_url=one.client.base_url, timeout=60) as client:
            while not stop.is_set():
                answer = client.post("/e/good/invocations", json={"instances": [ROW]})
                good.append(answer.status_code)

    def hurt(name: str) -> None:
        with httpx.Client(base_url=one.client.base_url, timeout=60) as client:
            for _ in range(4):
                row = {"a": orders[name], "b": 0}
                answer = client.post(f"/e/{name}/invocations", json={"instances": [row]})
                ill[name].append(answer.status_code)

    hurting = [threading.Thread(target=hurt, args=(name,)) for name in orders]
    loading = threading.Thread(target=load_good)
    loading.start()
    for thread in hurting:
        thread.start()
    for thread in hurting:
        thread.join(120)
    stop.set()
    loading.join(60)
    assert set(good) == {200}
    assert set(ill["crashing"]) == {503}
    assert set(ill["eating"]) == {503}
    assert set(ill["hanging"]) <= {504, 503}
    assert 504 in ill["hanging"]
    assert one.client.get("/e/good/status").json()["errors"] == 0


def test_models_that_hang_elsewhere_keep_no_thread_from_others(hosted) -> None:
    one = hosted()
    names = [f"hanging{n}" for n in range(4)]
    for number in range(1, 6):
        one.ill[digest(number)] = lambda limits, n=number: Isolated(
            digest(n), TWO, "python", Launch(loader=f"{ILL}:by_order"), limits=limits
        ).open()
    one.route(well=5, **{name: n + 1 for n, name in enumerate(names)})
    for name in ("well", *names):
        assert one.ask(name, {"a": 0, "b": 0}).status_code == 200
    with ThreadPoolExecutor(8) as pool:
        stuck = [pool.submit(one.ask, name, {"a": 2, "b": 0}) for name in names for _ in "ab"]
        until(
            lambda: all(
                one.places.known[name].app.status()["versions"][str(n + 1)]["process"]["busy"]
                for n, name in enumerate(names)
            )
        )
        assert one.ask("well", {"a": 0, "b": 0}).status_code == 200
        assert not any(answer.done() for answer in stuck)
        for name in names:
            one.within(lambda n=name: one.places.known[n].scorers()[0].close())
        assert {answer.result().status_code for answer in stuck} == {503}


def test_asking_the_host_itself_needs_a_right(hosted) -> None:
    one = hosted()

    def nobody(_: object) -> object:
        raise UnauthenticatedError("Who asks?")

    one.host._authenticate = nobody
    assert [one.client.get(path).status_code for path in ("/status", "/metrics")] == [401, 401]


def test_sagemakers_contract_of_many_models_loads_lists_and_lets_go(hosted) -> None:
    one = hosted()
    one.route(north=1, south=2)
    post = one.client.post
    assert one.client.get("/models").json() == {"models": []}
    assert one.client.get("/models/north").status_code == 404
    asked = {"model_name": "north", "url": "north@champion"}
    told = {"modelName": "north", "modelUrl": "north@champion"}
    assert post("/models", json=asked).json() == told
    assert post("/models", json=asked).status_code == 409
    assert one.client.get("/models").json() == {"models": [told]}
    assert one.client.get("/models/north").json() == told
    rows = {"instances": [ROW]}
    headers = {"X-Amzn-SageMaker-Target-Model": "north.tar.gz"}
    found = post("/models/north/invoke", json=rows, headers=headers)
    assert found.json()["model_version"] == "north/1"
    assert found.headers["x-amzn-invoked-production-variant"] == "1"
    assert one.client.delete("/models/north").status_code == 200
    assert one.client.delete("/models/north").status_code == 404
    assert post("/models/north/invoke", json=rows).status_code == 200  # and it is back
    made = post("/models", json={"model_name": "west", "url": "wind"})
    assert made.json() == {"modelName": "west", "modelUrl": "wind@champion"}
    for body, status in (
        ({"model_name": "south", "url": "other"}, 409),
        ({"model_name": "south", "url": "/opt/ml/models/south/model"}, 400),
        ({"model_name": "south"}, 400),
    ):
        assert post("/models", json=body).status_code == status
    assert post("/models/none/invoke", json=rows).status_code == 404
    assert one.client.put("/models/north").status_code == 404


def test_the_list_of_models_comes_in_pages(hosted) -> None:
    one = hosted()
    one.route(**{f"m{n:03}": n + 1 for n in range(150)})
    for name in ("m000", "m099", "m100", "m149"):
        assert one.ask(name).status_code == 200
    page = one.client.get("/models").json()
    assert [each["modelName"] for each in page["models"]] == ["m000", "m099"]
    asked = {"next_page_token": page["nextPageToken"]}
    last = one.client.get("/models", params=asked).json()
    assert [each["modelName"] for each in last["models"]] == ["m100", "m149"]
    assert "nextPageToken" not in last


def test_a_model_that_finds_no_room_in_time_is_507_to_who_loads_it(hosted) -> None:
    one = hosted()
    one.gates[digest(1)] = threading.Event()
    one.route(slow=1, limits=EndpointLimits(timeout_ms=50))
    asked = {"model_name": "slow", "url": "slow"}
    assert one.client.post("/models", json=asked).status_code == 507
