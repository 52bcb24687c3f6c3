"""Find by the syntax tree where the project's source still uses a table or a column."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from ..paths import migrations

SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|FROM|JOIN|CREATE|ALTER|DROP)\b")
COLUMNS = {"mapped_column", "Column", "column", "Field"}

Place = tuple[Path, int]


class Usage:
    """The source of a project."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of alembic.ini."""
        self.folder = folder

    @cached_property
    def trees(self) -> dict[Path, ast.Module]:
        """The syntax trees of the project's files, without those of the migrations."""
        files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(
            [*files, "--", "*.py"],
            cwd=self.folder,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        names = sorted(set(listed.stdout.split("\0")) - {""})
        paths = [self.folder / name for name in names]
        if listed.returncode:
            paths = sorted(self.folder.glob("*/**/*.py"))
        trees = {}
        for path in paths:
            if path.resolve().is_relative_to(migrations()):
                continue
            try:
                trees[path] = ast.parse(path.read_text(encoding="utf-8"))
            except (OSError, SyntaxError, ValueError):
                continue
        return trees

    def places(self, name: str, is_column: bool) -> list[Place]:
        """Return where the source uses a table or a column: the model first.

        Args:
            name: `heroes` or `heroes.age`, with a schema before it or without.
            is_column: whether it is a column.
        """
        parts = name.split(".")
        column = parts.pop() if is_column else ""
        table = parts[-1]
        models = {
            model: path
            for path, tree in self.trees.items()
            for model in models_of(tree, table)
        }
        names = {name for model in models for name in names_of(model)}
        found: list[Place] = []
        if is_column:
            attributes = {column}
            for model, path in models.items():
                for attribute, line in attributes_of(model, column):
                    attributes.add(attribute)
                    found.append((path, line))
            for path, tree in self.trees.items():
                lines = {*uses(tree, names, attributes), *in_sql(tree, table, column)}
                found += [(path, line) for line in sorted(lines)]
        else:
            found += [(path, model.lineno) for model, path in models.items()]
            for path, tree in self.trees.items():
                mentioned = [
                    node.lineno
                    for node in ast.walk(tree)
                    if isinstance(node, ast.Name) and node.id in names
                ]
                lines = {*mentioned[:1], *in_sql(tree, table), *keys_to(tree, table)}
                found += [(path, line) for line in sorted(lines)]
        return list(dict.fromkeys(found))


def models_of(tree: ast.Module, table: str) -> Iterator[ast.ClassDef | ast.Assign]:
    """Yield the classes and `Table()`s of a file that stand for a table."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(body=body) if any(
                is_assigned(statement, "__tablename__", table)
                or is_table(statement, table)
                for statement in body
            ):
                yield node
            case ast.Assign() if is_table(node, table):
                yield node


def is_assigned(statement: ast.stmt, name: str, value: str) -> bool:
    """Return whether a statement gives a name a text."""
    match statement:
        case ast.Assign([ast.Name(own)], ast.Constant(text)) | ast.AnnAssign(
            ast.Name(own), _, ast.Constant(text)
        ):
            return own == name and text == value
    return False


def is_table(statement: ast.stmt, table: str) -> bool:
    """Return whether a statement assigns the `Table()` of a table."""
    match statement:
        case ast.Assign(_, ast.Call(function, [ast.Constant(text), *_])):
            return text == table and last_name(function) in ("Table", "table")
    return False


def last_name(node: ast.expr) -> str:
    """Return `c` of `a.b.c`."""
    match node:
        case ast.Attribute(_, name) | ast.Name(name):
            return name
    return ""


def names_of(model: ast.ClassDef | ast.Assign) -> list[str]:
    """Return what a model is called."""
    if isinstance(model, ast.ClassDef):
        return [model.name]
    return [target.id for target in model.targets if isinstance(target, ast.Name)]


def attributes_of(
    model: ast.ClassDef | ast.Assign, column: str
) -> Iterator[tuple[str, int]]:
    """Yield the attribute of a model that has a column, and its line."""
    if isinstance(model, ast.Assign):
        for node in ast.walk(model.value):
            match node:
                case ast.Call(function, [ast.Constant(text), *_]):
                    if text == column and last_name(function) in COLUMNS:
                        yield column, node.lineno
        return
    for statement in model.body:
        match statement:
            case ast.AnnAssign(ast.Name(name), _, value) | ast.Assign(
                [ast.Name(name)], value
            ):
                if column_name(name, value) == column:
                    yield name, statement.lineno


def column_name(attribute: str, value: ast.expr | None) -> str:
    """Return the name of an attribute's column: its own, unless it says another."""
    match value:
        case ast.Call(function, [ast.Constant(str(text)), *_]):
            if last_name(function) in COLUMNS:
                return text
    return attribute


def uses(tree: ast.Module, names: set[str], attributes: set[str]) -> Iterator[int]:
    """Yield the lines that use attributes of models.

    An attribute of something else counts only in a file that names a model: `hero.age` is
    of a hero where `Hero` is imported.
    """
    named = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(name) | ast.ClassDef(name=name) | ast.alias(name=name):
                named.add(name)
    if not named & names:
        return
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(_, name) if name in attributes:
                yield node.lineno
            case ast.Call(function, _, keywords):
                called = last_name(function)
                if called in names or called in ("values", "filter_by", "update"):
                    for keyword in keywords:
                        if keyword.arg in attributes:
                            yield keyword.lineno


def in_sql(tree: ast.Module, *words: str) -> Iterator[int]:
    """Yield the lines of SQL that names all of some words."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if SQL.search(text) and all(
                re.search(rf"\b{re.escape(word)}\b", text) for word in words if word
            ):
                yield node.lineno


def keys_to(tree: ast.Module, table: str) -> Iterator[int]:
    """Yield the lines of foreign keys to a table."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(function, [ast.Constant(str(text)), *_]):
                is_key = last_name(function) == "ForeignKey"
                if is_key and table in text.split(".")[:-1]:
                    yield node.lineno
