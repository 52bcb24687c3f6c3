"""Every shape of a generated project migrates a real database up and down."""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import Database, Render, alembic, python, query, run, script, sync_url
from sqlalchemy import URL, create_engine, inspect
from variants import ENGINES, SHAPES, Engine, Variant

TABLES = {
    "none": set(),
    "hero": {"heroes"},
    "tour": {"heroes", "departments", "employees", "department_employees", "users"},
}
UP_AND_DOWN = [
    ["upgrade", "head"],
    ["check"],
    ["downgrade", "base"],
    ["upgrade", "head"],
]

ENGINE_OF = {str(engine): engine for engine in ENGINES}
ONE_OF_EACH = [
    ENGINE_OF["sqlite-aiosqlite-async"],
    ENGINE_OF["postgresql-psycopg-sync"],
    ENGINE_OF["mariadb-pymysql-sync"],
]


def tables(url: URL) -> set[str]:
    engine = create_engine(sync_url(url))
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names - {"alembic_version"}


@pytest.mark.parametrize("variant", SHAPES, ids=str)
def test_shape_migrates_up_and_down(
    render: Render, database: Database, variant: Variant
) -> None:
    url = database(variant.engine.database, variant.engine.driver)
    project = render(variant)
    for command, expected in [
        (["upgrade", "head"], TABLES[variant.example]),
        (["check"], TABLES[variant.example]),
        (["downgrade", "base"], set()),
        (["upgrade", "head"], TABLES[variant.example]),
    ]:
        alembic(project, *command, url=url)
        assert tables(url) == expected


def insert_staff(url: URL) -> None:
    query(url, "INSERT INTO departments (id, name) VALUES (1, 'Sales'), (2, 'Support')")
    query(
        url,
        "INSERT INTO employees (id, name, department_id)"
        " VALUES (1, 'Ada', 1), (2, 'Alan', 2), (3, 'Grace', NULL)",
    )


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_tour_moves_rows_up_and_down(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine, example="tour"))
    links = "SELECT department_id, employee_id FROM department_employees ORDER BY employee_id"

    alembic(project, "upgrade", "8d27b61f0c94", url=url)
    insert_staff(url)
    alembic(project, "upgrade", "b90e43d51a7c", url=url)
    assert query(url, links) == [(1, 1), (2, 2)]
    alembic(project, "downgrade", "8d27b61f0c94", url=url)
    assert query(url, "SELECT id, department_id FROM employees ORDER BY id") == [
        (1, 1),
        (2, 2),
        (3, None),
    ]
    alembic(project, "upgrade", "head", url=url)
    assert query(url, links) == [(1, 1), (2, 2)]


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_tour_refuses_a_downgrade_that_would_lose_rows(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine, example="tour"))
    alembic(project, "upgrade", "8d27b61f0c94", url=url)
    insert_staff(url)
    alembic(project, "upgrade", "b90e43d51a7c", url=url)
    query(
        url,
        "INSERT INTO department_employees (department_id, employee_id) VALUES (2, 1)",
    )
    before = query(url, "SELECT * FROM department_employees ORDER BY 1, 2")

    output = alembic(project, "downgrade", "-1", url=url, fails=True)
    assert "employee 1 is in several departments" in output
    assert query(url, "SELECT * FROM department_employees ORDER BY 1, 2") == before
    assert query(url, "SELECT version_num FROM alembic_version") == [("b90e43d51a7c",)]


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_tour_seeds_only_on_demand(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine, example="tour"))
    emails = "SELECT email FROM users ORDER BY email"

    alembic(project, "upgrade", "head", url=url)
    assert query(url, emails) == []
    alembic(project, "downgrade", "-1", url=url)
    alembic(project, "-x", "seed=true", "upgrade", "head", url=url)
    assert query(url, emails) == [("ada@example.com",), ("alan@example.com",)]
    alembic(project, "downgrade", "-1", url=url)
    assert "users" not in tables(url)


