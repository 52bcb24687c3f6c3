"""PostgreSQL makes the models in a place apart, leaves nothing, and a change takes its dependents along."""

from __future__ import annotations

import pytest

from support.projects import New
from support.variants import POSTGRESQL

CAST = """
import os, signal, sys, warnings
sys.path.append("migrations")
from sqlalchemy import *
from sqlalchemy.dialects.postgresql import ENUM
from migration_kit.autogenerate import shadow
from migration_kit.autogenerate.postgresql import kind
from migration_kit.catalogs import read_catalog

engine = create_engine(os.environ["DATABASE_URL"])
metadata = MetaData()

def cast(connection):
    tables = [*metadata.tables.values()]
    return kind.cast(connection, shadow.Models(tables, {None: "public"}))

def is_equal(found):
    places = [place for place in found.made if place[1]]
    assert places and not found.note and not found.not_made, found
    for place in places:
        made, real = ({item: sql for item, sql in one[place].items() if item[2] != "sql"}
                      for one in (found.made, found.real))
        assert made == real, (made, real)

def example():
    mood = Enum("a", "it's", name="mood")
    Table("t", metadata, Column("id", Integer, primary_key=True),
        Column("x", Text, CheckConstraint("x IN ('a', 'public.x:%')", name="in"), server_default="q"),
        Column("m", mood, server_default="a"), Column("n", ENUM(name="mood", create_type=False)),
        Column("g", Integer, Computed("id + 1", persisted=True)), Column("parent", ForeignKey("t.id")),
        Index("i", text("lower(x)"), postgresql_where=text("m = 'a'")))
    with engine.begin() as connection:
        metadata.create_all(connection)
"""
TRAPS = {
    "the default schema is not named, but in literals": """
example()
with engine.connect() as connection:
    found = cast(connection)
    is_equal(found)
    words = [sql for objects in found.real.values() for sql in objects.values()]
    assert [sql for sql in words if "public" in sql] == [
        sql for sql in words if "'public.x:%'" in sql
    ]
    assert connection.scalar(text("SHOW search_path")) == '"$user", public'
""",
    "a caller's transaction and autocommit are left as they were": """
example()
with engine.connect() as connection:
    connection.execute(text("INSERT INTO t (id, x) VALUES (7, 'a')"))
    is_equal(cast(connection))
    assert connection.scalar(text("SELECT id FROM t")) == 7
with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
    is_equal(cast(connection))
    assert connection.scalar(text("SELECT nspname FROM pg_namespace WHERE nspname ~ 'kit'")) is None
    assert connection.scalar(text("SHOW search_path")) == '"$user", public'
""",
    "casts of an earlier type are no difference": """
example()
with engine.begin() as connection:
    for type_ in ("varchar(9)", "text"):
        connection.execute(text(f"ALTER TABLE t ALTER x TYPE {type_}"))
    is_equal(cast(connection))
""",
    "the current time has several names": """
for zone in (True, False):
    Table(f"t{zone}", metadata, Column("id", Integer, primary_key=True),
        Column("made", DateTime(zone), server_default=func.now()),
        Column("seen", DateTime(zone), server_default=text("CURRENT_TIMESTAMP")),
        Column("day", DateTime(zone), server_default=text("CURRENT_DATE")))
with engine.begin() as connection:
    metadata.create_all(connection)
    for table in metadata.tables:
        connection.execute(text(f'ALTER TABLE "{table}" ALTER made SET DEFAULT CURRENT_TIMESTAMP'))
        connection.execute(text(f'ALTER TABLE "{table}" ALTER seen SET DEFAULT now()'))
    is_equal(cast(connection))
    connection.execute(text('ALTER TABLE "tTrue" ALTER day SET DEFAULT now()'))
    connection.execute(text('ALTER TABLE "tTrue" ALTER seen SET DEFAULT clock_timestamp()'))
    found, day = cast(connection), ("column", "day", "default")
    seen = "column", "seen", "default"
    assert found.real["", "tTrue"][day] != found.made["", "tTrue"][day]
    assert found.real["", "tTrue"][seen] != found.made["", "tTrue"][seen]
""",
    "what refers to a refused table is compared": """
Table("bad", metadata, Column("id", Integer, primary_key=True), Column("name", String),
    Column("kind", Enum("a", name="kind")),
    Index("no_operator_class", "name", postgresql_using="gin"))
Table("one", metadata, Column("id", Integer, primary_key=True), Column("bad", ForeignKey("bad.id")),
    Column("kind", Enum("a", name="kind")))
Table("worse", metadata, Column("one", ForeignKey("one.id"), primary_key=True), Column("name", String),
    Index("no_class", "name", postgresql_using="gin"))
Table("two", metadata, Column("id", ForeignKey("worse.one"), primary_key=True))
with engine.connect() as connection:
    found = cast(connection)
assert {table.name for table in found.not_made} == {"bad", "worse"}, found.not_made
for table, column, other in ("one", "bad", "bad(id)"), ("two", "id", "worse(one)"):
    assert found.made["", table]["foreignkey", f"{table}_{column}_fkey", "definition"] == (
        f"FOREIGN KEY ({column}) REFERENCES {other}")
assert found.made["", "one"]["column", "kind", "type"] == "kind"
""",
    "a role that may make no schema makes temporary tables": """
example()
with engine.connect() as connection:
    role = f"r{os.urandom(6).hex()}"
    connection.execute(text(f"CREATE ROLE {role}"))
    connection.execute(text(f"SET LOCAL ROLE {role}"))
    is_equal(cast(connection))
""",
    "a read-only transaction is said, and the database is read": """
example()
with engine.connect() as connection:
    connection.execute(text("SET TRANSACTION READ ONLY"))
    found = cast(connection)
    assert found.note and not found.made and ("", "t") in found.real
""",
    "locks are given back after each part": """
for number in range(250):
    Table(f"t{number}", metadata, Column("id", Integer, primary_key=True, autoincrement=False),
        Column("x", Text), Column("other", ForeignKey(f"t{(number * 7 + 120) % 250}.id")))
most = [0]

@event.listens_for(engine, "rollback_savepoint")
def count(connection, name, context):
    locks = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()"
    most.append(connection.exec_driver_sql(locks).scalar())

with engine.connect() as connection:
    warnings.simplefilter("ignore")  # keys in a circle
    found = cast(connection)
assert len(found.made) == 250 and not found.not_made, found.not_made
assert all(("foreignkey", f"{name}_other_fkey", "definition") in found.made["", name]
           for _, name in found.made)
assert max(most) < 1800, most
""",
    "a killed process leaves nothing": """
example()
if not (child := os.fork()):
    own = create_engine(os.environ["DATABASE_URL"])

    @event.listens_for(own, "rollback_savepoint")
    def die(connection, name, context):
        if connection.exec_driver_sql(LEFT).scalar():
            os.kill(os.getpid(), signal.SIGKILL)

    with own.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        cast(connection)
assert os.waitpid(child, 0)[1] == signal.SIGKILL
with engine.connect() as connection:
    assert connection.scalar(text(LEFT)) == 0
""",
}
LEFT = "LEFT = \"SELECT count(*) FROM pg_namespace WHERE nspname ~ '^migration_kit'\"\n"


