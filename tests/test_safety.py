"""A migration keeps every row, never succeeds silently, and explains itself in one line."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest
from conftest import (
    Database,
    Render,
    alembic,
    connect,
    execute,
    query,
    run,
    script,
    sync_url,
)
from revisions import HERO, add_revision
from sqlalchemy import URL, text
from test_concurrency import start, version, wait_for_line
from test_env import call, url_text
from test_migrate import ENGINE_OF, ONE_OF_EACH, UP_AND_DOWN, tables
from variants import ENGINES, Engine, Variant

SQLITE = [ENGINE_OF["sqlite-pysqlite-sync"], ENGINE_OF["sqlite-aiosqlite-async"]]
POSTGRESQL = ENGINE_OF["postgresql-psycopg-sync"]
SERVERS = [engine for engine in ENGINES if engine.server]


def last_line(output: str) -> str:
    """Return the one line of a failure: no traceback stands before it."""
    assert "Traceback" not in output
    lines = output.splitlines()
    assert lines[-1].startswith("FAILED: ")
    assert sum("FAILED" in line for line in lines) == 1
    assert "ERROR" not in output
    return lines[-1].removeprefix("FAILED: ")


# -------------------------------------------------------------- No data loss on SQLite

FAMILY = """
op.create_table("parents", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("n", sa.Integer()))
op.create_table(
    "children",
    sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("parent_id", sa.Integer(), sa.ForeignKey("parents.id", ondelete="CASCADE", name="fk")),
    sa.Column("other_id", sa.Integer(), sa.ForeignKey("parents.id", ondelete="SET NULL", name="fk_other")),
)
op.execute("INSERT INTO parents (id, n) VALUES (1, 1), (2, 2)")
op.execute("INSERT INTO children (id, parent_id, other_id) VALUES (1, 1, 2), (2, 2, 1)")
"""
COPY_PARENTS = """
with op.batch_alter_table("parents", recreate="always") as batch:
    batch.alter_column("n", type_=sa.BigInteger())
"""
CHILDREN = "SELECT id, parent_id, other_id FROM children ORDER BY id"

ENFORCED = """
def enforce(connection, _):
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
"""


@pytest.mark.parametrize("engine", SQLITE, ids=str)
def test_copied_parent_keeps_its_children(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    add_revision(project, "family", FAMILY)
    add_revision(project, "copied", COPY_PARENTS, COPY_PARENTS, down_revision="family")
    alembic(project, "upgrade", "head", url=url)
    alembic(project, "downgrade", "-1", url=url)
    assert query(url, CHILDREN) == [(1, 1, 2), (2, 2, 1)]


def test_engine_that_enforces_foreign_keys_keeps_children_and_pragma(
    render: Render, database: Database
) -> None:
    url = database("sqlite", "pysqlite")
    project = render()
    add_revision(project, "family", FAMILY)
    add_revision(project, "copied", COPY_PARENTS, down_revision="family")
    output = call(
        project,
        url,
        ENFORCED
        + """
engine = create_engine(URL)
event.listen(engine, "connect", enforce)
config.attributes["connection"] = engine
command.upgrade(config, "head")
with engine.connect() as connection:
    print("foreign_keys", connection.exec_driver_sql("PRAGMA foreign_keys").scalar())
""",
    )
    assert "foreign_keys 1" in output
    assert query(url, CHILDREN) == [(1, 1, 2), (2, 2, 1)]


def test_transaction_that_enforces_foreign_keys_is_refused(
    render: Render, database: Database
) -> None:
    url = database("sqlite", "pysqlite")
    output = call(
        render(),
        url,
        ENFORCED
        + """
engine = create_engine(URL)
event.listen(engine, "connect", enforce)
with engine.begin() as connection:
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except Exception as error:
        print(error)
