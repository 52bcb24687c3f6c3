"""What a generated project's own migration tests find, and say."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable

import pytest

from support import layout
from support.damage import change_model, empty_downgrade, two_heads
from support.databases import url_text
from support.projects import New, Project
from support.variants import ENGINE_OF, ONE_OF_EACH, POSTGRESQL, Engine, Variant


def break_head(project: Project) -> None:
    (project / "migrations/HEAD").write_text("another\n")


def hide_model(project: Project) -> None:
    (project / "src/my_app/other.py").write_text(
        "from sqlalchemy.orm import Mapped, mapped_column\n\n"
        "from my_app.models import Base\n\n\n"
        "class Cape(Base):\n"
        '    __tablename__ = "capes"\n'
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
    )


def refusing_downgrade(project: Project) -> None:
    project.add_revision("one", "pass", 'raise NotImplementedError("write it")')


def no_downgrade(project: Project) -> None:
    path = project.add_revision("one", "pass", "pass")
    path.write_text(path.read_text().partition("\n\n\ndef downgrade")[0] + "\n")


def leave_column(project: Project) -> None:
    project.add_revision(
        "one",
        'op.add_column("heroes", sa.Column("power", sa.Integer()))',
        '"""Forgotten."""',
    )


def fail_downgrade(project: Project) -> None:
    project.add_revision("one", "pass", 'op.drop_table("nothing")')


@pytest.mark.parametrize(
    ("damage", "test", "says"),
    [
        (
            break_head,
            "test_head_file_names_the_head",
            f"`python {layout.command('head')}`",
        ),
        (
            two_heads,
            "test_history_has_one_head",
            f"`python {layout.command('rebase')} YOURS`",
        ),
        (
            change_model,
            "test_models_equal_the_migrated_schema",
            "`alembic revision --autogenerate -m",
        ),
        (
            hide_model,
            "test_every_model_is_loaded",
            "my_app.other: tables that Alembic does not see; import the module where env.py",
        ),
        (empty_downgrade, "test_no_downgrade_is_empty", "if there is nothing to undo"),
        (
            refusing_downgrade,
            "test_no_downgrade_is_empty",
            "if there is nothing to undo",
        ),
        (no_downgrade, "test_no_downgrade_is_empty", "if there is nothing to undo"),
        (
            leave_column,
            "test_each_revision_goes_up_down_and_up",
            "left: columns of heroes: name power",
        ),
        (
            fail_downgrade,
            "test_each_revision_goes_up_down_and_up",
            "roundtrip stopped: migrations/versions/one.py, line 17: ",
        ),
    ],
)
def test_migration_tests_say_what_is_wrong(
    new: New, damage: Callable[[Project], None], test: str, says: str
) -> None:
    project = new()
    only = ("tests/test_migrations.py", "-k", test)
    assert "1 passed" in project.own_tests(*only)
    damage(project)
    output = project.own_tests(*only, fails=True)
    assert "1 failed" in output
    assert says in output


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (break_head, "HEAD does not name the newest revision: "),
        (two_heads, "two branches each added a revision: "),
        (empty_downgrade, "migrations/versions/one.py: write downgrade(), or, "),
        (leave_column, "fix upgrade() or downgrade(), "),
    ],
)
def test_failing_check_shows_its_message_and_no_source_of_the_kit(
    new: New, damage: Callable[[Project], None], says: str
) -> None:
    project = new(features=["branches", "testing"])
    damage(project)
    output = project.own_tests("tests/test_migrations.py", fails=True)
    assert f"\n{says}" in output
    assert "migration_kit/" not in output


def test_env_py_without_run_is_named_in_one_line(new: New) -> None:
    project = new()
    line = 'run(target_metadata, package="my_app")'
    project.edit("migrations/env.py", line, "print(target_metadata)")
    only = ("tests/test_migrations.py", "-k", "loaded or equal_the_migrated")
    output = project.own_tests(*only, fails=True)
    assert "KeyError" not in output
    assert (
        output.count("env.py does not end with run(target_metadata, package=...)") > 1
    )


FOREIGN_KEY = """
op.create_table("a", sa.Column("id", sa.Integer(), primary_key=True))
with op.batch_alter_table("heroes") as batch:
    batch.create_foreign_key("fk_age", "a", ["age"], ["id"])
