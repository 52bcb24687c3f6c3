"""`--sql` prints the SQL, and needs no database."""

from __future__ import annotations

import subprocess

import pytest

from support.commands import environment, script
from support.projects import New, Project, Render, alembic
from support.variants import DIFFERENT, ENGINE_OF, POSTGRESQL, Engine, Variant


@pytest.mark.parametrize("engine", DIFFERENT, ids=str)
def test_sql_is_printed_without_a_database(new: New, engine: Engine) -> None:
    """On SQLite not of the tour: batch operations need a database to look at."""
    example = "tour" if engine.server else "hero"
    project = new(Variant(engine, example=example))
    up = project.alembic("-x", "seed=true", "upgrade", "head", "--sql")
    assert "CREATE TABLE heroes" in up
    assert ("ada@example.com" in up) == (example == "tour")
    down = project.alembic("downgrade", "head:base", "--sql")
    assert "DROP TABLE heroes" in down


def test_offline_sql_limits_its_waits_for_locks(render: Render) -> None:
    sql = alembic(render(Variant(POSTGRESQL)), "upgrade", "head", "--sql")
    assert "\nSET LOCAL lock_timeout = 5000;\n" in sql
    assert "lock_timeout" not in alembic(render(), "upgrade", "head", "--sql")


def separately(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real `alembic`, and keep apart what goes to a file and what goes to a person."""
    env = environment(**project.env)
    command: list[str] = [str(script("alembic")), *arguments]
    return subprocess.run(
        command, cwd=project, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "engine", ["sqlite-pysqlite-sync", "mariadb-pymysql-sync"], ids=str
)
def test_sql_is_whole_or_there_is_none(new: New, engine: str) -> None:
    """A file with the half of it would look complete; the error is never in the file."""
    project = new(ENGINE_OF[engine])
    project.add_revision("half", 'op.create_table("t")\nop.get_bind().scalar(1)')
    for command in ("upgrade head --sql", "stamp nothing --sql"):
        ended = separately(project, *command.split())
        assert (ended.returncode, ended.stdout) == (255, "")
        assert ended.stderr.splitlines()[-1].startswith("FAILED: ")
        assert "Traceback" not in ended.stderr
    ended = separately(project, "upgrade", "head", "--sql")
    line = ended.stderr.splitlines()[-1]
    assert line.startswith("FAILED: no SQL was printed: migrations/versions/half.py, ")
    ended = separately(project, "--raiseerr", "upgrade", "head", "--sql")
    assert (bool(ended.returncode), ended.stdout) == (True, "")
    assert "Traceback" in ended.stderr
    project.write("src/my_app/models/bad.py", "nonsense\n")
    ended = separately(project, "upgrade", "head", "--sql")
    assert (ended.returncode, ended.stdout) == (255, "")
    assert ended.stderr.startswith("FAILED: the models cannot be imported: ")


def test_sql_goes_where_a_program_wants_it(new: New) -> None:
    project = new()
    output = project.program(
        """
import io
from alembic.util import CommandError
config.output_buffer = io.StringIO()
command.upgrade(config, "head", sql=True)
assert "CREATE TABLE heroes" in config.output_buffer.getvalue()
open("migrations/versions/bad.py", "w").write("nonsense")
try:
    command.upgrade(config, "head", sql=True)
except CommandError as error:
    print("raised", error)
""",
        DATABASE_URL="sqlite://",
    )
    assert output.startswith("raised no SQL was printed: ")
