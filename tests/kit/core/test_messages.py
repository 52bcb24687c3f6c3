"""Each error is one line with what helps, and shows no secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL

from support.projects import Database, New, Project, Render, alembic, last_line
from support.revisions import HERO
from support.variants import (
    DIFFERENT,
    ENGINE_OF,
    ONE_OF_EACH,
    POSTGRESQL,
    Engine,
    Variant,
)


@pytest.mark.parametrize("engine", DIFFERENT, ids=str)
def test_database_that_cannot_be_reached(
    new: New, engine: Engine, tmp_path: Path
) -> None:
    project = new(engine)
    if not engine.server:
        folder = tmp_path / "nowhere"
        missing = project.url.set(database=str(folder / "app.db"))
        line = last_line(project.on(missing).alembic("upgrade", "head", fails=True))
        assert f"cannot connect to {missing}: unable to open database file" in line
        assert "check that its folder exists" in line
        return
    closed = project.on(project.url.set(port=1, password="s3cret"))
    line = last_line(closed.alembic("current", fails=True))
    assert "start the server, or correct host and port in DATABASE_URL" in line
    assert "s3cret" not in line
    assert f"{engine.database}+{engine.driver}://" in line
    unknown = project.url.set(database="copier_alembic_nowhere")
    line = last_line(project.on(unknown).alembic("upgrade", "head", fails=True))
    assert "create the database, or correct DATABASE_URL" in line


def test_kind_of_database_that_the_project_lacks_is_refused(
    new: New, database: Database
) -> None:
    """Its lock and its transactions are not there: nothing runs without them."""
    project = new().on(database("postgresql", "psycopg"))
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert "the kit of this project has no postgresql" in line
    assert "`copier update --data database=postgresql`" in line
    assert project.tables() == set()
    arguments = ("-x", "lock=none", "upgrade", "head")
    assert last_line(project.alembic(*arguments, fails=True)) == line
    assert project.tables() == set()
    file = new(POSTGRESQL).on(new().url)
    assert "has no sqlite" in last_line(file.alembic(*arguments, fails=True))


def test_async_driver_that_the_project_lacks_is_refused(new: New) -> None:
    project = new()
    awaited = project.on(project.url.set(drivername="sqlite+aiosqlite"))
    line = last_line(awaited.alembic("upgrade", "head", fails=True))
    assert "the kit of this project has no async drivers" in line
    assert "DATABASE_URL names sqlite+aiosqlite" in line
    assert "`copier update --data async_engine=true`" in line


@pytest.mark.parametrize(
    "engine",
    [engine for engine in DIFFERENT if engine.database in {"mysql", "mariadb"}],
    ids=str,
)
def test_wrong_password(new: New, engine: Engine) -> None:
    """Not on PostgreSQL, whose test server trusts everybody."""
    project = new(engine)
    project = project.on(project.url.set(password="s3cret"))
    output = project.alembic("current", fails=True)
    assert "check user and password in DATABASE_URL" in last_line(output)
    assert "s3cret" not in output


@pytest.mark.parametrize(
    "engine", ["postgresql-psycopg-sync", "postgresql-asyncpg-async"]
)
def test_unknown_user(new: New, engine: str) -> None:
    project = new(ENGINE_OF[engine])
    project = project.on(project.url.set(username="nobody_here"))
    output = project.alembic("current", fails=True)
    assert "nobody_here" in last_line(output)


def test_missing_driver(render: Render) -> None:
    url = URL.create("mysql+mysqldb", host="localhost", database="x", password="s3cret")
    output = Project(render(), url).alembic("current", fails=True)
    line = last_line(output)
    assert line.startswith("MySQLdb is not installed, but mysql+mysqldb:// needs it")
    assert "s3cret" not in output


def test_unknown_dialect(render: Render) -> None:
    output = alembic(
        render(), "current", DATABASE_URL="postgres://u:s3cret@h/x", fails=True
    )
    assert "SQLAlchemy has no dialect 'postgres'; start DATABASE_URL like" in last_line(
        output
    )
    assert "s3cret" not in output


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_unknown_revision_in_the_database(new: New, engine: Engine) -> None:
    project = new(engine).upgraded()
    project.query("UPDATE alembic_version SET version_num = 'elsewhere'")
    for command in (["upgrade", "head"], ["downgrade", "base"], ["check"]):
        line = last_line(project.alembic(*command, fails=True))
        assert "Can't locate revision identified by 'elsewhere'" in line
        assert "check out the code that has it" in line
    assert project.tables() == {"heroes"}


def test_several_heads(new: New) -> None:
    project = new()
    project.add_revision("one", "pass")
    project.add_revision("two", "pass")
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert "Multiple head revisions" in line
    assert line.endswith(
        "; put yours behind the other one with `python migrations rebase YOURS`, or, if both "
        "have run in production, join them with `alembic merge one two`"
    )
    readme = " ".join(project.read("README.md").split())
    assert "uv run python migrations rebase YOUR_REVISION" in readme
    page = " ".join(project.read("docs/migrations.md").split())
    assert (
        "If both have run in production, join them with `alembic merge heads`" in page
    )


def test_check_of_an_old_database(new: New) -> None:
    line = last_line(new().alembic("check", fails=True))
    assert line == "Target database is not up to date; run `alembic upgrade head` first"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "import nothing_of_that_name\n",
            "line 1: ModuleNotFoundError: No module named",
        ),
        ("class Hero(:\n", "line 1: invalid syntax"),
        ("\n\n1 / 0\n", "line 3: ZeroDivisionError: division by zero"),
    ],
)
def test_models_that_cannot_be_imported(
    new: New, database: Database, source: str, reason: str
) -> None:
    project = new()
    (project / "src/my_app/models/hero.py").write_text(source)
    output = project.alembic("upgrade", "head", fails=True)
    line = last_line(output)
    assert line.startswith("the models cannot be imported: src/my_app/models/hero.py, ")
    assert reason in line
    output = project.alembic("--raiseerr", "upgrade", "head", fails=True)
    assert "Traceback" in output


def test_project_that_is_not_installed(render: Render) -> None:
    output = alembic(render(), "current", PYTHONPATH="", fails=True)
    assert "No module named 'my_app'" in last_line(output)
    assert "install the project" in last_line(output)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def upgrade(:\n", "versions/bad.py, line 1: invalid syntax"),
        (
            "import nothing_of_that_name\n",
            "versions/bad.py, line 1: ModuleNotFoundError",
        ),
        ("nonsense\n", "versions/bad.py, line 1: NameError"),
        (
            'revision = "bad"\ndown_revision = "gone"\n',
            "KeyError: 'gone'; a revision names it",
        ),
        (f'revision = "bad"\ndown_revision = "{HERO}"\n', "AttributeError"),
    ],
)
def test_revision_that_was_edited_into_nonsense(
    new: New, source: str, reason: str
) -> None:
    project = new()
    (project / "migrations/versions/bad.py").write_text(source)
    assert reason in last_line(project.alembic("upgrade", "head", fails=True))
    assert project.tables() == set()


def test_revision_that_cannot_be_read_is_named_where_env_py_or_we_run(new: New) -> None:
    """Alembic's `heads`, `history` and `show` run neither, and print a traceback."""
    project = new()
    project.write("migrations/versions/bad.py", "def upgrade(:\n")
    reason = "stopped: migrations/versions/bad.py, line 1: invalid syntax"
    assert last_line(project.kit("head", fails=True)) == f"head {reason}"
    output = project.alembic("history", "--indicate-current", fails=True)
    assert last_line(output) == f"history {reason}"


