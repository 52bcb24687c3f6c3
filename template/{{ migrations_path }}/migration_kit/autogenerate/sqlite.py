"""Autogenerate on SQLite."""

from .kinds import Kind


class SQLite(Kind):
    """SQLite has virtual tables, each with tables of its own."""

    parts = """
SELECT part.name FROM sqlite_master AS part JOIN sqlite_master AS virtual
ON part.name = virtual.name OR part.name LIKE virtual.name || '\\_%' ESCAPE '\\'
WHERE virtual.sql LIKE 'CREATE VIRTUAL TABLE%' AND :schema IS NULL
"""


kind = SQLite()
