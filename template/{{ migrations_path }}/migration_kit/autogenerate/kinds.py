"""What autogenerate does otherwise on one kind of database than on the others."""

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import DefaultClause, Dialect

from ..rooms import part


class Kind:
    """A kind of database; `kind` in `sqlite.py`, `postgresql/` or `mysql.py` is an instance.

    Attributes:
        parts: SQL that returns the tables of `:schema` that belong to an extension or a table.
        after_trial: SQL that drops a temporary table, where a rollback does not.
        noise: a pattern of what means nothing in a default.
    """

    parts = ""
    after_trial = ""
    noise = "$"

    def default_sql(self, default: DefaultClause, sql: str, dialect: Dialect) -> str:
        """Return the SQL of a default as a revision writes it."""
        return sql

    def complete(self, migration: MigrationContext, container: ops.OpContainer) -> None:
        """Order operations so that the database can run them, and add what they need."""


def kind_of(dialect: Dialect) -> Kind:
    """Return what the room has for a dialect of SQLAlchemy."""
    module = part("autogenerate", dialect.name)
    kind: Kind = module.kind if module else Kind()
    return kind
