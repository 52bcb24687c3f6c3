"""Goes through a table in batches, each with its record in one transaction of its own."""

import math
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..lock import pause
from .keyset import Keyset
from .records import Backfill, Records, State, runs_already

SECONDS = 0.25  # that a batch takes: others wait as long for its rows
FIRST_SIZE, LARGEST_SIZE = 1_000, 50_000  # rows of a batch
LOCK_TIMEOUT = 1  # seconds that a batch waits for a row which somebody else has changed
TRIES = 10  # of a batch whose rows others hold
LONGEST_WAIT = 30  # seconds between two of them
TICK = 1  # seconds between two looks at the replicas
LINES = 10  # seconds between two lines where no terminal shows the progress

# What the server knows without counting; on PostgreSQL, of all partitions together.
ESTIMATES = {
    "postgresql": """
SELECT sum(reltuples) FROM pg_class c JOIN pg_partition_tree(to_regclass(:full_name)) t
ON t.relid = c.oid AND t.isleaf
""",
    "mysql": """
SELECT table_rows FROM information_schema.tables
WHERE table_schema = coalesce(:schema, DATABASE()) AND table_name = :name
""",
}
ESTIMATES["mariadb"] = ESTIMATES["mysql"]

NOT_TRANSACTIONAL = """
SELECT t.engine FROM information_schema.tables t JOIN information_schema.engines e
ON e.engine = t.engine WHERE t.table_schema = coalesce(:schema, DATABASE())
AND t.table_name = :name AND e.transactions <> 'YES'
"""

# PostgreSQL tells it a user with the privileges of pg_monitor. A server of MySQL does not know
# how far its replicas are; a node of Galera makes a commit wait, so that batches get smaller.
LAG = "SELECT coalesce(extract(epoch FROM max(replay_lag)), 0) FROM pg_stat_replication"

SHORT_WAITS = f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}s'"

# Others hold the rows: what PostgreSQL and MySQL say, the latter on Galera too. The batch was
# rolled back, or can be.
BUSY_STATES = {"55P03", "40P01", "40001"}
BUSY_NUMBERS = {1205, 1213, 1180, 1020}


@dataclass(frozen=True)
class Pace:
    """How fast to go.

    Attributes:
        batch_size: rows of a batch; None for as many as take about `SECONDS`.
        pause: seconds between two batches, in which others write.
        max_lag: seconds that a replica of PostgreSQL may be behind.
    """

    batch_size: int | None = None
    pause: float = 0.1
    max_lag: float = 10


# --------------------------------------------------------------------------------- Work


