"""The last resort, attacked: what may be unpickled is what this home itself wrote, and no more."""

from __future__ import annotations

import pickle
import stat
import threading
import warnings
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.pipelines.conftest import MemoryObjects

from mainspring.backends.objects import open_objects
from mainspring.ground.errors import DamagedError, PermissionDeniedError, ProjectError
from mainspring.ground.identity import canonical
from mainspring.ground.ports import Objects
from mainspring.pipelines import outputs
from mainspring.pipelines.outputs import pickled

BURNT: list[str] = []  #: what a pickle that was read has run


class Bomb:
    """Runs something when it is unpickled."""

    def __reduce__(self) -> Any:
        return BURNT.append, ("boom",)


class Odd:
    """Has no other form: it is neither a dataclass nor anything else that says its fields."""

    def __init__(self, weight: Any) -> None:
        self.weight = weight


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pickled, "_home", [])
    monkeypatch.setattr(pickled, "_seal", [])
    place = tmp_path / "home"
    place.mkdir()
    pickled.install(place)
    BURNT.clear()
    return place


def keep(value: Any, objects: Objects) -> outputs.Stored:
    with pytest.warns(pickled.PickledWarning):
        return outputs.encode(value, objects, "Step train returned what cannot be kept")


def read(kept: outputs.Stored, objects: Objects) -> Any:
    return outputs.decode(kept.digest, kept.type, objects, Path("/nonexistent"))


def test_what_has_no_other_form_comes_back(home: Path) -> None:
    objects = MemoryObjects()
    kept = keep({"model": Odd([1, {2, 3}]), "n": 3}, objects)
    assert set(kept.blobs) == set(objects.kept)
    back = read(kept, objects)
    assert (back["model"].weight, back["n"]) == ([1, {2, 3}], 3)


def test_the_key_is_the_owners_alone_and_in_nothing_that_is_kept(home: Path) -> None:
    objects = MemoryObjects()
    keep(Odd(1), objects)
    file = home / pickled.KEY
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = file.read_bytes()
    assert len(key) == 32
    for data in objects.kept.values():
        assert key not in data
        assert key.hex().encode() not in data
    assert [one.name for one in home.iterdir()] == [pickled.KEY]


def test_who_comes_first_at_once_makes_the_one_key(home: Path) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(pickled.read_key(home))) for _ in range(8)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_the_warning_names_the_step_the_type_and_what_is_better(home: Path) -> None:
    with pytest.warns(pickled.PickledWarning) as heard:
        outputs.encode(Odd(1), MemoryObjects(), "Step train returned what cannot be kept")
    told = str(heard[0].message)
    assert told.startswith("Step train returned a ")
    assert "Odd, which was kept by pickle" in told
    assert "make Odd a dataclass or a msgspec Struct" in told


def test_the_same_value_gives_the_same_bytes_however_its_parts_are_shared(home: Path) -> None:
    text = "weight of " + "x" * 5
    shared = Odd([text, text])
    apart = Odd([text, "".join(["weight of ", "xxxxx"])])
    first, second = (keep(one, MemoryObjects()) for one in (shared, Odd([text, text])))
    assert first == second
    assert read_of(apart) == [text, text]


def read_of(value: Odd) -> Any:
    objects = MemoryObjects()
    return read(keep(value, objects), objects).weight


def test_a_pickle_that_somebody_put_there_is_not_read(home: Path) -> None:
    objects = MemoryObjects()
    seal = pickled._own()
    content = objects.put(pickle.dumps(Bomb()))
    told = {
        "format": 1,
        "workspace": seal.workspace,
        "content": content,
        "type": "builtins.object",
        "python": "3.11.7",
    }
    for mac in ("", "0" * 64, pickled.Seal(b"x" * 32).mac(told)):
        forged = objects.put(canonical({**told, "mac": mac}))
        with pytest.raises(PermissionDeniedError, match="not this home's"):
            outputs.decode(forged, f"pickle@{seal.workspace}", objects, Path("/nonexistent"))
    assert BURNT == []