"""
CHECK = """
with op.batch_alter_table("heroes") as batch:
    batch.create_check_constraint("positive_age", "age > 0")
"""
DEFAULT = """
with op.batch_alter_table("heroes") as batch:
    batch.alter_column("age", server_default="7", existing_type=sa.Integer())
"""
LEFTOVERS = [
    ('op.create_index("ix_age", "heroes", ["age"])', "heroes: .*ix_age"),
    (FOREIGN_KEY, "heroes: .*fk_age"),
    (CHECK, "heroes: .*ck_heroes_positive_age"),
    (DEFAULT, "heroes: .*default '?7"),
    ('op.execute("CREATE VIEW v AS SELECT id FROM heroes")', "v: |VIEW v "),
]


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize(
    ("upgrade", "left"),
    LEFTOVERS,
    ids=["index", "foreign key", "CHECK", "server default", "view"],
)
def test_roundtrip_finds_what_a_downgrade_leaves(
    new: New, engine: Engine, upgrade: str, left: str
) -> None:
    project = new(engine)
    project.add_revision("one", upgrade, '"""Forgotten."""')
    output = project.own_tests(
        *("tests/test_migrations.py", "-k", "goes_up_down"), fails=True
    )
    assert "migrations/versions/one.py: downgrade" in output
    # Each kind of database has its own words.
    assert re.search(f"left: .*({left})", output, re.IGNORECASE)


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_roundtrip_finds_a_default_that_is_not_put_back(
    new: New, engine: Engine
) -> None:
    project = new(engine)
    back = DEFAULT.replace('"7"', "None")
    project.add_revision("one", DEFAULT, back)
    eight = DEFAULT.replace("7", "8")
    project.add_revision("two", eight, '"""Forgotten."""', down_revision="one")
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    output = project.own_tests(*only, fails=True)
    assert re.search("missing: .*heroes: .*default '?7", output, re.IGNORECASE)
    assert re.search("left: .*heroes: .*default '?8", output, re.IGNORECASE)


def test_roundtrip_takes_another_spelling_for_the_same(new: New) -> None:
    """A copied SQLite table has brackets around its defaults, and its indexes are read anew."""
    project = new()
    index = (
        'op.create_index("ix_age", "heroes", ["age"], sqlite_where=sa.text("age > 0"))'
    )
    default = """
with op.batch_alter_table("heroes", recreate="always") as batch:
    batch.add_column(sa.Column("power", sa.Integer(), server_default=sa.text("(1 + 1)")))
