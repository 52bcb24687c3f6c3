"""Errors in one line, with what helps; `alembic --raiseerr` shows the whole traceback."""

import os
import re
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from alembic import context
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from .command import get_command, is_read_only
from .databases import commands_for
from .head import commands_after_rebase, rival_heads, two_heads_remedy
from .history import (
    folders_of_revisions,
    section_with_revision,
    version_locations_remedy,
)
from .pooler import CONNECT_DIRECTLY
from .replaced import remedy_for_replaced
from .settings import FIRST, get_url_source

LIBRARIES = (
    "<",
    os.path.dirname(__file__),
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
)

# What stands of a revision that failed.
AFTERMATHS = {
    "sqlite": "all was rolled back",
    "postgresql": "its open transaction was rolled back",
    "mysql": "MySQL cannot roll DDL back, so its earlier statements stand: mend them by hand, "
    "or make each step of the revision repeatable (if_not_exists) and run it again",
}
AFTERMATHS["mariadb"] = AFTERMATHS["mysql"].replace("MySQL", "MariaDB")

# What a database says, with its statement, where rows have no value for a NOT NULL column.
NO_VALUE = re.compile(
    "contains null values|NOT NULL constraint failed: _alembic_tmp|Cannot add a NOT NULL column|"
    "Invalid use of NULL|Data truncated for column.* NOT NULL"
)


@contextmanager
def one_line(doing: str, aftermath: str = "") -> Iterator[None]:
    """Turn every error into one line, which the `alembic` command prints without traceback.

    Args:
        doing: what went wrong, the beginning of the line.
        aftermath: what stands of it, the end of the line.

    Raises:
        CommandError: in place of any other exception, which becomes its cause.
    """
    try:
        yield
    except CommandError as error:
        section = context.config.config_ini_section if script_of_run() else FIRST
        remedy = commands_for(section, remedy_for(str(error)))
        if remedy and remedy not in str(error):  # of a context within this one
            raise CommandError(f"{str(error).rstrip('.')}; {remedy}") from error
        raise
    except Exception as error:
        line = f"{doing}: {describe(error)}"
        raise CommandError(f"{line}; {aftermath}" if aftermath else line) from error


def remedy_for(message: str) -> str:
    """Return what helps against an error of Alembic's, or nothing."""
    script = script_of_run()
    if script and message.startswith("Multiple head revisions"):
        heads = rival_heads(script)
        return two_heads_remedy(heads) if heads else ""
    if script and message.startswith("Target database is not up to date"):
        several = len(script.get_heads()) > 1
        return f"run `alembic upgrade {'heads' if several else 'head'}` first"
    if missing := re.match(r"Can't locate revision identified by '(.*)'", message):
        return remedy_for_missing(script, missing[1])
    return ""


def remedy_for_missing(script: ScriptDirectory | None, revision: str) -> str:
    """Return what helps where a revision has no file that Alembic reads."""
    if script:
        if folders := folders_of_revisions(revision):
            return f"it lies in {folders[0]}; {version_locations_remedy(folders[0])}"
        if section := section_with_revision(revision):
            return (
                f"it is one of [{section}]: use `alembic -n {section}`, correct "
                f"{get_url_source()}, or, for two histories in one database, give each a "
                "version_table of its own in alembic.ini"
            )
        if remedy := remedy_for_replaced(script, revision):
            return remedy
        offline = context.is_offline_mode()
        recorded = () if offline else context.get_context().get_current_heads()
        if commands := commands_after_rebase(script, revision, recorded):
            return commands
    return (
        "a revision that the database or the command line names has no file: "
        "check out the code that has it, or correct the name"
    )


def script_of_run() -> ScriptDirectory | None:
    """Return the history that env.py runs on; a command of ours runs without it."""
    return getattr(context, "script", None)


def migration_errors(connection: Connection) -> AbstractContextManager[None]:
    """Say in one line which revision stopped, why, and what stands of it.

    A program that only compares gets its own exceptions: pytest-alembic ends a comparison with one.
    """
    if is_read_only() and context.config.cmd_opts is None:
        return nullcontext()
    aftermath = "" if is_read_only() else AFTERMATHS.get(connection.dialect.name, "")
    if connection.in_transaction():
        aftermath = "roll your transaction back"
    return one_line(f"{get_command() or 'migration'} stopped", aftermath)


def describe(error: Exception) -> str:
    """Return where in the project an error arose, and its first line."""
    if isinstance(error, SyntaxError):
        return f"{where(error.filename or '?', error.lineno)}: {error.msg}"
    message = next(iter(str(error).splitlines()), "")
    message = re.sub(r"^\([\w.]+\) ", "", message)  # the class of the driver's error
    message = f"{type(getattr(error, 'orig', None) or error).__name__}: {message}"
    if isinstance(error, ModuleNotFoundError):
        message += "; install the project (`uv sync`, `pip install --editable .`)"
    if NO_VALUE.search(f"{message} {getattr(error, 'statement', '')}"):
        message += (
            "; fill the rows first: add the column nullable, UPDATE, then NOT NULL"
        )
    if "prepared statement" in message:
        message += f"; {CONNECT_DIRECTLY}"
    frames = traceback.extract_tb(error.__traceback__)
    if any(frame.name == "compare_registered_entities" for frame in frames):
        message += (
            "; alembic_utils tries each view and function on the database: let a "
            "revision make the tables that it needs, and upgrade, before you add it"
        )
    script = script_of_run()
    versions = (
        tuple(str(folder) for folder in script._version_locations) if script else ()
    )
    own = [frame for frame in frames if frame.filename.startswith(versions)]
    own = own or [frame for frame in frames if not frame.filename.startswith(LIBRARIES)]
    if isinstance(error, KeyError) and not own:
        # Alembic's revision map has no better error for it.
        message += "; a revision names it, but has no file: restore it"
    return f"{where(own[-1].filename, own[-1].lineno)}: {message}" if own else message


def where(filename: str, line: int | None) -> str:
    """Name a place in a file, relative to the current folder where it lies below it."""
    path = Path(filename)
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return f"{path}, line {line}"
