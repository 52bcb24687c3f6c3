"""Scratch databases of SQLite: files in the temporary folder."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL

from .scratch import ScratchDatabase


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
    """Delete the file, and those that SQLite keeps next to it."""
    for suffix in ("", "-journal", "-shm", "-wal"):
        Path(file_of(name) + suffix).unlink(missing_ok=True)


def file_of(name: str) -> str:
    return str(Path(tempfile.gettempdir(), f"{name}.db"))
