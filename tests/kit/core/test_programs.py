"""Programs may call Alembic: on their connections, in their loops, with their logging."""

from __future__ import annotations

import pytest

from support.databases import url_text
from support.projects import New
from support.revisions import HERO
from support.variants import DIFFERENT, ENGINE_OF, POSTGRESQL, Engine, Variant

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


@pytest.mark.parametrize("engine", SYNC_ENGINES, ids=str)
def test_engine_of_the_caller_is_used(new: New, engine: Engine) -> None:
    project = new(engine)
    project.program("""
config.attributes["connection"] = create_engine(URL)
command.upgrade(config, "head")
""")
    assert project.tables() == {"heroes"}


def test_exception_of_a_caller_that_compares_is_its_own(new: New) -> None:
    """pytest-alembic ends a comparison by an exception from the hook that it passes."""
    project = new()
    output = project.program("""
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
""")
    assert output.endswith("compared\n")


@pytest.mark.parametrize("engine", SYNC_ENGINES, ids=str)
def test_connection_of_the_caller_is_used(new: New, engine: Engine) -> None:
    project = new(engine)
    project.program("""
with create_engine(URL).connect() as connection:
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    assert not connection.closed
""")
    assert project.tables() == {"heroes"}


@pytest.mark.parametrize("commits", [True, False])
def test_transaction_of_the_caller_stays_the_callers(new: New, commits: bool) -> None:
    """On PostgreSQL, where a rollback takes DDL back."""
    project = new(POSTGRESQL)
    project.program(f"""
with create_engine(URL).connect() as connection:
    connection.execute(text("CREATE TABLE mine (id int)"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    assert connection.in_transaction()
    connection.{"commit" if commits else "rollback"}()
""")
    assert project.tables() == ({"mine", "heroes"} if commits else set())


@pytest.mark.parametrize("engine", ASYNC_ENGINES, ids=str)
def test_async_engine_of_the_caller_is_used_without_a_loop(
    new: New, engine: Engine
) -> None:
    project = new(engine)
    project.program("""
config.attributes["connection"] = create_async_engine(URL)
command.upgrade(config, "head")
""")
    assert project.tables() == {"heroes"}


@pytest.mark.parametrize("engine", ASYNC_ENGINES, ids=str)
def test_async_engine_with_pooled_connections_is_used_in_a_running_loop(
    new: New, engine: Engine
) -> None:
    """The pool's connections belong to the caller's loop, before the migration and after it."""
    project = new(engine)
    project.program("""
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
""")
    assert project.tables() == {"heroes"}


