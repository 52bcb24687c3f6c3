"""Schemas, and changes of them, for Hypothesis: data that a person can read, paste and run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from support.roundtrip import Program

DATABASES = ["sqlite", "postgresql", "mariadb"]


@dataclass(frozen=True)
class Kind:
    """A type of columns.

    Attributes:
        type: its source.
        value: an SQL literal that fits.
        defaults: sources of server defaults.
        family: types of one family can become each other, with rows; empty for none.
        key: whether it can be part of a key.
    """

    type: str
    value: str
    defaults: tuple[str, ...] = ()
    family: str = ""
    key: bool = True


@dataclass(frozen=True)
class Column:
    """A column; `extra` are sources that stand behind its type."""

    name: str
    type: str
    extra: tuple[str, ...] = ()
    value: str = ""


@dataclass(frozen=True)
class Table:
    """A table; `items` are sources of constraints and indexes."""

    name: str
    columns: tuple[Column, ...]
    items: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    schema: str = ""


@dataclass(frozen=True)
class Schema:
    """Tables, the arguments of their MetaData, and sources that stand before and behind them."""

    tables: tuple[Table, ...]
    options: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    tails: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A schema, and one that it may become."""

    before: Schema
    after: Schema | None = None
    rows: bool = False

    def programs(self, database: str) -> tuple[Program, Program | None]:
        """Return what a runner takes."""
        rows = tuple(rows_of(self.before, database)) if self.rows else ()
        return (
            Program(source(self.before), rows),
            Program(source(self.after)) if self.after else None,
        )

    def __str__(self) -> str:
        """Write it for a person."""
        parts = [source(self.before)]
        if self.rows:
            parts.append("# with a row in each table\n")
        if self.after:
            parts.append("# ---- becomes ----\n" + source(self.after))
        return "\n".join(parts)


# ------------------------------------------------------------------------------------- As source

CONVENTION = (
    'naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", '
    '"uq": "uq_%(table_name)s_%(column_0_N_name)s", '
    '"ck": "ck_%(table_name)s_%(constraint_name)s", '
    '"fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s", '
    '"pk": "pk_%(table_name)s"}'
)

IMPORTS = """\
import enum
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
"""

# What stands above the tables where they use its name.
DEFINITIONS = {
    "Colour": """
class Colour(enum.Enum):
    red = 1
    blue = 2
""",
    "Secret": """
class Secret(sa.types.TypeDecorator):
    impl = sa.String
    cache_ok = True

    def __init__(self, key):
        super().__init__(100)
        self.key = key
""",
    "Guid": """
class Guid(sa.types.TypeDecorator):
    impl = sa.CHAR(32)
    cache_ok = True

    def load_dialect_impl(self, dialect):
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.UUID())
        return dialect.type_descriptor(sa.CHAR(32))
""",
    "Point": """
class Point(sa.types.UserDefinedType):
    cache_ok = True

    def get_col_spec(self, **_):
        return "VARCHAR(30)"
""",
    "CreateView": """
from sqlalchemy.sql.ddl import CreateView
""",
}


def source(schema: Schema) -> str:
    """Return a schema as a Python program."""
    lines = [f"{head}\n" for head in schema.heads]
    for table in schema.tables:
        lines.append(f"sa.Table(\n    {table.name!r},\n    metadata,\n")
        for column in table.columns:
            arguments = [repr(column.name), column.type, *column.extra]
            lines.append(f"    sa.Column({', '.join(arguments)}),\n")
        options = [f"schema={table.schema!r}"] if table.schema else []
        lines += [f"    {item},\n" for item in (*table.items, *table.options, *options)]
        lines.append(")\n")
    body = "".join(lines + [f"{tail}\n" for tail in schema.tails])
    used = [
        text
        for name, text in DEFINITIONS.items()
        if f"{name}(" in body or f"({name}" in body
    ]
    metadata = f"\nmetadata = sa.MetaData({', '.join(schema.options)})\n"
    return IMPORTS + "".join(used) + metadata + body


def rows_of(schema: Schema, database: str) -> Iterator[str]:
    """Yield an INSERT for each table; equal types have equal values, so that keys find theirs."""
    for table in schema.tables:
        filled = [column for column in table.columns if column.value]
        if not filled:
            continue
        names = ", ".join(quote(column.name, database) for column in filled)
        values = ", ".join(column.value for column in filled)
        name = quote(table.name, database)
        if table.schema:
            name = f"{quote(table.schema, database)}.{name}"
        row = f"INSERT INTO {name} ({names}) VALUES ({values})"
        # The driver takes a percent for a parameter.
        yield row if database == "sqlite" else row.replace("%", "%%")


def quote(name: str, database: str) -> str:
    """Quote a name."""
    mark = "`" if database == "mariadb" else '"'
    return mark + name.replace(mark, mark * 2) + mark


def smaller(case: Case) -> Iterator[Case]:
    """Yield cases with one thing less."""
    if case.rows:
        yield replace(case, rows=False)
    if case.after is not None:
        yield replace(case, after=None)
        yield Case(case.after, None, False)
        names = {(table.schema, table.name) for table in case.before.tables}
        names |= {(table.schema, table.name) for table in case.after.tables}
        for name in sorted(names):
            yield replace(
                case,
                before=without_table(case.before, name),
                after=without_table(case.after, name),
            )
        tables = [*case.before.tables, *case.after.tables]
        parts = {((t.schema, t.name), part) for t in tables for part in parts_of(t)}
        for path, part in sorted(parts, key=repr):
            yield replace(
                case,
                before=without_part(case.before, path, part),
                after=without_part(case.after, path, part),
            )
        for before in smaller_schemas(case.before):
            yield replace(case, before=before)
        for after in smaller_schemas(case.after):
            yield replace(case, after=after)
    else:
        for before in smaller_schemas(case.before):
            yield replace(case, before=before)


def parts_of(table: Table) -> Iterator[tuple[str, str]]:
    """Yield what a table can lose."""
    yield from (("option", option) for option in table.options)
    yield from (("item", item) for item in table.items)
    for column in table.columns:
        yield ("column", column.name)
        yield from (("extra", f"{column.name}\0{extra}") for extra in column.extra)


