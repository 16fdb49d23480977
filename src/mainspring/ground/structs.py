"""Make every record known to msgspec before threads meet it.

msgspec works out how a Struct is decoded when it first decodes one, and runs Python code in
the middle of that. A second thread that decodes the same Struct at that moment finds it half
worked out, and the process dies of a segmentation fault (seen with msgspec 0.22).
"""

from __future__ import annotations

import contextlib
import threading

import msgspec

_known: set[type] = set()
_lock = threading.Lock()


def prepare() -> None:
    """Work out every Struct of ours that is defined by now; cheap when nothing is new.

    To be called in each process after its imports and before its threads.
    """
    with _lock:
        waiting: list[type] = [msgspec.Struct]
        while waiting:
            kind = waiting.pop()
            waiting += kind.__subclasses__()
            if kind in _known or not kind.__module__.startswith("mainspring"):
                continue
            _known.add(kind)
            # What names types that only a type checker sees is never decoded.
            with contextlib.suppress(NameError, TypeError):
                msgspec.json.Decoder(kind)
