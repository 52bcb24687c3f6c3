"""Checks of each revision, and the fixtures of all checks, for tests/test_migrations.py."""

import ast
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import Script, ScriptDirectory

from ..histories import load_options
from ..paths import in_use
from ..sections import databases, read_config
from .roundtrip import roundtrip
from .scratch import ScratchDatabase

[CONFIG] = in_use
ALEMBIC_INI = Path(CONFIG.config_file_name or "alembic.ini")


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
    if "packages" not in options:
        pytest.fail(
            f"{script.env_py_location} does not call the kit. "
            "End it with run(target_metadata, package=...) of migration_kit",
            pytrace=False,
        )
    return options


@pytest.fixture
def database(config: Config, options: dict[str, Any]) -> Iterator[ScratchDatabase]:
    """An empty database; another env.py than the kit's would not work on it, but on yours."""
    assert options
    section = config.config_ini_section
    with ScratchDatabase(ALEMBIC_INI, section).create() as database:
        yield database


def test_each_revision_goes_up_down_and_up(database: ScratchDatabase) -> None:
    failed, findings = roundtrip(database)
    found = "\n".join(findings)
    if failed:
        pytest.fail(f"{failed} failed. Fix it:\n{found}", pytrace=False)
    if findings:
        pytest.fail(
            f"upgrade() and downgrade() do not undo each other. Fix one of them:\n{found}",
            pytrace=False,
        )


def test_no_downgrade_is_empty(script: ScriptDirectory) -> None:
    empty = [
        os.path.relpath(revision.path)
        for revision in script.walk_revisions()
        if not revision.is_merge_point and has_empty_downgrade(revision)
    ]
    if empty:
        pytest.fail(
            f"empty downgrade() in {', '.join(empty)}. Write it, or, if there is nothing to "
            "undo, a docstring in it that says why",
            pytrace=False,
        )


def has_empty_downgrade(revision: Script) -> bool:
    """Return whether downgrade() does nothing, or only refuses, and does not say why."""
    statements = [
        statement
        for node in ast.parse(Path(revision.path).read_bytes()).body
        if isinstance(node, ast.FunctionDef) and node.name == "downgrade"
        for statement in node.body
        if not isinstance(statement, ast.Pass)
    ]
    return not statements or isinstance(statements[0], ast.Raise)
