"""The command line of backfills."""

import argparse
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from ..errors import one_line
from ..options import put_together
from ..rooms import part, rooms
from ..sections import read_config
from ..settings import FIRST, version_table_options
from .batches import Pace, Work
from .declaration import alembic, declarations, declared, needs, unfinished
from .kinds import kind_of
from .records import Backfill, Records, State, records_of


def add_commands(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `backfill` to the command line."""
    parser = add_parser(
        "backfill", help="change many rows in batches, or continue with it"
    )
    parser.add_argument(
        "backfill", nargs="?", metavar="NAME", help="by default, list them all"
    )
    parser.add_argument(
        "-n", "--name", default=FIRST, help="section of alembic.ini, as in Alembic"
    )
    parser.add_argument(
        "-x", action="append", default=[], metavar="NAME=VALUE", help="as in Alembic"
    )
    parser.add_argument(
        "--batch-size",
        type=positive,
        metavar="ROWS",
        help="rows of a batch; by default, as many as take a quarter of a second",
    )
    parser.add_argument(
        "--pause",
        type=seconds,
        default=Pace.pause,
        metavar="SECONDS",
        help="pause between two batches; default: %(default)s",
    )
    if part("backfill", "postgresql"):  # whose servers know the lag of replicas
        parser.add_argument(
            "--max-lag",
            type=seconds,
            metavar="SECONDS",
            help="wait while a PostgreSQL replica is further behind; default: %(default)s",
        )
    parser.set_defaults(run=run, max_lag=Pace.max_lag)


def positive(value: str) -> int:
    """Return a number from 1 on, which `argparse` asks for."""
    number = int(value)
    if number < 1:
        raise ValueError(value)
    return number


def seconds(value: str) -> float:
    """Return a number of seconds, which `argparse` asks for."""
    number = float(value)
    if not 0 <= number < float("inf"):
        raise ValueError(value)
    return number


def run(config: Config, given: argparse.Namespace) -> None:
    """Run what the command line asks for."""
    options = argparse.Namespace(x=given.x)
    config = read_config(config.config_file_name, given.name, cmd_opts=options)
    if given.backfill is None:
        list_backfills(config)
    else:
        pace = Pace(given.batch_size, given.pause, given.max_lag)
        run_backfill(config, given.backfill, pace)


def list_backfills(config: Config) -> None:
    """Print the backfills of a history, and the progress of each."""

    def show(connection: sa.Connection, script: ScriptDirectory) -> None:
        own = records_of(context.get_context())
        states = own.states()
        connection.rollback()
        found = declarations(script)
        if not found:
            print("No revision declares a backfill.")
        width = max(map(len, found), default=0)
        for name, (known, revision) in found.items():
            state, again = states.get(name, State()), False
            begun = f"{state.rows:,} rows" if state.batches else "not begun"
            if state.complete:
                with suppress(DBAPIError):  # a later revision has dropped a column
                    again = needs(connection, known, own)
                connection.rollback()
                begun = f"{'needed again' if again else 'complete'}, {begun}"
            print(f"{name:{width}}  {revision}  {begun}")

    on_database(config, show)


def run_backfill(config: Config, name: str, pace: Pace | None = None) -> None:
    """Run a backfill, or what is left of it; one that is complete again if rows need it.

    Args:
        config: of alembic.ini; in a test, `ScratchDatabase.config()`.
        name: of the backfill.
        pace: how fast to go.

    Raises:
        CommandError: if it stopped, with the fix; committed batches are kept, and the next run
            continues from there.
    """

    def work(connection: sa.Connection, script: ScriptDirectory) -> None:
        known, revision = declared(script, name)
        if unfinished(known):
            raise CommandError(unfinished(known))
        refuse_before(connection, script, revision)
        migration = context.get_context()
        own = records_of(migration)
        place = f"{migration.version_table_schema}.{migration.version_table}.{name}"
        with kind_of(connection).session(connection, place):
            change_rows(connection, known, own, pace or Pace())

    on_database(config, work)


def change_rows(
    connection: sa.Connection, known: Backfill, own: Records, pace: Pace
) -> None:
    """Change the rows that need it, and say how many there were."""
    work = Work(connection, own, known, pace)
    before = own.states().get(known.name, State())
    if before.complete and not needs(connection, known, own):
        print(f"{known.name} is complete, {before.rows:,} rows")
        return
    connection.rollback()
    start = time.monotonic()
    done = 0 if before.complete else before.rows
    with one_line(
        f"{known.name} stopped",
        "Committed batches are kept. Run it again: it continues from there",
    ):
        state = work.run()
    taken = time.monotonic() - start
    print(f"{known.name}: {state.rows - done:,} rows in {taken:.1f} s")
    if needs(connection, known, own):
        raise CommandError(
            f"{known.name} went through all rows, but `where` still matches some. Change them in "
            "its function too, or release the code that writes them the new way, and run it again"
        )


def refuse_before(
    connection: sa.Connection, script: ScriptDirectory, revision: str
) -> None:
    """Refuse a backfill whose revision has not run in this database.

    Raises:
        CommandError: with the command that runs it.
    """
    heads = context.get_context().get_current_heads()
    connection.rollback()
    ran = {step.revision for step in script.iterate_revisions(heads, "base")}
    if revision not in ran:
        raise CommandError(
            "the revision of this backfill has not run. "
            f"Run `{alembic()} upgrade {revision}`"
        )


def on_database(
    config: Config, do: Callable[[sa.Connection, ScriptDirectory], None]
) -> None:
    """Call a function with a connection to the database that env.py connects to."""
    script = ScriptDirectory.from_config(config)

    def do_run(connection: sa.Connection, options: dict[str, Any]) -> None:
        connection.rollback()
        given = put_together(version_table_options(), options)
        context.configure(connection=connection, **given)
        with ExitStack() as stack:
            for room in rooms():
                stack.enter_context(room.around(connection))
            do(connection, script)

    config.attributes["do_run"] = do_run
    with EnvironmentContext(config, script):
        script.run_env()
