"""The fixtures of a generated project: a session that is rolled back, a database that is fresh."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support import layout
from support.databases import (
    SERVERS,
    databases_beside,
    execute,
    query,
    server_of,
    url_text,
)
from support.fork import Process
from support.projects import New
from support.variants import DIFFERENT, ENGINE_OF, ONE_OF_EACH, Engine, Variant

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


def test_application_is_on_the_fresh_database(fresh_database):
    save()
    with fresh_database.connect() as other:
        assert other.scalar(COUNT) == 2
    with engine.Session() as own:
        assert own.get_bind() is fresh_database


def test_nothing_was_committed_to_the_shared_database(session):
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


async def test_application_is_on_the_fresh_database(fresh_database):
    await save()
    async with fresh_database.connect() as other:
        assert await other.scalar(COUNT) == 2
    async with engine.Session() as own:
        assert own.get_bind() is fresh_database.sync_engine


async def test_nothing_was_committed_to_the_shared_database(async_session):
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
    [(engine, "2" if engine in ONE_OF_EACH else "0") for engine in DIFFERENT],
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
    assert "1 failed, 10 passed" in output
    assert "RuntimeError: on purpose" in output
    if workers == "0":
        # One template, the others are copies.
        assert (project / "runs").read_text().split() == ["ran"]


SYNC_SHARING = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from my_app.engine import Session
from my_app.models.hero import Hero
from sqlalchemy import func, select

COUNT = select(func.count()).select_from(Hero)
begun = Barrier(3)


def add(own):
    own.add(Hero(name="Deadpond", secret_name="?"))
    own.flush()


def save():
    with Session() as own:
        add(own)
        own.commit()


def save_together():
    with Session() as own:
        own.scalar(COUNT)
        begun.wait(10)
        own.rollback()
        add(own)
        own.commit()


def in_threads(jobs):
    sys.setswitchinterval(1e-5)
    with ThreadPoolExecutor(3) as pool:
        return [job.exception() for job in [pool.submit(job) for job in jobs]]


def test_fresh_database_is_for_threads(fresh_database):
    job = save if fresh_database.dialect.name == "sqlite" else save_together
    assert in_threads([job] * 3) == [None] * 3
    with Session() as own:
        assert own.scalar(COUNT) == 3


def test_one_after_the_other(session):
    add(session)
    for _ in range(3):
        assert in_threads([save]) == [None]
    session.commit()
    assert session.scalar(COUNT) == 4


def test_threads_fail(session):
    def count():
        with Session() as own:
            for _ in range(200):
                own.scalar(COUNT)
            add(own)
            own.commit()

    for _ in range(20):
        for error in in_threads([count] * 3):
            if error:
                raise error


def test_overlapping_sessions_fail(session):
    with Session() as one, Session() as two:
        add(one)
        add(two)
        one.commit()
        two.commit()


def test_own_savepoints_and_sessions_left_open(session):
    left = Session()
    add(left)
    session.commit()
    with Session() as own:
        with own.begin_nested(), own.begin_nested():
            add(own)
        own.begin_nested()
        own.begin_nested()
        own.rollback()
        own.begin_nested()
        own.commit()
    session.rollback()
"""

ASYNC_SHARING = """
import asyncio

from my_app.engine import Session
from my_app.models.hero import Hero
from sqlalchemy import func, select

COUNT = select(func.count()).select_from(Hero)


async def add(own):
    own.add(Hero(name="Deadpond", secret_name="?"))
    await own.flush()


async def save():
    async with Session() as own:
        await add(own)
        await own.commit()


async def test_fresh_database_is_for_tasks(fresh_database):
    if fresh_database.dialect.name == "sqlite":
        await save(), await save(), await save()
    else:
        await asyncio.gather(save(), save(), save())
    async with Session() as own:
        assert await own.scalar(COUNT) == 3


async def test_one_after_the_other(async_session):
    await add(async_session)
    for _ in range(3):
        await asyncio.create_task(save())
    await async_session.commit()
    assert await async_session.scalar(COUNT) == 4


async def test_tasks_fail(async_session):
    await asyncio.gather(save(), save(), save())


async def test_tasks_with_one_session_fail(async_session):
    await asyncio.gather(async_session.scalar(COUNT), async_session.scalar(COUNT))


async def test_group_with_one_session_fails(async_session):
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(async_session.scalar(COUNT))


async def test_own_savepoints_and_sessions_left_open(async_session):
    left = Session()
    await add(left)
    await async_session.commit()
    async with Session() as own:
        async with own.begin_nested(), own.begin_nested():
            await add(own)
        await own.begin_nested()
        await own.begin_nested()
        await own.rollback()
        await own.begin_nested()
        await own.commit()
    await async_session.rollback()
"""


