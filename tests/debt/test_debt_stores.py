"""Every question of the room is asked of both databases, through the real store."""

from collections.abc import Iterator

import msgspec
import pytest

from mainspring.backends.sql.opening import open_store
from mainspring.debt import consumers, ledger
from mainspring.debt.consumers import Consumer
from mainspring.debt.findings import finding
from mainspring.debt.scan import standing
from mainspring.debt.tables import METADATA
from mainspring.ground.clock import TurnedClock
from mainspring.ground.deprecations import Deprecation
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.permissions import Permission, owner
from mainspring.ground.ports import Store

ONE = finding("no_owner", "high", "model:m", "card", found="f", cost="c", todo="t")
OTHER = finding("prototype", "low", "m/1", "run", found="f", cost="c", todo="t")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'd.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("new_database")()
    kept = open_store(url, [METADATA], TurnedClock(1e9))
    yield kept
    kept.close()


def test_scans_are_kept_in_order_and_the_newest_whole(store):
    def work(tx):
        for at, found in ((1.0, [ONE, OTHER]), (2.0, [ONE])):
            ledger.record(tx, standing(found, {}, at), ["a"], "", at)
        ledger.record(tx, standing([OTHER], {}, 3.0), [], "m", 3.0)
        return ledger.newest(tx), ledger.newest(tx, "m"), ledger.trend(tx)

    newest, of_model, line = store.write(owner(), Permission.LOG, work)
    assert newest[1] == [ONE]
    assert of_model[1] == [OTHER]
    assert [(row.at, row.open, row.weight) for row in line] == [(1.0, 2, 10), (2.0, 1, 9)]
    assert line[0].ids == [ONE.id, OTHER.id]
    assert line[1].unseen == ["a"]
    assert store.read(owner(), Permission.READ, lambda tx: ledger.newest(tx, "none")) is None


def test_the_newest_word_on_a_finding_holds_and_only_found_debt_is_accepted(store):
    def work(tx):
        ledger.record(tx, standing([ONE], {}, 1.0), [], "", 1.0)
        ledger.accept(tx, ONE.id, 10.0, "soon", 2.0)
        ledger.accept(tx, ONE.id, 20.0, " later ", 3.0)
        return ledger.accepted(tx)

    said = store.write(owner(), Permission.PROMOTE, work)
    assert (said[ONE.id].until, said[ONE.id].reason) == (20.0, "later")
    for given, error in (
        ((OTHER.id, 10.0, "r"), NotFoundError),
        ((ONE.id, 1.0, "r"), BadInputError),
        ((ONE.id, 10.0, " "), BadInputError),
    ):
        with pytest.raises(error):
            store.write(
                owner(), Permission.PROMOTE, lambda tx, g=given: ledger.accept(tx, *g, 5.0)
            )


def test_consumers_are_replaced_listed_and_forgotten(store):
    one = Consumer(endpoint="e", name="bill", owner=" pay ", tokens=["ci"], clients=["web"])

    def work(tx):
        consumers.add(tx, one)
        consumers.add(tx, msgspec.structs.replace(one, owner="team"))
        consumers.add(tx, msgspec.structs.replace(one, endpoint="f"))
        return consumers.every(tx), consumers.of_endpoint(tx, "e")

    every, mine = store.write(owner(), Permission.SERVE, work)
    assert [(each.endpoint, each.owner) for each in every] == [("e", "team"), ("f", "pay")]
    assert (mine[0].tokens, mine[0].clients) == (["ci"], ["web"])
    store.write(owner(), Permission.SERVE, lambda tx: consumers.remove(tx, "e", "bill"))
    with pytest.raises(NotFoundError):
        store.write(owner(), Permission.SERVE, lambda tx: consumers.remove(tx, "e", "bill"))
    for bad in ({"owner": " "}, {"name": "a b"}, {"clients": ["me@example.com"]}):
        with pytest.raises(BadInputError):
            store.write(
                owner(),
                Permission.SERVE,
                lambda tx, b=bad: consumers.add(tx, msgspec.structs.replace(one, **b)),
            )


def test_what_goes_away_is_said_said_anew_and_taken_back(store):
    gone = Deprecation(subject="endpoint:e", since=1.0, until=9.0, reason="r", by="")

    def work(tx):
        consumers.deprecate(tx, gone)
        consumers.deprecate(tx, msgspec.structs.replace(gone, until=5.0, use="endpoint:f"))
        consumers.deprecate(tx, msgspec.structs.replace(gone, subject="model:m"))
        return consumers.deprecated(tx)

    said = store.write(owner(), Permission.PROMOTE, work)
    assert [(one.subject, one.until, one.use) for one in said] == [
        ("endpoint:e", 5.0, "endpoint:f"),
        ("model:m", 9.0, ""),
    ]
    store.write(owner(), Permission.SERVE, lambda tx: consumers.forget(tx, "e"))
    left = store.read(owner(), Permission.READ, consumers.deprecated)
    assert [one.subject for one in left] == ["model:m"]
    assert (
        store.write(owner(), Permission.PROMOTE, lambda tx: consumers.take_back(tx, "model:m"))
    ).reason == "r"
    with pytest.raises(NotFoundError):
        store.write(owner(), Permission.PROMOTE, lambda tx: consumers.take_back(tx, "model:m"))
    with pytest.raises(BadInputError):
        store.write(
            owner(),
            Permission.PROMOTE,
            lambda tx: consumers.deprecate(tx, msgspec.structs.replace(gone, until=1.0)),
        )