""",
    )
    assert "pass an engine, or a connection with PRAGMA foreign_keys=OFF" in output
    assert tables(url) == set()


@pytest.mark.parametrize("engine", SQLITE, ids=str)
def test_broken_foreign_key_stops_before_the_commit(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    add_revision(project, "family", FAMILY)
    alembic(project, "upgrade", "head", url=url)
    orphan = add_revision(
        project, "orphan", 'op.execute("DELETE FROM parents")', down_revision="family"
    )
    line = last_line(alembic(project, "upgrade", "head", url=url, fails=True))
    assert "4 rows would refer to nothing (children → parents)" in line
    assert query(url, "SELECT id FROM parents ORDER BY id") == [(1,), (2,)]
    assert version(url) == ["family"]
    orphan.unlink()

    query(url, "INSERT INTO children (id, parent_id) VALUES (3, 99)")
    add_revision(
        project,
        "fine",
        'op.execute("UPDATE parents SET n = 3")',
        down_revision="family",
    )
    alembic(project, "upgrade", "head", url=url)
    assert version(url) == ["fine"]


def test_reader_delays_the_commit_but_does_not_break_it(
    render: Render, database: Database
) -> None:
    url = database("sqlite", "pysqlite")
    project = render()
    alembic(project, "upgrade", "head", url=url)
    add_revision(
        project, "capes", 'op.execute("CREATE TABLE capes (id int)")\ntime.sleep(0.2)'
    )
    with connect(url) as reader:
        cursor = reader.connection.cursor()
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM heroes")
        process = start(project, url, "upgrade", "head")
        wait_for_line(process, "Running upgrade")
        timer = threading.Event()
        timer.wait(1.5)
        assert process.poll() is None
        cursor.execute("COMMIT")
        output = process.communicate(timeout=20)[0]
    assert process.returncode == 0, output
    assert tables(url) == {"heroes", "capes"}


# ------------------------------------------------------------------- No silent success


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_statement_before_the_migration_does_not_swallow_it(
    render: Render, database: Database, engine: Engine
) -> None:
    """Alembic takes the transaction that it begins for a caller's and never commits it."""
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    env = project / "migrations/env.py"
    body = '    """Run the migrations on an open connection; a transaction on it stays the caller\'s."""\n'
    assert body in env.read_text()
    env.write_text(
        env.read_text().replace(
            body, body + '    connection.exec_driver_sql("SELECT 1")\n'
        )
    )
    alembic(project, "upgrade", "head", url=url)
    assert version(url) == [HERO]
    assert tables(url) == {"heroes"}


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize("direction", ["upgrade", "downgrade"])
def test_revision_that_is_not_recorded_fails(
    render: Render, database: Database, engine: Engine, direction: str
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    forge = (
        "@sa.event.listens_for(op.get_bind(), 'commit', once=True)\n"
        "def forge(connection):\n"
        "    connection.exec_driver_sql(\"UPDATE alembic_version SET version_num = 'forged'\")\n"
    )
    add_revision(project, "silent", forge, forge)
    if direction == "downgrade":
        alembic(project, "stamp", "silent", url=url)
    target = "head" if direction == "upgrade" else HERO
    line = last_line(alembic(project, direction, target, url=url, fails=True))
    asked = "silent" if direction == "upgrade" else HERO
    assert f"the database records forged instead of {asked}" in line


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_commands_outside_a_revision_take_effect(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    alembic(project, "ensure_version", url=url)
    assert version(url) == []
    alembic(project, "stamp", "head", url=url)
    assert version(url) == [HERO]
    alembic(project, "stamp", "--purge", "base", url=url)
    assert version(url) == []


# --------------------------------------------------------- Autogenerate writes no disaster


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize(
    "command", [("check",), ("revision", "--autogenerate", "-m", "drop")]
)
def test_autogenerate_refuses_to_drop_everything(
    render: Render, database: Database, engine: Engine, command: tuple[str, ...]
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    alembic(project, "upgrade", "head", url=url)
    models = project / "src/my_app/models"
    (models / "__init__.py").write_text("from my_app.models.base import Base\n")
    line = last_line(alembic(project, *command, url=url, fails=True))
    assert "no models are imported, so this would drop every table" in line
    assert len(list((project / "migrations/versions").glob("*.py"))) == 1


def test_no_change_means_no_file(render: Render, database: Database) -> None:
    url = database("sqlite", "pysqlite")
    project = render()
    alembic(project, "upgrade", "head", url=url)
    output = alembic(project, "revision", "--autogenerate", "-m", "nothing", url=url)
    assert "Models and database agree: no revision is written" in output
    assert len(list((project / "migrations/versions").glob("*.py"))) == 1
    alembic(project, "revision", "-m", "by hand", url=url)
    assert len(list((project / "migrations/versions").glob("*.py"))) == 2


def new_revision(project: Path, url: URL, message: str) -> str:
    alembic(project, "revision", "--autogenerate", "-m", message, url=url)
    [path] = (project / "migrations/versions").glob(f"*_{message}.py")
    run(script("ruff"), "format", "--check", cwd=project)
    run(script("ruff"), "check", cwd=project)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_lost_tables_and_columns_ask_for_review(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine, example="tour"))
    alembic(project, "upgrade", "head", url=url)
    (project / "src/my_app/models/user.py").unlink()
    hero = project / "src/my_app/models/hero.py"
    hero.write_text(hero.read_text().replace("    age: Mapped[int | None]\n", ""))
    content = new_revision(project, url, "lose")
    upgrade, downgrade = content.split("def downgrade")
    assert re.search(r"# REVIEW: loses the rows of users\.\n +op\.drop_table", upgrade)
    assert re.search(
        r"# REVIEW: loses heroes\.age; or has it a new name\?\n +\w+\.drop_column",
        upgrade,
    )
    assert "REVIEW" not in downgrade
    for command in UP_AND_DOWN:
        alembic(project, *command, url=url)


MODEL = """
import enum
from datetime import datetime

from sqlalchemy import DateTime, Enum, ForeignKey, String, func
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Colour(enum.Enum):
    red = "red"
    blue = "blue"


class Wardrobe(Base):
    __tablename__ = "wardrobes"

    id: Mapped[int] = mapped_column(primary_key=True)
    hero_id: Mapped[int] = mapped_column(ForeignKey("heroes.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(DateTime, server_default=func.now())
    name: Mapped[str] = mapped_column(String(50), index=True)


class Cape(Base):
    __tablename__ = "capes"

    id: Mapped[int] = mapped_column(primary_key=True)
    wardrobe_id: Mapped[int] = mapped_column(ForeignKey("wardrobes.id"), index=True)
    colour: Mapped[Colour] = mapped_column(Enum(Colour))
"""


@pytest.mark.parametrize(
    "engine", [*ONE_OF_EACH, ENGINE_OF["postgresql-asyncpg-async"]], ids=str
)
def test_autogenerated_revisions_run_up_and_down(
    render: Render, database: Database, engine: Engine
) -> None:
    """Tables with indexed foreign keys, an enum that grows, and all of it dropped again."""
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    alembic(project, "upgrade", "head", url=url)
    model = project / "src/my_app/models/cape.py"
    model.write_text(MODEL.lstrip())
    new_revision(project, url, "add")
    for command in UP_AND_DOWN:
        alembic(project, *command, url=url)

    model.write_text(
        MODEL.lstrip().replace(
            '    blue = "blue"\n', '    blue = "blue"\n    gold = "gold"\n'
        )
    )
    if engine.database != "sqlite":  # which stores it as text of some length
        new_revision(project, url, "grow")
        for command in UP_AND_DOWN:
            alembic(project, *command, url=url)

    no_key = model.read_text().replace(
        '    wardrobe_id: Mapped[int] = mapped_column(ForeignKey("wardrobes.id"), index=True)\n',
        "",
    )
    model.write_text(no_key)
    new_revision(project, url, "unlink")
    for command in UP_AND_DOWN:
        alembic(project, *command, url=url)

    model.unlink()
    new_revision(project, url, "drop")
    for command in (
        ["upgrade", "head"],
        ["check"],
        ["downgrade", "-1"],
        ["upgrade", "head"],
    ):
        alembic(project, *command, url=url)
    assert tables(url) == {"heroes"}
    if engine.database == "postgresql":
        assert query(url, "SELECT typname FROM pg_type WHERE typtype = 'e'") == []


# -------------------------------------------------------------------------- Lock queues

ADD_COLUMN = 'op.add_column("heroes", sa.Column("cape", sa.String(20)))'


@pytest.mark.parametrize("engine", SERVERS, ids=str)
def test_busy_table_is_named_and_nothing_changes(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    alembic(project, "upgrade", "head", url=url)
    add_revision(project, "cape", ADD_COLUMN)
    with connect(sync_url(url)) as holder:
        holder.execute(text("SELECT * FROM heroes"))
        seconds = "0.1" if engine.database == "postgresql" else "1"
        output = alembic(
            project,
            "-x",
            f"ddl_lock_timeout={seconds}",
            "upgrade",
            "head",
            url=url,
            fails=True,
        )
        line = last_line(output)
        assert "ALTER TABLE heroes ADD COLUMN cape" in line
        assert f"waited {seconds} s for a table that another session uses" in line
        assert version(url) == [HERO]
        if engine.database == "postgresql":
            pid = holder.scalar(text("SELECT pg_backend_pid()"))
            assert f"heroes (process {pid}" in line
            assert output.count("A table is busy; trying again in") == 3
        else:
            assert "trying again" not in output
        assert "cape" not in str(columns(url))
    alembic(project, "upgrade", "head", url=url)
    assert version(url) == ["cape"]


def columns(url: URL) -> list[tuple[str]]:
    return query(
        url,
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'heroes'",
    )


def test_busy_table_that_comes_free_is_migrated(
    render: Render, database: Database
) -> None:
    url = database("postgresql", "psycopg")
    project = render(Variant(POSTGRESQL))
    alembic(project, "upgrade", "head", url=url)
    add_revision(project, "first", 'op.execute("CREATE TABLE first (id int)")')
    add_revision(project, "cape", ADD_COLUMN, down_revision="first")
    with connect(url) as holder:
        holder.execute(text("SELECT * FROM heroes"))
        process = start(project, url, "-x", "ddl_lock_timeout=0.2", "upgrade", "head")
        wait_for_line(process, "trying again in 0.2 s")
    output = process.communicate(timeout=20)[0]
    assert process.returncode == 0, output
    assert version(url) == ["cape"]


def test_revision_that_committed_a_part_is_not_tried_again(
    render: Render, database: Database
) -> None:
    url = database("postgresql", "psycopg")
    project = render(Variant(POSTGRESQL))
    alembic(project, "upgrade", "head", url=url)
    add_revision(
        project,
        "part",
        'op.execute("CREATE TABLE part (id int)")\n'
        "with op.get_context().autocommit_block():\n"
        '    op.execute("SELECT 1")\n' + ADD_COLUMN,
    )
    with connect(url) as holder:
        holder.execute(text("SELECT * FROM heroes"))
        output = alembic(
            project,
            "-x",
            "ddl_lock_timeout=0.1",
            "upgrade",
            "head",
            url=url,
            fails=True,
        )
    assert "trying again" not in output
    assert "waited 0.1 s" in last_line(output)


def test_revision_overrides_the_timeout(render: Render, database: Database) -> None:
    url = database("postgresql", "psycopg")
    project = render(Variant(POSTGRESQL))
    alembic(project, "upgrade", "head", url=url)
    add_revision(
        project, "cape", "op.execute(\"SET LOCAL lock_timeout = '30s'\")\n" + ADD_COLUMN
    )
    with connect(url) as holder:
        holder.execute(text("SELECT * FROM heroes"))
        process = start(project, url, "-x", "ddl_lock_timeout=0.1", "upgrade", "head")
        wait_for_line(process, "Running upgrade")
        threading.Event().wait(0.5)
    output = process.communicate(timeout=20)[0]
    assert process.returncode == 0, output
    assert "trying again" not in output


def test_concurrent_index_waits_as_long_as_it_must(
    render: Render, database: Database
) -> None:
    """One that gives up would leave an invalid index behind."""
    url = database("postgresql", "psycopg")
    project = render(Variant(POSTGRESQL))
    alembic(project, "upgrade", "head", url=url)
    add_revision(
        project,
        "index",
        "with op.get_context().autocommit_block():\n"
        '    op.create_index("age", "heroes", ["age"], postgresql_concurrently=True)',
    )
    with connect(url) as holder:
        holder.execute(text("UPDATE heroes SET age = 1"))
        process = start(project, url, "-x", "ddl_lock_timeout=0.1", "upgrade", "head")
        wait_for_line(process, "Running upgrade")
        threading.Event().wait(0.7)
        assert process.poll() is None
    output = process.communicate(timeout=20)[0]
    assert process.returncode == 0, output
    assert query(
        url, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'age'::regclass"
    ) == [(True,)]


# ----------------------------------------------------------------------------- Messages


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_database_that_cannot_be_reached(
    render: Render, database: Database, engine: Engine, tmp_path: Path
) -> None:
    project = render(Variant(engine))
    url = database(engine.database, engine.driver)
    if not engine.server:
        folder = tmp_path / "nowhere"
        missing = url.set(database=str(folder / "app.db"))
        line = last_line(alembic(project, "upgrade", "head", url=missing, fails=True))
        assert f"make the folder {folder}" in line
        return
    line = last_line(
        alembic(project, "current", url=url.set(port=1, password="s3cret"), fails=True)
    )
    assert "start the server, or correct host and port in DATABASE_URL" in line
    assert "s3cret" not in line
    assert f"{engine.database}+{engine.driver}://" in line
    unknown = url.set(database="copier_alembic_nowhere")
    line = last_line(alembic(project, "upgrade", "head", url=unknown, fails=True))
    assert "create the database, or correct DATABASE_URL" in line


@pytest.mark.parametrize(
    "engine", [engine for engine in SERVERS if engine.database != "postgresql"], ids=str
)
def test_wrong_password(render: Render, database: Database, engine: Engine) -> None:
    """Not on PostgreSQL, whose test server trusts everybody."""
    url = database(engine.database, engine.driver)
    output = alembic(
        render(Variant(engine)), "current", url=url.set(password="s3cret"), fails=True
    )
    assert "check user and password in DATABASE_URL" in last_line(output)
    assert "s3cret" not in output


@pytest.mark.parametrize(
    "engine", ["postgresql-psycopg-sync", "postgresql-asyncpg-async"]
)
def test_unknown_user(render: Render, database: Database, engine: str) -> None:
    url = database("postgresql", ENGINE_OF[engine].driver).set(username="nobody_here")
    output = alembic(render(Variant(ENGINE_OF[engine])), "current", url=url, fails=True)
    assert "nobody_here" in last_line(output)


def test_missing_driver(render: Render) -> None:
    url = URL.create("mysql+mysqldb", host="localhost", database="x", password="s3cret")
    output = alembic(render(), "current", url=url, fails=True)
    line = last_line(output)
    assert line.startswith("MySQLdb is not installed, but mysql+mysqldb:// needs it")
    assert "s3cret" not in output


def test_unknown_dialect(render: Render) -> None:
    output = alembic(
        render(), "current", DATABASE_URL="postgres://u:s3cret@h/x", fails=True
    )
    assert "SQLAlchemy has no dialect 'postgres'; start DATABASE_URL like" in last_line(
        output
    )
    assert "s3cret" not in output


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_unknown_revision_in_the_database(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    alembic(project, "upgrade", "head", url=url)
    query(url, "UPDATE alembic_version SET version_num = 'elsewhere'")
    for command in (["upgrade", "head"], ["downgrade", "base"], ["check"]):
        line = last_line(alembic(project, *command, url=url, fails=True))
        assert "Can't locate revision identified by 'elsewhere'" in line
        assert "check out the code that has it" in line
    assert tables(url) == {"heroes"}


def test_several_heads(render: Render, database: Database) -> None:
    url = database("sqlite", "pysqlite")
    project = render()
    add_revision(project, "one", "pass")
    add_revision(project, "two", "pass")
    line = last_line(alembic(project, "upgrade", "head", url=url, fails=True))
    assert "Multiple head revisions" in line
    assert "`alembic merge heads` joins them" in line


def test_check_of_an_old_database(render: Render, database: Database) -> None:
    url = database("sqlite", "pysqlite")
    line = last_line(alembic(render(), "check", url=url, fails=True))
    assert line == "Target database is not up to date; run `alembic upgrade head` first"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "import nothing_of_that_name\n",
            "line 1: ModuleNotFoundError: No module named",
        ),
        ("class Hero(:\n", "line 1: invalid syntax"),
        ("\n\n1 / 0\n", "line 3: ZeroDivisionError: division by zero"),
    ],
)
def test_models_that_cannot_be_imported(
    render: Render, database: Database, source: str, reason: str
) -> None:
    project = render()
    (project / "src/my_app/models/hero.py").write_text(source)
    url = database("sqlite", "pysqlite")
    output = alembic(project, "upgrade", "head", url=url, fails=True)
    line = last_line(output)
    assert line.startswith("the models cannot be imported: src/my_app/models/hero.py, ")
    assert reason in line
    output = alembic(project, "--raiseerr", "upgrade", "head", url=url, fails=True)
    assert "Traceback" in output


def test_project_that_is_not_installed(render: Render) -> None:
    output = alembic(render(), "current", PYTHONPATH="", fails=True)
    assert "No module named 'my_app'" in last_line(output)
    assert "install the project" in last_line(output)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def upgrade(:\n", "versions/bad.py, line 1: invalid syntax"),
        (
            "import nothing_of_that_name\n",
            "versions/bad.py, line 1: ModuleNotFoundError",
        ),
        ("nonsense\n", "versions/bad.py, line 1: NameError"),
        (
            'revision = "bad"\ndown_revision = "gone"\n',
            "KeyError: 'gone'; a revision names it",
        ),
        (f'revision = "bad"\ndown_revision = "{HERO}"\n', "AttributeError"),
    ],
)
def test_revision_that_was_edited_into_nonsense(
    render: Render, database: Database, source: str, reason: str
) -> None:
    url = database("sqlite", "pysqlite")
    project = render()
    (project / "migrations/versions/bad.py").write_text(source)
    assert reason in last_line(alembic(project, "upgrade", "head", url=url, fails=True))
    assert tables(url) == set()


