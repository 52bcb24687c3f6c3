"""Changing an answer later: each way from and to each answer loses no edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import copier
import pytest
from sqlalchemy import URL

from support.commands import run, script
from support.databases import tables
from support.history import (
    NOW,
    commit,
    conflicts,
    contents,
    copy,
    copy_over,
    git,
    update,
)
from support.projects import UP_AND_DOWN, Database, Project

DATABASES = ["sqlite", "postgresql", "mysql", "mariadb"]
SYNC = {"sqlite": "pysqlite", "postgresql": "psycopg"}
ASYNC = {"sqlite": "aiosqlite", "postgresql": "asyncpg"}


def ways(
    question: str, values: list[Any], **others: Any
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the way from each answer to the next one, in a circle, with other answers beside it."""
    return [
        ({question: before} | others, {question: after})
        for before, after in zip(values, [*values[1:], values[0]], strict=True)
    ]


POSTGRESQL = {"database": "postgresql"}
ANALYTICS = {"analytics": "sqlite+pysqlite:///analytics.db"}
ANALYTICS_ON_A_SERVER = {"analytics": "postgresql+asyncpg://a:b@localhost/analytics"}
NONE_TO_TOUR = {"example": "none"}, {"example": "tour"}
TOUR_TO_HERO = {"example": "tour"}, {"example": "hero"}
DIRECT = [
    *ways("database", DATABASES),
    *ways("database", DATABASES[::-1]),
    *ways("async_engine", [False, True]),
    *ways("async_engine", [False, True], **POSTGRESQL),
    *ways("driver", ["asyncpg", "psycopg"], async_engine=True, **POSTGRESQL),
    *ways("driver", ["asyncmy", "aiomysql"], async_engine=True, database="mysql"),
    *ways("ci", ["github", "gitlab", "none"]),
    ({}, {"agents": True}),
    *ways("compose", [False, True], **POSTGRESQL),
    *ways("example", ["none", "hero", "tour"]),
    *ways("project_name", ["My App", "Your App"], package_name="my_app"),
    (POSTGRESQL, {"database_url": "postgresql+psycopg://ada@localhost/hall"}),
    ({}, {"more_databases": ANALYTICS}),
    (POSTGRESQL, {"more_databases": ANALYTICS_ON_A_SERVER}),
    *ways("more_databases", [ANALYTICS, ANALYTICS_ON_A_SERVER]),
    *ways("database", ["sqlite", "mariadb"], more_databases=ANALYTICS),
]

# After which line each file that stays where it is gets a line of the owner's; not beside
# one that an answer changes, which would be an honest conflict.
EDITS = {
    ".gitignore": ".venv/\n",
    "README.md": "## Every day\n",
    "alembic.ini": "[loggers]\n",
    "migrations/env.py": "target_metadata = Base.metadata\n",
    "pyproject.toml": "[tool.mypy]\n",
    "src/my_app/engine.py": "    os.environ.get(\n",
    "src/my_app/models/__init__.py": '__all__ = ["Base"]\n',
    "src/my_app/models/base.py": "class Base(DeclarativeBase):\n",
}
LINE = "# my line\n"


def edit(project: Path) -> None:
    for path, line in EDITS.items():
        source = (project / path).read_text(encoding="utf-8")
        assert line in source
        source = source.replace(line, line + LINE)
        (project / path).write_text(source, encoding="utf-8")
    (project / "src/my_app/models/mine.py").write_text(LINE)
    commit(project, "My work")


def lost(project: Path) -> list[str]:
    """Return the files whose edit is gone."""
    return [
        path
        for path in [*EDITS, "src/my_app/models/mine.py"]
        if LINE not in (project / path).read_text(encoding="utf-8")
    ]


def migrate(project: Path, url: URL) -> None:
    commands = UP_AND_DOWN if any((project / "src").rglob("hero.py")) else [["check"]]
    Project(project, url).alembic_each(commands)


def id_of(value: object) -> str:
    return "-".join(str(item) for item in value.values()) if value else ""  # type: ignore[attr-defined]


