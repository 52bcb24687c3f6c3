"""Processes that start together, that wait, and that are killed: real ones, on real databases."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle

import pytest
from sqlalchemy import URL, Connection, text

from support.databases import connect, sync_url
from support.projects import New, Project, last_line
from support.revisions import HERO
from support.variants import DIFFERENT, ONE_OF_EACH, Engine

PROCESSES = 8
# Each driver has some; benchmarks/crashes.py counts many more.
RACES = {"sqlite": 2, "postgresql": 2, "mysql": 1, "mariadb": 2}
KILLS = 10

CONCURRENT_INDEX = """
with op.get_context().autocommit_block():
    op.create_index("ix_heroes_age", "heroes", ["age"], postgresql_concurrently=True)
    time.sleep(0.3)
"""


@pytest.mark.parametrize(
    ("engine", "race"),
    [(engine, race) for engine in DIFFERENT for race in range(RACES[engine.database])],
    ids=str,
)
def test_processes_that_start_together_migrate_once(
    new: New, engine: Engine, race: int
) -> None:
    project = new(engine)
    project.add_revision(
        "rows",
        "op.execute(\"INSERT INTO heroes (name, secret_name) VALUES ('Ada', '?')\")\n"
        'op.create_table("capes", sa.Column("id", sa.Integer(), primary_key=True))\n'
        "time.sleep(0.3)",
    )
    index = CONCURRENT_INDEX if engine.database == "postgresql" else "time.sleep(0.3)"
    project.add_revision("slow", index, down_revision="rows")

    processes = [project.start("alembic", "upgrade", "head") for _ in range(PROCESSES)]
    outputs = [process.finish(120) for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES, outputs
    assert project.query("SELECT name FROM heroes") == [("Ada",)]
    assert project.tables() == {"heroes", "capes"}
    assert project.version() == ["slow"]
    assert sum("Running upgrade rows -> slow" in output for output in outputs) == 1
    assert all(output.count("Waiting up to 300 s") <= 1 for output in outputs)


@contextmanager
def held_lock(url: URL) -> Iterator[Connection]:
    """Hold the migration lock on a connection of the test's own."""
    with connect(sync_url(url)) as connection:
        match connection.dialect.name:
            case "postgresql":
                key = int.from_bytes(b"alembic")
                assert connection.scalar(text(f"SELECT pg_try_advisory_lock({key})"))
                connection.commit()
            case "sqlite":
                connection.connection.cursor().execute("BEGIN IMMEDIATE")
            case _:
                lock = "SELECT GET_LOCK(CONCAT('alembic-', MD5(DATABASE())), 0)"
                assert connection.scalar(text(lock)) == 1
        yield connection


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_process_that_waits_gives_up_and_changes_nothing(
    new: New, engine: Engine
) -> None:
    project = new(engine)
    with held_lock(project.url):
        output = project.alembic(
            "-x", "lock_timeout=0.5", "upgrade", "head", fails=True
        )
        assert (
            output.count("Waiting up to 0.5 s for another process that migrates") == 1
        )
        assert (
            "timed out after 0.5 s: another process is migrating this database. "
            in output.splitlines()[-1]
        )
        assert "Traceback" not in output
        if engine.server:
            assert project.tables() == set()
    assert project.tables() == set()
    project.alembic("-x", "lock_timeout=0", "upgrade", "head")


def test_lock_timeout_comes_from_alembic_ini(new: New) -> None:
    project = new()
    project.edit("alembic.ini", "timezone = UTC", "timezone = UTC\nlock_timeout = 0.25")
    with held_lock(project.url):
        output = project.alembic("upgrade", "head", fails=True)
    assert "after 0.25 s" in output.splitlines()[-1]


def test_lock_timeout_must_be_seconds(new: New) -> None:
    project = new()
    for value in ("soon", "-1", "inf", "nan", ""):
        setting = ("-x", f"lock_timeout={value}")
        line = last_line(project.alembic(*setting, "upgrade", "head", fails=True))
        assert (
            f"lock_timeout is '{value}', not seconds. Use `-x lock_timeout=60`" in line
        )
    assert project.tables() == set()


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_read_only_commands_never_wait(new: New, engine: Engine) -> None:
    project = new(engine).upgraded()
    with held_lock(project.url):
        for command in (["current"], ["history", "-i"], ["show", "current"], ["check"]):
            output = project.alembic("-x", "lock_timeout=1", *command)
            assert "Waiting" not in output


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_killed_owner_frees_the_lock(new: New, engine: Engine) -> None:
    project = new(engine)
    slow = project.add_revision("slow", "time.sleep(60)")
    owner = project.start("alembic", "upgrade", "head")
    owner.wait_for("-> slow")
    waiter = project.start("alembic", "-x", "lock_timeout=20", "upgrade", HERO)
    waiter.wait_for("Waiting up to 20 s")
    owner.kill()
    owner.finish()
    output = waiter.finish(20)
    assert waiter.returncode == 0, output
    slow.unlink()
    assert project.version() == [HERO]


