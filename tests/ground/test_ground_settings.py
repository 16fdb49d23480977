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
