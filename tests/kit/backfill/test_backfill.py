"""Many rows change in batches, each row exactly once, whatever happens meanwhile."""

from __future__ import annotations

import os
import shlex
import shutil
import signal

import pytest
from sqlalchemy import text

from support import fork
from support.databases import connect, sync_url, url_text
from support.layout import command
from support.projects import New, Project, last_line
from support.revisions import HERO
from support.variants import (
    ENGINE_OF,
    ONE_OF_EACH,
    POSTGRESQL,
    SEVERAL,
    Engine,
)

ROWS = 100

SQLITE = ENGINE_OF["sqlite-pysqlite-sync"]
AIOSQLITE = ENGINE_OF["sqlite-aiosqlite-async"]
ASYNCPG = ENGINE_OF["postgresql-asyncpg-async"]
MARIADB = ENGINE_OF["mariadb-pymysql-sync"]
ASYNCMY = ENGINE_OF["mariadb-asyncmy-async"]
MYSQL = ENGINE_OF["mysql-pymysql-sync"]
AIOMYSQL = ENGINE_OF["mysql-aiomysql-async"]

EXPAND = '''\
"""expand"""

import os
import signal
import time

import sqlalchemy as sa
from alembic import op
from migration_kit.backfill import backfill

revision = "expand"
down_revision = "4f1c8a2d7b3e"

heroes = sa.table("heroes", *map(sa.column, ("id", "name", "age", "years", "times")))


@backfill(heroes, where=heroes.c.years.is_(None))
def fill_years(connection: sa.Connection, batch: sa.ColumnElement[bool]) -> None:
    connection.execute(sa.update(heroes).where(batch).values(years=heroes.c.age))


@backfill(heroes)
def count_up(connection: sa.Connection, batch: sa.ColumnElement[bool]) -> None:
    connection.execute(sa.update(heroes).where(batch).values(times=heroes.c.times + 1))
    print("changed a batch", flush=True)
    crash = int(os.environ.get("CRASH", 0))
    if crash and connection.scalar(sa.select(sa.true()).where(batch, heroes.c.id == crash)):
        os.kill(os.getpid(), signal.SIGKILL)


def upgrade() -> None:
    op.add_column("heroes", sa.Column("years", sa.Integer()))
    times = sa.Column("times", sa.Integer(), nullable=False, server_default="0")
    op.add_column("heroes", times)


def downgrade() -> None:
    with op.batch_alter_table("heroes") as heroes:
        heroes.drop_column("times")
        heroes.drop_column("years")
'''

CONTRACT = """
from migration_kit.backfill import require_backfill
require_backfill("fill_years")
op.create_table("masks", sa.Column("id", sa.Integer(), primary_key=True))
"""

DOWN = 'op.drop_table("masks")'

TOTALS = "SELECT sum(times), min(times), max(times) FROM heroes"


def words(*arguments: str, project: Project) -> list[str]:
    return ["python", *shlex.split(command("backfill", project.migrations)), *arguments]


def backfill(project: Project, *arguments: str, fails: bool = False, **env: str) -> str:
    return project.run(*words(*arguments, project=project), fails=fails, env=env)


def start(project: Project, *arguments: str, **env: str) -> fork.Process:
    return project.start(*words(*arguments, project=project), **env)


def add_heroes(project: Project, rows: int = ROWS) -> None:
    """Insert heroes with gaps between their keys."""
    values = ", ".join(f"({3 * n}, 'Ada', '?', {n})" for n in range(1, rows + 1))
    project.query(f"INSERT INTO heroes (id, name, secret_name, age) VALUES {values}")


def expanded(project: Project, rows: int = ROWS) -> Project:
    """Upgrade to the revision that declares backfills, and insert heroes."""
    (project.versions / "expand.py").write_text(EXPAND)
    project.alembic("upgrade", "expand")
    add_heroes(project, rows)
    return project


def totals(project: Project) -> tuple[int, ...]:
    return tuple(int(number or 0) for number in project.query(TOTALS)[0])


ONCE = (ROWS, 1, 1)


@pytest.mark.parametrize("engine", [SQLITE, ASYNCPG, ASYNCMY, MYSQL], ids=str)
def test_each_row_is_changed_once_though_it_is_killed(new: New, engine: Engine) -> None:
    project = expanded(new(engine))
    process = start(project, "count_up", "--batch-size", "10", CRASH="135")
    output = process.finish()
    assert process.returncode == -signal.SIGKILL, output
    assert totals(project) == (40, 0, 1)  # the batch that it died in is rolled back
    assert "count_up    expand  40 rows" in backfill(project)

    process = start(project, "count_up", "--batch-size", "5", "--pause", "0.02")
    process.wait_for("changed a batch\nchanged a batch\n")
    process.kill()
    process.finish()
    assert 45 <= totals(project)[0] < ROWS
    backfill(project, "count_up")
    assert totals(project) == ONCE
    assert "count_up is complete, 100 rows" in backfill(project, "count_up")
    assert totals(project) == ONCE


