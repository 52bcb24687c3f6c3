"""The shadow on PostgreSQL: schemas within a savepoint, so that a killed process leaves nothing."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, ClassVar

from sqlalchemy import Column, Connection, MetaData, Table, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.dialects.postgresql.named_types import NamedType
from sqlalchemy.sql.util import find_tables

from ...catalogs import Objects
from ...catalogs.postgresql import read, search, undone
from ...tables import selectable_of
from ..shadow import Models, Shadow, make, translated
from .statements import LABEL

PREFIX = "migration_kit_shadow_"

READ_ONLY = """
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'
"""

MAY = "SELECT has_database_privilege(current_database(), :what)"
TEMPORARY = "SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()"

# What a column is in keeps the casts of a type that it had: to the wider one of two.
NUMBERS = "bigint|real|double precision|numeric"
WIDE = rf"(?:{NUMBERS}|text|character varying)\b(?!\()"
# One function by several names: the start of the transaction.
NOW = {"now()", "CURRENT_TIMESTAMP", "transaction_timestamp()"}

# A default is cast to the type of its column, whichever it had.
ANY = rf"(?:smallint|integer|{NUMBERS}|text|character varying)(?:\([\d,]+\))?"


def cast(connection: Connection, models: Models, caster: Any = None) -> Shadow:
    """Return the catalogs of the database and of the models, made by another caster or ours."""
    shown = models.shown()
    shadow = Shadow(models.renamed(read(connection, shown)), {})
    if connection.scalar(text(READ_ONLY)):
        shadow.note = "a standby or a read-only transaction can create nothing"
        return shadow
    token = token_hex(4)
    names = {real: f"{PREFIX}{token}_{n}" for n, real in enumerate(shown)}
    with undone(connection):
        if connection.scalar(text(MAY), {"what": "CREATE"}):
            for name in names.values():
                connection.execute(text(f"CREATE SCHEMA {name}"))
        elif len(names) == 1 and connection.scalar(text(MAY), {"what": "TEMPORARY"}):
            # The schema of temporary tables comes with the first one.
            connection.execute(text(f"CREATE TEMPORARY TABLE {PREFIX}{token} ()"))
            names = dict.fromkeys(names, str(connection.scalar(text(TEMPORARY))))
        else:
            shadow.note = "this role may not create a schema"
            return shadow
        (caster or Caster)(connection, models, names, shadow).cast()
    return shadow


@dataclass
class Caster:
    """Makes the models in schemas apart, by parts, and fills `made` of the shadow.

    Attributes:
        names: of the schemas apart, by those of the database.
        of_part: tables; each takes about 8 locks, of which a server has 6,400 by default.
    """

    of_part: ClassVar[int] = 100
    connection: Connection
    models: Models
    names: dict[str, str]
    shadow: Shadow

    def cast(self) -> None:
        """Make and read each part."""
        schemas = self.models.schemas.items()
        translation = {name: self.names[real] for name, real in schemas}
        path = self.connection.scalar(text("SELECT current_setting('search_path')"))
        search(self.connection, f"{translation[None]}, {path}")
        tables = self.models.tables
        for start in range(0, len(tables), self.of_part):
            with undone(self.connection), translated(self.connection, translation):
                self.cast_part(tables[start : start + self.of_part])

    def cast_part(self, part: Sequence[Table]) -> None:
        """Make some tables, with what they need, and read them."""
        whole = with_selected(part)
        whole = [*stand_ins(whole), *whole]
        self.make_types(whole)
        not_made = self.make_what_can_be(whole)
        self.shadow.not_made |= {t: not_made[t] for t in part if t in not_made}
        shown = self.models.shown()
        schemas = {name: shown[real] for real, name in self.names.items()}
        made = read(self.connection, schemas, shown | {"pg_temp": ""})
        own = {self.models.key(table) for table in part}
        for key, objects in made.items():
            if key in own or not key[1]:
                self.even(key, objects)
                self.shadow.made.setdefault(key, {}).update(objects)

    def make_what_can_be(self, tables: list[Table]) -> dict[Table, str]:
        """Make tables, also those that refer to refused ones; return the reasons of the latter."""
        refused = make(self.connection, tables)
        waiting = [
            table
            for table in refused
            for key in table.foreign_key_constraints
            if key.referred_table in refused.keys() - {table}
        ]
        alone = {table: refused[table] for table in refused if table not in waiting}
        if not (waiting and alone):
            return refused
        keys = {(one.schema, one.name) for one in alone}
        others = [one for one in stand_ins(waiting) if (one.schema, one.name) in keys]
        return alone | self.make_what_can_be([*others, *dict.fromkeys(waiting)])

    def make_types(self, tables: list[Table]) -> None:
        """Make the types that no table makes; an ENUM without values has those of the database."""
        dialect = self.connection.dialect
        types: list[Any] = []
        for column in (column for table in tables for column in table.columns):
            kind = column.type._unwrapped_dialect_impl(dialect)
            kind = getattr(kind, "item_type", kind).dialect_impl(dialect)
            if isinstance(kind, NamedType):
                types.append(kind)
        made = {(one.schema, one.name) for one in types if one.create_type}
        for kind in (one for one in types if (one.schema, one.name) not in made):
            if isinstance(kind, ENUM) and not kind.enums:
                schema = self.models.shown()[self.models.schemas[kind.schema]]
                item = "enum", str(kind.name), "definition"
                labels = self.shadow.real.get((schema, ""), {}).get(item, "")
                found = [one[1:-1].replace("''", "'") for one in LABEL.findall(labels)]
                kind = ENUM(*found, name=kind.name, schema=kind.schema)
            kind.create(self.connection)

    def even(self, key: tuple[str, str], made: Objects) -> None:
        """Give what differs in casts the database's words, but not if the model has more of them."""
        real = self.shadow.real.get(key, {})
        for item, ours in made.items():
            theirs, (_, name, aspect) = real.get(item, ours), item
            if aspect == "default":
                column, types = ("column", name, "type"), ANY
                same = made.get(column) == real.get(column)
            else:
                more, fewer = (
                    len(re.findall(f"::({NUMBERS})", sql)) for sql in (theirs, ours)
                )
                # A quotient depends on the types.
                same = aspect == "definition" and fewer <= more and "/" not in ours
                types = WIDE
            words = {without_casts(sql, types) for sql in (ours, theirs)}
            if same and (len(words) == 1 or words <= NOW):
                made[item] = theirs


