"""Scratch databases of SQLite: files in the temporary folder."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Inspector, inspect, text

from .scratch import ScratchDatabase

# A mark for the state of each table, for less than reflecting it.
MARKS = """
SELECT tbl_name, group_concat(sql) FROM sqlite_master GROUP BY tbl_name
UNION ALL SELECT '', coalesce(group_concat(sql), '') FROM sqlite_master WHERE type = 'view'
"""


ASPECTS = [
    "columns",
    "pk_constraint",
    "foreign_keys",
    "unique_constraints",
    "check_constraints",
    "indexes",
]


def url_of(beside: URL, name: str) -> URL:
    """Return the URL of a scratch database."""
    return beside.set(database=file_of(name), query={})


def create(scratch: ScratchDatabase, template: ScratchDatabase | None) -> None:
    """Copy the file through SQLite, which knows whether a journal belongs to it."""
    if template is None:  # SQLite makes the file when it is first written
        return
    with (
        closing(sqlite3.connect(file_of(template.name))) as original,
        closing(sqlite3.connect(file_of(scratch.name))) as copy,
    ):
        copy.execute("PRAGMA synchronous = OFF")  # a test need not wait for the disk
        original.backup(copy)


def drop(_: ScratchDatabase, name: str) -> None:
    """Delete the file, and what SQLite keeps beside it."""
    for suffix in ("", "-journal", "-shm", "-wal"):
        Path(file_of(name) + suffix).unlink(missing_ok=True)


def file_of(name: str) -> str:
    return str(Path(tempfile.gettempdir(), f"{name}.db"))


def read_schema(
    connection: Connection, _: str | None, known: dict[Any, list[str]]
) -> Iterator[str]:
    """Yield a line for each column, constraint, index and view; each state is read only once."""
    inspector = inspect(connection)
    for name, mark in connection.execute(text(MARKS)).all():
        if (name, mark) not in known:
            known[name, mark] = reflect(inspector, name) if name else [mark]
        yield from known[name, mark]


def reflect(inspector: Inspector, table: str) -> list[str]:
    """Return a line for each column, constraint and index of a table."""
    lines = []
    for aspect in ASPECTS:
        items = getattr(inspector, f"get_{aspect}")(table)
        for item in items if isinstance(items, list) else [items]:
            lines.append(f"{aspect} of {table}: {describe(item)}")
    return lines


def describe(item: dict[str, Any]) -> str:
    """Return in one line what reflection found."""
    values = {
        key: shown(value)
        for key, value in sorted(item.items())
        if value not in (None, {})
    }
    # SQLite keeps the brackets that somebody wrote around it, and copying adds others.
    while (default := values.get("default", "")).startswith("("):
        values["default"] = default.removeprefix("(").removesuffix(")").strip()
    return ", ".join(f"{key} {value}" for key, value in values.items())


def shown(value: Any) -> str:
    """Return a value as text; in options, an expression shows its own by `str` only."""
    if isinstance(value, dict):
        return str({name: str(each) for name, each in value.items()})
    return str(value)
