"""Small models, objects in memory, a real server on loopback."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import msgspec
import numpy as np
import polars as pl
import pytest

from mainspring.ground.errors import DamagedError, NotFoundError
from mainspring.ground.objects import EndpointLimits, Routing, Strategy
from mainspring.ground.permissions import owner
from mainspring.ground.settings import Settings
from mainspring.scaling.models import load, package
from mainspring.scaling.models.model import FittedModel, Model
from mainspring.scaling.serving.app import EndpointApp
from mainspring.scaling.serving.capture import CaptureWriter
from serving_in_a_thread import answering
from waiting import until


class MemoryObjects(dict[str, bytes]):
    def put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self[digest] = data
        return digest

    def get(self, digest: str) -> bytes:
        if digest not in self:
            raise NotFoundError(f"no {digest}")
        if hashlib.sha256(self[digest]).hexdigest() != digest:
            raise DamagedError(f"{digest} is damaged")
        return self[digest]


def flights(rows: int = 1500, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "distance": rng.uniform(50, 3000, rows).round(1),
            "hour": rng.integers(0, 24, rows),
            "carrier": rng.choice(["AA", "B6", "UA"], rows),
            "weekend": rng.random(rows) > 0.7,
            "at": 1.4e9 + np.arange(rows) * 60.0,
        }
    )
    risk = (frame["hour"] - 12) / 6 + (frame["carrier"] == "B6").cast(float)
    late = (risk.to_numpy() + rng.normal(0, 0.5, rows)) > 0.5
    return frame.with_columns(late=pl.Series(np.where(late, "late", "on time")))


#: A request of a test has its turn and its answer however late a busy machine comes to it.
PATIENT = EndpointLimits(deadline_ms=60_000, timeout_ms=60_000)
INPUTS = ["distance", "hour", "carrier", "weekend"]
ROW = {"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}


@pytest.fixture(scope="session")
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture(scope="session")
def rows() -> pl.DataFrame:
    return flights()


@pytest.fixture(scope="session")
def fitted(rows: pl.DataFrame) -> FittedModel:
    from sklearn.ensemble import HistGradientBoostingClassifier

    estimator = HistGradientBoostingClassifier(max_iter=20, random_state=0)
    model = Model(estimator, target="late", time="at", positive="late")
    return model.fit(rows[:1000], rows[1000:])


@pytest.fixture(scope="session")
def first(fitted: FittedModel, objects: MemoryObjects) -> str:
    return package.write(fitted, objects)


@pytest.fixture(scope="session")
def second(rows: pl.DataFrame, objects: MemoryObjects) -> str:
    from sklearn.linear_model import LogisticRegression

    model = Model(
        LogisticRegression(),
        target="late",
        time="at",
        positive="late",
        columns=INPUTS,
        features={"late_hour": "hour / 24.0", "carrier": "upper(carrier)"},
    )
    return package.write(model.fit(rows[:1000], rows[1000:]), objects)


def patiently(routing: Routing) -> Routing:
    """Return a routing whose requests are waited for, unless it says how long itself."""
    if routing.options.limits != EndpointLimits():
        return routing
    options = msgspec.structs.replace(routing.options, limits=PATIENT)
    return msgspec.structs.replace(routing, options=options)


class Stage:
    """One endpoint that really serves, with a routing that a test may change."""

    def __init__(self, folder: Path, objects: MemoryObjects, routing: Routing, **options) -> None:
        self.routing = patiently(routing)
        self.serial = 0
        self.objects = objects
        self.captures = CaptureWriter(folder, **options.pop("capture", {}))
        self.folder = folder
        self.loaded: list[str] = []
        self.app = EndpointApp(
            "flights",
            lambda: self.routing,
            options.pop("loader", self.load),
            self.captures,
            options.pop("authenticate", lambda scope: owner()),
            options.pop("settings", Settings(root="", home="", max_body_mb=1)),
            changed=lambda: self.serial,
            **options,
        )
        self._serving = ExitStack()
        self.port = self._serving.enter_context(answering(self.app))
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def load(self, digest: str) -> load.Served:
        self.loaded.append(digest)
        return load.load(digest, self.objects)

    def route(self, **changes) -> None:
        """Have another routing, and wait until it is followed or cannot be."""
        now = self.app.generations
        before = now.current.serial
        self.routing = patiently(msgspec.structs.replace(self.routing, **changes))
        self.serial += 1
        until(lambda: now.current.serial > before or now.trouble)

    def predict(self, rows: list[dict], **headers: str) -> dict:
        answer = self.client.post(
            "/invocations", json={"dataframe_records": rows}, headers=headers
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def close(self) -> None:
        self.client.close()
        self._serving.close()


@pytest.fixture
def stage(tmp_path: Path, objects: MemoryObjects, first: str) -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(**options) -> Stage:
        routing = options.pop("routing", None) or Routing(
            endpoint="flights", model="flights", champion=1, champion_package=first
        )
        made.append(Stage(tmp_path / f"captures{len(made)}", objects, routing, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


CANARY = {"challenger": 2, "strategy": Strategy.CANARY, "share": 0.2, "rollout": "r1"}
