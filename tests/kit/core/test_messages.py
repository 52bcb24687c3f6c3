"""Each error is one line with its fix, and shows no secret."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL

from support.databases import SERVERS, execute
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

MARIADB = ENGINE_OF["mariadb-pymysql-sync"]


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
        assert "Check that its folder exists" in line
        return
    closed = project.on(project.url.set(port=1, password="s3cret"))
    line = last_line(closed.alembic("current", fails=True))
    assert "Start the server, or correct host and port in DATABASE_URL" in line
    assert "s3cret" not in line
    assert f"{engine.database}+{engine.driver}://" in line
    unknown = project.url.set(database="copier_alembic_nowhere")
    line = last_line(project.on(unknown).alembic("upgrade", "head", fails=True))
    assert "Create the database, or correct DATABASE_URL" in line


def test_kind_of_database_that_the_project_lacks_is_refused(
    new: New, database: Database
) -> None:
    """Its lock and its transactions are not there: nothing runs without them."""
    project = new().on(database("postgresql", "psycopg"))
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert "the kit of this project has no postgresql" in line
    assert (
        "`uvx copier update --vcs-ref=:current: --defaults --data database=postgresql`"
        in line
    )
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
    assert (
        "`uvx copier update --vcs-ref=:current: --defaults --data async_engine=true`"
        in line
    )


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
    assert "Check user and password in DATABASE_URL" in last_line(output)
    assert "s3cret" not in output


@pytest.mark.parametrize(
    "engine", ["postgresql-psycopg-sync", "postgresql-asyncpg-async"]
)
def test_unknown_user(new: New, engine: str) -> None:
    project = new(ENGINE_OF[engine])
    project = project.on(project.url.set(username="nobody_here"))
    output = project.alembic("current", fails=True)
    assert "nobody_here" in last_line(output)


@contextmanager
def role(project: Project, *options: str) -> Iterator[Project]:
    """Give a project on a user of its own; `{}` in options is the database."""
    name, server = f"u{project.url.database}"[:30], SERVERS["postgresql"]
    execute(server, f"CREATE ROLE {name} LOGIN")
    try:
        for option in options:
            execute(server, option.format(name, project.url.database))
        yield project.on(project.url.set(username=name))
    finally:
        execute(server, f"DROP OWNED BY {name}")
        execute(server, f"DROP ROLE {name}")


@pytest.mark.parametrize(
    "engine", ["postgresql-psycopg-sync", "postgresql-asyncpg-async"]
)
@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (
            ["ALTER ROLE {0} CONNECTION LIMIT 0"],
            "End other sessions, or raise the limit",
        ),
        (
            ["ALTER ROLE {0} NOLOGIN"],
            "Create that user with LOGIN, or correct the user",
        ),
        (
            ["REVOKE CONNECT ON DATABASE {1} FROM PUBLIC"],
            "Allow this user, host and database on the server, or correct DATABASE_URL",
        ),
    ],
    ids=["limit", "no login", "no connect"],
)
def test_postgresql_that_refuses_a_user(
    new: New, engine: str, options: list[str], remedy: str
) -> None:
    """The server runs, and host and port are right."""
    with role(new(ENGINE_OF[engine]), *options) as project:
        line = last_line(project.alembic("current", fails=True))
    assert line.endswith(remedy) or f". {remedy} in DATABASE_URL" in line


@pytest.mark.parametrize(
    ("engine", "query", "remedy"),
    [
        (
            "postgresql-psycopg-sync",
            {"sslmode": "require"},
            "Correct host, port or TLS",
        ),
        ("postgresql-asyncpg-async", {"ssl": "require"}, "Correct host, port or TLS"),
        (
            "postgresql-asyncpg-async",
            {"ssl": "verify-full"},
            "Correct host, port or TLS",
        ),
    ],
)
def test_postgresql_without_tls(
    new: New, engine: str, query: dict[str, str], remedy: str
) -> None:
    """A certificate that does not exist is no database that does not exist."""
    project = new(ENGINE_OF[engine])
    project = project.on(project.url.update_query_dict(query))
    line = last_line(project.alembic("current", fails=True))
    assert line.endswith(f". {remedy} in DATABASE_URL")


@pytest.mark.parametrize("engine", ONE_OF_EACH[1:], ids=str)
def test_name_of_a_database_is_not_what_happened(new: New, engine: Engine) -> None:
    project = new(engine)
    for name in ("passwords", "recovery", "authentication"):
        missing = project.on(project.url.set(database=f"nowhere_{name}"))
        line = last_line(missing.alembic("current", fails=True))
        assert line.endswith(". Create the database, or correct DATABASE_URL")


def test_mariadb_user_without_the_database(new: New) -> None:
    project = new(ENGINE_OF["mariadb-pymysql-sync"])
    name, server = f"u{project.url.database}"[:30], SERVERS["mariadb"]
    execute(server, f"CREATE USER {name} IDENTIFIED BY 'x'")
    try:
        other = project.on(project.url.set(username=name, password="x"))
        line = last_line(other.alembic("current", fails=True))
    finally:
        execute(server, f"DROP USER {name}")
    assert "Allow this user, host and database on the server" in line


# What servers say that a test cannot make them say, or not on a server that it shares.
SAID = {
    "postgresql": {
        "FATAL: sorry, too many clients already": "End other sessions",
        "FATAL: remaining connection slots are reserved for roles": "End other sessions",
        "FATAL: the database system is starting up": "Wait until the server is ready",
        "FATAL: the database system is not yet accepting connections": "Wait until",
        'FATAL: database "x" is not currently accepting connections': "Allow this user",
        'FATAL: no pg_hba.conf entry for host "h", user "u", database "x"': "Allow this user",
        'FATAL: password authentication failed for user "u"': "Check user and password",
        "fe_sendauth: no password supplied": "Check user and password",
        "session is read-only": "Add the primary's host to",
        "server is in hot standby mode": "Add the primary's host to",
        'prepared statement "_pg3_0" already exists': "Connect to PostgreSQL directly",
        'connection to server at "ssl.example", port 5432 failed: Connection refused': "Start",
        "failed to resolve host 'password.example'": "Start the server",
    },
    "mysql": {
        "(1040, 'Too many connections')": "End other sessions",
        "(1226, \"User 'u' has exceeded the 'max_user_connections' resource\")": "End other",
        "(1130, \"Host 'h' is not allowed to connect to this MariaDB server\")": "Allow this",
        "(1045, \"Access denied for user 'u'@'h' (using password: YES)\")": "Check user",
        "(2026, 'SSL connection error: certificate verify failed')": "Correct host, port",
        "(1047, 'WSREP has not yet prepared node for application use')": "This node has lost",
        "(2003, \"Can't connect to MySQL server on 'h' ([Errno 111])\")": "Start the server",
    },
    "sqlite": {"file is not a database": "Check that it names a SQLite database"},
}


@pytest.mark.parametrize("kind", SAID)
def test_each_reason_has_its_own_fix(new: New, kind: str) -> None:
    project = new(
        {"sqlite": ONE_OF_EACH[0], "postgresql": POSTGRESQL}.get(kind, MARIADB)
    )
    output = project.python(f"""
