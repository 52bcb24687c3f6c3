"""Databases for tests: each has a name of its own, gets its schema from the migrations only."""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from alembic import command, context
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Executable, make_url

from ..connect import create_connectable, on_connection
from ..errors import one_line
from ..rooms import part
from ..sections import databases, read_config
from ..settings import FIRST, url_variable
from .leftovers import forget, leftovers, owner

# The places where this process has dropped what killed ones left.
cleaned: set[str] = set()


class ScratchDatabase:
    """A database beside the one of TEST_DATABASE_URL, else beside that of alembic.ini.

    DATABASE_URL is left alone: where it is set, it may lead to production.

    Args:
        config_file: the path of alembic.ini.
        section: of alembic.ini, for another database than the first one; TEST_ANALYTICS_DATABASE_URL
            then says where `analytics` has its tests.

    Attributes:
        url: where the database is, once it is created; no other one has its name.
        is_new: whether `prepare` of env.py, if there is one, has still to be called.
    """

    is_new = False

    def __init__(self, config_file: Path, section: str = FIRST) -> None:
        self.config_file = config_file
        self.section = section
        self.variable = f"TEST_{url_variable(section)}"
        beside = make_url(
            os.environ.get(self.variable)
            or self._config().get_main_option("sqlalchemy.url", "")
        )
        self._statements: list[str] = []
        self.sqlite = beside.get_backend_name() == "sqlite"
        self.name = f"{Path(beside.database or '').stem[:40]}_test_{uuid4().hex[:12]}"
        if self.sqlite:
            file = Path(tempfile.gettempdir(), f"{self.name}.db")
            self.url = beside.set(database=str(file), query={})
        else:
            self.url = beside.set(database=self.name)

    @contextmanager
    def create(self, template: "ScratchDatabase | None" = None) -> Iterator[Self]:
        """Create the database, and drop it at the end.

        Args:
            template: the migrated database to copy; nobody may be connected to it, or, on MySQL
                and MariaDB, change it after the first copy. Without a template the database
                is empty.

        Raises:
            CommandError: if the server cannot be reached, or refuses.
        """
        self._drop_leftovers()
        with owner(self._place(), self.name):
            self.is_new = True
            try:
                self._create(template)
                self.is_new = template is None
                yield self
            finally:
                self._drop()

    def upgrade(self, revision: str = "heads") -> None:
        """Migrate up to a revision; by default to the newest one of each branch."""
        command.upgrade(self.config(), revision)

    def downgrade(self, revision: str) -> None:
        """Migrate down to a revision."""
        command.downgrade(self.config(), revision)

    def execute(
        self, statement: Executable, rows: Sequence[Mapping[str, Any]] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction of its own and return its rows."""

        def run(connection: Connection) -> list[tuple[Any, ...]]:
            result = connection.execute(statement, rows)
            found = [tuple(row) for row in result] if result.returns_rows else []
            connection.commit()
            return found

        return on_connection(self.url, run, self.variable)

    def config(self) -> Config:
        """Return a configuration with which Alembic's commands reach this database."""
        engine = create_connectable(self.url)
        return self._config({"connection": engine, "scratch": self})

    def _config(self, attributes: dict[str, Any] | None = None) -> Config:
        return read_config(self.config_file, self.section, attributes=attributes or {})

    def _create(self, template: "ScratchDatabase | None") -> None:
        if self.sqlite:
            if template:
                copy_sqlite(template.url.database or "", self.url.database or "")
            return
        create = f"CREATE DATABASE {self.quoted()}"
        postgresql = self.url.get_backend_name() == "postgresql"
        if postgresql and template:
            self._on_server([f"{create} TEMPLATE {template.quoted()}"])
        elif postgresql:  # each revision commits, and no test waits for the disk
            faster = f"ALTER DATABASE {self.quoted()} SET synchronous_commit = off"
            self._on_server([create, faster])
        elif not template:
            self._on_server([create])
        else:
            statements = template.statements()
            self._on_server(
                [statement.replace("\0", self.quoted()) for statement in statements]
            )

    def statements(self) -> list[str]:
        """Return what makes a copy on MySQL and MariaDB; it is read once."""
        if not self._statements:

            def read(connection: Connection) -> None:
                reader = part("testing", "mysql").Reader(connection, self.name)
                self._statements = list(reader.statements())

            on_connection(self._server(), read, self.variable)
        return self._statements

    def _drop(self) -> None:
        if self.sqlite:
            drop_sqlite(self.url.database or "")
            return
        force = " WITH (FORCE)" if self.url.get_backend_name() == "postgresql" else ""
        self._on_server([f"DROP DATABASE IF EXISTS {self.quoted()}{force}"])

    def _drop_leftovers(self) -> None:
        """Drop, once in a run, what killed runs left; what somebody still reads stays."""
        place = self._place()
        if place in cleaned:
            return
        cleaned.add(place)
        for name in leftovers(place):
            if self.sqlite:
                drop_sqlite(str(Path(tempfile.gettempdir(), f"{name}.db")))
            else:
                patience = "SET lock_wait_timeout = 1"
                postgresql = self.url.get_backend_name() == "postgresql"
                drop = f"DROP DATABASE IF EXISTS {self.quoted(name)}"
                try:
                    self._on_server([drop] if postgresql else [patience, drop])
                except CommandError:
                    continue
            forget(name)

    def _place(self) -> str:
        return f"{self.url.get_backend_name()} {self.url.host} {self.url.port}"

    def quoted(self, name: str = "") -> str:
        """Return the database's name, or another one, for a statement without parameters."""
        mark = '"' if self.url.get_backend_name() == "postgresql" else "`"
        return mark + (name or self.name).replace(mark, mark * 2) + mark

    def _server(self) -> URL:
        """Return the URL without the database; PostgreSQL knows none, this one is there."""
        postgresql = self.url.get_backend_name() == "postgresql"
        return self.url.set(database="postgres" if postgresql else "")

    def _on_server(self, statements: list[str]) -> None:
        def run(connection: Connection) -> None:
            connection.execution_options(
                isolation_level="AUTOCOMMIT", no_parameters=True
            )
            for statement in statements:
                connection.exec_driver_sql(statement)

        remedy = f"let the user create databases, or set {self.variable}"
        with one_line("no database for tests", remedy):
            on_connection(self._server(), run, self.variable)


@cache
def replace_other_databases(config_file: Path) -> dict[str, ScratchDatabase]:
    """Lead the code under test to databases for tests, in place of all but the first one.

    Args:
        config_file: the path of alembic.ini.

    Returns:
        The databases by their section of alembic.ini, the same ones at each call; they are not
        created yet. The environment variable of each leads there.
    """
    others = {
        name: ScratchDatabase(config_file, name)
        for name in databases(config_file)
        if name != FIRST
    }
    for name, scratch in others.items():
        url = scratch.url.render_as_string(hide_password=False)
        os.environ[url_variable(name)] = url
    return others


def prepare_new_database(
    connection: Connection, prepare: Callable[[Connection], None] | None
) -> None:
    """Call `prepare` of env.py once in each new database of the tests, and in no other."""
    scratch = context.config.attributes["scratch"]
    if prepare and scratch.is_new:
        with one_line("prepare() of env.py failed"):
            prepare(connection)
            connection.commit()
        scratch.is_new = False


def drop_sqlite(file: str) -> None:
    """Delete a database file, and what SQLite keeps beside it."""
    for suffix in ("", "-journal", "-shm", "-wal"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)


def copy_sqlite(source: str, target: str) -> None:
    """Copy a database file through SQLite, which knows whether a journal belongs to it."""
    with (
        closing(sqlite3.connect(source)) as original,
        closing(sqlite3.connect(target)) as copy,
    ):
        copy.execute("PRAGMA synchronous = OFF")  # a test need not wait for the disk
        original.backup(copy)
