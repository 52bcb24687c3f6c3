"""A backfill of a big table, against one UPDATE of all its rows.

``uv run python benchmarks/backfill.py --rows 10000000`` prints for each database: rows a second of
both, their ratio, how long another connection waited at most that changes a row every few
milliseconds, and the memory of the backfill's process after a quarter of the time and at its end.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import copier
from sqlalchemy import URL, text

from projects import ROOT, empty_database, query, run, script
from support.databases import connect, url_text

REVISION = '''\
"""years"""

import sqlalchemy as sa
from alembic import op
from migration_kit.backfill import backfill

revision = "years"
down_revision = "4f1c8a2d7b3e"

heroes = sa.table("heroes", sa.column("age"), sa.column("years"))


@backfill(heroes, where=heroes.c.years.is_(None))
def fill_years(connection: sa.Connection, batch: sa.ColumnElement[bool]) -> None:
    connection.execute(sa.update(heroes).where(batch).values(years=heroes.c.age))


def upgrade() -> None:
    op.add_column("heroes", sa.Column("years", sa.Integer()))


def downgrade() -> None:
    op.drop_column("heroes", "years")
'''

INSERT = "INSERT INTO heroes (name, secret_name, age) SELECT 'Ada', '?', n FROM "
NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers (n) AS "
    "(SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows}) {insert} numbers",
    "postgresql": "{insert} generate_series(1, {rows}) AS numbers (n)",
    "mariadb": "{insert} (SELECT seq AS n FROM seq_1_to_{rows}) AS numbers",
}

# How long the other connection may wait at all, in seconds.
PATIENCE = 3600
SESSION = {"mariadb": f"SET innodb_lock_wait_timeout = {PATIENCE}"}

UPDATE = "UPDATE heroes SET years = age WHERE years IS NULL"


class Writer(threading.Thread):
    """Changes one row after the other, as an application does, and remembers the longest wait."""

    def __init__(self, url: URL, rows: int) -> None:
        """Take the database and the number of its rows."""
        super().__init__()
        self.url, self.rows = url, rows
        self.longest = 0.0
        self.stop = False

    def run(self) -> None:
        """Write until somebody sets `stop`."""
        database = self.url.get_backend_name()
        arguments = {"timeout": PATIENCE} if database == "sqlite" else {}
        with connect(self.url, **arguments) as connection:
            if database in SESSION:
                connection.execute(text(SESSION[database]))
            update = text("UPDATE heroes SET name = 'Eve' WHERE id = :id")
            while not self.stop:
                start = time.perf_counter()
                connection.execute(update, {"id": random.randint(1, self.rows)})
                connection.commit()
                self.longest = max(self.longest, time.perf_counter() - start)
                time.sleep(0.005)


@contextmanager
def filled(database: str, project: Path, rows: int) -> Iterator[URL]:
    """Make a database with rows in the table."""
    with empty_database(database) as url:
        upgrade = (script("alembic"), "upgrade", "head")
        run(*upgrade, cwd=project, env=environment(url))
        with connect(url) as connection:
            connection.execute(text(NUMBERS[database].format(rows=rows, insert=INSERT)))
            connection.commit()
            analyze = "ANALYZE TABLE heroes" if database == "mariadb" else "ANALYZE"
            connection.execute(text(analyze))
            connection.commit()
        yield url


def environment(url: URL) -> dict[str, str]:
    """Return the variables with which a project finds its code and a database."""
    return {"PYTHONPATH": "src", "DATABASE_URL": url_text(url)}


def one_update(url: URL) -> None:
    """Change all rows with one statement."""
    with connect(url) as connection:
        connection.execute(text(UPDATE))
        connection.commit()


def in_batches(project: Path, url: URL) -> list[int]:
    """Run the backfill, and return the KiB of its process after each second."""
    process = subprocess.Popen(
        [sys.executable, "migrations", "backfill", "fill_years"],
        cwd=project,
        env=os.environ | environment(url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    found: list[int] = []
    while process.poll() is None:
        time.sleep(1)
        found += memory(process.pid)
    assert process.returncode == 0
    return found


def memory(pid: int) -> list[int]:
    """Return the resident KiB of a process; nothing when it has ended."""
    status = Path(f"/proc/{pid}/status").read_text()
    return [int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line]


def measure(database: str, project: Path, rows: int, way: str) -> float:
    """Change all rows of a new table; return the seconds that took."""
    with filled(database, project, rows) as url:
        writer = Writer(url, rows)
        writer.start()
        start = time.perf_counter()
        if way == "one UPDATE":
            one_update(url)
            sizes = []
        else:
            sizes = in_batches(project, url)
        seconds = time.perf_counter() - start
        writer.stop = True
        writer.join()
        left = query(url, "SELECT count(*) FROM heroes WHERE years IS NULL")
        assert left == [(0,)]
    used = ""
    if sizes:
        used = f"{sizes[len(sizes) // 4] / 1024:.0f} to {sizes[-1] / 1024:.0f} MiB"
    print(
        f"{database:<12}{way:<12}{seconds:>8.1f} s{rows / seconds:>10,.0f}"
        f"{writer.longest:>10.2f} s  {used}",
        flush=True,
    )
    return seconds


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--databases", nargs="+", default=list(NUMBERS))
    options = parser.parse_args()
    print(f"{'':<24}{'seconds':>10}{'a second':>10}{'waited':>12}  memory")
    for database in options.databases:
        with TemporaryDirectory() as folder:
            project = Path(folder, "project")
            answers = {
                "project_name": "My App",
                "database": database,
                "example": "hero",
                "features": ["backfill"],
            }
            copier.run_copy(
                str(ROOT),
                project,
                data=answers,
                defaults=True,
                quiet=True,
                vcs_ref="HEAD",
            )
            (project / "migrations/versions/years.py").write_text(REVISION)
            one = measure(database, project, options.rows, "one UPDATE")
            many = measure(database, project, options.rows, "backfill")
            print(f"{database:<12}one UPDATE takes {one / many:.2f} of the time")


if __name__ == "__main__":
    main()
