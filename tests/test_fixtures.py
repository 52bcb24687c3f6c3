"""The fixtures of a generated project: a session that is rolled back, a database that is fresh."""

from __future__ import annotations

import pytest

from support.databases import SERVERS, query, url_text
from support.projects import New
from support.variants import ENGINE_OF, ENGINES, ONE_OF_EACH, Engine, Variant

# It inserts a row, and writes down that it ran.
SEED = """
op.execute("INSERT INTO heroes (name, secret_name) VALUES ('Ada', '?')")
print("ran", file=open("runs", "a"))
"""

SYNC_TESTS = """
import pytest
from my_app import engine
from my_app.models.hero import Hero
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

COUNT = select(func.count()).select_from(Hero)
VALUES = {"name": "Deadpond", "secret_name": "Dive Wilson"}


def save():
    with engine.Session() as own:
        own.add(Hero(**VALUES))
        own.commit()


@pytest.mark.parametrize("number", range(3))
def test_commits_are_rolled_back(session, number):
    assert session.scalar(COUNT) == 1
    session.add(Hero(**VALUES))
    session.commit()
    save()
    assert session.scalar(COUNT) == 3


def test_rollback_goes_back_to_the_commit(session):
    session.add(Hero(**VALUES))
    session.commit()
    session.add(Hero(name=None, secret_name=""))
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()
    assert session.scalar(COUNT) == 2


def test_that_fails(session):
    session.add(Hero(**VALUES))
    session.commit()
    raise RuntimeError("on purpose")


@pytest.mark.parametrize("number", range(3))
def test_fresh_database_is_its_own(session, fresh_database, number):
    with fresh_database.begin() as one:
        one.execute(insert(Hero).values(**VALUES))
    with fresh_database.connect() as other:
        assert other.scalar(COUNT) == 2
    assert session.scalar(COUNT) == 1


def test_application_reaches_no_other_database(database):
    assert engine.engine is database
    assert "_test_" in database.url.database
    with engine.Session() as own:
        assert own.get_bind() is database
        assert own.scalar(COUNT) == 1
"""

ASYNC_TESTS = """
import pytest
from my_app import engine
from my_app.models.hero import Hero
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

COUNT = select(func.count()).select_from(Hero)
VALUES = {"name": "Deadpond", "secret_name": "Dive Wilson"}


async def save():
    async with engine.Session() as own:
        own.add(Hero(**VALUES))
        await own.commit()


@pytest.mark.parametrize("number", range(3))
async def test_commits_are_rolled_back(async_session, number):
    assert await async_session.scalar(COUNT) == 1
    async_session.add(Hero(**VALUES))
    await async_session.commit()
    await save()
    assert await async_session.scalar(COUNT) == 3


async def test_rollback_goes_back_to_the_commit(async_session):
    async_session.add(Hero(**VALUES))
    await async_session.commit()
    async_session.add(Hero(name=None, secret_name=""))
    with pytest.raises(IntegrityError):
        await async_session.flush()
    await async_session.rollback()
    assert await async_session.scalar(COUNT) == 2


async def test_that_fails(async_session):
    async_session.add(Hero(**VALUES))
    await async_session.commit()
    raise RuntimeError("on purpose")


@pytest.mark.parametrize("number", range(3))
async def test_fresh_database_is_its_own(async_session, fresh_database, number):
    async with fresh_database.begin() as one:
        await one.execute(insert(Hero).values(**VALUES))
    async with fresh_database.connect() as other:
        assert await other.scalar(COUNT) == 2
    assert await async_session.scalar(COUNT) == 1


async def test_application_reaches_no_other_database(database):
    assert engine.engine is database
    assert "_test_" in database.url.database
    async with engine.Session() as own:
        assert own.get_bind() is database.sync_engine
        assert await own.scalar(COUNT) == 1
"""


@pytest.mark.parametrize(
    ("engine", "workers"),
    [(engine, "0") for engine in ENGINES]
    + [
        (engine, "4")
        for engine in [*ONE_OF_EACH, ENGINE_OF["postgresql-asyncpg-async"]]
    ],
    ids=str,
)
def test_fixtures_isolate_tests(new: New, engine: Engine, workers: str) -> None:
    """Each test sees the row that a revision inserted, and nothing of any other test."""
    project = new(engine)
    project.add_revision("seed", SEED, 'op.execute("DELETE FROM heroes")')
    tests = ASYNC_TESTS if engine.async_engine else SYNC_TESTS
    (project / "tests/test_app.py").write_text(tests)
    output = project.own_tests(
        *("-n", workers, "tests/test_app.py"),
        fails=True,
        DATABASE_URL="sqlite:////nowhere/production.db",
    )
    assert "1 failed, 8 passed" in output
    assert "RuntimeError: on purpose" in output
    if workers == "0":
        # One template; where no database can be copied, each one runs it again.
        copies = 0 if engine.database in {"sqlite", "postgresql"} else 1 + 3
        assert len((project / "runs").read_text().split()) == 1 + copies


def test_sqlite_enforces_foreign_keys_in_tests(new: New) -> None:
    project = new(Variant(example="tour"))
    (project / "tests/test_app.py").write_text(
        "import pytest\n"
        "from sqlalchemy import text\n"
        "from sqlalchemy.exc import IntegrityError\n\n\n"
        "def test_broken_key(session, fresh_database):\n"
        "    statement = text('INSERT INTO department_employees VALUES (1, 1)')\n"
        "    with pytest.raises(IntegrityError):\n"
        "        session.execute(statement)\n"
        "    with fresh_database.connect() as connection:\n"
        "        with pytest.raises(IntegrityError):\n"
        "            connection.execute(statement)\n"
    )
    assert "1 passed" in project.own_tests("tests/test_app.py")


@pytest.mark.parametrize("engine", ONE_OF_EACH[1:], ids=str)
def test_user_who_may_not_create_databases_is_told_so(new: New, engine: Engine) -> None:
    project = new(engine)
    user = f"user_{project.url.database}"[:32]
    password = "" if engine.database == "postgresql" else " IDENTIFIED BY 'x'"
    login = " LOGIN" if engine.database == "postgresql" else ""
    server = SERVERS[engine.database]
    query(server, f"CREATE USER {user}{login}{password}")
    try:
        output = project.own_tests(
            "tests/test_migrations.py",
            fails=True,
            TEST_DATABASE_URL=url_text(project.url.set(username=user, password="x")),
        )
    finally:
        query(server, f"DROP USER {user}")
    assert "no database for tests: " in output
    assert "let the user create databases, or set TEST_DATABASE_URL" in output