def test_async_database_in_memory_is_the_callers(new: New) -> None:
    project = new(ENGINE_OF["sqlite-aiosqlite-async"])
    output = project.program(
        """
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
def test_async_connection_of_the_caller_is_used(new: New, engine: Engine) -> None:
    project = new(engine)
    project.program("""
def upgrade(connection):
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

async def main():
    engine = create_async_engine(URL)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    await engine.dispose()

asyncio.run(main())
""")
    assert project.tables() == {"heroes"}


@pytest.mark.parametrize("engine", DIFFERENT, ids=str)
def test_running_loop_does_not_matter(new: New, engine: Engine) -> None:
    project = new(engine)
    project.program(
        """
async def main():
    command.upgrade(config, "head")
    command.check(config)

asyncio.run(main())
""",
        DATABASE_URL=url_text(project.url),
    )
    assert project.tables() == {"heroes"}


def test_logging_of_a_program_is_left_alone(new: New) -> None:
    project = new()
    output = project.program("""
before = logging.getLogger("before")
logging.basicConfig(level=logging.DEBUG, format="mine %(message)s")
config.attributes["connection"] = create_engine(URL)
command.upgrade(config, "head")
assert logging.getLogger().level == logging.DEBUG
assert len(logging.getLogger().handlers) == 1
assert not before.disabled
""")
    assert "mine Running upgrade" in output


def test_command_logs_each_revision(new: New) -> None:
    output = new().alembic("upgrade", "head")
    assert "Running upgrade  -> 4f1c8a2d7b3e, create heroes" in output


def test_deleted_alembic_ini_does_not_stop_a_program(new: New) -> None:
    project = new()
    (project / "alembic.ini").unlink()
    project.program(
        """
config.set_main_option("script_location", "migrations")
command.upgrade(config, "head")
""",
        DATABASE_URL=url_text(project.url),
    )
    assert project.tables() == {"heroes"}


@pytest.mark.parametrize("engine", ["postgresql-psycopg-sync", "mariadb-pymysql-sync"])
@pytest.mark.parametrize("succeeds", [True, False])
def test_session_is_given_back_as_it_was(new: New, engine: str, succeeds: bool) -> None:
    variant = Variant(ENGINE_OF[engine])
    project = new(variant)
    if not succeeds:
        project.add_revision("bad", 'op.execute("nonsense")')
    state = (
        "SELECT current_setting('lock_timeout'), count(*) FROM pg_locks"
        " WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        if variant.engine.database == "postgresql"
        else "SELECT @@lock_wait_timeout, IS_USED_LOCK(CONCAT('alembic-', MD5(DATABASE())))"
    )
    output = project.program(f"""
from alembic.util import CommandError
engine = create_engine(URL, pool_size=1, max_overflow=0)
with engine.connect() as connection:
    before = connection.execute(text({state!r})).one()
config.attributes["connection"] = engine
try:
    command.upgrade(config, "head")
    print("succeeded")
except CommandError:
    print("failed")
with engine.connect() as connection:
    assert connection.execute(text({state!r})).one() == before
    assert not connection._is_autocommit_isolation()
""")
    assert ("succeeded" in output) == succeeds


def test_two_startup_hooks_in_one_loop_both_end(new: New) -> None:
    """The one that waits lets the event loop run, in which the other one migrates."""
    project = new(ENGINE_OF["postgresql-asyncpg-async"])
    project.add_revision("slow", 'op.execute("SELECT pg_sleep(0.5)")')
    project.program("""
def upgrade(connection):
    config = Config("alembic.ini")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

async def startup():
    engine = create_async_engine(URL)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    await engine.dispose()

asyncio.run(startup())
""")
    assert project.version() == ["slow"]


def test_eight_programs_with_transactions_of_their_own_migrate_once(new: New) -> None:
    project = new(POSTGRESQL)
    code = """
import os
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
with create_engine(os.environ["TEST_URL"]).begin() as connection:
    connection.execute(text("SELECT 1"))
    config = Config("alembic.ini")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
"""
    url = url_text(project.url)
    processes = [project.start("python", "-c", code, TEST_URL=url) for _ in range(8)]
    outputs = [process.finish(60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, outputs
    assert project.version() == [HERO]


# An engine with whatever a program may give to it; `said` collects what is heard of it.
OPTIONS = """
import json
from datetime import date
from sqlalchemy import JSON, Column, MetaData, Table, literal, pool

said, heard = [], set()

def serializer(value):
    return json.dumps(value, default=str)

def made(**options):
    engine = create_async_engine(
        URL, json_serializer=serializer, execution_options={"mine": 1}, **options
    )
    event.listen(engine.sync_engine, "connect", lambda *_: heard.add("connect"))
    event.listen(engine.sync_engine, "engine_connect", lambda c: heard.add("engine_connect"))
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *_: heard.add("execute"))
    event.listen(engine.sync_engine, "checkin", lambda *_: heard.add("checkin"))
    return engine
"""
USES_OPTIONS = """
    import __main__
    from datetime import date
    given = dict(op.get_bind().get_execution_options())
    days = op.create_table("days", sa.Column("doc", sa.JSON()))
    op.bulk_insert(days, [{"doc": {"day": date(2026, 1, 1)}}])
    async def count(connection):
        return await connection.scalar(sa.text("SELECT count(*) FROM days"))
    __main__.said.append((given.get("mine"), given.get("more"), op.run_async(count)))
"""


@pytest.mark.parametrize("thread", [False, True], ids=["loop", "thread"])
@pytest.mark.parametrize("engine", ASYNC_ENGINES, ids=str)
def test_async_engine_keeps_its_options(new: New, engine: Engine, thread: bool) -> None:
    """Also one that shares its pool and listeners with the engine that it was made of."""
    project = new(Variant(engine, example="none"))
    project.add_revision(
        "one", USES_OPTIONS.replace("\n    ", "\n"), down_revision=None
    )
    output = project.program(
        OPTIONS
        + """
async def main():
    engine = made().execution_options(more=2)
    own = engine.pool
    config.attributes["connection"] = engine
    UPGRADE
    assert engine.pool is own and own.checkedout() == 0
    async with engine.connect() as connection:
        await connection.execute(text("SELECT * FROM days"))
    await engine.dispose()

asyncio.run(main())
print(said, sorted(heard))
""".replace(
            "UPGRADE",
            'await asyncio.to_thread(command.upgrade, config, "head")'
            if thread
            else 'command.upgrade(config, "head")',
        )
    )
    heard = ["checkin", "connect", "engine_connect", "execute"]
    assert f"[(1, 2, 1)] {heard}" in output
