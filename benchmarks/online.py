"""How long others wait while a revision runs: what autogenerate writes, plain and with `online`.

``uv run python benchmarks/online.py --rows 2000000 --drivers psycopg asyncpg`` prints for each change
of the models, and each driver of the migrations: the longest wait of four writers and of two readers,
and how long the upgrade took. `--kills 1` kills one upgrade and one downgrade before and after each
statement as well, `--kills 5` at every fifth of these points; `--changes WORD` tries some changes only.
`--tests 50` takes the tests of a project with as many revisions of an index, plain and concurrently.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import copier
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError

from projects import ROOT, add_revision, empty_database, script
from support.databases import SERVERS, connect, execute, query, url_text
from support.heroes import CHANGES, SCHEMA, models

FEATURES = ["autogenerate", "testing", "backfill", "online"]
REQUIRED = "title: Mapped[str] = mapped_column(sa.String(20))"
TEAMS = "INSERT INTO teams (name) SELECT 'team ' || n FROM generate_series(1, 1000) n"
HEROES = (
    "INSERT INTO heroes (name, email, code, age, team_id, mood, note) SELECT 'hero ' || n, "
    "'hero' || n, 'c1' || n, n % 90, n % 1000 + 1, 'ok', repeat('x', 60) "
    "FROM generate_series(1, {rows}) n"
)
KILLS = ROOT / "tests/support/kills.py"
SLOW = 0.3  # seconds that the transaction of one writer takes on purpose

Waits = dict[str, float]


class Load:
    """Four writers and two readers at work, and how long each waited at most."""

    def __init__(self, url: URL, rows: int) -> None:
        """Take the database, and how many heroes it has."""
        self.url, self.rows = url, rows
        self.stop = threading.Event()
        self.waits: Waits = {"writers": 0, "readers": 0}
        self.errors: set[str] = set()

    def work(
        self, number: int, do: Callable[[Connection, random.Random], None]
    ) -> None:
        """Do the same again and again, each in a transaction of its own."""
        chance = random.Random(number)
        kind = "readers" if do in (self.read, self.scan) else "writers"
        with connect(self.url) as connection:
            while not self.stop.is_set():
                start = time.monotonic()
                try:
                    with connection.begin():
                        do(connection, chance)
                except DBAPIError as error:
                    self.errors.add(type(error.orig).__name__)
                wait = time.monotonic() - start - SLOW * (do == self.hold)
                self.waits[kind] = max(self.waits[kind], wait)
                time.sleep(0.004)

    def update(self, connection: Connection, chance: random.Random) -> None:
        """Change one row."""
        sql = text("UPDATE heroes SET note = 'changed' WHERE id = :id")
        connection.execute(sql, {"id": chance.randrange(1, self.rows)})

    def insert(self, connection: Connection, chance: random.Random) -> None:
        """Add one row, as the previous release does."""
        sql = text(
            "INSERT INTO heroes (name, email, code, age, team_id, mood) "
            "VALUES ('new', :value, 'x1', 5, 1, 'ok')"
        )
        connection.execute(sql, {"value": f"new {chance.random()}"})

    def hold(self, connection: Connection, chance: random.Random) -> None:
        """Hold one row for a while."""
        self.update(connection, chance)
        time.sleep(SLOW)

    def read(self, connection: Connection, chance: random.Random) -> None:
        """Read one row."""
        sql = text("SELECT name, age FROM heroes WHERE id = :id")
        connection.execute(sql, {"id": chance.randrange(1, self.rows)}).all()

    def scan(self, connection: Connection, chance: random.Random) -> None:
        """Read many rows."""
        sql = text(
            "SELECT count(*), max(age) FROM heroes WHERE id BETWEEN :id AND :id + 20000"
        )
        connection.execute(sql, {"id": chance.randrange(1, self.rows)}).all()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let all work; a change may take away a column that one of them writes."""
        jobs = [self.update, self.update, self.insert, self.hold, self.read, self.scan]
        threads = [
            threading.Thread(target=self.work, args=job) for job in enumerate(jobs)
        ]
        for thread in threads:
            thread.start()
        time.sleep(1)
        try:
            yield
        finally:
            time.sleep(0.5)
            self.stop.set()
            for thread in threads:
                thread.join()


