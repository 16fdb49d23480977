"""Name what in a step's code may give something else each time, when a step did."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

#: The last words of a dotted call -> what is told of it.
_CALLS = {
    "the time": (
        *("time.time", "time.time_ns", "time.perf_counter", "time.monotonic", "datetime.now"),
        *("datetime.utcnow", "datetime.today", "date.today", "time.strftime", "time.localtime"),
    ),
    "random bytes of the system": (
        *("uuid.uuid1", "uuid.uuid4", "uuid4", "uuid1", "os.urandom", "SystemRandom"),
        *("secrets.token_hex", "secrets.token_bytes", "secrets.token_urlsafe", "secrets.choice"),
        *("secrets.randbelow", "np.random.seed", "numpy.random.seed"),
    ),
    "the order in which a folder lists its files": (
        *("os.listdir", "os.scandir", "os.walk", "iterdir", "glob", "rglob", "glob.glob"),
    ),
    "places in memory": ("id",),
    "threads or processes that end in any order": (
        *("as_completed", "imap_unordered", "Thread", "ThreadPoolExecutor", "Pool"),
        "ProcessPoolExecutor",
    ),
    "the process or machine": ("os.getpid", "socket.gethostname", "os.cpu_count", "platform.node"),
    "the network": (
        *("requests.get", "requests.post", "httpx.get", "urlopen", "urlretrieve", "boto3.client"),
    ),
}
_UNSEEDED = ("default_rng", "RandomState", "Random", "Generator", "SeedSequence", "PCG64")
_JOBS = ("n_jobs", "num_threads", "nthread", "thread_count", "num_workers")
_TORCH = (
    "kernels of torch that may add in any order (there is no"
    " torch.use_deterministic_algorithms(True))"
)
_SORTS = ("sorted", "set", "len", "min", "max", "frozenset", "any", "all")


def hints(file: Path, function: str) -> list[str]:
    """Return what a function, and those of its file that it calls, take from elsewhere.

    Such as ``the time (line 12: time.time())``. It is read off the code: a hint, no proof.
    """
    try:
        tree = ast.parse(file.read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        return []
    known = {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    found: dict[str, None] = {}
    waiting, seen = [function], set[str]()
    while waiting:
        name = waiting.pop(0)
        if name in seen or name not in known:
            continue
        seen.add(name)
        for hint in _of(known[name]):
            found[hint] = None
        waiting += [n.id for n in ast.walk(known[name]) if isinstance(n, ast.Name)]
    if _uses_torch(tree) and "use_deterministic_algorithms" not in ast.unparse(tree):
        found[_TORCH] = None
    return list(found)


def _uses_torch(tree: ast.Module) -> bool:
    return any(
        name.split(".")[0] in ("torch", "lightning")
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [one.name for one in node.names]
        )
    )


def _of(node: ast.AST) -> Iterator[str]:
    ordered = {
        id(inner)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and _dotted(call.func) in _SORTS
        for inner in ast.walk(call)
    }
    for one in ast.walk(node):
        if not isinstance(one, ast.Call):
            continue
        name, shown = _dotted(one.func), f"line {one.lineno}: {ast.unparse(one.func)}"
        last = name.rpartition(".")[2]
        if last in _UNSEEDED and not one.args and not one.keywords:
            yield f"a generator without a seed ({shown}())"
        for told, names in _CALLS.items():
            if not _is_one(name, names) or (id(one) in ordered and "order in" in told):
                continue
            if last != "seed" or not one.args:
                yield f"{told} ({shown}())"
        for keyword in one.keywords:
            if keyword.arg in _JOBS:
                yield f"several threads ({shown}(... {keyword.arg}=))"


def _is_one(name: str, names: tuple[str, ...]) -> bool:
    return any(name == one or name.endswith(f".{one}") for one in names)


def _dotted(node: ast.AST) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts))
