"""A held port is nobody else's, and may be listened on again and again."""

from __future__ import annotations

import errno
import socket

import pytest

from mainspring.ground.held import Held


def listening(port: int) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    return server


def test_who_names_it_listens_there_and_again_after_an_end() -> None:
    with Held("127.0.0.1") as held:
        for _ in range(2):
            with listening(held.port), socket.create_connection(("127.0.0.1", held.port)):
                pass
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", held.port))


def test_it_is_taken_for_who_does_not_share_it_until_it_is_let_go() -> None:
    with Held("127.0.0.1") as held, socket.socket() as other:
        with pytest.raises(OSError, match="in use") as caught:
            other.bind(("127.0.0.1", held.port))
        assert caught.value.errno == errno.EADDRINUSE
        with Held("127.0.0.1", held.port) as again:
            assert again.port == held.port
        held.close()
        other.bind(("127.0.0.1", held.port))


def test_what_another_program_listens_on_cannot_be_held() -> None:
    with Held("127.0.0.1") as held, listening(held.port), pytest.raises(OSError, match="in use"):
        Held("127.0.0.1", held.port)
    with pytest.raises(OverflowError):
        Held("127.0.0.1", 70_000)
