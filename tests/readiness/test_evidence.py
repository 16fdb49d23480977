"""Evidence is kept once, found by subject and kind, and never rewritten, in both databases."""

import msgspec
import pytest
from sqlalchemy import update

from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.objects import Evidence
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Store
from mainspring.readiness import evidence
from mainspring.readiness.tables import GUARDS, METADATA
from mainspring.readiness.tables import evidence as table

ENGINE = service("engine")


@pytest.fixture
def store(open_test_store) -> Store:
    return open_test_store([METADATA], GUARDS)


def _made(name: str, at: float, **more) -> Evidence:
    told = {"kind": "load", "subject": "delays/1", "passed": True, "found": "p99 4.1 ms."}
    return Evidence(**{"id": name, "at": at, "by": "engine", **told, **more})


def test_evidence_is_read_back_as_it_was_kept(store):
    told = _made("ev_1", 5.0, detail={"p99_ms": 4.1}, opens=["run:run_1"], code="ab", passed=None)
    _write(store, told)
    assert store.read(ENGINE, Permission.READ, lambda tx: evidence.get(tx, "ev_1")) == told
    with pytest.raises(NotFoundError, match="no evidence 'ev_2'"):
        store.read(ENGINE, Permission.READ, lambda tx: evidence.get(tx, "ev_2"))


def test_the_same_id_is_kept_once_and_nothing_rewrites_it(store):
    _write(store, _made("ev_1", 5.0))
    _write(store, _made("ev_1", 9.0, found="Something else."))
    [kept] = store.read(ENGINE, Permission.READ, lambda tx: evidence.listing(tx))
    assert kept.at == 5.0
    with pytest.raises(Exception, match="written once"):
        store.write(ENGINE, Permission.WORK, lambda tx: tx.run(update(table).values(found="x")))


def test_what_stands_is_the_newest_of_each_kind_on_each_subject(store):
    _write(store, _made("ev_1", 1.0))
    _write(store, _made("ev_2", 2.0, passed=False))
    _write(store, _made("ev_3", 3.0, kind="scan"))
    _write(store, _made("ev_4", 4.0, subject="model:delays", kind="staleness"))
    _write(store, _made("ev_5", 5.0, subject="delays/2"))

    def look(tx):
        return evidence.standing(tx, "delays/1", "model:delays"), evidence.newest(
            tx, "load", "delays/1"
        )

    found, newest = store.read(ENGINE, Permission.READ, look)
    assert [one.id for one in found] == ["ev_4", "ev_3", "ev_2"]
    assert newest is not None
    assert newest.id == "ev_2"
    assert newest.passed is False


@pytest.mark.parametrize("field", ["kind", "subject", "found"])
def test_evidence_that_says_nothing_is_refused(store, field):
    blank = msgspec.structs.replace(_made("ev_1", 1.0), **{field: " "})
    with pytest.raises(BadInputError, match=f"needs a {field}"):
        _write(store, blank)


def _write(store: Store, one: Evidence) -> None:
    store.write(ENGINE, Permission.WORK, lambda tx: evidence.record(tx, one))
