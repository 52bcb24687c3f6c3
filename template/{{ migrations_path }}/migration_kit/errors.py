"""Errors in one line, with the fix; `alembic --raiseerr` shows the whole traceback."""

import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from textwrap import shorten

from alembic import context
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from .command import get_command, is_read_only
from .dialects import Database
from .rooms import ROOMS, how_to_add, is_on, rooms
from .sections import commands_for
from .settings import FIRST

LIBRARIES = (
    "<",
    os.path.dirname(__file__),
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
)

# Alembic's error for a revision that has no file; its identifier is the first group.
MISSING = r"Can't locate revision identified by '(.*)'$"


@contextmanager
def one_line(
    doing: str, aftermath: str = "", database: Database | None = None
) -> Iterator[None]:
    """Turn every error into one line, which the `alembic` command prints without traceback.

    Args:
        doing: what went wrong, the beginning of the line.
        aftermath: what remains of it, the end of the line.
        database: whose hints on an error count.

    Raises:
        CommandError: in place of any other exception, which becomes its cause.
    """
    try:
        yield
    except Exception as error:
        line = str(error)
        if isinstance(error, CommandError):
            section = context.config.config_ini_section if script_of_run() else FIRST
            remedy = commands_for(section, remedy_for(line))
            if remedy and remedy not in line:  # of a context within this one
                cut = ": " if remedy[0].islower() else ". "
                line = f"{line.partition('; please ')[0].rstrip('.')}{cut}{remedy}"
        else:
            line = f"{doing}: {describe(error, database)}"
            line = f"{line}. {aftermath}" if aftermath else line
        given = getattr(getattr(context, "config", None), "cmd_opts", None)
        if getattr(given, "sql", False) and not getattr(given, "raiseerr", False):
            print(f"FAILED: {line}", file=sys.stderr)  # Alembic prints it among the SQL
            sys.exit(-1)
        if line == str(error):
            raise
        raise CommandError(line) from error


def remedy_for(message: str) -> str:
    """Return the fix for an Alembic error, after its cause if it lacks one, or nothing."""
    if script := script_of_run():
        found = (room.remedy(script, message) for room in rooms())
        if remedy := next(filter(None, found), ""):
            return remedy
        if message.startswith(("Target database is not", "Database is not on all")):
            several = len(script.get_heads()) > 1
            return f"Run `alembic upgrade {'heads' if several else 'head'}`"
    if re.match(MISSING, message):
        return (
            "no revision file has it: the database is newer than this code, or the ID is wrong. Use "
            "the release that has it; if another project shares the database, set version_table in "
            "alembic.ini"
        )
    return ""


def script_of_run() -> ScriptDirectory | None:
    """Return the history that env.py runs on; the kit's commands run without it."""
    return getattr(context, "script", None)


def migration_errors(
    database: Database, connection: Connection
) -> AbstractContextManager[None]:
    """Say in one line which revision stopped, why, and what remains of it.

    A program that only compares gets its own exceptions: pytest-alembic ends a comparison with one.
    """
    if is_read_only() and context.config.cmd_opts is None:
        return nullcontext()
    aftermath = "" if is_read_only() else database.aftermath
    if connection.in_transaction():
        aftermath = "Roll back your transaction"
    return one_line(f"{get_command() or 'migration'} stopped", aftermath, database)


def describe(error: Exception, database: Database | None = None) -> str:
    """Return where in the project an error arose, what the database says, and how to fix it."""
    if isinstance(error, SyntaxError):
        return f"{where(error.filename or '?', error.lineno)}: {error.msg}"
    orig = getattr(error, "orig", None) or error
    first = next(iter(str(orig).splitlines()), "").rstrip(".")
    said = [f"{type(orig).__name__}: {first}"]
    diagnostics = getattr(orig, "diag", orig.__cause__)  # psycopg's, asyncpg's
    for name in ("detail", "hint"):
        more = getattr(diagnostics, f"message_{name}", getattr(diagnostics, name, ""))
        # asyncpg adds what it thinks of PgBouncer, even if there is none.
        more = ", ".join(str(more or "").partition("\nNOTE: ")[0].splitlines())
        said += [f"{name.upper()}: {shorten(more.rstrip('.'), 300)}"] if more else []
    if isinstance(error, ImportError):
        said.append(remedy_for_import(error))
    elif database:
        statement = getattr(error, "statement", "")
        said.append(database.hint(error, f"{said[0]}\n{statement}"))
    frames = traceback.extract_tb(error.__traceback__)
    versions = tuple(map(str, getattr(script_of_run(), "_version_locations", ())))
    own = [frame for frame in frames if frame.filename.startswith(versions)]
    own = own or [frame for frame in frames if not frame.filename.startswith(LIBRARIES)]
    if isinstance(error, KeyError) and not own:
        # Alembic's revision map has no better error for it.
        said.append("A revision names it, but no file has it. Restore the file")
    message = ". ".join(filter(None, said))
    return f"{where(own[-1].filename, own[-1].lineno)}: {message}" if own else message


def remedy_for_import(error: ImportError) -> str:
    """Return how to add a room that is missing, how to install the project, or nothing."""
    kit, _, module = (error.name or "").partition(".")
    room = module.partition(".")[0]
    if kit == __package__ and room in ROOMS and not is_on(room):
        return how_to_add(room)  # `__pycache__` of its folder may be left
    if isinstance(error, ModuleNotFoundError):
        return "Run `uv sync`, or add its folder to prepend_sys_path in alembic.ini"
    return ""


def where(filename: str, line: int | None) -> str:
    """Name a place in a file, relative to the current folder if it is below it."""
    path, here = Path(filename), Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{shown}, line {line}"
