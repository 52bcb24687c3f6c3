"""Failures of races and kills, in a project by `alembic init` and in one of the template.

``uv run python benchmarks/crashes.py`` prints them by database. In a race eight processes start
`alembic upgrade head` together on an empty database; it fails where one of them fails or rows
are inserted twice. A kill (`kill -9` at a random moment) fails where the next `upgrade head`
does, or where rows are there twice.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import time
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from projects import add_revision, empty_database, query, scaffolds, script

PROCESSES = 8


def add_revisions(project: Path) -> None:
    """Add a revision that inserts before its DDL, and one that takes its time."""
    insert = (
        "op.execute(\"INSERT INTO heroes (name, secret_name) VALUES ('Ada', '?')\")"
    )
    table = 'op.create_table("{}", sa.Column("id", sa.Integer(), primary_key=True))'
    pause = "time.sleep(0.1)"
    versions = project / "migrations/versions"
    add_revision(
        versions, "rows", "\n".join([insert, pause, table.format("capes"), pause])
    )
    steps = "\n".join([table.format("masks"), pause, table.format("boots"), pause])
    add_revision(versions, "slow", steps, down_revision="rows")


def start(project: Path, url: URL) -> subprocess.Popen[bytes]:
    """Start `alembic upgrade head`."""
    env = {
        "PYTHONPATH": "src",
        "DATABASE_URL": url.render_as_string(hide_password=False),
    }
    return subprocess.Popen(
        [script("alembic"), "upgrade", "head"],
        cwd=project,
        env=os.environ | env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def is_right(url: URL) -> bool:
    """Tell whether each revision took effect once."""
    heroes = query(url, "SELECT name FROM heroes")
    return heroes == [("Ada",)] and query(url, "SELECT * FROM boots") == []


def race(project: Path, url: URL) -> tuple[int, bool]:
    """Return how many of the processes failed, and whether the database is right at the end."""
    processes = [start(project, url) for _ in range(PROCESSES)]
    failed = sum(process.wait() != 0 for process in processes)
    try:
        return failed, is_right(url)
    except SQLAlchemyError:
        return failed, False


def kill(project: Path, url: URL, after: float) -> bool:
    """Kill an upgrade after some seconds and return whether the next one mends it."""
    process = start(project, url)
    time.sleep(after)
    process.kill()
    process.wait()
    return start(project, url).wait() == 0 and is_right(url)


def main() -> None:
    """Print a table of failures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--races", type=int, default=10)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    print(
        f"{'database':<12}{'project':<8}{'processes failed':<20}{'wrong ends':<14}kills not recovered"
    )
    for database in ("sqlite", "postgresql", "mariadb"):
        with scaffolds(database, "hero") as projects:
            for name, project in projects.items():
                add_revisions(project)
                failed = wrong = lost = 0
                for _ in range(options.races):
                    with empty_database(database) as url:
                        processes, right = race(project, url)
                    failed += processes
                    wrong += not right
                for _ in range(options.kills):
                    with empty_database(database) as url:
                        lost += not kill(project, url, random.uniform(0.4, 1.2))
                started = options.races * PROCESSES
                print(
                    f"{database:<12}{name:<8}{f'{failed} of {started}':<20}"
                    f"{f'{wrong} of {options.races}':<14}{lost} of {options.kills}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
