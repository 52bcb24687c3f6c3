"""Autogenerate on PostgreSQL: the shadow, changes as statements, ENUM types, schemas."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Dialect, inspect

from ...catalogs import Catalog, Objects
from ..differences import Difference
from ..kinds import Kind
from ..servers import put_foreign_keys_in_order
from ..shadow import Models, Shadow
from . import concurrently as concurrently
from .shadow import cast
from .statements import Change, mentions

library: Any = None  # of ENUM types
if find_spec("alembic_postgresql_enum"):
    from . import enums

    library = enums

# Types of a family become each other without a cast in the statement.
FAMILIES = [
    "smallint|integer|bigint|real|double precision|numeric.*",
    "text|character varying.*",
]

# What Alembic reads of the database, and says again in a downgrade, as it is.
COLUMNS = r"\((?:[\w$]+(?:, )?)+\)"
PLAIN = {
    "index": rf"CREATE (?:UNIQUE )?INDEX \S+ ON \S+ USING btree {COLUMNS}",
    "unique": f"UNIQUE {COLUMNS}",
    "foreignkey": rf"FOREIGN KEY {COLUMNS} REFERENCES \S+{COLUMNS}"
    r"(?: ON (?:UPDATE|DELETE) [A-Z ]+)?",
    "check": r"CHECK [\s\S]*",
}


class PostgreSQL(Kind):
    """PostgreSQL has tables that belong to an extension, or to another table."""

    parts = """
SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p') AND nspname = coalesce(:schema, current_schema())
AND (EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid)
OR EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e'))
"""

    def __init__(self) -> None:
        self.real: Catalog = {}  # of the last cast

    def cast(self, connection: Connection, models: Models) -> Shadow:
        """Cast the shadow."""
        shadow = cast(connection, models)
        if library and not shadow.note:
            library.show_on_both_sides(shadow)
        self.real = shadow.real
        return shadow

    def is_said(self, difference: Difference) -> bool:
        """Return whether nothing else depends on it, and reflection tells all of it."""
        real, model = difference.real, difference.model
        match difference.kind, difference.aspect:
            case "column", "nullable" | "comment":
                return True
            case "column", "default":
                return not re.search("(?m)^SERIAL|nextval", f"{real}\n{model}")
            case "column", "type" if real and model:
                return not self.is_named(difference.name, "computed", "view") and any(
                    re.fullmatch(one, real) and re.fullmatch(one, model)
                    for one in FAMILIES
                )
            case "column", "type":
                return True
            case "table", "comment":
                return True
            case "unique", "definition":
                plain = all(
                    re.fullmatch(PLAIN["unique"], one) for one in (real, model) if one
                )
                key = (
                    f"{difference.table}{(real or model or '').removeprefix('UNIQUE ')}"
                )
                return plain and not any(
                    kind == "foreignkey" and key in sql.replace('"', "")
                    for objects in self.real.values()
                    for (kind, _, _), sql in objects.items()
                )
            case "index" | "foreignkey" | "check" as kind, "definition":
                return not real or bool(re.fullmatch(PLAIN[kind], real))
        return False

    def is_named(self, name: str, *whats: str) -> bool:
        """Return whether any definition of some kinds, or aspects, has a name."""
        return any(
            mentions(sql, name)
            for objects in self.real.values()
            for (kind, _, aspect), sql in objects.items()
            if kind in whats or aspect in whats
        )

    def creates(self, made: Objects) -> bool:
        """Return whether no constraint has a comment, and no primary key an option."""
        return not any(
            (aspect == "comment" and kind not in {"table", "column"})
            or (kind == "primary" and not sql.endswith(")") or " INCLUDE " in sql)
            for (kind, _, aspect), sql in made.items()
        )

    def statements(
        self, old: Catalog, new: Catalog, dialect: Dialect
    ) -> Iterator[tuple[int, str]]:
        """Yield statements; not of ENUM types of one side only, see `cast`."""
        return Change(old, new, dialect).statements()

    def complete(self, migration: MigrationContext, container: ops.OpContainer) -> None:
        """Create the schemas that are missing; they stay, as others may use them as well."""
        put_foreign_keys_in_order(container)
        creates = [op for op in container.ops if isinstance(op, ops.CreateTableOp)]
        there = inspect(migration.connection).get_schema_names() if creates else ()
        missing = {op.schema for op in creates if op.schema} - {*there}
        quote = migration.dialect.identifier_preparer.quote
        if library:  # types come before all else, and go last
            container.ops.sort(key=library.position)
        container.ops[:0] = [
            ops.ExecuteSQLOp(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
            for schema in sorted(missing)
        ]


kind = PostgreSQL()