@pytest.mark.parametrize("trap", TRAPS)
def test_the_shadow(new: New, trap: str) -> None:
    new(POSTGRESQL).python(CAST + LEFT + TRAPS[trap])


# Two states of a schema, and rows of the first one.
CHANGES = {
    "a value leaves an ENUM with all that depends on it": (
        (
            "CREATE TYPE mood AS ENUM ('a', 'b', 'c');"
            "CREATE TABLE kinds (k mood PRIMARY KEY);"
            "CREATE TABLE t (c mood DEFAULT 'a' REFERENCES kinds, d mood[] DEFAULT '{a}',"
            " CONSTRAINT ck CHECK (c <> 'b')); CREATE INDEX i ON t (d) WHERE c = 'a'"
        ),
        (
            "CREATE TYPE mood AS ENUM ('b', 'a');"
            "CREATE TABLE kinds (k mood PRIMARY KEY);"
            "CREATE TABLE t (c mood DEFAULT 'a' REFERENCES kinds, d mood[] DEFAULT '{a}',"
            " CONSTRAINT ck CHECK (c <> 'b')); CREATE INDEX i ON t (d) WHERE c = 'a'"
        ),
        "INSERT INTO kinds VALUES ('a'); INSERT INTO t DEFAULT VALUES",
    ),
    "a new value of an ENUM is a default": (
        "CREATE TYPE mood AS ENUM ('a'); CREATE TABLE t (c mood DEFAULT 'a')",
        "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE t (c mood DEFAULT 'b')",
        "INSERT INTO t DEFAULT VALUES",
    ),
    "text becomes an ENUM": (
        "CREATE TABLE t (c varchar(9) DEFAULT 'a', CONSTRAINT ck CHECK (c <> 'z'))",
        (
            "CREATE TYPE mood AS ENUM ('a', 'b');"
            "CREATE TABLE t (c mood DEFAULT 'a', CONSTRAINT ck CHECK (c <> 'b'))"
        ),
        "INSERT INTO t DEFAULT VALUES",
    ),
    "a key gets another type below keys, views, computed columns and triggers": (
        (
            "CREATE TABLE a (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id + 1) STORED);"
            "CREATE TABLE b (a int CONSTRAINT k REFERENCES a ON DELETE CASCADE);"
            "CREATE INDEX i ON a (g);"
            "CREATE VIEW v AS SELECT id FROM a; CREATE VIEW aa AS SELECT id FROM v;"
            "CREATE MATERIALIZED VIEW m AS SELECT id FROM a; CREATE INDEX im ON m (id);"
            "CREATE TRIGGER tr BEFORE UPDATE OF id ON a FOR EACH ROW"
            " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        ),
        (
            "CREATE TABLE a (id text PRIMARY KEY, g int GENERATED ALWAYS AS (length(id)) STORED);"
            "CREATE TABLE b (a text CONSTRAINT k REFERENCES a ON DELETE CASCADE);"
            "CREATE INDEX i ON a (g);"
            "CREATE VIEW v AS SELECT id FROM a; CREATE VIEW aa AS SELECT id FROM v;"
            "CREATE MATERIALIZED VIEW m AS SELECT id FROM a; CREATE INDEX im ON m (id);"
            "CREATE TRIGGER tr BEFORE UPDATE OF id ON a FOR EACH ROW"
            " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        ),
        "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)",
    ),
    "numbers go on after those of the rows": (
        "CREATE TABLE t (id serial PRIMARY KEY)",
        "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)",
        "INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES",
    ),
    "a domain changes, and another one comes": (
        "CREATE DOMAIN age AS int CONSTRAINT old CHECK (VALUE > 0); CREATE TABLE t (a age)",
        (
            "CREATE DOMAIN age AS bigint DEFAULT 5 CONSTRAINT young CHECK (VALUE < 9);"
            "CREATE DOMAIN word AS text COLLATE \"C\" NOT NULL DEFAULT 'a:b%c\\d';"
            "CREATE TABLE t (a age, w word DEFAULT 'w')"
        ),
        "INSERT INTO t VALUES (3)",
    ),
    "tables come in full, and go with their types": (
        "CREATE TABLE t (id int PRIMARY KEY)",
        (
            "CREATE TYPE mood AS ENUM ('a'); CREATE SEQUENCE n INCREMENT 5;"
            'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE "A b" ("Z" serial PRIMARY KEY,'
            " m mood DEFAULT 'a', n bigint DEFAULT nextval('n'), t int REFERENCES t,"
            " CONSTRAINT e EXCLUDE USING btree (t WITH =)) WITH (fillfactor=70);"
            "COMMENT ON TABLE \"A b\" IS 'it''s'; COMMENT ON COLUMN \"A b\".m IS ':x %';"
            "COMMENT ON CONSTRAINT e ON \"A b\" IS 'e';"
            "CREATE UNLOGGED TABLE p (id int GENERATED ALWAYS AS IDENTITY)"
        ),
        "",
    ),
}
CHANGE = """
from migration_kit.catalogs import plain

old, new, rows = (os.environ[name] for name in ("OLD", "NEW", "ROWS"))
with engine.begin() as connection:
    for schema, script in {"old": f"{old}; {rows}", "new": new}.items():
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}; SET LOCAL search_path = {schema}")
        connection.exec_driver_sql(script.replace("%", "%%"))

def read(connection, schema):
    return read_catalog(connection, {schema: ""})

def shown(catalog):
    return {(place, item): sql for place, objects in catalog.items()
            for item, sql in objects.items() if item[2] != "sql"}

def go(connection, one, two):
    connection.exec_driver_sql("SET LOCAL search_path = old")
    for _, sql in sorted(kind.statements(one, two, connection.dialect), key=lambda one: one[0]):
        if not sql.startswith("--"):
            connection.execute(plain(sql))
    found, wanted = shown(read(connection, "old")), shown(two)
    assert found == wanted, (set(found.items()) ^ set(wanted.items()))

with engine.connect() as connection:
    one, two = read(connection, "old"), read(connection, "new")
for _ in range(2):
    for ways in ((one, two), (two, one)):
        with engine.begin() as connection:
            go(connection, *ways)
            if "serial" in old:
                connection.exec_driver_sql("INSERT INTO t DEFAULT VALUES")
if "serial" in old:
    with engine.connect() as connection:
        assert connection.scalars(text("SELECT id FROM old.t ORDER BY 1")).all() == [*range(1, 7)]
"""


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_runs_both_ways_with_its_dependents(new: New, change: str) -> None:
    old, later, rows = CHANGES[change]
    new(POSTGRESQL).python(CAST + CHANGE, OLD=old, NEW=later, ROWS=rows)


MODEL = """
from sqlalchemy import Column, Enum, Integer, Sequence, Table
from sqlalchemy.dialects.postgresql import DOMAIN

from my_app.models.base import Base

numbers = Sequence("numbers", metadata=Base.metadata)
for name in ("caps", "hats"):
    Table(
        name,
        Base.metadata,
        Column("id", Integer, primary_key=True),
        Column("age", DOMAIN("age", Integer, check="VALUE > 0")),
        Column("n", Integer, server_default=numbers.next_value()),
        Column("mood", Enum("sad", "glad", name="mood"), server_default="sad"),
    )
"""
LATER = {'"sad", "glad",': '"glad", "sad",', "VALUE > 0": "VALUE > 1", "caps": "gowns"}


def test_revisions_bring_types_and_sequences_and_change_them(new: New) -> None:
    project = new(POSTGRESQL).upgraded()
    model = project / "src/my_app/models/hats.py"
    later = MODEL
    for old, word in LATER.items():
        later = later.replace(old, word)
    for text in (MODEL, later, ""):
        model.write_text(text.lstrip())
        commands = [["revision", "--autogenerate", "-m", "x"], ["upgrade", "head"]]
        commands += [["check"], ["downgrade", "-1"], ["upgrade", "head"], ["check"]]
        for command in commands:
            project.alembic(*command)
    left = "SELECT to_regtype('mood'), to_regtype('age'), to_regclass('numbers')"
    assert project.query(left) == [(None, None, None)]
    assert project.tables() == {"heroes"}


JOBS = """
from sqlalchemy import CheckConstraint, Column, Enum, Integer, Table

from my_app.models.base import Base

state = Enum("new", {}name="state")
Table("jobs", Base.metadata, Column("id", Integer, primary_key=True), Column("s", state))
"""
TASKS = """
for name, default in (("tasks", "late"), ("hats", "new")):
    key = Column("id", Integer, primary_key=True)
    Table(name, Base.metadata, key, Column("s", state, server_default=default))
checked = CheckConstraint("s <> 'late'", name="checked")
Table("capes", Base.metadata, Column("id", Integer), Column("s", state), checked)
"""


def test_new_table_may_have_a_value_that_its_enum_gets(new: New) -> None:
    """PostgreSQL refuses to use it in the transaction that adds it."""
    project = new(POSTGRESQL).upgraded()
    model = project / "src/my_app/models/jobs.py"
    model.write_text(JOBS.format("").lstrip())
    project.alembic("revision", "--autogenerate", "-m", "jobs")
    project.upgraded()
    project.query("INSERT INTO jobs (s) VALUES ('new')")
    model.write_text(JOBS.format('"late", ').lstrip() + TASKS)
    project.alembic("revision", "--autogenerate", "-m", "tasks")
    source = project.revision("tasks").read_text()
    assert source.count("op.create_table(") == 1
    assert 'op.create_table(\n        "hats"' in source
    project.alembic_each([["upgrade", "head"], ["check"], ["downgrade", "-1"]])
    project.alembic_each([["upgrade", "head"], ["check"]])
    project.query("INSERT INTO tasks DEFAULT VALUES")
    assert project.query("SELECT s::text FROM tasks") == [("late",)]


REFUSED = """
from sqlalchemy import CheckConstraint, Column, Index, Integer, String, Table

from my_app.models.base import Base

Table(
    "bad",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String),
    CheckConstraint("name IN ('a', 'b')", name="kind"),
    Index("bad_name", "name", postgresql_using="gin"),
)
"""


def test_no_check_of_a_table_that_is_refused_is_dropped(new: New) -> None:
    project = new(POSTGRESQL).upgraded()
    project.add_revision(
        "bad",
        "op.execute(\"CREATE TABLE bad (id serial PRIMARY KEY, name varchar CHECK (name > 'a'))\")",
    )
    project.alembic("upgrade", "head")
    (project / "src/my_app/models/bad.py").write_text(REFUSED.lstrip())
    project.alembic("revision", "--autogenerate", "-m", "x")
    source = project.revision("x").read_text()
    assert "bad_name_check" not in source
    assert "ck_bad" not in source


WIDER_KEY = """
from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class A(Base):
    __tablename__ = "a"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class B(Base):
    __tablename__ = "b"

    id: Mapped[int] = mapped_column(primary_key=True)
    a_id: Mapped[int] = mapped_column(BigInteger)
"""


def test_a_key_that_goes_with_the_type_of_its_target_goes_once(new: New) -> None:
    project = new(POSTGRESQL).upgraded()
    project.add_revision(
        "keys",
        "op.create_table('a', sa.Column('id', sa.Integer(), primary_key=True))\n"
        "op.create_table('b', sa.Column('id', sa.Integer(), primary_key=True),\n"
        "    sa.Column('a_id', sa.Integer(), sa.ForeignKey('a.id'), nullable=False))",
        "op.drop_table('b')\nop.drop_table('a')",
    )
    project.alembic("upgrade", "head")
    (project / "src/my_app/models/keys.py").write_text(WIDER_KEY.lstrip())
    project.alembic("revision", "--autogenerate", "-m", "wider")
    assert project.revision("wider").read_text().count("fk_b_a_id_a") == 2
    up = ["upgrade", "head"]
    project.alembic_each([up, ["check"], ["downgrade", "-1"], up, ["check"]])
