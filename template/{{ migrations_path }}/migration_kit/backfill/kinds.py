"""What a backfill needs of a kind of database."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ..rooms import part

Key = tuple[Any, ...]
Condition = sa.ColumnElement[bool]


class Kind:
    """A kind of database; `kind` in `sqlite.py`, `postgresql.py` or `mysql.py` is an instance.

    Attributes:
        table_options: of the table that records the progress of backfills.
    """

    table_options: Mapping[str, Any] = {}

    def session(
        self, connection: sa.Connection, name: str
    ) -> AbstractContextManager[None]:
        """Let no other process work on a backfill; give up soon where others hold its rows.

        The record alone keeps a batch from being done twice; a lock lets the second process give
        up immediately, and never the first. Without a lock, it may be either of them.

        Args:
            connection: to the database, in no transaction.
            name: of the backfill, with its version table and schema.

        Raises:
            CommandError: if another process does.
        """
        return nullcontext()

    def refuse(self, connection: sa.Connection, table: sa.TableClause) -> None:
        """Refuse a table where a batch could be done and not be recorded."""

    def estimate(self, connection: sa.Connection, table: sa.TableClause) -> int:
        """Return about how many rows there are, or 0 if that is not known."""
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0

    def begin(self, connection: sa.Connection) -> None:
        """Prepare the transaction of a batch."""

    def is_busy(self, error: DBAPIError) -> bool:
        """Return whether others hold the rows; the batch was rolled back, or can be."""
        return False

    def lag(self, connection: sa.Connection) -> float:
        """Return how many seconds the last replica is behind, as far as we may know."""
        return 0

    def type_of_key(self, reflected: Any) -> Any:
        """Return the type with which values of a key's column are read and compared."""
        return reflected

    def compare(self, columns: list[Any], operator: str, key: Key) -> Condition:
        """Return the condition for rows before or behind a key of several columns."""
        values = [
            sa.literal(value, column.type)
            for column, value in zip(columns, key, strict=True)
        ]
        return compare(sa.tuple_(*columns), operator, sa.tuple_(*values))


def kind_of(connection: sa.Connection) -> Kind:
    """Return what the project has for the kind of a database."""
    module = part("backfill", connection.dialect.name)
    kind: Kind = module.kind if module else Kind()
    return kind


def compare(column: Any, operator: str, value: Any) -> Condition:
    """Return a comparison, such as that of `__gt__`."""
    condition: Condition = getattr(column, operator)(value)
    return condition
