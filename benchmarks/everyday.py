"""What every day costs, as ratios: isolated tests, the test of each revision, long histories.

``uv run python benchmarks/everyday.py`` prints its tables, and with them a floor: what the
database or the interpreter takes for the same without any of our code or our peers'. What is
compared takes turns, so that a noisy machine slows all of it; beside the wall time stands the
CPU time of the program (not of the server), which others on the machine change less.
``--part`` prints one of the tables, ``--database`` and ``--revisions`` only some of its rows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import URL

from projects import empty_database, run, scaffolds, script, write_history

DATABASES = ["sqlite", "postgresql", "mariadb"]

# By part, what runs where nothing else is asked for.
PARTS: dict[str, tuple[list[str], list[int]]] = {
    "isolation": (DATABASES, [50]),
    "roundtrip": (DATABASES[:2], [10, 100, 500]),
    "commands": (DATABASES[:2], [10, 100, 1000, 5000]),
    "modules": (DATABASES[:2], [30]),
}

# The newest pytest that pytest-alembic 0.13.1 works with, and what both sides need beside it.
PEERS = [
    "pytest==9.1.1",
    "pytest-alembic==0.13.1",
    "alembic[tz]==1.20.1",
    "sqlalchemy==2.1.9",
    "psycopg[binary]==3.3.9",
]

ISOLATED_TESTS = '''
import os
import sqlite3
from pathlib import Path

import pytest
from migration_kit.connect import on_connection
from migration_kit.testing import ScratchDatabase
from my_app.engine import make_engine
from my_app.models import Base
from sqlalchemy import text

INI = Path(__file__).parents[1] / "alembic.ini"
INSERT = text("INSERT INTO t0 (id) VALUES (1)")
ROUNDS = range(int(os.environ["ROUNDS"]))


def insert(database):
    engine = make_engine(database.url)
    with engine.begin() as connection:
        connection.execute(INSERT)
    engine.dispose()


@pytest.mark.parametrize("number", ROUNDS)
class TestIsolation:
    def test_floor_of_rollback(self, database, number):
        with database.connect() as connection:
            connection.execute(INSERT)

    def test_rollback(self, session, number):
        session.execute(INSERT)
        session.commit()

    def test_floor_of_clone(self, template, number):
        """The statements alone, or the bytes alone."""
        if template.url.get_backend_name() == "sqlite":
            path = Path(f"{template.url.database}-copy")
            path.write_bytes(Path(template.url.database).read_bytes())
            path.unlink()
            return
        name = template.url.database
        postgresql = template.url.get_backend_name() == "postgresql"
        server = template.url.set(database="postgres" if postgresql else "")

        def copy(connection):
            connection.execution_options(isolation_level="AUTOCOMMIT")
            if not postgresql:
                connection.exec_driver_sql(f"CREATE DATABASE {name}_copy")
                connection.exec_driver_sql(f"USE {name}_copy")
                for (table,) in connection.exec_driver_sql(f"SHOW TABLES IN {name}").all():
                    connection.exec_driver_sql(f"CREATE TABLE {table} LIKE {name}.{table}")
                connection.exec_driver_sql(f"DROP DATABASE {name}_copy")
                return
            connection.exec_driver_sql(f"CREATE DATABASE {name}_copy TEMPLATE {name}")
            connection.exec_driver_sql(f"DROP DATABASE {name}_copy")

        on_connection(server, copy)

    def test_clone(self, fresh_database, number):
        with fresh_database.begin() as connection:
            connection.execute(INSERT)

    def test_create_all(self, number):
        with ScratchDatabase(INI).create() as database:
            engine = make_engine(database.url)
            Base.metadata.create_all(engine)
            engine.dispose()
            insert(database)

    def test_migrate_anew(self, number):
        with ScratchDatabase(INI).create() as database:
            database.upgrade()
            insert(database)
'''

TIMING = '''
import json
import os
import time
from collections import defaultdict

import pytest

costs = defaultdict(list)


def pytest_collection_modifyitems(items):
    """One round after the other: each kind once."""
    if all("number" in item.fixturenames for item in items):
        items.sort(key=lambda item: item.callspec.params["number"])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    start, cpu = time.perf_counter(), time.process_time()
    yield
    cost = time.perf_counter() - start, time.process_time() - cpu
    costs[item.name.split("[")[0]].append(cost)


def pytest_runtest_logreport(report):
    assert not report.failed, report.longreprtext


def pytest_sessionfinish():
    with open(os.environ["COSTS"], "w") as file:
        json.dump(costs, file)
'''

PEER_TESTS = """
import pytest