def chain(project: Project, database: str) -> list[str]:
    """Add revisions of several steps; on MariaDB of one, as the template advises there."""
    down_revision = HERO
    revisions = [HERO]
    for number in range(1, 4):
        table = f'op.create_table("t{number}", sa.Column("id", sa.Integer(), primary_key=True)'
        insert = f'op.execute("INSERT INTO log_{number} VALUES (1)")'
        log = f'op.create_table("log_{number}", sa.Column("id", sa.Integer())'
        pause = "time.sleep(0.03)"
        drop = f'op.drop_table("t{number}"{{}})\n{pause}\nop.drop_table("log_{number}"{{}})'
        if database in {"mysql", "mariadb"}:
            steps = [
                (
                    f"{table}, if_not_exists=True)",
                    f'op.drop_table("t{number}", if_exists=True)',
                ),
                (
                    f"{log}, if_not_exists=True)",
                    f'op.drop_table("log_{number}", if_exists=True)',
                ),
                (insert, f'op.execute("DELETE FROM log_{number}")'),
            ]
        else:
            steps = [
                (
                    "\n".join([f"{table})", pause, f"{log})", pause, insert, pause]),
                    drop.format("", ""),
                )
            ]
        for step, (upgrade, downgrade) in enumerate(steps):
            revision = f"r{number}{step}"
            project.add_revision(
                revision, f"{upgrade}\n{pause}", f"{downgrade}\n{pause}", down_revision
            )
            down_revision = revision
            revisions.append(revision)
    return revisions


def assert_between_revisions(project: Project, revisions: list[str]) -> None:
    """Only whole revisions stand: the tables are those of the recorded revision."""
    [recorded] = project.version()
    whole = range(1, revisions.index(recorded) * 3 // (len(revisions) - 1) + 1)
    assert project.tables() == {
        "heroes",
        *(f"{kind}{n}" for n in whole for kind in ("t", "log_")),
    }
    for number in whole:
        assert project.query(f"SELECT * FROM log_{number}") == [(1,)]


def wait_for_the_server(project: Project, engine: Engine) -> None:
    """Wait until PostgreSQL has ended what a killed client had sent: a COMMIT, say."""
    others = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    while engine.database == "postgresql" and project.query(others) != [(0,)]:
        time.sleep(0.01)


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_killed_migration_leaves_nothing_half_done(new: New, engine: Engine) -> None:
    """Up and down in turns. On MariaDB one step may be half done, which can be repeated."""
    project = new(engine)
    revisions = chain(project, engine.database)
    project.alembic("upgrade", HERO)
    killed = 0
    directions = cycle([("upgrade", "head"), ("downgrade", HERO)])
    while killed < KILLS:
        command = next(directions)
        process = project.start("alembic", *command)
        process.wait_for(f"Running {command[0]}")
        time.sleep(random.uniform(0, 0.4))
        process.kill()
        process.finish()
        killed += process.returncode != 0
        wait_for_the_server(project, engine)
        if engine.database != "mariadb":
            assert_between_revisions(project, revisions)
        project.alembic(*command)
        assert project.version() == [revisions[-1] if command[0] == "upgrade" else HERO]
        assert_between_revisions(project, revisions)


@pytest.mark.parametrize("engine", DIFFERENT, ids=str)
def test_exception_in_the_middle_leaves_nothing_half_done(
    new: New, engine: Engine
) -> None:
    project = new(engine).upgraded()
    bad = project.add_revision(
        "bad",
        'op.create_table("capes", sa.Column("id", sa.Integer(), primary_key=True))\n'
        'op.execute("INSERT INTO nowhere VALUES (1)")',
    )
    output = project.alembic("upgrade", "head", fails=True)
    last = output.splitlines()[-1]
    assert "versions/bad.py, line 14" in last
    assert "Traceback" not in output
    assert project.version() == [HERO]
    if engine.database in {"mysql", "mariadb"}:
        assert "its earlier statements remain" in last
    else:
        assert "rolled back" in last
        assert project.tables() == {"heroes"}
    bad.unlink()
    project.alembic("upgrade", "head")


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_failed_upgrade_keeps_the_revisions_before_it(new: New, engine: Engine) -> None:
    """Where each has a transaction of its own; on SQLite the whole upgrade has one."""
    project = new(engine)
    project.add_revision("bad", 'op.execute("nonsense")')
    project.alembic("upgrade", "head", fails=True)
    if engine.database == "sqlite":
        assert project.tables() == set()
    else:
        assert project.tables() == {"heroes"}
        assert project.version() == [HERO]
