"""
The fingerprint of a step: of what its code does, not of how it is written down.

Comments, docstrings, formatting and the annotations of functions have no part in it; the helpers, constants and classes
that the step uses have, in its own module and in the others of the package. What it uses of other packages counts by
name.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from hashlib import sha256
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple


class Name(NamedTuple):
    """A name at the top level of a module."""

    module: str
    symbol: str


def step_fingerprint(module: ModuleType) -> str:
    """Name what `upcast` and `downcast` of a version module do, with everything that they use."""
    return "sha256:" + sha256(_Reader(module.__name__.rpartition(".")[0]).read(module.__name__).encode()).hexdigest()


class _Reader:
    """Follows names from one definition to the next, within one package."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._modules: dict[str, dict[str, list[ast.stmt]]] = {}

    def read(self, module: str) -> str:
        pending = [Name(module, "upcast"), Name(module, "downcast")]
        found: dict[Name, list[Any]] = {}
        while pending:
            name = pending.pop()
            if name not in found:
                statements = self._definitions(name)
                found[name] = [_plain(statement) for statement in statements]
                pending += [used for statement in statements for used in self._uses(name.module, statement)]
        return json.dumps(sorted([*name, plain] for name, plain in found.items() if plain))

    def _definitions(self, name: Name) -> list[ast.stmt]:
        if name.module not in self._modules:
            self._modules[name.module] = definitions(source(name.module))
        return self._modules[name.module].get(name.symbol, [])

    def _uses(self, module: str, statement: ast.stmt) -> Iterator[Name]:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                yield self._resolved(Name(module, node.id))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                base = self._resolved(Name(module, node.value.id))
                if base.symbol == "":  # a module of the package
                    yield self._resolved(Name(base.module, node.attr))

    def _resolved(self, name: Name) -> Name:
        """Follow an import to where the name is defined, as long as that is in the package."""
        match self._definitions(name):
            case [ast.ImportFrom(module=str(origin), names=[alias])] if self._is_ours(origin):
                submodule = f"{origin}.{alias.name}"
                if origin == self._package and find_spec(submodule) is not None:
                    return Name(submodule, "")
                return self._resolved(Name(origin, alias.name))
        return name

    def _is_ours(self, module: str) -> bool:
        return module == self._package or module.startswith(f"{self._package}.")


def source(module: str) -> str:
    """Read the source of a module, also from an archive; raises ValueError where only bytecode is installed."""
    spec = find_spec(module)
    get_source = getattr(spec and spec.loader, "get_source", lambda _: None)
    text = get_source(module)
    if text is None:
        raise ValueError(f"the source of {module} is not here; run this where the .py files are")
    return str(text)


def definitions(text: str) -> dict[str, list[ast.stmt]]:
    """Find the statements that bind each name at the top level of a module, without their prose."""
    found: dict[str, list[ast.stmt]] = {}
    for statement in _WithoutProse().visit(ast.parse(text)).body:
        for symbol, binding in _bindings(statement):
            found.setdefault(symbol, []).append(binding)
    return found


def _bindings(statement: ast.stmt) -> Iterator[tuple[str, ast.stmt]]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, statement
        case ast.ImportFrom(names=aliases):  # taken apart: what else is imported beside it does not count
            for alias in aliases:
                yield alias.asname or alias.name, ast.ImportFrom(statement.module, [alias], statement.level)
        case ast.Import(names=aliases):
            for alias in aliases:
                yield alias.asname or alias.name.partition(".")[0], ast.Import([alias])
        case _:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id, statement


class _WithoutProse(ast.NodeTransformer):
    """Takes away docstrings and the annotations of functions."""

    def visit(self, node: ast.AST) -> Any:
        self.generic_visit(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            node.body = [statement for statement in node.body if not _is_text(statement)]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            return ast.copy_location(ast.Assign([node.target], node.value), node)
        return node


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str)


def _plain(node: Any) -> Any:
    """
    Say a syntax tree as JSON that every Python from 3.11 on agrees about.

    ast.dump() would not do: later versions add fields. They are empty where the syntax they stand for is not used.
    """
    if isinstance(node, list):
        return [_plain(child) for child in node]
    if isinstance(node, ast.AST):
        fields = ((name, _plain(value)) for name, value in ast.iter_fields(node) if name not in {"ctx", "kind"})
        return [type(node).__name__, *([name, plain] for name, plain in fields if plain not in (None, []))]
    return None if node is None else repr(node)