def with_selected(tables: Iterable[Table]) -> list[Table]:
    """Return tables and, of views, the tables that they select from."""
    found = list(tables)
    for table in found:
        if (selectable := selectable_of(table)) is not None:
            others: list[Any] = find_tables(selectable)
            found += [
                one for one in others if isinstance(one, Table) and one not in found
            ]
    return found


def stand_ins(tables: list[Table]) -> list[Table]:
    """Return what has the keys that tables refer to, but is not made with them."""
    metadata = MetaData()
    for key in (key for table in tables for key in table.foreign_key_constraints):
        if (other := key.referred_table) not in tables:
            columns = [element.column for element in key.elements]
            Table(
                other.name,
                metadata,
                *(Column(one.name, one.type, autoincrement=False) for one in columns),
                UniqueConstraint(*(one.name for one in columns)),
                schema=other.schema,
                extend_existing=True,
            )
    return list(metadata.tables.values())


def without_casts(sql: str, types: str) -> str:
    """Return SQL without casts to some types."""
    kind = rf"::{types}(?:\[\])?"
    cast = re.compile(rf"\(((?:[^()]|\([^()]*\))*)\){kind}|(?<!\)){kind}")
    before = ""
    while before != sql:
        before, sql = sql, cast.sub(r"\1", sql)
    return sql.strip("'")
