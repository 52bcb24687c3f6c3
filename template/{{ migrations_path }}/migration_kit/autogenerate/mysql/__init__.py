"""Autogenerate on MySQL and MariaDB."""

import re
from collections.abc import Iterator

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Dialect
from sqlalchemy.dialects.mysql.base import ischema_names

from ...catalogs import Catalog
from ..differences import Difference
from ..kinds import Kind
from ..servers import put_foreign_keys_in_order
from ..shadow import Models, Shadow
from .keys import columns_of, columns_of_keys
from .shadow import cast
from .statements import statements

# Aspects of a column that Alembic reflects as they are, and indexes.
PLAIN = {
    "type": rf"({'|'.join(ischema_names)})\b.*",
    "nullable": ".*",
    "default": r"'[^'\\]*'|-?[\d.]+|(?i:current_timestamp)(\(\d*\))?",
    "comment": ".*",
}
INDEX = r"(UNIQUE )?KEY \(`[^()]*`\)"


class MySQL(Kind):
    """MySQL and MariaDB make an index for each foreign key that has none."""

    shadow = Shadow({}, {})

    def cast(self, connection: Connection, models: Models) -> Shadow:
        """Make temporary tables, and the rest in a scratch database."""
        self.shadow = cast(connection, models)
        return self.shadow

    def is_said(self, difference: Difference) -> bool:
        """Return whether an operation of Alembic's says a difference as it is, both ways.

        Alembic writes a changed column anew, as it has reflected it.
        """
        place, kind = (difference.schema, difference.table), difference.kind
        catalogs = self.shadow.real, self.shadow.made
        keys = {name for each in catalogs for name in columns_of_keys(each, place)}
        if kind == "column":
            real, made = (
                {
                    aspect: words
                    for (_, name, aspect), words in each.get(place, {}).items()
                    if name == difference.name
                }
                for each in catalogs
            )
            is_retyped = difference.aspect == "type" and difference.name in keys
            return (
                not real
                or not (made and is_retyped)
                and all(
                    re.fullmatch(PLAIN.get(aspect, "-"), words)
                    for aspect, words in (*real.items(), *made.items())
                )
            )
        if kind in {"index", "unique"}:
            sides = filter(None, [difference.real, difference.model])
            is_plain = re.fullmatch(INDEX, difference.real or "KEY (`x`)")
            return bool(is_plain) and all(
                columns_of(one)[0] not in keys for one in sides
            )
        return kind in {"check", "foreignkey"} or difference.aspect == "comment"

    def statements(
        self, old: Catalog, new: Catalog, dialect: Dialect
    ) -> Iterator[tuple[int, str]]:
        """Yield statements from one catalog to the other, each with its phase."""
        return statements(old, new)

    def complete(self, migration: MigrationContext, container: ops.OpContainer) -> None:
        """Drop no index that a foreign key needs (error 1553): it goes with its table."""
        put_foreign_keys_in_order(container)
        drops = [op for op in container.ops if isinstance(op, ops.DropTableOp)]
        dropped = {(op.schema, op.table_name) for op in drops}
        container.ops = [
            op
            for op in container.ops
            if not isinstance(op, ops.ModifyTableOps)
            or (op.schema, op.table_name) not in dropped
        ]


kind = MySQL()
