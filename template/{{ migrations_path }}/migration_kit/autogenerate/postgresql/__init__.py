"""Autogenerate on PostgreSQL: the shadow, changes as statements, ENUM types, schemas."""

import re
from importlib.util import find_spec
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, Dialect, inspect

from ...catalogs import Catalog, Objects
from ...command import get_command
from ..differences import Difference
from ..kinds import Kind, Statements
from ..servers import put_foreign_keys_in_order
from ..shadow import Models, Shadow
from . import concurrently as concurrently
from .shadow import cast
from .statements import LABEL, Change, mentions

library: Any = None  # of ENUM types
if find_spec("alembic_postgresql_enum"):
    from . import enums

    library = enums

# Types of a family become each other without a cast in the statement.
FAMILIES = [
    {"smallint", "integer", "bigint", "real", "double precision", "numeric"},
    {"text", "character varying"},
]

# What Alembic reads of the database, and says again in a downgrade, as it is.
COLUMNS = r"\((?:[\w$]+(?:, )?)+\)"
PLAIN = re.compile(
    rf"CREATE (UNIQUE )?INDEX \S+ ON \S+ USING btree {COLUMNS}|UNIQUE {COLUMNS}|CHECK .*|"
    rf"FOREIGN KEY {COLUMNS} REFERENCES \S+{COLUMNS}( ON (UPDATE|DELETE) [A-Z ]+)?",
    re.DOTALL,
)


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
        self.labels: set[str] = set()  # that ENUM types get

    def cast(self, connection: Connection, models: Models) -> Shadow:
        """Cast the shadow.

        Raises:
            CommandError: if a revision may have to create ENUM types, and nothing does.
        """
        shadow = cast(connection, models)
        kinds = {kind for objects in shadow.made.values() for kind, _, _ in objects}
        if "enum" in kinds and not library and get_command() == "revision":
            raise CommandError(
                "the models have ENUM types. Run `uv add alembic-postgresql-enum`, which creates them"
            )
        if library and not shadow.note:
            library.show_on_both_sides(shadow)
        self.real = shadow.real
        self.labels = {
            f"{label}::"
            for place, objects in shadow.made.items()
            for item in [one for one in objects if one[0] == "enum"]
            for label in LABEL.findall(objects[item])
            if label not in self.real.get(place, {}).get(item, "")
        }
        return shadow

    def is_said(self, difference: Difference) -> bool:
        """Return whether nothing else depends on it, and reflection tells all of it."""
        real = difference.real
        sides = [one for one in (real, difference.model) if one]
        match difference.kind, difference.aspect:
            case "column" | "table", "nullable" | "comment":
                return True
            case "column", "default":
                return not any("nextval" in one for one in sides)
            case "column", "type":
                bare = {re.sub(r"\(.*\)", "", one) for one in sides}
                return len(sides) == 1 or (
                    any(bare <= family for family in FAMILIES)
                    and not self.is_named(difference.name, "computed", "view")
                )
            case "unique", "definition":
                key = (real or "").replace("UNIQUE ", difference.table)
                is_key = real and self.is_named(key, "foreignkey")
                return not is_key and all(re.fullmatch(PLAIN, one) for one in sides)
            case "index" | "foreignkey" | "check", "definition":
                return not real or bool(re.fullmatch(PLAIN, real))
        return False

    def is_named(self, name: str, *whats: str) -> bool:
        """Return whether any definition of some kinds, or aspects, has a name."""
        return any(
            {kind, aspect} & {*whats} and mentions(sql.replace('"', ""), name)
            for objects in self.real.values()
            for (kind, _, aspect), sql in objects.items()
        )

    def creates(self, made: Objects) -> bool:
        """Return whether no constraint has a comment, no key an option, no value is a new label."""
        return not any(
            (aspect == "comment" and kind not in {"table", "column"})
            or (kind == "primary" and not sql.endswith(")") or " INCLUDE " in sql)
            or any(label in sql for label in self.labels)
            for (kind, _, aspect), sql in made.items()
        )

    def statements(self, old: Catalog, new: Catalog, dialect: Dialect) -> Statements:
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
