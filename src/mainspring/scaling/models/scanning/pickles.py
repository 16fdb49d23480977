"""Say what a pickle would import and call, by following its opcodes: nothing of it is loaded.

A pickle is a program for a small stack machine. The machine is run here on stand-ins: texts are
known, everything else is not. So each name that GLOBAL, INST or STACK_GLOBAL would import is seen,
also where the text took a detour over the memo. A name that is computed is reported as such:
no library writes one.
"""

from __future__ import annotations

import pickletools
import re
import warnings
from collections.abc import Iterator
from typing import Any

from mainspring.scaling.models.scanning.findings import Found, Grave

#: So many opcodes of one file are followed; a model of a million numbers has fewer.
MOST_OPCODES = 20_000_000
_SHOWN = 8

#: Modules that no model needs and that can run programs, code, or reach files and the network.
_DANGEROUS_WORDS = """
os posix nt ntpath posixpath subprocess sys shutil socket importlib runpy pty ctypes _ctypes
pickle _pickle marshal code codeop commands webbrowser pip pydoc pdb bdb timeit trace
profile cProfile asyncio multiprocessing threading signal tempfile urllib http httpx
requests aiohttp ftplib telnetlib smtplib ssl imp zipimport pkgutil platform venv ensurepip
distutils setuptools sqlite3 gc inspect site io _io linecache fileinput glob mmap resource
select selectors socketserver xmlrpc antigravity idlelib lib2to3 doctest unittest pytest
dill
"""
_DANGEROUS = frozenset(_DANGEROUS_WORDS.split())
_DANGEROUS_BUILTIN_WORDS = """
eval exec compile open input __import__ getattr setattr delattr globals locals vars dir
breakpoint memoryview help exit quit apply execfile file
"""
_DANGEROUS_BUILTINS = frozenset(_DANGEROUS_BUILTIN_WORDS.split())
_DANGEROUS_NAMES = frozenset(
    {
        "operator.attrgetter",
        "operator.methodcaller",
        "_operator.attrgetter",
        "_operator.methodcaller",
        "numpy.testing._private.utils.runstring",
        "numpy.testing.utils.runstring",
        "torch.hub.load",
        "torch.load",
        "joblib.load",
        "numpy.load",
        "functools.reduce",
    }
)
_SAFE_BUILTIN_WORDS = """
int float complex bool str bytes bytearray list tuple dict set frozenset object range slice
Ellipsis NotImplemented NoneType long unicode
"""
_SAFE_BUILTINS = frozenset(_SAFE_BUILTIN_WORDS.split())
_SAFE = frozenset(
    {
        "_codecs.encode",  # how old protocols write bytes
        "collections.OrderedDict",
        "collections.defaultdict",
        "collections.Counter",
        "collections.deque",
        "copyreg._reconstructor",
        "copy_reg._reconstructor",
        "copyreg.__newobj__",
        "datetime.date",
        "datetime.datetime",
        "datetime.timedelta",
        "datetime.timezone",
        "decimal.Decimal",
        "fractions.Fraction",
        "numpy.dtype",
        "numpy.ndarray",
        "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
        "numpy.core.numeric._frombuffer",
        "numpy._core.numeric._frombuffer",
        "numpy.random._pickle.__randomstate_ctor",
        "numpy.random._pickle.__generator_ctor",
        "numpy.random._pickle.__bit_generator_ctor",
        "numpy.random._mt19937.MT19937",
        "numpy.random._pcg64.PCG64",
        "pandas._libs.internals._unpickle_block",
        "pandas.core.indexes.base._new_Index",
        "sklearn.neighbors._kd_tree.newObj",
        "sklearn.neighbors._ball_tree.newObj",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
    }
)
#: Libraries whose classes (a name that begins with a capital) a model is made of.
_LIBRARY_WORDS = """
sklearn scipy numpy pandas xgboost lightgbm catboost statsmodels imblearn torch joblib
"""
_LIBRARIES = frozenset(_LIBRARY_WORDS.split())
_SCALAR = re.compile(r"(u?int|float|complex)\d+|bool_?|str_|bytes_|void|datetime64|timedelta64")
_ELEMENTWISE_WORDS = """
abs absolute arccos arcsin arctan cbrt ceil clip cos cosh deg2rad degrees exp exp2 expm1 fabs floor
isfinite isinf isnan log log10 log1p log2 maximum minimum nan_to_num negative positive power
rad2deg radians reciprocal rint round sign sin sinh sqrt square tan tanh trunc
"""
_ELEMENTWISE = frozenset(_ELEMENTWISE_WORDS.split())
_NOT_THESE = ("numpy.testing", "numpy.f2py", "numpy.distutils", "torch.hub", "torch.package")

_TEXTS = frozenset(
    {
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "UNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
    }
)
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_MARK: Any = object()
_MANY = pickletools.stackslice


def names(data: bytes) -> tuple[list[str], str]:
    r"""Return every name a pickle would import, in order, each once; and where it got lost.

    The second is blank where it was followed to its end. Pickles that stand one after another
    are all followed.

    >>> names(b"cos\nsystem\n(S'true'\ntR.")
    (['os.system'], '')
    """
    found: dict[str, None] = {}
    place, count = 0, 0
    while place < len(data):
        machine = _Machine()
        try:
            for opcode, arg, at in _opcodes(data[place:]):
                count += 1
                if count > MOST_OPCODES:
                    return list(found), f"it has more than {MOST_OPCODES:,} opcodes"
                name = machine.do(opcode, arg)
                if name is not None:
                    found[name] = None
                if opcode.name == "STOP":
                    place += (at or 0) + 1
                    break
        except (ValueError, IndexError, KeyError, OverflowError, UnicodeError) as error:
            return list(found), f"byte {place} and on: {str(error)[:80]}"
    return list(found), ""


