"""What a class of the packages has, read from its source without importing it: fields with their comments, methods.

Fields are the annotated names of the class's own body, as frozen dataclasses have them. Inherited ones are left out:
the page of a class names its base.
"""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from repository import ROOT

PACKAGES = ("patterns", "traces", "simulator", "costmodel", "gatherline")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFacts:
    """A field: its type and default as the source spells them ("" without one), and the comment on its line."""

    name: str
    type: str
    default: str
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFacts:
    """A class: first paragraph of its docstring, fields, and public methods and properties with a docstring or not."""

    name: str
    summary: str
    bases: tuple[str, ...]
    fields: tuple[FieldFacts, ...]
    methods: tuple[str, ...]
    undocumented: tuple[str, ...]


def module_file(dotted: str) -> tuple[Path, str]:
    """Return the file of the module that defines ``dotted``, and the name in it. Raises LookupError."""
    module, _, name = dotted.rpartition(".")
    path = ROOT / (module.replace(".", "/") + ".py")
    if not path.is_file():
        path = ROOT / module.replace(".", "/") / "__init__.py"
    if not path.is_file():
        raise LookupError(f"{dotted}: there is no module {module}")
    return path, name


def definition(dotted: str) -> ast.ClassDef | ast.FunctionDef:
    """Return the class or function called ``dotted``. Raises LookupError where its module defines neither."""
    path, name = module_file(dotted)
    for node in _tree(path).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
    raise LookupError(f"{dotted}: {path.relative_to(ROOT)} defines no class or function {name}")


def is_class(dotted: str) -> bool:
    """Return whether ``dotted`` is a class, False for a function. Raises LookupError where there is neither."""
    return isinstance(definition(dotted), ast.ClassDef)


def returned_types(dotted: str) -> tuple[str, ...]:
    """Return the classes of these packages in what the function ``dotted`` returns, by their full names."""
    node = definition(dotted)
    if not isinstance(node, ast.FunctionDef) or node.returns is None:
        return ()
    path, _ = module_file(dotted)
    imported = {
        alias.asname or alias.name: f"{one.module}.{alias.name}"
        for one in ast.walk(_tree(path))
        if isinstance(one, ast.ImportFrom) and one.module is not None
        for alias in one.names
    }
    named = [one.id for one in ast.walk(node.returns) if isinstance(one, ast.Name)]
    homes = [imported[name] for name in named if name in imported]
    return tuple(home for home in homes if home.partition(".")[0] in PACKAGES and is_class(home))


def summary(node: ast.ClassDef | ast.FunctionDef) -> str:
    """Return the first paragraph of a docstring in one line."""
    return " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())


def class_facts(dotted: str) -> ClassFacts:
    """Return what the class has. Raises LookupError where there is none."""
    node = definition(dotted)
    if not isinstance(node, ast.ClassDef):
        raise LookupError(f"{dotted} is no class")
    path, _ = module_file(dotted)
    comments = _comments(path)
    public = [one for one in node.body if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")]
    return ClassFacts(
        name=node.name,
        summary=summary(node),
        bases=tuple(ast.unparse(base) for base in node.bases),
        fields=tuple(
            _field(one, path, comments)
            for one in node.body
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and not one.target.id.startswith("_")
        ),
        methods=tuple(one.name for one in public if ast.get_docstring(one)),
        undocumented=tuple(one.name for one in public if not ast.get_docstring(one)),
    )


def _field(node: ast.AnnAssign, path: Path, comments: dict[int, str]) -> FieldFacts:
    assert isinstance(node.target, ast.Name)
    return FieldFacts(
        name=node.target.id,
        type=ast.unparse(node.annotation),
        default=_default(node.value, path),
        comment=comments.get(node.end_lineno or node.lineno, ""),
    )


def _default(value: ast.expr | None, path: Path) -> str:
    """Return a default as a caller would write it, a constant of the module by its value; "" where one is required."""
    if value is None:
        return ""
    if isinstance(value, ast.Name):
        return _constant(value.id, path)
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "field":
        given = {one.arg: one.value for one in value.keywords}
        if "default" in given:
            return ast.unparse(given["default"])
        return f"{ast.unparse(given['default_factory'])}()" if "default_factory" in given else ""
    return ast.unparse(value)


def _constant(name: str, path: Path) -> str:
    """Return the number or text that the module ``path`` gives a name, or imports; the name for anything else."""
    for node in _tree(path).body:
        if isinstance(node, ast.Assign) and [ast.unparse(one) for one in node.targets] == [name]:
            return ast.unparse(node.value) if isinstance(node.value, ast.Constant) else name
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _constant(alias.name, module_file(f"{node.module}.{alias.name}")[0])
    return name


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _comments(path: Path) -> dict[int, str]:
    """Return the comments at the end of lines, by line."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
