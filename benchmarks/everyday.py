"""What every day costs, as ratios: isolated tests, the test of each revision, long histories.

``uv run python benchmarks/everyday.py`` prints three tables, and for each one its floor: what
the database or the interpreter takes for the same without any of our code or our peers'. What is
compared takes turns, so that a noisy machine slows all of it. ``--part`` prints one of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from sqlalchemy import URL

from projects import empty_database, run, scaffolds, script, write_history

DATABASES = ["sqlite", "postgresql"]

# The newest pytest that pytest-alembic 0.13.1 works with, and what both sides need beside it.
PEERS = [
    "pytest==9.1.1",
    "pytest-alembic==0.13.1",
    "alembic[tz]==1.20.1",
    "sqlalchemy==2.1.9",
]

ISOLATED_TESTS = '''
import os
import sqlite3
from pathlib import Path

import pytest
from migration_kit.testing import ScratchDatabase, on_connection
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
        if template.sqlite:
            path = Path(f"{template.url.database}-copy")
            path.write_bytes(Path(template.url.database).read_bytes())
            path.unlink()
            return
        server = template.url.set(database="postgres")

        def copy(connection):
            connection.execution_options(isolation_level="AUTOCOMMIT")
            name = template.url.database
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
from collections import defaultdict

import pytest

times = defaultdict(list)


def pytest_collection_modifyitems(items):
    """One round after the other: each kind once."""
    items.sort(key=lambda item: item.callspec.params["number"])


def pytest_runtest_logreport(report):
    name = report.nodeid.split("::")[-1]
    times[name].append(report.duration)
    assert not report.failed, report.longreprtext


def pytest_sessionfinish():
    rounds = defaultdict(list)
    for name, phases in times.items():
        rounds[name.split("[")[0]].append(sum(phases))
    with open(os.environ["TIMES"], "w") as file:
        json.dump(rounds, file)
'''

PEER_TESTS = """
import pytest
from sqlalchemy import create_engine, pool


@pytest.fixture
def alembic_config():
    return {"file": "../alembic.ini"}


@pytest.fixture
def alembic_engine(tmp_path):
    return create_engine(f"sqlite:///{tmp_path}/peer.db", poolclass=pool.NullPool)
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