def without_table(schema: Schema, name: tuple[str, str]) -> Schema:
    """Return a schema without a table."""
    kept = tuple(t for t in schema.tables if (t.schema, t.name) != name)
    return replace(schema, tables=kept)


def without_part(
    schema: Schema, name: tuple[str, str], part: tuple[str, str]
) -> Schema:
    """Return a schema without a part of a table, or the same."""
    tables = []
    for table in schema.tables:
        if (table.schema, table.name) == name:
            table = lose(table, part)
        tables.append(table)
    return replace(schema, tables=tuple(tables))


def lose(table: Table, part: tuple[str, str]) -> Table:
    """Return a table without a part."""
    kind, name = part
    if kind == "option":
        return replace(table, options=tuple(o for o in table.options if o != name))
    if kind == "item":
        return replace(table, items=tuple(i for i in table.items if i != name))
    if kind == "column":
        return replace(table, columns=tuple(c for c in table.columns if c.name != name))
    column_name, _, extra = name.partition("\0")
    return replace(
        table,
        columns=tuple(
            replace(c, extra=tuple(e for e in c.extra if e != extra))
            if c.name == column_name
            else c
            for c in table.columns
        ),
    )


def smaller_schemas(schema: Schema) -> Iterator[Schema]:
    """Yield schemas with one thing less."""
    if schema.options:
        yield replace(schema, options=())
    for table in schema.tables:
        name = (table.schema, table.name)
        yield without_table(schema, name)
        for part in parts_of(table):
            yield without_part(schema, name, part)


def shrink(
    case: Case,
    fails: Callable[[Case], bool],
    tries: int = 80,
    smaller: Callable[[Case], Iterator[Case]] = smaller,
) -> Case:
    """Return a smaller case that still fails."""
    seen = {case}
    progress = True
    while progress and tries > 0:
        progress = False
        for candidate in smaller(case):
            if candidate in seen or not candidate.before.tables:
                continue
            seen.add(candidate)
            tries -= 1
            if tries <= 0:
                break
            if fails(candidate):
                case, progress = candidate, True
                break
    return case


# ----------------------------------------------------------------------------------------- Kinds

TEXTS = (
    "'x'", "''", "\"it's\"", "\"''\"", "\"'quoted'\"", "'a \"b\"'", "'100%'", "'%s'", "'%(a)s'",
    "'a:b'", "'a :b'", "'a::b'", "'(c)'", "'é ß 漢'", "'back\\\\slash'", "'end\\\\'", "'NULL'",
    "'now()'", "'1'", "' x '", "'{}'", "'--'", "'line\\nbreak'", "\"'\"", "\"a'\"",
    "sa.text(\"'x'\")", "sa.text(\"'it''s'\")", "sa.text(\"lower('A')\")",
    "sa.text(\"(lower('A'))\")", "sa.text(\"LOWER('A')\")", "sa.text('NULL')",
    "sa.func.lower('A')", "sa.literal('x')", "sa.text(\"'a' || 'b'\")", "sa.text(\"('a' || 'b')\")",
    "sa.func.concat('a', 'b')", "sa.text(\"'a\\\\:b'\")", "sa.text(\"concat('a', 'b')\")",
    "sa.text(\"CAST('x' AS CHAR(5))\")",
    "sa.text(\"'100%'\")", "sa.text(\"' \\\\:b'\")",
)  # fmt: skip
INTEGERS = (
    "'0'", "'1'", "'-1'", "sa.text('0')", "sa.text('-1')", "sa.text('1')", "sa.text('1 + 1')",
    "sa.text('(1 + 1)')", "sa.text(\"'1'\")", "sa.text('(0)')", "sa.text('NULL')",
    "sa.text('abs(-1)')", "sa.func.abs(-1)", "sa.literal(3)", "sa.text('+1')",
    "sa.text('(ABS( -1 ))')",
)  # fmt: skip
DECIMALS = (
    *INTEGERS, "'1.5'", "'0.50'", "sa.text('1.5')", "sa.text('-0.5')", "sa.text('.5')",
    "sa.text('1e2')", "sa.literal(1.5)", "sa.text('1.50')",
)  # fmt: skip
BOOLEANS = (
    "sa.true()", "sa.false()", "'1'", "'0'", "'true'", "'false'", "sa.text('1')", "sa.text('0')",
    "sa.text('true')", "sa.text('false')", "sa.text('FALSE')", "sa.text(\"'f'\")",
    "sa.text('(1 = 1)')", "sa.text('NOT true')", "sa.literal(True)",
)  # fmt: skip
TIMES = (
    "sa.func.now()", "sa.text('now()')", "sa.text('NOW()')", "sa.text('CURRENT_TIMESTAMP')",
    "sa.text('current_timestamp')", "sa.func.current_timestamp()", "sa.text('(CURRENT_TIMESTAMP)')",
    "sa.func.CURRENT_TIMESTAMP()", "sa.text('CURRENT_TIMESTAMP()')", "sa.func.localtimestamp()",
)  # fmt: skip
STAMPS = ("'2020-01-02 03:04:05'", "sa.text(\"'2020-01-02 03:04:05'\")")


def kinds(*types: str, value: str, **named: Any) -> list[Kind]:
    """Return kinds that share all but their types."""
    return [Kind(one, value, **named) for one in types]


