"""Where a lock would not hold the migration is refused, unless only one job migrates.

No such server is here: PostgreSQL and MariaDB say that they are one.
"""

from __future__ import annotations

import pytest

from support.projects import New, Project, last_line
from support.revisions import HERO
from support.variants import ENGINE_OF, POSTGRESQL, Engine

MARIADB = ENGINE_OF["mariadb-pymysql-sync"]
ASYNCPG = ENGINE_OF["postgresql-asyncpg-async"]

COCKROACHDB = "CockroachDB CCL v25.4.2 (x86_64-pc-linux-gnu, built 2026/01/13, go1.25)"
REFUSAL = (
    "{} has no migration lock, so two processes could migrate at the same time. "
    "Migrate from one job only, with `alembic -x lock=none upgrade head`"
)


def call_itself(project: Project, version: str) -> Project:
    """Let a database of PostgreSQL say that its server is another one."""
    project.query(
        "CREATE OR REPLACE FUNCTION pg_catalog.version() RETURNS text "
        f"LANGUAGE sql STABLE AS 'SELECT ''{version}'''"
    )
    return project


VERSIONS = {
    COCKROACHDB: "CockroachDB",
    "PostgreSQL 11.2-YB-2.20.1.3-b0 on x86_64": "YugabyteDB before 2025.1",
    "PostgreSQL 15.2-YB-2.25.0.0-b0 on x86_64": "YugabyteDB before 2025.1",
    "PostgreSQL 11.2-YB-2024.2.3.0-b0 on x86_64": "YugabyteDB before 2025.1",
    "PostgreSQL 15.12-YB-2.27.0.0-b0 on x86_64": "",
    "PostgreSQL 15.12-YB-2025.1.0.1-b0 on x86_64": "",
    "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu": "",
    "5.7.25-TiDB-v5.4.3": "TiDB before 6.1",
    "5.7.25-TiDB-v6.1.0": "",
    "8.0.11-TiDB-v8.5.1": "",
    "8.4.3": "",
    "10.11.19-MariaDB-0+deb12u1": "",
}


@pytest.mark.parametrize("engine", [POSTGRESQL, MARIADB], ids=str)
def test_versions_are_told_apart(new: New, engine: Engine) -> None:
    kind = "postgresql" if engine == POSTGRESQL else "mysql"
    versions = [one for one in VERSIONS if one[0].isalpha() == (engine == POSTGRESQL)]
    output = new(engine).python(f"""
import sys; sys.path.append("migrations")
from migration_kit.servers import refuse_without_lock
from migration_kit.{kind}.lock import WITHOUT_LOCK
for version in {versions}:
    try:
        refuse_without_lock(version, WITHOUT_LOCK)
        print()
    except Exception as error:
        print(error)
""")
    servers = [VERSIONS[version] for version in versions]
    refusals = [server and REFUSAL.format(server) for server in servers]
    assert output.splitlines() == refusals


def test_server_is_refused_by_its_version(new: New) -> None:
    version = "PostgreSQL 11.2-YB-2024.2.3.0-b0 on x86_64"
    project = call_itself(new(POSTGRESQL), version)
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert line == REFUSAL.format("YugabyteDB before 2025.1")
    assert project.tables() == set()
    project.alembic("current")
    output = project.alembic("-x", "lock=none", "upgrade", "head")
    assert output.count("two processes could migrate at the same time") == 1
    assert project.version() == [HERO]


@pytest.mark.parametrize("engine", [POSTGRESQL, ASYNCPG], ids=str)
def test_cockroachdb_is_refused(new: New, engine: Engine) -> None:
    """SQLAlchemy's dialect does not know it, and ends with an AssertionError."""
    project = call_itself(new(engine), COCKROACHDB)
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert line.startswith("cannot connect to postgresql+")
    assert line.endswith(
        ". Run `uv add sqlalchemy-cockroachdb`, and start DATABASE_URL with cockroachdb://. "
        "It has no lock: migrate from one job only, with `-x lock=none`"
    )


def test_dialect_without_a_lock_is_refused(new: New) -> None:
    project = new(POSTGRESQL)
    code = """
from alembic.ddl.postgresql import PostgresqlImpl
class CockroachImpl(PostgresqlImpl):
    __dialect__ = "cockroachdb"
engine = create_engine(URL)
engine.connect().close()
engine.dialect.name = "cockroachdb"
config.attributes["connection"] = engine
try:
    command.upgrade(config, "head")
except Exception as error:
    print(error)
"""
    refusal = REFUSAL.format("SQLAlchemy's dialect cockroachdb")
    assert project.program(code).splitlines()[-1] == refusal
    project.edit("alembic.ini", "timezone = UTC", "timezone = UTC\nlock = none")
    project.program(code)
    assert project.version() == [HERO]


# What a TiDB says in place of MariaDB, by the statement that asks for the lock.
TIDB = {
    "grants what it does not hold": (
        "statement.replace('VERSION()', \"'5.7.25-TiDB-v5.4.3'\")"
    ),
    "refuses to pretend": (
        "\"SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1235, MESSAGE_TEXT = "
        "'function get_lock has only noop implementation in tidb now'\""
    ),
}


@pytest.mark.parametrize("said", TIDB.values(), ids=TIDB)
def test_old_tidb_is_refused(new: New, said: str) -> None:
    output = new(MARIADB).program(f"""
engine = create_engine(URL)
def pretend(c, cursor, statement, parameters, *_):
    return ({said} if "GET_LOCK" in statement else statement), parameters
event.listen(engine, "before_cursor_execute", pretend, retval=True)
config.attributes["connection"] = engine
try:
    command.upgrade(config, "head")
except Exception as error:
    print(error)
""")
    assert output.splitlines()[-1] == REFUSAL.format("TiDB before 6.1")


def test_setting_has_one_value(new: New) -> None:
    project = new(POSTGRESQL)
    output = project.alembic("-x", "lock=off", "upgrade", "head", fails=True)
    assert last_line(output) == (
        "lock is 'off': it can only be none. Leave it out, or use `-x lock=none`"
    )
    assert project.tables() == set()


def test_sqlite_keeps_the_lock_that_is_its_transaction(new: New) -> None:
    project = new()
    project.add_revision("bad", 'op.execute("nonsense")')
    project.alembic("-x", "lock=none", "upgrade", "head", fails=True)
    assert project.tables() == set()
