"""Databases for tests: each has its own name, and its schema from the migrations only."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Executable, make_url

from ..connect import create_connectable, run_on
from ..rooms import part
from ..sections import read_config
from ..settings import FIRST, url_variable

__tracebackhide__ = True  # pytest shows the line of the test instead


class OneLine:
    """Leaves out what caused an error of the kit: pytest would print pages of it."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, CommandError):
            raise CommandError(str(error)) from None


class ScratchDatabase:
    """A database next to the one of TEST_DATABASE_URL, else next to that of alembic.ini.

    DATABASE_URL is not used: it may lead to production.

    Args:
        config_file: the path of alembic.ini.
        section: of alembic.ini, for another database than the first one; TEST_ANALYTICS_DATABASE_URL
            then says where `analytics` has its tests.

    Attributes:
        name: no other database has it.
        url: where the database is, once it is created.
        is_new: whether `prepare` of env.py, if there is one, has still to be called.
    """

    is_new = False

    def __init__(self, config_file: Path, section: str = FIRST) -> None:
        self.config_file = config_file
        self.section = section
        self.variable = f"TEST_{url_variable(section)}"
        config = read_config(config_file, section)
        written = config.get_main_option("sqlalchemy.url", "")
        beside = make_url(os.environ.get(self.variable) or written)
        kind = beside.get_backend_name()
        self._kind = part("testing", kind)  # it creates, copies and drops
        if self._kind is None:
            raise CommandError(
                f"the kit of this project has no {kind}. Correct {self.variable}"
            )
        self.name = f"{Path(beside.database or '').stem[:40]}_test_{uuid4().hex[:12]}"
        url_of = getattr(self._kind, "url_of", lambda url, name: url.set(database=name))
        self.url = url_of(beside, self.name)

    @contextmanager
    def create(self, template: "ScratchDatabase | None" = None) -> Iterator[Self]:
        """Create the database, and drop it at the end.

        Args:
            template: the migrated database to copy; no session may be connected to it, or, on MySQL
                and MariaDB, change it after the first copy. Without a template the database
                is empty.

        Raises:
            CommandError: if the server cannot be reached, or refuses.
        """
        server = f"{self.url.get_backend_name()} {self.url.host} {self.url.port}"
        drop = partial(self._kind.drop, self)
        leftovers = part("testing", "leftovers")  # servers have some
        with leftovers.owner(server, self.name) if leftovers else nullcontext():
            try:
                with OneLine():
                    if leftovers:
                        leftovers.drop_leftovers(server, drop)
                    self._kind.create(self, template)
                self.is_new = template is None
                yield self
            finally:
                with OneLine():
                    drop(self.name)

    def upgrade(self, revision: str = "heads") -> None:
        """Migrate up to a revision; by default to the newest one of each branch."""
        with OneLine():
            command.upgrade(self.config(), revision)

    def downgrade(self, revision: str) -> None:
        """Migrate down to a revision."""
        with OneLine():
            command.downgrade(self.config(), revision)

    def execute(
        self, statement: Executable, rows: Sequence[Mapping[str, Any]] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run a statement in its own transaction and return its rows."""

        def run(connection: Connection) -> list[tuple[Any, ...]]:
            result = connection.execute(statement, rows)
            found = [tuple(row) for row in result] if result.returns_rows else []
            connection.commit()
            return found

        source = f"{self.variable}, else alembic.ini"
        return run_on(create_connectable(self.url), source, run)

    def config(self) -> Config:
        """Return a configuration with which Alembic's commands reach this database."""
        given = {"connection": create_connectable(self.url), "scratch": self}
        return read_config(self.config_file, self.section, attributes=given)
