"""Whether this code can run on the database; nothing is locked, and nothing written."""

import argparse
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from ..errors import MISSING, one_line
from ..options import put_together
from ..paths import invocation
from ..rooms import READY_TABLE
from ..sections import read_config
from ..settings import FIRST, version_table_options
from .records import recorded


def add_commands(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `ready` to the command line."""
    parser = add_parser(
        "ready", help="exit with 0 if this code can run on the database, for probes"
    )
    parser.add_argument(
        "-n", "--name", default=FIRST, help="section of alembic.ini, as in Alembic"
    )
    parser.add_argument(
        "-x", action="append", default=[], metavar="NAME=VALUE", help="as in Alembic"
    )
    parser.set_defaults(run=run)


def run(config: Config, given: argparse.Namespace) -> None:
    """Say whether this code can run on the database.

    Raises:
        CommandError: if it cannot, in Alembic's words, to which `one_line` adds the fix.
    """
    x = argparse.Namespace(x=given.x)
    config = read_config(config.config_file_name, given.name, cmd_opts=x)
    script = ScriptDirectory.from_config(config)
    has_tenants = Path(script.dir, "tenants.py").exists()
    if has_tenants and not any(one.startswith("tenant=") for one in given.x):
        raise CommandError(
            "each tenant has its own revision. Use `-x tenant=NAME`, or run "
            f"`{invocation()} tenants current --check-heads`"
        )

    def do_run(connection: sa.Connection, options: dict[str, Any]) -> None:
        options = put_together(version_table_options(), options)
        context.configure(connection=connection, **options)
        migration = context.get_context()
        with one_line(f"{given.command} stopped"):
            unknown, problem = newer_than(script, migration)
            if unknown and problem:
                script.get_revision(unknown)  # which says that there is none
            if problem:
                raise CommandError("Database is not on all head revisions")
            print("ready:", *sorted(migration.get_current_heads()))

    config.attributes["do_run"] = do_run
    with EnvironmentContext(config, script):
        script.run_env()


def newer_than(script: ScriptDirectory, migration: MigrationContext) -> tuple[str, str]:
    """Return a revision that is newer than this code, and why this code cannot run on it."""
    pending = [*migration.get_current_heads()]
    heads = {*script.get_heads(consider_depends_on=True)}
    if {*pending} == heads:
        return "", ""
    own = {one.revision for one in script.walk_revisions()}
    unknown = min({*pending} - own, default="")
    rows = recorded(migration) if unknown else {}
    seen: set[str] = set()
    problem = ""
    while pending:
        seen.add(one := pending.pop())
        if one in own:
            continue
        if row := rows.get(one):
            pending += {*row.down_revisions.split()} - seen
            if row.oldest_code not in {None, *own}:
                problem = problem or f"{one} {row.reason}"
        else:
            problem = problem or f"{one} has no row in {READY_TABLE}"
    missing = min(heads - seen, default="")
    return unknown, problem or (missing and f"{missing} has not run")


def remedy_for_newer_database(script: ScriptDirectory, message: str) -> str:
    """Return whether this code can run on a database that is newer, or nothing."""
    missing = re.match(MISSING, message)
    if not missing and not message.startswith("Database is not on all head revisions"):
        return ""
    migration = context.get_context()
    connection = migration.connection
    if migration.as_sql or connection is None:
        return ""
    callers_transaction = connection.in_transaction()
    unknown = problem = ""
    with suppress(SQLAlchemyError):
        if not missing or missing[1] in migration.get_current_heads():
            unknown, problem = newer_than(script, migration)
    if not callers_transaction:
        connection.rollback()
    if not unknown:
        return ""
    if problem:
        return (
            "the database is newer than this code, which may fail on it: "
            f"{problem}. Use the release that has it"
        )
    return (
        "the database is newer than this code, which can run on it. "
        "Start it without the migration, or use the release that has the revision"
    )
