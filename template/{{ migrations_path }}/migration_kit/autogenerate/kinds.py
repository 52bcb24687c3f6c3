"""What autogenerate does otherwise on one kind of database than on the others."""

from collections.abc import Iterator

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Dialect

from ..catalogs import Catalog, Objects
from ..rooms import part
from .differences import Difference
from .shadow import Models, Shadow

Statements = Iterator[tuple[int, str]]  # each with its phase


class Kind:
    """A kind of database; `kind` in `sqlite.py`, `postgresql/` or `mysql.py` is an instance.

    Attributes:
        parts: SQL that returns the tables of `:schema` that belong to an extension or a table.
    """

    parts = ""

    def cast(self, connection: Connection, models: Models) -> Shadow:
        """Return the catalogs of the database and of the models; nothing is left of the latter."""
        return Shadow({}, {}, note=f"{connection.dialect.name} has no shadow")

    def is_said(self, difference: Difference) -> bool:
        """Return whether an operation of Alembic's says a difference as it is, both ways."""
        return True

    def copies(self, difference: Difference) -> str:
        """Return why the server copies the table to end a difference, or nothing."""
        return ""

    def creates(self, made: Objects) -> bool:
        """Return whether Alembic's operation that creates a table says all of its objects."""
        return True

    def statements(self, old: Catalog, new: Catalog, dialect: Dialect) -> Statements:
        """Yield statements from one catalog to the other, each with its phase.

        A table, type or sequence of one side only is created or dropped. A statement that begins
        with `--` is a comment for the person who reviews the revision.
        """
        return iter(())

    def complete(self, migration: MigrationContext, container: ops.OpContainer) -> None:
        """Order operations so that the database can run them, and add what they need."""


def kind_of(dialect: Dialect) -> Kind:
    """Return what the room has for a dialect of SQLAlchemy."""
    module = part("autogenerate", dialect.name)
    kind: Kind = module.kind if module else Kind()
    return kind