def common(database: str) -> list[Kind]:
    """Return the types of SQLAlchemy, as a database takes them."""
    long_key = database != "mariadb"
    return [
        *kinds("sa.Integer()", "sa.BigInteger()", value="1", defaults=INTEGERS, family="integer"),
        *kinds("sa.SmallInteger()", "sa.SMALLINT()", value="1", defaults=INTEGERS, family="small"),
        *kinds("sa.Numeric(10, 2)", "sa.Numeric(12, 2)", "sa.DECIMAL(11, 2)", value="1.5",
               defaults=DECIMALS, family="numeric"),
        *kinds("sa.Numeric()", "sa.Numeric(5)", "sa.NUMERIC(6, 0)", value="2", defaults=DECIMALS),
        *kinds("sa.Float()", "sa.Float(53)", "sa.Double()", "sa.REAL()", value="1.5",
               defaults=DECIMALS, key=False),
        *kinds("sa.String(20)", "sa.String(40)", "sa.Unicode(30)", "sa.VARCHAR(50)", value="'a'",
               defaults=TEXTS, family="string"),
        *kinds("sa.CHAR(5)", value="'abcde'", defaults=("'x'",)),
        *kinds("sa.Text()", "sa.UnicodeText()", value="'a'", defaults=TEXTS, family="string",
               key=long_key),
        *kinds("sa.Boolean()", value="true", defaults=BOOLEANS, key=False),
        *kinds("sa.Boolean(create_constraint=True, name='flag_ck')", value="true",
               defaults=BOOLEANS, key=False),
        *kinds("sa.Date()", value="'2020-01-02'",
               defaults=("sa.func.current_date()", "'2020-01-02'", "sa.text('(CURRENT_DATE)')")),
        *kinds("sa.Time()", value="'03:04:05'", defaults=("'03:04:05'", "sa.func.current_time()")),
        *kinds("sa.DateTime()", "sa.DateTime(timezone=True)", "sa.TIMESTAMP()",
               "sa.TIMESTAMP(timezone=True)", value="'2020-01-02 03:04:05'",
               defaults=(*TIMES, *STAMPS), key=False),
        *kinds("sa.Interval()", value="'2020-01-02 03:04:05'" if database != "postgresql" else "'1 day'", key=False),
        *kinds("sa.LargeBinary()", "sa.LargeBinary(20)", "sa.PickleType()", value="'a'", key=False),
        *kinds("sa.JSON()", value="'{}'",
               defaults=("'{}'", "'[]'", "'{\"a\": 1}'", "sa.text(\"'{}'\")", "sa.text(\"('{}')\")"),
               key=False),
        *kinds("sa.Uuid()", "sa.Uuid(native_uuid=False)", "Guid()",
               value="'12345678123456781234567812345678'"),
        *kinds("sa.Enum('a', \"it's\", name='letters')", value="'a'", defaults=("'a'", "\"it's\""),
               family="enum", key=False),
        *kinds("sa.Enum('a', \"it's\", 'c', name='letters')", value="'a'",
               defaults=("'a'", "'c'"), family="enum", key=False),
        *kinds("sa.Enum(Colour)", value="'red'", defaults=("'red'", "sa.text(\"'blue'\")"),
               key=False),
        *kinds("sa.Enum('a', 'b', native_enum=False)", value="'a'", defaults=("'a'",)),
        *kinds("sa.Enum('a', 'b', native_enum=False, create_constraint=True, name='letter_ck')",
               "sa.Enum('a', 'b', native_enum=False, length=30)", value="'a'", defaults=("'a'",)),
        *kinds("Secret('key')", "Point()", value="'a'", defaults=TEXTS[:5]),
        *kinds("sa.String(20).with_variant(sa.Text(), 'postgresql')", value="'a'"),
        *kinds("sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')",
               "postgresql.JSONB().with_variant(sa.JSON(), 'sqlite', 'mysql', 'mariadb')",
               value="'{}'", defaults=("'{}'",), key=False),
        *kinds("sa.Integer().with_variant(sa.BigInteger(), 'postgresql', 'mariadb')", value="1",
               defaults=INTEGERS[:3], family="integer"),
        *kinds("sa.DateTime().with_variant(mysql.DATETIME(fsp=6), 'mysql', 'mariadb')",
               value="'2020-01-02 03:04:05'", key=False),
        *kinds("sa.VARBINARY(5)", "sa.BINARY(5)", value="'abcde'")
        * (database != "postgresql"),
    ]  # fmt: skip


SQLITE = [
    *kinds("sa.String()", value="'a'", defaults=TEXTS, family="string"),
    *kinds("sqlite.JSON()", value="'{}'", defaults=("'{}'",), key=False),
    *kinds("sqlite.DATETIME(truncate_microseconds=True)", value="'2020-01-02 03:04:05'", key=False),
    *kinds("sqlite.DATE()", "sqlite.TIME()", "sqlite.BLOB()", "sqlite.REAL()", "sqlite.BOOLEAN()",
           "sqlite.DECIMAL(5, 1)", "sqlite.TIMESTAMP()", "sqlite.FLOAT()", "sqlite.CHAR(4)",
           value="1"),
    *kinds("sa.String(20, collation='NOCASE')", value="'a'", defaults=TEXTS[:3], family="string"),
]  # fmt: skip