@pytest.mark.parametrize(("before", "after"), DIRECT, ids=id_of)
def test_direct_switch_loses_no_edit(
    history: Path,
    tmp_path: Path,
    database: Database,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    project = copy(history, tmp_path / "project", before)
    edit(project)
    update(project, **after)

    assert conflicts(project) == []
    assert lost(project) == []
    fresh = tmp_path / "fresh"
    copy_over(history, fresh, before | after)
    assert (project / ".copier-answers.yml").read_bytes() == (
        fresh / ".copier-answers.yml"
    ).read_bytes()
    merged = {".env.example", "compose.yaml", ".github/workflows/ci.yml"}
    merged |= {".gitlab-ci.yml", ".pre-commit-config.yaml"}
    now, expected = contents(project), contents(fresh)
    assert {path: now.get(path) for path in merged} == {
        path: expected.get(path) for path in merged
    }
    answers = before | after
    name = answers.get("database", "sqlite")
    kind = ASYNC if answers.get("async_engine") else SYNC
    default = "asyncmy" if answers.get("async_engine") else "pymysql"
    driver = answers.get("driver") or kind.get(name, default)
    migrate(project, database(name, driver))


@pytest.mark.parametrize(("before", "after"), [NONE_TO_TOUR, TOUR_TO_HERO])
def test_recopy_brings_an_example_and_nothing_else(
    history: Path,
    tmp_path: Path,
    database: Database,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    """The second step of docs/how-to/switch.md: `copier recopy --skip '*'`."""
    url = database("sqlite", "pysqlite")
    project = copy(history, tmp_path / "project", before)
    edit(project)
    update(project, **after)
    commit(project, "Switch")
    mine = contents(project)
    recopy = ["recopy", "--defaults", "--quiet", "--vcs-ref=:current:", "--skip", "*"]
    run(script("copier"), *recopy, cwd=project)

    now = contents(project)
    assert {path: now[path] for path in mine} == mine
    assert len(now) > len(mine) or before["example"] != "none"
    Project(project, url).alembic_each([*UP_AND_DOWN, ["current", "--check-heads"]])
    expected = {"none": set(), "hero": {"heroes"}}
    largest = "tour" if "tour" in {before["example"], after["example"]} else "hero"
    assert tables(url) >= expected.get(largest, {"users"})


def move_base(project: Path, before: str, after: str) -> None:
    """Do what docs/how-to/switch.md says: move the file, then its name in the models."""
    if before == "base":
        git(project, "rm", "--quiet", "src/my_app/database.py")
    old, new = (f"src/my_app/{name.replace('.', '/')}.py" for name in (before, after))
    git(project, "mv", old, new)
    for model in (project / "src/my_app/models").glob("[!_]*.py"):
        source = model.read_text(encoding="utf-8")
        source = source.replace(f"my_app.{before} ", f"my_app.{after} ")
        model.write_text(source, encoding="utf-8")
    commit(project, "Move Base")


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("models", "module", ("models.base", "base")),
        ("module", "models", ("base", "models.base")),
    ],
)
def test_base_moves_after_git_mv(
    history: Path,
    tmp_path: Path,
    database: Database,
    before: str,
    after: str,
    names: tuple[str, str],
) -> None:
    project = copy(history, tmp_path / "project", {"base_location": before})
    paths = [f"src/my_app/{name.replace('.', '/')}.py" for name in names]
    base = project / paths[0]
    base.write_text(base.read_text() + "\n\nclass Mixin:\n    mine = 1\n")
    model = project / "src/my_app/models/mine.py"
    model.write_text(f"from my_app.{names[0]} import Mixin\n\nassert Mixin.mine == 1\n")
    commit(project, "My work")

    with pytest.raises(ValueError, match=f"git mv {paths[0]} {paths[1]}"):
        update(project, base_location=after)
    assert git(project, "status", "--porcelain") == ""
    move_base(project, *names)
    update(project, base_location=after)

    assert conflicts(project) in ([], [paths[1]])
    merged = (project / paths[1]).read_text(encoding="utf-8")
    assert "class Mixin:\n    mine = 1\n" in merged
    (project / paths[1]).write_text(ours(merged))
    migrate(project, database("sqlite", "pysqlite"))
    fresh = contents(
        copy(history, tmp_path / "fresh", {"base_location": after})
    ).keys() - {"src/my_app/models/hero.py"}
    assert contents(project).keys() - {"my_app.db"} >= fresh