@pytest.mark.parametrize("engine", [AIOSQLITE, POSTGRESQL, MARIADB], ids=str)
def test_two_at_once_change_no_row_twice(new: New, engine: Engine) -> None:
    project = expanded(new(engine))
    first = start(project, "count_up", "--batch-size", "4", "--pause", "0.1")
    first.wait_for("changed a batch")
    second = start(project, "count_up", "--batch-size", "4", "--pause", "0")
    outputs = [each.finish() for each in (first, second)]
    codes = [first.returncode, second.returncode]
    # SQLite has no lock of a session, so there either of the two may be the one that goes on.
    assert codes == [0, 1] or (codes == [1, 0] and not engine.server), outputs
    line = "another process is running the backfill count_up. Wait for it"
    assert last_line(outputs[codes.index(1)]) == line
    assert totals(project) == ONCE


def test_stop_waits_for_the_batch_and_says_what_is_done(new: New) -> None:
    project = expanded(new(AIOSQLITE))
    for done, number in ((10, signal.SIGTERM), (20, signal.SIGINT)):
        process = start(project, "count_up", "--batch-size", "10", "--pause", "60")
        process.wait_for("changed a batch")
        os.kill(process.pid, number)
        line = last_line(process.finish())
        assert process.returncode == 1
        assert (
            line == f"stopped after {done} rows. Run it again: it continues from there"
        )
        assert totals(project) == (done, 0, 1)


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_revision_that_requires_it_waits_for_it(new: New, engine: Engine) -> None:
    project = new(engine)
    (project.versions / "expand.py").write_text(EXPAND)
    project.add_revision("contract", CONTRACT, DOWN, down_revision="expand")
    sql = project.run("alembic", "upgrade", "head", "--sql", elsewhere=True)
    assert "-- First: python migrations backfill fill_years\n" in sql
    project.alembic("upgrade", "head")  # no row needs it
    project.alembic("downgrade", HERO)
    add_heroes(project)

    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert "rows of heroes still need the backfill fill_years. Run `" in line
    assert project.tables() == {"heroes"}
    for part in line.split("`")[1:-2:2]:  # the commands that it names, but the last
        project.run(*shlex.split(part))
    assert project.query("SELECT count(*) FROM heroes WHERE years = age") == [(ROWS,)]

    assert "fill_years  expand  complete, 100 rows" in backfill(project)
    project.query("UPDATE heroes SET years = NULL WHERE id > 270")  # by the old code
    assert "fill_years  expand  needed again, 100 rows" in backfill(project)
    project.alembic("upgrade", "head", fails=True)
    project.query("UPDATE heroes SET age = NULL WHERE id = 300")
    line = last_line(backfill(project, "fill_years", fails=True))
    assert line.startswith("fill_years went through all rows, but `where` ")
    project.query("UPDATE heroes SET age = 100 WHERE id = 300")
    assert "fill_years: 100 rows in " in backfill(project, "fill_years")
    project.alembic("upgrade", "head")
    assert project.tables() == {"heroes", "masks", "alembic_backfill"}
    assert "backfill" not in project.alembic("check", fails=True)  # but for the columns
    project.query("ALTER TABLE heroes RENAME COLUMN years TO old_years")
    assert "fill_years  expand  complete, 100 rows" in backfill(project)
    project.query("ALTER TABLE heroes RENAME COLUMN old_years TO years")

    project.alembic("downgrade", HERO)
    project.alembic("upgrade", "expand")
    assert backfill(project).count("not begun") == 2  # the columns are new and empty


