"""A statement that waits for a busy table gives up before others queue behind it."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest
from sqlalchemy import text

from support.databases import SERVERS, connect, execute, sync_url
from support.projects import New, Project, last_line
from support.revisions import HERO
from support.variants import DIFFERENT, ENGINE_OF, POSTGRESQL, Engine

MARIADB = ENGINE_OF["mariadb-pymysql-sync"]
ADD_COLUMN = 'op.add_column("heroes", sa.Column("cape", sa.String(20)))'


@pytest.mark.parametrize(
    "engine", [engine for engine in DIFFERENT if engine.server], ids=str
)
def test_busy_table_is_named_and_nothing_changes(new: New, engine: Engine) -> None:
    project = new(engine).upgraded()
    project.add_revision("cape", ADD_COLUMN)
    with connect(sync_url(project.url)) as holder:
        holder.execute(text("SELECT * FROM heroes"))
        seconds = "0.1" if engine.database == "postgresql" else "1"
        output = project.alembic(
            "-x", f"ddl_lock_timeout={seconds}", "upgrade", "head", fails=True
        )
        line = last_line(output)
        assert "ALTER TABLE heroes ADD COLUMN cape" in line
        assert f"timed out after {seconds} s: another session uses its table (" in line
        assert project.version() == [HERO]
        if engine.database == "postgresql":
            pid = holder.scalar(text("SELECT pg_backend_pid()"))
            assert f"heroes: process {pid}, " in line
            assert output.count("A table is busy: trying again in") == 3
        else:
            pid = holder.scalar(text("SELECT CONNECTION_ID()"))
            assert f"(an open transaction: process {pid}, root, Sleep)" in line
            assert "trying again" not in output
        assert "cape" not in str(columns(project))
    project.alembic("upgrade", "head")
    assert project.version() == ["cape"]


def test_busy_table_whose_user_nobody_may_see(new: New) -> None:
    project = new(MARIADB).upgraded()
    project.add_revision("cape", ADD_COLUMN)
    database = project.url.database
    user = f"user_{uuid4().hex[:12]}"
    execute(SERVERS["mariadb"], f"CREATE USER {user} IDENTIFIED BY 'user'")
    try:
        execute(SERVERS["mariadb"], f"GRANT ALL ON {database}.* TO {user}")
        with connect(project.url) as holder:
            holder.execute(text("SELECT * FROM heroes"))
            url = project.url.set(username=user, password="user")
            output = project.on(url).alembic(
                "-x", "ddl_lock_timeout=1", "upgrade", "head", fails=True
            )
    finally:
        execute(SERVERS["mariadb"], f"DROP USER {user}")
    seen = "SHOW PROCESSLIST shows it to a user with the PROCESS privilege"
    assert f"another session uses its table ({seen}). " in last_line(output)


def test_busy_table_in_a_transaction_of_the_caller(new: New) -> None:
    """It is over for PostgreSQL, which answers nothing more."""
    project = new(POSTGRESQL).upgraded()
    project.add_revision("cape", ADD_COLUMN)
    with connect(project.url) as holder:
        holder.execute(text("SELECT * FROM heroes"))
        output = project.program("""
with create_engine(URL).begin() as connection:
    connection.execute(text("SET LOCAL lock_timeout = 100"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except Exception as error:
        print(error)
        connection.rollback()
""")
    assert "another session uses its table (pg_stat_activity shows it, " in output


def columns(project: Project) -> list[tuple[str]]:
    return project.query(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'heroes'"
    )


def test_busy_table_that_comes_free_is_migrated(new: New) -> None:
    project = new(POSTGRESQL).upgraded()
    project.add_revision("first", 'op.execute("CREATE TABLE first (id int)")')
    project.add_revision("cape", ADD_COLUMN, down_revision="first")
    with connect(project.url) as holder:
        holder.execute(text("SELECT * FROM heroes"))
        process = project.start(
            "alembic", "-x", "ddl_lock_timeout=0.2", "upgrade", "head"
        )
        process.wait_for("trying again in 0.2 s")
    output = process.finish(20)
    assert process.returncode == 0, output
    assert project.version() == ["cape"]


def test_revision_that_committed_a_part_is_not_tried_again(new: New) -> None:
    project = new(POSTGRESQL).upgraded()
    project.add_revision(
        "part",
        'op.execute("CREATE TABLE part (id int)")\n'
        "with op.get_context().autocommit_block():\n"
        '    op.execute("SELECT 1")\n' + ADD_COLUMN,
    )
    with connect(project.url) as holder:
        holder.execute(text("SELECT * FROM heroes"))
        output = project.alembic(
            "-x", "ddl_lock_timeout=0.1", "upgrade", "head", fails=True
        )
    assert "trying again" not in output
    assert "timed out after 0.1 s" in last_line(output)


def test_revision_overrides_the_timeout(new: New) -> None:
    project = new(POSTGRESQL).upgraded()
    project.add_revision(
        "cape", "op.execute(\"SET LOCAL lock_timeout = '30s'\")\n" + ADD_COLUMN
    )
    with connect(project.url) as holder:
        holder.execute(text("SELECT * FROM heroes"))
        process = project.start(
            "alembic", "-x", "ddl_lock_timeout=0.1", "upgrade", "head"
        )
        process.wait_for("Running upgrade")
        threading.Event().wait(0.5)
    output = process.finish(20)
    assert process.returncode == 0, output
    assert "trying again" not in output


def test_concurrent_index_waits_as_long_as_it_must(new: New) -> None:
    """One that gives up would leave an invalid index behind."""
    project = new(POSTGRESQL).upgraded()
    project.add_revision(
        "index",
        "with op.get_context().autocommit_block():\n"
        '    op.create_index("age", "heroes", ["age"], postgresql_concurrently=True)',
    )
    with connect(project.url) as holder:
        holder.execute(text("UPDATE heroes SET age = 1"))
        process = project.start(
            "alembic", "-x", "ddl_lock_timeout=0.1", "upgrade", "head"
        )
        process.wait_for("Running upgrade")
        threading.Event().wait(0.7)
        assert process.poll() is None
    output = process.finish(20)
    assert process.returncode == 0, output
    assert project.query(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = 'age'::regclass"
    ) == [(True,)]


def test_pooled_session_gets_its_own_timeout_back(new: New) -> None:
    project = new(POSTGRESQL)
    project.add_revision("one", ADD_COLUMN)
    project.add_revision("bad", "op.execute('nonsense')", down_revision="one")
    output = project.program(
        'timeout = {"options": "-c lock_timeout=7777 -c synchronous_commit=local"}\n'
        "engine = create_engine(URL, pool_size=1, max_overflow=0, connect_args=timeout)\n"
        'config.attributes["connection"] = engine\n'
        "asked = text(\"SELECT pg_backend_pid(), current_setting('lock_timeout'), \"\n"
        "    \"current_setting('synchronous_commit')\")\n"
        'for target in ("one", "bad"):\n'
        "    try:\n"
        "        command.upgrade(config, target)\n"
        "    except Exception:\n"
        '        print("failed")\n'
        "    with engine.connect() as connection:\n"
        "        print(*connection.execute(asked).one())\n"
    )
    pid, *before, failed, pid_after, timeout, commit = output.split()
    assert (failed, pid_after) == ("failed", pid)
    assert before == [timeout, commit] == ["7777ms", "local"]