@pytest.fixture
def alembic_config():
    return {"file": "../alembic.ini"}
"""

# On SQLite it has a database in memory by default.
PEER_ENGINE = """

@pytest.fixture
def alembic_engine():
    from sqlalchemy import create_engine

    return create_engine({!r})
"""

FLOOR_OF_ROUNDTRIP = '''
from pathlib import Path

from alembic import command
from migration_kit.testing import ScratchDatabase


def test_floor():
    """As many steps as our test takes, and nothing compared."""
    with ScratchDatabase(Path("alembic.ini").resolve()).create() as database:
        database.upgrade()
        database.downgrade("base")
        database.upgrade()
'''


class Cost(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float

    def __truediv__(self, other: Cost) -> Cost:
        """Return the ratios."""
        return Cost(self.wall / other.wall, self.cpu / other.cpu)


def median(costs: list[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(*(statistics.median(figures) for figures in zip(*costs, strict=True)))


def cost_of(*command: str | Path, cwd: Path, env: dict[str, str]) -> Cost:
    """Run a program, and return what it took with all that it started."""
    start, before = time.perf_counter(), os.times()
    run(*command, cwd=cwd, env=env)
    wall, after = time.perf_counter() - start, os.times()
    user = after.children_user - before.children_user
    return Cost(wall, user + after.children_system - before.children_system)


def medians(actions: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, Cost]:
    """Return the median of what each action returns; they take turns.

    Args:
        actions: by name.
        rounds: how often, after a first round that compiles modules and does not count.
    """
    costs: dict[str, list[Cost]] = defaultdict(list)
    for number in range(rounds + 1):
        for name in sorted(actions, reverse=bool(number % 2)):
            costs[name].append(actions[name]())
    return {name: median(values[1:]) for name, values in costs.items()}


def print_row(*cells: object) -> None:
    """Print a row of a table; the first cell names it."""
    print(f"{cells[0]:<12}" + "".join(f"{cell:>22}" for cell in cells[1:]), flush=True)


def isolation(databases: list[str], revisions: list[int], rounds: int) -> None:
    """Print what an isolated test costs, against migrating anew; there are 30 tables."""
    [history] = revisions
    print(
        "milliseconds of an isolated test, wall / CPU (ratio to migrating anew);"
        f" {history} revisions, 30 tables"
    )
    kinds = ["rollback", "clone", "create_all", "migrate_anew"]
    kinds += ["floor_of_rollback", "floor_of_clone"]
    print_row("database", *kinds)
    for database in databases:
        with scaffolds(database, "none") as projects, empty_database(database) as url:
            project = projects["ours"]
            write_history(project, history, 30)
            (project / "tests/test_isolation.py").write_text(ISOLATED_TESTS)
            env = {"PYTHONPATH": "src:tests", "ROUNDS": str(rounds)}
            if database != "sqlite":
                env["TEST_DATABASE_URL"] = text_of(url)
            python = [script("python")]
            # The first round makes the databases, and compiles the modules.
            costs = {
                name: median(values[1:])
                for name, values in costs_of_tests(
                    python, project, ["tests/test_isolation.py"], env
                ).items()
            }
        anew = costs["test_migrate_anew"]
        cells = []
        for kind in kinds:
            wall, cpu = costs[f"test_{kind}"]
            ratio = wall / anew.wall
            cells.append(f"{wall * 1000:.1f} / {cpu * 1000:.1f} ({ratio:.3f})")
        print_row(database, *cells)


def roundtrip(databases: list[str], revisions: list[int], rounds: int) -> None:
    """Print what the test of each revision costs, beside pytest-alembic's."""
    print("the test that takes each revision up, down and up, in seconds wall / CPU")
    columns = ["revisions", "ours", "pytest-alembic", "ratio", "floor"]
    print_row("database", *columns)
    for database in databases:
        for history in revisions:
            repeats = rounds if history < 500 else max(1, rounds // 3)
            costs = compare_roundtrips(database, history, repeats)
            ratio = costs["ours"] / costs["peer"]
            figures = [costs["ours"], costs["peer"], ratio, costs["floor"]]
            cells = [f"{wall:.2f} / {cpu:.2f}" for wall, cpu in figures]
            print_row(database, history, *cells)


def compare_roundtrips(database: str, revisions: int, rounds: int) -> dict[str, Cost]:
    """Return the medians of our test, of pytest-alembic's, and of the steps alone."""
    with scaffolds(database, "none") as projects:
        project = projects["ours"]
        write_history(project, revisions, min(revisions // 2, 30))
        (project / "tests/test_floor.py").write_text(FLOOR_OF_ROUNDTRIP)
        peer = project / "peer"
        peer.mkdir()
        (peer / "pytest.ini").write_text(
            "[pytest]\npytest_alembic_tests_path = conftest.py\n"
        )
        python: list[str | Path] = [script("uv"), "run", "--isolated", "--no-project"]
        for requirement in PEERS:
            python += ["--with", requirement]
        python += ["-q", "python"]

        def cost(folder: Path, *arguments: str) -> Cost:
            with empty_database(database) as url:
                # On SQLite it has a database in memory, by its own default.
                engine = PEER_ENGINE.format(text_of(url)) if url.host else ""
                (peer / "conftest.py").write_text(PEER_TESTS + engine)
                env = {"PYTHONPATH": str(project / "src"), "VIRTUAL_ENV": ""}
                if url.host:
                    env["TEST_DATABASE_URL"] = text_of(url)
                costs = costs_of_tests(python, folder, list(arguments), env)
            [[only]] = costs.values()
            return only

        ours, floor = "tests/test_migrations.py", "tests/test_floor.py"
        return medians(
            {
                "ours": partial(cost, project, ours, "-k", "goes_up_down"),
                "peer": partial(cost, peer, "--test-alembic", "-k", "up_down"),
                "floor": partial(cost, project, ours, floor, "-k", "floor"),
            },
            rounds,
        )


def costs_of_tests(
    python: Sequence[str | Path],
    folder: Path,
    arguments: list[str],
    env: dict[str, str],
) -> dict[str, list[Cost]]:
    """Run pytest, and return what each test took with its fixtures.

    Args:
        python: the interpreter's command.
        folder: where to run it.
        arguments: of pytest.
        env: variables.
    """
    (folder / "timing.py").write_text(TIMING)
    path = f"{env['PYTHONPATH']}:{folder}"
    pytest = ["-m", "pytest", "-q", "-p", "timing", "-p", "no:copie"]
    env = env | {"PYTHONPATH": path, "COSTS": "costs"}
    run(*python, *pytest, *arguments, cwd=folder, env=env)
    costs = json.loads((folder / "costs").read_text())
    return {name: [Cost(*cost) for cost in values] for name, values in costs.items()}


def commands(databases: list[str], revisions: list[int], rounds: int) -> None:
    """Print what Alembic's commands cost on long histories, beside a stock project."""
    print("commands: ratio of ours to stock, wall / CPU (seconds of stock); 30 tables")
    print_row("database", "revisions", "upgrade", "current", "check", "floor")
    for database in databases:
        for history in revisions:
            repeats = rounds if history < 1000 else max(1, rounds // 3)
            cells = compare_commands(
                database, history, repeats, ["upgrade head", "current", "check"]
            )
            print_row(database, history, *cells)


def modules(databases: list[str], revisions: list[int], rounds: int) -> None:
    """Print what `alembic check` costs in a package with many modules that hold no model."""
    print("check: ratio of ours to stock, wall / CPU (seconds of stock); 30 tables")
    print_row("database", "other modules", "check", "floor")
    for database in databases:
        for number in (100, 1000):
            cells = compare_commands(database, revisions[0], rounds, ["check"], number)
            print_row(database, number, *cells)


OTHER_MODULE = '''
"""Reads Table {number}; its __tablename__ is fixed."""

import sqlalchemy as sa
from sqlalchemy import Table

from my_app import models


def rows(table: Table, connection: sa.Connection) -> list[sa.Row]:
    """Return the rows of a Table, for "{number}"."""
    if table.name == models.Base.__name__:
        raise ValueError(f"no Table: {{table}}")
    return list(connection.execute(sa.select(table)))
'''


def compare_commands(
    database: str,
    revisions: int,
    rounds: int,
    names: list[str],
    other_modules: int = 0,
) -> list[str]:
    """Return the cells of a row: the ratio of each command, and the floor.

    Args:
        database: a key of `DRIVERS`.
        revisions: how many.
        rounds: how often each command runs.
        names: the commands; `upgrade head` starts with an empty database.
        other_modules: how many modules without a model the package has.
    """
    with scaffolds(database, "none") as projects, empty_database(database) as migrated:
        for project in projects.values():
            write_history(project, revisions, min(30, revisions))
            for number in range(other_modules):
                path = project / f"src/my_app/services/part{number // 50}/m{number}.py"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(OTHER_MODULE.format(number=number) * 5)

        def alembic(name: str, command: str) -> Cost:
            new = command.startswith("upgrade")
            with empty_database(database) if new else nullcontext(migrated) as url:
                env = {"PYTHONPATH": "src", "DATABASE_URL": text_of(url)}
                program, words = script("alembic"), command.split()
                return cost_of(program, *words, cwd=projects[name], env=env)

        def start() -> Cost:
            """Return what the interpreter takes to import Alembic and SQLAlchemy."""
            code = "import alembic.config, alembic.command, sqlalchemy.orm"
            return cost_of(script("python"), "-c", code, cwd=projects["ours"], env={})

        env = {"PYTHONPATH": "src", "DATABASE_URL": text_of(migrated)}
        run(script("alembic"), "upgrade", "head", cwd=projects["ours"], env=env)
        cells = []
        for command in names:
            actions = {name: partial(alembic, name, command) for name in projects}
            costs = medians(actions, rounds)
            ratio, stock = costs["ours"] / costs["stock"], costs["stock"]
            cells.append(f"{ratio.wall:.3f} / {ratio.cpu:.3f} ({stock.wall:.2f})")
        floor = medians({"floor": start}, rounds)["floor"]
    return [*cells, f"{floor.wall:.2f}"]


def text_of(url: URL) -> str:
    """Return the URL with its password, for an environment variable."""
    return url.render_as_string(hide_password=False)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = {
        "isolation": isolation,
        "roundtrip": roundtrip,
        "commands": commands,
        "modules": modules,
    }
    parser.add_argument("--rounds", type=int, default=9, help="of each kind")
    parser.add_argument("--part", choices=parts, help="print one table only")
    parser.add_argument("--database", choices=DATABASES, help="one database only")
    parser.add_argument("--revisions", type=int, help="one length of history only")
    asked = parser.parse_args()
    for name, part in parts.items():
        if asked.part in (None, name):
            databases, revisions = PARTS[name]
            part(
                [asked.database] if asked.database else databases,
                [asked.revisions] if asked.revisions else revisions,
                asked.rounds,
            )
            print()


if __name__ == "__main__":
    main()