OTHERS = '''\
"""others"""

import os
import signal

import sqlalchemy as sa
from alembic import op
from migration_kit.backfill import backfill

revision = "others"
down_revision = "4f1c8a2d7b3e"

heroes = sa.table("heroes", *map(sa.column, ("id", "name", "age")))
codes = sa.table("codes", sa.column("times"))
old = sa.table("old", sa.column("id"))
batches = []


@backfill(codes)
def count_codes(connection: sa.Connection, batch: sa.ColumnElement[bool]) -> None:
    connection.execute(sa.update(codes).where(batch).values(times=codes.c.times + 1))
    batches.append(batch)
    if len(batches) == 3 and "CRASH" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)


@backfill(heroes)
def look_up(connection: sa.Connection, batch: sa.ColumnElement[bool]) -> None:
    price = sa.table("prices", sa.column("age"), sa.column("name"))
    name = sa.select(price.c.name).where(price.c.age == heroes.c.age).scalar_subquery()
    connection.execute(sa.update(heroes).where(batch).values(name=name))


@backfill(heroes)
def in_python(connection: sa.Connection, batch: sa.ColumnElement[bool]) -> None:
    rows = connection.execute(sa.select(heroes.c.id, heroes.c.name).where(batch))
    values = [{"key": row.id, "upper": row.name.upper()} for row in rows]
    update = sa.update(heroes).where(heroes.c.id == sa.bindparam("key"))
    connection.execute(update.values(name=sa.bindparam("upper")), values)


@backfill(heroes)
def copy(connection: sa.Connection, batch: sa.ColumnElement[bool]) -> None:
    rows = sa.select(heroes.c.id).where(batch)
    connection.execute(sa.insert(old).from_select(["id"], rows))


@backfill(heroes, where=heroes.c.age > 50)
def delete(connection: sa.Connection, batch: sa.ColumnElement[bool]) -> None:
    connection.execute(sa.delete(heroes).where(batch))


def upgrade() -> None:
    columns = [
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("name", sa.String(20), primary_key=True),
        sa.Column("price", sa.Numeric(10, 2), primary_key=True),
        sa.Column("mark", sa.Uuid(), primary_key=True),
        sa.Column("times", sa.Integer(), nullable=False, server_default="0"),
    ]
    op.create_table("codes", *columns)
    op.create_table("old", sa.Column("id", sa.Integer(), primary_key=True))
    prices = sa.Column("age", sa.Integer(), primary_key=True), sa.Column("name", sa.String(9))
    op.create_table("prices", *prices)
'''


def with_others(project: Project) -> Project:
    """Upgrade to the revision that declares backfills of many kinds."""
    (project.versions / "others.py").write_text(OTHERS)
    return project.upgraded()


@pytest.mark.parametrize("engine", [SQLITE, ASYNCPG, MARIADB], ids=str)
def test_any_key_and_any_statement(new: New, engine: Engine) -> None:
    project = with_others(new(engine))
    values = ", ".join(
        f"('2026-0{day}-01', '{name}', {price}, '{day:032x}', 0)"
        for day in (3, 1, 2)
        for name in ("Ada", "ada''s", "Zoë")
        for price in (1.5, 10, 2.25)
    )
    project.query(f"INSERT INTO codes (day, name, price, mark, times) VALUES {values}")
    process = start(project, "count_codes", "--batch-size", "4", CRASH="1")
    process.finish()
    counts = "SELECT times, count(*) FROM codes GROUP BY times ORDER BY times"
    assert project.query(counts) == [(0, 19), (1, 8)]
    assert "count_codes: 19 rows in " in backfill(
        project, "count_codes", "--batch-size", "4"
    )
    assert project.query(counts) == [(1, 27)]

    add_heroes(project)
    values = ", ".join(f"({age}, 'age{age}')" for age in range(1, ROWS + 1))
    project.query(f"INSERT INTO prices (age, name) VALUES {values}")
    for name in ("look_up", "in_python", "copy", "delete"):
        backfill(project, name, "--batch-size", "30", "--pause", "0")
    names = {name for (name,) in project.query("SELECT name FROM heroes")}
    assert names == {f"AGE{age}" for age in range(1, 51)}
    assert project.query("SELECT count(*) FROM old") == [(ROWS,)]


# With less patience than the kit has.
IMPATIENT = """
import sys; sys.path.append("migrations")
from alembic.config import Config
from migration_kit import errors
from migration_kit.backfill import batches
batches.TRIES = 2
from migration_kit.backfill.command import run_backfill
try:
    run_backfill(Config("alembic.ini"), "count_up", batches.Pace(batch_size=40))
except errors.CommandError as error:
    print(f"FAILED: {error}")
"""


@pytest.mark.parametrize("engine", [ASYNCPG, AIOMYSQL], ids=str)
def test_rows_that_others_hold_are_left_for_later(new: New, engine: Engine) -> None:
    project = expanded(new(engine))
    with connect(sync_url(project.url)) as holder:
        holder.execute(text("UPDATE heroes SET name = 'Eve' WHERE id = 180"))
        line = last_line(project.python(IMPATIENT))
        assert line.startswith(
            "gave up after 2 tries: other sessions lock rows of heroes. "
        )
        assert totals(project) == (40, 0, 1)
    project.python(IMPATIENT)
    assert totals(project) == ONCE


