"""What a developer does every day with a generated project: test, review, merge, draw, ship."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import (
    SERVERS,
    UV_RUNS_HERE,
    Database,
    Render,
    alembic,
    alembic_each,
    query,
    run,
    script,
    server_of,
)
from history import commit, git
from revisions import HERO, add_revision, write_downgrades
from sqlalchemy import URL
from test_env import url_text
from test_migrate import ENGINE_OF, ONE_OF_EACH, tables
from variants import ENGINES, Engine, Variant

POSTGRESQL = ENGINE_OF["postgresql-psycopg-sync"]


def own_tests(
    project: Path,
    *arguments: str,
    url: URL | None = None,
    fails: bool = False,
    **env: str,
) -> str:
    """Run a generated project's own tests, and see that no database is left behind."""
    temporary = project.parent / f"{project.name}-tmp"
    temporary.mkdir(exist_ok=True)
    if url is not None and url.get_backend_name() != "sqlite":
        env["TEST_DATABASE_URL"] = url_text(url)
    output = run(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:copie", *arguments),
        cwd=project,
        env={"PYTHONPATH": "src", "TMPDIR": str(temporary)} | env,
        fails=fails,
    )
    assert list(temporary.glob("*_test_*")) == []
    assert url is None or databases_beside(url) == []
    return output


def databases_beside(url: URL) -> list[str]:
    server = server_of(url.get_backend_name())
    if server == "sqlite":
        return []
    catalog = {
        "postgresql": "SELECT datname FROM pg_database",
        "mariadb": "SELECT schema_name FROM information_schema.schemata",
    }
    names = [name for (name,) in query(SERVERS[server], catalog[server])]
    return [name for name in names if name.startswith(f"{url.database}_")]


# ------------------------------------------------------------------------- Fixtures

# It inserts a row, and writes down that it ran.
SEED = """
op.execute("INSERT INTO heroes (name, secret_name) VALUES ('Ada', '?')")
print("ran", file=open("runs", "a"))
"""

SYNC_TESTS = """
import pytest
from my_app import engine
from my_app.models.hero import Hero
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

COUNT = select(func.count()).select_from(Hero)
VALUES = {"name": "Deadpond", "secret_name": "Dive Wilson"}


def save():
    with engine.Session() as own:
        own.add(Hero(**VALUES))
        own.commit()


@pytest.mark.parametrize("number", range(3))
def test_commits_are_rolled_back(session, number):
    assert session.scalar(COUNT) == 1
    session.add(Hero(**VALUES))
    session.commit()
    save()
    assert session.scalar(COUNT) == 3


def test_rollback_goes_back_to_the_commit(session):
    session.add(Hero(**VALUES))
    session.commit()
    session.add(Hero(name=None, secret_name=""))
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()
    assert session.scalar(COUNT) == 2


def test_that_fails(session):
    session.add(Hero(**VALUES))
    session.commit()
    raise RuntimeError("on purpose")


@pytest.mark.parametrize("number", range(3))
def test_fresh_database_is_its_own(session, fresh_database, number):
    with fresh_database.begin() as one:
        one.execute(insert(Hero).values(**VALUES))
    with fresh_database.connect() as other:
        assert other.scalar(COUNT) == 2
    assert session.scalar(COUNT) == 1


def test_application_reaches_no_other_database(database):
    assert engine.engine is database
    assert "_test_" in database.url.database
    with engine.Session() as own:
        assert own.get_bind() is database
        assert own.scalar(COUNT) == 1
"""

