"""What a revision declares, and what the database records of it: the progress of each backfill."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import Script
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, IntegrityError

from ..rooms import BACKFILL_TABLE as TABLE
from .keyset import read_key, write_key
from .kinds import Condition, Key, kind_of

Change = Callable[[sa.Connection, Condition], None]


@dataclass(frozen=True, eq=False)
class Backfill:
    """What a revision declares with `backfill`.

    Attributes:
        name: how the command line calls it.
        table: through whose rows it goes.
        where: which rows need it; None for all.
        change: changes the rows of a condition.
    """

    name: str
    table: sa.TableClause
    where: Condition | None
    change: Change


def declared_by(revision: Script) -> list[Backfill]:
    """Return the backfills that a revision declares."""
    values = vars(revision.module).values()
    return [value for value in values if isinstance(value, Backfill)]


@dataclass(frozen=True)
class State:
    """What the database records of a backfill.

    Attributes:
        last: key of the last row that is done.
        rows: how many are done.
        batches: how many transactions there were; a process that finds another number is not
            alone.
        complete: whether that was the whole table.
    """

    last: Key | None = None
    rows: int = 0
    batches: int = 0
    complete: bool = False


class Records:
    """The table that records the progress of a history's backfills.

    Args:
        connection: to the database.
        version_table: that of the history; several may share a database.
        schema: of the version table, and so of this one.
    """

    def __init__(
        self, connection: sa.Connection, version_table: str, schema: str | None
    ) -> None:
        self._connection = connection
        self._history = version_table
        self._schema = schema
        self._table = sa.Table(
            TABLE,
            sa.MetaData(),
            sa.Column("version_table", sa.String(255), primary_key=True),
            sa.Column("name", sa.String(255), primary_key=True),
            sa.Column("last_key", sa.Text),
            sa.Column("done_rows", sa.BigInteger, nullable=False),
            sa.Column("batches", sa.BigInteger, nullable=False),
            sa.Column("complete", sa.SmallInteger, nullable=False),
            schema=schema,
            **kind_of(connection).table_options,
        )

    def states(self) -> dict[str, State]:
        """Return the states of all backfills that have begun, by their names."""
        if not sa.inspect(self._connection).has_table(TABLE, self._schema):
            return {}
        table = self._table
        rows = self._connection.execute(
            sa.select(table).where(table.c.version_table == self._history)
        )
        return {
            row.name: State(
                None if row.last_key is None else read_key(row.last_key),
                row.done_rows,
                row.batches,
                bool(row.complete),
            )
            for row in rows
        }

    def begin(self, name: str) -> State:
        """Record that a backfill begins, unless it has begun, and return its state.

        Another process may do the same at the same time.
        """
        if name not in self.states():
            connection, inspector = self._connection, sa.inspect(self._connection)
            try:
                self._table.create(connection, checkfirst=True)
                connection.commit()
            except DBAPIError:
                connection.rollback()
                inspector.clear_cache()
                if not inspector.has_table(TABLE, self._schema):
                    raise
            key = {"version_table": self._history, "name": name}
            with suppress(IntegrityError):
                values = key | self._values(State())
                connection.execute(self._table.insert().values(values))
                connection.commit()
            connection.rollback()
        state = self.states()[name]
        self._connection.rollback()
        return state

    def move(self, name: str, before: State, after: State) -> None:
        """Record the next state, in the transaction that does the work.

        The row is locked from here to the commit, so that another process waits, and then finds
        that it was moved.

        Raises:
            CommandError: if it is not as it was: another process continues it.
        """
        table = self._table
        moved = self._connection.execute(
            table.update()
            .where(
                table.c.version_table == self._history,
                table.c.name == name,
                table.c.batches == before.batches,
            )
            .values(self._values(after))
        )
        if moved.rowcount != 1:
            raise CommandError(runs_already(name))

    def forget(self, names: list[str]) -> None:
        """Record of some backfills that they have not begun."""
        if self.states().keys() & names:
            table = self._table
            self._connection.execute(
                table.delete().where(
                    table.c.version_table == self._history, table.c.name.in_(names)
                )
            )

    def _values(self, state: State) -> dict[str, object]:
        return {
            "last_key": None if state.last is None else write_key(state.last),
            "done_rows": state.rows,
            "batches": state.batches,
            "complete": int(state.complete),
        }


def records_of(migration: MigrationContext) -> Records:
    """Return the records of the history that a run migrates."""
    assert migration.connection is not None
    return Records(
        migration.connection, migration.version_table, migration.version_table_schema
    )


def forget_undone(*, ctx: MigrationContext, step: MigrationInfo, **_: object) -> None:
    """Forget the backfills of a revision that was reverted: the next upgrade makes empty columns.

    Alembic calls it after each revision, in its transaction.
    """
    revision = step.up_revision
    if isinstance(revision, Script) and (undone := declared_by(revision)):
        records_of(ctx).forget([each.name for each in undone])


def runs_already(name: str) -> str:
    return f"another process is running the backfill {name}. Wait for it"
