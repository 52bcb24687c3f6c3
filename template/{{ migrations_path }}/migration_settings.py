"""Settings of a run: `-x name=value`, else the environment, else alembic.ini."""

import os
from collections.abc import Callable
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

READ_ONLY_COMMANDS = {"check", "current", "revision"}


def get_url() -> URL:
    """Return the URL of `-x url=...`, else of DATABASE_URL, else of alembic.ini.

    Raises:
        CommandError: if it is missing or cannot be parsed; the message never shows it.
    """
    raw_url = (
        context.get_x_argument(as_dictionary=True).get("url")
        or os.environ.get("DATABASE_URL")
        or context.config.get_main_option("sqlalchemy.url", "")
    )
    example = "postgresql+psycopg://user:password@host:5432/database"
    try:
        url = make_url(raw_url)
        url.get_dialect()
    except NoSuchModuleError:
        raise CommandError(
            f"SQLAlchemy has no dialect {url.drivername!r}; "
            f"start DATABASE_URL like {example}"
        ) from None
    except (ArgumentError, ValueError):
        # SQLAlchemy's message would print the URL, and with it the password.
        raise CommandError(
            "the database URL is missing or cannot be parsed; "
            f"write it into DATABASE_URL like {example}"
        ) from None
    return url


def get_seconds(name: str, default: float) -> float:
    """Return a number of seconds: `-x name=...`, else that of alembic.ini, else the default.

    Raises:
        CommandError: if it is no number, or negative.
    """
    value = context.get_x_argument(as_dictionary=True).get(
        name, context.config.get_main_option(name, str(default))
    )
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise CommandError(f"{name} is {value!r}; give it seconds, such as 60")
    return seconds


def version_table_options() -> dict[str, Any]:
    """Return where the current revision is recorded, as alembic.ini has it."""
    config = context.config
    return {
        "version_table": config.get_main_option("version_table", "alembic_version"),
        "version_table_schema": config.get_main_option("version_table_schema"),
    }


def get_command() -> str:
    """Return the name of the Alembic command that runs, such as `upgrade`.

    Alembic hands env.py no name; but each command brings a function of its own
    (`MigrationContext.opts["fn"]`), which is defined in it.
    """
    function = context.get_context().opts.get("fn")
    return getattr(function, "__qualname__", "").partition(".")[0]


def is_read_only() -> bool:
    """Tell whether the command leaves the database as it is."""
    return get_command() in READ_ONLY_COMMANDS


def after_each_revision(callback: Callable[..., None]) -> None:
    """Call back after each revision, before its commit, like `on_version_apply`."""
    migration = context.get_context()
    callbacks = migration.on_version_apply_callbacks
    migration.on_version_apply_callbacks = (*callbacks, callback)
