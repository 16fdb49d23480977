"""What goes over the sockets between the owner, the fork server and a child.

Two socket pairs a call. **talk** carries, from the owner: the call; from the child: its
pid, then its outcome; from the fork server, once the child is reaped: how it ended. The
fork server then shuts the pair down, so the end of the stream is certain even if a process
the child left behind still holds it. **life** carries nothing: its closing is the news.
Where what is printed is kept, the writing end of a pipe for it comes with the two.
"""

from __future__ import annotations

import socket
import struct

FORK = b"F"  # owner to fork server, with descriptors: talk, life, and perhaps a pipe to print to
SIGNAL = b"S"  # owner to fork server: signal the group of a call
SOON = 1  # in the place of a signal number: fork now, whatever is still to be imported
ORDER = struct.Struct("<cQi")  # kind, call number, signal number
LENGTH = struct.Struct("<Q")
PID = struct.Struct("<q")
END = struct.Struct("<8sidd")  # mark, wait status, cpu seconds, peak megabytes
END_MARK = b"\xffended\xff\n"


def send_piece(talk: socket.socket, data: bytes) -> None:
    """Send bytes with their length before them."""
    talk.sendall(LENGTH.pack(len(data)))
    talk.sendall(data)


def receive_piece(talk: socket.socket) -> bytes:
    """Receive what :func:`send_piece` sent; empty if the other side is gone."""
    head = _exactly(talk, LENGTH.size)
    return _exactly(talk, LENGTH.unpack(head)[0]) if head else b""


def _exactly(talk: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = talk.recv(min(count - len(data), 1 << 20))
        if not part:
            return b""
        data += part
    return bytes(data)