"""
    project.add_revision("one", index + default, 'op.drop_index("ix_age", "heroes")')
    project.add_revision(
        "two",
        'with op.batch_alter_table("heroes", recreate="always"):\n    pass',
        '"""Nothing is to be undone."""',
        down_revision="one",
    )
    path = project.versions / "one.py"
    back = 'with op.batch_alter_table("heroes") as batch:\n        batch.drop_column("power")'
    path.write_text(path.read_text().rstrip() + f"\n    {back}\n")
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    assert "1 passed" in project.own_tests(*only)


def test_roundtrip_takes_no_counter_for_a_difference(new: New) -> None:
    """MariaDB and MySQL keep counting after the rows of a revision are deleted again."""
    project = new(ENGINE_OF["mariadb-pymysql-sync"])
    row = "INSERT INTO heroes (name, secret_name) VALUES ('a', 'b')"
    undo = 'op.execute("DELETE FROM heroes")'
    project.add_revision("one", f'op.execute("{row}")', undo)
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    assert "1 passed" in project.own_tests(*only)


def test_roundtrip_finds_a_type_that_is_left(new: New) -> None:
    project = new(POSTGRESQL)
    create = "CREATE TYPE mood AS ENUM ('sad', 'glad')"
    project.add_revision("one", f'op.execute("{create}")', '"""Forgotten."""')
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    output = project.own_tests(*only, fails=True)
    assert "left: type mood: sad, glad" in output


def test_roundtrip_compares_the_second_upgrade_as_well(new: New) -> None:
    project = new()
    path = project.add_revision(
        "one",
        'op.create_table("capes", sa.Column("id", sa.Integer(), nullable=not ran))\n'
        "ran.append(1)",
        'op.drop_table("capes")',
    )
    path.write_text(path.read_text().replace("import time", "ran = []"))
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    output = project.own_tests(*only, fails=True)
    assert "migrations/versions/one.py: second upgrade" in output
    assert "one.py: downgrade" not in output


def test_roundtrip_reads_only_the_tables_that_changed(new: New) -> None:
    """And what it has seen before the way down, it does not read again after the way up."""
    project = new(Variant(example="none"))
    previous = None
    for number in range(12):
        table, name = f"t{number % 4}", f"r{number:03}"
        up = f'op.create_table("{table}", sa.Column("id", sa.Integer(), primary_key=True))'
        down = f'op.drop_table("{table}")'
        if number >= 4:
            up = f'op.add_column("{table}", sa.Column("{name}", sa.Integer()))'
            down = f'op.drop_column("{table}", "{name}")'
        project.add_revision(name, up, down, down_revision=previous)
        previous = name
    output = project.python(
        f"{layout.IMPORT_ROUNDTRIP}\n"
        "from pathlib import Path\n"
        "from migration_kit.testing import sqlite as module\n"
        "read, reflect = [], module.reflect\n"
        "module.reflect = lambda *arguments: read.append(arguments[1]) or reflect(*arguments)\n"
        "with ScratchDatabase(Path('alembic.ini').resolve()).create() as database:\n"
        "    assert roundtrip(database) == []\n"
        "print(*read)",
    )
    read = Counter(output.split()) - Counter({"alembic_version": 2})
    # Each table as it was made, and with each of its two columns.
    assert read == {"t0": 3, "t1": 3, "t2": 3, "t3": 3}


BEFORE = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE p (id int PRIMARY KEY, c int);
CREATE TABLE t (
    id int PRIMARY KEY, a int, b varchar(10), c int, i int GENERATED ALWAYS AS IDENTITY,
    m mood, d int DEFAULT 1, CONSTRAINT fk_c FOREIGN KEY (c) REFERENCES p (id)
);
CREATE VIEW v AS SELECT 1 AS a
"""
# What changes a table, and what brings back what it was.
CHANGES = [
    ("ALTER TABLE t ALTER a TYPE bigint", "ALTER TABLE t ALTER a TYPE int"),
    (
        "ALTER TABLE t ALTER b TYPE varchar(20)",
        "ALTER TABLE t ALTER b TYPE varchar(10)",
    ),
    (
        "ALTER TABLE t ALTER m TYPE text",
        "ALTER TABLE t ALTER m TYPE mood USING m::mood",
    ),
    (
        'ALTER TABLE t ALTER b TYPE varchar(10) COLLATE "C"',
        "ALTER TABLE t ALTER b TYPE varchar(10)",
    ),
    ("ALTER TABLE t ALTER a SET NOT NULL", "ALTER TABLE t ALTER a DROP NOT NULL"),
    ("ALTER TABLE t ALTER a SET DEFAULT 1", "ALTER TABLE t ALTER a DROP DEFAULT"),
    ("COMMENT ON COLUMN t.a IS 'x'", "COMMENT ON COLUMN t.a IS NULL"),
    ("ALTER TABLE t RENAME a TO z", "ALTER TABLE t RENAME z TO a"),
    ("ALTER TABLE t DROP a", "ALTER TABLE t ADD a int"),
    (
        "ALTER TABLE t ALTER i SET GENERATED BY DEFAULT",
        "ALTER TABLE t ALTER i SET GENERATED ALWAYS",
    ),
    ("ALTER TABLE t ALTER i SET INCREMENT 2", "ALTER TABLE t ALTER i SET INCREMENT 1"),
    (
        "ALTER TABLE t ALTER i DROP IDENTITY",
        "ALTER TABLE t ALTER i ADD GENERATED ALWAYS AS IDENTITY",
    ),
    (
        "ALTER TABLE t ADD g int GENERATED ALWAYS AS (a + 1) STORED",
        "ALTER TABLE t DROP g",
    ),
    (
        "ALTER TABLE t DROP d, ADD d int GENERATED ALWAYS AS (1) STORED",
        "ALTER TABLE t DROP d, ADD d int DEFAULT 1",
    ),
    ("ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0)", "ALTER TABLE t DROP CONSTRAINT k"),
    ("ALTER TABLE t ADD CONSTRAINT k UNIQUE (a)", "ALTER TABLE t DROP CONSTRAINT k"),
    (
        "ALTER TABLE t RENAME CONSTRAINT fk_c TO k",
        "ALTER TABLE t RENAME CONSTRAINT k TO fk_c",
    ),
    (
        "COMMENT ON CONSTRAINT fk_c ON t IS 'x'",
        "COMMENT ON CONSTRAINT fk_c ON t IS NULL",
    ),
    (
        (
            "ALTER TABLE t DROP CONSTRAINT fk_c; "
            "ALTER TABLE t ADD CONSTRAINT fk_c FOREIGN KEY (c) REFERENCES p (id) ON DELETE CASCADE"
        ),
        (
            "ALTER TABLE t DROP CONSTRAINT fk_c; "
            "ALTER TABLE t ADD CONSTRAINT fk_c FOREIGN KEY (c) REFERENCES p (id)"
        ),
    ),
    ("ALTER TABLE t DROP CONSTRAINT t_pkey", "ALTER TABLE t ADD PRIMARY KEY (id)"),
    ("CREATE INDEX k ON t (a)", "DROP INDEX k"),
    (
        "CREATE INDEX k ON t (a); CREATE INDEX l ON t (lower(b)) WHERE a > 0",
        "DROP INDEX k, l",
    ),
]
# The same for views and types, which have one mark.
OTHERS = [
    ("CREATE VIEW w AS SELECT a FROM t", "DROP VIEW w"),
    (
        "CREATE OR REPLACE VIEW v AS SELECT 2 AS a",
        "CREATE OR REPLACE VIEW v AS SELECT 1 AS a",
    ),
    ("CREATE TYPE e AS ENUM ()", "DROP TYPE e"),
    (
        "ALTER TYPE mood RENAME VALUE 'sad' TO 'mad'",
        "ALTER TYPE mood RENAME VALUE 'mad' TO 'sad'",
    ),
]