import sys
sys.path.append("migrations")
from migration_kit.connect import connecting
from sqlalchemy import make_url
for reason, remedy in {SAID[kind]!r}.items():
    try:
        with connecting(make_url("{kind}://h/x"), "it"):
            raise OSError(reason)
    except Exception as error:
        said = str(error).rpartition(reason + ". ")[2]
        print(said.startswith(remedy), error)
""")
    assert output.count("True ") == len(SAID[kind]), output


TWO = "CREATE TABLE one (id int);\n  CREATE TABLE two (id int)"


@pytest.mark.parametrize(
    ("engine", "arguments"),
    [
        ("sqlite-pysqlite-sync", repr(TWO)),
        ("sqlite-aiosqlite-async", repr(TWO)),
        ("postgresql-asyncpg-async", repr(TWO)),
        ("postgresql-psycopg-sync", 'sa.text("SELECT :x; SELECT 2").bindparams(x=1)'),
        ("mariadb-pymysql-sync", repr(TWO)),
    ],
    ids=lambda value: value.partition("(")[0],
)
def test_two_statements_in_one(new: New, engine: str, arguments: str) -> None:
    project = new(ENGINE_OF[engine])
    project.add_revision("two", f"op.execute({arguments})", down_revision=None)
    line = last_line(project.alembic("upgrade", "two", fails=True))
    assert ". Give each statement its own op.execute(). " in line
    assert "PgBouncer" not in line


TRIGGER = (
    "CREATE TRIGGER t BEFORE INSERT ON heroes FOR EACH ROW BEGIN "
    "SET NEW.id = 1; SETT NEW.id = 2; END"
)


@pytest.mark.parametrize(
    ("engine", "statement"),
    [
        ("postgresql-asyncpg-async", "EXECUTE mine"),
        ("postgresql-psycopg-sync", "EXECUTE mine"),
        ("postgresql-psycopg-sync", "SELECT 'prepared statement' FROM nowhere"),
        ("mariadb-pymysql-sync", TRIGGER),
        ("mariadb-pymysql-sync", "SELECT 1, FROM heroes"),
        ("mariadb-pymysql-sync", "INSERT INTO heroes (id) VALUES ('x')"),
    ],
)
def test_error_without_a_fix_has_none(new: New, engine: str, statement: str) -> None:
    """A wrong one sends you to the wrong place: the aftermath follows the error."""
    project = new(ENGINE_OF[engine])
    project.add_revision("one", f"op.execute({statement!r})")
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert not any(fix in line for fix in ("op.execute()", "PgBouncer", "rows"))


@pytest.mark.parametrize(
    "statement", ["ENUM('a') NOT NULL", "varchar(2)", "varchar(9) NOT NULL"]
)
def test_rows_that_do_not_fit_in_mariadb(new: New, statement: str) -> None:
    """The server says the same of NULL and of a value that is too long."""
    project = new(MARIADB)
    rows = "op.execute('CREATE TABLE t (c varchar(9))')\nop.execute(\"INSERT t VALUES (ROW)\")\n"
    rows = rows.replace("ROW", "NULL" if "9" in statement else "'long'")
    project.add_revision(
        "one", f'{rows}op.execute("ALTER TABLE t MODIFY c {statement}")'
    )
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert ". Some rows have NULL, or a value that the new type cannot hold: " in line


SETUP = """
op.execute("CREATE TABLE t (id int)")
op.execute("CREATE VIEW v AS SELECT * FROM t")
op.execute("CREATE VIEW w AS SELECT * FROM t")
op.execute("INSERT INTO t VALUES (1), (1)")
"""


@pytest.mark.parametrize(
    "engine",
    ["postgresql-psycopg-sync", "postgresql-psycopg-async", "postgresql-asyncpg-async"],
)
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "CREATE UNIQUE INDEX u ON t (id)",
            ". DETAIL: Key (id)=(1) is duplicated. Its",
        ),
        (
            "DROP TABLE t",
            ". DETAIL: view v depends on table t, view w depends on table t. HINT: Use DROP",
        ),
        (
            "SELECT idd FROM t",
            '. HINT: Perhaps you meant to reference the column "t.id". Its',
        ),
    ],
    ids=["detail", "several lines", "hint"],
)
def test_detail_and_hint_of_postgresql_are_in_the_line(
    new: New, engine: str, statement: str, said: str
) -> None:
    project = new(ENGINE_OF[engine])
    project.add_revision("one", f'{SETUP}op.execute("{statement}")')
    assert said in last_line(project.alembic("upgrade", "head", fails=True))


def test_long_detail_is_cut(new: New) -> None:
    project = new(POSTGRESQL)
    many = (
        'for n in range(50):\n    op.execute(f"CREATE VIEW view{n} AS SELECT * FROM t")'
    )
    project.add_revision("one", f'{SETUP}{many}\nop.execute("DROP TABLE t")')
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert " [...]. HINT: Use DROP ... CASCADE" in line
    assert len(line) < 800


def test_missing_driver(render: Render) -> None:
    url = URL.create("mysql+mysqldb", host="localhost", database="x", password="s3cret")
    output = Project(render(), url).alembic("current", fails=True)
    line = last_line(output)
    assert line.startswith(
        "MySQLdb is not installed, but the URL starts with mysql+mysqldb://. "
    )
    assert "s3cret" not in output


def test_unknown_dialect(render: Render) -> None:
    output = alembic(
        render(), "current", DATABASE_URL="postgres://u:s3cret@h/x", fails=True
    )
    assert "SQLAlchemy has no dialect 'postgres'. Start DATABASE_URL like" in last_line(
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
        assert "Use the release that has it" in line
    assert project.tables() == {"heroes"}


def test_several_heads(new: New) -> None:
    project = new()
    project.add_revision("one", "pass")
    project.add_revision("two", "pass")
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert "Multiple head revisions" in line
    assert line.endswith(
        ": two branches each added one. Run `python migrations rebase YOUR_REVISION`; if both "
        "have run in production, run `alembic merge one two` instead"
    )
    readme = " ".join(project.read("README.md").split())
    assert "uv run python migrations rebase YOUR_REVISION" in readme
    page = " ".join(project.read("docs/migrations.md").split())
    assert (
        "If both have run in production, join them with `alembic merge heads`" in page
    )


def test_check_of_an_old_database(new: New) -> None:
    line = last_line(new().alembic("check", fails=True))
    assert line == "Target database is not up to date. Run `alembic upgrade head`"


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
    assert "Run `uv sync`" in last_line(output)


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
            "KeyError: 'gone'. A revision names it",
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
