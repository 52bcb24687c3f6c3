"""Settings of a run: `-x name=value`, else the environment, else alembic.ini."""

import os
import re
from typing import Any, cast

from alembic import context
from alembic.util import CommandError
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from .rooms import part, rooms

# The section of alembic.ini that `alembic` reads without `-n`.
FIRST = "alembic"

EXAMPLE = "postgresql+psycopg://user:password@host:5432/database"


def get_url() -> tuple[URL, str]:
    """Return where the run goes, and where that is written, in words for a message."""
    found = (room.url() for room in rooms())
    return next(filter(None, found), None) or (database_url(), find_url()[1])


def run_schema() -> str | None:
    """Return the schema that the run keeps to, if a room says one."""
    return next(filter(None, (room.schema() for room in rooms())), None)


def database_url(name: str = "") -> URL:
    """Return the URL of `-x url=...`, else of the environment, else of alembic.ini.

    A relative path to a SQLite file begins at the folder of alembic.ini, so that the file is the
    same one in every folder that a command runs in.

    Args:
        name: of another database on the same server, or of another SQLite file next to it.

    Raises:
        CommandError: if it is missing or cannot be parsed; the message never shows it.
    """
    raw_url, source = find_url()
    try:
        url = make_url(raw_url)
    except (ArgumentError, ValueError):
        # SQLAlchemy's message would print the URL, and with it the password.
        raise CommandError(
            f"the database URL is missing or cannot be parsed. Set {source}, for example to {EXAMPLE}"
        ) from None
    try:
        url.get_dialect()
    except NoSuchModuleError:
        raise CommandError(
            f"SQLAlchemy has no dialect {url.drivername!r}. Start {source} like {EXAMPLE}"
        ) from None
    if url.get_backend_name() == "sqlite" and (sqlite := part("", "sqlite")):
        folder = os.path.dirname(context.config.config_file_name or "")
        return cast(URL, sqlite.in_folder(url, folder, name))
    return url.set(database=name) if name else url


def find_url() -> tuple[str, str]:
    if raw_url := context.get_x_argument(as_dictionary=True).get("url"):
        return str(raw_url), "-x url"
    section = context.config.config_ini_section
    variable = url_variable(section)
    if raw_url := os.environ.get(variable):
        return raw_url, variable
    if raw_url := context.config.get_main_option("sqlalchemy.url"):
        file = os.path.basename(context.config.config_file_name or "the configuration")
        place = file if section == FIRST else f"[{section}] in {file}"
        return raw_url, f"sqlalchemy.url of {place}"
    return "", variable


def url_variable(section: str) -> str:
    """Return the name of the environment variable that has the URL of a database.

    Args:
        section: of alembic.ini; `DATABASE_URL` is that of `[alembic]` alone, so that
            `alembic -n analytics` never migrates the wrong one.
    """
    prefix = "" if section == FIRST else re.sub(r"\W", "_", f"{section}_").upper()
    return f"{prefix}DATABASE_URL"


def setting(name: str, default: str = "") -> str:
    """Return the value of `-x name=...`, else that of alembic.ini, else the default."""
    given = context.get_x_argument(as_dictionary=True)
    return str(given.get(name, context.config.get_main_option(name, default)))


def get_seconds(name: str, default: float) -> float:
    """Return a setting that is a number of seconds.

    Raises:
        CommandError: if it is no number, or negative.
    """
    value = setting(name, str(default))
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise CommandError(f"{name} is {value!r}, not seconds. Use `-x {name}=60`")
    return seconds


def version_table_options() -> dict[str, Any]:
    """Return where the current revision is recorded, as alembic.ini has it."""
    get = context.config.get_main_option
    return {
        "version_table": get("version_table", "alembic_version"),
        "version_table_schema": run_schema() or get("version_table_schema"),
    }
