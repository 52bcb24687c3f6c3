"""`rm -r` of any room, or of all, leaves a project that works; what needs the room says so."""

from __future__ import annotations

import compileall
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import copier
import pytest
from sqlalchemy import URL

from support import arrows
from support.databases import url_text
from support.projects import Database, Project, last_line
from support.variants import ENGINE_OF, Engine

ROOMS = list(arrows.rooms())
BROUGHT = {"adopted", "databases", "tenants"}  # by an answer of their own
FEATURES = [room for room in ROOMS if room not in BROUGHT]
COMMANDS = {
    "backfill": {"backfill"},
    "branches": {"head", "rebase"},
    "databases": {"all"},
    "diagram": {"draw"},
    "lint": {"lint"},
    "ready": {"ready"},
    "squash": {"squash"},
    "tenants": {"tenants"},
}
ENGINES = [
    ENGINE_OF["sqlite-pysqlite-sync"],
    ENGINE_OF["postgresql-psycopg-sync"],
    ENGINE_OF["mariadb-pymysql-sync"],
]
HERO = "src/my_app/models/hero.py"

Complete = Callable[[Engine], Path]


@pytest.fixture(scope="module")
def complete(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Complete:
    """Render a project that has every room, once for each database."""
    folder = tmp_path_factory.mktemp("complete")

    def complete(engine: Engine) -> Path:
        project = folder / engine.database
        if project.exists():
            return project
        place = "a:x@localhost/analytics" if engine.server else "/analytics.db"
        url = f"{engine.database}+{engine.driver}://{place}"
        answers = {
            "project_name": "My App",
            "database": engine.database,
            "more_databases": {"analytics": url},
            "tenants": "schema" if engine.database == "postgresql" else "database",
            "features": FEATURES,
        }
        copier.run_copy(str(template), project, answers, defaults=True, quiet=True)
        # An adopted project would have no models; to the kit it is this folder.
        kit = project / "migrations/migration_kit"
        shutil.copytree(arrows.KIT / "adopted", kit / "adopted")
        compileall.compile_dir(project, quiet=1)
        return project

    return complete


@pytest.fixture
def delete(
    complete: Complete, database: Database, tmp_path: Path
) -> Callable[[Engine, Sequence[str]], Project]:
    """Delete rooms of a project that has all of them."""

    def delete(engine: Engine, gone: Sequence[str]) -> Project:
        path = tmp_path / "project"
        shutil.copytree(complete(engine), path)
        for room in gone:
            delete_files(path / "migrations/migration_kit" / room)
        if "testing" in gone:  # its fixtures are the owner's
            for name in ("conftest.py", "analytics_fixtures.py"):
                (path / "tests" / name).unlink()
        url: URL = database(engine.database, engine.driver)
        project = Project(path, url)
        other = database(engine.database, engine.driver)
        project.env["ANALYTICS_DATABASE_URL"] = url_text(other)
        if engine.server:
            project.env["TEST_ANALYTICS_DATABASE_URL"] = url_text(other)
        return project

    return delete


def delete_files(folder: Path) -> None:
    """Delete what git knows: the caches of Python stay, and look like a package."""
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != "__pycache__":
            path.unlink()
    assert (folder / "__pycache__").exists()


def rooms_without(gone: Sequence[str]) -> set[str]:
    """Return the rooms that are left, without those that lack one that they need."""
    needs = arrows.rooms()
    return {
        room
        for room in ROOMS
        if room not in gone and not any(need in gone for need in needs[room])
    }


def deletions() -> Iterator[Any]:
    """Yield each room on a database that it has modules of its own for, and all rooms on each."""
    kinds = {
        (place.room, place.kind)
        for path in arrows.KIT.rglob("*.py")
        for place in [arrows.place(arrows.names_of(path))]
    }
    rest, sqlite = [*ROOMS], ENGINES[0]
    for engine in [*ENGINES[1:], sqlite]:
        kind = "mysql" if engine.database == "mariadb" else engine.database
        gone = [room for room in rest if engine == sqlite or (room, kind) in kinds]
        rest = [room for room in rest if room not in gone]
        for rooms in [*([room] for room in gone), ROOMS]:
            yield pytest.param(engine, rooms, id=f"{'+'.join(rooms[:2])}-{engine}")


@pytest.mark.parametrize(("engine", "gone"), [*deletions()])
def test_project_works_without_a_room(
    delete: Callable[[Engine, Sequence[str]], Project],
    engine: Engine,
    gone: Sequence[str],
) -> None:
    project = delete(engine, gone)
    project.write(HERO, project.read(HERO) + "    power: Mapped[int | None]\n")
    project.alembic_each(
        [
            ["upgrade", "head"],
            ["revision", "--autogenerate", "-m", "power"],
            ["upgrade", "head"],
            ["check"],
            ["downgrade", "-1"],
            ["upgrade", "head"],
            ["-n", "analytics", "current"],
        ]
    )
    revision = project.revision("power").read_text()
    assert "drop_table" not in revision
    assert revision.count("power") >= 3

    left = rooms_without(gone)
    output = project.kit("--help")
    found = set(re.findall(r"^    (\w+) ", output, re.MULTILINE))
    assert found == {name for room in left for name in COMMANDS.get(room, ())}
    if "testing" not in left:
        env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        output = project.run(
            *("python", "-m", "pytest", "-q", "tests"), fails=True, env=env
        )
        assert "no tests ran" in output
    elif not engine.server or any(has_checks(room) for room in gone):
        assert re.search(r"\d passed", project.own_tests("tests"))


def has_checks(room: str) -> bool:
    """Tell whether tests/test_migrations.py runs checks of a room."""
    return (arrows.KIT / room / "checks.py").exists()


SETTINGS = [("protected", "true", "lint"), ("tenant", "acme", "tenants")]
SETTINGS += [("rename", "heroes.age:years", "renames")]


@pytest.mark.parametrize(("setting", "value", "room"), SETTINGS)
def test_setting_that_needs_the_room_is_refused(
    delete: Callable[[Engine, Sequence[str]], Project],
    setting: str,
    value: str,
    room: str,
) -> None:
    project = delete(ENGINES[0], [room])
    upgrade = ("upgrade", "head")

    def refusal(*arguments: str, **env: str) -> str:
        line = last_line(project.alembic(*arguments, fails=True, **env))
        assert setting in line
        assert f"this project has no {room}" in line
        return line

    line = refusal("-x", f"{setting}={value}", *upgrade)
    _, answer = line.split("`uvx copier update --vcs-ref=:current: --defaults --data ")
    if room in BROUGHT:
        assert answer.startswith(f"{room}=")
    else:
        assert answer.startswith("'features=[")
        assert set(FEATURES) < set(re.findall(r"\w+", answer))
    refusal(*upgrade, **{f"MIGRATIONS_{setting.upper()}": value})
    project.edit(
        "alembic.ini", "timezone = UTC", f"timezone = UTC\n{setting} = {value}"
    )
    refusal(*upgrade)
    assert project.tables() == set()


def test_revision_that_needs_the_room_is_refused(
    delete: Callable[[Engine, Sequence[str]], Project],
) -> None:
    project = delete(ENGINES[0], ["backfill"])
    path = project.add_revision("one", "pass", '"""Nothing is to be undone."""')
    source = path.read_text()
    path.write_text(f"from migration_kit.backfill import require_backfill\n{source}")
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert "versions/one.py, line 1: " in line
    assert (
        "`uvx copier update --vcs-ref=:current: --defaults --data 'features=[" in line
    )
    assert "backfill" in line.partition("features=")[2]
    kit = project / "migrations/migration_kit/backfill"
    shutil.rmtree(kit)
    assert last_line(project.alembic("upgrade", "head", fails=True)).endswith(
        line.partition("features=")[2]
    )
    assert project.tables() == set()
