"""Files and variables that a step declares count by what is in them; secrets are never told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.ground.errors import BadInputError, ConflictError, ProjectError
from mainspring.pipelines import declared
from mainspring.pipelines.options import Options, settle

KEY = b"k" * 32


def parts(root: Path, **options: list[str]) -> dict[str, str]:
    return declared.parts(root, Options(**options), KEY)


def test_a_file_and_a_folder_count_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "b").write_text("1")
    before = parts(tmp_path, files=["a.json", "deep"])
    (tmp_path / "a.json").touch()
    assert parts(tmp_path, files=["a.json", "deep"]) == before
    (tmp_path / "deep" / "er" / "b").write_text("2")
    after = parts(tmp_path, files=["a.json", "deep"])
    assert {name for name in before if before[name] != after[name]} == {"file deep"}


@pytest.mark.parametrize("name", ["gone.json", "../outside", "/etc/passwd"])
def test_a_file_that_is_not_there_or_not_the_projects_is_refused(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(ProjectError, match="files="):
        parts(tmp_path, files=[name])


def test_a_variable_counts_by_its_value_and_a_secret_by_a_digest_with_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGION", "eu")
    monkeypatch.setenv("API_KEY", "hunter2")
    monkeypatch.delenv("NOWHERE", raising=False)
    found = parts(tmp_path, variables=["REGION", "API_KEY", "NOWHERE"])
    assert found["variable REGION"] == "=eu"
    assert found["variable NOWHERE"] == "not set"
    assert "hunter2" not in str(found)
    other = declared.parts(tmp_path, Options(variables=["API_KEY"]), b"o" * 32)
    assert other["variable API_KEY"] != found["variable API_KEY"]


def test_a_variable_is_set_to_what_it_was_when_the_run_was_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setenv("REGION", "eu")
    monkeypatch.delenv("NOWHERE", raising=False)
    planned = parts(tmp_path, variables=["REGION", "NOWHERE"])
    monkeypatch.setenv("REGION", "us")
    monkeypatch.setenv("NOWHERE", "here")
    declared.settle(planned, tmp_path, "load", KEY)
    assert os.environ["REGION"] == "eu"
    assert "NOWHERE" not in os.environ


def test_another_secret_or_a_changed_file_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_text("{}")
    monkeypatch.setenv("API_KEY", "one")
    planned = parts(tmp_path, files=["a.json"], variables=["API_KEY"])
    declared.settle(planned, tmp_path, "load", KEY)
    monkeypatch.setenv("API_KEY", "two")
    with pytest.raises(ConflictError, match="Variable API_KEY"):
        declared.settle(planned, tmp_path, "load", KEY)
    monkeypatch.setenv("API_KEY", "one")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(ConflictError, match=r"File a\.json"):
        declared.settle(planned, tmp_path, "load", KEY)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("=eu", "=us", "eu -> us"),
        ("not set", "=us", "not set -> us"),
        (None, "=us", "is declared now"),
        ("=eu", None, "is not declared any more"),
        ("secret a", "secret b", "changed (it is a secret)"),
        ("not set", "secret b", "is set now"),
        ("a" * 64, "b" * 64, "changed"),
    ],
)
def test_what_differs_is_said_in_words(old: str | None, new: str | None, words: str) -> None:
    assert declared.change(old, new) == words


@pytest.mark.parametrize("value", ["schema.json", [""], [1], 3])
def test_names_are_a_list(value: object) -> None:
    for name in ("files", "variables"):
        with pytest.raises(BadInputError, match=name):
            settle({name: value})