CAPE = """\
from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from {base} import Base


class Cape(Base):
    __tablename__ = "capes"
    __table_args__ = (CheckConstraint("length > 0", name="positive_length"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    colour: Mapped[str] = mapped_column(String(20), server_default="red", unique=True)
    length: Mapped[int]
    hero_id: Mapped[int] = mapped_column(ForeignKey("heroes.id"))
"""


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize("base_location", ["models", "module"])
def test_autogenerate_sees_a_model_that_was_dropped_in(
    render: Render, database: Database, engine: Engine, base_location: str
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine, base_location=base_location))
    base = "my_app.models.base" if base_location == "models" else "my_app.base"
    wardrobe = project / "src/my_app/models/wardrobe"
    wardrobe.mkdir()
    (wardrobe / "__init__.py").touch()
    (wardrobe / "cape.py").write_text(CAPE.format(base=base))

    alembic(project, "upgrade", "head", url=url)
    alembic(project, "check", url=url, fails=True)
    alembic(project, "revision", "--autogenerate", "-m", "add capes", url=url)
    [revision] = (project / "migrations/versions").glob("*_add_capes.py")
    content = revision.read_text()
    for name in [
        "ck_capes_positive_length",
        "fk_capes_hero_id_heroes",
        "uq_capes_colour",
        "pk_capes",
    ]:
        assert name in content
    run(script("ruff"), "format", "--check", cwd=project)
    run(script("ruff"), "check", cwd=project)
    for command in UP_AND_DOWN:
        alembic(project, *command, url=url)


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("String(100), index=True", "String(120), index=True", "alter_column"),
        (
            "mapped_column(String(100))\n",
            'mapped_column(String(100), server_default="?")\n',
            "'?'|\"\\?\"",
        ),
        (
            "    id: Mapped",
            '    __table_args__ = (CheckConstraint("age > 0", name="age"),)\n    id: Mapped',
            "ck_heroes_age",
        ),
    ],
    ids=["type", "server default", "named CHECK"],
)
def test_autogenerate_sees_a_changed_model(
    render: Render,
    database: Database,
    engine: Engine,
    before: str,
    after: str,
    change: str,
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    model = project / "src/my_app/models/hero.py"
    source = model.read_text().replace(
        "import String", "import CheckConstraint, String"
    )
    alembic(project, "upgrade", "head", url=url)
    alembic(project, "check", url=url)
    assert before in source
    model.write_text(source.replace(before, after))

    alembic(project, "revision", "--autogenerate", "-m", "change heroes", url=url)
    [revision] = (project / "migrations/versions").glob("*_change_heroes.py")
    assert re.search(change, revision.read_text())
    if engine.database == "sqlite":
        assert "batch_alter_table" in revision.read_text()
    for command in (
        ["upgrade", "head"],
        ["check"],
        ["downgrade", "-1"],
        ["upgrade", "head"],
    ):
        alembic(project, *command, url=url)


@pytest.mark.parametrize("base_location", ["models", "module"])
@pytest.mark.parametrize(
    "first",
    [
        "my_app.models",
        "my_app.models.employee",
        "my_app.models.department",
        "my_app.engine",
        "BASE",
        "METADATA",
    ],
)
def test_any_import_order_works(render: Render, base_location: str, first: str) -> None:
    variant = Variant(base_location=base_location, example="tour")
    project = render(variant)
    base = "my_app.models.base" if base_location == "models" else "my_app.base"
    first = first.replace("BASE", base).replace("METADATA", variant.metadata_module)
    output = python(
        project,
        f"import {first}\n"
        f"from {variant.metadata_module} import Base\n"
        f"from {base} import Base as same\n"
        "assert Base is same\n"
        "print(sorted(Base.metadata.tables))",
    )
    assert output.split() == str(sorted(TABLES["tour"])).split()


def test_migrations_in_the_package_ship_in_the_wheel(
    render: Render, database: Database, tmp_path: Path
) -> None:
    url = database("sqlite", "pysqlite")
    project = render(Variant(migrations_in_package=True, example="tour"))
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
        env={"PYTHONPATH": str(installed), "DATABASE_URL": url.render_as_string(False)},
    )
    assert tables(url) == TABLES["tour"]


@pytest.mark.parametrize("migrations_dir", ["alembic", "db", "_1", "Migrations"])
@pytest.mark.parametrize("in_package", [False, True])
def test_migrations_may_have_any_name(
    render: Render, database: Database, migrations_dir: str, in_package: bool
) -> None:
    url = database("sqlite", "pysqlite")
    project = render(
        Variant(migrations_in_package=in_package), migrations_dir=migrations_dir
    )
    alembic(project, "upgrade", "head", url=url)
    alembic(project, "check", url=url)
    alembic(project, "revision", "-m", "second", url=url)
    run(script("ruff"), "check", cwd=project)
    run(sys.executable, "-m", "mypy", cwd=project)


def test_new_revision_has_a_dated_name_in_utc(
    render: Render, database: Database
) -> None:
    url = database("sqlite", "pysqlite")
    project = render(Variant(example="none"))
    before = python(
        project, "import datetime as d; print(d.datetime.now(d.UTC).isoformat())"
    )
    alembic(
        project, "revision", "-m", "Add Émile's cape", url=url, TZ="Pacific/Kiritimati"
    )
    [revision] = (project / "migrations/versions").glob("*.py")
    assert revision.name.startswith(before[:10].replace("-", "_"))
    assert revision.name.endswith("_add_émile_s_cape.py")
    assert "import sqlalchemy as sa\nfrom alembic import op\n" in revision.read_text(
        "utf-8"
    )
    run(script("ruff"), "format", "--check", cwd=project)
    run(script("ruff"), "check", cwd=project)


@pytest.mark.parametrize("resolution", ["lowest-direct", "highest"])
@pytest.mark.parametrize(
    "engine",
    [ENGINE_OF["sqlite-pysqlite-sync"], ENGINE_OF["sqlite-aiosqlite-async"]],
    ids=str,
)
def test_project_works_with_the_lowest_and_the_newest_dependencies(
    render: Render, engine: Engine, resolution: str
) -> None:
    """What pyproject.toml allows is installed by uv, as the owner's first command does it."""
    project = render(Variant(engine, example="tour"))
    env = {
        "VIRTUAL_ENV": "",
        "UV_PROJECT_ENVIRONMENT": str(project / ".venv"),
        "UV_LINK_MODE": "copy",
        "UV_RESOLUTION": resolution,
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
