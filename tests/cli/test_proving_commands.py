"""The project's tests from the command line, in real processes, and the evidence they leave."""

from pathlib import Path

import pytest

PROJECT = """
import mainspring as ms


@ms.step
def load(rows: int) -> list[int]:
    if rows < 0:
        return []
    return list(range(rows))


@ms.pipeline
def tide(rows: int = 3):
    return load(rows)
"""
TESTS = """
import project


def test_load():
    assert project.load(3) == [0, 1, 2]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take most of the time
    (tmp_path / "mainspring.toml").touch()
    (tmp_path / "project.py").write_text(PROJECT)
    (tmp_path / "test_it.py").write_text(TESTS)
    # Tests beside this one have a pytest configuration above them; this project has its own.
    (tmp_path / "pytest.ini").write_text("[pytest]\n\n")
    return tmp_path


def test_passed_tests_are_evidence_on_the_code_they_ran_on(say, project: Path) -> None:
    said = say("test", "-q", "--json")
    assert said.code == 0, said.err
    [found] = said.json["evidence"]
    assert (found["kind"], found["subject"]) == ("tests", "pipeline:project:tide")
    assert "1 tests passed" in found["found"]
    assert found["detail"]["lines"] == {"project:load": [2, 3]}
    assert [one["id"] for one in say("evidence", "--kind", "tests", "--json").json] == [
        found["id"]
    ]

    (project / "project.py").write_text(PROJECT.replace("range(rows)", "range(rows + 1)"))
    broken = say("test", "-q", "--json")
    assert broken.code == 1
    [after] = broken.json["evidence"]
    assert after["passed"] is False
    assert "test_load" in after["found"]
    assert after["code"] != found["code"]


def test_no_test_at_all_is_no_pass_and_a_broken_project_is_said_plainly(say, project) -> None:
    nothing = say("test", "-q", "-k", "nothing")
    assert (nothing.code, "no test passed" in nothing.out) == (1, True)
    (project / "project.py").write_text("import no_such_module_here\n")
    broken = say("test", "-q")
    assert broken.code == 2
    assert "no_such_module_here" in broken.err
