"""A Galera cluster of three real nodes: the lock holds on all of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from uuid import uuid4

import pytest
from sqlalchemy import URL

from support.databases import execute, query
from support.galera import Galera, galera
from support.projects import New, Project, last_line
from support.revisions import HERO
from support.servers import missing_package
from support.variants import ENGINE_OF, ENGINES, Engine

PROCESSES = 8
MARIADB = ENGINE_OF["mariadb-pymysql-sync"]
LOST = "the migration lock was lost while the migration ran"

# What some releases of MariaDB say on a node, in place of a lock.
REFUSED = (
    "SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1235, MESSAGE_TEXT = "
    "'This version of MariaDB doesn''t yet support ''GET_LOCK in cluster (WSREP_ON=ON)'''"
)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Galera]:
    """Three nodes; a test that kills one of them starts it again."""
    if reason := missing_package("galera-4") or missing_package("mariadb-server-core"):
        pytest.skip(reason)
    with galera() as nodes:
        yield nodes


@pytest.fixture
def urls(nodes: Galera) -> Iterator[list[URL]]:
    """An empty database on each node, and a user who may do everything in it and no more."""
    name = f"copier_alembic_{uuid4().hex[:12]}"
    execute(nodes.urls[0], f"CREATE DATABASE {name}")
    execute(nodes.urls[0], f"CREATE USER {name} IDENTIFIED BY 'x'")
    execute(nodes.urls[0], f"GRANT ALL ON {name}.* TO {name}")
    nodes.catch_up()
    yield [url.set(database=name, username=name, password="x") for url in nodes.urls]
    execute(nodes.urls[0], f"DROP DATABASE {name}")


def through(
    project: Project, urls: list[URL], engine: Engine = MARIADB
) -> list[Project]:
    driver = f"{engine.database}+{engine.driver}"
    return [project.on(url.set(drivername=driver)) for url in urls]


@pytest.mark.parametrize(
    "engine", [engine for engine in ENGINES if engine.database == "mariadb"], ids=str
)
def test_processes_on_three_nodes_migrate_once(
    new: New, nodes: Galera, urls: list[URL], engine: Engine
) -> None:
    project = new(engine)
    project.add_revision(
        "rows",
        # Else a read may miss what another node has committed before.
        'assert op.get_bind().scalar(sa.text("SELECT @@wsrep_sync_wait")) == 15\n'
        "op.execute(\"INSERT INTO heroes (name, secret_name) VALUES ('Ada', '?')\")\n"
        'op.create_table("capes", sa.Column("id", sa.Integer(), primary_key=True))\n',
    )
    projects = islice(cycle(through(project, urls, engine)), PROCESSES)
    processes = [one.start("alembic", "upgrade", "head") for one in projects]
    outputs = [process.finish(60) for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES, outputs
    assert sum("Running upgrade" in output for output in outputs) == 1
    assert all(output.count("Waiting up to 300 s") <= 1 for output in outputs)
    nodes.catch_up()
    for node in through(project, urls):
        assert node.query("SELECT name FROM heroes") == [("Ada",)]
        assert node.version() == ["rows"]


def test_autogenerate_leaves_the_lock_alone(new: New, urls: list[URL]) -> None:
    [project, *_] = through(new(MARIADB), urls)
    project.upgraded()
    assert project.tables() == {"heroes", "alembic_lock"}
    output = project.alembic_each(
        [["check"], ["revision", "--autogenerate", "-m", "x"], ["downgrade", "base"]]
    )
    assert "No new upgrade operations detected." in output
    assert "no revision is written" in output
    assert "alembic_lock" not in output
    assert project.tables() == {"alembic_lock"}


def test_killed_owner_frees_the_lock_on_all_nodes(new: New, urls: list[URL]) -> None:
    project = new(MARIADB)
    slow = project.add_revision("slow", "time.sleep(60)")
    [first, second, _] = through(project, urls)
    owner = first.start("alembic", "upgrade", "head")
    owner.wait_for("-> slow")
    waiter = second.start("alembic", "-x", "lock_timeout=20", "upgrade", HERO)
    waiter.wait_for("Waiting up to 20 s")
    line = last_line(
        second.alembic("-x", "lock_timeout=0", "upgrade", HERO, fails=True)
    )
    assert line.startswith("timed out after 0 s: another process is migrating")
    owner.kill()
    owner.finish()
    output = waiter.finish(20)
    assert waiter.returncode == 0, output
    slow.unlink()
    assert second.version() == [HERO]


def test_migration_stops_where_its_lock_is_lost(new: New, urls: list[URL]) -> None:
    project = new(MARIADB)
    create = 'op.create_table("capes", sa.Column("id", sa.Integer(), primary_key=True))'
    project.add_revision("slow", f"time.sleep(1.2)\n{create}")
    [first, second, _] = through(project, urls)
    owner = first.start("alembic", "upgrade", "head")
    owner.wait_for("-> slow")
    execute(second.url, "DROP TABLE alembic_lock")
    line = last_line(owner.finish())
    assert LOST in line
    assert "capes" not in second.tables()


def test_node_that_refuses_named_locks_has_the_row(new: New, urls: list[URL]) -> None:
    project = new(MARIADB)
    [first, second, _] = through(project, urls)
    refuse = f"""
