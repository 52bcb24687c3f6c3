"""On SQLite a migration keeps every row."""

from __future__ import annotations

import threading

import pytest

from support.databases import connect
from support.projects import New, last_line
from support.variants import ENGINE_OF, Engine

SQLITE = [ENGINE_OF["sqlite-pysqlite-sync"], ENGINE_OF["sqlite-aiosqlite-async"]]

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
def test_copied_parent_keeps_its_children(new: New, engine: Engine) -> None:
    project = new(engine)
    project.add_revision("family", FAMILY)
    project.add_revision("copied", COPY_PARENTS, COPY_PARENTS, down_revision="family")
    project.alembic("upgrade", "head")
    project.alembic("downgrade", "-1")
    assert project.query(CHILDREN) == [(1, 1, 2), (2, 2, 1)]


def test_engine_that_enforces_foreign_keys_keeps_children_and_pragma(new: New) -> None:
    project = new()
    project.add_revision("family", FAMILY)
    project.add_revision("copied", COPY_PARENTS, down_revision="family")
    output = project.program(
        ENFORCED
        + """
engine = create_engine(URL)
event.listen(engine, "connect", enforce)
config.attributes["connection"] = engine
command.upgrade(config, "head")
with engine.connect() as connection:
    print("foreign_keys", connection.exec_driver_sql("PRAGMA foreign_keys").scalar())
"""
    )
    assert "foreign_keys 1" in output
    assert project.query(CHILDREN) == [(1, 1, 2), (2, 2, 1)]


def test_transaction_that_enforces_foreign_keys_is_refused(new: New) -> None:
    project = new()
    output = project.program(
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
    assert "Pass an engine, or a connection with PRAGMA foreign_keys=OFF" in output
    assert project.tables() == set()


@pytest.mark.parametrize("engine", SQLITE, ids=str)
def test_broken_foreign_key_stops_before_the_commit(new: New, engine: Engine) -> None:
    project = new(engine)
    project.add_revision("family", FAMILY)
    project.alembic("upgrade", "head")
    orphan = project.add_revision(
        "orphan", 'op.execute("DELETE FROM parents")', down_revision="family"
    )
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert "4 rows would point to missing rows (children → parents)" in line
    assert project.query("SELECT id FROM parents ORDER BY id") == [(1,), (2,)]
    assert project.version() == ["family"]
    orphan.unlink()

    project.query("INSERT INTO children (id, parent_id) VALUES (3, 99)")
    project.add_revision(
        "fine", 'op.execute("UPDATE parents SET n = 3")', down_revision="family"
    )
    project.alembic("upgrade", "head")
    assert project.version() == ["fine"]


LIKES = "CREATE TABLE likes (name VARCHAR(9) REFERENCES heroes (name))"


def test_foreign_key_to_columns_that_are_not_unique_is_explained(new: New) -> None:
    project = new().upgraded()
    project.add_revision("likes", f'op.execute("{LIKES}")')
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert 'foreign key mismatch - "likes" referencing "heroes"' in line
    assert "Make the columns that it refers to unique" in line
    assert project.tables() == {"heroes"}


def test_old_database_with_such_a_key_can_be_migrated(new: New) -> None:
    """SQLite accepts the key as long as a connection does not enforce foreign keys."""
    project = new().upgraded()
    project.query(LIKES)
    project.query("INSERT INTO likes (name) VALUES ('nobody')")
    unique = 'op.create_index("uq_heroes_name", "heroes", ["name"], unique=True)'
    project.add_revision("unique", unique, 'op.drop_index("uq_heroes_name")')
    project.alembic("upgrade", "head")
    assert project.version() == ["unique"]


def test_reader_delays_the_commit_but_does_not_break_it(new: New) -> None:
    project = new().upgraded()
    project.add_revision(
        "capes", 'op.execute("CREATE TABLE capes (id int)")\ntime.sleep(0.2)'
    )
    with connect(project.url) as reader:
        cursor = reader.connection.cursor()
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM heroes")
        process = project.start("alembic", "upgrade", "head")
        process.wait_for("Running upgrade")
        timer = threading.Event()
        timer.wait(1.5)
        assert process.poll() is None
        cursor.execute("COMMIT")
        output = process.finish(20)
    assert process.returncode == 0, output
    assert project.tables() == {"heroes", "capes"}