ASYNC_TESTS = """
import pytest
from my_app import engine
from my_app.models.hero import Hero
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

COUNT = select(func.count()).select_from(Hero)
VALUES = {"name": "Deadpond", "secret_name": "Dive Wilson"}


async def save():
    async with engine.Session() as own:
        own.add(Hero(**VALUES))
        await own.commit()


@pytest.mark.parametrize("number", range(3))
async def test_commits_are_rolled_back(async_session, number):
    assert await async_session.scalar(COUNT) == 1
    async_session.add(Hero(**VALUES))
    await async_session.commit()
    await save()
    assert await async_session.scalar(COUNT) == 3


async def test_rollback_goes_back_to_the_commit(async_session):
    async_session.add(Hero(**VALUES))
    await async_session.commit()
    async_session.add(Hero(name=None, secret_name=""))
    with pytest.raises(IntegrityError):
        await async_session.flush()
    await async_session.rollback()
    assert await async_session.scalar(COUNT) == 2


async def test_that_fails(async_session):
    async_session.add(Hero(**VALUES))
    await async_session.commit()
    raise RuntimeError("on purpose")


@pytest.mark.parametrize("number", range(3))
async def test_fresh_database_is_its_own(async_session, fresh_database, number):
    async with fresh_database.begin() as one:
        await one.execute(insert(Hero).values(**VALUES))
    async with fresh_database.connect() as other:
        assert await other.scalar(COUNT) == 2
    assert await async_session.scalar(COUNT) == 1


async def test_application_reaches_no_other_database(database):
    assert engine.engine is database
    assert "_test_" in database.url.database
    async with engine.Session() as own:
        assert own.get_bind() is database.sync_engine
        assert await own.scalar(COUNT) == 1
"""


@pytest.mark.parametrize(
    ("engine", "workers"),
    [(engine, "0") for engine in ENGINES]
    + [
        (engine, "4")
        for engine in [*ONE_OF_EACH, ENGINE_OF["postgresql-asyncpg-async"]]
    ],
    ids=str,
)
def test_fixtures_isolate_tests(
    render: Render, database: Database, engine: Engine, workers: str
) -> None:
    """Each test sees the row that a revision inserted, and nothing of any other test."""
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    add_revision(project, "seed", SEED, 'op.execute("DELETE FROM heroes")')
    tests = ASYNC_TESTS if engine.async_engine else SYNC_TESTS
    (project / "tests/test_app.py").write_text(tests)
    output = own_tests(
        project,
        *("-n", workers, "tests/test_app.py"),
        url=url,
        fails=True,
        DATABASE_URL="sqlite:////nowhere/production.db",
    )
    assert "1 failed, 8 passed" in output
    assert "RuntimeError: on purpose" in output
    if workers == "0":
        # One template; where no database can be copied, each one runs it again.
        copies = 0 if engine.database in {"sqlite", "postgresql"} else 1 + 3
        assert len((project / "runs").read_text().split()) == 1 + copies


def test_sqlite_enforces_foreign_keys_in_tests(render: Render) -> None:
    project = render(Variant(example="tour"))
    (project / "tests/test_app.py").write_text(
        "import pytest\n"
        "from sqlalchemy import text\n"
        "from sqlalchemy.exc import IntegrityError\n\n\n"
        "def test_broken_key(session, fresh_database):\n"
        "    statement = text('INSERT INTO department_employees VALUES (1, 1)')\n"
        "    with pytest.raises(IntegrityError):\n"
        "        session.execute(statement)\n"
        "    with fresh_database.connect() as connection:\n"
        "        with pytest.raises(IntegrityError):\n"
        "            connection.execute(statement)\n"
    )
    assert "1 passed" in own_tests(project, "tests/test_app.py")