POSTGRESQL = [
    *kinds("sa.String()", value="'a'", defaults=TEXTS, family="string"),
    *kinds("sa.String(20, collation='C')", "sa.Text(collation='POSIX')", value="'a'",
           defaults=TEXTS[:3], family="string"),
    *kinds("postgresql.JSONB()", value="'{}'",
           defaults=("'{}'", "'{\"a\": \"b\"}'", "sa.text(\"'{}'::jsonb\")",
                     "sa.text(\"'[]'::JSONB\")", "sa.text('jsonb_build_object()')",
                     "sa.text(\"'{\\\"a\\\"\\\\:1}'\")"), key=False),
    *kinds("postgresql.JSON()", value="'{}'",
           defaults=("'{}'", "sa.text(\"'{}'::json\")", "sa.text('json_build_array()')"),
           key=False),
    *kinds("sa.ARRAY(sa.Integer())", "postgresql.ARRAY(sa.Integer())",
           "postgresql.ARRAY(sa.Integer(), dimensions=2)", value="'{}'",
           defaults=("'{}'", "sa.text(\"'{}'::int[]\")", "sa.text('ARRAY[]::integer[]')",
                     "sa.text('ARRAY[1, 2]')")),
    *kinds("postgresql.ARRAY(sa.String(5))", "sa.ARRAY(sa.Text())", value="'{}'",
           defaults=("'{}'", "\"{it's}\"", "sa.text(\"ARRAY['a', 'b']\")")),
    *kinds("postgresql.ARRAY(sa.Enum('x', 'y', name='xy'))",
           "postgresql.ARRAY(postgresql.ENUM('x', 'y', name='xy2'))", value="'{}'",
           defaults=("'{}'", "'{x}'"), key=False),
    *kinds("postgresql.ARRAY(sa.Numeric(10, 2))", "postgresql.ARRAY(postgresql.UUID())",
           "postgresql.ARRAY(postgresql.JSONB())", value="'{}'", key=False),
    *kinds("postgresql.UUID()", "postgresql.UUID(as_uuid=False)", "sa.UUID()",
           value="'12345678123456781234567812345678'", family="uuid",
           defaults=("sa.text('gen_random_uuid()')", "sa.text('(GEN_RANDOM_UUID())')",
                     "sa.func.gen_random_uuid()", "'12345678-1234-5678-1234-567812345678'",
                     "sa.text('pg_catalog.gen_random_uuid()')")),
    *kinds("sa.DateTime(timezone=True)", "postgresql.TIMESTAMP(timezone=True, precision=3)",
           "postgresql.TIMESTAMP(precision=0)", value="'2020-01-02'", family="timestamp",
           defaults=("sa.text('CLOCK_TIMESTAMP()')", "sa.text('clock_timestamp()')",
                     "sa.func.clock_timestamp()", "sa.text('statement_timestamp()')",
                     "sa.text(\"(now() + interval '1 day')\")",
                     "sa.text(\"timezone('utc', now())\")",
                     "sa.text(\"now() at time zone 'utc'\")", "sa.text(\"'infinity'\")", *STAMPS,
                     *TIMES[:8])),
    *kinds("postgresql.TIME(timezone=True, precision=2)", "sa.Time(timezone=True)",
           value="'03:04:05'", defaults=("'03:04:05'", "sa.func.localtime()")),
    *kinds("postgresql.INTERVAL(fields='YEAR TO MONTH')", "postgresql.INTERVAL(precision=3)",
           "sa.Interval(second_precision=2)", "postgresql.INTERVAL()", value="'1 month'",
           defaults=("'1 month'", "sa.text(\"interval '1 month'\")", "sa.text(\"'1 day'::interval\")")),
    *kinds("postgresql.INET()", value="'10.0.0.1'", defaults=("'10.0.0.1'",)),
    *kinds("postgresql.CIDR()", value="'10.0.0.0/8'", defaults=("'10.0.0.0/8'",)),
    *kinds("postgresql.MACADDR()", value="'08:00:2b:01:02:03'"),
    *kinds("postgresql.MACADDR8()", value="'08:00:2b:01:02:03:04:05'"),
    *kinds("postgresql.TSVECTOR()", value="'a'",
           defaults=("''", "sa.text(\"to_tsvector('english', 'a')\")"), key=False),
    *kinds("postgresql.TSQUERY()", "postgresql.REGCONFIG()", "postgresql.JSONPATH()",
           value="NULL", key=False),
    *kinds("postgresql.HSTORE()", value="'a=>1'", defaults=("''", "sa.text(\"'a=>1'::hstore\")"),
           key=False),
    *kinds("postgresql.CITEXT()", value="'a'", defaults=("'x'", "\"it's\"")),
    *kinds("postgresql.INT4RANGE()", "postgresql.INT8RANGE()", "postgresql.NUMRANGE()",
           value="'[1,2)'", defaults=("'empty'", "'[1,5)'", "sa.text(\"'(,)'\")")),
    *kinds("postgresql.DATERANGE()", "postgresql.TSRANGE()", "postgresql.TSTZRANGE()",
           value="'[2020-01-01,2020-01-02)'", defaults=("'empty'",)),
    *kinds("postgresql.INT4MULTIRANGE()", "postgresql.INT8MULTIRANGE()",
           "postgresql.NUMMULTIRANGE()", "postgresql.DATEMULTIRANGE()",
           "postgresql.TSMULTIRANGE()", "postgresql.TSTZMULTIRANGE()", value="'{}'",
           defaults=("'{}'",)),
    *kinds("postgresql.BIT(3)", value="'101'", defaults=("'101'", "sa.text(\"B'101'\")")),
    *kinds("postgresql.BIT(5, varying=True)", "postgresql.BIT(varying=True)", value="'101'",
           defaults=("'101'",)),
    *kinds("postgresql.BIT()", value="'1'"),
    *kinds("postgresql.MONEY()", value="'1'", defaults=("'0'", "sa.text('0')")),
    *kinds("postgresql.OID()", "postgresql.REGCLASS()", value="1", key=False),
    *kinds("postgresql.BYTEA()", value="'a'", defaults=("''", "sa.text(\"'\\\\\\\\x00'\")"),
           key=False),
    *kinds("postgresql.DOUBLE_PRECISION()", "postgresql.DOUBLE_PRECISION(53)",
           "postgresql.FLOAT(20)", "postgresql.REAL()", value="1.5", defaults=DECIMALS, key=False),
    *kinds("postgresql.ENUM('k', 'l', name='kinds')", value="'k'",
           defaults=("'k'", "sa.text(\"'k'::kinds\")"), key=False),
    *kinds("postgresql.DOMAIN('positive', sa.Integer(), check='VALUE > 0')", value="1",
           defaults=("'1'",)),
    *kinds("postgresql.DOMAIN('word', sa.String(5), not_null=False, default='x')", value="'a'"),
    *kinds("sa.CHAR(1)", "postgresql.CHAR(3)", value="'a'", defaults=("'x'",)),
    *kinds("sa.Enum('s', 't', name='other_enum', schema='other')", value="'s'", key=False),
]  # fmt: skip

