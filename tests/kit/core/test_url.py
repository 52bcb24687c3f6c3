"""Which database: of -x, DATABASE_URL and alembic.ini, for commands and the application."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL

from support import fork
from support.commands import environment, run, script
from support.databases import query, tables, url_text
from support.projects import Database, New, Project, Render, alembic, last_line
from support.variants import ENGINE_OF, Engine, Variant

SQLITE = [ENGINE_OF["sqlite-pysqlite-sync"], ENGINE_OF["sqlite-aiosqlite-async"]]


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


@pytest.mark.parametrize("engine", SQLITE, ids=str)
@pytest.mark.parametrize("source", ["alembic.ini", "DATABASE_URL", "-x url"])
def test_relative_path_begins_at_alembic_ini_whichever_folder_one_is_in(
    new: New, engine: Engine, source: str
) -> None:
    """The command, a program and the application's engine open the same file."""
    project = new(engine)
    url = f"sqlite+{engine.driver}:///data/app.db"
    (project / "data").mkdir()
    env = {"PYTHONPATH": str(project / "src")}
    options: list[str] = []
    if source == "alembic.ini":
        default = f"sqlite+{engine.driver}:///my_app.db"
        for name in ("alembic.ini", "src/my_app/engine.py"):
            project.edit(name, default, url)
    elif source == "DATABASE_URL":
        env["DATABASE_URL"] = url
    else:
        options = ["-x", f"url={url}"]
    for folder, revision in [(".", "base"), ("src/my_app", "head"), ("docs", "head")]:
        ini = os.path.relpath(project / "alembic.ini", project / folder)
        command = ("-c", ini, *options, "upgrade", revision)
        process = fork.start(
            ("alembic", *command), project / folder, environment(**env)
        )
        output = process.finish()
        assert process.returncode == 0, output
    if not options:
        code = "from my_app.engine import engine; print(engine.url.database)"
        python = [sys.executable, "-c", code]
        assert run(*python, cwd=project / "docs", env=env).strip() == str(
            project / "data/app.db"
        )
    assert [
        path.relative_to(project).as_posix() for path in project.path.rglob("*.db")
    ] == ["data/app.db"]


@pytest.mark.parametrize("path", [":memory:", "file:app.db?uri=true&mode=memory"])
def test_database_in_memory_stays_in_memory(new: New, path: str) -> None:
    project = new()
    project.alembic("upgrade", "head", DATABASE_URL=f"sqlite:///{path}")
    code = (
        "from my_app.engine import engine; engine.connect(); print(engine.url.database)"
    )
    output = project.python(code, DATABASE_URL=f"sqlite:///{path}")
    assert output.strip() == path.partition("?")[0]
    assert not [file for file in project.path.iterdir() if ":" in file.name]
    assert not list(project.path.rglob("*.db"))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("alembic.ini", "sqlalchemy.url of alembic.ini"),
        ("DATABASE_URL", "DATABASE_URL"),
        ("-x url", "-x url"),
    ],
)
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_message_names_the_user_and_where_the_url_came_from(
    new: New, driver: str, source: str, name: str
) -> None:
    """Also where the password equals the user's name, as in the default URL."""
    project = new(ENGINE_OF["postgresql-asyncpg-async"])
    url = project.url.set(drivername=f"postgresql+{driver}")
    url = url.set(username="no_such_role", password="no_such_role")
    text, env, options = url_text(url), {}, []
    if source == "alembic.ini":
        ini = re.sub(
            "sqlalchemy.url = .*",
            f"sqlalchemy.url = {text}",
            project.read("alembic.ini"),
        )
        project.write("alembic.ini", ini)
    elif source == "DATABASE_URL":
        env = {"DATABASE_URL": text}
    else:
        options = ["-x", f"url={text}"]
    output = project.run(
        "alembic", *options, "current", fails=True, elsewhere=True, env=env
    )
    line = last_line(output)
    assert 'role "no_such_role" does not exist' in line
    assert line.endswith(
        f". Create that user with LOGIN, or correct the user in {name}"
    )
    assert ":no_such_role@" not in output


def test_password_that_is_no_name_is_hidden(new: New) -> None:
    """SQLite's driver prints what it is given; a password there is in the path."""
    project = new(ENGINE_OF["mariadb-pymysql-sync"])
    url = project.url.set(username="no_such_role", password="s3cret")
    output = project.alembic("current", fails=True, DATABASE_URL=url_text(url))
    assert "s3cret" not in output
    assert last_line(output).endswith(". Check user and password in DATABASE_URL")
