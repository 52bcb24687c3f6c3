"""SQLite: one process writes, and each value has its own type."""

from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType

from .kinds import Kind


class SQLite(Kind):
    """SQLite."""

    def is_busy(self, error: DBAPIError) -> bool:
        return "database is locked" in str(error.orig)

    def type_of_key(self, reflected: Any) -> Any:
        return NullType()


kind = SQLite()