def looks_like_one(data: bytes) -> bool:
    """Return whether bytes are a pickle by their content: they lead to STOP, or begin as one."""
    if data[:1] == b"\x80" and len(data) > 1 and data[1] <= 5:
        return True
    try:
        for count, (opcode, _, _) in enumerate(_opcodes(data[: 1 << 20])):
            if opcode.name == "STOP":
                return count > 1
    except (ValueError, IndexError, OverflowError, UnicodeError):
        return False
    return False


def _opcodes(data: bytes) -> Iterator[tuple[Any, Any, int | None]]:
    """Go through opcodes as pickletools does, silent about texts of the oldest protocol."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from pickletools.genops(data)


def calls(data: bytes) -> bool:
    """Return whether bytes of any name are a pickle that would import something."""
    return looks_like_one(data) and bool(names(data)[0])


def judged(path: str, data: bytes) -> Iterator[Found]:
    """Say of a pickle what it would import that no model needs, or that nobody here knows."""
    called, stopped = names(data)
    by: dict[Grave, list[str]] = {Grave.DANGER: [], Grave.UNKNOWN: []}
    for name in called:
        grave = gravity(name)
        if grave is not None:
            by[grave].append(name)
    if by[Grave.DANGER]:
        told = f"unpickling it would call {_few(by[Grave.DANGER])}"
        yield Found(path=path, grave=Grave.DANGER, told=told)
    if by[Grave.UNKNOWN]:
        told = f"unpickling it would import {_few(by[Grave.UNKNOWN])}, which nobody here knows"
        yield Found(path=path, grave=Grave.UNKNOWN, told=told)
    if stopped:
        told = f"it cannot be followed to its end ({stopped})"
        yield Found(path=path, grave=Grave.UNKNOWN, told=told)


def gravity(name: str) -> Grave | None:
    """Return how grave it is that a pickle imports a name; None if models are made of it.

    >>> gravity("posix.system"), gravity("numpy.dtype"), gravity("project.Encoder")
    (<Grave.DANGER: 'danger'>, None, <Grave.UNKNOWN: 'unknown'>)
    """
    top, _, rest = name.partition(".")
    if top in ("builtins", "__builtin__", "__builtins__"):
        if rest in _SAFE_BUILTINS:
            return None
        return Grave.DANGER if rest.partition(".")[0] in _DANGEROUS_BUILTINS else Grave.UNKNOWN
    if top in _DANGEROUS or name in _DANGEROUS_NAMES or "?" in name:
        return Grave.DANGER
    if _DANGEROUS.intersection(rest.split(".")[1:-1]):  # such as sklearn.x.os.system
        return Grave.DANGER
    plain = top == "numpy" and (_SCALAR.fullmatch(rest) or rest in _ELEMENTWISE)
    known = plain or name in _SAFE or (top in _LIBRARIES and _is_class(name))
    return None if known else Grave.UNKNOWN


def _is_class(name: str) -> bool:
    last = name.rpartition(".")[2].lstrip("_")
    return last[:1].isupper() and not name.startswith(_NOT_THESE)


def _few(found: list[str]) -> str:
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(one[:120] for one in found[:_SHOWN]) + more


class _Machine:
    """The pickle machine on stand-ins: a text is itself, every other value is None."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def do(self, opcode: Any, arg: Any) -> str | None:
        """Carry an opcode out; return the name it imports, if it does."""
        word = opcode.name
        if word in ("GLOBAL", "INST"):
            module, _, name = str(arg).partition(" ")
            self._move(opcode, None)
            return f"{module}.{name}"
        if word == "STACK_GLOBAL":
            name, module = self._pop(), self._pop()
            self.stack.append(None)
            texts = isinstance(module, str) and isinstance(name, str)
            return f"{module}.{name}" if texts else "a name that is computed?"
        if word.startswith("EXT"):
            self.stack.append(None)
            return f"copyreg.extension?{arg}"
        self._else(opcode, word, arg)
        return None

    def _else(self, opcode: Any, word: str, arg: Any) -> None:
        if word in _TEXTS:
            self.stack.append(arg if isinstance(arg, str) else None)
        elif word in _PUTS:
            self.memo[int(arg)] = self.stack[-1] if self.stack else None
        elif word == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1] if self.stack else None
        elif word in _GETS:
            self.stack.append(self.memo.get(int(arg)))
        elif word == "DUP":
            self.stack.append(self.stack[-1] if self.stack else None)
        elif word == "MARK":
            self.stack.append(_MARK)
        elif word == "POP_MARK":
            self._to_mark()
        else:
            self._move(opcode, None)

    def _move(self, opcode: Any, value: Any) -> None:
        """Take off the stack what an opcode takes, and put stand-ins for what it gives."""
        before = opcode.stack_before
        if _MANY in before:
            self._to_mark()
            before = before[: before.index(pickletools.markobject)]
        for _ in before:
            self._pop()
        self.stack += [value] * len(opcode.stack_after)

    def _pop(self) -> Any:
        return self.stack.pop() if self.stack else None

    def _to_mark(self) -> None:
        while self.stack and self.stack.pop() is not _MARK:
            pass
