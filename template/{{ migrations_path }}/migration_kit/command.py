"""Which Alembic command runs, and what it records."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import InvalidRequestError

READ_ONLY = {"check", "current", "edit", "history", "merge", "revision", "show"}


def get_command() -> str:
    """Return the name of the Alembic command that runs, such as `upgrade`.

    Alembic hands env.py no name; but each command brings its own function (`fn` of the
    EnvironmentContext, whose methods `context` has), which is defined in it.
    """
    function = vars(context)["_proxy"].context_opts.get("fn")
    return getattr(function, "__qualname__", "").partition(".")[0]


def is_read_only() -> bool:
    """Return whether the command leaves the database as it is."""
    return get_command() in READ_ONLY


def is_autocommit(connection: Connection) -> bool:
    """Return whether a connection is in an autocommit block of a revision."""
    return connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"


def after_each_revision(callback: Callable[..., None]) -> None:
    """Call back after each revision, before its commit, like `on_version_apply`."""
    context.get_context().on_version_apply_callbacks += (callback,)


def refuse_long_identifier(revision: str, path: str) -> None:
    """Refuse an identifier for which the version table has no room, before any DDL runs."""
    now, most = context.get_context(), 32
    if len(revision) > most:
        table = (now.version_table, now.version_table_schema)
        with suppress(InvalidRequestError):  # there is no table yet
            column: Any = inspect(now.connection).get_columns(*table)[0]["type"]
            most = column.length or len(revision)
    if len(revision) > most:
        raise CommandError(
            f"{os.path.relpath(path)}: the revision ID {revision} is too long, "
            f"{now.version_table} has room for {most} characters. Shorten it"
        )


@contextmanager
def recorded_revision(connection: Connection) -> Iterator[None]:
    """Compare what the database records after the migration with what was asked for.

    Raises:
        CommandError: if they differ; Alembic itself would exit with 0.
    """
    migration = context.get_context()
    asked: set[str] | None = None

    def remember(*, heads: set[str], **_: object) -> None:
        nonlocal asked
        asked = set(heads)

    after_each_revision(remember)
    callers_transaction = connection.in_transaction()
    if get_command() not in READ_ONLY | {"downgrade", "ensure_version"}:
        enforced = migration.dialect.supports_alter  # SQLite counts no characters
        for one in context.script.walk_revisions() if enforced else ():
            refuse_long_identifier(one.revision, one.path)
        if not callers_transaction:
            connection.rollback()
    yield
    if is_read_only():
        return
    if not callers_transaction:
        connection.commit()  # what ran outside a revision: `ensure_version`, `stamp --purge`
    recorded = set(migration.get_current_heads())
    if not callers_transaction:
        connection.rollback()
    if asked is not None and recorded != asked:
        raise CommandError(
            f"the database is at {' '.join(recorded) or 'no revision'}, expected {' '.join(asked) or 'none'}: "
            "the migration was rolled back or overwritten. Run `alembic current`, then upgrade again"
        )
