"""Read source as Python does: which names a piece of code takes from around it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from typing import Any

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def free_names(node: ast.AST) -> set[str]:
    """Return dotted names that the code takes from the scopes around it.

    ``features.clean(rows)`` gives ``features.clean``; names that the code binds itself
    (parameters, assignments, imports, loops) are left out.

    >>> sorted(free_names(ast.parse("def f(a): b = a + LIMIT; return g.h(b)").body[0]))
    ['LIMIT', 'g.h']
    """
    if isinstance(node, _FUNCTIONS):
        return _of_function(node)
    if isinstance(node, ast.ClassDef):
        return _of_class(node)
    if isinstance(node, _COMPREHENSIONS):
        return _of_comprehension(node)
    dotted = _dotted(node)
    if dotted is not None:
        return {dotted}
    out: set[str] = set()
    for child in ast.iter_child_nodes(node):
        out |= free_names(child)
    return out


def local_imports(node: ast.AST) -> list[ast.Import | ast.ImportFrom]:
    """Return the import statements inside of a piece of code."""
    return [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]


def digest(node: ast.AST) -> str:
    """Return the digest of what code means: not its comments, layout, docstrings or place."""
    plain = _without_docstrings(node)
    return hashlib.sha256(ast.dump(plain).encode("utf-8", "surrogatepass")).hexdigest()


def assignments(module: ast.Module, name: str) -> list[ast.stmt]:
    """Return the top-level statements that give a name its value, in order."""
    return [
        statement
        for statement in module.body
        if not isinstance(statement, ast.Import | ast.ImportFrom) and name in _bound([statement])
    ]


def _of_function(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    outside: list[ast.AST] = [*node.args.defaults]
    outside += [default for default in node.args.kw_defaults if default is not None]
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    arguments += [extra for extra in (node.args.vararg, node.args.kwarg) if extra is not None]
    outside += [argument.annotation for argument in arguments if argument.annotation]
    body: list[ast.AST]
    if isinstance(node, ast.Lambda):
        body = [node.body]
    else:
        outside += node.decorator_list
        outside += [node.returns] if node.returns else []
        body = list(node.body)
    bound = {argument.arg for argument in arguments} | _bound(body)
    inside = set().union(*(free_names(part) for part in body))
    return _minus(inside, bound).union(*(free_names(part) for part in outside))


def _of_class(node: ast.ClassDef) -> set[str]:
    """A class's own names are not seen by its methods, so only its own lines lose them."""
    bound = _bound(list(node.body))
    out: set[str] = set()
    for part in [*node.bases, *node.keywords, *node.decorator_list]:
        out |= free_names(part)
    for part in node.body:
        names = free_names(part)
        out |= names if isinstance(part, _FUNCTIONS) else _minus(names, bound)
    return out


def _of_comprehension(
    node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp,
) -> set[str]:
    bound = set().union(*(_targets(part.target) for part in node.generators))
    inside = set().union(*(free_names(child) for child in ast.iter_child_nodes(node)))
    return _minus(inside, bound)


def _minus(names: set[str], bound: set[str]) -> set[str]:
    return {name for name in names if name.partition(".")[0] not in bound}


def _dotted(node: ast.AST) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
        return ".".join([node.id, *reversed(parts)])
    return None


def _bound(body: list[ast.AST] | list[ast.stmt]) -> set[str]:
    """Return the names that a scope binds itself, without those it declares global."""
    names: set[str] = set()
    lifted: set[str] = set()
    for node in _in_scope(body):
        if isinstance(node, ast.Global | ast.Nonlocal):
            lifted.update(node.names)
        else:
            names |= _binds(node)
    return names - lifted


def _binds(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name):
        return set() if isinstance(node.ctx, ast.Load) else {node.id}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return {node.name} if node.name else set()
    if isinstance(node, ast.MatchMapping):
        return {node.rest} if node.rest else set()
    return set()


def _in_scope(body: list[ast.AST] | list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the nodes of one scope: not what is inside of functions and classes in it."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            continue
        if isinstance(node, _COMPREHENSIONS):  # only := reaches out of one
            waiting += [n.target for n in ast.walk(node) if isinstance(n, ast.NamedExpr)]
            continue
        waiting += ast.iter_child_nodes(node)


def _targets(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _without_docstrings(node: ast.AST) -> ast.AST:
    copy = _Undocumented().visit(_copied(node))
    assert isinstance(copy, ast.AST)  # noqa: S101  the visitor never removes the root
    return copy


def _copied(node: ast.AST) -> ast.AST:
    """Return a copy of the tree, so that the one that is kept stays whole."""
    fields: dict[str, Any] = {}
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            fields[name] = [_copied(v) if isinstance(v, ast.AST) else v for v in value]
        else:
            fields[name] = _copied(value) if isinstance(value, ast.AST) else value
    return type(node)(**fields)


class _Undocumented(ast.NodeTransformer):
    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = body[0] if body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
        return node