MARIADB = [
    *kinds("mysql.TINYINT()", "mysql.TINYINT(1)", "mysql.TINYINT(unsigned=True)",
           value="1", defaults=INTEGERS),
    *kinds("mysql.SMALLINT(unsigned=True)", "mysql.MEDIUMINT()", "mysql.INTEGER(unsigned=True)",
           "mysql.INTEGER(11)", "mysql.BIGINT(unsigned=True)", "mysql.BIGINT(20)", value="1",
           defaults=INTEGERS, family="integer"),
    *kinds("mysql.INTEGER(5, zerofill=True)", "mysql.BIGINT(unsigned=True, zerofill=True)",
           value="1", defaults=INTEGERS[:3]),
    *kinds("mysql.DOUBLE(10, 2)", "mysql.DOUBLE()", "mysql.FLOAT(unsigned=True)",
           "mysql.FLOAT(7, 3)", "mysql.REAL()", value="1.5", defaults=DECIMALS, key=False),
    *kinds("mysql.DECIMAL(10, 2, unsigned=True)", "mysql.NUMERIC(8, 3)", value="1.5",
           defaults=DECIMALS, family="numeric"),
    *kinds("mysql.BIT(8)", "mysql.BIT()", value="b'1'", defaults=("sa.text(\"b'1'\")",), key=False),
    *kinds("mysql.YEAR()", value="2020", defaults=("'2020'", "sa.text('2020')")),
    *kinds("mysql.TIMESTAMP(fsp=3)", "mysql.DATETIME(fsp=6)", value="'2020-01-02 03:04:05'",
           defaults=("sa.text('CURRENT_TIMESTAMP(3)')", "sa.text('current_timestamp(6)')",
                     "sa.func.now(3)", "sa.func.current_timestamp(6)", *STAMPS), key=False),
    *kinds("mysql.TIMESTAMP()", "sa.DateTime()", value="'2020-01-02 03:04:05'",
           defaults=("sa.text('CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP')",
                     "sa.text('NOW() ON UPDATE NOW()')", *TIMES, *STAMPS), key=False),
    *kinds("mysql.TIME(fsp=3)", value="'03:04:05'"),
    *kinds("mysql.ENUM('k', 'l', \"it's\")", value="'k'", defaults=("'k'", "\"it's\""),
           family="mysqlenum", key=False),
    *kinds("mysql.ENUM('k', 'l', \"it's\", 'm')", value="'k'", defaults=("'m'",),
           family="mysqlenum", key=False),
    *kinds("mysql.SET('p', 'q')", "mysql.SET('p', 'q', retrieve_as_bitwise=True)", value="'p'",
           defaults=("'p'", "'p,q'"), key=False),
    *kinds("mysql.TINYTEXT()", "mysql.MEDIUMTEXT()", "mysql.LONGTEXT()", "mysql.TEXT(100)",
           value="'a'", defaults=("'x'", "\"it's\"", "sa.text(\"('x')\")"), family="text", key=False),
    *kinds("mysql.TINYBLOB()", "mysql.MEDIUMBLOB()", "mysql.LONGBLOB()", value="'a'", key=False),
    *kinds("mysql.VARCHAR(20, charset='latin1')", "mysql.VARCHAR(20, collation='utf8mb4_bin')",
           "sa.String(20, collation='utf8mb4_bin')", "mysql.CHAR(20, charset='ascii')",
           "mysql.NVARCHAR(20)", "mysql.NCHAR(20)", value="'a'", defaults=TEXTS[:3]),
    *kinds("mysql.TEXT(charset='latin1')", "mysql.LONGTEXT(collation='utf8mb4_bin')", value="'a'",
           key=False),
    *kinds("mysql.JSON()", value="'{}'", defaults=("sa.text(\"'{}'\")",), key=False),
    *kinds("mysql.INET4()", value="'10.0.0.1'"),
    *kinds("mysql.INET6()", value="'::1'"),
    *kinds("sa.Uuid()", "sa.UUID()", value="'12345678-1234-5678-1234-567812345678'",
           defaults=("sa.text('uuid()')", "sa.text('(UUID())')", "sa.func.uuid()")),
    *kinds("sa.String(40)", value="'a'",
           defaults=("sa.text('uuid()')", "sa.text('(uuid())')", "sa.func.uuid()")),
]  # fmt: skip

KINDS = {
    "sqlite": common("sqlite") + SQLITE,
    "postgresql": common("postgresql") + POSTGRESQL,
    "mariadb": common("mariadb") + MARIADB,
}


# ------------------------------------------------------------------------------------- Strategies

PLAIN_NAMES = ["a", "b", "c", "d", "e", "f", "g"]
ODD_NAMES = [
    "Camel", "with space", 'quo"te', "per%cent", "co:lon", "ünïcode", "order", "user", "group",
    "it's", "back`tick", "dash-ed", "(p)", "a$b", "n" * 60, "select", "1st",
]  # fmt: skip
COMMENTS = [
    "'plain'", "\"it's\"", "'100% \"quoted\"'", "'a:b :c'", "'é 漢'", "'back\\\\slash'", "'two\\nlines'",
]  # fmt: skip


def names(count: int) -> st.SearchStrategy[list[str]]:
    """Return lists of different names, most of them plain."""
    one = st.one_of(
        st.sampled_from(PLAIN_NAMES),
        st.sampled_from(PLAIN_NAMES),
        st.sampled_from(PLAIN_NAMES),
        st.sampled_from(ODD_NAMES),
    )
    return st.lists(one, min_size=1, max_size=count, unique_by=str.lower)


@st.composite
def columns(draw: st.DrawFn, database: str, name: str, key: bool = False) -> Column:
    """Draw a column."""
    kind = draw(st.sampled_from([k for k in KINDS[database] if k.key or not key]))
    extra = []
    if not key and draw(st.booleans()):
        extra.append(draw(st.sampled_from(["nullable=False", "nullable=True"])))
    if draw(st.booleans()) and kind.defaults:
        extra.append(f"server_default={draw(st.sampled_from(kind.defaults))}")
    if database != "sqlite" and draw(chance(8)):
        extra.append(f"comment={draw(st.sampled_from(COMMENTS))}")
    return Column(name, kind.type, tuple(extra), kind.value)


def chance(one_in: int) -> st.SearchStrategy[bool]:
    """Return False by far the most."""
    return st.integers(0, one_in - 1).map(lambda number: number == one_in - 1)


INTEGER_KEYS = ["sa.Integer()", "sa.Integer()", "sa.BigInteger()", "sa.SmallInteger()"]
IDENTITIES = [
    "sa.Identity()", "sa.Identity(always=True)", "sa.Identity(start=5, increment=2)",
    "sa.Identity(always=True, minvalue=1, maxvalue=1000, cycle=True, cache=5)",
]  # fmt: skip


