"""Secrets lie sealed in a home: from the first start on, through rotations, kills and moves."""

from __future__ import annotations

import base64
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from mainspring.backends.sealing import key_id
from mainspring.engine import triggers
from mainspring.ground import killpoints
from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import DamagedError, SecretKeyError
from mainspring.ground.permissions import Permission, service
from mainspring.ground.settings import Settings
from mainspring.monitoring import channels
from mainspring.pipelines.tables import secrets
from mainspring.readiness import notices
from mainspring.workspace import telling
from mainspring.workspace.alarming import verbs as alarming
from mainspring.workspace.opening import Workspace, metadata, open_workspace
from mainspring.workspace.performing.secrets import resolved
from mainspring.workspace.vault import keys, sealed, verbs

HUSH = "hush-hush/42 and more"


def opened(folder: Path, database: str | None = None, **more: Any) -> Workspace:
    settings = Settings(
        root=str(folder),
        home=str(folder / "home"),
        database=database,
        webhook_hosts=["ci"],
        **more,
    )
    return open_workspace(settings, clock=TurnedClock(1e9))


def fill(ws: Workspace) -> None:
    """Keep a secret of each kind."""
    verbs.put(ws, "API_KEY", HUSH)
    alarming.add_channel(ws, "ops", "webhook", {"url": "http://ci/in"}, secret=HUSH)
    telling.make(ws, "ci", "http://ci/in", ["alias.set"], secret=HUSH)
    spec = {"name": "push", "source": "webhook", "what": "", "root": "/r", "pipeline": "p:p"}
    kept = sealed.seal(ws, "trigger", "push", HUSH)
    one = triggers.Trigger(**spec)  # type: ignore[arg-type]
    ws.write(Permission.RUN, lambda tx: triggers.put(tx, one, [], kept, 0.0))


def shown(ws: Workspace) -> list[str | None]:
    """Return what each kind opens to."""

    def look(tx: Any) -> dict[str, tuple[str, str | None]]:
        hook = notices.listed(tx)[0].id
        return {
            "channel": ("ops", channels.secret_of(tx, "ops")),
            "webhook": (hook, notices.secret_of(tx, hook)),
            "trigger": ("push", triggers.secret_of(tx, "push")),
        }

    kept = ws.read(Permission.ADMIN, look)
    found = [sealed.unseal(ws, kind, name, text) for kind, (name, text) in kept.items()]
    return [*found, given(ws, ["API_KEY"])["API_KEY"]]


def given(ws: Workspace, names: list[str]) -> dict[str, str]:
    """Return what a step is given, as the engine does."""
    return resolved(ws.acting_as(service("engine")), "asks", names)


def bare(ws: Workspace) -> None:
    """Put the secrets back as an older release kept them, and take the key away."""

    def work(tx: Any) -> None:
        for table, _ in sealed.TABLES.values():
            tx.run(update(table).values(secret=HUSH))

    ws.write(Permission.ADMIN, work)
    keys.place(ws.settings).unlink()


def files_with(folder: Path, what: bytes) -> list[str]:
    return [f.name for f in folder.rglob("*") if f.is_file() and what in f.read_bytes()]


def test_every_table_with_a_secret_is_sealed() -> None:
    hold = {t.name for part in metadata() for t in part.tables.values() if "secret" in t.c}
    assert hold == {table.name for table, _ in sealed.TABLES.values()}


def test_what_an_older_release_left_bare_is_sealed_at_the_first_start_and_nothing_is_lost(
    tmp_path: Path, home_url: str
) -> None:
    ws = opened(tmp_path, home_url)
    fill(ws)
    bare(ws)
    ws.close()
    again = opened(tmp_path, home_url)
    try:
        assert shown(again) == [HUSH] * 4
        texts = again.read(Permission.ADMIN, lambda tx: list(sealed._every(tx)))
        assert all(one.text.startswith("sealed:1:") for one in texts)
        assert len(texts) == 4
        assert stat.S_IMODE(keys.place(again.settings).stat().st_mode) == 0o600
        assert sealed.rotate(again).sealed == 4
        assert shown(again) == [HUSH] * 4
    finally:
        again.close()
    assert files_with(tmp_path, HUSH.encode()) == []


def test_a_rotation_seals_all_anew_and_takes_old_keys_out_one_rotation_later(
    tmp_path: Path,
) -> None:
    ws = opened(tmp_path)
    fill(ws)
    first = keys.made(ws.settings).current
    for _ in range(2):
        before = keys.made(ws.settings).current
        done = sealed.rotate(ws)
        assert (done.sealed, done.kept, done.unopened) == (4, [before], [])
        assert shown(ws) == [HUSH] * 4
    assert not keys.made(ws.settings).knows(first)
    assert {one.key for one in verbs.listed(ws)} == {done.key}
    ws.close()