@pytest.mark.parametrize("engine", ["postgresql-psycopg-sync", "mariadb-pymysql-sync"])
def test_lock_that_was_lost_fails_loudly(new: New, engine: str) -> None:
    variant = Variant(ENGINE_OF[engine])
    project = new(variant)
    unlock = (
        "pg_advisory_unlock_all()" if "postgresql" in engine else "RELEASE_ALL_LOCKS()"
    )
    project.add_revision("thief", f'op.execute("SELECT {unlock}")')
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert line.startswith("the migration lock was lost while the migration ran")


SECRET_URLS = [
    ("postgresql-psycopg-sync", {"password": "s3cret", "sslpassword": "s3cret"}),
    ("postgresql-asyncpg-async", {"password": "s3cret"}),
    ("mysql-pymysql-sync", {"passwd": "s3cret"}),
]


@pytest.mark.parametrize(
    ("engine", "secrets"), SECRET_URLS, ids=lambda value: str(value)
)
def test_secrets_are_never_printed(
    new: New, engine: str, secrets: dict[str, str]
) -> None:
    variant = Variant(ENGINE_OF[engine])
    project = new(variant)
    project = project.on(project.url.update_query_dict(secrets))
    succeeds = variant.engine.database == "postgresql"
    for command in (["current", "-v"], ["--raiseerr", "upgrade", "head"], ["check"]):
        assert "s3cret" not in project.alembic(*command, fails=not succeeds)
    url = project.url
    for broken in (url.set(port=1), url.set(database="nowhere_at_all")):
        output = project.on(broken).alembic("--raiseerr", "current", fails=True)
        assert "s3cret" not in output
