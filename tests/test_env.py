"""The one env.py: where the URL comes from, and who may call it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Database, Render, alembic, python, query, run, script
from sqlalchemy import URL
from test_migrate import ENGINE_OF, tables
from variants import ENGINES, Engine, Variant

ASYNC_ENGINES = [
    ENGINE_OF["sqlite-aiosqlite-async"],
    ENGINE_OF["postgresql-asyncpg-async"],
    ENGINE_OF["postgresql-psycopg-async"],
    ENGINE_OF["mariadb-asyncmy-async"],
    ENGINE_OF["mariadb-aiomysql-async"],
]
SYNC_ENGINES = [
    ENGINE_OF["sqlite-pysqlite-sync"],
    ENGINE_OF["postgresql-psycopg-sync"],
    ENGINE_OF["mysql-pymysql-sync"],
]


def url_text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("upgrade", "head"),
        ("upgrade", "head", "--sql"),
        ("-x", "url=nonsense", "upgrade", "head"),
        ("history", "--verbose"),
        ("no-such-command",),
    ],
)
def test_fork_is_the_command(
    render: Render, database: Database, arguments: tuple[str, ...]
) -> None:
    """The other tests run the command in a fork; it says, does and returns the same."""
    project = render()
    said = set()
    for _ in range(2):
        url = database("sqlite", "pysqlite")
        fails = "nonsense" in str(arguments) or "no-such" in str(arguments)
        forked = alembic(project, *arguments, url=url, fails=fails)
        made = tables(url)
        url = database("sqlite", "pysqlite")
        env = {"PYTHONPATH": "src", "DATABASE_URL": url_text(url)}
        real = run(script("alembic"), *arguments, cwd=project, env=env, fails=fails)
        assert tables(url) == made
        said |= {forked, real}
    assert len(said) == 1


def test_url_comes_from_x_then_environment_then_ini(
    render: Render, database: Database
) -> None:
    project = render()
    from_x, from_environment = (
        database("sqlite", "pysqlite"),
        database("sqlite", "pysqlite"),
    )

    alembic(project, "upgrade", "head")
    assert (project / "my_app.db").exists()
    alembic(project, "upgrade", "head", url=from_environment)
    assert tables(from_environment) == {"heroes"}
    (project / "my_app.db").unlink()
    alembic(
        project,
        "-x",
        f"url={url_text(from_x)}",
        "upgrade",
        "head",
        url=from_environment,
    )
    assert tables(from_x) == {"heroes"}
    assert not (project / "my_app.db").exists()


def test_percent_in_the_url_survives_alembic_ini(
    render: Render, tmp_path: Path
) -> None:
    path = tmp_path / "100%_%(here)s.db"
    project = render(database_url=f"sqlite+pysqlite:///{path}")
    alembic(project, "upgrade", "head")
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


def test_alembic_runs_from_another_folder(
    render: Render, database: Database, tmp_path: Path
) -> None:
    url = database("sqlite", "pysqlite")
    project = render()
    run(
        script("alembic"),
        *("-c", project / "alembic.ini", "upgrade", "head"),
        cwd=tmp_path,
        env={"PYTHONPATH": str(project / "src"), "DATABASE_URL": url_text(url)},
    )
    assert tables(url) == {"heroes"}


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("example", ["hero", "tour"])
def test_sql_is_printed_without_a_database(
    render: Render, engine: Engine, example: str
) -> None:
    if engine.database == "sqlite" and example == "tour":
        pytest.skip("batch operations on SQLite need a database to look at")
    project = render(Variant(engine, example=example))
    up = alembic(project, "-x", "seed=true", "upgrade", "head", "--sql")
    assert "CREATE TABLE heroes" in up
    assert ("ada@example.com" in up) == (example == "tour")
    down = alembic(project, "downgrade", "head:base", "--sql")
    assert "DROP TABLE heroes" in down


UPGRADE = """
import asyncio, logging, os
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

URL = os.environ.pop("TEST_URL")
config = Config("alembic.ini")
"""


def call(project: Path, url: URL, code: str) -> str:
    """Run code of a program that migrates; only `config.attributes` leads to the database."""
    return python(
        project, UPGRADE + code, TEST_URL=url_text(url), DATABASE_URL="nonsense"
    )


@pytest.mark.parametrize("engine", SYNC_ENGINES, ids=str)
def test_engine_of_the_caller_is_used(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    call(
        render(Variant(engine)),
        url,
        """
config.attributes["connection"] = create_engine(URL)
command.upgrade(config, "head")
""",
    )
    assert tables(url) == {"heroes"}


def test_exception_of_a_caller_that_compares_is_its_own(
    render: Render, database: Database
) -> None:
    """pytest-alembic ends a comparison by an exception from the hook that it passes."""
    url = database("sqlite", "pysqlite")
    output = call(
        render(),
        url,
        """
class Compared(Exception):
    pass

def stop(*_):
    raise Compared

config.attributes["connection"] = create_engine(URL)
command.upgrade(config, "head")
try:
    command.revision(config, autogenerate=True, process_revision_directives=stop)
except Compared:
    print("compared")
""",
    )
    assert output.endswith("compared\n")


@pytest.mark.parametrize("engine", SYNC_ENGINES, ids=str)
def test_connection_of_the_caller_is_used(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    call(
        render(Variant(engine)),
        url,
        """
with create_engine(URL).connect() as connection:
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    assert not connection.closed
""",
    )
    assert tables(url) == {"heroes"}


@pytest.mark.parametrize("commits", [True, False])
def test_transaction_of_the_caller_stays_the_callers(
    render: Render, database: Database, commits: bool
) -> None:
    """On PostgreSQL, where a rollback takes DDL back."""
    url = database("postgresql", "psycopg")
    call(
        render(Variant(ENGINE_OF["postgresql-psycopg-sync"])),
        url,
        f"""
