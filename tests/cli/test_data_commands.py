"""Data versions, as typed: here, and asked of a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "flights" / "sub").mkdir(parents=True)
    (tmp_path / "flights" / "a.csv").write_text("a\n1\n")
    (tmp_path / "flights" / "sub" / "b.csv").write_text("b\n2\n")
    return tmp_path


def test_data_is_added_looked_at_and_brought_back(say: Callable[..., Any], place: Path) -> None:
    added = say("data", "add", "flights", "-m", "first", "--json").json
    assert (added["version"]["number"], added["new"], added["stored"]) == (1, True, 8)
    assert say("data", "add", "flights").out.startswith("flights@1 holds the same already")
    assert say("data", "status").code == 0
    (place / "flights" / "a.csv").write_text("a\n3\n")
    status = say("data", "status", "flights")
    assert (status.code, "changed: a.csv" in status.out) == (1, True)
    assert say("data", "status", "flights", "--json").json[0]["changed"] == ["a.csv"]
    refused = say("data", "get", "flights@1", "flights")
    assert (refused.code, "a.csv in" in refused.err) == (1, True)
    brought = say("data", "get", "flights@1", "flights", "--force", "--json").json
    assert (brought[0]["written"], brought[0]["kept"]) == (1, 1)
    assert (place / "flights" / "a.csv").read_text() == "a\n1\n"
    assert "first" in say("data", "log", "flights").out
    assert say("data", "list", "--json").json[0]["newest"]["name"] == "flights"
    assert say("data", "push", "remote", "--json").json[0]["objects"] > 0
    assert say("data", "pull", "remote", "flights@1", "--home", "other").code == 0
    assert say("data", "remove", "flights@1").code == 0
    assert say("data", "gc", "--json").json["objects"] == 0  # all of it is young


def test_the_folder_one_stands_in_is_added_without_a_pointer_or_from_above(
    say: Callable[..., Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place / "flights")
    for path, above in ((".", place), ("..", place.parent), ("sub/..", place)):
        said = say("data", "add", path, "--home", "../home")
        assert said.code == 2
        assert f"would stand outside of it, in {above}" in said.err.replace("\n", " ")
    assert list(place.glob("*.mainspring")) == []
    assert not (place / "home").exists()  # nothing was begun
    monkeypatch.chdir(place / "flights" / "sub")
    added = say("data", "add", "..", "--no-pointer", "--home", "../../home", "--json").json
    assert (added["version"]["name"], added["version"]["files"]) == ("flights", 2)
    assert say("data", "status", "..", "--home", "../../home").code == 0
    monkeypatch.chdir(place)
    assert say("data", "add", "flights/sub", "--home", "home").code == 0
    assert (place / "flights" / "sub.mainspring").exists()


def test_what_cannot_be_is_said(say: Callable[..., Any], place: Path) -> None:
    (place / "flights" / "link").symlink_to("a.csv")
    for words, code, told in (
        (("data", "add", "nowhere"), 2, "There is no file or folder"),
        (("data", "add", "flights"), 2, "link is a symbolic link"),
        (("data", "add", "flights", "--name", "a/b"), 2, "name must be"),
        (("data", "list", "--home", "nowhere"), 2, "no Mainspring home"),
        (("data", "log", "x"), 2, "no data version 'x'"),
        (("data", "get", "x@y"), 2, "found 'x@y'"),
        (("data", "get"), 2, "There is no pointer"),
        (("data", "status", "x"), 2, "points to 'x'"),
        (("data", "remove", "x"), 2, "by its number, such as x@7"),
        (("data", "push", "gopher://x"), 2, "A remote is"),
        (("data", "pull", "nowhere"), 2, "no folder"),
        (
            (
                "data",
                "add",
                "--query",
                "select 1",
                "--from",
                "sqlite:///x",
                "--name",
                "x",
                "--url",
                "http://127.0.0.1:9",
            ),
            2,
            "not on a server",
        ),
        (("data", "get", "x", "--url", "http://127.0.0.1:9"), 1, "No server answers"),
    ):
        said = say(*words)
        assert (said.code, told in said.err) == (code, True), (words, said.err)


def test_every_operation_answers_what_the_commands_show(
    say: Callable[..., Any], place: Path
) -> None:
    from mainspring.ground.settings import load
    from mainspring.web.api import call
    from mainspring.workspace.opening import open_workspace

    say("data", "add", "flights")
    ws = open_workspace(load({"home": str(place / ".mainspring")}))
    try:
        page = call(ws, "data.show", version="flights", limit=1)
        assert ([one["path"] for one in page["files"]], page["more"]) == (["a.csv"], True)
        rest = call(ws, "data.show", version="flights@1", after="a.csv")
        assert ([one["path"] for one in rest["files"]], rest["more"]) == (["sub/b.csv"], False)
        remote = str(place / "remote")
        [moved] = call(ws, "data.push", remote=remote, versions=["flights@1"])
        assert (moved["number"], moved["there"]) == (1, 1)
        assert call(ws, "data.pull", remote=remote)[0]["objects"] == 0
        assert [one["number"] for one in call(ws, "data.log", name="flights")] == [1]
        assert call(ws, "data.remove", name="flights", number=1)["removed"] is None
        assert call(ws, "data.list") == []
    finally:
        ws.close()