def alembic(
    project: Path, url: URL, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of Alembic's."""
    env = os.environ | {"DATABASE_URL": url_text(url), "PYTHONPATH": "src"}
    return subprocess.run(
        [script("alembic"), *arguments],
        cwd=project,
        env=env,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@contextmanager
def copy_of(database: str) -> Iterator[URL]:
    """Make a copy of a database for a time."""
    server, name = SERVERS["postgresql"], f"{database}_copy"
    execute(server, f"CREATE DATABASE {name} TEMPLATE {database}")
    try:
        yield server.set(database=name)
    finally:
        execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def first_revision(project: Path, url: URL, driver: str, rows: int) -> None:
    """Make the tables, and fill them."""
    (project / "src/my_app/models/hero.py").write_text(models())
    to = driven(url, driver)
    for arguments in (
        ("revision", "--autogenerate", "--rev-id", "first", "-m", "first"),
        ("upgrade", "head"),
    ):
        run = alembic(project, to, *arguments)
        assert run.returncode == 0, run.stderr
    for statement in (TEAMS, HEROES.format(rows=rows), "VACUUM ANALYZE"):
        execute(url, statement)


def changed(project: Path, url: URL, online: str, parts: dict[str, str]) -> None:
    """Change the models, and write the revisions."""
    (project / "src/my_app/models/hero.py").write_text(models(**parts))
    given = ("-x", f"online={online}", "revision", "--autogenerate", "-m", "change")
    run = alembic(project, url, *given)
    assert run.returncode == 0, run.stderr


def measure(project: Path, url: URL, driver: str, rows: int) -> str:
    """Upgrade while others work, and return their longest waits and the duration."""
    with copy_of(str(url.database)) as copy:
        load = Load(copy, rows)
        with load.running():
            start = time.monotonic()
            run = alembic(project, driven(copy, driver), "upgrade", "head")
            took = time.monotonic() - start
    waits = " | ".join(f"{load.waits[kind]:.2f} s" for kind in ("writers", "readers"))
    failed = " (fails)" if run.returncode else ""
    said = f"; their errors: {', '.join(sorted(load.errors))}" if load.errors else ""
    return f"{waits} | {took:.1f} s{failed}{said}"


def kill(project: Path, url: URL, driver: str, every: int) -> str:
    """Kill an upgrade and a downgrade, and return how often the next run did not repair it."""
    found = []
    start = [line for (line,) in query(url, SCHEMA)]
    with copy_of(str(url.database)) as top:
        alembic(project, driven(top, driver), "upgrade", "head")
        wanted = [line for (line,) in query(top, SCHEMA)]
        for of, schema, command in (
            (url, wanted, ["upgrade", "head"]),
            (top, start, ["downgrade", "first"]),
        ):
            given: dict[str, Any] = {"template": of.database, "schema": SCHEMA}
            given |= {"wanted": schema, "every": every, "command": command}
            to = url_text(driven(of, driver))
            env = {"DATABASE_URL": to, "PYTHONPATH": "src"}
            run = subprocess.run(
                [sys.executable, KILLS],
                cwd=project,
                env=os.environ | env | {"KILLS": json.dumps(given)},
                stdout=subprocess.PIPE,
                encoding="utf-8",
                check=True,
            )
            number, *failed = json.loads(run.stdout.splitlines()[-1])
            found.append(f"{command[0]}: {len(failed)} of {number} kills not repaired")
            for one in failed:
                print(one, file=sys.stderr)
    return ", ".join(found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--drivers", nargs="+", default=["psycopg", "asyncpg"])
    parser.add_argument("--changes", nargs="*", default=[""], metavar="WORD")
    parser.add_argument("--kills", type=int, default=0, metavar="EVERY")
    parser.add_argument("--tests", type=int, default=0, metavar="REVISIONS")
    given = parser.parse_args()
    if given.tests:
        print(compare_tests(given.tests))
        return
    changes = {name: parts for name, (_, parts) in CHANGES.items()}
    changes["a required column"] = {"more": REQUIRED}
    print("| change | driver | | writers wait | readers wait | upgrade |")
    for driver in given.drivers:
        with TemporaryDirectory() as folder, empty_database("postgresql") as url:
            base = Path(folder, "base")
            render(base, driver)
            first_revision(base, url, driver, given.rows)
            for name, parts in changes.items():
                if any(word in name for word in given.changes):
                    compare(base, url, driver, given.rows, name, parts)
            if given.kills:
                changed(base, driven(url, driver), "true", CHANGES["several tables"][1])
                print(f"{driver}: {kill(base, url, driver, given.kills)}", flush=True)


def render(project: Path, driver: str) -> None:
    """Make a project for a driver."""
    answers: dict[str, Any] = {"project_name": "My App", "database": "postgresql"}
    answers |= {"example": "none", "features": FEATURES, "driver": driver}
    answers["async_engine"] = driver == "asyncpg"
    if driver != "asyncpg":  # there is no other one
        del answers["driver"]
    copier.run_copy(
        str(ROOT), project, data=answers, defaults=True, quiet=True, vcs_ref="HEAD"
    )


def compare(
    base: Path, url: URL, driver: str, rows: int, name: str, parts: dict[str, str]
) -> None:
    """Print what a change costs others, plain and split."""
    for kind, online in {"plain": "false", "online": "true"}.items():
        with TemporaryDirectory() as folder:
            project = Path(folder, "project")
            shutil.copytree(base, project)
            changed(project, driven(url, driver), online, parts)
            line = measure(project, url, driver, rows)
        print(f"| {name} | {driver} | {kind} | {line} |", flush=True)


def compare_tests(revisions: int) -> str:
    """Return the median time that the tests of a project take, five times in turn."""
    took: dict[str, list[float]] = {"plain": [], "concurrently": []}
    with TemporaryDirectory() as folder, empty_database("postgresql") as url:
        base = Path(folder, "base")
        render(base, "psycopg")
        first_revision(base, url, "psycopg", 10)
        for kind in took:
            project = Path(folder, kind)
            shutil.copytree(base, project)
            write_indexes(project, revisions, is_plain=kind == "plain")
        for _ in range(5):
            for kind, times in took.items():
                start = time.monotonic()
                subprocess.run(
                    [sys.executable, "-m", "pytest", "-q", "tests/test_migrations.py"],
                    cwd=Path(folder, kind),
                    env=os.environ
                    | {"TEST_DATABASE_URL": url_text(url), "PYTHONPATH": "src"},
                    check=True,
                )
                times.append(time.monotonic() - start)
    plain, other = (sorted(times)[2] for times in took.values())
    return f"plain {plain:.2f} s, concurrently {other:.2f} s: {other / plain:.2f}"


def write_indexes(project: Path, revisions: int, *, is_plain: bool) -> None:
    """Write revisions that make an index each."""
    how = "" if is_plain else ", postgresql_concurrently=True"
    again = "" if is_plain else f"{how}, if_exists=True"
    models, previous = "", "first"
    for number in range(revisions):
        drop = f'op.drop_index("ix_{number}", table_name="heroes"{again})'
        up = f'op.create_index("ix_{number}", "heroes", ["age"]{how})'
        if not is_plain:
            block = "with op.get_context().autocommit_block():"
            up, drop = f"{block}\n    {drop}\n    {up}", f"{block}\n    {drop}"
        name = f"r{number:05}"
        versions = project / "migrations/versions"
        add_revision(versions, name, up, drop, down_revision=previous)
        previous = name
        models += f'sa.Index("ix_{number}", Hero.age)\n'
    with (project / "src/my_app/models/hero.py").open("a") as file:
        file.write(models)


def driven(url: URL, driver: str) -> URL:
    """Return a URL with the driver of the migrations."""
    return url.set(drivername=f"postgresql+{driver}")


if __name__ == "__main__":
    main()
