"""Who may come in: by token, by secret, by uid; and for how long."""

from __future__ import annotations

import os
import socket
import stat
from typing import Any

import pytest
from homes import NOW

from mainspring.ground.errors import (
    AlreadyExistsError,
    BadInputError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from mainspring.ground.permissions import Permission, Role
from mainspring.ground.settings import Settings
from mainspring.workspace import peers, tokens
from mainspring.workspace.access import BELIEVED_S, Gatekeeper, own_names, read_secret
from mainspring.workspace.opening import Workspace


def make(
    ws: Workspace, name: str = "ann", role: str = "approver", ttl: float | None = None
) -> str:
    return ws.write(
        Permission.ADMIN,
        lambda tx: tokens.create(tx, name, role, now=ws.clock.now(), ttl_s=ttl),
    )


def scope(**headers: str) -> dict[str, Any]:
    given = {"host": "127.0.0.1:8750", **{k.replace("_", "-"): v for k, v in headers.items()}}
    pairs = [(k.encode(), v.encode()) for k, v in given.items()]
    return {"headers": pairs, "state": {"peer_uid": peers.UNKNOWN}, "client": None, "server": None}


def turn(ws: Workspace, seconds: float) -> None:
    ws.clock.turn(seconds)  # type: ignore[attr-defined]


def test_a_token_is_known_until_it_is_revoked(ws: Workspace) -> None:
    secret = make(ws)
    keeper = Gatekeeper(ws)
    bearer = scope(authorization=f"Bearer {secret}")
    assert keeper.admit(bearer).role is Role.APPROVER
    ws.write(Permission.ADMIN, lambda tx: tokens.revoke(tx, "ann", ws.clock.now()))
    turn(ws, BELIEVED_S)
    with pytest.raises(UnauthenticatedError):
        keeper.admit(bearer)
    with pytest.raises(NotFoundError):
        ws.write(Permission.ADMIN, lambda tx: tokens.revoke(tx, "ann", ws.clock.now()))


def test_a_token_ends_at_its_time(ws: Workspace) -> None:
    secret = make(ws, ttl=60.0)
    keeper = Gatekeeper(ws)
    turn(ws, 59.0)
    assert keeper.admit(scope(authorization=f"bearer {secret}")).name == "ann"
    turn(ws, 1.0)
    with pytest.raises(UnauthenticatedError):
        keeper.admit(scope(authorization=f"Bearer {secret}"))


@pytest.mark.parametrize("shown", ["", "ms_", "ms_x_y", "plain", "ms_{id}_wrong"])
def test_what_is_no_token_is_refused(ws: Workspace, shown: str) -> None:
    secret = make(ws)
    shown = shown.format(id=secret.split("_")[1])
    with pytest.raises(UnauthenticatedError):
        Gatekeeper(ws).admit(scope(authorization=f"Bearer {shown}"))


def test_a_secret_is_never_stored(ws: Workspace) -> None:
    secret = make(ws)
    (row,) = ws.read(Permission.READ, lambda tx: tx.all(tokens.TOKENS.select()))
    assert secret not in str(row)
    (info,) = ws.read(Permission.READ, tokens.listed)
    assert (info.name, info.created, info.revoked) == ("ann", NOW, None)


def test_names_roles_and_lives_are_checked(ws: Workspace) -> None:
    make(ws)
    for wrong in (
        lambda: make(ws, "a b"),
        lambda: make(ws, "bob", "service"),
        lambda: make(ws, "bob", "king"),
        lambda: make(ws, "bob", ttl=0.0),
    ):
        with pytest.raises(BadInputError):
            wrong()
    with pytest.raises(AlreadyExistsError):
        make(ws)
    with pytest.raises(NotFoundError):
        ws.write(Permission.ADMIN, lambda tx: tokens.revoke(tx, "bob", NOW))


def test_without_tokens_the_owner_comes_in_by_uid_or_secret(ws: Workspace) -> None:
    keeper = Gatekeeper(ws)
    own = {**scope(), "state": {"peer_uid": os.getuid()}}
    assert keeper.admit(own).role is Role.ADMIN
    assert keeper.admit(scope(x_mainspring_secret=read_secret(ws.home))).role is Role.ADMIN
    for stranger in (
        scope(),
        {**scope(), "state": {"peer_uid": os.getuid() + 1}},
        scope(x_mainspring_secret="guess"),
    ):
        with pytest.raises(UnauthenticatedError):
            keeper.admit(stranger)


def test_with_the_first_token_the_secret_and_the_uid_count_no_more(ws: Workspace) -> None:
    keeper = Gatekeeper(ws)
    own = {**scope(), "state": {"peer_uid": os.getuid()}}
    keeper.admit(own)
    make(ws)
    turn(ws, BELIEVED_S)
    for shown in (own, scope(x_mainspring_secret=read_secret(ws.home))):
        with pytest.raises(UnauthenticatedError):
            keeper.admit(shown)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8750", ""])
def test_a_foreign_host_is_refused_whoever_asks(ws: Workspace, host: str) -> None:
    own = {**scope(host=host), "state": {"peer_uid": os.getuid()}}
    with pytest.raises(PermissionDeniedError):
        Gatekeeper(ws).admit(own)


@pytest.mark.parametrize("host", ["localhost:8750", "127.0.0.1", "[::1]:8750", "[::1]"])
def test_our_own_names_are_let_in_and_a_foreign_page_is_not(ws: Workspace, host: str) -> None:
    state = {"state": {"peer_uid": os.getuid()}}
    keeper = Gatekeeper(ws)
    assert keeper.admit({**scope(host=host, origin=f"http://{host}"), **state})
    for origin in ("http://evil.example", "null", "http://localhost:1"):
        with pytest.raises(PermissionDeniedError):
            keeper.admit({**scope(host=host, origin=origin), **state})


def test_other_names_are_let_in_where_they_were_given(ws: Workspace) -> None:
    own = {**scope(host="ml.lan:8750"), "state": {"peer_uid": os.getuid()}}
    assert Gatekeeper(ws, hosts=frozenset({"ml.lan"})).admit(own)


def test_a_server_goes_by_its_address_and_the_names_in_its_settings(ws: Workspace) -> None:
    given = {"root": "/", "home": "/h", "hosts": ["ML.lan"]}
    keeper = Gatekeeper(ws, own_names(Settings(**given, host="fd00::1")))
    for host in ("ml.lan:8750", "[fd00::1]:8750", "[fd00::1]", "localhost"):
        assert keeper.admit({**scope(host=host), "state": {"peer_uid": os.getuid()}})
    assert own_names(Settings(**given, host="0.0.0.0")) == {"ML.lan"}
    with pytest.raises(PermissionDeniedError):
        keeper.admit({**scope(host="evil.lan"), "state": {"peer_uid": os.getuid()}})


def test_strangers_do_not_fill_the_memory(ws: Workspace) -> None:
    make(ws)
    keeper = Gatekeeper(ws)
    for number in range(1100):
        with pytest.raises(UnauthenticatedError):
            keeper.admit(scope(authorization=f"Bearer no-{number}"))
    assert len(keeper._known) <= 1001


def test_the_secret_is_made_once_and_for_the_owner_alone(ws: Workspace) -> None:
    secret = read_secret(ws.home)
    assert read_secret(ws.home) == secret
    assert stat.S_IMODE((ws.home / "run" / "secret").stat().st_mode) == 0o600
    assert [f.name for f in (ws.home / "run").glob("secret*")] == ["secret"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_kernel_tells_whose_connection_it_is(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as server:
        try:
            server.bind((address, 0))
        except OSError:
            pytest.skip("no such address here")
        server.listen()
        with socket.socket(family) as client:
            client.connect(server.getsockname())
            there, _ = server.accept()
            with there:
                mine = client.getsockname()[:2]
                assert peers.uid_of(mine, there.getsockname()[:2]) == os.getuid()
                assert peers.uid_of((mine[0], 1), there.getsockname()[:2]) == peers.UNKNOWN
    assert peers.uid_of(None, None) == peers.UNKNOWN
