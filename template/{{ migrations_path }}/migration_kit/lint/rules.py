"""What `lint` knows of a kind of database: types, words, and the safe way to do things."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from alembic.operations import ops
from sqlalchemy import Dialect, types
from sqlalchemy.exc import CompileError

from ..rooms import part
from .raw_sql import TYPES

if TYPE_CHECKING:
    from .changes import Examined, Finding


class Rules:
    """A kind of database; `rules` in `sqlite.py`, `postgresql.py` or `mysql.py` is the class.

    Args:
        dialect: of the database.

    Attributes:
        dump: the command that saves the rows of `{table}`.
        without_value: the effect of existing rows on a new NOT NULL column.
        not_null: the effect of a new NOT NULL.
        remedies: the safe way, by rule.
        grammar: its name with sqlglot, and `sql_types` those of SQLAlchemy for those of sqlglot.
    """

    dump = "a dump of {table}"
    without_value = "it fails, because existing rows have no value"
    not_null = "NOT NULL fails while a row has NULL"
    remedies: Mapping[str, str] = {
        "drop-table": "drop it one release after the last that uses it, and keep a dump: `{dump}`",
        "drop-column": "remove it from the models, and drop it one release later; "
        "`{dump}` keeps its values",
        "rename-table": "create the new table, write both in one release, copy the rows, and drop "
        "the old one in the next",
        "rename-column": "add the new column, write both in one release, copy the values, and "
        "drop the old one in the next",
        "narrow-type": "add a column of the new type, write both in one release, copy what fits, "
        "and drop the old one in the next",
        "required-column": "add it as nullable, or with server_default; fill the rows, and make it "
        "NOT NULL in the next release",
        "not-null": "fill the rows first: UPDATE {table} SET {column} = ... WHERE {column} IS NULL",
        "unique": "check first: SELECT {columns}, count(*) FROM {table} GROUP BY {columns} "
        "HAVING count(*) > 1",
        "delete-all": "name the rows with WHERE; `{dump}` keeps them",
        "unread": "check yourself what it does",
    }
    grammar = ""
    sql_types: dict[str, Any] = TYPES

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    # ------------------------------------------------------------------------- Types

    def ddl(self, type_: Any) -> str:
        """Return a type as the database writes it."""
        try:
            return str(types.to_instance(type_).compile(dialect=self.dialect))
        except CompileError:  # of a VARCHAR without a length, for example
            return repr(type_)

    def plain(self, type_: Any) -> Any:
        """Return the type that a column has in the database: no decorator, no variant."""
        type_ = types.to_instance(type_)
        for _ in range(5):
            type_ = type_.dialect_impl(self.dialect)
            if not isinstance(type_, types.TypeDecorator):
                break
            type_ = type_.load_dialect_impl(self.dialect)
        return type_

    def narrows(self, old: Any, new: Any, using: str) -> str:
        """Return what values a change of type loses or refuses, or nothing.

        Args:
            old: the column's type.
            new: its new type.
            using: what the server computes the new value of.
        """
        lost = self.lost(self.plain(old), self.plain(new), using)
        return f"{self.ddl(old)} becomes {self.ddl(new)}: {lost}" if lost else ""

    def lost(self, old: Any, new: Any, using: str) -> str:
        """Return what values a change of type loses or refuses, in words."""
        return ""

    def copies(self, old: Any, new: Any) -> str:
        """Return what says that the server copies the table for another type, or nothing."""
        return ""

    def is_in_catalog(self, old: Any, new: Any) -> bool:
        """Return whether the server looks at no row for another type, without USING."""
        return False

    # -------------------------------------------------------------------- Operations

    def blocks(self, operation: ops.MigrateOperation) -> Iterator[tuple[str, str, str]]:
        """Yield rule, name and message for what an operation does to a table with rows."""
        return iter(())

    def findings_of(self, examined: "Examined") -> "list[Finding]":
        """Return what another tool says of a revision."""
        return []

    def ignored(self, source: str) -> set[str]:
        """Return the rules that comments for another tool accept in a revision."""
        return set()

    # --------------------------------------------------------------- SQL of a revision

    def by_pattern(self, sql: str) -> Iterator[ops.MigrateOperation]:
        """Yield operations of statements that other databases do not have."""
        return iter(())

    def of_action(
        self, action: Any, table: str, schema: str | None
    ) -> Iterator[ops.MigrateOperation]:
        """Yield the operations of an action of ALTER TABLE that others do not have."""
        return iter(())


def rules_of(dialect: Dialect) -> Rules:
    """Return what the project has for the kind of a dialect."""
    module = part("lint", dialect.name)
    rules: Rules = module.rules(dialect) if module else Rules(dialect)
    return rules


def family(type_: Any) -> str:
    """Return the sort of values that a type has."""
    for name, classes in {
        "enum": (types.Enum,),
        "string": (types.String,),
        "boolean": (types.Boolean,),
        "integer": (types.Integer,),
        "number": (types.Numeric, types.Float),
        "time": (types.DateTime, types.Date, types.Time, types.Interval),
        "uuid": (types.Uuid,),
        "json": (types.JSON,),
        "binary": (types.LargeBinary, types._Binary),
    }.items():
        if isinstance(type_, classes):
            return name
    return "?"
