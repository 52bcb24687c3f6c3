"""What every revision must hold; a failure says which one does not, and what mends it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from migration_kit.databases import (  # found by `pythonpath`
    commands_for,
    databases,
    read_config,
)
from migration_kit.environment import load_options
from migration_kit.head import read_head, rival_heads, two_heads_remedy
from migration_kit.models import table_modules, unloaded_modules
from migration_kit.paths import invocation
from migration_kit.roundtrip import roundtrip
from migration_kit.testing import ScratchDatabase
from sqlalchemy.types import TypeEngine

ALEMBIC_INI = Path(__file__).parents[1] / "alembic.ini"


@pytest.fixture(params=databases(ALEMBIC_INI))
def config(request: pytest.FixtureRequest) -> Config:
    """The section of each database in alembic.ini, one after the other."""
    return read_config(ALEMBIC_INI, request.param)


@pytest.fixture
def script(config: Config) -> ScriptDirectory:
    return ScriptDirectory.from_config(config)


@pytest.fixture
def options(config: Config, script: ScriptDirectory) -> dict[str, Any]:
    """What env.py gives to `run()`; reading it also imports the models."""
    options = load_options(config)
    assert "packages" in options, (
        f"{script.env_py_location} does not end with run(target_metadata, package=...) "
        "of migration_kit.environment"
    )
    return options


@pytest.fixture
def database(config: Config, options: dict[str, Any]) -> Iterator[ScratchDatabase]:
    """An empty database; another env.py than the kit's would not work on it, but on yours."""
    assert options
    section = config.config_ini_section
    with ScratchDatabase(ALEMBIC_INI, section).create() as database:
        yield database


def test_history_has_one_head(config: Config, script: ScriptDirectory) -> None:
    """Or one for each line, where branch labels tell several lines apart."""
    heads = rival_heads(script)
    remedy = commands_for(config.config_ini_section, two_heads_remedy(heads))
    assert not heads, f"the heads are {', '.join(heads)}; {remedy}"


def test_head_file_names_the_head(script: ScriptDirectory) -> None:
    assert read_head(script) == sorted(script.get_heads()), (
        f"HEAD names another revision; mend it with `{invocation()} head`"
    )


def test_each_revision_goes_up_down_and_up(database: ScratchDatabase) -> None:
    findings = roundtrip(database)
    assert not findings, "\n".join(
        ["mend upgrade() or downgrade(), so that each undoes the other:", *findings]
    )


def test_models_equal_the_migrated_schema(
    config: Config, database: ScratchDatabase
) -> None:
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


def test_no_downgrade_is_empty(script: ScriptDirectory) -> None:
    empty = [
        revision.path
        for revision in script.walk_revisions()
        if not revision.is_merge_point and is_empty(function(revision, "downgrade"))
    ]
    assert not empty, (
        f"{', '.join(empty)}: write the way back, or, where there is nothing to undo, "
        "a docstring in downgrade() that says why"
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


def function(revision: Script, name: str) -> ast.FunctionDef:
    [found] = [
        node
        for node in parse(revision.path).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    return found


def is_empty(function: ast.FunctionDef) -> bool:
    """Tell a function that does nothing, or only refuses, and does not say why."""
    statements = [node for node in function.body if not isinstance(node, ast.Pass)]
    return not statements or isinstance(statements[0], ast.Raise)


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
