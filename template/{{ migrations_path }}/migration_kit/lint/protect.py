"""A protected database loses nothing by mistake.

Set `protected = true` in its section of alembic.ini, or `MIGRATIONS_PROTECTED=true` in the
environment. `-x protected=false` allows what is refused.
"""

import logging
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from alembic import context
from alembic.runtime.migration import RevisionStep
from alembic.script import Script
from alembic.util import CommandError
from sqlalchemy import Connection

from ..command import get_command
from ..errors import where
from ..sections import commands_for

if TYPE_CHECKING:  # most runs are not of a protected database, and need not wait for it
    from .changes import Finding

log = logging.getLogger(f"alembic.{__name__}")

VARIABLE = "MIGRATIONS_PROTECTED"

REFUSED = {
    "downgrade": "a downgrade drops what its revisions created",
    "stamp": "a stamp records revisions that did not run",
}


def protect(connection: Connection) -> None:
    """Refuse what could lose data of a protected database, and log what an upgrade will run.

    Raises:
        CommandError: in one line, with the way to do it on purpose.
    """
    source = protected_by()
    # A database of the tests is never production.
    if not source or context.config.attributes.get("scratch"):
        return
    command = get_command()
    if command in REFUSED:
        raise CommandError(
            f"{command} refused: {source} protects this database, and {REFUSED[command]}. "
            f"If you mean it, {on_purpose(command)}"
        )
    if command == "upgrade":
        steps = steps_to_run(connection)
        for step in steps:
            log.info("About to run %s", step)
        refuse_loss([step.revision for step in steps], source)


def protected_by() -> str:
    """Return what protects the database of this run, in words, or nothing.

    Raises:
        CommandError: if the setting is neither true nor false.
    """
    config = context.config
    file = os.path.basename(config.config_file_name or "alembic.ini")
    given = {
        "-x protected": context.get_x_argument(as_dictionary=True).get("protected"),
        VARIABLE: os.environ.get(VARIABLE),
        f"[{config.config_ini_section}] of {file}": config.get_main_option("protected"),
    }
    for source, value in given.items():
        match (value or "").lower():
            case "true":
                return source
            case "false":
                return ""
            case "":
                continue
        raise CommandError(f"{source} is {value!r}, not true or false. Correct it")
    return ""


def steps_to_run(connection: Connection) -> list[RevisionStep]:
    """Return what an upgrade would run now, in its order."""
    migration = context.get_context()
    run: Any = migration._migrations_fn
    callers_transaction = connection.in_transaction()
    steps = list(run(migration.get_current_heads(), migration))
    if not callers_transaction:
        connection.rollback()
    return steps


def refuse_loss(revisions: Sequence[Script], source: str) -> None:
    """Refuse revisions that lose rows or columns, unless a comment in them accepts it.

    Raises:
        CommandError: naming the first place.
    """
    dialect = context.get_context().dialect.name
    found = [
        finding for finding in findings(tuple(revisions), dialect) if finding.destroys
    ]
    if not found:
        return
    first, others = found[0], len(found) - 1
    accepting = f"`# lint-accept: {first.rule} {first.name}`"
    raise CommandError(
        f"upgrade refused: {source} protects this database, and {where(first.revision.path, first.line)} "
        f"has {first.rule} {first.name}{f', and {others} more' if others else ''}. "
        f"Accept it there with {accepting} and the reason, or {on_purpose('upgrade')}"
    )


def on_purpose(command: str) -> str:
    """Return the command that does what is refused."""
    return commands_for(
        context.config.config_ini_section,
        f"run `alembic -x protected=false {command} ...`",
    )


@lru_cache(maxsize=1)
def findings(revisions: tuple[Script, ...], dialect: str) -> "list[Finding]":
    """Return what is not accepted in revisions.

    Many tenants of one process have the same ones to run, each over its own engine.

    Args:
        revisions: in their order.
        dialect: the name of the run's.
    """
    from .changes import unaccepted

    return unaccepted(context.script, revisions, context.get_context().dialect)
