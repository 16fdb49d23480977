"""Models that misbehave, loaded by a child by this file's path; standard library only."""

import os
import pathlib
import signal
import threading


def good(told):
    """Answer the sum of a and b."""

    def score(rows, columns, types):
        return [a + b for a, b in zip(columns["a"], columns["b"], strict=True)]

    return score


def told(told):
    """Answer what the loader was told, how it was started and what it was given."""

    def score(rows, columns, types):
        assert types == {"a": "float", "b": "float"}
        return [[float(told["add"])] for _ in range(rows)]

    return score


def echo(told):
    """Answer the lengths of texts, -1 for a missing one, and what the other columns hold."""

    def score(rows, columns, types):
        words = [-1 if word is None else len(word) for word in columns["word"]]
        parts = zip(words, columns["n"], columns["yes"], columns["x"], strict=True)
        return [[float(word), float(n), float(yes), float(x)] for word, n, yes, x in parts]

    return score


def by_order(told):
    """Do what the first row's a says: 0 answer, 1 crash, 2 hang, 3 raise, 4 eat, 5 exit, 6 lie."""

    def score(rows, columns, types):
        what = int(columns["a"][0])
        if what == 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == 2:
            threading.Event().wait()
        if what == 3:
            raise KeyError("no such thing")
        if what == 4:
            held = []
            while True:
                held.append(bytearray(8 << 20))
        if what == 5:
            os._exit(7)
        if what == 6:
            return [[0.0, 1.0]] * rows
        return [float(os.getpid())] * rows

    return score


def crash_at_once(told):
    """Crash while loading."""
    os._exit(9)


def refuse(told):
    """Raise while loading."""
    raise ValueError("a bad file")


def environment(told):
    """Answer how many variables of the environment look like a proxy or a secret."""
    strange = [name for name in os.environ if "PROXY" in name.upper() or "SECRET" in name]
    open_files = [int(one.name) for one in pathlib.Path("/proc/self/fd").iterdir()]

    def score(rows, columns, types):
        return [float(len(strange)), float(sum(_is_listening(n) for n in open_files))][:rows]

    return score


def _is_listening(number):
    import socket

    try:
        found = socket.socket(fileno=os.dup(number))
    except OSError:
        return False
    with found:
        return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