def ours(text: str) -> str:
    """Resolve each conflict the owner's way."""
    lines: list[str] = []
    keep = True
    for line in text.splitlines(keepends=True):
        if line.startswith(("<<<<<<< ", ">>>>>>> ")) or line == "=======\n":
            keep = not line.startswith("=")
        elif keep:
            lines.append(line)
    return "".join(lines)


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ({}, {"migrations_dir": "alembic"}, "alembic"),
        ({}, {"migrations_in_package": True}, "src/my_app/migrations"),
        (
            {"migrations_in_package": True},
            {"migrations_in_package": False},
            "migrations",
        ),
        (
            {"base_location": "existing", "base_import": "my_app.models:Base"},
            {"migrations_dir": "src/my_app/alembic"},
            "src/my_app/alembic",
        ),
    ],
)
def test_migrations_move_after_git_mv(
    history: Path,
    tmp_path: Path,
    database: Database,
    before: dict[str, Any],
    after: dict[str, Any],
    path: str,
) -> None:
    project = copy(history, tmp_path / "project", before)
    if before.get("base_location"):
        folder = project / "src/my_app"
        folder.mkdir(parents=True)
        (folder / "models.py").write_text(
            "from sqlalchemy.orm import DeclarativeBase\n"
            "class Base(DeclarativeBase):\n    pass\n"
        )
    old = (
        "src/my_app/migrations" if before.get("migrations_in_package") else "migrations"
    )
    env = project / old / "env.py"
    env.write_text(env.read_text() + "# my line\n")
    (project / old / "versions/mine.sql").write_text("-- mine\n")
    commit(project, "My work")

    with pytest.raises(ValueError, match=f"`git mv {old} {path}`, commit"):
        update(project, **after)
    assert git(project, "status", "--porcelain") == ""
    git(project, "mv", old, path)
    commit(project, "Move the migrations")
    update(project, **after)

    # `__main__.py` writes down how far up alembic.ini is; the new line is the right one.
    entry = f"{path}/__main__.py"
    deeper = old.count("/") != path.count("/")
    assert set(conflicts(project)) - {f"{path}/env.py"} == (
        {entry} if deeper else set()
    )
    if deeper:
        git(project, "checkout", "--quiet", "--theirs", entry)
    env = project / path / "env.py"
    assert "# my line\n" in env.read_text()
    env.write_text(ours(env.read_text()))
    assert (project / path / "versions/mine.sql").exists()
    assert not (project / old / "env.py").exists()
    moved = Project(project, database("sqlite", "pysqlite"), path)
    moved.alembic_each(UP_AND_DOWN)
    moved.kit("head")


def test_package_moves_after_git_mv(
    history: Path, tmp_path: Path, database: Database
) -> None:
    project = copy(history, tmp_path / "project", {})
    engine = project / "src/my_app/engine.py"
    engine.write_text(engine.read_text() + "# my line\n")
    commit(project, "My work")
    with pytest.raises(ValueError, match="`git mv src/my_app src/hall`, rename it in"):
        update(project, package_name="hall")
    assert git(project, "status", "--porcelain") == ""
    git(project, "mv", "src/my_app", "src/hall")
    for path in (project / "src/hall/models").glob("*.py"):
        path.write_text(path.read_text().replace("my_app", "hall"))
    commit(project, "Move the package")
    update(project, package_name="hall")
    assert conflicts(project) in ([], ["src/hall/engine.py"])
    engine = project / "src/hall/engine.py"
    assert "# my line\n" in engine.read_text()
    for path in (project / "src/hall").rglob("*.py"):
        path.write_text(ours(path.read_text()))
    migrate(project, database("sqlite", "pysqlite"))


def test_own_project_becomes_an_existing_one(
    history: Path, tmp_path: Path, database: Database
) -> None:
    """Without the old answers it is a copy over the project, and a copy deletes nothing."""
    project = copy(history, tmp_path / "project", {})
    edit(project)
    answers = {"base_location": "existing", "base_import": "my_app.models:Base"}
    with pytest.raises(
        ValueError, match=r"`git rm \.copier-answers\.yml`, commit, `uvx copier copy "
    ):
        update(project, **answers)
    assert git(project, "status", "--porcelain") == ""
    git(project, "rm", "--quiet", ".copier-answers.yml")
    commit(project, "Forget the answers")
    copy_over(history, project, answers)
    assert [path for path in lost(project) if path not in REPLACED] == []
    migrate(project, database("sqlite", "pysqlite"))
    commit(project, "Adopt")

    # And back again.
    git(project, "rm", "--quiet", ".copier-answers.yml")
    commit(project, "Forget the answers")
    copy_over(history, project, {"base_location": "models"}, skip=["*"])
    assert [path for path in lost(project) if path not in REPLACED] == []
    migrate(project, database("sqlite", "pysqlite"))


@pytest.mark.parametrize(
    ("answers", "path", "line"),
    [
        (
            {"base_import": "my_app.tables:metadata"},
            "migrations/env.py",
            "from my_app.tables import metadata",
        ),
        ({"source_dir": "root"}, "alembic.ini", "\n    %(here)s\n"),
        ({"version_table": "mine"}, "alembic.ini", "version_table = mine\n"),
        ({"ci": "github"}, ".github/workflows/migrations.yml", "name: Migrations\n"),
    ],
)
def test_adopted_project_switches_directly(
    history: Path, tmp_path: Path, answers: dict[str, Any], path: str, line: str
) -> None:
    before = {"base_location": "existing", "base_import": "my_app.models:Base"}
    project = copy(history, tmp_path / "project", before)
    for edited in ["alembic.ini", "migrations/env.py"]:
        source = (project / edited).read_text(encoding="utf-8")
        (project / edited).write_text(source + LINE, encoding="utf-8")
    commit(project, "My work")
    update(project, **answers)
    assert conflicts(project) == []
    assert line in (project / path).read_text(encoding="utf-8")
    for edited in ["alembic.ini", "migrations/env.py"]:
        assert LINE in (project / edited).read_text(encoding="utf-8")


