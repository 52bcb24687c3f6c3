"""The kit is a core and rooms: who imports whom, and how many lines a project gets."""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path

import pytest

from support import arrows
from support.arrows import KINDS, KIT, Place
from support.commands import run, script
from support.projects import Render
from support.variants import ENGINE_OF, Engine

MODULES = sorted(KIT.rglob("*.py"))
ROOMS = arrows.rooms()

SQLITE = ENGINE_OF["sqlite-pysqlite-sync"]
POSTGRESQL = ENGINE_OF["postgresql-psycopg-sync"]
MARIADB = ENGINE_OF["mariadb-pymysql-sync"]
DEFAULT = ["autogenerate", "branches", "testing"]


@pytest.mark.parametrize(
    ("engine", "features", "most"),
    [
        pytest.param(SQLITE, [], 1400, id="sqlite, no feature"),
        pytest.param(SQLITE, DEFAULT, 4390, id="sqlite, default"),
        pytest.param(POSTGRESQL, [], 1700, id="postgresql, no feature"),
        pytest.param(POSTGRESQL, DEFAULT, 5160, id="postgresql, default"),
        pytest.param(MARIADB, DEFAULT, 4980, id="mariadb, default"),
    ],
)
def test_kit_has_no_more_lines_than_it_may(
    render: Render, engine: Engine, features: list[str], most: int
) -> None:
    project = render(database=engine.database, features=features)
    kit = project / "migrations/migration_kit"
    files = [path for path in kit.rglob("*") if path.is_file()]
    lines = sum(path.read_bytes().count(b"\n") for path in files)
    assert lines <= most


def is_allowed(own: Place, their: Place) -> bool:
    """Tell whether a module may import another one of the kit."""
    rooms = {"", own.room, *ROOMS.get(own.room, ())}
    kinds = {"", *KINDS.get(own.kind, ())}
    return their.room in rooms and their.kind in kinds


def test_core_imports_no_room_and_rooms_only_those_that_they_need() -> None:
    """Functions included; a module for one kind of database is only found by `part`."""
    wrong = [
        f"{path.relative_to(KIT)}:{line}: {own} imports {'.'.join(names)}"
        for path in MODULES
        if (own := arrows.place(arrows.names_of(path)))
        for line, names in arrows.imports(path)
        if names and not is_allowed(own, arrows.place(names))
    ]
    assert wrong == []


def test_only_the_registration_imports_by_name() -> None:
    dynamic = {
        path.name
        for path in MODULES
        for node in ast.walk(arrows.tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"import_module", "__import__"}
        and "__package__" in map(ast.unparse, node.args)
    }
    assert dynamic == {"rooms.py"}


@pytest.mark.parametrize("room", ROOMS)
def test_room_imports_nothing_until_it_is_asked(room: str) -> None:
    """Each run asks all rooms, and looking for `NAME.room` imports `NAME`."""
    imported = {
        f"{path.name}:{line}": module
        for path in (KIT / room / "room.py", KIT / room / "__init__.py")
        for line, module in arrows.at_import(path)
    }
    allowed = {"..rooms", "__future__", "typing"}
    late = {
        where: module
        for where, module in imported.items()
        if module not in allowed and not arrows.is_standard(module)
    }
    assert late == {}


def test_every_folder_of_the_kit_is_a_room_or_a_kind_of_database() -> None:
    """Or of the core, with a module for each kind of database."""
    folders = {path.name for path in KIT.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders == {*ROOMS, "postgresql", "mysql", "catalogs"}


# As in a project of 2.4, whose owner had the kit checked as well.
SETTINGS = """
[tool.ruff.lint]
extend-select = ["B", "I", "UP"]
ignore = ["RUF012"]

[tool.mypy]
strict = true
files = ["migration_kit"]

[tool.pyright]
include = ["migration_kit"]
"""


def test_kit_is_formatted_linted_and_strictly_typed(tmp_path: Path) -> None:
    """All of it; in a project these tools leave it out."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(KIT, tmp_path / "migration_kit", ignore=ignore)
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    run(script("ruff"), "format", "--check", cwd=tmp_path)
    run(script("ruff"), "check", cwd=tmp_path)
    run(sys.executable, "-m", "mypy", cwd=tmp_path)
    assert "0 errors, 0 warnings" in run(script("pyright"), cwd=tmp_path)
