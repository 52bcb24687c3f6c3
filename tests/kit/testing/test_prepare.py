"""New databases of the tests have what a migration takes for granted."""

from __future__ import annotations

import pytest

from support.projects import New, Project
from support.variants import ENGINE_OF

PREPARE = """

def prepare(connection: Connection) -> None:
    \"\"\"Make what a superuser made in every real database.\"\"\"
    connection.execute(text("CREATE EXTENSION citext"))
    connection.execute(CreateSchema("shop"))


run(target_metadata, package="my_app", prepare=prepare)
"""


def needing_project(new: New, engine: str) -> Project:
    """Return a project whose revision takes an extension and a schema for granted."""
    project = new(ENGINE_OF[engine])
    project.add_revision(
        "one",
        'op.execute("CREATE TABLE shop.capes (name citext)")',
        'op.execute("DROP TABLE shop.capes")',
    )
    project.write("migrations/HEAD", "one\n")
    return project


def prepare(project: Project, body: str = PREPARE) -> None:
    """Let env.py prepare new databases."""
    env = project.read("migrations/env.py").partition("\n# Options of")[0]
    imports = "from sqlalchemy import Connection, text\nfrom sqlalchemy.schema import CreateSchema\n"
    env = env.replace("import sys\n", f"import sys\n\n{imports}", 1)
    project.write("migrations/env.py", env + body)


@pytest.mark.parametrize(
    "engine", ["postgresql-psycopg-sync", "postgresql-asyncpg-async"]
)
def test_hook_prepares_databases_of_the_tests_only(new: New, engine: str) -> None:
    project = needing_project(new, engine)
    only = ("tests/test_migrations.py", "-k", "up_down or equal_the")
    without = project.own_tests(*only, fails=True)
    assert "2 failed" in without
    prepare(project)
    assert "7 passed" in project.own_tests()
    output = project.alembic("upgrade", "head", fails=True)
    assert 'schema "shop" does not exist' in output


def test_hook_runs_once_in_each_new_database(new: New) -> None:
    """Not in a copy of one, and not again after all revisions were taken back."""
    project = new()
    body = PREPARE.replace('"CREATE EXTENSION citext"', '"CREATE TABLE once (id INT)"')
    prepare(project, body.replace('    connection.execute(CreateSchema("shop"))\n', ""))
    project.python(
        "import sys; sys.path.append('migrations')\n"
        "from pathlib import Path\n"
        "from sqlalchemy import text\n"
        "from migration_kit.testing import ScratchDatabase\n"
        "def scratch(): return ScratchDatabase(Path('alembic.ini').resolve())\n"
        "with scratch().create() as template:\n"
        "    template.upgrade(); template.downgrade('base'); template.upgrade()\n"
        "    with scratch().create(template) as copy:\n"
        "        copy.downgrade('base'); copy.upgrade()\n"
        "        assert copy.execute(text('SELECT * FROM once')) == []\n"
        "with template.create():\n"
        "    template.upgrade()\n"
        "    assert template.execute(text('SELECT * FROM once')) == []\n"
    )


def test_failing_hook_is_one_line(new: New) -> None:
    project = new()
    prepare(project, PREPARE.replace('"CREATE EXTENSION citext"', '"nonsense"'))
    only = ("tests/test_migrations.py", "-k", "equal_the")
    output = project.own_tests(*only, fails=True)
    assert "prepare() of env.py failed: migrations/env.py, line " in output
