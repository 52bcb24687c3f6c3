"""What a generated project's own migration tests find, and say."""

from __future__ import annotations

import json
import re
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


def fail_upgrade(project: Project) -> None:
    project.add_revision("one", 'op.drop_table("nothing")', "pass")


def fail_downgrade(project: Project) -> None:
    project.add_revision("one", "pass", 'op.drop_table("nothing")')


def fail_second_upgrade(project: Project) -> None:
    path = project.add_revision("one", "assert not ran\nran.append(1)", "pass")
    path.write_text(path.read_text().replace("import time", "ran = []"))


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
            f"`python {layout.command('rebase')} YOUR_REVISION`",
        ),
        (
            change_model,
            "test_models_equal_the_migrated_schema",
            "`alembic revision --autogenerate -m",
        ),
        (
            hide_model,
            "test_every_model_is_loaded",
            "not compared, because nothing imports them: my_app.other. ",
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
            "left: heroes column power type: integer",
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
        (break_head, "HEAD does not name the newest revision. Run "),
        (two_heads, "Multiple head revisions: two branches each added one. "),
        (empty_downgrade, "empty downgrade() in migrations/versions/one.py. "),
        (leave_column, "upgrade() and downgrade() do not undo each other. "),
        (fail_upgrade, "migrations/versions/one.py: upgrade failed. Fix it:\n"),
        (fail_downgrade, "migrations/versions/one.py: downgrade failed. Fix it:\n"),
        (
            fail_second_upgrade,
            "migrations/versions/one.py: second upgrade failed. Fix it:\n",
        ),
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
    assert output.count("do not undo each other") <= says.count("undo")


def test_env_py_without_run_is_named_in_one_line(new: New) -> None:
    project = new()
    line = 'run(target_metadata, package="my_app")'
    project.edit("migrations/env.py", line, "print(target_metadata)")
    only = ("tests/test_migrations.py", "-k", "loaded or equal_the_migrated")
    output = project.own_tests(*only, fails=True)
    assert "KeyError" not in output
    assert output.count("env.py does not call the kit. End it with run(") > 1


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
    (
        'op.create_index("ix_age", "heroes", ["age"])',
        "heroes index ix_age definition: ",
    ),
    (FOREIGN_KEY, "heroes foreignkey fk_age definition: "),
    (CHECK, "heroes check ck_heroes_positive_age definition: "),
    (DEFAULT, "heroes column age default: '?7"),
    ('op.execute("CREATE VIEW v AS SELECT id FROM heroes")', "v table view: .*select"),
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
    assert re.search(f"left: {left}", output, re.IGNORECASE)


# Statements that no downgrade undoes, and what is left.
TRIGGER_FUNCTION = (
    "CREATE FUNCTION stamp() RETURNS trigger "
    "LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
)
ON_HEROES = "CREATE TRIGGER stamp BEFORE UPDATE ON heroes FOR EACH ROW"
FORGOTTEN = {
    "sqlite": {
        f"{ON_HEROES} BEGIN SELECT 1; END": "heroes trigger stamp definition: create",
        "CREATE VIEW v AS SELECT id FROM heroes": "v table view: select id from heroes",
    },
    "postgresql": {
        TRIGGER_FUNCTION: "function stamp() definition: CREATE OR REPLACE FUNCTION",
        f"{ON_HEROES} EXECUTE FUNCTION stamp()": "heroes trigger stamp definition: ",
        "CREATE PROCEDURE p(n int) LANGUAGE sql AS ''": "function p(IN n integer) ",
        "CREATE SEQUENCE numbers CACHE 7": "sequence numbers definition: AS bigint",
        "CREATE DOMAIN d AS int CHECK (VALUE > 0)": "domain d type: integer",
        "CREATE MATERIALIZED VIEW m AS SELECT id FROM heroes": "m table view: ",
        "CREATE UNIQUE INDEX ix_m ON m (id)": "m index ix_m definition: CREATE UNIQUE",
    },
    "mariadb": {
        "CREATE FUNCTION f() RETURNS int RETURN 1": "function f definition: `f`() RETURNS",
        f"{ON_HEROES} SET NEW.age = 1": "heroes trigger stamp definition: ",
        "CREATE VIEW v AS SELECT id FROM heroes": "v table view: ",
        "CREATE SEQUENCE numbers CACHE 7": "sequence numbers definition: ",
        "CREATE PROCEDURE p() SELECT 1": "procedure p definition: ",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DO 1": "event e definition: ",
    },
}


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_roundtrip_finds_what_no_model_has(new: New, engine: Engine) -> None:
    project = new(engine)
    made = FORGOTTEN[engine.database]
    upgrade = "\n".join(f"op.execute({statement!r})" for statement in made)
    project.add_revision("one", upgrade, '"""Forgotten."""')
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    output = project.own_tests(*only, fails=True)
    for left in made.values():
        assert f"    left: {left}" in output


def test_roundtrip_finds_a_function_that_is_not_put_back(new: New) -> None:
    project = new(POSTGRESQL)
    create = "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    project.add_revision(
        "one", f'op.execute("{create}")', 'op.execute("DROP FUNCTION f")'
    )
    replace = create.replace("SELECT 1", "SELECT 2")
    project.add_revision(
        "two", f'op.execute("{replace}")', '"""Forgotten."""', down_revision="one"
    )
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    output = project.own_tests(*only, fails=True)
    for word, number in (("missing", 1), ("left", 2)):
        assert re.search(
            rf"{word}: function f\(\) [^$]*\$function\$SELECT {number}", output
        )