@pytest.mark.parametrize("engine", DIFFERENT, ids=str)
def test_sharing_a_session_is_one_clear_line(new: New, engine: Engine) -> None:
    """And not what each driver says of it; what works is let through."""
    project = new(engine)
    tests = ASYNC_SHARING if engine.async_engine else SYNC_SHARING
    project.write("tests/test_app.py", tests)
    output = project.own_tests("tests/test_app.py", fails=True)
    failed = re.findall(r"(?m)^FAILED .*::(\w+)", output)
    assert failed == re.findall(r"def (test_\w+_fails?)\(", tests), output
    said = "tasks or threads share the one connection of this test's session. Use the"
    for name in failed:
        [report] = re.findall(rf"(?s)\n_+ {name} _+\n(.*?)\n(?=___|===)", output)
        assert re.search(rf"(?m)^(E|  [ |]+).*{said} `fresh_database` fixture", report)


# Whatever a revision may leave behind in MariaDB, in an order that a copy cannot keep.
MARIADB_SCHEMA = """
ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_german2_ci
CREATE SEQUENCE numbers START WITH 5 INCREMENT BY 3
CREATE TABLE hen (
    id int PRIMARY KEY AUTO_INCREMENT, egg int, number int DEFAULT nextval(numbers),
    twice int AS (egg * 2) STORED, thrice int AS (egg * 3) VIRTUAL,
    CONSTRAINT positive CHECK (egg >= 0), KEY k (egg DESC)
) COMMENT 'it''s 100% `hen`'
CREATE TABLE egg (id int PRIMARY KEY, hen int, CONSTRAINT f FOREIGN KEY (hen) REFERENCES hen (id))
ALTER TABLE hen ADD CONSTRAINT c FOREIGN KEY (egg) REFERENCES egg (id) ON DELETE CASCADE
SET foreign_key_checks = 0
INSERT INTO egg VALUES (0, 7), (1, 8)
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'
INSERT INTO hen (id, egg) VALUES (0, 0), (8, 1)
INSERT INTO hen (egg) VALUES (1)
DELETE FROM hen WHERE id = 9
SET foreign_key_checks = 1
CREATE TABLE `we``ird %s 100%` (
    `a ``b` varchar(9) CHARACTER SET utf8mb4 DEFAULT 'é"\\\\%' COMMENT 'c', t timestamp(3), UNIQUE (`a ``b`)
)
INSERT INTO `we``ird %s 100%` VALUES ('€ %s', '2026-01-02 03:04:05.678')
CREATE TABLE parts (id int, PRIMARY KEY (id)) PARTITION BY HASH (id) PARTITIONS 3
CREATE TABLE past (id int PRIMARY KEY) WITH SYSTEM VERSIONING
INSERT INTO past VALUES (1)
CREATE FUNCTION plus(a int) RETURNS int DETERMINISTIC RETURN a + 1
CREATE VIEW z AS SELECT id, plus(twice) AS more, 'z' AS y FROM hen
CREATE VIEW y AS SELECT z.id, h.thrice FROM z JOIN hen AS h ON h.id = z.id
CREATE SQL SECURITY INVOKER VIEW a AS SELECT y.id FROM y WHERE EXISTS (SELECT 1 FROM z) WITH CHECK OPTION
CREATE TRIGGER t BEFORE INSERT ON egg FOR EACH ROW SET NEW.hen = NEW.hen + 1
SET sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES'
CREATE TRIGGER s BEFORE INSERT ON egg FOR EACH ROW PRECEDES t SET NEW."hen" = 7 * NEW.hen
CREATE PROCEDURE p(INOUT x int) BEGIN SET x = x % 3; END
CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2036-01-01 00:00:00' DISABLE COMMENT 'c' DO DELETE FROM past
"""