@pytest.mark.parametrize("field", ["content", "type", "python", "workspace"])
def test_a_signature_says_nothing_of_anything_else(home: Path, field: str) -> None:
    objects = MemoryObjects()
    kept = keep(Odd(1), objects)
    told = msgspec.json.decode(objects.get(kept.digest))
    other = objects.put(pickle.dumps(Bomb())) if field == "content" else "f" * 16
    replayed = objects.put(canonical({**told, field: other}))
    with pytest.raises(PermissionDeniedError):
        outputs.decode(replayed, "pickle", objects, Path("/nonexistent"))
    assert BURNT == []


def test_what_one_home_pickled_no_other_reads(home: Path, tmp_path: Path) -> None:
    objects = MemoryObjects()
    kept = keep({"deep": [Odd(1)]}, objects)
    assert outputs.usable(kept.type, home)
    other = tmp_path / "other"
    other.mkdir()
    assert not outputs.usable(kept.type, other), "so that its step runs anew there"
    pickled.install(other)
    with pytest.raises(PermissionDeniedError, match="in another home"):
        read(kept, objects)
    pickled.install(home)
    assert read(kept, objects)["deep"][0].weight == 1


def test_a_process_that_stands_in_no_home_reads_and_writes_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = MemoryObjects()
    kept = keep(Odd(1), objects)
    monkeypatch.setattr(pickled, "_home", [])
    monkeypatch.setattr(pickled, "_seal", [])
    assert not outputs.usable(kept.type, None)
    assert outputs.usable("frame", None)
    with pytest.raises(PermissionDeniedError, match="stands in none"):
        read(kept, objects)
    with pytest.raises(ProjectError, match="Odd cannot be kept"):
        outputs.encode(Odd(1), objects)


def test_bytes_that_changed_under_their_signature_are_not_read(home: Path) -> None:
    objects = open_objects(str(home / "objects"))
    kept = keep(Odd(1), objects)
    content = msgspec.json.decode(objects.get(kept.digest))["content"]
    (home / "objects" / content[:2] / content[2:]).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DamagedError):
        read(kept, objects)
    assert BURNT == []


@pytest.mark.parametrize("data", [b"", b"\x80\x05.", b"[]", b"{}", b'{"format":2}'])
def test_what_is_no_manifest_is_said_to_be_none(home: Path, data: bytes) -> None:
    objects = MemoryObjects()
    with pytest.raises(DamagedError, match="no pickle of ours"):
        outputs.decode(objects.put(data), "pickle", objects, Path("/nonexistent"))


class Changed:
    """Can be pickled, and not be read again."""

    def __setstate__(self, state: Any) -> None:
        raise ValueError("not any more")

    def __getstate__(self) -> Any:
        return {"a": 1}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (lambda: 1, "lambda"),
        (threading.Lock(), "lock"),
        (Changed(), "not any more"),
        ((n for n in ()), "generator"),
    ],
    ids=["a lambda", "a lock", "unreadable", "a generator"],
)
def test_what_pickle_cannot_keep_is_refused_by_the_step_that_made_it(
    home: Path, value: Any, why: str
) -> None:
    with pytest.raises(ProjectError, match=rf"(?s)Step train.*not even by pickle.*{why}"):
        outputs.encode(value, MemoryObjects(), "Step train returned what cannot be kept")


def test_a_key_that_is_none_is_said(home: Path) -> None:
    (home / pickled.KEY).write_bytes(b"short")
    with pytest.raises(DamagedError, match="does not hold a key"):
        outputs.encode(Odd(1), MemoryObjects())


def test_within_a_test_a_key_passes_and_nothing_is_left(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickled, "_home", [])
    objects = MemoryObjects()
    with pickled.within(None):
        kept = keep(Odd(7), objects)
        assert read(kept, objects).weight == 7
    with pytest.raises(PermissionDeniedError):
        read(kept, objects)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert outputs.encode([1], objects).type == "json"