def test_lost_connection_is_one_line_and_nothing_is_lost(new: New) -> None:
    project = expanded(new(POSTGRESQL))
    process = start(project, "count_up", "--batch-size", "10", "--pause", "0.5")
    process.wait_for("changed a batch")
    database = f"datname = '{project.url.database}' AND pid <> pg_backend_pid()"
    terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
    project.query(terminate + database)
    line = last_line(process.finish())
    assert line.startswith("count_up stopped: ")
    assert line.endswith(
        ". Committed batches are kept. Run it again: it continues from there"
    )
    backfill(project, "count_up")
    assert totals(project) == ONCE


def test_replica_that_is_behind_is_waited_for(new: New) -> None:
    project = expanded(new(POSTGRESQL))
    # In place of the server's own view, which is empty without a replica.
    project.query(
        "CREATE TABLE pg_stat_replication AS SELECT interval '1min' AS replay_lag"
    )
    path = {"options": "-csearch_path=public,pg_catalog"}
    url = url_text(project.url.update_query_dict(path))
    options = ("count_up", "--batch-size", "60", "--pause", "0")
    process = start(project, *options, DATABASE_URL=url)
    process.wait_for("changed a batch")
    with pytest.raises(TimeoutError):
        process.finish(0.5)
    assert totals(project)[0] == 60
    project.query("UPDATE public.pg_stat_replication SET replay_lag = '1s'")
    process.finish()
    assert totals(project) == ONCE


def test_databases_of_a_section_have_their_own(new: New) -> None:
    project = new(SEVERAL[1])
    analytics = project / f"{project.migrations}/analytics/versions"
    source = EXPAND.replace('"4f1c8a2d7b3e"', "None").replace(
        'op.add_column("heroes", sa.Column("years", sa.Integer()))',
        'op.create_table("heroes", sa.Column("id", sa.Integer, primary_key=True), '
        '*(sa.Column(n, sa.Integer) for n in ("age", "years")))',
    )
    (analytics / "expand.py").write_text(source)
    contract = CONTRACT.replace('"fill_years"', '"count_up"')
    path = project.add_revision("contract", contract, down_revision="expand")
    path.rename(analytics / path.name)
    project.alembic("-n", "analytics", "upgrade", "expand")
    file = url_text(project.url.set(database=str(project / "analytics.db")))
    other = project.on(
        sync_url(project.url.set(database=str(project / "analytics.db")))
    )
    other.query("INSERT INTO heroes (id) VALUES (1), (2)")
    assert file
    line = last_line(project.alembic("-n", "analytics", "upgrade", "head", fails=True))
    for part in line.split("`")[1::2]:
        assert "-n analytics" in part
        project.run(*shlex.split(part))
    assert totals(other) == (2, 1, 1)
    assert backfill(project) == "No revision declares a backfill.\n"


def test_tenants_have_their_own(new: New) -> None:
    project = new(POSTGRESQL, tenants="schema")
    (project.versions / "expand.py").write_text(EXPAND)
    project.add_revision("contract", CONTRACT, down_revision="expand")
    for name in ("acme", "globex"):
        project.query(f"CREATE SCHEMA {name}")
        project.alembic("-x", f"tenant={name}", "upgrade", "expand")
        row = "(name, secret_name, age) VALUES ('Ada', '?', 7)"
        project.query(f"INSERT INTO {name}.heroes {row}")
    upgrade = ("-x", "tenant=acme", "upgrade", "head")
    line = last_line(project.alembic(*upgrade, fails=True))
    assert "Run `python migrations backfill fill_years -x tenant=acme`" in line
    backfill(project, "fill_years", "-x", "tenant=acme")
    years = "SELECT a.years, g.years FROM acme.heroes a, globex.heroes g"
    assert project.query(years) == [(7, None)]
    project.alembic(*upgrade)
    assert "fill_years  expand  not begun" in backfill(project, "-x", "tenant=globex")