@st.composite
def primary_columns(draw: st.DrawFn, database: str, name: str) -> Column:
    """Draw a column that is the key of its table."""
    if draw(chance(4)):
        column = draw(columns(database, name, key=True))
        return replace(column, extra=("primary_key=True", *column.extra))
    kind = draw(st.sampled_from(INTEGER_KEYS))
    extra = ["primary_key=True"]
    if draw(chance(5)):
        extra.insert(0, draw(st.sampled_from(IDENTITIES)))
        return Column(name, kind, tuple(extra))
    if draw(chance(5)):
        extra.append("autoincrement=False")
    return Column(name, kind, tuple(extra), "1")


def computed(database: str, base: Column) -> list[str]:
    """Return sources of generated columns."""
    name = quote(base.name, database).replace("%", "%%" * (database != "sqlite") or "%")
    name = quote(base.name, database)
    sql = {
        "integer": [f"{name} * 2", f"({name} + 1)", f"abs({name})", f"ABS( {name} )"],
        "string": [f"lower({name})", f"UPPER({name})", f"coalesce({name}, 'it''s')"],
    }
    family = {"sa.Integer()": "integer", "sa.String(20)": "string"}.get(base.type)
    if family is None:
        return []
    kept = (
        [", persisted=True"]
        if database == "postgresql"
        else ["", ", persisted=True", ", persisted=False"]
    )
    return [f"sa.Computed({text!r}{how})" for text in sql[family] for how in kept]


@st.composite
def tables(draw: st.DrawFn, database: str, name: str, others: list[Table]) -> Table:
    """Draw a table, whose keys may refer to others and to itself."""
    first, *rest = draw(names(6))
    items: list[str] = []
    if draw(chance(6)) and rest:
        found = [draw(columns(database, one, key=True)) for one in (first, rest.pop())]
        kept = tuple(replace(c, extra=(*c.extra, "primary_key=True")) for c in found)
    elif draw(chance(12)):
        kept = (draw(columns(database, first)),)
    else:
        kept = (draw(primary_columns(database, first)),)
    kept += tuple(draw(columns(database, one)) for one in rest)
    bases = [c for c in kept[1:] if computed(database, c)]
    if draw(chance(3)) and bases:
        base = draw(st.sampled_from(bases))
        kept += (
            Column(
                "sum", base.type, (draw(st.sampled_from(computed(database, base))),)
            ),
        )
    table = Table(name, kept)
    if database == "postgresql" and draw(chance(8)):
        table = replace(table, schema="other")
    for number in range(draw(st.integers(0, 3))):
        item = draw(st.sampled_from([unique, check, index, index]))
        if text := draw(item(database, table, number)):
            items.append(text)
    extra: list[Column] = []
    if draw(st.booleans()):
        pair = draw(foreign_key(database, table, [*others, table]))
        if pair:
            extra.append(pair[0])
            items.append(pair[1])
    options = []
    if database != "sqlite" and draw(chance(6)):
        options.append(f"comment={draw(st.sampled_from(COMMENTS))}")
    if database == "mariadb" and draw(chance(10)):
        options.append(
            draw(
                st.sampled_from(
                    [
                        "mysql_engine='InnoDB'",
                        "mysql_charset='utf8mb4'",
                        "mariadb_collate='utf8mb4_bin'",
                    ]
                )
            )
        )
    if database == "sqlite" and draw(chance(12)):
        options.append(
            draw(
                st.sampled_from(
                    ["sqlite_with_rowid=False", "sqlite_autoincrement=True"]
                )
            )
        )
    return replace(
        table, columns=(*kept, *extra), items=tuple(items), options=tuple(options)
    )


def keys(database: str, table: Table) -> list[Column]:
    """Return the columns of a table that may be part of keys and indexes."""
    able = {kind.type for kind in KINDS[database] if kind.key}
    return [column for column in table.columns if column.type in able]


NAMES_OF_ITEMS = [
    "it_{t}_{n}",
    "It {t} {n}",
    "it%{t}{n}",
    "é_{t}_{n}",
    "x" * 50 + "{t}{n}",
]


def item_names(table: Table, number: int) -> st.SearchStrategy[str]:
    """Return names of constraints and indexes, most of them plain."""
    numbers = st.sampled_from([0] * 6 + [1, 2, 3, 4])
    return numbers.map(
        lambda one: NAMES_OF_ITEMS[one].format(t=table.name[:5], n=number)
    )


@st.composite
def unique(draw: st.DrawFn, database: str, table: Table, number: int) -> str:
    """Draw a unique constraint."""
    able = keys(database, table)
    if not able:
        return ""
    chosen = draw(st.lists(st.sampled_from(able), min_size=1, max_size=2, unique=True))
    if all("primary_key=True" in column.extra for column in chosen):
        return ""  # the database may do without
    arguments = [repr(column.name) for column in chosen]
    if draw(st.booleans()):
        arguments.append(f"name={draw(item_names(table, number))!r}")
    if database == "postgresql" and draw(chance(6)):
        arguments.append(
            draw(
                st.sampled_from(
                    [
                        "deferrable=True, initially='DEFERRED'",
                        "deferrable=True",
                        "postgresql_nulls_not_distinct=True",
                        f"postgresql_include=[{table.columns[-1].name!r}]",
                    ]
                )
            )
        )
    return f"sa.UniqueConstraint({', '.join(arguments)})"


@st.composite
def check(draw: st.DrawFn, database: str, table: Table, number: int) -> str:
    """Draw a CHECK that the rows keep."""
    column = draw(st.sampled_from(table.columns))
    name = quote(column.name, database).replace(":", "\\:")
    texts = [f"{name} IS NULL OR {name} IS NOT NULL", f"({name} IS NOT NULL OR 1 = 1)"]
    if column.type in {"sa.Integer()", "sa.BigInteger()"}:
        texts += [
            f"{name} > 0",
            f"{name} BETWEEN 0 AND 100",
            f"{name} IN (0, 1, 2)",
            f"{name}%%5 < 5",
        ]
    if column.type in {"sa.String(20)", "sa.Text()"}:
        texts += [
            f"length({name}) < 50",
            f"{name} <> 'it''s'",
            f"{name} NOT LIKE 'x%%'",
            f"{name} <> 'a\\:b'",
        ]
    text = draw(st.sampled_from(texts))
    text = text.replace("%%", "%")
    arguments = [repr(text)]
    if draw(st.integers(0, 2)):
        arguments.append(f"name={draw(item_names(table, number))!r}")
    return f"sa.CheckConstraint({', '.join(arguments)})"


