"""Goes through a table in batches, each with its record in one transaction."""

import math
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from ..lock import pause
from .keyset import Keyset
from .records import Backfill, Records, State

SECONDS = 0.25  # that a batch takes: others wait as long for its rows
FIRST_SIZE, LARGEST_SIZE = 1_000, 50_000  # rows of a batch
TRIES = 10  # of a batch whose rows others hold
LONGEST_WAIT = 30  # seconds between two of them
TICK = 1  # seconds between two looks at the replicas
LINES = 10  # seconds between two lines where no terminal shows the progress


@dataclass(frozen=True)
class Pace:
    """How fast to go.

    Attributes:
        batch_size: rows of a batch; None for as many as take about `SECONDS`.
        pause: seconds between two batches, in which others write.
        max_lag: seconds that a replica may be behind, if the server says so.
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
        CommandError: if the table has no primary key, or no transactions.
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
        self.stop = threading.Event()
        self.kind = self.keyset.kind
        self.kind.refuse(connection, backfill.table)

    def run(self) -> State:
        """Continue to the end of the table, and return the last state.

        Raises:
            CommandError: if another process does it, if a signal asks to stop, or if others hold
                rows all the time.
        """
        with stop_gently(self.stop):
            state = self.patiently(lambda: self.records.begin(self.name), State())
            if state.complete:
                state = State(batches=state.batches)
            total = self.kind.estimate(self.connection, self.keyset.table)
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
                if error.connection_invalidated or not self.kind.is_busy(error):
                    raise
                self.size = max(1, self.size // 2)
            show(before.rows, "waiting for rows that other sessions lock")
            self.wait(min(2**attempt / 4, LONGEST_WAIT), before)
        raise CommandError(
            f"gave up after {TRIES} tries: other sessions lock rows of {self.keyset.table.name}. "
            "End their transactions, then run it again: it continues from there"
        )

    def batch(self, state: State) -> State:
        """Do the next batch with its record in one transaction, and return the new state."""
        connection = self.connection
        with connection.begin():
            self.kind.begin(connection)
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
        while (lag := self.kind.lag(self.connection)) > self.pace.max_lag:
            show(state.rows, f"waiting for a replica, {lag:.0f} s behind")
            self.wait(TICK, state)

    def wait(self, seconds: float, state: State) -> None:
        """Wait, unless a signal asks to stop.

        Raises:
            CommandError: if one does.
        """
        deadline = time.monotonic() + seconds
        while not self.stop.is_set() and (left := deadline - time.monotonic()) > 0:
            pause(self.connection, min(left, 0.1))
        if self.stop.is_set():
            raise CommandError(
                f"stopped after {state.rows:,} rows. Run it again: it continues from there"
            )


@contextmanager
def stop_gently(stop: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM ask to stop after the batch; the second one is not caught."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(*_: object) -> None:
        stop.set()
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
    """Show the progress: in one line on a terminal, else with a line now and then.

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
            width = shutil.get_terminal_size().columns - 1  # it is one line
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
    """Return the progress, its speed, and the time that is left.

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
