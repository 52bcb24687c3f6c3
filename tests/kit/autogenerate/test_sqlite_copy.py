"""On SQLite a batch copy of a table keeps all that the revision does not touch."""

from __future__ import annotations

import json

from support.projects import New

TABLE = """
CREATE TABLE capes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name VARCHAR(20) COLLATE NOCASE NOT NULL ON CONFLICT IGNORE DEFAULT 'a:b',
  x INTEGER CONSTRAINT positive CHECK (x > 0), y INT DEFAULT (1 + 1), z INTEGER,
  hero INTEGER REFERENCES heroes ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE,
  g INTEGER GENERATED ALWAYS AS (x + 1) STORED, kind VARCHAR(1), untyped,
  CONSTRAINT uq UNIQUE (name, x) ON CONFLICT REPLACE, CHECK (y < 100),
  CHECK (kind IN ('a', 'b')), CONSTRAINT ck_z CHECK (z <> 5), UNIQUE (z))
"""
OTHERS = [
    "CREATE INDEX ix_lower ON capes (lower(name))",
    "CREATE INDEX ix_desc ON capes (x DESC) WHERE y > 1",
    "CREATE INDEX ix_z ON capes (z)",
    (
        "CREATE TRIGGER touched AFTER UPDATE ON capes"
        " BEGIN UPDATE heroes SET id = id WHERE id = new.id; END"
    ),
    "CREATE VIEW seen AS SELECT name, x FROM capes",
    "INSERT INTO capes (id, name, x, kind) VALUES (7, 'A', 1, 'a'), (9, 'B', 2, 'b')",
    "DELETE FROM capes WHERE id = 9",
]
STRICT = [
    "CREATE TABLE capes (x INT NOT NULL, y TEXT, PRIMARY KEY (x, y)) STRICT, WITHOUT ROWID",
    "INSERT INTO capes VALUES (1, '')",
]
VIRTUAL = ["CREATE VIRTUAL TABLE capes USING fts5(x)"]
FULL = [TABLE, *OTHERS]

PROGRAM = """
import json, sys
sys.path.append("migrations")
from alembic.migration import MigrationContext
from alembic.operations import Operations
import sqlalchemy as sa
from sqlalchemy import create_engine
from migration_kit.autogenerate.sqlite import copy
from migration_kit.catalogs import read_catalog

def catalog(connection):
    return {
        f"{kind} {name} {aspect}": value
        for (_, table), objects in read_catalog(connection, {"main": ""}).items()
        for (kind, name, aspect), value in objects.items()
        if table == "capes" and aspect != "sql"
    }

def result(statements, operations, options):
    with create_engine("sqlite://").connect() as connection:
        for one in ["CREATE TABLE heroes (id INTEGER PRIMARY KEY)", *statements]:
            connection.exec_driver_sql(one)
        before = catalog(connection)
        op = Operations(MigrationContext.configure(connection))
        try:
            with op.batch_alter_table("capes", recreate="always", **options) as batch:
                for one in operations:
                    eval(f"batch.{one}")
        except Exception as error:
            return str(error)
        after = catalog(connection)
        query = "SELECT seq FROM sqlite_sequence"
        if "CREATE VIEW" in str(statements):
            query += " UNION ALL SELECT name FROM seen"
            return [diff(before, after), [row[0] for row in connection.exec_driver_sql(query)]]
        rows = connection.exec_driver_sql("SELECT * FROM capes")
        return [diff(before, after), [list(row) for row in rows]]

def diff(before, after):
    names = before.keys() | after.keys()
    return {one: after.get(one) for one in names if before.get(one) != after.get(one)}

print(json.dumps([result(*case) for case in CASES]))
"""