@pytest.mark.parametrize("point", ["vault.key", "vault.rotated"])
def test_a_rotation_that_is_killed_leaves_every_value_open(tmp_path: Path, point: str) -> None:
    ws = opened(tmp_path)
    fill(ws)
    code = (
        "from mainspring.ground.settings import Settings\n"
        "from mainspring.workspace.opening import open_workspace\n"
        "from mainspring.workspace.vault import sealed\n"
        f"settings = Settings(root={str(tmp_path)!r}, home={ws.settings.home!r})\n"
        "sealed.rotate(open_workspace(settings))"
    )
    environ = {**os.environ, killpoints.ENVIRONMENT: f"{point}:1"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL
    assert shown(ws) == [HUSH] * 4
    assert sealed.rotate(ws).unopened == []
    assert shown(ws) == [HUSH] * 4
    ws.close()


def test_a_missing_or_wrong_key_is_named_and_bringing_it_back_mends_all(tmp_path: Path) -> None:
    ws = opened(tmp_path)
    fill(ws)
    file = keys.place(ws.settings)
    there, key = file.read_bytes(), keys.made(ws.settings).current
    file.unlink()
    again = opened(tmp_path)  # it starts all the same
    for call in (
        lambda: given(again, ["API_KEY"]),
        lambda: verbs.put(again, "ANOTHER", HUSH),
        lambda: sealed.rotate(again),
    ):
        with pytest.raises(SecretKeyError, match=key):
            call()
    assert [one.opens for one in verbs.listed(again)] == [False]
    assert not file.exists()  # or a second key would stand where the first belongs
    file.write_bytes(base64.b64encode(bytes(32)))
    file.chmod(0o600)
    with pytest.raises(SecretKeyError, match="Nothing is lost"):
        shown(again)
    file.write_bytes(there)
    assert shown(again) == [HUSH] * 4
    file.chmod(0o640)
    with pytest.raises(SecretKeyError, match="chmod 600"):
        shown(again)
    file.chmod(0o600)
    file.write_text("no key")
    with pytest.raises(SecretKeyError, match="does not hold a key") as caught:
        shown(again)
    assert "no key" not in str(caught.value)
    ws.close()
    again.close()


def test_a_key_that_is_gone_for_good_is_left_behind_and_values_are_set_anew(
    tmp_path: Path,
) -> None:
    ws = opened(tmp_path)
    fill(ws)
    keys.place(ws.settings).unlink()
    done = sealed.rotate(ws, new_key=True)
    assert done.sealed == 0
    assert sorted(one.partition(":")[0] for one in done.unopened) == sorted(sealed.TABLES)
    verbs.put(ws, "API_KEY", "another value")
    assert given(ws, ["API_KEY"]) == {"API_KEY": "another value"}
    ws.close()


def test_the_environment_may_give_the_keys_and_no_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
    monkeypatch.setenv(keys.VARIABLE, one)
    ws = opened(tmp_path)
    fill(ws)
    assert not keys.place(ws.settings).exists()
    monkeypatch.setenv(keys.VARIABLE, f"{two},{one}")
    done = sealed.rotate(ws)
    assert (done.key, done.kept) == (key_id(bytes([2]) * 32), [key_id(bytes([1]) * 32)])
    monkeypatch.setenv(keys.VARIABLE, two)
    assert shown(ws) == [HUSH] * 4
    assert not keys.place(ws.settings).exists()
    monkeypatch.setenv(keys.VARIABLE, "not-32-bytes-in-base64")
    with pytest.raises(SecretKeyError, match="MAINSPRING_SECRET_KEY does not hold a key"):
        shown(ws)
    ws.close()


def test_a_named_file_is_used_and_not_made(tmp_path: Path) -> None:
    ws = opened(tmp_path, secret_key_file="kept/apart.key")
    with pytest.raises(SecretKeyError, match="there is no such file"):
        verbs.put(ws, "API_KEY", HUSH)
    file = tmp_path / "kept" / "apart.key"
    file.parent.mkdir()
    file.write_bytes(base64.b64encode(bytes(32)))
    file.chmod(0o600)
    fill(ws)
    assert shown(ws) == [HUSH] * 4
    assert not (ws.home / keys.FILE).exists()
    ws.close()


def test_a_value_that_was_put_there_bare_or_moved_from_another_row_is_refused(
    tmp_path: Path,
) -> None:
    ws = opened(tmp_path)
    fill(ws)
    verbs.put(ws, "OTHER", "another value")

    def change(tx: Any) -> None:
        mine = secrets.c.name == "OTHER"
        stolen = tx.one(select(secrets.c.secret).where(secrets.c.name == "API_KEY")).secret
        tx.run(update(secrets).where(mine).values(secret=stolen))
        tx.run(insert(secrets).values(name="BARE", secret=HUSH, set_by="x", at=0.0))

    ws.write(Permission.ADMIN, change)
    for name in ("OTHER", "BARE"):
        with pytest.raises(DamagedError, match=f"secret:{name}"):
            given(ws, [name])
    assert [one.key for one in verbs.listed(ws) if one.name == "BARE"] == [""]
    ws.close()
