"""Models that Alembic cannot see, because nothing imports their module."""

import ast
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from alembic.util import CommandError

from ..command import get_command
from ..paths import migrations

log = logging.getLogger(f"alembic.{__name__}")

# What may stand between two words, or before the first argument of a call.
GAP = rb"(?:[\s\\()]|#[^\r\n]*+)*+"

# Whatever the parser finds has one of these in it, and looking for it takes a hundredth of the
# time: each begins with plain letters, which `re` skips to.
HINTS = [
    re.compile(rb"__tablename__(?<!\.__tablename__)" + GAP + rb"(?:[=:,\]]|in\b)"),
    re.compile(rb"\." + GAP + rb"Model\b"),
    re.compile(rb"Table(?<!\wTable)(?![\"'])" + GAP + rb"[rRuU]?[\"']"),
]


def warn_of_unloaded_models(
    packages: Iterable[str], not_migrated: Iterable[str]
) -> None:
    """Name the modules of packages that define tables but are not imported.

    Autogenerate takes their tables for dropped ones, or does not create them.
    """
    if get_command() not in {"check", "revision"}:
        return
    if unloaded := unloaded_modules(packages, not_migrated):
        log.warning(
            "tables of modules that nothing imports are not compared; import them where the "
            "metadata is imported from, or name them in `not_migrated=` of run() in env.py: %s",
            ", ".join(sorted(unloaded)),
        )


def unloaded_modules(
    packages: Iterable[str], not_migrated: Iterable[str] = ()
) -> set[str]:
    """Return the names of the modules that define tables, but that nothing imports.

    Args:
        packages: names of those to look through.
        not_migrated: names of modules to leave out, with all below them.

    Raises:
        CommandError: if no module has a name of `not_migrated`.
    """
    modules = dict(module for package in packages for module in modules_of(package))
    meant: set[str] = set()
    for other in not_migrated:
        found = {name for name in modules if f"{name}.".startswith(f"{other}.")}
        if not found:
            raise CommandError(
                f"{', '.join(packages)} has no module {other!r}; "
                "correct `not_migrated=` of run() in env.py"
            )
        meant |= found
    return {
        name
        for name, path in modules.items()
        if name not in sys.modules and name not in meant and defines_tables(path)
    }


def table_modules(packages: Iterable[str]) -> set[str]:
    """Return the names of all modules of packages that define tables."""
    return {
        name
        for package in packages
        for name, path in modules_of(package)
        if defines_tables(path)
    }


def modules_of(package: str) -> Iterator[tuple[str, str]]:
    """Yield name and path of each module in a package, without its tests and migrations.

    Raises:
        CommandError: if the package is not imported.
    """
    module = sys.modules.get(package)
    if module is None:
        raise CommandError(
            f"nothing imports {package!r}; correct `package=` of run() in env.py"
        )
    if not hasattr(module, "__path__"):  # plain modules, side by side
        for path in Path(module.__file__ or "").parent.glob("*.py"):
            yield path.stem, str(path)
        return
    for folder in module.__path__:
        for parent, folders, files in os.walk(folder):
            folders[:] = [
                name
                for name in folders
                if name.isidentifier()
                and name not in {"__pycache__", "test", "tests"}
                and not Path(parent, name).samefile(migrations())
            ]
            prefix = ".".join([package, *Path(parent).relative_to(folder).parts])
            for file in files:
                stem, extension = os.path.splitext(file)
                if extension == ".py" and stem.isidentifier():
                    name = prefix if stem == "__init__" else f"{prefix}.{stem}"
                    yield name, os.path.join(parent, file)


def defines_tables(path: str) -> bool:
    """Tell whether a module's source has a class with a table, or a Table."""
    with open(path, "rb") as file:
        source = file.read()
    if b"down_revision" in source or not any(hint.search(source) for hint in HINTS):
        return False  # a revision, or nothing that is worth the time of parsing it
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return False
    return any(
        is_mapped(node) if isinstance(node, ast.ClassDef) else is_table(node)
        for node in nodes
    )


def is_mapped(node: ast.ClassDef) -> bool:
    """Tell a class with a table from others, in the ways of SQLAlchemy and its relatives."""
    assigned = {
        name.id
        for statement in node.body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for name in ast.walk(statement)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
    flask_model = any(
        isinstance(base, ast.Attribute) and base.attr == "Model" for base in node.bases
    )
    return "__abstract__" not in assigned and (
        "__tablename__" in assigned or flask_model
    )


def is_table(node: ast.AST) -> bool:
    """Recognise `Table("name", ...)`, also as an attribute: `sa.Table`, `db.Table`."""
    return (
        isinstance(node, ast.Call)
        and len(node.args) > 1
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Table"
    )