@st.composite
def index(draw: st.DrawFn, database: str, table: Table, number: int) -> str:
    """Draw an index."""
    able = keys(database, table)
    if not able:
        return ""
    chosen = draw(st.lists(st.sampled_from(able), min_size=1, max_size=2, unique=True))
    arguments = [repr(column.name) for column in chosen]
    options = []
    first = quote(chosen[0].name, database).replace(":", "\\:")
    text = chosen[0].type in {"sa.String(20)", "sa.Text()", "sa.String(40)"}
    special = draw(st.integers(0, 5))
    if special == 1 and database != "mariadb":
        arguments[0] = f"sa.text({first + ' DESC'!r})"
    elif special == 2 and text and database != "mariadb":
        arguments[0] = draw(
            st.sampled_from(
                [
                    f"sa.text({f'lower({first})'!r})",
                    f"sa.func.lower(sa.text({first!r}))",
                    f"sa.text({f'coalesce({first}, {chr(39)}x{chr(39)})'!r})",
                ]
            )
        )
    elif special == 3 and database != "mariadb":
        where = draw(
            st.sampled_from([f"{first} IS NOT NULL", f"{first} IS NULL OR 1 = 1"])
        )
        options.append(f"{database}_where=sa.text({where!r})")
    elif special == 4 and database == "postgresql":
        options.append(
            draw(
                st.sampled_from(
                    [
                        "postgresql_using='hash'",
                        f"postgresql_include=[{table.columns[-1].name!r}]",
                        "postgresql_with={'fillfactor': 50}",
                        "postgresql_nulls_not_distinct=True",
                    ]
                )
            )
        )
        if "hash" in options[-1]:
            arguments = arguments[:1]
    elif special == 4 and database == "mariadb" and text:
        options.append(f"mysql_length={{{chosen[0].name!r}: 5}}")
    elif special == 5 and database == "postgresql" and text:
        options.append(f"postgresql_ops={{{chosen[0].name!r}: 'text_pattern_ops'}}")
    if draw(chance(3)) and not any("hash" in option for option in options):
        options.append("unique=True")
    return f"sa.Index({', '.join([repr('ix_' + draw(item_names(table, number))), *arguments, *options])})"


@st.composite
def foreign_key(
    draw: st.DrawFn, database: str, table: Table, others: list[Table]
) -> tuple[Column, str] | None:
    """Draw a column and a key that refers to a primary key."""
    other = draw(st.sampled_from(others))
    primary = [c for c in other.columns if "primary_key=True" in c.extra]
    if len(primary) != 1 or not primary[0].value or "." in other.name + primary[0].name:
        return None
    column = Column("parent", primary[0].type, (), primary[0].value)
    target = f"{other.name}.{primary[0].name}"
    if other.schema:
        target = f"{other.schema}.{target}"
    arguments = [f"[{column.name!r}]", f"[{target!r}]"]
    if draw(st.booleans()):
        arguments.append(f"name={'fk_' + draw(item_names(table, 9))!r}")
    if draw(chance(3)):
        arguments.append(
            f"ondelete={draw(st.sampled_from(['CASCADE', 'SET NULL', 'RESTRICT', 'NO ACTION']))!r}"
        )
    if draw(chance(6)):
        arguments.append(
            f"onupdate={draw(st.sampled_from(['CASCADE', 'RESTRICT', 'NO ACTION']))!r}"
        )
    if database != "mariadb" and draw(chance(8)):
        arguments.append("deferrable=True, initially='DEFERRED'")
    return column, f"sa.ForeignKeyConstraint({', '.join(arguments)})"


@st.composite
def schemas(draw: st.DrawFn, database: str) -> Schema:
    """Draw a schema."""
    found: list[Table] = []
    for name in draw(names(3)):
        found.append(draw(tables(database, name, found)))
    if len(found) > 1 and draw(chance(6)):
        found = circle(database, found)
    options = (CONVENTION,) if draw(st.booleans()) else ()
    return Schema(tuple(found), options)


def circle(database: str, found: list[Table]) -> list[Table]:
    """Let the first table refer to the last, which may refer to it."""
    first, *_, last = found
    primary = [c for c in last.columns if "primary_key=True" in c.extra]
    if len(primary) != 1 or not primary[0].value:
        return found
    column = Column("circle", primary[0].type, (), primary[0].value)
    target = f"{last.schema}.{last.name}" if last.schema else last.name
    key = (
        f"sa.ForeignKeyConstraint(['circle'], [{f'{target}.{primary[0].name}'!r}], "
        "name='fk_circle', use_alter=True)"
    )
    first = replace(first, columns=(*first.columns, column), items=(*first.items, key))
    return [first, *found[1:]]


@st.composite
def changes(draw: st.DrawFn, database: str, schema: Schema) -> Schema:
    """Draw what becomes of a schema."""
    for number in range(draw(st.integers(1, 3))):
        change = draw(st.sampled_from(CHANGES))
        schema = draw(change(database, schema, number))
    return schema


@st.composite
def add_table(draw: st.DrawFn, database: str, schema: Schema, number: int) -> Schema:
    """Add a table."""
    table = draw(tables(database, f"new{number}", list(schema.tables)))
    return replace(schema, tables=(*schema.tables, table))


@st.composite
def drop_table(draw: st.DrawFn, database: str, schema: Schema, number: int) -> Schema:
    """Drop a table that none refers to."""
    able = [
        table
        for table in schema.tables
        if not any(
            f"{table.name}." in item
            for other in schema.tables
            if other is not table
            for item in other.items
        )
    ]
    if len(schema.tables) < 2 or not able:
        return schema
    table = draw(st.sampled_from(able))
    return without_table(schema, (table.schema, table.name))


