"""Numbers and hints are asked of both databases, through the real store."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import msgspec
import pytest

from mainspring.backends.sql.opening import open_store
from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.permissions import Permission, owner
from mainspring.ground.ports import Store
from mainspring.pipelines.data import known, versions
from mainspring.pipelines.data.manifest import Part
from mainspring.pipelines.data.tables import METADATA
from mainspring.pipelines.data.versions import DataVersion, parse


def digest(number: int) -> str:
    return f"{number:x}".ljust(64, "0")


def place(number: int) -> str:
    return f"{number:064x}"


def version(name: str, number: int) -> DataVersion:
    return DataVersion(
        name=name,
        number=0,
        digest=digest(number),
        manifest=digest(number + 1),
        kind="folder",
        created=1.0,
        by="owner",
        files=1,
        bytes=2**40,
        meta={"rows": 3},
    )


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request, tmp_path_factory) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('db') / 'm.db'}"
    return request.getfixturevalue("postgres_server").create(f"data{os.getpid()}")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    kept = open_store(url, [METADATA], TurnedClock(1e9))
    yield kept
    kept.close()


def test_versions_are_numbered_found_and_removed(store: Store) -> None:
    def write(work):
        return store.write(owner(), Permission.LOG, work)

    def resolve(text: str) -> int:
        return store.read(owner(), Permission.READ, lambda tx: versions.resolve(tx, text)).number

    made = [
        write(lambda tx, n=n: versions.add(tx, version("a", n))) for n in (0xABCDEF1, 0x55, 0x55)
    ]
    assert [one.number for one in made] == [1, 2, 2]  # the same again is no new one
    assert made[0] == msgspec.structs.replace(version("a", 0xABCDEF1), number=1)
    assert [resolve(text) for text in ("a", "a@latest", "a@1", "a@abcdef1")] == [2, 2, 1, 1]
    with pytest.raises(NotFoundError, match="a@9") as caught:
        resolve("a@9")
    assert caught.value.hint == "a has versions 2, 1."
    write(lambda tx: versions.add(tx, version("a", 0xABCDEF2)))
    with pytest.raises(ConflictError, match="could be a@3, a@1"):
        resolve("a@abcdef")
    write(lambda tx: versions.remove(tx, "a", 3))
    assert resolve("a") == 2
    assert write(lambda tx: versions.add(tx, version("a", 0x77))).number == 4  # 3 never comes back
    assert write(lambda tx: versions.add_once(tx, version("a", 0xABCDEF1))).number == 1
    listed = store.read(owner(), Permission.READ, versions.names)
    told = {one.newest.name: (one.newest.number, one.versions) for one in listed}
    assert told["a"] == (4, 3)
    with pytest.raises(NotFoundError, match="There is no data version 'b'"):
        store.read(owner(), Permission.READ, lambda tx: versions.every(tx, "b"))


def test_who_adds_at_once_gets_numbers_of_their_own(store: Store) -> None:
    gate, found = threading.Barrier(4), []

    def go(start: int) -> None:
        gate.wait()
        for number in range(start, start + 5):
            work = version("race", number)
            made = store.write(
                owner(), Permission.LOG, lambda tx, work=work: versions.add(tx, work)
            )
            found.append(made.number)

    threads = [threading.Thread(target=go, args=(1000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 21))


def test_hints_are_kept_changed_and_forgotten(store: Store) -> None:
    places = {place(n): Part(place(n % 2 + 1), n, 7) for n in range(1, 1200)}
    store.write(owner(), Permission.LOG, lambda tx: known.note(tx, places))
    moved = {place(3): Part(place(9), 1, 7)}
    store.write(owner(), Permission.LOG, lambda tx: known.note(tx, moved))
    find = store.read(owner(), Permission.LOG, lambda tx: known.find(tx, [*places, place(5000)]))
    assert find == places | moved
    gone = store.write(owner(), Permission.LOG, lambda tx: known.forget(tx, [place(1)]))
    assert gone == 599
    find = store.read(owner(), Permission.LOG, lambda tx: known.find(tx, places))
    assert set(find) == {one for one, part in (places | moved).items() if part.object != place(1)}


@pytest.mark.parametrize("text", ["", "a@", "a@x7", "a@12345678901x", "a@-1", "a/b@1", "a@1@2"])
def test_what_names_no_version_is_refused(text: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parse(text)
    assert caught.value.field == "dataset"
