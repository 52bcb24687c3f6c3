"""A protected database loses nothing by mistake."""

from __future__ import annotations

import shutil

import pytest

from support.projects import New, Project, last_line
from support.revisions import HERO
from support.variants import ONE_OF_EACH, Engine

PROTECTED = {"MIGRATIONS_PROTECTED": "true"}

# A step that loses nothing, and one that does.
CAPES = 'op.create_table("capes", sa.Column("id", sa.Integer(), primary_key=True))'
DROP = """\
with op.batch_alter_table("heroes") as batch_op:
    batch_op.drop_column("secret_name")"""
ACCEPTED = f"""\
# lint-accept: drop-column heroes.secret_name
# No release reads it.
{DROP}"""


def add_capes_and_drop(project: Project, drop: str = DROP) -> None:
    """Add a revision that loses nothing, and one after it that does."""
    project.add_revision("capes", CAPES, 'op.drop_table("capes")')
    project.add_revision("drop", drop, down_revision="capes")


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_protected_database_goes_up_and_nowhere_else(new: New, engine: Engine) -> None:
    project = new(engine)
    project.alembic("upgrade", "head", MIGRATIONS_PROTECTED="true")
    for words in (["downgrade", "-1"], ["stamp", "--purge", "base"]):
        line = last_line(
            project.alembic(*words, fails=True, MIGRATIONS_PROTECTED="true")
        )
        said = f"{words[0]} refused: MIGRATIONS_PROTECTED protects this database, "
        assert line.startswith(said)
        run = f"If you mean it, run `alembic -x protected=false {words[0]} ...`"
        assert line.endswith(run)
        assert project.version() == [HERO]
    for words in (
        ["check"],
        ["current", "--check-heads"],
        ["downgrade", "head:base", "--sql"],
    ):
        project.alembic(*words, MIGRATIONS_PROTECTED="true")
    project.alembic(
        "-x", "protected=false", "downgrade", "base", MIGRATIONS_PROTECTED="true"
    )
    assert project.version() == []


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_upgrade_that_destroys_is_refused_as_a_whole(new: New, engine: Engine) -> None:
    project = new(engine).upgraded()
    add_capes_and_drop(project)
    line = last_line(
        project.alembic("upgrade", "head", fails=True, MIGRATIONS_PROTECTED="true")
    )
    assert (
        "MIGRATIONS_PROTECTED protects this database, and migrations/versions/drop.py, line "
        in line
    )
    assert "`# lint-accept: drop-column heroes.secret_name` and the reason" in line
    assert "`alembic -x protected=false upgrade ...`" in line
    assert project.version() == [HERO]
    assert project.tables() == {"heroes"}
    add_capes_and_drop(project, ACCEPTED)
    output = project.alembic("upgrade", "head", MIGRATIONS_PROTECTED="true")
    assert project.version() == ["drop"]
    announced = output.index(f"About to run upgrade {HERO} -> capes")
    assert announced < output.index("About to run upgrade capes -> drop")
    assert output.index("About to run upgrade capes -> drop") < output.index(
        "Running upgrade"
    )


def test_destroying_upgrade_may_be_meant(new: New) -> None:
    project = new().upgraded()
    add_capes_and_drop(project)
    project.alembic("upgrade", "capes", MIGRATIONS_PROTECTED="true")
    project.alembic(
        "-x", "protected=false", "upgrade", "head", MIGRATIONS_PROTECTED="true"
    )
    assert project.version() == ["drop"]
    assert "About to run" not in project.alembic("upgrade", "head")


