"""Every shape of a generated project migrates a real database up and down."""

from __future__ import annotations

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from support.commands import run, script
from support.databases import sync_url, url_text
from support.projects import TABLES, UP_AND_DOWN, New, Project
from support.variants import ENGINE_OF, ONE_OF_EACH, SHAPES, Engine, Variant

# In one interpreter: a start of Python for each would take longer than what it does.
UP_AND_DOWN_WITH_TABLES = """
import json, os
from alembic.config import main
from sqlalchemy import NullPool, create_engine, inspect

engine = create_engine(os.environ.pop("SYNC_URL"), poolclass=NullPool)
for arguments in json.loads(os.environ.pop("COMMANDS")):
    main(arguments)
    names = set(inspect(engine).get_table_names()) - {"alembic_version"}
    print("tables", json.dumps(sorted(names)))
"""


@pytest.mark.parametrize("variant", SHAPES, ids=str)
def test_shape_migrates_up_and_down(new: New, variant: Variant) -> None:
    project = new(variant)
    made = set(TABLES[variant.example])
    output = project.python(
        UP_AND_DOWN_WITH_TABLES,
        COMMANDS=json.dumps(UP_AND_DOWN),
        SYNC_URL=url_text(sync_url(project.url)),
    )
    found = re.findall(r"^tables (.*)$", output, re.MULTILINE)
    tables = [set(json.loads(names)) - {"alembic_ready"} for names in found]
    assert tables == [made, made, set(), made]


def insert_staff(project: Project) -> None:
    project.query(
        "INSERT INTO departments (id, name) VALUES (1, 'Sales'), (2, 'Support')"
    )
    project.query(
        "INSERT INTO employees (id, name, department_id)"
        " VALUES (1, 'Ada', 1), (2, 'Alan', 2), (3, 'Grace', NULL)"
    )


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_tour_moves_rows_up_and_down(new: New, engine: Engine) -> None:
    """It refuses a downgrade that would lose some, and seeds on demand only."""
    project = new(Variant(engine, example="tour"))
    links = "SELECT department_id, employee_id FROM department_employees ORDER BY 2, 1"
    project.alembic("upgrade", "8d27b61f0c94")
    insert_staff(project)
    project.alembic("upgrade", "b90e43d51a7c")
    assert project.query(links) == [(1, 1), (2, 2)]

    project.query(
        "INSERT INTO department_employees (department_id, employee_id) VALUES (2, 1)"
    )
    output = project.alembic("downgrade", "-1", fails=True)
    assert "employee 1 is in several departments" in output
    assert project.query(links) == [(1, 1), (2, 1), (2, 2)]
    assert project.version() == ["b90e43d51a7c"]
    project.query(
        "DELETE FROM department_employees WHERE department_id = 2 AND employee_id = 1"
    )

    project.alembic("downgrade", "8d27b61f0c94")
    assert project.query("SELECT id, department_id FROM employees ORDER BY id") == [
        (1, 1),
        (2, 2),
        (3, None),
    ]
    emails = "SELECT email FROM users ORDER BY email"
    project.alembic("upgrade", "head")
    assert project.query(links) == [(1, 1), (2, 2)]
    assert project.query(emails) == []
    project.alembic_each([["downgrade", "-1"], ["-x", "seed=true", "upgrade", "head"]])
    assert project.query(emails) == [("ada@example.com",), ("alan@example.com",)]
    project.alembic("downgrade", "-1")
    assert "users" not in project.tables()


@pytest.mark.parametrize("base_location", ["models", "module"])
def test_any_import_order_works(new: New, base_location: str) -> None:
    variant = Variant(base_location=base_location, example="tour")
    project = new(variant)
    base = "my_app.models.base" if base_location == "models" else "my_app.base"
    models = ("my_app.models", "my_app.models.employee", "my_app.models.department")
    for first in {*models, "my_app.engine", base, variant.metadata_module}:
        output = project.python(
            f"import {first}\n"
            f"from {variant.metadata_module} import Base\n"
            f"from {base} import Base as same\n"
            "assert Base is same\n"
            "print(sorted(Base.metadata.tables))"
        )
        assert output.split() == str(sorted(TABLES["tour"])).split(), first


def test_migrations_in_the_package_ship_in_the_wheel(new: New, tmp_path: Path) -> None:
    project = new(Variant(migrations_in_package=True, example="tour"))
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", cwd=project)
    [wheel] = (project / "dist").glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    run(
        sys.executable,
        "-c",
        "from alembic import command\n"
        "from alembic.config import Config\n"
        "config = Config()\n"
        "config.set_main_option('script_location', 'my_app:migrations')\n"
        "command.upgrade(config, 'head')\n",
        cwd=tmp_path,
        env={
            "PYTHONPATH": str(installed),
            "DATABASE_URL": project.url.render_as_string(False),
        },
    )
    assert project.tables() == TABLES["tour"]


@pytest.mark.parametrize(
    ("migrations_dir", "in_package"),
    [("alembic", False), ("alembic", True), ("_1", True), ("Migrations", False)],
)
def test_migrations_may_have_any_name(
    new: New, migrations_dir: str, in_package: bool
) -> None:
    project = new(
        Variant(migrations_in_package=in_package), migrations_dir=migrations_dir
    )
    project.alembic_each([["upgrade", "head"], ["check"], ["revision", "-m", "second"]])
    run(script("ruff"), "check", cwd=project)
    if migrations_dir == "alembic":  # as the library is called
        project.mypy()


@pytest.mark.parametrize(
    ("engine", "resolution"),
    [
        (ENGINE_OF["sqlite-aiosqlite-async"], "lowest-direct"),
        (ENGINE_OF["sqlite-pysqlite-sync"], "highest"),
    ],
    ids=str,
)
def test_project_works_with_the_lowest_and_the_newest_dependencies(
    new: New, engine: Engine, resolution: str
) -> None:
    """What pyproject.toml allows is installed by uv, as the owner's first command does it."""
    project = new(Variant(engine, example="tour"))
    env = {
        "VIRTUAL_ENV": "",
        "UV_PROJECT_ENVIRONMENT": str(project / ".venv"),
        "UV_LINK_MODE": "copy",
        "UV_RESOLUTION": resolution,
        "MYPY_CACHE_DIR": str(project / ".mypy_cache"),  # another version of it
    }

    def uv_run(*command: str) -> str:
        return run(script("uv"), "run", "--quiet", *command, cwd=project, env=env)

    for command in UP_AND_DOWN:
        uv_run("alembic", *command)
    uv_run("pytest", "-q")
    uv_run("mypy")
    print_version = "import sqlalchemy; print(sqlalchemy.__version__)"
    version = uv_run("python", "-c", print_version).strip()
    assert (version == "2.1.0") == (resolution == "lowest-direct")
    shutil.rmtree(project / ".venv")
