"""A transaction on a database in memory, and a small world to monitor."""

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

from mainspring.ground.objects import Column, ColumnProfile, MonitorPolicy, Profile, Signature
from mainspring.ground.permissions import Principal, service
from mainspring.monitoring.tables import METADATA
from mainspring.numerics.profiles import profile_columns, profile_scores

SPAN = (0.0, 1000.0)
POLICY = MonitorPolicy(window_s=1000.0, label_delay_s=500.0)
CITIES = ["Ulm", "Bonn", "Kiel", "Jena", "Hof"]
CHANCES = [0.4, 0.3, 0.15, 0.1, 0.05]

#: Ten numbers, four texts and a truth value; "idle" is nothing to the model.
NUMBERS = [f"n{i}" for i in range(9)] + ["idle"]
TEXTS = ["city", "class", "carrier", "tail"]
SIGNATURE = Signature(
    columns=[
        *(Column(name=name, type="float") for name in NUMBERS),
        *(Column(name=name, type="str") for name in TEXTS),
        Column(name="night", type="bool"),
    ],
    kind="binary",
    target="late",
    classes=["false", "true"],
)


def rows(count: int, seed: int) -> pl.DataFrame:
    """Return captured rows of one window, answered by version 3."""
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {
        "_id": [f"{seed:08x}-{n}" for n in range(count)],
        "_time": np.sort(rng.uniform(*SPAN, count)),
        "_received": np.full(count, 2000.0),
        "_version": np.full(count, 3, dtype=np.int64),
        "_score": rng.beta(2, 5, count),
        "_other_version": pl.Series([None] * count, dtype=pl.Int64),
        "_other_score": pl.Series([None] * count, dtype=pl.Float64),
    }
    for place, name in enumerate(NUMBERS):
        values = rng.normal(place, 1 + place, count)
        if place % 3 == 1:
            values = np.round(np.exp(values / 10), 1)  # skewed, with ties
        if place % 3 == 2:
            values[rng.random(count) < 0.05] = np.nan
        made[name] = values
    made["city"] = rng.choice(CITIES, count, p=CHANCES)
    made["class"] = pl.Series(rng.choice(["a", "b"], count)).set(
        pl.Series(rng.random(count) < 0.03), None
    )
    # Many rare values, so that some come that training never saw.
    made["carrier"] = [f"c{int(v)}" for v in rng.pareto(1.0, count) * 4]
    made["tail"] = [f"t{v}" for v in rng.integers(0, 800, count)]
    made["night"] = rng.random(count) < 0.3
    return pl.DataFrame(made)


def baseline(count: int = 20_000, seed: int = 1, loss: float | None = 0.15) -> Profile:
    """Return the profile of training rows from the same population."""
    train = rows(count, seed)
    names = [*NUMBERS, *TEXTS, "night"]
    shares = dict.fromkeys(names, 0.07) | {"idle": 0.0}
    columns: list[ColumnProfile] = profile_columns({n: train[n] for n in names}, shares)
    return Profile(
        rows=count, columns=columns, score=profile_scores(train["_score"].to_numpy()), loss=loss
    )


@pytest.fixture(scope="session")
def world() -> SimpleNamespace:
    """The population: rows of a window, the baseline of its training rows, and the policy."""
    return SimpleNamespace(
        rows=rows,
        baseline=baseline,
        usual=baseline(),
        signature=SIGNATURE,
        policy=POLICY,
        span=SPAN,
    )


class MemoryTx:
    """What the rooms ask of a transaction, on one connection."""

    dialect = "sqlite"

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    @property
    def who(self) -> Principal:
        return service("engine")

    def all(self, statement: Any, values: Any = None) -> Sequence[Any]:
        return self._connection.execute(statement, values).all()

    def one(self, statement: Any, values: Any = None) -> Any | None:
        return self._connection.execute(statement, values).first()

    def run(
        self,
        statement: Any,
        rows: Sequence[Mapping[str, Any]] | None = None,
        values: Any = None,
    ) -> int:
        return self._connection.execute(statement, rows or values).rowcount

    def audit(self, action: str, subject: str, detail: Any, reason: str = "") -> None:
        raise NotImplementedError

    def now(self) -> float:
        raise NotImplementedError

    def lease_now(self) -> float:
        raise NotImplementedError


@pytest.fixture
def tx() -> Iterator[MemoryTx]:
    engine = sa.create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.begin() as connection:
        yield MemoryTx(connection)
    engine.dispose()