COMPARE_COPY = """
from pathlib import Path
from migration_kit.connect import create_connectable, run_on
from sqlalchemy import text

VIEWS = {
    "schemata": "", "tables": "table", "columns": "table", "statistics": "table",
    "table_constraints": "table", "referential_constraints": "constraint",
    "key_column_usage": "table", "check_constraints": "constraint", "partitions": "table",
    "views": "table", "triggers": "trigger", "routines": "routine", "parameters": "specific",
    "events": "event",
}
PASSING = {"create_time", "update_time", "check_time", "created", "last_altered", "max_index_length",
           "data_length", "index_length", "data_free", "avg_row_length", "table_rows", "cardinality"}

def facts(connection):
    name, rows = connection.engine.url.database, []
    for view, what in VIEWS.items():
        columns = [column.lower() for (column,) in connection.execute(text(
            "SELECT column_name FROM information_schema.columns "
            f"WHERE table_schema = 'information_schema' AND table_name = '{view}'"
        ))]
        kept = ", ".join(column for column in columns if column not in PASSING)
        query = f"SELECT {kept} FROM information_schema.{view} WHERE {what or 'schema'}_schema = :name"
        if not what:
            query = query.replace("schema_schema", "schema_name")
        rows += [(view, *row) for row in connection.execute(text(query), {"name": name})]
    quote = "`{}`".format
    for (table,) in connection.execute(text("SHOW TABLES")).all():
        quoted = quote(table.replace("`", "``")).replace(":", chr(92) + ":")
        rows += [(table, *row) for row in connection.execute(text(f"SELECT * FROM {quoted}"))]
    return sorted(str(row).replace(name[-12:], "it") for row in rows)

ini = Path("alembic.ini").resolve()
with ScratchDatabase(ini).create() as template:
    template.upgrade()
    copies = [ScratchDatabase(ini), ScratchDatabase(ini)]
    with copies[0].create(template), copies[1].create(template), ScratchDatabase(ini).create() as anew:
        anew.upgrade()
        expected, found = (run_on(create_connectable(one.url), "", facts) for one in (anew, copies[1]))
        print("missing", *sorted(set(expected) - set(found)), sep="\\n")
        print("too much", *sorted(set(found) - set(expected)), sep="\\n")
        assert found == expected
        copies[1].execute(text("INSERT INTO egg VALUES (5, 1)"))
        assert (5, 8) in copies[1].execute(text("SELECT id, hen FROM egg"))
        assert len(template.execute(text("SELECT * FROM egg"))) == 2
print("rows", len(expected))
"""


@pytest.mark.parametrize(
    "engine",
    [ENGINE_OF["mariadb-pymysql-sync"], ENGINE_OF["mariadb-asyncmy-async"]],
    ids=str,
)
def test_copy_in_mariadb_equals_a_migrated_database(new: New, engine: Engine) -> None:
    project = new(Variant(engine, example="none"))
    statements = re.split(r"\n(?! |\))", MARIADB_SCHEMA.strip())
    run = "options = {'no_parameters': True}\n" + "".join(
        f"op.get_bind().exec_driver_sql({statement!r}, execution_options=options)\n"
        for statement in statements
    )
    project.add_revision("one", run, down_revision=None)
    beside = project.url.set(database=f"{project.url.database}_` %s")
    output = project.python(
        layout.IMPORT_ROUNDTRIP + COMPARE_COPY, TEST_DATABASE_URL=url_text(beside)
    )
    assert int(output.split()[-1]) > 50
    assert databases_beside(project.url) == []


