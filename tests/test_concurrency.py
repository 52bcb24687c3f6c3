"""Processes that start together, that wait, and that are killed: real ones, on real databases."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest
from conftest import Database, Render, alembic, connect, query, script, sync_url
from revisions import HERO, add_revision
from sqlalchemy import URL, Connection, text
from test_migrate import ONE_OF_EACH, tables
from variants import ENGINES, Engine, Variant

PROCESSES = 8
# At least ten races on each server, and each driver has some.
RACES = {"sqlite": 5, "postgresql": 4, "mysql": 2, "mariadb": 2}
KILLS = 20

CONCURRENT_INDEX = """
with op.get_context().autocommit_block():
    op.create_index("ix_heroes_age", "heroes", ["age"], postgresql_concurrently=True)
    time.sleep(0.3)
"""


def start(project: Path, url: URL, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [script("alembic"), *arguments],
        cwd=project,
        env=os.environ
        | {
            "PYTHONPATH": "src",
            "DATABASE_URL": url.render_as_string(hide_password=False),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def version(url: URL) -> list[str]:
    return [row[0] for row in query(url, "SELECT version_num FROM alembic_version")]


@pytest.mark.parametrize(
    ("engine", "race"),
    [(engine, race) for engine in ENGINES for race in range(RACES[engine.database])],
    ids=str,
)
def test_processes_that_start_together_migrate_once(
    render: Render, database: Database, engine: Engine, race: int
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    add_revision(
        project,
        "rows",
        "op.execute(\"INSERT INTO heroes (name, secret_name) VALUES ('Ada', '?')\")\n"
        'op.create_table("capes", sa.Column("id", sa.Integer(), primary_key=True))\n'
        "time.sleep(0.3)",
    )
    index = CONCURRENT_INDEX if engine.database == "postgresql" else "time.sleep(0.3)"
    add_revision(project, "slow", index, down_revision="rows")

    processes = [start(project, url, "upgrade", "head") for _ in range(PROCESSES)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES, outputs
    assert query(url, "SELECT name FROM heroes") == [("Ada",)]
    assert tables(url) == {"heroes", "capes"}
    assert version(url) == ["slow"]
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


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_process_that_waits_gives_up_and_changes_nothing(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    with held_lock(url):
        output = alembic(
            project, "-x", "lock_timeout=0.5", "upgrade", "head", url=url, fails=True
        )
        assert (
            output.count("Waiting up to 0.5 s for another process that migrates") == 1
        )
        assert (
            "another process still migrates this database after 0.5 s"
            in output.splitlines()[-1]
        )
        assert "Traceback" not in output
        if engine.server:
            assert tables(url) == set()
    assert tables(url) == set()
    alembic(project, "-x", "lock_timeout=0", "upgrade", "head", url=url)


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_lock_timeout_comes_from_alembic_ini(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    ini = project / "alembic.ini"
    ini.write_text(
        ini.read_text().replace("timezone = UTC", "timezone = UTC\nlock_timeout = 0.25")
    )
    with held_lock(url):
        output = alembic(project, "upgrade", "head", url=url, fails=True)
    assert "after 0.25 s" in output.splitlines()[-1]


@pytest.mark.parametrize("value", ["soon", "-1", "inf", "nan", ""])
def test_lock_timeout_must_be_seconds(
    render: Render, database: Database, value: str
) -> None:
    url = database("sqlite", "pysqlite")
    output = alembic(
        render(), "-x", f"lock_timeout={value}", "upgrade", "head", url=url, fails=True
    )
    assert f"lock_timeout is '{value}'; give it seconds" in output.splitlines()[-1]
    assert tables(url) == set()


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_read_only_commands_never_wait(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    alembic(project, "upgrade", "head", url=url)
    with held_lock(url):
        for command in (["current"], ["history"], ["heads"], ["check"]):
            output = alembic(project, "-x", "lock_timeout=1", *command, url=url)
            assert "Waiting" not in output


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_killed_owner_frees_the_lock(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    slow = add_revision(project, "slow", "time.sleep(60)")
    owner = start(project, url, "upgrade", "head")
    wait_for_line(owner, "-> slow")
    waiter = start(project, url, "-x", "lock_timeout=20", "upgrade", HERO)
    wait_for_line(waiter, "Waiting up to 20 s")
    owner.kill()
    owner.communicate()
    output = waiter.communicate(timeout=20)[0]
    assert waiter.returncode == 0, output
    slow.unlink()
    assert version(url) == [HERO]


def wait_for_line(process: subprocess.Popen[str], part: str) -> None:
    assert process.stdout is not None
    lines = []
    while line := process.stdout.readline():
        lines.append(line)
        if part in line:
            return
    raise AssertionError("".join(lines))


def chain(project: Path, database: str) -> list[str]:
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
            add_revision(
                project,
                revision,
                f"{upgrade}\n{pause}",
                f"{downgrade}\n{pause}",
                down_revision,
            )
            down_revision = revision
            revisions.append(revision)
    return revisions


def assert_between_revisions(url: URL, revisions: list[str]) -> None:
    """Only whole revisions stand: the tables are those of the recorded revision."""
    [recorded] = version(url)
    whole = range(1, revisions.index(recorded) * 3 // (len(revisions) - 1) + 1)
    assert tables(url) == {
        "heroes",
        *(f"{kind}{n}" for n in whole for kind in ("t", "log_")),
    }
    for number in whole:
        assert query(url, f"SELECT * FROM log_{number}") == [(1,)]


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_killed_migration_leaves_nothing_half_done(
    render: Render, database: Database, engine: Engine
) -> None:
    """Up and down in turns. On MariaDB one step may be half done, which can be repeated."""
    project = render(Variant(engine))
    revisions = chain(project, engine.database)
    url = database(engine.database, engine.driver)
    alembic(project, "upgrade", HERO, url=url)
    killed = 0
    directions = cycle([("upgrade", "head"), ("downgrade", HERO)])
    while killed < KILLS:
        command = next(directions)
        process = start(project, url, *command)
        wait_for_line(process, f"Running {command[0]}")
        time.sleep(random.uniform(0, 0.4))
        process.kill()
        process.communicate()
        killed += process.returncode != 0
        if engine.database != "mariadb":
            assert_between_revisions(url, revisions)
        alembic(project, *command, url=url)
        assert version(url) == [revisions[-1] if command[0] == "upgrade" else HERO]
        assert_between_revisions(url, revisions)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_exception_in_the_middle_leaves_nothing_half_done(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    alembic(project, "upgrade", "head", url=url)
    bad = add_revision(
        project,
        "bad",
        'op.create_table("capes", sa.Column("id", sa.Integer(), primary_key=True))\n'
        'op.execute("INSERT INTO nowhere VALUES (1)")',
    )
    output = alembic(project, "upgrade", "head", url=url, fails=True)
    last = output.splitlines()[-1]
    assert "versions/bad.py, line 14" in last
    assert "Traceback" not in output
    assert version(url) == [HERO]
    if engine.database in {"mysql", "mariadb"}:
        assert "its earlier statements stand" in last
    else:
        assert "rolled back" in last
        assert tables(url) == {"heroes"}
    bad.unlink()
    alembic(project, "upgrade", "head", url=url)


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_failed_upgrade_keeps_the_revisions_before_it(
    render: Render, database: Database, engine: Engine
) -> None:
    """Where each has a transaction of its own; on SQLite the whole upgrade has one."""
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    add_revision(project, "bad", 'op.execute("nonsense")')
    alembic(project, "upgrade", "head", url=url, fails=True)
    if engine.database == "sqlite":
        assert tables(url) == set()
    else:
        assert tables(url) == {"heroes"}
        assert version(url) == [HERO]