engine = create_engine(URL, pool_size=1, max_overflow=0)
def refuse(c, cursor, statement, parameters, *_):
    return ({REFUSED!r} if "_LOCK(" in statement else statement), parameters
event.listen(engine, "before_cursor_execute", refuse, retval=True)
config.attributes["connection"] = engine
command.upgrade(config, "head")
print("done")
"""
    project.add_revision("slow", "print('slow', flush=True)\ntime.sleep(60)")
    owner = first.start("alembic", "upgrade", "head")
    owner.wait_for("-> slow")
    refuse = refuse.replace('"head"', f'"{HERO}"')
    refused = f"""
from argparse import Namespace
config.cmd_opts = Namespace(x=["lock_timeout=0"])
try:
    {refuse.strip().replace(chr(10), chr(10) + "    ")}
except Exception as error:
    print(error)
"""
    assert "another process is migrating" in second.program(refused)
    owner.kill()
    owner.finish()
    assert second.program(refuse).splitlines()[-1] == "done"


def test_connection_of_the_caller_is_left_as_it_was(new: New, urls: list[URL]) -> None:
    """Whose pool has no room for a second one, and commits each statement; the lock holds."""
    [project, *_] = through(new(MARIADB), urls)
    output = project.program("""
engine = create_engine(URL, pool_size=1, max_overflow=0, isolation_level="AUTOCOMMIT")
with engine.connect() as connection:
    def variables():
        return connection.execute(text("SELECT @@wsrep_sync_wait, @@lock_wait_timeout")).one()
    before = variables()
    codes = []
    @event.listens_for(connection, "before_cursor_execute")
    def try_to_lock(c, cursor, statement, *_):
        if "CREATE TABLE heroes" in statement:
            with create_engine(URL).connect() as other:
                other.exec_driver_sql("SET innodb_lock_wait_timeout = 0")
                try:
                    other.exec_driver_sql("UPDATE alembic_lock SET holders = 0")
                except Exception as error:
                    codes.append(error.orig.args[0])
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    assert codes == [1205]
    assert variables() == before
with create_engine(URL).begin() as connection:
    connection.execute(text("SELECT 1"))
    config.attributes["connection"] = connection
    command.downgrade(config, "base")
    connection.execute(text("SELECT 1"))
print("done")
""")
    assert output.splitlines()[-1] == "done"
    assert project.tables() == {"alembic_lock"}


def test_plain_mariadb_pays_nothing(new: New) -> None:
    """One connection, one statement that locks and one that unlocks."""
    output = new(MARIADB).program("""
engine = create_engine(URL)
event.listen(engine.pool, "connect", lambda *_: print("connected"))
engine.connect().close()
event.listen(engine, "before_cursor_execute", lambda *a: print("SQL", " ".join(a[2].split())))
config.attributes["connection"] = engine
command.upgrade(config, "head")
""")
    assert output.count("connected") == 1
    statements = [line for line in output.splitlines() if line.startswith("SQL ")]
    locks = [line for line in statements if "LOCK(" in line or "wsrep" in line]
    assert [line.split("(")[0] for line in locks] == [
        "SQL SELECT GET_LOCK",
        "SQL SELECT RELEASE_LOCK",
    ]
    assert not any("alembic_lock" in line for line in statements)


def test_killed_node_frees_the_lock(new: New, nodes: Galera, urls: list[URL]) -> None:
    """The last one: the node stays away."""
    project = new(MARIADB)
    slow = project.add_revision("slow", 'op.execute("SELECT SLEEP(60)")')
    [first, _, last] = through(project, urls)
    owner = last.start("alembic", "upgrade", "head")
    owner.wait_for("-> slow")
    waiter = first.start("alembic", "-x", "lock_timeout=30", "upgrade", HERO)
    waiter.wait_for("Waiting up to 30 s")
    nodes.kill(2)
    assert "slow.py, line 13: OperationalError" in last_line(owner.finish(20))
    output = waiter.finish(30)
    assert waiter.returncode == 0, output
    slow.unlink()
    assert query(first.url, "SELECT version_num FROM alembic_version") == [(HERO,)]
