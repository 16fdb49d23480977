"""Settings come from four places, the nearer one wins, and a wrong one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.ground import settings
from mainspring.ground.errors import BadInputError


def test_defaults_stand_beside_the_project(tmp_path: Path) -> None:
    found = settings.load(start=tmp_path, environ={})
    assert (found.root, found.home) == (str(tmp_path), str(tmp_path / ".mainspring"))
    assert found.database_url == f"sqlite:///{tmp_path}/.mainspring/mainspring.db"
    assert found.objects_url == f"{tmp_path}/.mainspring/objects"
    assert found.host == "127.0.0.1", "loopback by default"


def test_the_root_is_the_nearest_folder_with_the_file(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / settings.FILE).write_text('home = "kept"\n')
    found = settings.load(start=inner, environ={})
    assert (found.root, found.home) == (str(tmp_path), str(tmp_path / "kept"))


def test_each_place_outranks_the_one_before(tmp_path: Path) -> None:
    (tmp_path / settings.FILE).write_text("port = 1\nworkers = 11\nhost = 'a'\n")
    environ = {"MAINSPRING_PORT": "2", "MAINSPRING_WORKERS": "12", "MAINSPRING_TOKEN": ""}
    found = settings.load({"port": 3, "home": None}, start=tmp_path, environ=environ)
    assert (found.port, found.workers, found.host, found.token) == (3, 12, "a", None)


def test_host_names_are_a_list_in_the_file_and_commas_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / settings.FILE).write_text('hosts = ["ml.example"]\n')
    assert settings.load(start=tmp_path, environ={}).hosts == ["ml.example"]
    environ = {"MAINSPRING_HOSTS": "ml.lan, b.lan,"}
    assert settings.load(start=tmp_path, environ=environ).hosts == ["ml.lan", "b.lan"]


@pytest.mark.parametrize(
    ("file", "environ", "given", "says"),
    [
        ("prot = 1", {}, {}, "mainspring.toml has an unknown key 'prot'"),
        ("port = 'x'", {}, {}, "mainspring.toml: Expected `int`"),
        ("", {"MAINSPRING_PORT": "x"}, {}, "MAINSPRING_PORT: Expected `int`"),
        ("", {}, {"port": "x"}, "--port: Expected `int`"),
        ("", {}, {"lease_s": "long"}, "--lease-s: Expected `float`"),
        ("hosts = 3", {}, {}, "mainspring.toml: Expected `array`"),
        ("port = ", {}, {}, "is not valid TOML"),
        ("wokers = 3", {}, {}, "unknown key 'wokers'. Did you mean 'workers'?"),
        ("workers = 0", {}, {}, "mainspring.toml: Expected `int` >= 1"),
        ("port = 70000", {}, {}, "mainspring.toml: Expected `int` <= 65535"),
        ("lease_s = 0", {}, {}, "mainspring.toml: Expected `float` > 0"),
    ],
)
def test_a_wrong_setting_says_where_it_stands(tmp_path: Path, file, environ, given, says) -> None:
    (tmp_path / settings.FILE).write_text(file)
    with pytest.raises(BadInputError) as caught:
        settings.load(given, start=tmp_path, environ=environ)
    assert says in str(caught.value)


def test_a_remote_database_and_bucket_are_taken_as_given(tmp_path: Path) -> None:
    given = {"database": "postgresql://h/d", "objects": "s3://b/p"}
    found = settings.load(given, start=tmp_path, environ={})
    assert (found.database_url, found.objects_url) == ("postgresql://h/d", "s3://b/p")


def test_everything_wrong_is_found_at_once_and_names_of_ours_are_not_taken_for_settings(
    tmp_path: Path,
) -> None:
    (tmp_path / settings.FILE).write_text("prot = 1\nworkers = 0\nslots = 3\n")
    environ = {"MAINSPRING_SLOTS": "x", "MAINSPRING_LEASE": "3", "MAINSPRING_RUN": "run_1"}
    found = settings.wrong(tmp_path, environ)
    assert [line.split(": ")[0].rpartition("/")[2].split(" ")[0] for line in found] == [
        "mainspring.toml",
        "mainspring.toml",
        "MAINSPRING_SLOTS",
        "The",
    ]
    assert "Did you mean 'port'?" in found[0]
    assert "MAINSPRING_LEASE, which is no setting. Did you mean 'lease_s'?" in found[3]
    (tmp_path / settings.FILE).write_text("slots = 3\n")
    assert settings.wrong(tmp_path, {}) == []
