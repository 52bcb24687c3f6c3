"""Tenants: many schemas or databases of one shape, each migrated on its own."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, text

from support import fork
from support.commands import environment
from support.databases import (
    SERVERS,
    connect,
    databases_beside,
    execute,
    server_of,
    url_text,
)
from support.projects import New, Project, last_line
from support.revisions import HERO
from support.servers import PATIENCE, missing_package, pgbouncer
from support.variants import ENGINE_OF, POSTGRESQL, Engine

# A revision that does what `FAULT` says, once, while the tenant `b` runs it.
FAULTY = """
import os, signal
from pathlib import Path
from alembic import context
fault, done = os.environ.get("FAULT"), Path(os.environ.get("DONE", ""))
if fault and context.config.attributes["tenant"] == "b" and not done.exists():
    done.touch()
    pid, number = fault.split()
    os.kill(getattr(os, pid)(), getattr(signal, number))
op.create_table("capes", sa.Column("id", sa.Integer(), primary_key=True))
"""

SCHEMAS = ["a", "b", "c", "d", "e"]

DRIVERS = [
    ("schema", ENGINE_OF["postgresql-psycopg-sync"]),
    ("schema", ENGINE_OF["postgresql-asyncpg-async"]),
    ("database", ENGINE_OF["sqlite-pysqlite-sync"]),
    ("database", ENGINE_OF["postgresql-asyncpg-async"]),
    ("database", ENGINE_OF["mariadb-pymysql-sync"]),
]


class Tenants:
    """A project with tenants, and what is asked of it."""

    def __init__(self, project: Project, names: Sequence[str]) -> None:
        """Let `tenants()` return names."""
        self.project = project
        self.name(names)

    def name(self, names: Sequence[str]) -> None:
        """Let `tenants()` return other names."""
        path = self.project / "migrations/tenants.py"
        source = re.sub(
            r"    (raise NotImplementedError\(.*\)|return \[.*\])\n",
            f"    return {list(names)!r}\n",
            path.read_text(),
            count=1,
        )
        path.write_text(source)

    def __call__(self, *arguments: str, fails: bool = False, **env: str) -> str:
        """Run `python migrations tenants` and return what it printed."""
        return self.project.run(*self.command(*arguments), fails=fails, env=env)

    def start(self, *arguments: str, **env: str) -> fork.Process:
        """Start it."""
        return self.project.start(*self.command(*arguments), **env)

    @staticmethod
    def command(*arguments: str) -> list[str]:
        """Return it as it is typed."""
        return ["python", "migrations", "tenants", *arguments]

    def at(self, revision: str) -> list[str]:
        """Return the schemas that record a revision."""
        version_tables = self.project.query(
            "SELECT relnamespace::regnamespace::text FROM pg_class "
            "WHERE relname = 'alembic_version' ORDER BY 1"
        )
        return [
            schema
            for (schema,) in version_tables
            if (revision,)
            in self.project.query(f"SELECT version_num FROM {schema}.alembic_version")
        ]


@pytest.fixture
def drop_databases() -> Iterator[Callable[[URL], None]]:
    """Drop, after the test, the databases whose names begin with that of another one."""
    urls: list[URL] = []
    yield urls.append
    for url in urls:
        server = server_of(url.get_backend_name())
        mark = '"' if server == "postgresql" else "`"
        for name in databases_beside(url):
            execute(SERVERS[server], f"DROP DATABASE {mark}{name}{mark}")


@pytest.fixture
def schemas(new: New) -> Tenants:
    """A project whose tenants have a schema each, which are there and empty."""
    tenants = Tenants(new(POSTGRESQL, tenants="schema"), SCHEMAS)
    for name in SCHEMAS:
        tenants.project.query(f"CREATE SCHEMA {name}")
    return tenants


@pytest.mark.parametrize(("kind", "engine"), DRIVERS, ids=lambda value: str(value))
def test_tenants_go_up_and_down(
    new: New, kind: str, engine: Engine, drop_databases: Callable[[URL], None]
) -> None:
    project = new(engine, tenants=kind)
    drop_databases(project.url)
    start = f"{project.url.database}_" if engine.server and kind == "database" else ""
    names = [f"{start}a", f"{start}b %"]
    tenants = Tenants(project, names)
    assert "2 created" in tenants("create", *names, "--jobs", "1")
    project.alembic("-x", f"tenant={names[1]}", "check")
    assert "2 downgraded" in tenants("downgrade", "base", "--jobs", "1")
    project.alembic("-x", f"tenant={names[0]}", "upgrade", "head")
    output = tenants("upgrade", "--jobs", "1")
    assert "2 tenants: 1 upgraded, 1 there already" in output
    assert "Running upgrade" not in output
    output = tenants("current", "--check-heads", "--jobs", "1")
    assert f"2 tenants: 2 at the head, {HERO}; 0 not" in output
    assert project.tables() == set()


def test_broken_tenant_harms_nobody_and_the_next_run_finishes(
    schemas: Tenants,
) -> None:
    """Another one is gone, and one appears meanwhile."""
    schemas.project.query("CREATE TABLE b.heroes (id int)")
    schemas.project.query("DROP SCHEMA d")
    output = schemas("upgrade", fails=True)
    assert "5 tenants: 3 upgraded, 2 failed" in output
    [line] = [line for line in output.splitlines() if line.startswith("b ")]
    name, revision, place, error = line.split("  ")
    assert (name, revision) == ("b", HERO)
    assert re.fullmatch(rf"migrations/versions/.*{HERO}.*\.py, line \d+", place)
    assert error.startswith('DuplicateTable: relation "heroes" already exists')
    assert (
        "d  -  -  there is no schema d. Run `python migrations tenants create d`"
        in output
    )
    assert last_line(output) == "2 tenants failed. Run it again: it tries only these"
    assert schemas.at(HERO) == ["a", "c", "e"]

    schemas.project.query("DROP TABLE b.heroes")
    schemas.project.query("CREATE SCHEMA d")
    schemas.project.query("CREATE SCHEMA f")
    schemas.name([*SCHEMAS, "f"])
    output = schemas("current")
    assert "6 tenants: 3 at the head" in output
    assert "b  no revision\nd  no revision\nf  no revision" in output
    schemas("current", "--check-heads", fails=True)
    assert "6 tenants: 3 upgraded, 3 there already" in schemas("upgrade")
    assert schemas.at(HERO) == [*SCHEMAS, "f"]
    assert "6 tenants: 0 upgraded, 6 there already" in schemas("upgrade", "--jobs", "2")


def test_kill_of_a_worker_harms_nobody(schemas: Tenants, tmp_path: Path) -> None:
    schemas.project.add_revision("faulty", FAULTY)
    done = str(tmp_path / "done")
    output = schemas(
        "upgrade", "--jobs", "1", fails=True, FAULT="getpid SIGKILL", DONE=done
    )
    assert "5 tenants: 4 upgraded, 1 failed" in output
    assert "b  -  -  its process was ended by SIGKILL. Run it again" in output
    assert schemas.at("faulty") == ["a", "c", "d", "e"]
    assert "1 upgraded, 4 there already" in schemas("upgrade")


def test_kill_of_the_command_ends_its_workers(schemas: Tenants, tmp_path: Path) -> None:
    schemas.project.add_revision("faulty", FAULTY)
    done = str(tmp_path / "done")
    process = schemas.start(
        "upgrade", "--jobs", "1", FAULT="getppid SIGKILL", DONE=done
    )
    output = process.finish()  # when the worker has closed it as well
    assert "Traceback" not in output
    assert process.returncode == -9
    assert schemas.at("faulty") == ["a", "b"]
    assert "3 upgraded, 2 there already" in schemas("upgrade", "--jobs", "1")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_stop_waits_for_those_that_run(
    schemas: Tenants, tmp_path: Path, number: str
) -> None:
    schemas.project.add_revision("faulty", FAULTY)
    fault, done = f"getppid {number}", str(tmp_path / "done")
    output = schemas("upgrade", "--jobs", "1", fails=True, FAULT=fault, DONE=done)
    assert "5 tenants: 2 upgraded" in output
    assert (
        last_line(output)
        == "3 tenants left, because you stopped it. Run it again: it tries only these"
    )
    assert schemas.at("faulty") == ["a", "b"]


def test_two_fleets_at_once_run_each_revision_once(schemas: Tenants) -> None:
    """On the engine of env.py, whose warnings are not lost."""
    schemas.project.add_revision(
        "rows",
        """
        op.execute("INSERT INTO heroes (name, secret_name) SELECT current_setting('application_name'), '?'")
        """,
    )
    schemas.project.edit(
        "migrations/env.py",
        "run(target_metadata, ",
        """import logging