with create_engine(URL).connect() as connection:
    connection.execute(text("CREATE TABLE mine (id int)"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    assert connection.in_transaction()
    connection.{"commit" if commits else "rollback"}()
""",
    )
    assert tables(url) == ({"mine", "heroes"} if commits else set())


@pytest.mark.parametrize("engine", ASYNC_ENGINES, ids=str)
def test_async_engine_of_the_caller_is_used_without_a_loop(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    call(
        render(Variant(engine)),
        url,
        """
config.attributes["connection"] = create_async_engine(URL)
command.upgrade(config, "head")
""",
    )
    assert tables(url) == {"heroes"}


@pytest.mark.parametrize("engine", ASYNC_ENGINES, ids=str)
def test_async_engine_with_pooled_connections_is_used_in_a_running_loop(
    render: Render, database: Database, engine: Engine
) -> None:
    """The pool's connections belong to the caller's loop, before the migration and after it."""
    url = database(engine.database, engine.driver)
    call(
        render(Variant(engine)),
        url,
        """
async def main():
    engine = create_async_engine(URL)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    config.attributes["connection"] = engine
    command.upgrade(config, "head")
    async with engine.connect() as connection:
        await connection.execute(text("SELECT count(*) FROM heroes"))
    await engine.dispose()

asyncio.run(main())
""",
    )
    assert tables(url) == {"heroes"}


def test_async_database_in_memory_is_the_callers(render: Render) -> None:
    output = python(
        render(Variant(ENGINE_OF["sqlite-aiosqlite-async"])),
        UPGRADE
        + """
async def main():
    engine = create_async_engine(URL)
    config.attributes["connection"] = engine
    command.upgrade(config, "head")
    async with engine.connect() as connection:
        print(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
    await engine.dispose()

asyncio.run(main())
""",
        TEST_URL="sqlite+aiosqlite://",
    )
    assert "heroes" in output


@pytest.mark.parametrize("engine", ASYNC_ENGINES, ids=str)
def test_async_connection_of_the_caller_is_used(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    call(
        render(Variant(engine)),
        url,
        """
def upgrade(connection):
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

async def main():
    engine = create_async_engine(URL)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    await engine.dispose()

asyncio.run(main())
""",
    )
    assert tables(url) == {"heroes"}


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_running_loop_does_not_matter(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    python(
        render(Variant(engine)),
        UPGRADE
        + """
async def main():
    command.upgrade(config, "head")
    command.check(config)

asyncio.run(main())
""",
        TEST_URL="",
        DATABASE_URL=url_text(url),
    )
    assert tables(url) == {"heroes"}


def test_logging_of_a_program_is_left_alone(render: Render, database: Database) -> None:
    output = call(
        render(),
        database("sqlite", "pysqlite"),
        """
before = logging.getLogger("before")
logging.basicConfig(level=logging.DEBUG, format="mine %(message)s")
config.attributes["connection"] = create_engine(URL)
command.upgrade(config, "head")
assert logging.getLogger().level == logging.DEBUG
assert len(logging.getLogger().handlers) == 1
assert not before.disabled
""",
    )
    assert "mine Running upgrade" in output


def test_command_logs_each_revision(render: Render, database: Database) -> None:
    output = alembic(render(), "upgrade", "head", url=database("sqlite", "pysqlite"))
    assert "Running upgrade  -> 4f1c8a2d7b3e, create heroes" in output


def test_deleted_alembic_ini_does_not_stop_a_program(
    render: Render, database: Database
) -> None:
    url = database("sqlite", "pysqlite")
    project = render()
    (project / "alembic.ini").unlink()
    python(
        project,
        UPGRADE
        + """
config.set_main_option("script_location", "migrations")
command.upgrade(config, "head")
""",
        TEST_URL="",
        DATABASE_URL=url_text(url),
    )
    assert tables(url) == {"heroes"}


def test_application_and_migrations_use_the_same_database(
    render: Render, database: Database
) -> None:
    """For each engine module, with DATABASE_URL and without."""
    for engine in [
        ENGINE_OF["sqlite-pysqlite-sync"],
        ENGINE_OF["sqlite-aiosqlite-async"],
    ]:
        project = render(Variant(engine))
        alembic(project, "upgrade", "head")
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
        python(project, code)
        default = URL.create("sqlite", database=str(project / "my_app.db"))
        assert query(default, "SELECT name FROM heroes") == [("Deadpond",)]
        other = database(engine.database, engine.driver)
        alembic(project, "upgrade", "head", url=other)
        python(project, code, DATABASE_URL=url_text(other))
        assert query(other, "SELECT name FROM heroes") == [("Deadpond",)]


@pytest.mark.parametrize("engine", SYNC_ENGINES, ids=str)
def test_application_engine_enforces_foreign_keys(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine, example="tour"))
    alembic(project, "upgrade", "head", url=url)
    output = python(
        project,
        "from sqlalchemy import insert\n"
        "from sqlalchemy.exc import IntegrityError\n"
        "from my_app.engine import engine\n"
        "from my_app.models.department import department_employees\n"
        "try:\n"
        "    with engine.begin() as connection:\n"
        "        connection.execute(insert(department_employees).values(department_id=1, employee_id=1))\n"
        "except IntegrityError:\n"
        "    print('refused')\n",
        DATABASE_URL=url_text(url),
    )
    assert output.strip() == "refused"
