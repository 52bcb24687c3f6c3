"""Autogenerate on MySQL and MariaDB."""

import re

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Dialect
from sqlalchemy.dialects.mysql.base import ischema_names

from ...catalogs import Catalog
from ...catalogs.mysql import STRING, words_of
from ...tables import full_name
from ..differences import Difference
from ..kinds import Kind, Statements
from ..servers import put_foreign_keys_in_order
from ..shadow import Models, Shadow
from .keys import columns_of, columns_of_keys
from .shadow import cast
from .statements import statements

# A column that Alembic reflects as it is.
PLAIN = re.compile(
    rf"({'|'.join(ischema_names)})(\([\d,]+\)|\({STRING}(,{STRING})*\))?"
    r"( unsigned)?( zerofill)?( NOT NULL| NULL)?"
    r"( DEFAULT ('[^'\\]*'|-?[\d.]+|NULL|(?i:current_timestamp)(\(\d*\))?))?"
    rf"( COMMENT {STRING})?"
)
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

        Alembic writes a changed column again, as it has reflected it.
        """
        place, kind = (difference.schema, difference.table), difference.kind
        catalogs = self.shadow.real, self.shadow.made
        keys = {name for each in catalogs for name in columns_of_keys(each, place)}
        if kind == "column":
            name = difference.name
            real, made = (words_of(name, each.get(place, {})) for each in catalogs)
            is_retyped = made and difference.aspect == "type" and name in keys
            plain = all(PLAIN.fullmatch(words) for words in (real, made) if words)
            return not real or (plain and not is_retyped)
        if kind in {"index", "unique"}:
            sides = [words for words in (difference.real, difference.model) if words]
            plain = bool(re.fullmatch(INDEX, difference.real or "KEY (`x`)"))
            return plain and not keys & {columns_of(words)[0] for words in sides}
        return kind in {"check", "foreignkey"} or difference.aspect == "comment"

    def copies(self, difference: Difference) -> str:
        """Return why the table is read-only for a time, as measured on MariaDB."""
        one, fix = difference, ""
        if one.kind == "foreignkey" and one.model and not one.real:
            fix = ". With SET foreign_key_checks = 0 it copies and checks nothing"
        elif (one.kind, one.aspect) == ("column", "type"):
            names = {str(sql).partition("(")[0] for sql in (one.real, one.model)}
            if not one.real or not one.model or names in ({"varchar"}, {"enum"}):
                return ""
        elif one.kind != "check" or not one.model:
            return ""
        table = full_name(one.schema, one.table)
        return f"the server copies {table} for {one.name}, which blocks writes{fix}"

    def statements(self, old: Catalog, new: Catalog, dialect: Dialect) -> Statements:
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