def test_hot_standby_is_refused(render: Render, database: Database) -> None:
    """The test puts a function of its own before the server's."""
    url = database("postgresql", "psycopg")
    execute(
        url,
        "CREATE FUNCTION pg_is_in_recovery() RETURNS bool AS 'SELECT true' LANGUAGE sql",
    )
    execute(url, f"ALTER DATABASE {url.database} SET search_path = public, pg_catalog")
    output = alembic(
        render(Variant(POSTGRESQL)), "upgrade", "head", url=url, fails=True
    )
    assert last_line(output) == "this server is a hot standby; connect to the primary"
    assert tables(url) == set()


def test_session_that_changes_between_transactions_is_refused(
    render: Render, database: Database
) -> None:
    """PgBouncer in transaction mode: the process number is that of another session."""
    url = database("postgresql", "psycopg")
    execute(url, "CREATE SEQUENCE pids")
    execute(
        url,
        "CREATE FUNCTION pg_backend_pid() RETURNS int AS "
        "'SELECT nextval(''pids'')::int' LANGUAGE sql",
    )
    execute(url, f"ALTER DATABASE {url.database} SET search_path = public, pg_catalog")
    output = alembic(
        render(Variant(POSTGRESQL)), "upgrade", "head", url=url, fails=True
    )
    assert "not through PgBouncer in transaction mode" in last_line(output)
    assert tables(url) == set()