def test_what_cannot_be_done_is_one_line(new: New) -> None:
    project = new(MARIADB)
    source = EXPAND.replace('["4f1c', "")
    (project.versions / "expand.py").write_text(source)

    def refusal(*arguments: str) -> str:
        return last_line(backfill(project, *arguments, fails=True))

    assert refusal("fill_years") == (
        "the revision of this backfill has not run. Run `alembic upgrade expand`"
    )
    assert refusal("fill") == (
        "no revision declares the backfill fill, only fill_years, count_up. Correct the name, "
        "or delete the line that requires it if its revision was squashed"
    )
    assert "error: argument --batch-size: invalid positive value" in backfill(
        project, "fill_years", "--batch-size", "0", fails=True
    )
    project.alembic("upgrade", "head")
    project.query("ALTER TABLE heroes ENGINE = MyISAM")
    assert refusal("fill_years").startswith(
        "heroes is a table of MyISAM, which has no "
    )
    project.query("ALTER TABLE heroes MODIFY id int NOT NULL, ENGINE = InnoDB")
    project.query("ALTER TABLE heroes DROP PRIMARY KEY")
    assert refusal("fill_years").startswith("heroes has no primary key for batches. ")
    project.query("DROP TABLE heroes")
    assert refusal("fill_years").startswith("there is no table heroes. ")
    twice = source.replace('"expand"', '"twice"', 1).replace(HERO, "expand")
    (project.versions / "twice.py").write_text(
        twice.replace('= "expand"', '= "twice"', 1)
    )
    assert refusal() == (
        "expand and twice both declare the backfill fill_years. Rename one of them"
    )


def test_value_that_autogenerate_cannot_know_is_asked_for(new: New) -> None:
    project = new(SQLITE)
    path = project.versions / "expand.py"
    path.write_text(EXPAND.replace("values(years=heroes.c.age)", "values(years=...)"))
    project.alembic("upgrade", "head")
    line = (
        "migrations/versions/expand.py, line 17: the backfill fill_years has `...` in place "
        "of a value. Write the value for existing rows there"
    )
    assert last_line(backfill(project, "fill_years", fails=True)) == line
    only = ("tests/test_migrations.py", "-k", "has_its_value")
    assert f"\n{line}\n" in project.own_tests(*only, fails=True)
    path.write_text(EXPAND)
    assert "1 passed" in project.own_tests(*only)
    assert "fill_years: 0 rows" in backfill(project, "fill_years")


def test_backfill_can_be_tested(new: New) -> None:
    project = new(SQLITE)
    (project.versions / "expand.py").write_text(EXPAND)
    assert "[(7,)]" in project.python("""
import sys; sys.path.append("migrations")
import sqlalchemy as sa
from pathlib import Path
from migration_kit.backfill.command import run_backfill
from migration_kit.testing import ScratchDatabase
with ScratchDatabase(Path("alembic.ini")).create() as database:
    database.upgrade("expand")
    database.execute(sa.text("INSERT INTO heroes VALUES (1, 'Ada', '?', 7, NULL, 0)"))
    run_backfill(database.config(), "fill_years")
    print(database.execute(sa.text("SELECT years FROM heroes")))
""")


@pytest.mark.parametrize("left", ["nothing", "cache", "installed"])
def test_revision_needs_the_room_that_it_imports(new: New, left: str) -> None:
    """Each command that runs env.py, and each of the kit's, names the answer that brings it back."""
    project = new(SQLITE, features=["autogenerate", "branches", "backfill"])
    (project.versions / "expand.py").write_text(EXPAND)
    project.write("migrations/HEAD", "expand\n")
    kit = project / "migrations/migration_kit"
    if left == "installed":  # it has every room, and alembic.ini names those on
        rooms = "[alembic]\nrooms = autogenerate, branches\n"
        project.edit("alembic.ini", "[alembic]\n", rooms)
    else:
        shutil.rmtree(kit / "backfill")
    if left == "cache":  # as Copier leaves it, which deletes what it wrote
        (kit / "backfill/__pycache__").mkdir(parents=True)
    remedy = "Run `uvx copier update --vcs-ref=:current: --defaults --data 'features=[branches, autogenerate, backfill]'`"
    for arguments in (
        ["upgrade", "head"],
        ["check"],
        ["current"],
        ["revision", "--autogenerate", "-m", "next"],
        ["upgrade", "head", "--sql"],
    ):
        line = last_line(project.alembic(*arguments, fails=True))
        assert "expand.py, line 9: " in line
        assert remedy in line
    assert remedy in last_line(project.kit("head", fails=True))
    if left != "installed":
        assert "invalid choice: 'backfill'" in backfill(project, fails=True)
        # These run nothing of the project's but the revisions.
        for arguments in (["history"], ["revision", "-m", "next"]):
            line = project.alembic(*arguments, fails=True).splitlines()[-1]
            assert "migration_kit.backfill" in line