@pytest.mark.parametrize("engine", ONE_OF_EACH[1:], ids=str)
def test_user_who_may_not_create_databases_is_told_so(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    user = f"user_{url.database}"[:32]
    password = "" if engine.database == "postgresql" else " IDENTIFIED BY 'x'"
    login = " LOGIN" if engine.database == "postgresql" else ""
    server = SERVERS[engine.database]
    query(server, f"CREATE USER {user}{login}{password}")
    try:
        output = own_tests(
            render(Variant(engine)),
            "tests/test_migrations.py",
            fails=True,
            TEST_DATABASE_URL=url_text(url.set(username=user, password="x")),
        )
    finally:
        query(server, f"DROP USER {user}")
    assert "no database for tests: " in output
    assert "let the user create databases, or set TEST_DATABASE_URL" in output


# --------------------------------------------- What the migration tests find, and say


def break_head(project: Path) -> None:
    (project / "migrations/HEAD").write_text("another\n")


def two_heads(project: Path) -> None:
    for revision in ("one", "two"):
        add_revision(project, revision, "pass", '"""Nothing was done."""')
    run(sys.executable, "migrations/migration_head.py", "write", cwd=project)


def change_model(project: Path) -> None:
    model = project / "src/my_app/models/hero.py"
    model.write_text(model.read_text() + "    power: Mapped[int]\n")


def hide_model(project: Path) -> None:
    (project / "src/my_app/other.py").write_text(
        "from sqlalchemy.orm import Mapped, mapped_column\n\n"
        "from my_app.models import Base\n\n\n"
        "class Cape(Base):\n"
        '    __tablename__ = "capes"\n'
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
    )


def empty_downgrade(project: Path) -> None:
    add_revision(project, "one", "pass", "pass")


def refusing_downgrade(project: Path) -> None:
    add_revision(project, "one", "pass", 'raise NotImplementedError("write it")')


def import_model(project: Path) -> None:
    path = add_revision(project, "one", "pass", '"""Nothing was done."""')
    path.write_text(f"from my_app.models import Base, hero\n{path.read_text()}")


def leave_column(project: Path) -> None:
    add_revision(
        project,
        "one",
        'op.add_column("heroes", sa.Column("power", sa.Integer()))',
        '"""Forgotten."""',
    )


def fail_downgrade(project: Path) -> None:
    add_revision(project, "one", "pass", 'op.drop_table("nothing")')


@pytest.mark.parametrize(
    ("damage", "test", "says"),
    [
        (
            break_head,
            "test_head_file_names_the_head",
            "`python migrations/migration_head.py write`",
        ),
        (
            two_heads,
            "test_history_has_one_head",
            "`python migrations/migration_head.py rebase YOURS`",
        ),
        (
            change_model,
            "test_models_equal_the_migrated_schema",
            "`alembic revision --autogenerate -m",
        ),
        (
            hide_model,
            "test_every_model_is_loaded",
            "my_app.other: tables that Alembic does not see; import the module in my_app.models",
        ),
        (empty_downgrade, "test_no_downgrade_is_empty", "write the way back"),
        (refusing_downgrade, "test_no_downgrade_is_empty", "write the way back"),
        (import_model, "test_no_revision_imports_models", "sa.table("),
        (
            leave_column,
            "test_each_revision_goes_up_down_and_up",
            "left: columns of heroes: name power",
        ),
        (
            fail_downgrade,
            "test_each_revision_goes_up_down_and_up",
            "roundtrip stopped: migrations/versions/one.py, line 17: ",
        ),
    ],
)
def test_migration_tests_say_what_is_wrong(
    render: Render, damage: Callable[[Path], None], test: str, says: str
) -> None:
    project = render()
    only = ("tests/test_migrations.py", "-k", test)
    assert "1 passed" in own_tests(project, *only)
    damage(project)
    output = own_tests(project, *only, fails=True)
    assert "1 failed" in output
    assert says in output


def test_revision_may_import_the_modules_of_column_types(
    render: Render,
) -> None:
    """Autogenerate imports the modules of column types; they are no models."""
    project = render()
    (project / "src/my_app/types.py").touch()
    path = add_revision(project, "one", "pass", '"""Nothing was done."""')
    path.write_text(f"import my_app.types\n{path.read_text()}")
    only = ("tests/test_migrations.py", "-k", "test_no_revision_imports_models")
    assert "1 passed" in own_tests(project, *only)


FOREIGN_KEY = """
op.create_table("a", sa.Column("id", sa.Integer(), primary_key=True))
with op.batch_alter_table("heroes") as batch:
    batch.create_foreign_key("fk_age", "a", ["age"], ["id"])
"""
CHECK = """
with op.batch_alter_table("heroes") as batch:
    batch.create_check_constraint("positive_age", "age > 0")
"""
DEFAULT = """
with op.batch_alter_table("heroes") as batch:
    batch.alter_column("age", server_default="7", existing_type=sa.Integer())
"""
LEFTOVERS = [
    ('op.create_index("ix_age", "heroes", ["age"])', "indexes of heroes: .*ix_age"),
    (FOREIGN_KEY, "foreign_keys of heroes: .*fk_age"),
    (CHECK, "check_constraints of heroes: .*ck_heroes_positive_age"),
    (DEFAULT, "columns of heroes: .*default '?7"),
    ('op.execute("CREATE VIEW v AS SELECT id FROM heroes")', "view v: "),
]


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize(
    ("upgrade", "left"),
    LEFTOVERS,
    ids=["index", "foreign key", "CHECK", "server default", "view"],
)
def test_roundtrip_finds_what_a_downgrade_leaves(
    render: Render, database: Database, engine: Engine, upgrade: str, left: str
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    add_revision(project, "one", upgrade, '"""Forgotten."""')
    output = own_tests(
        project,
        *("tests/test_migrations.py", "-k", "goes_up_down"),
        url=url,
        fails=True,
    )
    assert "migrations/versions/one.py: downgrade" in output
    assert re.search(f"left: {left}", output)


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_roundtrip_finds_a_default_that_is_not_put_back(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    back = DEFAULT.replace('"7"', "None")
    add_revision(project, "one", DEFAULT, back)
    eight = DEFAULT.replace("7", "8")
    add_revision(project, "two", eight, '"""Forgotten."""', down_revision="one")
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    output = own_tests(project, *only, url=url, fails=True)
    assert re.search("missing: columns of heroes: .*default '?7", output)
    assert re.search("left: columns of heroes: .*default '?8", output)


def test_roundtrip_finds_a_type_that_is_left(
    render: Render, database: Database
) -> None:
    url = database("postgresql", "psycopg")
    project = render(Variant(POSTGRESQL))
    create = "CREATE TYPE mood AS ENUM ('sad', 'glad')"
    add_revision(project, "one", f'op.execute("{create}")', '"""Forgotten."""')
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    output = own_tests(project, *only, url=url, fails=True)
    assert "left: type mood: sad, glad" in output


def test_roundtrip_compares_the_second_upgrade_as_well(render: Render) -> None:
    project = render()
    path = add_revision(
        project,
        "one",
        'op.create_table("capes", sa.Column("id", sa.Integer(), nullable=not ran))\n'
        "ran.append(1)",
        'op.drop_table("capes")',
    )
    path.write_text(path.read_text().replace("import time", "ran = []"))
    only = ("tests/test_migrations.py", "-k", "goes_up_down")
    output = own_tests(project, *only, fails=True)
    assert "migrations/versions/one.py: second upgrade" in output
    assert "one.py: downgrade" not in output


def test_roundtrip_reads_only_the_tables_that_changed(render: Render) -> None:
    """Its statements grow with the revisions, not with revisions times tables."""
    counted = [count_statements(render, revisions) for revisions in (5, 45)]
    assert 7 < counted[1] / counted[0] < 9.5


def count_statements(render: Render, revisions: int) -> int:
    project = render(Variant(example="none"))
    previous = None
    for number in range(revisions):
        name = f"r{number:03}"
        add_revision(
            project,
            name,
            f'op.create_table("t{number}", sa.Column("id", sa.Integer()))',
            f'op.drop_table("t{number}")',
            down_revision=previous,
        )
        previous = name
    output = run(
        sys.executable,
        "-c",
        "import sys; sys.path.append('migrations')\n"
        "from pathlib import Path\n"
        "from sqlalchemy import Engine, event\n"
        "from migration_roundtrip import roundtrip\n"
        "from migration_testing import ScratchDatabase\n"
        "count = 0\n"
        "def listen(*_):\n"
        "    global count\n"
        "    count += 1\n"
        "event.listen(Engine, 'before_cursor_execute', listen)\n"
        "with ScratchDatabase(Path('alembic.ini').resolve()).create() as database:\n"
        "    assert roundtrip(database) == []\n"
        "print(count)",
        cwd=project,
        env={"PYTHONPATH": "src"},
    )
    return int(output.split()[-1])


# ----------------------------------------------------------------------------- HEAD


def head(project: Path) -> str:
    return (project / "migrations/HEAD").read_text()


def rebase(project: Path, revision: str, fails: bool = False) -> str:
    command = ("migrations/migration_head.py", "rebase", revision)
    return run(sys.executable, *command, cwd=project, fails=fails)


def new_revision(project: Path, message: str) -> Path:
    """Let Alembic write a revision, with a way back, and return its path."""
    alembic(project, "revision", "-m", message)
    write_downgrades(project / "migrations")
    [path] = (project / "migrations/versions").glob(f"*_{message.replace(' ', '_')}.py")
    return path


def revision_of(path: Path) -> str:
    return path.name.split("-")[1].split("_")[0]


def test_revision_writes_head(render: Render) -> None:
    project = render(Variant(example="none"))
    assert not (project / "migrations/HEAD").exists()
    for message in ("first", "second"):
        path = new_revision(project, message)
        assert head(project) == f"{revision_of(path)}\n"


def test_merge_writes_head(render: Render) -> None:
    project = render(Variant())
    two_heads(project)
    assert head(project) == "one\ntwo\n"
    alembic(project, "merge", "heads", "-m", "join")
    [path] = (project / "migrations/versions").glob("*_join.py")
    assert head(project) == f"{revision_of(path)}\n"
    assert "7 passed" in own_tests(project)


def test_head_is_written_before_a_tool_is_missed(render: Render) -> None:
    """Alembic stops at a hook whose tool is missing, when the revision is there already."""
    project = render(Variant())
    ini = project / "alembic.ini"
    ini.write_text(ini.read_text().replace("lint.module = ruff", "lint.module = none"))
    alembic(project, "revision", "-m", "first", fails=True)
    [path] = (project / "migrations/versions").glob("*_first.py")
    assert head(project) == f"{revision_of(path)}\n"


def branches(project: Path) -> tuple[Path, list[Path]]:
    """Let main and a branch both add revisions; return main's, and the branch's two."""
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "start")
    git(project, "switch", "--quiet", "--create", "branch")
    ours = [new_revision(project, "ours"), new_revision(project, "ours too")]
    commit(project, "ours")
    git(project, "switch", "--quiet", "main")
    theirs = new_revision(project, "theirs")
    commit(project, "theirs")
    return theirs, ours


@pytest.mark.parametrize("example", ["none", "hero"])
def test_two_branches_conflict_in_git_and_rebase_mends_it(
    render: Render, database: Database, example: str
) -> None:
    url = database("sqlite", "pysqlite")
    project = render(Variant(example=example))
    theirs, (first, second) = branches(project)
    run("git", "merge", "branch", cwd=project, fails=True)
    assert git(project, "diff", "--name-only", "--diff-filter=U").split() == [
        "migrations/HEAD"
    ]

    output = rebase(project, revision_of(second))
    assert head(project) == f"{revision_of(second)}\n"
    assert not first.exists()
    names = sorted(path.name for path in theirs.parent.glob("*.py"))[-3:]
    assert [name.split("-")[1] for name in names] == [
        path.name.split("-")[1] for path in (theirs, first, second)
    ]
    source = (theirs.parent / names[1]).read_text()
    assert f"Revises: {revision_of(theirs)}\n" in source
    assert f' = "{revision_of(theirs)}"\n' in source
    assert f"`alembic downgrade {revision_of(theirs)}`" in output
    run(script("ruff"), "format", "--check", cwd=project)
    assert "7 passed" in own_tests(project)
    alembic(project, "upgrade", "head", url=url)


def test_rebase_says_what_a_database_needs(render: Render, database: Database) -> None:
    """Whoever ran the branch's revisions has to take them back, and run main's first."""
    url = database("sqlite", "pysqlite")
    project = render(Variant())
    create = 'op.create_table("{0}", sa.Column("id", sa.Integer()))'
    drop = 'op.drop_table("{0}")'
    add_revision(project, "theirs", create.format("theirs"), drop.format("theirs"))
    add_revision(project, "ours", create.format("ours"), drop.format("ours"))
    alembic(project, "upgrade", "ours", url=url)
    output = rebase(project, "ours")
    commands = re.findall(r"`alembic ([\w ]+)`", output.splitlines()[-1])
    alembic_each(project, [command.split() for command in commands], url=url)
    assert tables(url) == {"heroes", "theirs", "ours"}
    assert query(url, "SELECT version_num FROM alembic_version") == [("ours",)]


def test_rebase_refuses_what_has_no_one_way(render: Render) -> None:
    project = render(Variant())
    assert "FAILED: " in rebase(project, HERO, fails=True)
    assert "nothing to rebase" in rebase(project, HERO, fails=True)
    assert "Can't locate revision" in rebase(project, "nonsense", fails=True)
    two_heads(project)
    before = sorted((project / "migrations/versions").iterdir())
    assert "nothing to rebase" in rebase(project, HERO, fails=True)
    add_revision(project, "three", "pass")
    assert "join them first" in rebase(project, "one", fails=True)
    (project / "migrations/versions/three.py").unlink()
    path = add_revision(project, "four", "pass", down_revision="one")
    path.write_text(path.read_text() + '\ndepends_on = "two"\n')
    assert "`alembic merge heads`" in rebase(project, "four", fails=True)
    path.unlink()
    assert sorted((project / "migrations/versions").iterdir()) == before


# --------------------------------------------------------------------------- squawk


def lint(project: Path, *arguments: str, fails: bool = False) -> str:
    command = ("migrations/migration_lint.py", *arguments)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return run(
        sys.executable,
        *command,
        cwd=project,
        env={"PYTHONPATH": "src", "PATH": path},
        fails=fails,
    )


UNSAFE = """\
op.create_index("ix_age", "heroes", ["age"])
op.add_column("heroes", sa.Column("power", sa.Integer(), nullable=False))
"""


def test_lint_sees_new_revisions_only(render: Render) -> None:
    project = render(Variant(POSTGRESQL, example="tour"))
    assert lint(project).count("Found 0 issues") == 4  # nothing is committed
    git(project, "init", "--quiet")
    add_revision(project, "one", UNSAFE, down_revision="e5a6027c9f18")
    commit(project, "start")
    assert lint(project) == ""

    add_revision(project, "two", UNSAFE.replace("ix_", "ix_2"), down_revision="one")
    for arguments in ([], ["HEAD"]):
        output = lint(project, *arguments, fails=True)
        assert "migrations/versions/two.py" in output
        assert "versions/one.py" not in output
        assert "Use `concurrently` to avoid blocking writes" in output
        assert "Make the field nullable or add a non-VOLATILE DEFAULT" in output
        assert "# squawk-ignore: RULE" in output
    commit(project, "two")
    assert lint(project) == ""
    assert "migrations/versions/two.py" in lint(project, "HEAD^", fails=True)


def test_lint_lets_a_revision_say_why(render: Render) -> None:
    project = render(Variant(POSTGRESQL))
    git(project, "init", "--quiet")
    commit(project, "start")
    path = add_revision(project, "one", UNSAFE)
    source = path.read_text()
    one = "# squawk-ignore: require-concurrent-index-creation\n# The table is small.\n"
    path.write_text(one + source)
    output = lint(project, fails=True)
    assert "adding-required-field" in output
    assert "concurrently" not in output
    path.write_text(one + "# squawk-ignore: adding-required-field\n" + source)
    assert "Found 0 issues" in lint(project)


def test_lint_is_silent_where_the_safe_way_was_taken(render: Render) -> None:
    project = render(Variant(POSTGRESQL))
    git(project, "init", "--quiet")
    commit(project, "start")
    add_revision(
        project,
        "one",
        "op.add_column('heroes', sa.Column('power', sa.Integer()))\n"
        "with op.get_context().autocommit_block():\n"
        "    op.create_index('ix_age', 'heroes', ['age'], postgresql_concurrently=True)",
    )
    assert "Found 0 issues" in lint(project)


def test_lint_says_when_a_revision_has_no_sql_or_squawk_is_missing(
    render: Render,
) -> None:
    project = render(Variant(POSTGRESQL))
    path = add_revision(project, "one", "op.get_bind().execute(None).all()")
    output = lint(project, fails=True)
    assert "FAILED: no SQL was printed: migrations/versions/one.py, line " in output
    path.unlink()
    output = run(
        sys.executable,
        "migrations/migration_lint.py",
        cwd=project,
        env={"PYTHONPATH": "src", "PATH": "/usr/bin:/bin"},
        fails=True,
    )
    assert output.startswith("FAILED: squawk is not installed; squawk comes with `uv ")


def test_commit_hook_lints_new_revisions(render: Render) -> None:
    project = render(Variant(POSTGRESQL))
    git(project, "init", "--quiet")
    commit(project, "start")
    add_revision(project, "one", UNSAFE)
    git(project, "add", "--all")
    hook = ("run", "squawk")
    env = UV_RUNS_HERE | {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    output = run(script("pre-commit"), *hook, cwd=project, env=env, fails=True)
    assert "Use `concurrently`" in output
    add_revision(project, "one", "op.drop_index('ix_heroes_name')")
    path = project / "migrations/versions/one.py"
    reason = "# squawk-ignore: require-concurrent-index-deletion\n"
    path.write_text(reason + path.read_text())
    git(project, "add", "--all")
    run(script("pre-commit"), *hook, cwd=project, env=env)


def test_offline_sql_limits_its_waits_for_locks(render: Render) -> None:
    sql = alembic(render(Variant(POSTGRESQL)), "upgrade", "head", "--sql")
    assert "\nSET LOCAL lock_timeout = 5000;\n" in sql
    assert "lock_timeout" not in alembic(render(), "upgrade", "head", "--sql")


# ---------------------------------------------------------------------- docs/schema.md


def draw(project: Path, command: str, fails: bool = False) -> str:
    [program] = project.rglob("migration_docs.py")
    env = {"PYTHONPATH": "src"}
    return run(sys.executable, program, command, cwd=project, env=env, fails=fails)


def test_drawing_follows_models_and_revisions(render: Render) -> None:
    project = render(Variant())
    page = project / "docs/schema.md"
    change_model(project)
    output = draw(project, "check", fails=True)
    assert output.startswith("FAILED: docs/schema.md is out of date; `uv run python ")
    draw(project, "write")
    draw(project, "check")
    assert "    INTEGER power\n" in page.read_text()

    two_heads(project)
    path = project / "migrations/versions/two.py"
    path.write_text(path.read_text().replace("two", "two <b> & #d", 1))
    draw(project, "check", fails=True)
    draw(project, "write")
    assert f"    r{HERO} --> rone\n" in page.read_text()
    assert 'rtwo["two<br>two #lt;b#gt; #amp; #35;d"]' in page.read_text()
    shutil.rmtree(page.parent)
    draw(project, "check", fails=True)
    draw(project, "write")
    assert page.exists()


# --------------------------------------------------------------------- script.py.mako


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_empty_downgrade_refuses(
    render: Render, database: Database, engine: Engine
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine))
    alembic(project, "revision", "-m", "by hand", url=url)
    alembic(project, "upgrade", "head", url=url)
    output = alembic(project, "downgrade", "-1", url=url, fails=True)
    assert "NotImplementedError: write the way back" in output
    assert query(url, "SELECT version_num FROM alembic_version") != [(HERO,)]
    [path] = (project / "migrations/versions").glob("*_by_hand.py")
    assert path.read_text().count("    # ") == 3
    run(script("ruff"), "format", "--check", cwd=project)
    run(script("ruff"), "check", cwd=project)
    run(sys.executable, "-m", "mypy", cwd=project)


# ------------------------------------------------------------------------------- CI


def ci_commands(project: Path) -> list[str]:
    """Return what the project's CI runs, but for the notice of a newer template."""
    github, gitlab = project / ".github/workflows/ci.yml", project / ".gitlab-ci.yml"
    if github.exists():
        steps = yaml.safe_load(github.read_text())["jobs"]["migrations"]["steps"]
        commands = [step["run"] for step in steps if "run" in step]
    else:
        commands = yaml.safe_load(gitlab.read_text())["migrations"]["script"]
    return [command for command in commands if "check-update" not in command]


def first_failure(project: Path, url: URL) -> str:
    """Run the commands of the project's CI, and return the first one that fails."""
    env = {
        "DATABASE_URL": url_text(url),
        "TEST_DATABASE_URL": url_text(url),
        "MYPY_CACHE_DIR": str(project.parent / "mypy"),
    }
    env = os.environ | UV_RUNS_HERE | env
    for command in ci_commands(project):
        step = ["sh", "-euc", command]
        if subprocess.run(step, cwd=project, env=env, check=False).returncode:
            return command
    return ""


def unsafe_revision(project: Path) -> None:
    model = project / "src/my_app/models/hero.py"
    index = "age: Mapped[int | None] = mapped_column(index=True)"
    model.write_text(model.read_text().replace("age: Mapped[int | None]", index))
    up = 'op.create_index("ix_heroes_age", "heroes", ["age"])'
    add_revision(project, "one", up, 'op.drop_index("ix_heroes_age", "heroes")')
    run(sys.executable, "migrations/migration_head.py", "write", cwd=project)


def new_model_without_drawing(project: Path) -> None:
    unsafe_revision(project)
    path = project / "migrations/versions/one.py"
    escape = "# squawk-ignore: require-concurrent-index-creation\n"
    path.write_text(escape + path.read_text())


@pytest.mark.parametrize(
    ("damage", "fails_at"),
    [
        (two_heads, "alembic upgrade head"),
        (unsafe_revision, "migration_lint.py"),
        (new_model_without_drawing, "migration_docs.py check"),
        (change_model, "alembic check"),
        (empty_downgrade, "pytest"),
    ],
)
def test_ci_catches_what_people_forget(
    render: Render,
    database: Database,
    damage: Callable[[Path], None],
    fails_at: str,
) -> None:
    url = database("postgresql", "psycopg")
    project = render(Variant(POSTGRESQL))
    git(project, "init", "--quiet")
    commit(project, "start")
    damage(project)
    run(script("ruff"), "check", "--quiet", "--fix", cwd=project)
    run(script("ruff"), "format", "--quiet", cwd=project)
    commit(project, "work")
    assert re.search(fails_at, first_failure(project, url))


@pytest.mark.parametrize(
    ("engine", "ci"),
    [
        (ONE_OF_EACH[0], "github"),
        (POSTGRESQL, "github"),
        (POSTGRESQL, "gitlab"),
        (ONE_OF_EACH[2], "gitlab"),
    ],
    ids=str,
)
def test_ci_passes_on_a_new_project(
    render: Render, database: Database, engine: Engine, ci: str
) -> None:
    url = database(engine.database, engine.driver)
    project = render(Variant(engine, example="tour", ci=ci))
    git(project, "init", "--quiet")
    commit(project, "start")
    assert first_failure(project, url) == ""