class Work:
    """Does what is left of a backfill.

    Args:
        connection: to the database, in no transaction.
        records: where it is recorded.
        backfill: what to do.
        pace: how fast to go.

    Raises:
        CommandError: if the table is none to go through, or not in transactions.
    """

    def __init__(
        self,
        connection: sa.Connection,
        records: Records,
        backfill: Backfill,
        pace: Pace,
    ) -> None:
        self.connection = connection
        self.records = records
        self.name = backfill.name
        self.keyset = Keyset(connection, backfill.table)
        self.change = backfill.change
        self.where = sa.true() if backfill.where is None else backfill.where
        self.pace = pace
        self.size = pace.batch_size or FIRST_SIZE
        self.stop = Stop()
        refuse_without_transactions(connection, backfill.table)

    def run(self) -> State:
        """Go on to the end of the table, and return the last state.

        Raises:
            CommandError: if another process does it, if somebody asks to stop, or if others hold
                rows all the time.
        """
        with stop_gently(self.stop):
            state = self.patiently(lambda: self.records.begin(self.name), State())
            if state.complete:
                state = State(batches=state.batches)
            total = estimated_rows(self.connection, self.keyset.table)
            self.connection.rollback()
            with progress(self.name, state.rows, total) as show:
                while not state.complete:
                    state = self.patiently(partial(self.batch, state), state, show)
                    show(state.rows, "")
                    if not state.complete:
                        self.rest(show, state)
        return state

    def patiently(
        self,
        do: Callable[[], State],
        before: State,
        show: "Show" = lambda rows, waits: None,
    ) -> State:
        """Do a transaction; where others hold its rows, later, and with a smaller batch."""
        for attempt in range(TRIES):
            try:
                return do()
            except DBAPIError as error:
                self.connection.rollback()
                if error.connection_invalidated or not is_busy(error):
                    raise
                self.size = max(1, self.size // 2)
            show(before.rows, "waiting for rows that others hold")
            self.wait(min(2**attempt / 4, LONGEST_WAIT), before)
        raise CommandError(
            f"others held rows of {self.keyset.table.name} in each of {TRIES} tries; "
            "end their transactions, then run it again: it goes on from there"
        )

    def batch(self, state: State) -> State:
        """Do the next batch with its record in one transaction, and return the new state."""
        connection = self.connection
        with connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text(SHORT_WAITS))
            last = self.keyset.page(connection, state.last, self.size)
            if not last:
                after = replace(state, batches=state.batches + 1, complete=True)
                self.records.move(self.name, state, after)
                return after
            rows = sa.and_(self.keyset.after(state.last), self.keyset.up_to(last))
            count = sa.select(sa.func.count()).select_from(self.keyset.table)
            number = connection.scalar(count.where(rows)) or 0
            after = State(last, state.rows + number, state.batches + 1)
            self.records.move(self.name, state, after)
            start = time.monotonic()  # until here it holds no row
            self.change(connection, sa.and_(rows, self.where))
        self.adapt(time.monotonic() - start)
        return after

    def adapt(self, seconds: float) -> None:
        """Let the next batch take `SECONDS`, in steps of at most twice or half as many rows."""
        factor = min(max(SECONDS / max(seconds, 0.001), 0.5), 2)
        largest = self.pace.batch_size or LARGEST_SIZE
        self.size = min(max(1, math.ceil(self.size * factor)), largest)

    def rest(self, show: "Show", state: State) -> None:
        """Let others write, and the replicas follow."""
        self.wait(self.pace.pause, state)
        while (lag := self.lag()) > self.pace.max_lag:
            show(state.rows, f"waiting for a replica, {lag:.0f} s behind")
            self.wait(TICK, state)

    def lag(self) -> float:
        """Return how many seconds the last replica is behind, as far as we may know."""
        if self.connection.dialect.name != "postgresql":
            return 0
        lag = float(self.connection.scalar(sa.text(LAG)) or 0)
        self.connection.rollback()
        return lag

    def wait(self, seconds: float, state: State) -> None:
        """Wait, unless somebody asks to stop.

        Raises:
            CommandError: if somebody does.
        """
        deadline = time.monotonic() + seconds
        while not self.stop.asked and (left := deadline - time.monotonic()) > 0:
            pause(self.connection, min(left, 0.1))
        if self.stop.asked:
            raise CommandError(
                f"stopped after {state.rows:,} rows; run it again: it goes on from there"
            )


def refuse_without_transactions(
    connection: sa.Connection, table: sa.TableClause
) -> None:
    """Refuse a table of MyISAM, say, where a batch could be done and not be recorded.

    Raises:
        CommandError: naming the engine.
    """
    if connection.dialect.name in ("mysql", "mariadb"):
        values = {"schema": table.schema, "name": table.name}
        if engine := connection.scalar(sa.text(NOT_TRANSACTIONAL), values):
            raise CommandError(
                f"{table.name} is a table of {engine}, which has no transactions; "
                f"`ALTER TABLE {table.name} ENGINE = InnoDB` first"
            )


def estimated_rows(connection: sa.Connection, table: sa.TableClause) -> int:
    """Return about how many rows there are, or 0 where that is not known."""
    dialect = connection.dialect
    full_name = dialect.identifier_preparer.format_table(table)
    values = {"full_name": full_name, "schema": table.schema, "name": table.name}
    estimate = ESTIMATES.get(dialect.name)
    if estimate is None:  # SQLite, which keeps no number, and reads a file of ours
        count = sa.select(sa.func.count()).select_from(table)
        return connection.scalar(count) or 0
    values = {key: value for key, value in values.items() if f":{key}" in estimate}
    return int(max(connection.scalar(sa.text(estimate), values) or 0, 0))


def is_busy(error: DBAPIError) -> bool:
    """Tell whether others hold the rows: a lock timeout, a deadlock, a failed serialization."""
    original = error.orig
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    number = next(iter(getattr(original, "args", ())), None)
    return (
        state in BUSY_STATES
        or number in BUSY_NUMBERS
        or "database is locked" in str(original)
    )


# ------------------------------------------------------------------------------ Session


