"""Which database: of -x, DATABASE_URL and alembic.ini, for commands and the application."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL

from support.commands import run, script
from support.databases import query, tables, url_text
from support.projects import Database, New, Project, Render, alembic
from support.variants import ENGINE_OF, Variant


def test_url_comes_from_x_then_environment_then_ini(
    render: Render, database: Database
) -> None:
    project = Project(render())
    from_x, from_environment = (
        database("sqlite", "pysqlite"),
        database("sqlite", "pysqlite"),
    )

    project.alembic("upgrade", "head")
    assert (project / "my_app.db").exists()
    project.on(from_environment).alembic("upgrade", "head")
    assert tables(from_environment) == {"heroes"}
    (project / "my_app.db").unlink()
    project.on(from_environment).alembic(
        "-x", f"url={url_text(from_x)}", "upgrade", "head"
    )
    assert tables(from_x) == {"heroes"}
    assert not (project / "my_app.db").exists()


def test_percent_in_the_url_survives_alembic_ini(
    render: Render, tmp_path: Path
) -> None:
    path = tmp_path / "100%_%(here)s.db"
    Project(render(database_url=f"sqlite+pysqlite:///{path}")).upgraded()
    assert path.exists()


@pytest.mark.parametrize("raw_url", ["s3cret", "postgresql://u:s3cret@h:port/x"])
@pytest.mark.parametrize(
    "arguments", [("upgrade", "head"), ("upgrade", "head", "--sql")]
)
def test_url_that_cannot_be_parsed_is_not_printed(
    render: Render, raw_url: str, arguments: tuple[str, ...]
) -> None:
    output = alembic(render(), *arguments, fails=True, DATABASE_URL=raw_url)
    assert "the database URL is missing or cannot be parsed" in output.splitlines()[-1]
    assert "s3cret" not in output


def test_alembic_runs_from_another_folder(new: New, tmp_path: Path) -> None:
    project = new()
    run(
        script("alembic"),
        *("-c", project / "alembic.ini", "upgrade", "head"),
        cwd=tmp_path,
        env={"PYTHONPATH": str(project / "src"), "DATABASE_URL": url_text(project.url)},
    )
    assert project.tables() == {"heroes"}


def test_application_and_migrations_use_the_same_database(
    render: Render, database: Database
) -> None:
    """For each engine module, with DATABASE_URL and without."""
    for engine in [
        ENGINE_OF["sqlite-pysqlite-sync"],
        ENGINE_OF["sqlite-aiosqlite-async"],
    ]:
        project = Project(render(Variant(engine))).upgraded()
        code = (
            "import asyncio\n"
            "from my_app.engine import Session\n"
            "from my_app.models.hero import Hero\n"
            "hero = Hero(name='Deadpond', secret_name='Dive Wilson')\n"
        )
        if engine.async_engine:
            code += (
                "async def main():\n"
                "    async with Session() as session, session.begin():\n"
                "        session.add(hero)\n"
                "asyncio.run(main())\n"
            )
        else:
            code += "with Session.begin() as session:\n    session.add(hero)\n"
        project.python(code)
        default = URL.create("sqlite", database=str(project / "my_app.db"))
        assert query(default, "SELECT name FROM heroes") == [("Deadpond",)]
        other = database(engine.database, engine.driver)
        project.on(other).upgraded()
        project.on(other).python(code)
        assert query(other, "SELECT name FROM heroes") == [("Deadpond",)]


@pytest.mark.parametrize(
    "engine",
    ["sqlite-pysqlite-sync", "postgresql-psycopg-sync", "mysql-pymysql-sync"],
)
def test_application_engine_enforces_foreign_keys(new: New, engine: str) -> None:
    project = new(Variant(ENGINE_OF[engine], example="tour")).upgraded()
    output = project.python(
        "from sqlalchemy import insert\n"
        "from sqlalchemy.exc import IntegrityError\n"
        "from my_app.engine import engine\n"
        "from my_app.models.department import department_employees\n"
        "try:\n"
        "    with engine.begin() as connection:\n"
        "        connection.execute(insert(department_employees).values(department_id=1, employee_id=1))\n"
        "except IntegrityError:\n"
        "    print('refused')\n"
    )
    assert output.strip() == "refused"
