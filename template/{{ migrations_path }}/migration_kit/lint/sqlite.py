"""SQLite: its columns take any value, but Alembic copies a table with CAST."""

from typing import Any

from .rules import Rules, family


class SQLite(Rules):
    """SQLite."""

    dump = "sqlite3 FILE '.dump {table}'"
    grammar = "sqlite"

    def lost(self, old: Any, new: Any, using: str) -> str:
        if old._type_affinity is new._type_affinity or family(new) in ("string", "?"):
            return ""
        if family(old) in ("integer", "boolean") and family(new) != "time":
            return ""
        if family(old) in ("?", "number") and family(new) == "number":
            return ""
        return "the copy uses CAST: other values become 0 or less exact"


rules = SQLite
