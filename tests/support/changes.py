"""Changes of one property of one object each, in random schemas with rows, for Hypothesis.

A property is a list of alternatives, and a change is two of them. Their sources have tokens:
`$t` is the name of the table, `$x`, `$y`, `$n`, `$m` those of its columns as SQL, `@x` and so on
as Python, and `$d` the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from hypothesis import strategies as st

from support.roundtrip import Outcome, Program, Runner
from support.schemas import (
    COMMENTS,
    CONVENTION,
    KINDS,
    Case,
    Column,
    Schema,
    Table,
    chance,
    check,
    columns,
    index,
    quote,
    rows_of,
    smaller_schemas,
    source,
    unique,
)


@dataclass(frozen=True)
class Part:
    """What an alternative adds to the schema, and what it has instead of the key `id`."""

    columns: tuple[Column, ...] = ()
    items: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    tails: tuple[str, ...] = ()
    others: tuple[Table, ...] = ()
    key: tuple[Column, ...] = ()
    text: str = "sa.String(50)"


@dataclass(frozen=True)
class Property:
    """A property that can change, on the databases whose initials are given."""

    name: str
    databases: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Change(Case):
    """A schema, and the same one with another value of one property."""

    property: str = ""
    more_rows: tuple[str, ...] = ()

    def programs(self, database: str) -> tuple[Program, Program | None]:
        """Return what a runner takes."""
        before, after = super().programs(database)
        rows = before.rows + self.more_rows if self.rows else ()
        return replace(before, rows=rows), after


# --------------------------------------------------------------------------------- Alternatives

FOUND: list[Property] = []


def has(name: str, databases: str, *parts: Part) -> None:
    """Tell of a property."""
    FOUND.append(Property(name, databases, parts))


def items(*texts: str, **common: tuple[Table | Column, ...]) -> Iterator[Part]:
    """Yield a part for each constraint or index, and one without any for an empty text."""
    for text in texts:
        yield Part(items=(text,) if text else (), **common)  # type: ignore[arg-type]


def options(*texts: str) -> Iterator[Part]:
    """Yield a part for each option of a table."""
    return (Part(options=(text,) if text else ()) for text in texts)


def types(value: str, *texts: str, extra: str = "") -> Iterator[Part]:
    """Yield a part for each type of a column."""
    extras = (extra,) if extra else ()
    return (Part((Column("c", text, extras, value),)) for text in texts)


def extras(kind: str, value: str, *texts: str) -> Iterator[Part]:
    """Yield a part for each text behind the type of a column."""
    for text in texts:
        yield Part((Column("c", kind, (text,) if text else (), value),))


def keys(*texts: str, kind: str = "sa.Integer()") -> Iterator[Part]:
    """Yield a part for each text of a primary key."""
    for text in texts:
        extra = tuple(one for one in (text, "primary_key=True") if one)
        yield Part(key=(Column("id", kind, extra, "" if "Identity" in text else "1"),))


def ck(text: str, name: str = "pos") -> str:
    """Return a CHECK."""
    return f'sa.CheckConstraint("{text}"{f", name={name!r}" if name else ""})'


def ix(*arguments: str, name: str = "ix_$t") -> str:
    """Return an index."""
    return f"sa.Index({', '.join([repr(name), *arguments])})"


def sql(text: str) -> str:
    """Return SQL as Python."""
    return f'sa.text("{text}")'


def uq(*arguments: str) -> str:
    """Return a UNIQUE."""
    return f"sa.UniqueConstraint({', '.join(arguments)}, name='uq_$t')"


# ---- CHECK
has("CHECK", "spm", *items(
    ck("$x > 0"), ck("$x > -1"), "", ck("$n IN ('a', 'b')"), ck("$n IN ('a', 'c')"),
    ck("$n <> 'Ab'"), ck("$n <> 'AB'"), ck("$n <> 'it''s'"), ck("$n LIKE 'a%'"),
    ck("$x + $y > 0 AND ($y < 5 OR $n IS NULL)"), ck("$x + $y > 0 AND $y < 5 OR $n IS NULL"),
    ck("length($n) < 50"), ck("$x BETWEEN 0 AND 10"), ck("$n <> ' \\\\:b  c'"),
    ck("$n <> ' \\\\:b c'"), ck("CASE WHEN $x > 0 THEN $y > 0 ELSE $y > -9 END"),
))  # fmt: skip
has("CHECK without a name", "spm",
    *items(ck("$x > 0", ""), ck("$x > -1", ""), "", ck("$x > -1", "") + ", " + ck("$y > -1", "")))  # fmt: skip
has("CHECK's name", "spm", *items(ck("$x > 0"), ck("$x > 0", "other")))
has("CHECK of a Boolean", "sm", *types(
    "1", "sa.Boolean()", "sa.Boolean(create_constraint=True, name='b_$t')"))  # fmt: skip
ENUM = "sa.Enum({}, name='e_$t', native_enum=False, create_constraint=True, length=9)"
has("ENUM, not native", "spm", *types(
    "'a'", ENUM.format("'a', 'b'"), ENUM.format("'a', 'b', 'c'"), ENUM.format("'b', 'a'"),
    ENUM.format("'a', \"it's\""), ENUM.format("'a', 'b'").replace("True", "False"),
    "sa.String(9)",
))  # fmt: skip
# ---- indexes
has("index: columns", "spm", *items(
    ix("@x"), ix("@y"), ix("@x", "@y"), ix("@y", "@x"), "", ix("@n", "@x", "@m")))  # fmt: skip
has("index: unique", "spm", *items(ix("@x"), ix("@x", "unique=True")))
has("index: predicate", "sp", *items(*(
    ix("@x", *([f"$d_where={sql(text)}"] if text else []))
    for text in ("$y > 0", "$y > 1", "", "$n = 'A' OR $y IS NULL", "$n = 'a' OR $y IS NULL",
                 "$n IS NOT NULL")
)))  # fmt: skip
has("index: INCLUDE", "p", *items(
    ix("@x"), ix("@x", "postgresql_include=[@y]"), ix("@x", "postgresql_include=[@n, @y]"),
    ix("@x", "@y"),
))  # fmt: skip
has("index: method", "p", *items(
    ix("@x"), ix("@x", "postgresql_using='hash'"), ix("@x", "postgresql_using='brin'")))  # fmt: skip
has("index: GIN", "p", *items(*(
    ix("'c'", "postgresql_using='gin'", *more)
    for more in ([], ["postgresql_ops={'c': 'jsonb_path_ops'}"],
                 ["postgresql_with={'fastupdate': 'off'}"])
), columns=(Column("c", "postgresql.JSONB()", (), "'{}'"),)))  # fmt: skip
has("index: operator class", "p", *items(
    ix("@n"), ix("@n", "postgresql_ops={@n: 'varchar_pattern_ops'}"),
    ix("@n", "postgresql_ops={@n: 'text_pattern_ops'}"),
))  # fmt: skip
has("index: expression", "sp", *items(
    ix(sql("lower($n)")), ix(sql("upper($n)")), ix("@n"), ix("@n", sql("lower($m)")),
    ix(sql("lower($m)"), "@n"), ix(sql("coalesce($n, 'A')")), ix(sql("coalesce($n, 'a')")),
    ix(sql("($x + $y)")), ix(sql("($x + $y)"), "unique=True"), "",
))  # fmt: skip
has(
    "index: DESC", "spm", *items(ix("@x"), ix(sql("$x DESC")), ix("@y", sql("$x DESC")))
)
has("index: NULLS FIRST", "p", *items(
    ix("@x"), ix(sql("$x NULLS FIRST")), ix(sql("$x DESC NULLS LAST"))))  # fmt: skip
has("index: fillfactor", "p", *items(
    ix("@x"), ix("@x", "postgresql_with={'fillfactor': 50}"),
    ix("@x", "postgresql_with={'fillfactor': 70}"),
))  # fmt: skip
has("index: COLLATE", "s", *items(
    ix("@n"), ix(sql("$n COLLATE NOCASE")), ix(sql("$n COLLATE RTRIM"))))  # fmt: skip
has("index: COLLATE", "p", *items(
    ix("@n"), ix(sql('$n COLLATE \\"POSIX\\"')), ix(sql('$n COLLATE \\"C\\"'))))  # fmt: skip
has("index: NULLS NOT DISTINCT", "p", *items(
    ix("@x", "unique=True"), ix("@x", "unique=True", "postgresql_nulls_not_distinct=True")))  # fmt: skip
has("index: prefix length", "m", *items(*(
    ix("@n", *([f"mysql_length={{@n: {size}}}", f"mariadb_length={{@n: {size}}}"] if size else []))
    for size in (5, 9, 0)
)))  # fmt: skip
has("index: FULLTEXT", "m", *items(
    ix("@n"), ix("@n", "mysql_prefix='FULLTEXT'", "mariadb_prefix='FULLTEXT'")))  # fmt: skip
has("index: method", "m", *items(
    ix("@n"), ix("@n", "mysql_using='hash'", "mariadb_using='hash'")))  # fmt: skip
has("index: comment of none, two at once", "spm", *items(
    ix("@x"), ix("@x") + ", " + ix("@y", name="ix2_$t")))  # fmt: skip
# ---- UNIQUE, EXCLUDE, primary keys
has("UNIQUE: columns", "spm", *items(
    uq("@x"), uq("@x", "@y"), uq("@y", "@x"), uq("@n"), "",
    "sa.UniqueConstraint(@x)", ix("@x", "unique=True", name="uq_$t"),
))  # fmt: skip
has("UNIQUE: DEFERRABLE", "p", *items(
    uq("@x"), uq("@x", "deferrable=True"), uq("@x", "deferrable=True", "initially='DEFERRED'")))  # fmt: skip
has("UNIQUE: INCLUDE", "p", *items(
    uq("@x"), uq("@x", "postgresql_include=[@y]"), uq("@x", "postgresql_include=[@y, @n]")))  # fmt: skip
has("UNIQUE: NULLS NOT DISTINCT", "p", *items(
    uq("@x"), uq("@x", "postgresql_nulls_not_distinct=True")))  # fmt: skip
has("UNIQUE: ON CONFLICT", "s", *items(
    uq("@x"), uq("@x", "sqlite_on_conflict='REPLACE'"), uq("@x", "sqlite_on_conflict='IGNORE'")))  # fmt: skip
has("UNIQUE with a foreign key to it", "p", *items(*(
    uq("@x", *more) for more in ([], ["postgresql_include=[@y]"])
), others=(
    Table("r_$t", (Column("id", "sa.Integer()", ("primary_key=True",), "1"),
                   Column("r", "sa.Integer()", ("sa.ForeignKey('$S$t.$X')",), "1"))),
)))  # fmt: skip
RANGE = (Column("c", "postgresql.INT4RANGE()", (), "'[1,2)'"),)
EXCLUDE = "postgresql.ExcludeConstraint(('c', '{}'){}, name='ex_$t')"
has("EXCLUDE", "p", *items(
    EXCLUDE.format("&&", ""), EXCLUDE.format("=", ""), "",
    EXCLUDE.format("&&", f", where={sql('$x > 0')}"),
    EXCLUDE.format("&&", f", where={sql('$x > 1')}"),
    EXCLUDE.format("&&", ", deferrable=True"), EXCLUDE.format("&&", ", using='spgist'"),
    columns=RANGE,
))  # fmt: skip
A, B = (
    Column(name, "sa.Integer()", ("autoincrement=False", "nullable=False"), "1")
    for name in "ab"
)
has("primary key: columns", "spm", *(
    Part(key=(A, B), items=(f"sa.PrimaryKeyConstraint({names})",))
    for names in ("'a'", "'a', 'b'", "'b', 'a'", "'b'")
))  # fmt: skip
has(
    "primary key: type",
    "spm",
    *keys("", kind="sa.Integer()"),
    *keys("", kind="sa.BigInteger()"),
)
has("primary key: ON CONFLICT", "s", *(
    Part(key=(A,), items=(f"sa.PrimaryKeyConstraint('a'{more})",))
    for more in ("", ", sqlite_on_conflict='REPLACE'")
))  # fmt: skip
has("primary key: DEFERRABLE, INCLUDE", "p", *(
    Part(key=(A,), items=(f"sa.PrimaryKeyConstraint('a'{more})",))
    for more in ("", ", deferrable=True", ", postgresql_include=['b']".replace("'b'", "@x"))
))  # fmt: skip
# ---- foreign keys
TEAM = Table("r_$t", (Column("id", "sa.Integer()", ("primary_key=True",), "1"),
                      Column("z", "sa.Integer()", ("unique=True",), "1")))  # fmt: skip


def fk(*arguments: str, target: str = "id", column: str = "@x") -> str:
    """Return a foreign key."""
    text = ", ".join([f"[{column}], ['$Sr_$t.{target}']", *arguments])
    return f"sa.ForeignKeyConstraint({text})"


NAMED = "name='fk_$t'"
for title, databases, found in (
    ("", "spm", [fk(NAMED), "", fk(target="z"), fk(NAMED, column="@y")]),  # no name counts
    (": ON DELETE", "spm", [fk(NAMED), *(
        fk(NAMED, f"ondelete={how!r}")
        for how in ("CASCADE", "SET NULL", "RESTRICT", "NO ACTION"))]),
    (": ON UPDATE", "spm", [fk(NAMED), fk(NAMED, "onupdate='CASCADE'"),
                            fk(NAMED, "onupdate='SET NULL'"), fk("onupdate='SET NULL'", column="@y")]),
    (": DEFERRABLE", "sp", [fk(NAMED), fk(NAMED, "deferrable=True"),
                            fk(NAMED, "deferrable=True", "initially='DEFERRED'")]),
    (": MATCH", "p", [fk(NAMED), fk(NAMED, "match='FULL'"), fk(NAMED)]),
):  # fmt: skip
    has(f"foreign key{title}", databases, *items(*found, others=(TEAM,)))
C = (Column("c", "sa.Integer()", (), "1"),)
for table in (
    "a_$t",
    "z_$t",
):  # by name, one comes before the other table, and one after it
    both = (TEAM.columns[0], Column("z", "sa.Integer()", (), "1"))
    has(f"foreign key and the UNIQUE that it needs, in {table[0]}", "spm",
        Part(C, others=(Table(table, both),)),
        Part(C, (f"sa.ForeignKeyConstraint(['c'], ['$S{table}.z'], name='fk_$t')",),
             others=(Table(table, TEAM.columns),)))  # fmt: skip
PAIR = Table("r_$t", (replace(A, extra=("primary_key=True", *A.extra[:1])),
                      replace(B, extra=("primary_key=True", *B.extra[:1]))))  # fmt: skip
has("foreign key: SET NULL (columns)", "p", *items(*(
    f"sa.ForeignKeyConstraint([@x, @y], ['$Sr_$t.a', '$Sr_$t.b'], name='fk_$t'{how})"
    for how in (", ondelete='SET NULL'", ", ondelete='SET NULL ($Y)'", ", ondelete='SET NULL ($X)'",
                "")
), others=(PAIR,)))  # fmt: skip
# ---- types
for title, databases, value, found in (
    ("integers", "spm", "1", ["sa.Integer()", "sa.BigInteger()", "sa.SmallInteger()"]),
    ("numbers", "spm", "1", ["sa.Integer()", "sa.Numeric(10, 2)", "sa.Float()", "sa.Double()",
                             "sa.Numeric(12, 2)", "sa.Numeric(12, 4)", "sa.Numeric(10)"]),
    ("length", "spm", "'a'", ["sa.String(10)", "sa.String(20)", "sa.Text()", "sa.String(300)",
                              "sa.CHAR(10)"]),
    ("number and text", "spm", "'1'", ["sa.Integer()", "sa.String(20)", "sa.Text()",
                                       "sa.Numeric(8, 3)"]),
    ("Boolean and integer", "spm", "'1'", ["sa.Boolean()", "sa.SmallInteger()", "sa.Integer()"]),
    ("date and time", "spm", "'2020-01-02'", ["sa.Date()", "sa.DateTime()", "sa.String(40)"]),
    ("Time", "spm", "'03:04:05'", ["sa.Time()", "sa.String(40)"]),
    ("JSON and text", "spm", "'{}'", ["sa.JSON()", "sa.Text()", "sa.String(99)"]),
    ("Uuid and text", "spm", "'12345678123456781234567812345678'",
     ["sa.Uuid()", "sa.String(36)", "sa.CHAR(32)"]),
    ("binary", "spm", "'a'", ["sa.LargeBinary()", "sa.Text()", "sa.String(20)"]),
    ("with time zone", "p", "'2020-01-02'",
     ["sa.DateTime()", "sa.DateTime(timezone=True)", "postgresql.TIMESTAMP(precision=3)",
      "postgresql.TIMESTAMP(precision=6)", "postgresql.TIMESTAMP(timezone=True, precision=0)"]),
    ("Time's precision", "p", "'03:04:05'",
     ["sa.Time()", "sa.Time(timezone=True)", "postgresql.TIME(precision=2)"]),
    ("ARRAY, JSONB", "p", "'{}'",
     ["postgresql.JSONB()", "postgresql.ARRAY(sa.Text())", "sa.JSON()", "sa.Text()"]),
    ("ARRAY's element", "p", "'{}'",
     ["postgresql.ARRAY(sa.Integer())", "postgresql.ARRAY(sa.BigInteger())",
      "postgresql.ARRAY(sa.String(5))", "postgresql.ARRAY(sa.String(9))",
      "postgresql.ARRAY(sa.Numeric(10, 2))"]),
    ("interval", "p", "'1 day'",
     ["postgresql.INTERVAL()", "postgresql.INTERVAL(fields='DAY TO SECOND')",
      "postgresql.INTERVAL(precision=3)", "postgresql.INTERVAL(fields='YEAR TO MONTH')"]),
    ("bits", "p", "'101'",
     ["postgresql.BIT(3)", "postgresql.BIT(5)", "postgresql.BIT(5, varying=True)"]),
    ("addresses", "p", "'10.0.0.1'", ["postgresql.INET()", "postgresql.CIDR()", "sa.Text()"]),
    ("ranges", "p", "'[1,2)'", ["postgresql.INT4RANGE()", "postgresql.INT8RANGE()",
                                "postgresql.NUMRANGE()"]),
    ("of extensions, of text search", "p", "'a'",
     ["sa.Text()", "postgresql.CITEXT()", "postgresql.TSVECTOR()", "sa.String(30)"]),
    ("money", "p", "1", ["sa.Numeric(12, 2)", "postgresql.MONEY()"]),
    ("UNSIGNED", "m", "1", ["mysql.INTEGER()", "mysql.INTEGER(unsigned=True)",
                            "mysql.INTEGER(5, zerofill=True)", "mysql.BIGINT(unsigned=True)"]),
    ("TINYINT", "m", "1", ["mysql.TINYINT()", "sa.Boolean()", "mysql.TINYINT(unsigned=True)",
                           "mysql.MEDIUMINT()"]),
    ("display width", "m", "1", ["mysql.INTEGER(5)", "mysql.INTEGER(9)"]),
    ("floating numbers", "m", "1", ["mysql.DOUBLE(10, 2)", "mysql.DOUBLE(12, 4)",
                                    "mysql.FLOAT(7, 3)", "mysql.DOUBLE(10, 2, unsigned=True)"]),
    ("fsp", "m", "'2020-01-02'",
     ["mysql.DATETIME(fsp=3)", "mysql.DATETIME(fsp=6)", "mysql.DATETIME()", "mysql.TIMESTAMP()",
      "mysql.TIMESTAMP(fsp=3)"]),
    ("TIME's fsp", "m", "'03:04:05'", ["mysql.TIME(fsp=3)", "mysql.TIME()", "mysql.TIME(fsp=6)"]),
    ("size of a text", "m", "'a'", ["mysql.TEXT()", "mysql.MEDIUMTEXT()", "mysql.LONGTEXT()",
                                    "mysql.TINYTEXT()"]),
    ("size of a BLOB", "m", "'a'", ["mysql.BLOB()", "mysql.MEDIUMBLOB()", "mysql.LONGBLOB()"]),
    ("JSON and LONGTEXT", "m", "'{}'", ["sa.JSON()", "mysql.LONGTEXT()"]),
    ("character set", "m", "'a'", ["mysql.VARCHAR(20)", "mysql.VARCHAR(20, charset='latin1')",
                                   "mysql.VARCHAR(20, charset='ascii')"]),
    ("binary strings", "m", "'abcde'", ["sa.VARBINARY(5)", "sa.BINARY(5)", "sa.VARBINARY(9)"]),
    ("BIT", "m", "b'1'", ["mysql.BIT(8)", "mysql.BIT(5)"]),
    ("SET", "m", "'p'", ["mysql.SET('p', 'q')", "mysql.SET('p', 'q', 'r')"]),
    ("addresses", "m", "'10.0.0.1'", ["mysql.INET4()", "sa.String(20)"]),
    ("YEAR", "m", "2020", ["mysql.YEAR()", "sa.Integer()"]),
    ("names that SQLite keeps", "s", "1", ["sqlite.DECIMAL(5, 1)", "sqlite.DECIMAL(5, 2)",
                                           "sqlite.REAL()", "sa.BigInteger()"]),
):  # fmt: skip
    has(f"type: {title}", databases, *types(value, *found))
has("type with a default", "spm", *types(
    "1", "sa.Integer()", "sa.BigInteger()", "sa.Numeric(8, 1)", "sa.String(9)",
    extra="server_default='1'"))  # fmt: skip
has("type of NOT NULL, with a comment", "pm", *types(
    "'a'", "sa.String(9)", "sa.String(19)", "sa.Text()", extra="nullable=False, comment='c'"))  # fmt: skip
for initial, first, second in (
    ("s", "NOCASE", "RTRIM"), ("p", "C", "POSIX"), ("m", "utf8mb4_bin", "utf8mb4_unicode_ci")
):  # fmt: skip
    has("collation", initial, *types("'a'", "sa.String(20)", *(
        f"sa.String(20, collation={one!r})" for one in (first, second))))  # fmt: skip
    has("collation with a default", initial, *types("'a'", "sa.String(20)", *(
        f"sa.String(20, collation={one!r})" for one in (first, second)),
        extra="nullable=False, server_default='x'"))  # fmt: skip
has("collation of a text", "p", *types("'a'", "sa.Text()", "sa.Text(collation='C')"))
# ---- NULL, defaults
has("nullable", "spm", *extras("sa.Integer()", "1", "nullable=True", "nullable=False"))
has("nullable, with a default", "spm", *extras(
    "sa.String(9)", "'a'", "nullable=True, server_default='x'",
    "nullable=False, server_default='x'"))  # fmt: skip
for title, databases, kind, value, found in (
    ("text", "spm", "sa.String(50)", "'a'", ["'a'", "'A'", "\"it's\"", "''", "'100%'", "'a:b'"]),
    ("number", "spm", "sa.Integer()", "1", ["'0'", "'1'", sql("-1"), sql("(1 + 1)")]),
    ("Boolean", "spm", "sa.Boolean()", "true", ["sa.true()", "sa.false()"]),
    ("time", "spm", "sa.DateTime()", "'2020-01-02'",
     ["sa.func.current_timestamp()", "'2020-01-02 03:04:05'"]),
    ("expression", "sp", "sa.Text()", "'a'",
     [sql("(lower('A'))"), sql("(upper('A'))"), sql("(lower('a'))")]),
    ("expression", "m", "sa.String(50)", "'a'",
     [sql("(lower('A'))"), sql("(upper('A'))"), sql("(uuid())")]),
    ("JSON", "p", "postgresql.JSONB()", "'{}'", ["'{}'", "'[]'", sql("'{}'::jsonb")]),
    ("array", "p", "postgresql.ARRAY(sa.Text())", "'{}'", ["'{}'", "'{A}'", sql("ARRAY['a']")]),
    ("Uuid", "p", "sa.Uuid()", "gen_random_uuid()",
     [sql("gen_random_uuid()"), "'12345678-1234-5678-1234-567812345678'"]),
    ("ON UPDATE", "m", "mysql.DATETIME()", "'2020-01-02'",
     [sql("CURRENT_TIMESTAMP"), sql("CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP")]),
    ("bits", "m", "mysql.BIT(8)", "b'1'", [sql("b'1'"), sql("b'10'")]),
):  # fmt: skip
    texts = ["", *(f"server_default={one}" for one in found)]
    has(f"default: {title}", databases, *extras(kind, value, *texts))
# ---- Computed, Identity, sequences
has("Computed", "sm", *extras("sa.Integer()", "", *(
    f'sa.Computed("{text}", persisted={kept})' if text else ""
    for text, kept in (("$x + 1", True), ("$x + 2", True), ("", True), ("$x + 1", False),
                       ("$x + 2", False))
)))  # fmt: skip
has("Computed", "p", *extras("sa.Integer()", "", *(
    f'sa.Computed("{text}", persisted=True)' if text else ""
    for text in ("$x + 1", "$x + 2", "", "$x * $y")
)))  # fmt: skip
has("Computed: text", "spm", *extras("sa.String(60)", "", *(
    f'sa.Computed("{text}", persisted=True)'
    for text in ("lower($n)", "upper($n)", "coalesce($n, 'A')", "coalesce($n, 'a')")
)))  # fmt: skip
has("Computed: its column's type", "p", *(
    Part((Column("c", kind, (), "1"),
          Column("g", "sa.BigInteger()", ("sa.Computed('c + 1', persisted=True)",))),
         ("sa.Index('ig_$t', 'g')",))
    for kind in ("sa.Integer()", "sa.BigInteger()", "sa.SmallInteger()")
))  # fmt: skip
has("Identity of the key", "p", *keys(
    "", "sa.Identity()", "sa.Identity(start=5, minvalue=2, maxvalue=1000)",
    "sa.Identity(always=True)", "sa.Identity(increment=5)", "sa.Identity(cache=5, cycle=True)",
    "autoincrement=False",
))  # fmt: skip
has("Identity", "p", *extras(
    "sa.BigInteger()", "1", "nullable=False", "sa.Identity()", "sa.Identity(always=True)",
    "sa.Identity(increment=5)"))  # fmt: skip
has("autoincrement", "pm", *keys("", "autoincrement=False"))
has(
    "autoincrement of BIGINT",
    "pm",
    *keys("", "autoincrement=False", kind="sa.BigInteger()"),
)
has("AUTOINCREMENT", "s", *options("", "sqlite_autoincrement=True"))
SEQUENCE = "sa.Sequence('s_$t', metadata=metadata{})"
has("sequence", "pm", *(
    Part(heads=(SEQUENCE.format(more),) if more != "-" else ())
    for more in ("", "-", ", increment=10", ", start=5", ", minvalue=1, maxvalue=99",
                 ", cache=7", ", cycle=True")
))  # fmt: skip
has("sequence: data type", "p", *(
    Part(heads=(SEQUENCE.format(more),)) for more in ("", ", data_type=sa.Integer()")))  # fmt: skip
NEXT = SEQUENCE.format("")
has("sequence as a default", "p", *(
    Part((Column("c", "sa.Integer()", extra, "1"),), heads=heads)
    for heads, extra in (
        ((f"numbers = {NEXT}",), ("server_default=numbers.next_value()",)),
        ((f"numbers = {NEXT}",), ()),
        ((), ()),
    )
))  # fmt: skip
# ---- comments
has("comment of a column", "pm", *extras(
    "sa.Integer()", "1", "comment='a'", "comment=\"it's b\"", "", "comment='100%'"))  # fmt: skip
has("comment of a table", "pm", *options("comment='a'", 'comment="it\'s b:c"', ""))
has("comment of a constraint", "p", *items(
    ck("$x > 0"), *(ck("$x > 0")[:-1] + f", comment={one!r})" for one in ("a", "b"))))  # fmt: skip
# ---- ENUM, domains
MOOD = "sa.Enum({}, name='mood_$t')"
VALUES = (
    "'a', 'b'",
    "'a', 'b', 'c'",
    "'a'",
    "'b', 'a'",
    "'a', 'c', 'b'",
    "'a', \"it's\"",
)


def enums(*extra: str, more: tuple[str, ...] = ()) -> Iterator[Part]:
    """Yield a part for each list of values."""
    for values in VALUES[: 3 if extra or more else None]:
        yield Part((Column("c", MOOD.format(values), extra, "'a'"),), more)


has("ENUM", "pm", *enums())
has("ENUM with a default", "pm", *enums("server_default='a'", "nullable=False"))
has("ENUM: new value as a default", "pm", *(
    Part((Column("c", MOOD.format(values), (f"server_default={default}",), "'a'"),))
    for values, default in (("'a', 'b'", "'a'"), ("'a', 'b', 'c'", "'c'"))
))  # fmt: skip
has("ENUM in a CHECK", "pm", *enums(more=(ck("c = 'a'"),)))
has("ENUM in an index", "pm", *enums(more=("sa.Index('ic_$t', 'c')",)))
has("ENUM in a UNIQUE", "pm", *enums(more=(uq("'c'", "@x"),)))
has("ENUM in a partial index", "p", *enums(
    more=("sa.Index('ic_$t', @x, postgresql_where=" + sql("c = 'a'") + ")",)))  # fmt: skip
has("ENUM in an array", "p", *(
    Part((Column("c", f"postgresql.ARRAY({MOOD.format(values)})", (), "'{a}'"),
          Column("d", MOOD.format(values), ("server_default='a'",), "'a'")))
    for values in VALUES[:4]
))  # fmt: skip
has("ENUM in a key and a foreign key", "pm", *(
    Part((Column("c", MOOD.format(values), (), "'a'"),),
         ("sa.ForeignKeyConstraint(['c'], ['$Sr_$t.k'], name='fk_$t')",),
         others=(Table("r_$t", (Column("k", MOOD.format(values), ("primary_key=True",), "'a'"),)),))
    for values in VALUES[:4]
))  # fmt: skip
has(
    "ENUM and text",
    "pm",
    *types("'a'", MOOD.format(VALUES[0]), "sa.String(9)", "sa.Text()"),
)
has("ENUM and text, with a default", "pm", *types(
    "'a'", MOOD.format(VALUES[0]), "sa.String(9)", extra="server_default='a'"))  # fmt: skip
has("ENUM, native or not", "pm", *types(
    "'a'", *(f"sa.Enum('a', 'b', name='mood_$t', native_enum={native}, create_constraint=True, length=9)"
             for native in (True, False)), extra="server_default='a'"))  # fmt: skip
has("ENUM: name of the type", "p", *types(
    "'a'", MOOD.format(VALUES[0]), MOOD.format(VALUES[0]).replace("mood_", "state_")))  # fmt: skip
DOMAIN = "postgresql.DOMAIN('age_$t', sa.Integer(){})"
has("DOMAIN", "p", *types("1", *(
    DOMAIN.format(more)
    for more in (", check='VALUE > 0'", ", check='VALUE > -1'", "",
                 ", check='VALUE > 0', not_null=True", ", check='VALUE > 0', default='5'",
                 ", check='VALUE > 0', default='6'",
                 ", check='VALUE > 0', constraint_name='is_age'")
)))  # fmt: skip
has(
    "DOMAIN and its type",
    "p",
    *types("1", DOMAIN.format(", check='VALUE > 0'"), "sa.Integer()"),
)
# ---- tables
has("table: fillfactor", "p", *options(
    "", "postgresql_with={'fillfactor': 70}", "postgresql_with={'fillfactor': 50}"))  # fmt: skip
has("table: UNLOGGED", "p", *options("", "prefixes=['UNLOGGED']"))
has("table: PARTITION BY", "p", *options(
    "", "postgresql_partition_by='HASH (id)'", "postgresql_partition_by='RANGE (id)'"))  # fmt: skip
has("table: STRICT", "s", *(
    replace(part, text="sa.Text()") for part in options("", "sqlite_strict=True")))  # fmt: skip
has("table: WITHOUT ROWID", "s", *options("", "sqlite_with_rowid=False"))
has(
    "table: ENGINE", "m", *options("", "mysql_engine='Aria'", "mariadb_engine='MyISAM'")
)
has(
    "table: CHARSET",
    "m",
    *options("", "mariadb_charset='latin1'", "mysql_charset='utf8mb3'"),
)
has("table: COLLATE", "m", *options(
    "", "mariadb_collate='utf8mb4_bin'", "mysql_collate='utf8mb4_unicode_ci'"))  # fmt: skip
has("table: ROW_FORMAT", "m", *options(
    "", "mariadb_row_format='COMPRESSED'", "mysql_row_format='DYNAMIC'"))  # fmt: skip
has("table: PARTITION BY", "m", *(
    Part(options=found) for found in (
        (), ("mariadb_partition_by='HASH(id)'", "mariadb_partitions='4'"),
        ("mariadb_partition_by='HASH(id)'", "mariadb_partitions='2'"))
))  # fmt: skip
has("table: PAGE_COMPRESSED", "m", *options("", "mariadb_page_compressed='1'"))
# ---- views
TABLE = "metadata.tables['$S$t']"


def view(where: str = "", **named: str) -> str:
    """Return a view."""
    more = "".join(f", {name}={value}" for name, value in named.items())
    query = f"sa.select({TABLE}.c[@x], {TABLE}.c[@n])"
    condition = f".where({TABLE}.c{where})" if where else ""
    return f"CreateView({query}{condition}, 'v_$t', metadata=metadata{more})"


has("view", "spm", *(
    Part(tails=(text,) if text else ())
    for text in (view(), view("[@x] > 5"), view("[@n] != 'A'"), view("[@n] != 'a'"), "")
))  # fmt: skip
has("view, materialized", "p", *(
    Part(tails=(text,) if text else ())
    for text in (view(materialized="True"), view("[@x] > 5", materialized="True"), view(), "")
))  # fmt: skip
has("view of a column whose type changes", "p", *(
    Part((Column("c", kind, (), "1"),),
         tails=(f"CreateView(sa.select({TABLE}.c.c, {TABLE}.c.c + 1), 'v_$t', metadata=metadata)",))
    for kind in ("sa.Integer()", "sa.BigInteger()")
))  # fmt: skip
# ---- what hangs on a column whose type changes
has("type in a key and a foreign key", "spm", *(
    Part((Column("c", kind, (), "1"),),
         ("sa.ForeignKeyConstraint(['c'], ['$Sr_$t.id'], name='fk_$t', ondelete='CASCADE')",),
         others=(Table("r_$t", (Column("id", kind, ("primary_key=True", "autoincrement=False"), "1"),)),))
    for kind in ("sa.Integer()", "sa.BigInteger()", "sa.String(20)")
))  # fmt: skip
has("type with CHECK and indexes", "spm", *(
    Part((Column("c", kind, (), "'1'"),),
         (ck("c <> '2'"), "sa.Index('ic_$t', 'c', @x)", uq("'c'", "@n")))
    for kind in ("sa.String(20)", "sa.Integer()", "sa.String(30)")
))  # fmt: skip
has("type with EXCLUDE", "p", *(
    Part((Column("c", f"postgresql.{kind}()", (), "'[1,2)'"),),
         ("postgresql.ExcludeConstraint(('c', '&&'), name='ex_$t')",))
    for kind in ("INT4RANGE", "INT8RANGE")
))  # fmt: skip
has("Boolean to integer in a partial index", "p", *(
    Part((Column("c", kind, (f"server_default={sql(default)}",), "'1'"),),
         (f"sa.Index('ic_$t', @x, postgresql_where={sql(where)})",))
    for kind, default, where in (("sa.Boolean()", "true", "c"), ("sa.Integer()", "1", "c = 1"))
))  # fmt: skip
has("text to ENUM with a CHECK", "pm", *(
    Part((Column("c", kind, ("server_default='a'",), "'a'"),), (ck(f"c <> {other}"),))
    for kind, other in ((MOOD.format(VALUES[0]), "'b'"), ("sa.String(9)", "'z'"))
))  # fmt: skip
# ---- columns and tables
has("column", "spm", *extras("sa.Integer()", "1", "", "server_default='1', nullable=False"),
    Part(), *extras("sa.String(9)", "'a'", "unique=True"))  # fmt: skip
has("table", "spm", Part(), Part(others=(TEAM,)))


# Its alternatives are drawn.
ANY_DEFAULT = Property("default: any", "spm", ())


def properties(database: str) -> list[Property]:
    """Return the properties of a database."""
    return [ANY_DEFAULT, *(one for one in FOUND if database[0] in one.databases)]


@st.composite
def random_default(draw: st.DrawFn, database: str) -> Property:
    """Draw a type, and its defaults as alternatives."""
    kind = draw(st.sampled_from([one for one in KINDS[database] if one.defaults]))
    texts = ["", *(f"server_default={one}" for one in kind.defaults)]
    return replace(ANY_DEFAULT, parts=tuple(extras(kind.type, kind.value, *texts)))


# ------------------------------------------------------------------------------------ In a schema

NAMES = ["heroes", "Camel", "with space", "order", "ünïcode"]
COLUMN_NAMES = ["Camel", "with space", "order", "ünïcode", "per%cent"]
# Neighbours that would share the name of a type with others.
SHARED = re.compile(r"\bname='\w+'|(?:DOMAIN)\('\w+'|Enum\(Colour\)")


@dataclass(frozen=True)
class Names:
    """What the tokens stand for."""

    database: str
    table: str
    schema: str
    columns: dict[str, str]

    def fill(self, text: str) -> str:
        """Replace the tokens."""
        schema = f"{self.schema}." if self.schema else ""
        text = text.replace("$S", schema).replace("$t", self.table)
        text = text.replace("$d", self.database)
        for token, name in self.columns.items():
            plain = name.isidentifier() and name.isascii() and name.islower()
            quoted = name if plain and name != "order" else quote(name, self.database)
            text = text.replace(f"@{token}", repr(name))
            # SQL stands in a Python string of double quotes.
            text = text.replace(f"${token}", quoted.replace('"', '\\"'))
            text = text.replace(f"${token.upper()}", name)
        return text

    def column(self, column: Column) -> Column:
        """Fill in a column."""
        extra = tuple(self.fill(one) for one in column.extra)
        return replace(column, type=self.fill(column.type), extra=extra)


@dataclass(frozen=True)
class Context:
    """What is around the property: it is the same before and after."""

    names: Names
    neighbours: tuple[Column, ...] = ()
    items: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def tables(self, part: Part) -> tuple[Table, ...]:
        """Return the table with an alternative in it, and the tables beside it."""
        names = self.names
        key = part.key or (Column("id", "sa.Integer()", ("primary_key=True",), "1"),)
        named = names.columns
        own = (
            Column(named["x"], "sa.Integer()", (), "1"),
            Column(named["y"], "sa.Integer()", (), "1"),
            Column(named["n"], part.text, (), "'a'"),
            Column(named["m"], part.text, (), "'b'"),
        )
        changed = tuple(names.column(column) for column in part.columns)
        table = Table(
            names.table,
            (*(names.column(one) for one in key), *own, *changed, *self.neighbours),
            tuple(names.fill(item) for item in (*part.items, *self.items)),
            tuple(names.fill(one) for one in (*part.options, *self.options)),
            names.schema,
        )
        others = tuple(
            Table(
                names.fill(other.name),
                tuple(names.column(column) for column in other.columns),
                schema=names.schema,
            )
            for other in part.others
        )
        return (*others, table)

    def schema(self, part: Part) -> Schema:
        """Return the schema with an alternative in it."""
        return Schema(
            self.tables(part),
            (),
            tuple(self.names.fill(head) for head in part.heads),
            tuple(self.names.fill(tail) for tail in part.tails),
        )


@st.composite
def contexts(draw: st.DrawFn, database: str, table: str, part: Part) -> Context:
    """Draw what is around an alternative; the simplest is nothing."""
    columns_ = {token: token for token in "xynm"}
    if draw(chance(3)):
        odd = draw(st.permutations(COLUMN_NAMES))
        columns_ |= dict(
            zip(draw(st.sampled_from(["x", "n", "xy", "xynm"])), odd, strict=False)
        )
    schema = "other" if database == "postgresql" and draw(chance(6)) else ""
    names = Names(database, table, schema, columns_)
    plain = Context(names)
    neighbours = tuple(
        column
        for name in ["e", "f", "g"][: draw(st.integers(0, 3))]
        if not SHARED.search((column := draw(columns(database, name))).type)
    )
    context = replace(plain, neighbours=neighbours)
    (around,) = context.tables(Part(key=part.key))
    found = [
        text
        for number in range(draw(st.integers(0, 2)))
        if (
            text := draw(
                draw(st.sampled_from([unique, check, index]))(database, around, number)
            )
        )
    ]
    given: tuple[str, ...] = ()
    if database != "sqlite" and draw(chance(4)):
        given = (f"comment={draw(st.sampled_from(COMMENTS))}",)
    return replace(context, items=tuple(found), options=given)


@st.composite
def changes(draw: st.DrawFn, database: str, one: Property) -> Change:
    """Draw a change of a property."""
    if not one.parts:
        one = draw(random_default(database))
    table = draw(st.sampled_from(NAMES[:1] * 3 + NAMES))
    pairs = [(a, b) for a in one.parts for b in one.parts if a != b]
    before, after = draw(st.sampled_from(pairs))
    if one.name in {"table: CHARSET", "table: COLLATE"} and not after.options:
        before, after = after, before  # a model that names none leaves the database's
    context = draw(contexts(database, table, before))
    if one.name == "comment of a table":
        context = replace(context, options=())
    elif one.name == "table: STRICT":
        context = replace(context, neighbours=(), items=())
    convention = (CONVENTION,) if draw(st.booleans()) else ()
    items = (*before.items, *after.items, *context.items)
    if any(
        one.startswith("sa.CheckConstraint") and "name=" not in one for one in items
    ):
        convention = ()  # the convention wants a name
    rows = draw(st.sampled_from([1, 1, 2, 0]))
    return change_of(context, one.name, (before, after), convention, rows)


def change_of(
    context: Context,
    name: str,
    pair: tuple[Part, Part],
    convention: tuple[str, ...] = (),
    rows: int = 1,
) -> Change:
    """Return a change of a property."""
    before, after = (replace(context.schema(one), options=convention) for one in pair)
    more: tuple[str, ...] = ()
    if rows > 1:
        more = tuple(second_rows(before, context.names.database))
    return Change(before, after, bool(rows), property=name, more_rows=more)


def second_rows(schema: Schema, database: str) -> Iterator[str]:
    """Yield another row for each table: NULL where it may be, other numbers in its key."""
    tables = []
    for table in schema.tables:
        found = [
            replace(column, value="2" if column.value == "1" else column.value)
            for column in table.columns
            if any(
                "primary_key=True" in one or "nullable=False" in one
                for one in column.extra
            )
        ]
        tables.append(replace(table, columns=tuple(found)))
    return rows_of(replace(schema, tables=tuple(tables)), database)


def take(runner: Runner, change: Case) -> Outcome:
    """Take a change up and down; rows that stop a revision with REVIEW may, if it goes without."""
    database = runner.url.get_backend_name()
    outcome = runner.change(*change.programs(database))
    if outcome.stopped and change.rows:
        empty = replace(change, rows=False)
        if not runner.change(*empty.programs(database)).failed:
            return replace(outcome, step="rows")
    return outcome


def plain_changes(database: str) -> Iterator[Change]:
    """Yield a change from each alternative of each property to the next one, in tables of their own."""
    number = 0
    for one in properties(database):
        for pair in pairwise(one.parts):
            names = Names(database, f"t{number}", "", {name: name for name in "xynm"})
            yield change_of(Context(names), one.name, pair)
            number += 1


def together(changes: list[Change]) -> Change:
    """Return one change of many tables; each has names of its own."""
    after = [one.after for one in changes if one.after]
    return Change(
        merged([one.before for one in changes]),
        merged(after),
        rows=True,
        property=", ".join(one.property for one in changes),
    )


def merged(schemas: list[Schema]) -> Schema:
    """Return a schema with all that is in some."""
    return Schema(
        tuple(table for one in schemas for table in one.tables),
        schemas[0].options,
        tuple(head for one in schemas for head in one.heads),
        tuple(tail for one in schemas for tail in one.tails),
    )


def smaller_changes(change: Case) -> Iterator[Case]:
    """Yield changes with less around them."""
    assert change.after
    if change.rows:
        yield replace(change, rows=False)
    for before in smaller_schemas(change.before):
        for after in smaller_schemas(change.after):
            if lost(change.before, before) == lost(change.after, after):
                yield replace(change, before=before, after=after)


def lost(schema: Schema, smaller: Schema) -> set[str]:
    """Return the lines that a smaller schema lacks."""
    return set(source(schema).splitlines()) ^ set(source(smaller).splitlines())