CHECK_LINES = """
import json, os
from migration_kit.testing.postgresql import read_schema
from sqlalchemy import create_engine

def check(connection, changed, there, back):
    seen = [{*read_schema(connection, None, {})}]
    for statements in (there, back):
        for statement in statements.split(";"):
            connection.exec_driver_sql(statement)
        seen.append({*read_schema(connection, None, {})})
    before, between, after = seen
    different = {line.partition(":")[0] for line in before ^ between}
    assert all(name.split()[0] in changed.split() for name in different), different
    assert before != between, there
    assert after == before, back

with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    for statement in os.environ["BEFORE"].split(";"):
        connection.exec_driver_sql(statement)
    for changed, there, back in json.loads(os.environ["CHANGES"]):
        check(connection, changed, there, back)
    before = {*read_schema(connection, None, {})}
    connection.exec_driver_sql("ALTER TYPE mood ADD VALUE 'meh'")
    assert {*read_schema(connection, None, {})} - before == {"type mood: sad, glad, meh"}
"""


def test_roundtrip_reads_what_a_change_of_a_table_is_and_nothing_else(new: New) -> None:
    """What is made anew has other numbers in PostgreSQL's catalogue, and is the same."""
    project = new(Variant(POSTGRESQL, example="none"))
    changes = [("t", *pair) for pair in CHANGES] + [
        ("view type", *pair) for pair in OTHERS
    ]
    project.python(
        layout.IMPORT_ROUNDTRIP + CHECK_LINES,
        BEFORE=BEFORE,
        CHANGES=json.dumps(changes),
        DATABASE_URL=url_text(project.url),
    )
