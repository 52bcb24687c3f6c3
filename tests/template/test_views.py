"""The recipe for views, functions and triggers holds: the page's own module and revisions."""

from __future__ import annotations

import re

import pytest

from support.projects import New, Project, last_line
from support.releases import ROOT
from support.variants import ENGINE_OF, ONE_OF_EACH, POSTGRESQL, Engine

VIEWS = "src/my_app/views.py"
ADULTS = "2026_03_01_0900-5b1e0c7d2a94_add_adults.py"
OLDER = "2026_03_08_0900-6c2f1d8e3ba5_be_older.py"


def written(session: str, path: str) -> str:
    """Return what the page writes first into a file."""
    page = (ROOT / "docs/how-to/views.md").read_text(encoding="utf-8")
    block = rf"^```{{file}} {session} {re.escape(path)}\n(?::[^\n]*\n)*(.+?)^```"
    first: str = re.findall(block, page, re.DOTALL | re.MULTILINE)[0]
    return first


def names(project: Project, catalog: str) -> set[str]:
    """Return the names that a catalog has."""
    return {name for (name,) in project.query(catalog)}


def insert(project: Project, name: str, age: int) -> None:
    project.query(
        f"INSERT INTO heroes (name, secret_name, age) VALUES ('{name}', '', {age})"
    )


def test_views_of_alembic_utils_go_up_and_down(new: New) -> None:
    project = new(POSTGRESQL)
    project.write(VIEWS, written("postgresql", VIEWS))
    imported = "    from my_app.models import Base\n"
    project.edit(
        "migrations/env.py", imported, written("postgresql", "migrations/env.py")
    )
    pyproject = project.read("pyproject.toml")
    project.write("pyproject.toml", pyproject + written("postgresql", "pyproject.toml"))

    autogenerate = ["revision", "--autogenerate", "-m"]
    project.alembic("stamp", "head")
    output = project.alembic(*autogenerate, "too early", fails=True)
    message = 'revision stopped: UndefinedTable: relation "heroes" does not exist. '
    assert last_line(output).startswith(f"{message}alembic_utils tries each view")
    project.alembic("stamp", "base")

    project.upgraded()
    project.query("CREATE VIEW others AS SELECT 1 AS one")
    project.query("GRANT SELECT ON heroes TO PUBLIC")
    project.alembic(*autogenerate, "add adults")
    project.alembic_each([["upgrade", "head"], ["check"]])
    insert(project, " Ada ", 18)
    assert project.query("SELECT name FROM adults") == [("Ada",)]
    project.ruff()

    project.edit(VIEWS, "age >= 18", "age >= 21")
    project.alembic(*autogenerate, "be older")
    project.alembic_each([["upgrade", "head"], ["check"]])
    assert project.query("SELECT name FROM adults") == []
    project.alembic("downgrade", "-1")
    assert project.query("SELECT name FROM adults") == [("Ada",)]
    project.alembic("upgrade", "head")

    project.edit(VIEWS, "[adults, trim_name,", "[trim_name,")
    project.alembic(*autogenerate, "leave adults")
    project.alembic_each([["upgrade", "head"], ["check"]])
    views = "SELECT viewname FROM pg_views WHERE schemaname = 'public'"
    assert names(project, views) == {"others"}
    project.alembic("downgrade", "-1")
    assert names(project, views) == {"others", "adults"}
    assert "passed" in project.own_tests("tests/test_migrations.py")


@pytest.mark.parametrize(
    "engine", [ONE_OF_EACH[0], ENGINE_OF["mariadb-pymysql-sync"]], ids=str
)
def test_views_by_hand_go_up_and_down(new: New, engine: Engine) -> None:
    project = new(engine)
    for name in (ADULTS, OLDER):
        text = written("sqlite", f"migrations/versions/{name}")
        if engine.server:
            page = (ROOT / "docs/how-to/views.md").read_text(encoding="utf-8")
            [trigger] = re.findall(r"```sql\n(CREATE TRIGGER .*?)```", page, re.DOTALL)
            call = f'op.execute("""{trigger}""")'
            text = re.sub(r"op\.execute\(\n.*?\n    \)", call, text, flags=re.DOTALL)
        (project.versions / name).write_text(text, encoding="utf-8")
    project.kit("head")
    project.alembic("upgrade", "5b1e0c7d2a94")
    insert(project, " Ada ", 18)
    assert project.query("SELECT name FROM adults") == [("Ada",)]
    project.alembic_each([["upgrade", "head"], ["check"]])
    assert project.query("SELECT name FROM adults") == []
    project.alembic("downgrade", "-1")
    assert project.query("SELECT name FROM adults") == [("Ada",)]
    assert "passed" in project.own_tests("tests/test_migrations.py")