from functools import partial
from sqlalchemy import create_engine
logging.getLogger("mine").warning("from env.py")
run(
    target_metadata,
    create_engine=partial(create_engine, connect_args={"application_name": "mine"}),
    """,
    )
    fleets = [schemas.start("upgrade", "--jobs", "2") for _ in range(2)]
    for fleet in fleets:
        output = fleet.finish()
        assert fleet.returncode == 0, output
        assert re.search(r"WARNING .* and 2 more: from env\.py", output)
    for name in SCHEMAS:
        rows = schemas.project.query(f"SELECT name FROM {name}.heroes")
        assert rows == [("mine",)], name


def test_tenants_do_not_wait_for_each_other(schemas: Tenants, tmp_path: Path) -> None:
    go_on = tmp_path / "go"
    schemas.project.add_revision(
        "waiting",
        f"""
        from alembic import context
        while context.get_x_argument(as_dictionary=True).get("waits"):
            print("waiting", flush=True)
            time.sleep(0.05)
            if __import__("os").path.exists({str(go_on)!r}):
                break
        """,
    )
    upgrade = ("upgrade", "head")
    first = schemas.project.start(
        "alembic", "-x", "tenant=a", "-x", "waits=1", *upgrade
    )
    first.wait_for("waiting")
    now = ("-x", "lock_timeout=0")
    schemas.project.alembic("-x", "tenant=b", *now, *upgrade)
    output = schemas.project.alembic("-x", "tenant=a", *now, *upgrade, fails=True)
    assert "another process is migrating" in last_line(output)
    go_on.touch()
    first.finish()
    assert first.returncode == 0
    assert schemas.at("waiting") == ["a", "b"]


def test_canary_that_fails_leaves_the_others_untouched(schemas: Tenants) -> None:
    schemas.project.alembic("-x", "tenant=a", "upgrade", "head")
    schemas.project.query("CREATE TABLE c.heroes (id int)")
    output = schemas("upgrade", "--canary", "2", fails=True)
    assert "1 upgraded, 1 there already, 1 failed" in output
    assert last_line(output) == "a canary failed: 2 tenants left untouched. Fix it"
    assert schemas.at(HERO) == ["a", "b"]
    schemas.project.query("DROP TABLE c.heroes")
    assert "3 upgraded" in schemas("upgrade", "--canary", "1")


def test_shards_are_all_and_share_none(schemas: Tenants) -> None:
    found: list[str] = []
    for shard in range(3):
        output = schemas("current", "--shard", "3", JOB_COMPLETION_INDEX=str(shard))
        assert schemas("current", "--shard", f"{shard}/3") == output
        found += [line.split()[0] for line in output.splitlines()[1:]]
    assert sorted(found) == SCHEMAS
    assert "1 tenant: 0 at" in schemas("current", "--only", "c")
    for arguments, error in {
        (
            "--only",
            "x",
            "c",
        ): "tenants() of tenants.py does not name x. Correct `--only`",
        (
            "--shard",
            "3",
        ): "--shard 3 needs JOB_COMPLETION_INDEX, which is not set. "
        "Set it, or use `--shard 0/3`",
        ("--shard", "3/3"): "there is no shard 3 of 3. The first is `--shard 0/3`",
        ("--shard", "a"): "'a' is no shard. Use, for example, `--shard 0/3`",
    }.items():
        assert last_line(schemas("current", *arguments, fails=True)) == error


@pytest.mark.parametrize(
    ("names", "error"),
    [
        ("'a', 'b', 'a'", "tenants() of tenants.py names a more than once"),
        ("'a', ' '", "' ' is no tenant's name"),
        ("('a',),", "('a',) is no tenant's name"),
        ("'é' * 32", "is too long for a schema. Use at most 63 bytes"),
    ],
)
def test_names_are_checked(schemas: Tenants, names: str, error: str) -> None:
    schemas.project.edit("migrations/tenants.py", repr(SCHEMAS), f"[{names}]")
    assert error in last_line(schemas("current", fails=True))


def test_template_invents_no_names(new: New) -> None:
    output = new(POSTGRESQL, tenants="schema").kit("tenants current", fails=True)
    assert last_line(output) == (
        "tenants() of tenants.py failed: migrations/tenants.py, line 11: NotImplementedError: "
        "return the names of your tenants"
    )


def test_tenant_of_alembic(new: New, schemas: Tenants) -> None:
    project = schemas.project
    output = project.alembic("-x", "tenant=x", "upgrade", "head", fails=True)
    remedy = "Run `python migrations tenants create x`"
    assert last_line(output) == f"there is no schema x. {remedy}"
    output = new().alembic("-x", "tenant=x", "upgrade", "head", fails=True)
    assert last_line(output).startswith(
        "tenant is 'x', but this project has no tenants"
    )
    assert (
        "uvx copier update --vcs-ref=:current: --defaults --data tenants=database"
        in output
    )

    project.edit(
        "migrations/env.py", "run(", 'run(version_table_schema="a", target_metadata='
    )
    project.edit(
        "migrations/env.py",
        "target_metadata=target_metadata, ",
        "target_metadata=target_metadata, ",
    )
    output = project.alembic("-x", "tenant=b", "upgrade", "head", fails=True)
    assert last_line(output).endswith(
        "Remove `version_table_schema=` from run() in env.py"
    )


def test_session_of_a_program_is_given_back_as_it_was(schemas: Tenants) -> None:
    """What only reads does not even set it for the session: a pooler may hand that on."""
    schemas.project.program("""
config.attributes["tenant"] = "a"
engine = create_engine(URL)
ends = []

@event.listens_for(engine, "before_cursor_execute")
def remember(connection, cursor, statement, parameters, *_):
    if "set_config('search_path'" in statement:
        ends.append("transaction" if parameters["is_local"] else "session")

for callers, revision, expected in (
    (False, "head", ["session"] * 2), (True, "base", ["transaction"] * 2)
):
    with engine.connect() as connection:
        if callers:
            connection.execute(text("SELECT 1"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        command.downgrade(config, revision)
        assert ends == expected * 2, ends
        command.current(config)
        assert ends[4:] == ["transaction"] * 2, ends
        if callers:
            connection.commit()
        assert connection.scalar(text("SHOW search_path")) == '"$user", public'
        assert connection.dialect.default_schema_name == "public"
        ends.clear()
""")
    assert schemas.at(HERO) == []
    assert schemas.project.tables() == set()


def test_type_of_each_schema_is_its_own(schemas: Tenants) -> None:
    """What a driver prepares for the type of one schema is wrong for that of the next."""
    more = ["f", "g", "h", "i"]
    for name in more:
        schemas.project.query(f"CREATE SCHEMA {name}")
    schemas.name([*SCHEMAS, *more])
    schemas.project.write(
        "src/my_app/models/mood.py",
        """from sqlalchemy import Enum
from sqlalchemy.orm import Mapped, mapped_column
from my_app.models.base import Base

class Mood(Base):
    __tablename__ = "moods"
    id: Mapped[int] = mapped_column(primary_key=True)
    mood: Mapped[str] = mapped_column(Enum("sad", "happy", name="mood"))
""",
    )
    tenant = ["-x", "tenant=a"]
    autogenerate = ["revision", "--autogenerate", "-m", "moods", "--rev-id", "moods"]
    schemas.project.alembic_each(
        [[*tenant, "upgrade", "head"], [*tenant, *autogenerate]]
    )
    read = 'print(op.get_bind().execute(sa.text("SELECT mood FROM moods")).all())'
    schemas.project.add_revision("read", read, down_revision="moods")
    assert "9 upgraded" in schemas("upgrade", "--jobs", "1")
    for name in ("a", "i"):
        schemas.project.alembic("-x", f"tenant={name}", "check")


def test_create_is_one_transaction(schemas: Tenants, tmp_path: Path) -> None:
    schemas.project.edit(
        "migrations/env.py",
        "run(target_metadata",
        f"""from pathlib import Path
from signal import SIGKILL
from sqlalchemy import event

def kill(*_: object, **__: object) -> None:
    if not Path({str(tmp_path / "done")!r}).exists():
        Path({str(tmp_path / "done")!r}).touch()
        os.kill(os.getpid(), SIGKILL)

event.listen(target_metadata, "after_create", kill)
run(target_metadata""",
    )
    assert "ended by SIGKILL" in schemas("create", "x", fails=True)
    found = "SELECT count(*) FROM pg_namespace WHERE nspname = 'x'"
    assert schemas.project.query(found) == [(0,)]
    schemas("create", "x")
    assert schemas.at(HERO) == ["x"]


@pytest.mark.parametrize("pool_mode", ["session", "transaction"])
def test_pooler_gets_no_search_path_of_a_tenant(
    schemas: Tenants, pool_mode: str
) -> None:
    """The next who gets the session would look into the tenant's schema."""
    if reason := missing_package("pgbouncer"):
        pytest.skip(reason)
    tenant = ("-x", "tenant=a")
    refuses = pool_mode == "transaction"
    with pgbouncer(pool_mode, pool_size=2) as server:
        pooled = schemas.project.on(server.set(database=schemas.project.url.database))
        pooled.alembic(*tenant, "upgrade", "head", fails=refuses)
        schemas.project.alembic(*tenant, "upgrade", "head")
        pooled.alembic_each([[*tenant, "check"], [*tenant, "current"]])
        with connect(pooled.url) as one, connect(pooled.url) as other:
            for connection in (one, other):
                path = connection.scalar(text("SHOW search_path"))
                assert path == '"$user", public'


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
def test_terminal_shows_a_bar_and_a_table(schemas: Tenants) -> None:
    import pexpect

    schemas.project.query("CREATE TABLE b.heroes (id int)")
    env = environment(**schemas.project.env, DATABASE_URL=url_text(schemas.project.url))
    env |= {"TERM": "xterm", "COLUMNS": "120"}
    env.pop("CI", None)
    output: Any = pexpect.run(
        shlex.join([sys.executable, *schemas.command("upgrade")[1:]]),
        cwd=str(schemas.project.path),
        env=env,
        timeout=PATIENCE,
        encoding="utf-8",
    )
    assert "upgrade, 5 of 5, 1 failed" in output
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)
    assert re.search(rf"│ b +│ {HERO} │ migrations/versions/", plain)


@pytest.mark.parametrize(
    "engine", [POSTGRESQL, ENGINE_OF["mariadb-pymysql-sync"]], ids=str
)
def test_create_goes_on_where_it_was_killed(
    new: New, engine: Engine, drop_databases: Callable[[URL], None]
) -> None:
    """MariaDB keeps the tables that were made, and perhaps not all of their indexes."""
    project = new(engine, tenants="database")
    drop_databases(project.url)
    name = f"{project.url.database}_a"
    tenants = Tenants(project, [name])
    execute(SERVERS[server_of(engine.database)], f"CREATE DATABASE {name}")
    tenant = project.on(project.url.set(database=name))
    tenant.query("CREATE TABLE heroes (id int)")
    if engine == POSTGRESQL:
        output = tenants("create", name, fails=True)
        assert "it has the table heroes but records no revision" in output
        return
    tenant.query("INSERT INTO heroes VALUES (1)")
    output = tenants("create", name, fails=True)
    assert f"-x tenant={name} stamp REVISION`" in output
    tenant.query("DELETE FROM heroes")
    tenants("create", name)
    project.alembic("-x", f"tenant={name}", "check")
    assert tenant.version() == [HERO]


def test_workers_read_the_certificates_of_the_machine_once(new: New) -> None:
    project = new(ENGINE_OF["mariadb-pymysql-sync"], tenants="database")
    given = f"{str(project / 'alembic.ini')!r}, 'alembic', ()"
    code = (
        "from pymysql.connections import Connection\n"
        "from migration_kit.tenants.commands import Order\n"
        "def read(**asked):\n"
        "    return Connection(defer_connect=True, **asked).ctx\n"
        "def serve(answer):\n"
        "    print(read() is read())\n"
        "    print(read(ssl_verify_cert=True) in [read(), read(ssl_verify_cert=True)])\n"
        f"Order('current', 'head', {given})(serve)\n"
    )
    output = project.run("python", "-c", code, env={"PYTHONPATH": "src:migrations"})
    assert output.split() == ["True", "False"]


def test_sqlite_file_that_is_gone_is_not_made_anew(new: New) -> None:
    project = new(tenants="database")
    tenants = Tenants(project, ["a", "b"])
    tenants("create", "a", "b", "--jobs", "1")
    output = tenants("create", "b", fails=True)
    assert f"b  -  -  it exists and records {HERO}" in output
    file = Path(project.url.database or "").with_name("a.db")
    file.unlink()
    output = project.alembic("-x", "tenant=a", "upgrade", "head", fails=True)
    assert last_line(output).startswith(
        f"a has no database {file}. Run `python migrations"
    )
    assert "1 failed" in tenants("upgrade", "--jobs", "1", fails=True)
    assert not file.exists()
    assert "Invalid name '../a.db'" in tenants("create", "../a", fails=True)


def test_old_import_of_tenants_py_gets_a_line(new: New) -> None:
    """The template never touches that file, which 2.4 told to import from another place."""
    project = new(tenants="database")
    tenants = Tenants(project, ["a"])
    old = "from migration_kit.tenant import first_column\n"
    url = "from migration_kit.settings import database_url\n"
    project.edit("migrations/tenants.py", url, old + url)
    output = project.alembic("-x", "tenant=a", "upgrade", "head", fails=True)
    moved = "tenants.py imports migration_kit.tenant, which has moved. Use `"
    new_import = "from migration_kit.tenants import first_column"
    assert last_line(output) == f"{moved}{new_import}`"
    assert last_line(tenants("current", fails=True)) == f"{moved}{new_import}`"
    project.edit("migrations/tenants.py", old, f"{new_import}\n")
    project.edit(
        "migrations/tenants.py", "['a']", "first_column('SELECT name FROM customers')"
    )
    project.query("CREATE TABLE customers (name text)")
    project.query("INSERT INTO customers VALUES ('b'), ('c')")
    tenants("create", "b")
    assert "2 tenants: 1 at the head" in tenants("current", fails=True)


def test_schema_needs_a_database_that_has_some(new: New) -> None:
    project = new(tenants="database")
    source = project.read("migrations/tenants.py").partition("def tenant_url")[0]
    project.write("migrations/tenants.py", source)
    tenants = Tenants(project, ["a"])
    error = "sqlite has no schemas for tenants. Define tenant_url() in tenants.py"
    assert error in tenants("upgrade", fails=True)
    output = project.alembic("-x", "tenant=a", "upgrade", "head", fails=True)
    assert last_line(output).startswith(error)


@pytest.mark.parametrize(
    ("engine", "kind", "kinds"),
    [
        (ENGINE_OF["sqlite-pysqlite-sync"], "database", set()),
        (POSTGRESQL, "schema", {"postgresql"}),
        (ENGINE_OF["mariadb-pymysql-sync"], "database", {"mysql"}),
    ],
    ids=str,
)
def test_room_has_its_own_kind_of_database_only(
    new: New, engine: Engine, kind: str, kinds: set[str]
) -> None:
    room = new(engine, tenants=kind) / "migrations/migration_kit/tenants"
    found = {path.stem for path in room.glob("*.py")}
    assert found & {"mysql", "postgresql", "sqlite"} == kinds