# What Copier asks about before it replaces it.
REPLACED = {"alembic.ini", "migrations/env.py"}


def test_switch_says_where_to_look(
    history: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project = copy(history, tmp_path / "project", {})
    copier.run_update(
        project, data={"ci": "none"}, vcs_ref=NOW, defaults=True, overwrite=True
    )
    assert "git diff --diff-filter=D" in capfd.readouterr().err
    assert "-name: CI" in git(project, "diff", "--diff-filter=D")


EVENTS = """\
from sqlalchemy.orm import Mapped, mapped_column

from my_app.analytics.models.base import Base


class Event(Base):
    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
"""


def test_database_comes_and_goes_with_every_edit_in_place(
    history: Path, tmp_path: Path, database: Database
) -> None:
    folder = copy(history, tmp_path / "project", {})
    project = Project(folder, database("sqlite", "pysqlite"))
    edits = EDITS | {"tests/conftest.py": "        template.upgrade()\n"}
    for path, line in edits.items():
        project.edit(path, line, line + LINE)
    project.commit("My work")
    update(folder, more_databases=ANALYTICS)
    assert conflicts(folder) == []
    assert all(LINE in project.read(path) for path in edits)
    project.write("src/my_app/analytics/models/event.py", EVENTS)
    project.alembic("-n", "analytics", "revision", "--autogenerate", "-m", "events")
    env_py = "migrations/analytics/env.py"
    project.edit(env_py, "target_metadata = ", f"{LINE}target_metadata = ")
    assert "12 passed" in project.own_tests()
    project.commit("Analytics")
    archive = {"archive": "sqlite+pysqlite:///archive.db"}
    update(folder, more_databases=ANALYTICS | archive)
    assert conflicts(folder) == []
    assert LINE in project.read(env_py)
    project.alembic("-n", "archive", "current")
    project.commit("Archive")

    folders = ["migrations/analytics", "src/my_app/analytics"]
    folders += ["tests/analytics_fixtures.py"]
    with pytest.raises(ValueError, match=f"`git rm -r {' '.join(folders)}`, commit"):
        update(folder, more_databases=archive)
    assert project.git("status", "--porcelain") == ""
    project.git("rm", "-rq", *folders)
    project.commit("No analytics")
    update(folder, more_databases=archive)
    assert conflicts(folder) == []
    assert all(LINE in project.read(path) for path in edits)
    assert not (project / env_py).exists()
    assert "analytics" not in project.read("alembic.ini")
    assert "12 passed" in project.own_tests()


def test_base_of_each_database_moves_first(history: Path, tmp_path: Path) -> None:
    folder = copy(history, tmp_path / "project", {"more_databases": ANALYTICS})
    names = ("src/my_app", "src/my_app/analytics")
    for name in names:
        line = f"`git mv {name}/models/base.py {name}/base.py`, import Base"
        with pytest.raises(ValueError, match=line):
            update(folder, base_location="module")
        git(folder, "mv", f"{name}/models/base.py", f"{name}/base.py")
        commit(folder, "Move Base")
    update(folder, base_location="module")
    assert all((folder / name / "database.py").exists() for name in names)


def test_tenants_go_after_git_rm(history: Path, tmp_path: Path) -> None:
    folder = copy(history, tmp_path / "project", POSTGRESQL)
    update(folder, tenants="schema")
    tenants = folder / "migrations/tenants.py"
    tenants.write_text(tenants.read_text() + LINE)
    commit(folder, "My tenants")
    update(folder, tenants="database")
    assert tenants.read_text().endswith(LINE)
    commit(folder, "Databases")
    with pytest.raises(ValueError, match=r"`git rm migrations/tenants\.py`, commit"):
        update(folder, tenants="none")
    git(folder, "rm", "-q", "migrations/tenants.py")
    commit(folder, "No tenants")
    update(folder, tenants="none")
    assert conflicts(folder) == []
    assert not (folder / "migrations/migration_kit/tenants").exists()


def test_adopted_database_keeps_its_import(history: Path, tmp_path: Path) -> None:
    answers: dict[str, Any] = {"base_location": "existing"}
    answers |= {"base_import": "shop.models:Base", "more_databases": ANALYTICS}
    answers |= {"more_base_imports": {"analytics": "shop.stats:Base"}}
    folder = copy(history, tmp_path / "project", answers)
    update(folder, more_databases=ANALYTICS | {"archive": "sqlite:///archive.db"})
    assert conflicts(folder) == []
    imports = [
        (folder / f"migrations/{name}/env.py").read_text().count(line)
        for name, line in [
            ("analytics", "from shop.stats import Base"),
            ("archive", "from shop import archive"),
        ]
    ]
    assert imports == [1, 1]