def test_roundtrip_takes_no_table_of_sqlite_for_a_difference(new: New) -> None:
    """The first AUTOINCREMENT makes `sqlite_sequence`, which nobody can drop."""
    project = new()
    key = 'sa.Column("id", sa.Integer(), primary_key=True), sqlite_autoincrement=True'
    project.add_revision("one", f'op.create_table("a", {key})', 'op.drop_table("a")')
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    assert "1 passed" in project.own_tests(*only)


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
    assert re.search("missing: heroes column age default: '?7", output)
    assert re.search("left: heroes column age default: '?8", output)


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
    assert "left: enum mood definition: 'sad', 'glad'" in output


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
# The same for views and types.
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
from migration_kit.testing.roundtrip import read
from sqlalchemy import create_engine

def lines(connection):
    return read(connection, {"public": ""})

def check(connection, changed, there, back):
    seen = [lines(connection)]
    for statements in (there, back):
        for statement in statements.split(";"):
            connection.exec_driver_sql(statement)
        seen.append(lines(connection))
    before, between, after = seen
    different = {line.split()[0] for line in before ^ between}
    assert different <= {*changed.split()}, different
    assert before != between, there
    assert after == before, back

with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    for statement in os.environ["BEFORE"].split(";"):
        connection.exec_driver_sql(statement)
    for changed, there, back in json.loads(os.environ["CHANGES"]):
        check(connection, changed, there, back)
    before = lines(connection)
    connection.exec_driver_sql("ALTER TYPE mood ADD VALUE 'meh'")
    assert lines(connection) - before == {
        "enum mood definition: 'sad', 'glad', 'meh'"
    }
"""


def test_roundtrip_reads_what_a_change_of_a_table_is_and_nothing_else(new: New) -> None:
    """What is made anew has other numbers in PostgreSQL's catalogue, and is the same."""
    project = new(Variant(POSTGRESQL, example="none"))
    changes = [("t", *pair) for pair in CHANGES] + [
        ("v w enum", *pair) for pair in OTHERS
    ]
    project.python(
        layout.IMPORT_ROUNDTRIP + CHECK_LINES,
        BEFORE=BEFORE,
        CHANGES=json.dumps(changes),
        DATABASE_URL=url_text(project.url),
    )