KILLED = """
import os, signal

def test_that_is_killed(fresh_database):
    os.kill(os.getpid(), signal.SIGKILL)
"""
LIVING = """
import time
from pathlib import Path
from sqlalchemy import text
with ScratchDatabase(Path("alembic.ini").resolve()).create() as database:
    database.upgrade()
    print("made", database.name, flush=True)
    while not Path("enough").exists():
        time.sleep(0.05)
    print("revisions", len(database.execute(text("SELECT * FROM alembic_version"))))
"""
ORDINARY = "def test_ordinary(database):\n    pass\n"


@pytest.mark.parametrize("engine", ONE_OF_EACH[1:], ids=str)
def test_databases_of_a_killed_run_are_dropped_by_the_next(
    new: New, engine: Engine, tmp_path: Path
) -> None:
    """But not that of a run that lives, which need not be connected to it."""
    project = new(engine)
    env = {"TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": "src"}
    (tmp_path / "tmp").mkdir()
    env["TEST_DATABASE_URL"] = url_text(project.url)

    def made() -> set[str]:
        return set(databases_beside(project.url))

    def run(name: str, source: str) -> Process:
        project.write(f"tests/test_{name}.py", source)
        return project.start(
            *(
                "python",
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:copie",
                f"tests/test_{name}.py",
            ),
            **env,
        )

    living = project.start("python", "-c", layout.IMPORT_ROUNDTRIP + LIVING, **env)
    living.wait_for("made")
    [of_living] = made()
    killed = run("killed", KILLED)
    killed.finish()
    assert killed.returncode != 0
    assert len(made()) == 3  # the template, and the test's own
    stranger = f"{project.url.database}_test_0123456789ab"
    if engine.server:
        execute(SERVERS[server_of(engine.database)], f"CREATE DATABASE {stranger}")
    try:
        ordinary = run("ordinary", ORDINARY)
        output = ordinary.finish()
        assert ordinary.returncode == 0, output
        assert made() - {stranger} == {of_living}
        assert not engine.server or stranger in made()
    finally:
        if engine.server:
            execute(SERVERS[server_of(engine.database)], f"DROP DATABASE {stranger}")
    project.write("enough", "")
    assert "revisions 1" in living.finish()
    assert made() == set()
    assert list((tmp_path / "tmp").glob("*.lock")) == []


OPEN = """
from sqlalchemy import text

connections = []

def test_that_leaves_a_transaction_open(fresh_database):
    connections.append(fresh_database.connect())
    connections[0].execute(text("SELECT * FROM heroes"))
"""


@pytest.mark.parametrize("engine", ONE_OF_EACH[1:], ids=str)
def test_open_transaction_does_not_keep_a_database(new: New, engine: Engine) -> None:
    """MariaDB would wait for it for a day."""
    project = new(engine)
    project.write("tests/test_app.py", OPEN)
    assert "1 passed" in project.own_tests("tests/test_app.py")


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_error_of_a_revision_is_one_line_in_the_fixture(
    new: New, engine: Engine
) -> None:
    """Without pages of the kit, of Alembic, of SQLAlchemy and of the driver."""
    project = new(engine)
    project.add_revision("one", 'op.drop_table("nothing")')
    project.write("tests/test_app.py", "def test_app(database):\n    pass\n")
    output = project.own_tests("tests/test_app.py", fails=True)
    [line] = re.findall("(?m)^E  .*Error.*$", output)
    assert "CommandError: upgrade stopped: migrations/versions/one.py, line " in line
    assert "migration_kit/" not in output


def test_kind_of_database_that_the_kit_lacks_is_named(new: New) -> None:
    project = new()
    output = project.own_tests(fails=True, TEST_DATABASE_URL="mariadb+pymysql://x/y")
    assert "this project has no mariadb. Correct TEST_DATABASE_URL" in output


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
    assert "Allow the user to create databases, or set TEST_DATABASE_URL" in output