# Statements, an operation, and what it changes.
NOTHING: dict[str, str | None] = {}
CASES: list[tuple[list[str], str, dict[str, str | None]]] = [
    (FULL, "", NOTHING),
    (STRICT, "", NOTHING),
    (
        FULL,
        "alter_column('x', type_=sa.BigInteger())",
        {"column x type": "bigint"},
    ),
    (
        FULL,
        "alter_column('name', nullable=True)",
        {"column name nullable": None},
    ),
    (
        FULL,
        "alter_column('name', server_default='q')",
        {"column name default": "'q'"},
    ),
    (FULL, "drop_constraint('uq')", {"unique uq definition": None}),
    (FULL, "drop_constraint('positive')", {"check positive definition": None}),
    (
        FULL,
        "create_unique_constraint('uq_y', ['y'])",
        {"unique uq_y definition": "unique ( y )"},
    ),
    (
        FULL,
        (
            "alter_column('kind', type_=sa.Enum('a', 'c', name='kind',"
            " native_enum=False, create_constraint=True))"
        ),
        {
            "check kind in ( 'a' , 'b' ) definition": None,
            "check kind definition": "kind in ( 'a' , 'c' )",
        },
    ),
    (
        FULL,
        "alter_column('kind', type_=sa.String(9))",
        {
            "check kind in ( 'a' , 'b' ) definition": None,
            "column kind type": "varchar(9)",
        },
    ),
    (
        FULL,
        "drop_column('z')",
        {
            "column z type": None,
            "check ck_z definition": None,
            "unique unique ( z ) definition": None,
            "index ix_z definition": None,
        },
    ),
    (
        FULL,
        "alter_column('z', new_column_name='zz')",
        {
            "column z type": None,
            "column zz type": "integer",
            "check ck_z definition": "zz <> 5",
            "unique unique ( z ) definition": None,
            "unique unique ( zz ) definition": "unique ( zz )",
            "index ix_z definition": "(zz)",
        },
    ),
]
# Statements, an operation, and how the refusal begins.
REFUSED = [
    (
        FULL,
        "drop_column('name')",
        "cannot drop the column name: index ix_lower uses it",
    ),
    (
        [TABLE, OTHERS[3].replace("new.id", "new.y")],
        "drop_column('y')",
        "cannot drop the column y: trigger touched uses it",
    ),
    (
        [TABLE, OTHERS[4]],
        "drop_column('name')",
        "cannot drop the column name: view seen uses it",
    ),
    (FULL, "drop_column('x')", "cannot drop the column x: column g uses it"),
    (
        VIRTUAL,
        "add_column(sa.Column('y', sa.Integer()))",
        "capes is a virtual table",
    ),
]


def results(
    new: New, cases: list[tuple[list[str], list[str], dict[str, object]]]
) -> list[object]:
    """Return what the copies of tables change, and their rows, or errors."""
    output = new().program(f"CASES = {cases!r}\n{PROGRAM}")
    return list(json.loads(output.splitlines()[-1]))


def test_copy_changes_what_it_says_and_keeps_the_rest(new: New) -> None:
    """The counter and the view as well."""
    found = results(new, [(sql, [one] if one else [], {}) for sql, one, _ in CASES])
    rows = [[[1, ""]] if sql is STRICT else [9, "A"] for sql, *_ in CASES]
    assert found == [[one[2], row] for one, row in zip(CASES, rows, strict=True)]


def test_copy_refuses_to_break_what_uses_a_column(new: New) -> None:
    found = results(new, [(sql, [one], {}) for sql, one, _ in REFUSED])
    assert [str(one).partition(". ")[0] for one in found] == [one[2] for one in REFUSED]


def test_column_takes_the_name_of_one_that_goes(new: New) -> None:
    sql = [
        "CREATE TABLE capes (x INTEGER, y INTEGER)",
        "INSERT INTO capes VALUES (1, 2)",
    ]
    batch = ["drop_column('y')", "alter_column('x', new_column_name='y')"]
    assert results(new, [(sql, batch, {})]) == [[{"column x type": None}, [[1]]]]


def test_unnamed_constraint_is_dropped_by_its_convention(new: New) -> None:
    sql = ["CREATE TABLE capes (hero INTEGER REFERENCES heroes (id) ON DELETE CASCADE)"]
    names: dict[str, object] = {
        "naming_convention": {"fk": "fk_%(table_name)s_%(column_0_name)s"}
    }
    name = "foreignkey foreign key ( hero ) references heroes ( id ) on delete cascade definition"
    found = results(new, [(sql, ["drop_constraint('fk_capes_hero')"], names)])
    assert found == [[{name: None}, []]]


def test_column_goes_with_its_own_check(new: New) -> None:
    """The key keeps its order, which reflection does not know."""
    columns = "x INTEGER, y INTEGER CONSTRAINT positive CHECK (y > 0)"
    sql = [
        f"CREATE TABLE capes ({columns}, PRIMARY KEY (x DESC))",
        "INSERT INTO capes VALUES (1, 2)",
    ]
    gone = {"check positive definition": None, "column y type": None}
    assert results(new, [(sql, ["drop_column('y')"], {})]) == [[gone, [[1]]]]


def test_only_one_of_two_equal_constraints_is_dropped(new: New) -> None:
    """SQLite has one index for both, so reflection knows the first one only."""
    equal = "CONSTRAINT one UNIQUE (x), CONSTRAINT two UNIQUE (x)"
    sql = [f"CREATE TABLE capes (x INTEGER, {equal})"]
    gone = {"unique one definition": None}
    assert results(new, [(sql, ["drop_constraint('one')"], {})]) == [[gone, []]]
