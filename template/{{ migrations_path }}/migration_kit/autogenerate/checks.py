"""Checks of the models, for tests/test_migrations.py."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.types import TypeEngine

from ..sections import commands_for
from .models import table_modules, unloaded_modules


def test_models_equal_the_migrated_schema(config: Config, database: Any) -> None:
    database.upgrade()
    try:
        command.check(database.config())
    except CommandError as error:
        remedy = '`alembic revision --autogenerate -m "..."` writes what is missing'
        remedy = commands_for(config.config_ini_section, remedy)
        raise AssertionError(f"{error}; {remedy}") from None


def test_every_model_is_loaded(options: dict[str, Any]) -> None:
    unloaded = unloaded_modules(options["packages"], options["not_migrated"])
    assert not unloaded, (
        f"{', '.join(sorted(unloaded))}: tables that Alembic does not see; "
        "import the module where env.py imports the metadata from, or, where something else "
        "makes its tables, name it in `not_migrated=` of run() in env.py"
    )


def test_no_revision_imports_models(
    script: ScriptDirectory, options: dict[str, Any]
) -> None:
    """A revision stays, while the models go on changing; types of columns are no models."""
    packages = options["packages"]
    modules = table_modules(packages) | set(
        imported_names(parse(script.env_py_location))
    )
    parents = {parent for module in modules for parent in parents_of(module)}
    forbidden = {
        module
        for module in (modules | parents) - set(packages)
        if module.split(".")[0] in packages
    }
    importing = [
        f"{revision.path}: {', '.join(sorted(found))}"
        for revision in script.walk_revisions()
        if (found := set(imported_names(parse(revision.path))) & forbidden)
    ]
    assert not importing, (
        f"{'; '.join(importing)}: write the table as it is at that revision, "
        'with sa.table("name", sa.column("id"))'
    )


def parse(path: str | Path) -> ast.Module:
    return ast.parse(Path(path).read_bytes())


def parents_of(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def imported_names(source: ast.Module) -> Iterator[str]:
    """Yield the modules and names that are imported for more than types of columns."""
    nodes = list(ast.walk(source))
    used = [ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)]
    for node in nodes:
        if isinstance(node, ast.Import):
            for module in node.names:
                start = f"{module.asname or module.name}."
                taken = [name[len(start) :] for name in used if name.startswith(start)]
                if not taken or not all(is_type(module.name, name) for name in taken):
                    yield module.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [name.name for name in node.names]
            if others := [name for name in names if not is_type(node.module, name)]:
                yield node.module
                yield from (f"{node.module}.{name}" for name in others)


def is_type(module: str, name: str) -> bool:
    found = getattr(sys.modules.get(module), name.split(".")[0], None)
    return isinstance(found, type) and issubclass(found, TypeEngine)
