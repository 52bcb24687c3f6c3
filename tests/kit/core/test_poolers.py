"""Behind a pooler the lock holds, or the migration is refused before a lock stays in the pool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest
from sqlalchemy import URL

from support.databases import missing, query, url_text
from support.projects import New, Project, last_line
from support.revisions import HERO
from support.servers import missing_package, pgbouncer, traffic
from support.variants import ENGINE_OF, POSTGRESQL, Engine

ENGINES = [
    POSTGRESQL,
    ENGINE_OF["postgresql-psycopg-async"],
    ENGINE_OF["postgresql-asyncpg-async"],
]
REMEDY = "Connect to PostgreSQL directly, not through PgBouncer in transaction mode"
REFUSAL = (
    "the connection changes its session between transactions, so no lock holds. "
    + REMEDY
)


@pytest.fixture(scope="module")
def poolers() -> Iterator[dict[str, int]]:
    """The port of a PgBouncer of each mode."""
    if reason := missing("postgresql") or missing_package("pgbouncer"):
        pytest.skip(reason)
    with pgbouncer("session") as session, pgbouncer("transaction") as transaction:
        yield {"session": session.port or 0, "transaction": transaction.port or 0}


def through(project: Project, port: int) -> Project:
    return project.on(project.url.set(host="127.0.0.1", port=port))


def busy_or_idle(project: Project, busy: bool) -> AbstractContextManager[None]:
    url = project.url.set(drivername="postgresql+psycopg")
    return traffic(url) if busy else nullcontext()


def locks(url: URL) -> int:
    """Count the advisory locks in a database."""
    [(count,)] = query(
        url,
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    return int(count)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_pool_of_sessions_migrates(
    new: New, poolers: dict[str, int], engine: Engine
) -> None:
    project = new(engine)
    pooled = through(project, poolers["session"])
    pooled.alembic("upgrade", "head")
    assert project.version() == [HERO]
    assert locks(project.url) == 0


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_pool_of_transactions_is_refused(
    new: New, poolers: dict[str, int], engine: Engine
) -> None:
    project = new(engine)
    pooled = through(project, poolers["transaction"])
    for _ in range(2):
        line = last_line(pooled.alembic("upgrade", "head", fails=True))
        # asyncpg may meet its own prepared statements before.
        assert line == REFUSAL or (engine.driver == "asyncpg" and line.endswith(REMEDY))
    assert project.tables() == set()
    assert locks(project.url) == 0


@pytest.mark.parametrize(
    ("mode", "busy"),
    [("session", True), ("transaction", False), ("transaction", True)],
    ids=lambda value: {False: "idle", True: "busy"}.get(value, value),
)
def test_eight_processes_leave_no_lock_in_the_pool(
    new: New, poolers: dict[str, int], mode: str, busy: bool
) -> None:
    project = new(POSTGRESQL)
    pooled = through(project, poolers[mode])
    with busy_or_idle(pooled, busy):
        processes = [pooled.start("alembic", "upgrade", "head") for _ in range(8)]
        outputs = [process.finish(60) for process in processes]
    assert locks(project.url) == 0
    if mode == "session":
        assert [process.returncode for process in processes] == [0] * 8, outputs
        assert project.version() == [HERO]
    else:
        assert [last_line(output) for output in outputs] == [REFUSAL] * 8
        assert project.tables() == set()


@pytest.mark.parametrize("engine", ENGINES[::2], ids=str)
def test_pool_of_one_session_migrates(new: New, engine: Engine) -> None:
    """It has no room for a second connection, which is not waited for."""
    if reason := missing("postgresql") or missing_package("pgbouncer"):
        pytest.skip(reason)
    project = new(engine)
    module = "migrations/migration_kit/postgresql/pooler.py"
    project.edit(module, "PATIENCE = 3 ", "PATIENCE = 0.3 ")
    with pgbouncer("session", pool_size=1) as url:
        through(project, url.port or 0).alembic("upgrade", "head")
    assert project.version() == [HERO]


def test_pool_of_transactions_is_found_where_asyncpg_shares_no_statements(
    new: New, poolers: dict[str, int]
) -> None:
    project = new(ENGINE_OF["postgresql-asyncpg-async"])
    pooled = through(project, poolers["transaction"])
    output = pooled.program("""
from uuid import uuid4
from sqlalchemy import NullPool
config.attributes["connection"] = create_async_engine(
    URL + "?prepared_statement_cache_size=0", poolclass=NullPool,
    connect_args={"statement_cache_size": 0, "prepared_statement_name_func": lambda: str(uuid4())},
)
try:
    command.upgrade(config, "head")
except Exception as error:
    print(error)
""")
    assert output.splitlines()[-1] == REFUSAL
    assert locks(project.url) == 0


def test_pool_of_transactions_is_refused_to_a_caller(
    new: New, poolers: dict[str, int]
) -> None:
    """Whose own pool has no room for a second connection."""
    project = new(POSTGRESQL)
    pooled = through(project, poolers["transaction"])
    output = pooled.program("""
engine = create_engine(URL, pool_size=1, max_overflow=0)
def upgrade(connectable):
    config.attributes["connection"] = connectable
    try:
        command.upgrade(config, "head")
    except Exception as error:
        print(error)
upgrade(engine)
with engine.connect() as connection:
    upgrade(connection)
""")
    assert output.splitlines()[-2:] == [REFUSAL] * 2
    assert project.tables() == set()
    assert locks(project.url) == 0


def test_transaction_of_the_caller_holds_its_lock_in_any_pool(
    new: New, poolers: dict[str, int]
) -> None:
    """It has one session until its end."""
    project = new(POSTGRESQL)
    pooled = through(project, poolers["transaction"])
    code = """
import os
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
engine = create_engine(os.environ["TEST_URL"], connect_args={"prepare_threshold": None})
with engine.begin() as connection:
    connection.execute(text("SELECT 1"))
    config = Config("alembic.ini")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
"""
    url = url_text(pooled.url)
    processes = [pooled.start("python", "-c", code, TEST_URL=url) for _ in range(4)]
    outputs = [process.finish(60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert project.version() == [HERO]
    assert locks(project.url) == 0


@pytest.mark.parametrize("engine", ENGINES[::2], ids=str)
def test_direct_connection_is_the_only_one(new: New, engine: Engine) -> None:
    made = "create_async_engine" if engine.async_engine else "create_engine"
    output = new(engine).program(f"""
engine = {made}(URL)
event.listen(engine.pool, "connect", lambda *_: print("connected"))
config.attributes["connection"] = engine
command.upgrade(config, "head")
""")
    assert output.count("connected") == 1