def seconds(function: Callable[..., object], *arguments: object) -> float:
    """Return the wall seconds of a call."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def medians(
    actions: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, float]:
    """Return the median of what each action returns; they take turns.

    Args:
        actions: by name, functions that return seconds.
        rounds: how often, after a first round that compiles modules and does not count.
    """
    times: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        for name in sorted(actions, reverse=bool(number % 2)):
            times[name].append(actions[name]())
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def isolation(rounds: int) -> None:
    """Print what an isolated test costs, against migrating anew: 50 revisions, 30 tables."""
    print(
        "seconds of an isolated test (ratio to migrating anew), 50 revisions, 30 tables"
    )
    kinds = ["rollback", "clone", "create_all", "migrate_anew"]
    kinds += ["floor_of_rollback", "floor_of_clone"]
    print(f"{'database':<12}" + "".join(f"{kind:>20}" for kind in kinds))
    for database in DATABASES:
        with scaffolds(database, "none") as projects, empty_database(database) as url:
            project = projects["ours"]
            write_history(project, 50, 30)
            (project / "tests/test_isolation.py").write_text(ISOLATED_TESTS)
            (project / "tests/timing.py").write_text(TIMING)
            env = {"PYTHONPATH": "src:tests", "ROUNDS": str(rounds), "TIMES": "times"}
            if database != "sqlite":
                env["TEST_DATABASE_URL"] = text_of(url)
            options = ("-q", "-p", "timing", "-p", "no:copie")
            run(
                script("pytest"),
                *options,
                "tests/test_isolation.py",
                cwd=project,
                env=env,
            )
            measured = json.loads((project / "times").read_text())
        # The first round makes the databases, and compiles the modules.
        times = {
            name.removeprefix("test_"): statistics.median(values[1:])
            for name, values in measured.items()
        }
        anew = times["migrate_anew"]
        cells = [f"{times[kind]:.4f} ({times[kind] / anew:.3f})" for kind in kinds]
        print(f"{database:<12}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


def roundtrip(rounds: int) -> None:
    """Print what the test of each revision costs, beside pytest-alembic's."""
    print("seconds of the test that takes each revision up, down and up, on SQLite")
    columns = [
        "revisions",
        "ours",
        "pytest-alembic",
        "ratio",
        "ours / ours(10)",
        "floor",
    ]
    print("".join(f"{column:>16}" for column in columns))
    first = 0.0
    for revisions in (10, 100, 500):
        with scaffolds("sqlite", "none") as projects:
            project = projects["ours"]
            write_history(project, revisions, min(revisions // 2, 30))
            (project / "tests/test_floor.py").write_text(FLOOR_OF_ROUNDTRIP)
            (project / "peer").mkdir()
            (project / "peer/conftest.py").write_text(PEER_TESTS)
            (project / "peer/pytest.ini").write_text(
                "[pytest]\npytest_alembic_tests_path = conftest.py\n"
            )

            test = partial(seconds_of_test, project / "src")
            ours = ["tests/test_migrations.py", "-k", "goes_up_down"]
            peer = ["--test-alembic", "-k", "up_down"]
            floor = ["tests/test_migrations.py", "tests/test_floor.py", "-k", "floor"]
            times = medians(
                {
                    "ours": partial(test, project, ours),
                    "peer": partial(test, project / "peer", peer),
                    "floor": partial(test, project, floor),
                },
                rounds if revisions < 500 else max(1, rounds // 3),
            )
        first = first or times["ours"]
        ratios = [times["ours"] / times["peer"], times["ours"] / first]
        figures = [times["ours"], times["peer"], *ratios, times["floor"]]
        cells = [f"{revisions}", *(f"{figure:.2f}" for figure in figures)]
        print("".join(f"{cell:>16}" for cell in cells), flush=True)


def seconds_of_test(src: Path, folder: Path, arguments: list[str]) -> float:
    """Return what pytest says that a test took, in an environment that suits both sides.

    Args:
        src: the folder of the package.
        folder: where to run pytest.
        arguments: of pytest, which select one test.
    """
    command: list[str | Path] = [
        script("uv"),
        "run",
        "--isolated",
        "--no-project",
        "-q",
    ]
    for requirement in PEERS:
        command += ["--with", requirement]
    command += ["python", "-m", "pytest", "-q", "--junitxml", "report.xml", *arguments]
    run(*command, cwd=folder, env={"PYTHONPATH": str(src), "VIRTUAL_ENV": ""})
    [case] = ElementTree.parse(folder / "report.xml").iter("testcase")
    return float(case.attrib["time"])


def commands(rounds: int) -> None:
    """Print what Alembic's commands cost on long histories, beside a stock project."""
    print("commands, ratio of ours to stock (seconds of stock); 30 tables")
    names = ["upgrade", "current", "check", "floor"]
    print(
        f"{'database':<12}{'revisions':>10}" + "".join(f"{name:>16}" for name in names)
    )
    for database in DATABASES:
        for revisions in (10, 100, 1000, 5000):
            repeats = rounds if revisions < 1000 else max(1, rounds // 3)
            cells = compare(database, revisions, repeats)
            row = "".join(f"{cell:>16}" for cell in cells)
            print(f"{database:<12}{revisions:>10}{row}", flush=True)


def compare(database: str, revisions: int, rounds: int) -> list[str]:
    """Return the cells of a row: upgrade from an empty database, current, check, and the floor."""
    with scaffolds(database, "none") as projects, empty_database(database) as migrated:
        for project in projects.values():
            write_history(project, revisions, min(30, revisions))

        def alembic(name: str, command: str, url: URL = migrated) -> float:
            env = {"PYTHONPATH": "src", "DATABASE_URL": text_of(url)}
            program = partial(run, cwd=projects[name], env=env)
            return seconds(program, script("alembic"), *command.split())

        def upgrade(name: str) -> float:
            with empty_database(database) as url:
                return alembic(name, "upgrade head", url)

        def start() -> float:
            """Return what the interpreter takes to import Alembic and SQLAlchemy."""
            code = "import alembic.config, alembic.command, sqlalchemy.orm"
            program = partial(run, cwd=projects["ours"])
            return seconds(program, script("python"), "-c", code)

        ratios = [medians({name: partial(upgrade, name) for name in projects}, rounds)]
        alembic("ours", "upgrade head")
        for command in ("current", "check"):
            actions = {name: partial(alembic, name, command) for name in projects}
            ratios.append(medians(actions, rounds))
        floor = medians({"floor": start}, rounds)["floor"]
    cells = [
        f"{times['ours'] / times['stock']:.3f} ({times['stock']:.2f})"
        for times in ratios
    ]
    return [*cells, f"{floor:.2f}"]


def text_of(url: URL) -> str:
    """Return the URL with its password, for an environment variable."""
    return url.render_as_string(hide_password=False)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = {"isolation": isolation, "roundtrip": roundtrip, "commands": commands}
    parser.add_argument("--rounds", type=int, default=9, help="of each kind")
    parser.add_argument("--part", choices=parts, help="print one table only")
    arguments = parser.parse_args()
    for name, part in parts.items():
        if arguments.part in (None, name):
            part(arguments.rounds)
            print()


if __name__ == "__main__":
    main()