@pytest.mark.parametrize("engine", ["postgresql-psycopg-sync", "mariadb-pymysql-sync"])
def test_lock_that_was_lost_fails_loudly(
    render: Render, database: Database, engine: str
) -> None:
    variant = Variant(ENGINE_OF[engine])
    url = database(variant.engine.database, variant.engine.driver)
    project = render(variant)
    unlock = (
        "pg_advisory_unlock_all()" if "postgresql" in engine else "RELEASE_ALL_LOCKS()"
    )
    add_revision(project, "thief", f'op.execute("SELECT {unlock}")')
    line = last_line(alembic(project, "upgrade", "head", url=url, fails=True))
    assert "so no lock holds" in line or "lock was lost" in line


SECRET_URLS = [
    ("postgresql-psycopg-sync", {"password": "s3cret", "sslpassword": "s3cret"}),
    ("postgresql-asyncpg-async", {"password": "s3cret"}),
    ("mysql-pymysql-sync", {"passwd": "s3cret"}),
]


@pytest.mark.parametrize(
    ("engine", "secrets"), SECRET_URLS, ids=lambda value: str(value)
)
def test_secrets_are_never_printed(
    render: Render, database: Database, engine: str, secrets: dict[str, str]
) -> None:
    variant = Variant(ENGINE_OF[engine])
    url = database(variant.engine.database, variant.engine.driver).update_query_dict(
        secrets
    )
    project = render(variant)
    succeeds = variant.engine.database == "postgresql"
    for command in (["current", "-v"], ["--raiseerr", "upgrade", "head"], ["check"]):
        assert "s3cret" not in alembic(project, *command, url=url, fails=not succeeds)
    for broken in (url.set(port=1), url.set(database="nowhere_at_all")):
        assert "s3cret" not in alembic(
            project, "--raiseerr", "current", url=broken, fails=True
        )


