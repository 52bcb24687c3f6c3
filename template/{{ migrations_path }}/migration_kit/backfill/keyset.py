"""Pages of a table by its primary key, without counting and without OFFSET from the beginning."""

import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.exc import NoSuchTableError

from .kinds import Condition, Key, compare, kind_of

# Values that JSON does not know: how to write and to read them. The first that fits counts.
KINDS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "decimal": (Decimal, str, Decimal),
    "uuid": (UUID, str, UUID),
}


class Keyset:
    """The primary key of a table, as the database has it.

    Args:
        connection: to the database.
        table: whose columns need not name the key.

    Raises:
        CommandError: if there is no such table, or it has no primary key.
    """

    def __init__(self, connection: sa.Connection, table: sa.TableClause) -> None:
        self.table = table
        inspector = sa.inspect(connection)
        try:
            key = inspector.get_pk_constraint(table.name, table.schema)
            columns = inspector.get_columns(table.name, table.schema)
        except NoSuchTableError:
            raise CommandError(
                f"there is no table {table.name}. Upgrade to the revision that creates it"
            ) from None
        names = key["constrained_columns"]
        if not names:
            raise CommandError(
                f"{table.name} has no primary key for batches. Change its rows in upgrade(), "
                "or add a key first"
            )
        self.kind = kind_of(connection)
        types = {each["name"]: self.kind.type_of_key(each["type"]) for each in columns}
        for name in names:
            if name not in table.c:
                table.append_column(sa.column(name))
        self.columns = [sa.type_coerce(table.c[name], types[name]) for name in names]

    def page(self, connection: sa.Connection, after: Key | None, size: int) -> Key:
        """Return the last key of the next page; an empty one where there are no more rows.

        Args:
            connection: to the database.
            after: the last key of the page before; None for the first page.
            size: rows of a page; the last one may have fewer.
        """
        query = sa.select(*self.columns).where(self.after(after)).limit(1)
        ascending = query.order_by(*self.columns).offset(size - 1)
        row = connection.execute(ascending).first()
        if row is None:
            descending = query.order_by(*(column.desc() for column in self.columns))
            row = connection.execute(descending).first()
        return tuple(row or ())

    def after(self, key: Key | None) -> Condition:
        """Return the condition for all rows behind a key; None is before the first one."""
        return sa.true() if key is None else self._compare(key, "__gt__")

    def up_to(self, key: Key) -> Condition:
        """Return the condition for all rows before a key, and its own."""
        return self._compare(key, "__le__")

    def _compare(self, key: Key, operator: str) -> Condition:
        if len(key) == 1:
            return compare(self.columns[0], operator, key[0])
        return self.kind.compare(self.columns, operator, key)


def write_key(key: Key) -> str:
    """Return a key as text, which `read_key` reads again.

    Raises:
        CommandError: if a value is of a type that `KINDS` lacks.
    """

    def write(value: Any) -> dict[str, str]:
        for name, (kind, text, _) in KINDS.items():
            if isinstance(value, kind):
                return {name: text(value)}
        raise CommandError(
            f"a key of {type(value).__name__} cannot be recorded. "
            "Add it to KINDS of migration_kit/backfill/keyset.py"
        )

    return json.dumps(key, default=write)


def read_key(text: str) -> Key:
    """Return the key that was written."""

    def read(found: dict[str, str]) -> Any:
        [(name, value)] = found.items()
        return KINDS[name][2](value)

    return tuple(json.loads(text, object_hook=read))