@pytest.mark.parametrize(
    ("ini", "variable", "x", "source"),
    [
        ("true", "", "", "[alembic] of alembic.ini"),
        ("false", "TRUE", "", "MIGRATIONS_PROTECTED"),
        ("true", "false", "", None),
        ("true", "false", "true", "-x protected"),
        ("true", "true", "false", None),
        ("", "", "", None),
    ],
)
def test_nearest_setting_wins(
    new: New, ini: str, variable: str, x: str, source: str | None
) -> None:
    project = new().upgraded()
    if ini:
        project.edit("alembic.ini", "[alembic]\n", f"[alembic]\nprotected = {ini}\n")
    given = ["-x", f"protected={x}"] if x else []
    words = [*given, "downgrade", "base"]
    output = project.alembic(*words, fails=bool(source), MIGRATIONS_PROTECTED=variable)
    if source:
        assert (
            f"downgrade refused: {source} protects this database, and a downgrade drops"
            in last_line(output)
        )


def test_setting_that_is_no_answer_is_refused(new: New) -> None:
    output = new().alembic("upgrade", "head", fails=True, MIGRATIONS_PROTECTED="yes")
    assert (
        last_line(output)
        == "MIGRATIONS_PROTECTED is 'yes', not true or false. Correct it"
    )


def test_databases_of_the_tests_are_not_protected(new: New) -> None:
    project = new()
    add_capes_and_drop(project)
    output = project.own_tests("-k", "up_down", fails=True, MIGRATIONS_PROTECTED="true")
    assert "protected" not in output


def test_tenants_are_protected(new: New) -> None:
    project = new(tenants="database")
    names = 'def tenants() -> list[str]:\n    return ["one"]\n'
    url = "def tenant_url(tenant: str) -> URL:\n    return database_url(tenant)\n"
    imports = (
        "from migration_kit.settings import database_url\nfrom sqlalchemy import URL\n"
    )
    project.write("migrations/tenants.py", f"{imports}\n\n{names}\n\n{url}")
    project.run("python", "migrations", "tenants", "create", "one", env=PROTECTED)
    back = ("python", "migrations", "tenants", "downgrade", "base")
    output = project.run(*back, fails=True, env=PROTECTED)
    assert "MIGRATIONS_PROTECTED protects this" in " ".join(output.split())
    project.run(*back, "-x", "protected=false", env=PROTECTED)


def test_each_database_says_it_for_itself(new: New) -> None:
    project = new(more_databases={"analytics": "sqlite+pysqlite:///analytics.db"})
    project.edit("alembic.ini", "[analytics]\n", "[analytics]\nprotected = true\n")
    project.run("python", "migrations", "all", "stamp", "head", fails=True)
    assert project.version() == [HERO]
    line = last_line(project.alembic("-n", "analytics", "stamp", "head", fails=True))
    assert "[analytics] of alembic.ini protects this database" in line
    assert "`alembic -n analytics -x protected=false stamp ...`" in line
    words = ("all", "-x", "protected=false", "stamp", "head")
    project.run("python", "migrations", *words)


LOADED = """
import sys
from alembic.config import main
main(["current"])
print([name for name in sys.modules if name.startswith("migration_kit.lint.")])
"""


def test_others_do_not_wait_for_what_reads_revisions(new: New) -> None:
    project = new()
    room = "'migration_kit.lint.room'"
    assert project.python(LOADED).splitlines()[-1] == f"[{room}]"
    loaded = project.python(LOADED, **PROTECTED).splitlines()[-1]
    assert loaded == f"[{room}, 'migration_kit.lint.protect']"


@pytest.mark.parametrize("where", ["environment", "alembic.ini", "-x"])
def test_setting_without_the_room_is_refused(new: New, where: str) -> None:
    project = new(features=["branches", "lint"])
    shutil.rmtree(project / "migrations/migration_kit/lint")
    env = PROTECTED if where == "environment" else {}
    words = ["-x", "protected=true"] if where == "-x" else []
    if where == "alembic.ini":
        project.edit("alembic.ini", "[alembic]\n", "[alembic]\nprotected = true\n")
    line = last_line(project.alembic(*words, "upgrade", "head", fails=True, **env))
    assert "protected is 'true', but this project has no lint. Run `uvx " in line
    assert (
        "'features=[branches, lint]'`, or restore its deleted folder, or remove" in line
    )
    assert project.tables() == set()