# ------------------------------------------------------------------ Programs may call it


@pytest.mark.parametrize("engine", ["postgresql-psycopg-sync", "mariadb-pymysql-sync"])
@pytest.mark.parametrize("succeeds", [True, False])
def test_session_is_given_back_as_it_was(
    render: Render, database: Database, engine: str, succeeds: bool
) -> None:
    variant = Variant(ENGINE_OF[engine])
    url = database(variant.engine.database, variant.engine.driver)
    project = render(variant)
    if not succeeds:
        add_revision(project, "bad", 'op.execute("nonsense")')
    state = (
        "SELECT current_setting('lock_timeout'), count(*) FROM pg_locks"
        " WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        if variant.engine.database == "postgresql"
        else "SELECT @@lock_wait_timeout, IS_USED_LOCK(CONCAT('alembic-', MD5(DATABASE())))"
    )
    output = call(
        project,
        url,
        f"""
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
""",
    )
    assert ("succeeded" in output) == succeeds


def test_two_startup_hooks_in_one_loop_both_end(
    render: Render, database: Database
) -> None:
    """The one that waits lets the event loop run, in which the other one migrates."""
    url = database("postgresql", "asyncpg")
    project = render(Variant(ENGINE_OF["postgresql-asyncpg-async"]))
    add_revision(project, "slow", 'op.execute("SELECT pg_sleep(0.5)")')
    call(
        project,
        url,
        """
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
""",
    )
    assert version(url) == ["slow"]


def test_eight_programs_with_transactions_of_their_own_migrate_once(
    render: Render, database: Database
) -> None:
    url = database("postgresql", "psycopg")
    project = render(Variant(POSTGRESQL))
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
    import subprocess
    import sys

    env = os.environ | {"PYTHONPATH": "src", "TEST_URL": url_text(url)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], cwd=project, env=env)
        for _ in range(8)
    ]
    assert [process.wait(60) for process in processes] == [0] * 8
    assert version(url) == [HERO]