@contextmanager
def alone(connection: sa.Connection, name: str) -> Iterator[None]:
    """Let no other process of this server's clients work on a backfill meanwhile.

    The record alone keeps a batch from being done twice; this lets the second process give up
    at once, and never the first. SQLite has no such lock: there, it may be either of them.

    Args:
        connection: to the database, in no transaction.
        name: of the backfill; in one server, its database and schema are part of it.

    Raises:
        CommandError: if another process does.
    """
    # Also the longest name fits, of 64 characters.
    digest = blake2b(name.encode(), digest_size=8).digest()
    match connection.dialect.name:
        case "postgresql":
            from ..postgresql.pooler import refuse_pooler

            pid = connection.scalar(sa.text("SELECT pg_backend_pid()")) or 0
            connection.commit()
            refuse_pooler(connection, pid)
            key = int.from_bytes(digest, signed=True)
            take = f"SELECT pg_try_advisory_lock({key})"
            release = f"SELECT pg_advisory_unlock({key})"
        case "mysql" | "mariadb":
            lock = f"CONCAT('backfill-{digest.hex()}-', MD5(DATABASE()))"
            take = f"SELECT GET_LOCK({lock}, 0)"
            release = f"SELECT RELEASE_LOCK({lock})"
        case _:
            yield
            return
    if not connection.exec_driver_sql(take).scalar():
        raise CommandError(runs_already(name.rpartition(".")[2]))
    connection.commit()
    try:
        yield
    finally:
        with suppress(SQLAlchemyError):  # with the connection, the lock is gone
            connection.rollback()
            connection.exec_driver_sql(release)
            connection.commit()


@contextmanager
def short_locks(connection: sa.Connection) -> Iterator[None]:
    """Let a batch on MySQL or MariaDB lock no gaps between its rows, nor wait long for a row."""
    if connection.dialect.name not in ("mysql", "mariadb"):
        yield
        return
    connection.execution_options(isolation_level="READ COMMITTED")
    variable = "@@SESSION.innodb_lock_wait_timeout"
    before = connection.exec_driver_sql(f"SELECT {variable}").scalar()
    connection.exec_driver_sql(f"SET {variable} = {LOCK_TIMEOUT}")
    connection.commit()
    try:
        yield
    finally:
        with suppress(SQLAlchemyError):
            connection.rollback()
            connection.exec_driver_sql(f"SET {variable} = {before}")


class Stop:
    """Whether somebody has asked to stop, by Ctrl-C or SIGTERM."""

    asked = False


@contextmanager
def stop_gently(stop: Stop) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM ask to stop after the batch; the second one does as ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(*_: object) -> None:
        stop.asked = True
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        restore()


# ----------------------------------------------------------------------------- Progress

Show = Callable[[int, str], None]


@contextmanager
def progress(name: str, done: int, total: int) -> Iterator[Show]:
    """Show how far it is: in one line on a terminal, else with a line now and then.

    Args:
        name: of the backfill.
        done: rows that earlier runs have done.
        total: how many there are, about; 0 if that is not known.

    Yields:
        What takes the number of rows that are done, and why it waits.
    """
    start = time.monotonic()
    terminal = sys.stderr.isatty() and not os.environ.get("CI")
    last = start

    def show(rows: int, waits: str) -> None:
        nonlocal last
        now = time.monotonic()
        line = f"{name}: {line_of(rows, total, (rows - done) / (now - start))}"
        if waits:
            line += f"; {waits}"
        if terminal:
            width = (
                shutil.get_terminal_size().columns - 1
            )  # or it would not be one line
            sys.stderr.write(f"\r\x1b[K{line[:width]}")
            sys.stderr.flush()
        elif now - last >= LINES:
            last = now
            print(line, file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        if terminal:
            sys.stderr.write("\r\x1b[K")


def line_of(rows: int, total: int, rate: float) -> str:
    """Return how far it is, how fast, and how long it takes still.

    Args:
        rows: that are done.
        total: how many there are, about; 0 if that is not known.
        rate: rows a second.
    """
    parts = [f"{rows:,} rows"]
    if rows < total:
        parts = [f"{rows:,} of about {total:,} rows ({rows * 100 // total} %)"]
    parts.append(f"{rate:,.0f} a second")
    if rows < total and rate:
        parts.append(f"{duration((total - rows) / rate)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return a time in words of a clock."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