@st.composite
def add_column(draw: st.DrawFn, database: str, schema: Schema, number: int) -> Schema:
    """Add a column, with a key or without."""
    table = draw(st.sampled_from(schema.tables))
    column = draw(columns(database, f"new{number}"))
    changed = replace(table, columns=(*table.columns, column))
    pair = draw(foreign_key(database, table, list(schema.tables)))
    if pair and draw(chance(4)) and not any(c.name == "parent" for c in table.columns):
        changed = replace(
            changed,
            columns=(*changed.columns, pair[0]),
            items=(*changed.items, pair[1]),
        )
    return put(schema, table, changed)


@st.composite
def drop_part(draw: st.DrawFn, database: str, schema: Schema, number: int) -> Schema:
    """Drop a column that nothing names, a constraint, an index, a default or a comment."""
    table = draw(st.sampled_from(schema.tables))
    able = []
    for part in parts_of(table):
        column = part[1].partition("\0")[0]
        if part[0] == "column":
            if any(
                repr(column) in item or quote(column, database) in item
                for item in table.items
            ):
                continue
            primary = [c for c in table.columns if "primary_key=True" in c.extra]
            if any(c.name == column for c in primary) or len(table.columns) < 2:
                continue
            if any(
                quote(column, database) in e for c in table.columns for e in c.extra
            ):
                continue
        if part[0] == "extra" and (
            "primary_key" in part[1] or "Computed" in part[1] or "Identity" in part[1]
        ):
            continue
        able.append(part)
    if not able:
        return schema
    return put(schema, table, lose(table, draw(st.sampled_from(able))))


@st.composite
def change_type(draw: st.DrawFn, database: str, schema: Schema, number: int) -> Schema:
    """Let a column have another type of the same family."""
    by_type = {kind.type: kind for kind in KINDS[database]}
    able = [
        (table, column)
        for table in schema.tables
        for column in table.columns
        if column.name not in {"parent", "circle", "sum"}
        and by_type.get(column.type, by_type["sa.Date()"]).family
        and "primary_key=True" not in column.extra
    ]
    if not able:
        return schema
    table, column = draw(st.sampled_from(able))
    family = by_type[column.type].family
    same = [kind for kind in KINDS[database] if kind.family == family]
    kind = draw(st.sampled_from(same))
    return put_column(schema, table, replace(column, type=kind.type), column)


@st.composite
def change_extra(draw: st.DrawFn, database: str, schema: Schema, number: int) -> Schema:
    """Change a column's default, nullability or comment."""
    by_type = {kind.type: kind for kind in KINDS[database]}
    able = [
        (table, column)
        for table in schema.tables
        for column in table.columns
        if column.type in by_type
        and not any(one.startswith(("sa.", "primary")) for one in column.extra)
    ]
    if not able:
        return schema
    table, column = draw(st.sampled_from(able))
    options = ["nullable=False", "nullable=True"]
    if database != "sqlite":
        options += [f"comment={comment}" for comment in COMMENTS[:3]]
    if defaults := by_type[column.type].defaults:
        options = draw(
            st.sampled_from([options, [f"server_default={one}" for one in defaults]])
        )
    new = draw(st.sampled_from(options))
    kept = [one for one in column.extra if one.split("=")[0] != new.split("=")[0]]
    return put_column(schema, table, replace(column, extra=(*kept, new)), column)


@st.composite
def add_item(draw: st.DrawFn, database: str, schema: Schema, number: int) -> Schema:
    """Add a constraint or an index."""
    table = draw(st.sampled_from(schema.tables))
    item = draw(
        draw(st.sampled_from([unique, check, index]))(database, table, 10 + number)
    )
    return (
        put(schema, table, replace(table, items=(*table.items, item)))
        if item
        else schema
    )


@st.composite
def change_comment(
    draw: st.DrawFn, database: str, schema: Schema, number: int
) -> Schema:
    """Change a table's comment."""
    if database == "sqlite":
        return schema
    table = draw(st.sampled_from(schema.tables))
    kept = [one for one in table.options if not one.startswith("comment")]
    comment = f"comment={draw(st.sampled_from(COMMENTS))}"
    return put(schema, table, replace(table, options=(*kept, comment)))


def put(schema: Schema, old: Table, new: Table) -> Schema:
    """Replace a table."""
    return replace(schema, tables=tuple(new if t is old else t for t in schema.tables))


def put_column(schema: Schema, table: Table, new: Column, old: Column) -> Schema:
    """Replace a column."""
    found = tuple(new if c is old else c for c in table.columns)
    return put(schema, table, replace(table, columns=found))


CHANGES: list[Any] = [
    add_table, drop_table, add_column, add_column, drop_part, drop_part, change_type, change_extra,
    change_extra, add_item, change_comment,
]  # fmt: skip


@st.composite
def cases(draw: st.DrawFn, database: str) -> Case:
    """Draw a schema, and most often one that it becomes."""
    before = draw(schemas(database))
    if draw(chance(5)):
        return Case(before)
    after = draw(changes(database, before))
    return Case(before, after if after != before else None, draw(st.booleans()))


def kind_cases(database: str) -> Iterator[Case]:
    """Yield a case for each type: a column without a default, and one with each default.

    Of types that share their defaults, only the first one has them all.
    """
    identity = Column("id", "sa.Integer()", ("primary_key=True",), "1")
    kinds: dict[str, Kind] = {}
    for kind in KINDS[database]:
        kinds.setdefault(kind.type, kind)
    seen: set[tuple[str, ...]] = set()
    for kind in kinds.values():
        defaults = kind.defaults[:2] if kind.defaults in seen else kind.defaults
        seen.add(kind.defaults)
        extras = [(), *((f"server_default={default}",) for default in defaults)]
        yield Case(
            Schema(
                tuple(
                    Table(
                        f"t{n}", (identity, Column("x", kind.type, extra, kind.value))
                    )
                    for n, extra in enumerate(extras)
                )
            )
        )
