"""Races and kills on a Galera cluster of three nodes, which this starts.

``uv run python benchmarks/galera.py`` prints, for each driver, how many races went wrong: eight
processes start `alembic upgrade head` together, one after the other on each node, with a project
of the template; at the end one of them must have run each revision, once, on every node. With
`--stock` the project is one by `alembic init`. Then it kills the client of a migration, and a
node, and prints how long a waiting process of another node waited.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from crashes import PROCESSES, add_revisions
from projects import add_revision, query, scaffolds, script
from support.databases import execute
from support.galera import Galera, galera

DRIVERS = ["pymysql", "asyncmy", "aiomysql"]


@contextmanager
def empty_database(nodes: Galera, driver: str) -> Iterator[list[URL]]:
    """Make a database, and give its URL on each node."""
    name = f"benchmark_{uuid4().hex[:8]}"
    execute(nodes.urls[0], f"CREATE DATABASE {name}")
    nodes.catch_up()
    yield [url.set(drivername=f"mariadb+{driver}", database=name) for url in nodes.urls]
    execute(nodes.urls[0], f"DROP DATABASE {name}")


def start(project: Path, url: URL, target: str = "head") -> subprocess.Popen[str]:
    """Start `alembic upgrade`."""
    env = {
        "PYTHONPATH": "src",
        "DATABASE_URL": url.render_as_string(hide_password=False),
    }
    return subprocess.Popen(
        [script("alembic"), "upgrade", target],
        cwd=project,
        env=os.environ | env,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def race(project: Path, nodes: Galera, urls: list[URL]) -> str:
    """Return what went wrong, or nothing."""
    processes = [start(project, urls[i % len(urls)]) for i in range(PROCESSES)]
    outputs = [process.communicate()[1] for process in processes]
    failed = sum(process.returncode != 0 for process in processes)
    runs = sum(output.count("Running upgrade") for output in outputs)
    nodes.catch_up()
    try:
        right = all(
            query(url.set(drivername="mariadb+pymysql"), "SELECT name FROM heroes")
            == [("Ada",)]
            for url in urls
        )
    except SQLAlchemyError:
        right = False
    if failed or not right or runs != 3:
        return f"{failed} processes failed, {runs} revisions ran, right: {right}"
    return ""


def release(project: Path, nodes: Galera, urls: list[URL], node: bool) -> float:
    """Return the seconds after a kill, of the client or its node, until another has the lock."""
    owner = start(project, urls[-1], "sleep")
    assert owner.stderr is not None
    while "-> sleep" not in owner.stderr.readline():
        pass
    waiter = start(project, urls[0], "rows")
    assert waiter.stderr is not None
    while "Waiting" not in waiter.stderr.readline():
        pass
    killed = time.monotonic()
    if node:
        nodes.kill(len(urls) - 1)
    else:
        owner.kill()
    while "Running upgrade" not in (line := waiter.stderr.readline()) and line:
        pass
    seconds = time.monotonic() - killed
    owner.kill()
    owner.wait()
    waiter.communicate()
    assert waiter.returncode == 0
    return seconds


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--races", type=int, default=10)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--stock", action="store_true")
    options = parser.parse_args()
    with galera() as nodes, scaffolds("mariadb", "hero") as projects:
        project = projects["stock" if options.stock else "ours"]
        add_revisions(project)
        for driver in DRIVERS[: 1 if options.stock else None]:
            wrong: list[str] = []
            for _ in range(options.races):
                with empty_database(nodes, driver) as urls:
                    wrong += filter(None, [race(project, nodes, urls)])
            print(f"{driver}: {len(wrong)} of {options.races} races wrong {wrong}")
        if options.stock:
            return
        add_revision(project / "migrations/versions", "sleep", "time.sleep(60)")
        kinds = [False] * options.kills + [True]
        for node in kinds:
            with empty_database(nodes, "pymysql") as urls:
                seconds = release(project, nodes, urls, node)
            print(f"{'node' if node else 'client'} killed: {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
