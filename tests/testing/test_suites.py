"""The suites catch a backend that breaks a promise."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

BROKEN_OBJECTS = """
    import hashlib
    import time
    import pytest
    from mainspring.testing import ObjectsPromises
    from mainspring.testing.objects import ObjectsPlace
    from mainspring.ground.errors import NotFoundError
    from mainspring.ground.ports import Kept
    from mainspring.ground.identity import check_digest

    class Careless:
        def __init__(self):
            self.kept, self.ats = {}, {}
        def put(self, data):
            digest = hashlib.sha256(data).hexdigest()
            self.kept[digest], self.ats[digest] = data, time.time()
            return digest
        def renew(self, digest):
            return self.has(digest) and bool(self.ats.update({digest: time.time()}) or True)
        def part(self, digest, start, count):
            return self.get(digest)[start:start + count]
        def each(self):
            for digest, data in self.kept.items():
                yield Kept(digest, len(data), self.ats[digest])
        def delete(self, digest, before):
            if digest not in self.kept or self.ats[digest] >= before:
                return False
            del self.kept[digest]
            return True
        def age(self, digest, seconds):
            self.ats[digest] -= seconds
        def get(self, digest):
            check_digest(digest)
            if digest not in self.kept:
                raise NotFoundError(f"There is no object {digest}.")
            return self.kept[digest]
        def has(self, digest):
            check_digest(digest)
            return digest in self.kept
        def size(self, digest):
            return len(self.get(digest))
        def put_file(self, source):
            if not hasattr(source, "exists"):
                return self.put(b"".join(bytes(piece) for piece in source))
            if not source.exists():
                raise NotFoundError("no file")
            return self.put(source.read_bytes())
        def fetch(self, digest, target):
            target.write_bytes(self.get(digest))

    class TestCareless(ObjectsPromises):
        @pytest.fixture
        def place(self):
            careless = Careless()
            spoil = careless.kept.__setitem__
            return ObjectsPlace(open=lambda: careless, spoil=spoil, age=careless.age)
"""


def test_objects_that_do_not_verify_are_found_out(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(textwrap.dedent(BROKEN_OBJECTS))
    result = pytester.runpytest("-p", "no:randomly", "-p", "no:cacheprovider")
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 1
    result.stdout.fnmatch_lines(["*FAILED*test_a_flipped_bit_is_found*"])


def test_suites_are_loaded_only_when_asked_for() -> None:
    import subprocess
    import sys

    root = str(Path(__file__).parents[2] / "src")
    code = "import sys, mainspring.testing; print('pytest' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": root},
    )
    assert done.stdout.strip() == "False"


def test_an_unknown_suite_is_an_attribute_error() -> None:
    import mainspring.testing

    with pytest.raises(AttributeError, match="NoPromises"):
        _ = mainspring.testing.NoPromises


def test_a_missing_server_says_what_to_install(monkeypatch) -> None:
    from mainspring.ground.errors import UnavailableError
    from mainspring.testing import postgres

    monkeypatch.setattr(postgres.shutil, "which", lambda _: None)
    monkeypatch.setattr(postgres.Path, "glob", lambda *_: iter(()))
    with pytest.raises(UnavailableError, match="apt-get install postgresql"):
        postgres.find_binaries()
