"""A release that was rolled back says whether it runs on the newer database; it only reads."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import URL, text

from support.databases import SERVERS, connect, execute, query, sync_url, url_text
from support.layout import command
from support.projects import Database, New, Project, last_line
from support.revisions import HERO
from support.variants import ENGINE_OF, POSTGRESQL, SEVERAL, TENANTS, Engine

SQLITE = ENGINE_OF["sqlite-pysqlite-sync"]
ASYNCPG = ENGINE_OF["postgresql-asyncpg-async"]
MARIADB = ENGINE_OF["mariadb-pymysql-sync"]
ENGINES = [SQLITE, POSTGRESQL, MARIADB]

ADD = 'op.add_column("heroes", sa.Column("cape", sa.String(20)))'
DROP = 'op.execute("ALTER TABLE heroes DROP COLUMN age")'
UP_TO_DATE = "Database is not on all head revisions. Run `alembic upgrade head`"
UNDROP = 'op.execute("ALTER TABLE heroes ADD COLUMN age INTEGER")'
RUNS = (
    "the database is newer than this code, which can run on it. "
    "Start it without the migration, or use the release that has the revision"
)


def ready(project: Project, *arguments: str, fails: bool = False) -> str:
    """Run the command, and return the one line that it prints."""
    words = shlex.split(command("ready", project.migrations))
    output = project.run("python", *words, *arguments, fails=fails)
    if fails:
        return last_line(output)
    [line] = output.splitlines()
    return line


def not_ready(project: Project, problem: str) -> None:
    """See that the command, and one that migrates, say why this code may fail."""
    [head] = project.version()
    line = (
        f"Can't locate revision identified by '{head}': the database is newer than this code, "
        f"which may fail on it: {problem}. Use the release that has it"
    )
    assert ready(project, fails=True) == line
    assert last_line(project.alembic("upgrade", "head", fails=True)) == line


def declare(path: Path, oldest_code: str) -> None:
    """Let a revision name the oldest code that runs on it."""
    source = path.read_text()
    path.write_text(
        source.replace("\n\n\ndef", f'\noldest_code = "{oldest_code}"\n\n\ndef', 1)
    )


@contextmanager
def older(project: Project, releases: int = 1) -> Iterator[None]:
    """Commit a release, upgrade with it, and give the code of an older one."""
    project.commit("newer")
    project.upgraded()
    project.git("checkout", "--quiet", f"HEAD~{releases}")
    yield
    project.git("checkout", "--quiet", "main")


@pytest.fixture
def first(new: New) -> Callable[[Engine], Project]:
    """Make a project with a release in production."""

    def first(engine: Engine) -> Project:
        project = new(engine)
        project.commit("older")
        return project

    return first


First = Callable[[Engine], Project]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_older_code_runs_on_what_was_added_and_not_on_what_was_dropped(
    first: First, engine: Engine
) -> None:
    project = first(engine)
    assert ready(project, fails=True) == UP_TO_DATE
    project.upgraded()
    assert ready(project) == f"ready: {HERO}"
    project.add_revision("add", ADD, 'op.drop_column("heroes", "cape")')
    assert ready(project, fails=True) == UP_TO_DATE
    with older(project):
        assert ready(project) == "ready: add"
        line = last_line(project.alembic("upgrade", "head", fails=True))
        assert line == f"Can't locate revision identified by 'add': {RUNS}"
        line = last_line(project.alembic("current", "--check-heads", fails=True))
        assert line == f"Database is not on all head revisions: {RUNS}"
    assert ready(project) == "ready: add"

    contract = project.add_revision("drop", DROP, UNDROP, down_revision="add")
    with older(project):
        not_ready(project, "drop ran ALTER TABLE heroes DROP COLUMN age")
    table = 'op.create_table("capes", sa.Column("id", sa.Integer))'
    project.add_revision("more", table, 'op.drop_table("capes")', "drop")
    with older(project, releases=2):  # what came before decides as well
        not_ready(project, "drop ran ALTER TABLE heroes DROP COLUMN age")
        project.git("checkout", "--quiet", "main~1")
        assert ready(project) == "ready: more"

    # The release that does not use the column any more has a revision, which the contract names.
    project.alembic("downgrade", "add")
    declare(contract, "add")
    with older(project, releases=3):
        assert ready(project) == "ready: more"
        project.git("checkout", "--quiet", "main~4")
        not_ready(project, "drop has oldest_code = add")


def test_data_in_a_new_form_is_a_risk_that_only_you_know(first: First) -> None:
    project = first(SQLITE)
    path = project.add_revision("data", 'op.execute("UPDATE heroes SET age = -age")')
    declare(path, "data")
    with older(project):
        not_ready(project, "data has oldest_code = data")


# By their names: what a revision runs, where that is no risk, and where it is.
ADDITIVE = {
    "column": ADD,
    "default": 'op.add_column("heroes", sa.Column("a", sa.Integer, nullable=False, server_default="0"))',
    "table": 'op.create_table("capes", sa.Column("id", sa.Integer, primary_key=True))',
    "index": 'op.create_index("ix_age", "heroes", ["age"])',
    "no_index": 'op.drop_index("ix_age", "heroes")',
    "rows": "op.execute(\"UPDATE heroes SET name = 'a; DROP TABLE -- heroes'\")",
    "new_table": """
        op.create_table("masks", sa.Column("id", sa.Integer), sa.Column("name", sa.String(9)))
        op.create_index("uq_masks", "masks", ["id"], unique=True)
        op.execute("ALTER TABLE masks DROP COLUMN name")
    """,
    "unique_new": """
        op.add_column("heroes", sa.Column("badge", sa.Integer))
        op.create_index("uq_badge", "heroes", ["badge"], unique=True)
    """,
}
RISKS = {
    "drop_column": DROP,
    "drop_table": 'op.drop_table("masks")',
    "rename_table": 'op.rename_table("capes", "cloaks")',
    "rename_column": 'op.alter_column("heroes", "cape", new_column_name="b", existing_type=sa.String(20))',
    "unique": 'op.create_index("uq_name", "heroes", ["name"], unique=True)',
}
ON_SQLITE = {
    "batch": """
        with op.batch_alter_table("heroes", recreate="always") as batch:
            batch.add_column(sa.Column("c", sa.Integer))
    """,
}
ON_SERVERS = {
    "foreign_key": 'op.create_foreign_key("fk_a", "heroes", "cloaks", ["a"], ["id"])',
    "check": 'op.create_check_constraint("positive", "heroes", "a >= 0")',
    "not_null": 'op.alter_column("heroes", "badge", nullable=False, existing_type=sa.Integer())',
    "type": 'op.alter_column("heroes", "badge", type_=sa.String(9), existing_type=sa.Integer())',
    "required": 'op.add_column("heroes", sa.Column("e", sa.Integer, nullable=False))',
}
ADDITIVE_ON = {
    "postgresql": {
        "enum": """
            sa.Enum("red", "blue", name="color").create(op.get_bind())
            op.add_column("heroes", sa.Column("color", sa.Enum(name="color", native_enum=True)))
        """,
        "value": "op.execute(\"ALTER TYPE color ADD VALUE 'green'\")",
        "comment": 'op.create_table_comment("heroes", "All; of them")',
        "reference": 'op.add_column("heroes", sa.Column("mask", sa.Integer, sa.ForeignKey("heroes.id")))',
        "no_unique": """
            op.execute("ALTER TABLE heroes DROP CONSTRAINT IF EXISTS nothing")
        """,
        "nullable": 'op.alter_column("heroes", "name", nullable=True)',
        "concurrently": """
            with op.get_context().autocommit_block():
                op.create_index("ix_c", "heroes", ["age"], postgresql_concurrently=True)
        """,
    },
    "mariadb": {
        "reference": 'op.add_column("heroes", sa.Column("mask", sa.Integer, sa.ForeignKey("heroes.id")))',
    },
}


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_statements_that_ran_decide(new: New, engine: Engine) -> None:
    project = new(engine)
    additive = ADDITIVE | ADDITIVE_ON.get(engine.database, {})
    risks = RISKS | (ON_SERVERS if engine.server else ON_SQLITE)
    before = HERO
    for name, source in (additive | risks).items():
        project.add_revision(name, source, down_revision=before)
        before = name
    project.upgraded()
    rows = project.query("SELECT revision, oldest_code, reason FROM alembic_ready")
    found = {name: (oldest, reason) for name, oldest, reason in rows}
    assert {name for name, (oldest, _) in found.items() if oldest} == {*risks}
    assert {found[name] for name in (HERO, *additive)} == {(None, "")}
    assert all(found[name][0] == name for name in risks)
    reason = found["drop_table"][1]
    assert reason == "ran DROP TABLE masks"


STATEMENTS = {
    "ALTER TABLE t ADD c INT, ADD COLUMN d NUMERIC(10, 2) NULL DEFAULT 0": True,
    "ALTER TABLE t ADD c INT, DROP d": False,
    "ALTER TABLE t ADD c INT NOT NULL AUTO_INCREMENT": True,
    "ALTER TABLE t ADD c INT CHECK (c > 0)": False,
    "ALTER TABLE t ADD c INT; ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (c) REFERENCES u (id)": True,
    "ALTER TABLE t ADD c INT; ALTER TABLE t ADD UNIQUE (d, c)": True,
    "ALTER TABLE t ADD c INT; ALTER TABLE t ADD UNIQUE (d)": False,
    "ALTER TABLE t ADD c INT; ALTER TABLE v ADD UNIQUE (c)": False,
    "ALTER TABLE t ADD c INT DEFAULT 1; ALTER TABLE t ADD UNIQUE (c)": False,
    "ALTER TABLE t ADD IF NOT EXISTS c INT; ALTER TABLE t ADD UNIQUE (c)": False,
    "ALTER TABLE t ADD c INT; CREATE UNIQUE INDEX i ON t (coalesce(c, 0))": False,
    "ALTER TABLE t ADD c INT; ALTER TABLE t ADD FOREIGN KEY (c, d) REFERENCES u MATCH FULL": False,
    "CREATE TABLE t (id INT); ALTER TABLE t ADD CHECK (id > 0)": True,
    "CREATE TABLE IF NOT EXISTS t (id INT); ALTER TABLE t ADD CHECK (id > 0)": False,
    'CREATE UNIQUE INDEX CONCURRENTLY "i" ON "t" USING btree (id)': False,
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID": False,
    "ALTER TABLE t VALIDATE CONSTRAINT c": True,
    "ALTER TABLE t ALTER COLUMN a SET DEFAULT 0": True,
    "ALTER TABLE t ALTER COLUMN a DROP DEFAULT": False,
    "ALTER TABLE t MODIFY a INT": False,
    "ALTER TABLE t RENAME CONSTRAINT a TO b": False,
    "ALTER TYPE color RENAME VALUE 'a' TO 'b'": False,
    "DROP TYPE color": False,
    "TRUNCATE t": False,
    "CREATE OR REPLACE VIEW v AS SELECT 1": False,
    "CREATE TABLE t (id INT); CREATE POLICY p ON t USING (id > 0); REVOKE ALL ON t FROM a": False,
    'CREATE TABLE t (id INT); CREATE POLICY "a b" ON t TO a USING (id > 0)': True,
    "CREATE TABLE t (id INT); ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT ON t TO a": True,
    "CREATE POLICY p ON t USING (id > 0)": False,
    "CREATE POLICY p ON t FOR SELECT TO a USING (id > 0)": False,
    "DROP POLICY p ON t": False,
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY": False,
    "REVOKE SELECT ON t FROM a": False,
    "ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO a": True,
    "ALTER DEFAULT PRIVILEGES IN SCHEMA s REVOKE GRANT OPTION FOR SELECT ON TABLES FROM a": False,
    "CREATE TRIGGER t BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()": False,
    "DO $$ BEGIN DROP TABLE t; END $$": False,
    "SELECT 1; -- nothing\nDROP TABLE t": False,
    "SELECT 1 /* ; DROP TABLE t */": True,
    "SELECT 1 /*! ; DROP TABLE t */": False,
    r"UPDATE t SET a = 'C:\'; DROP TABLE t; UPDATE t SET a = '\'": False,
    "INSERT INTO t VALUES ('it''s; DROP TABLE t')": True,
    "anything else": False,
}


def test_a_statement_that_nothing_knows_is_a_risk(new: New) -> None:
    output = new(SQLITE).python(
        "import sys; sys.path.append('migrations')\n"
        "from migration_kit.ready.statements import first_risk\n"
        f"for sql in {[*STATEMENTS]!r}: print(first_risk(sql) == '')"
    )
    assert dict(zip(STATEMENTS, map("True".__eq__, output.split()), strict=True)) == (
        STATEMENTS
    )


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_downgrade_and_stamp(first: First, engine: Engine) -> None:
    project = first(engine)
    project.add_revision("add", ADD, 'op.drop_column("heroes", "cape")')
    with older(project):
        pass
    records = "SELECT revision FROM alembic_ready ORDER BY 1"
    assert project.query(records) == [(HERO,), ("add",)]
    project.alembic("downgrade", "-1")
    assert project.query(records) == [(HERO,)]
    project.git("checkout", "--quiet", "HEAD~1")
    assert ready(project) == f"ready: {HERO}"
    project.git("checkout", "--quiet", "main")
    project.alembic("stamp", "head")
    assert ready(project) == "ready: add"
    project.git("checkout", "--quiet", "HEAD~1")
    not_ready(project, "add was stamped, not run")
    project.git("checkout", "--quiet", "main")
    declare(project.versions / "add.py", HERO)
    project.alembic_each([["stamp", HERO], ["stamp", "head"]])
    project.git("stash")
    project.git("checkout", "--quiet", "HEAD~1")
    assert ready(project) == "ready: add"


@pytest.mark.parametrize("engine", [SQLITE, POSTGRESQL], ids=str)
def test_revision_from_before_the_feature_has_no_record(
    first: First, engine: Engine
) -> None:
    project = first(engine)
    project.add_revision("add", ADD)
    with older(project):
        project.query("DROP TABLE alembic_ready")
        not_ready(project, "add has no row in alembic_ready")
    assert ready(project) == "ready: add"


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_sql_script_has_the_records(
    first: First, engine: Engine, tmp_path: Path
) -> None:
    project = first(engine)
    project.add_revision("add", ADD, 'op.drop_column("heroes", "cape")')
    project.add_revision("drop", DROP, down_revision="add")
    project.commit("newer")

    def run_script(*arguments: str) -> None:
        sql = re.sub("INFO .*\n", "", project.alembic(*arguments, "--sql"))
        plain = re.sub("--.*", "", sql).replace("%", "%%")
        for statement in filter(str.strip, plain.split(";")):
            if statement.strip() not in {"BEGIN", "COMMIT"}:
                project.query(statement)

    run_script("upgrade", "add")
    project.git("checkout", "--quiet", "HEAD~1")
    assert ready(project) == "ready: add"
    project.git("checkout", "--quiet", "main")
    run_script("upgrade", "add:head")
    project.git("checkout", "--quiet", "HEAD~1")
    not_ready(project, "drop ran ALTER TABLE heroes DROP COLUMN age")
    project.git("checkout", "--quiet", "main")
    run_script("downgrade", "drop:add")
    assert project.query("SELECT revision FROM alembic_ready ORDER BY 1") == [
        (HERO,),
        ("add",),
    ]


def test_branches_merges_and_dependencies(first: First) -> None:
    project = first(SQLITE)
    project.add_revision("left", ADD)
    project.add_revision("right", ADD.replace("cape", "mask"))
    project.commit("two heads")
    project.alembic("upgrade", "heads")
    assert ready(project) == "ready: left right"
    path = project.add_revision("merge", "pass", down_revision="left")
    path.write_text(path.read_text().replace("'left'", "('left', 'right')"))
    with older(project):
        assert ready(project) == "ready: merge"
    own = project.add_revision("own", ADD.replace("cape", "own"), down_revision="merge")
    declare(own, "right")
    line = project.add_revision(
        "line", 'op.execute("CREATE TABLE line (id int)")', down_revision=None
    )
    line.write_text(line.read_text() + '\ndepends_on = "own"\n')
    project.commit("a line of its own")
    project.alembic("upgrade", "heads")
    assert project.version() == ["line"]
    project.git("checkout", "--quiet", "HEAD~2")
    assert ready(project) == "ready: line"
    project.git("checkout", "--quiet", "HEAD~1")
    not_ready(project, "own has oldest_code = right")

    # A revision of this code that the newer one dropped.
    project.git("checkout", "--quiet", "HEAD~0")
    project.add_revision("lost", "pass")
    not_ready(project, "own has oldest_code = right")


def test_code_that_the_database_lacks_a_revision_of(first: First) -> None:
    project = first(SQLITE)
    project.add_revision("add", ADD)
    project.commit("newer")
    project.upgraded()
    project.git("checkout", "--quiet", "HEAD~1")
    project.add_revision("lost", "pass")
    not_ready(project, "lost has not run")


@contextmanager
def reader(url: URL) -> Iterator[URL]:
    """Give the URL of a user, or of a connection, that may only read."""
    name = f"reader_{uuid4().hex[:12]}"
    if url.get_backend_name() == "sqlite":
        query = {"mode": "ro", "uri": "true"}
        yield url.set(database=f"file:{url.database}").update_query_dict(query)
        return
    mine = url.set(username=name, password="read")
    if url.get_backend_name() == "postgresql":
        tables = "alembic_version, alembic_ready"
        execute(sync_url(url), f"CREATE ROLE {name} LOGIN PASSWORD 'read'")
        execute(sync_url(url), f"GRANT SELECT ON {tables} TO {name}")
        execute(
            sync_url(url), f"ALTER ROLE {name} SET default_transaction_read_only = on"
        )
        gone = [f"REVOKE ALL ON {tables} FROM {name}", f"DROP ROLE {name}"]
    else:
        execute(sync_url(url), f"CREATE USER {name} IDENTIFIED BY 'read'")
        execute(sync_url(url), f"GRANT SELECT ON {url.database}.* TO {name}")
        gone = [f"DROP USER {name}"]
    try:
        yield mine
    finally:
        for statement in gone:
            execute(sync_url(url), statement)


@pytest.mark.parametrize("engine", [*ENGINES, ASYNCPG], ids=str)
def test_it_only_reads_and_waits_for_no_migration(first: First, engine: Engine) -> None:
    """It finds its answer while a migration runs, and may do nothing but SELECT."""
    project = first(engine)
    wait = """
        from pathlib import Path
        while not Path("go").exists(): time.sleep(0.05)
    """
    project.add_revision("add", ADD)
    project.add_revision("slow", wait, down_revision="add")
    project.commit("newer")
    project.alembic("upgrade", "add")
    newer = Project(project.path.parent / "newer", project.url)
    project.git("checkout", "--quiet", "HEAD~1")
    project.git("worktree", "add", "--quiet", str(newer.path), "main")
    process = newer.start("alembic", "upgrade", "head", **newer.env)
    process.wait_for("add -> slow")
    with reader(project.url) as url:
        assert ready(project.on(url)) == "ready: add"
        assert ready(newer.on(url), fails=True) == UP_TO_DATE
        assert process.poll() is None
        (newer / "go").touch()
        process.finish()
        assert process.returncode == 0
        assert ready(project.on(url)) == "ready: slow"
        assert ready(newer.on(url)) == "ready: slow"
        line = last_line(project.on(url).alembic("downgrade", "-1", fails=True))
        assert RUNS in line or "read" in line


def test_each_tenant_has_its_own_answer(new: New, database: Database) -> None:
    project = new(TENANTS[0])
    project.commit("older")
    source = project.read("migrations/tenants.py")
    project.query("CREATE SCHEMA acme")
    assert "def tenants" in source
    line = ready(project, fails=True)
    assert line == (
        "each tenant has its own revision. Use `-x tenant=NAME`, or run "
        "`python migrations tenants current --check-heads`"
    )
    acme = ("-x", "tenant=acme")
    assert ready(project, *acme, fails=True) == UP_TO_DATE
    project.add_revision("add", ADD)
    project.commit("newer")
    project.alembic(*acme, "upgrade", "head")
    assert project.tables() == set()
    project.git("checkout", "--quiet", "HEAD~1")
    assert ready(project, *acme) == "ready: add"
    line = last_line(project.alembic(*acme, "upgrade", "head", fails=True))
    assert line.endswith(RUNS)


def test_each_database_has_its_own_answer(new: New, database: Database) -> None:
    project = new(SEVERAL[1])
    [name, *_] = SEVERAL[1].more_databases
    other = database("sqlite", "pysqlite")
    env = f"{name.upper()}_DATABASE_URL"
    project.env[env] = url_text(other)
    project.upgraded()
    assert ready(project) == f"ready: {project.version()[0]}"
    project.alembic("-n", name, "revision", "-m", "first")
    line = ready(project, "-n", name, fails=True)
    assert line == UP_TO_DATE.replace("alembic", f"alembic -n {name}")
    [path] = (project / project.migrations / name / "versions").glob("*_first.py")
    path.write_text(re.sub("raise Not.*", "pass", path.read_text()))
    project.alembic("-n", name, "upgrade", "head")
    revision = path.name.split("-")[1].split("_")[0]
    assert ready(project, "-n", name) == f"ready: {revision}"
    assert query(other, "SELECT revision FROM alembic_ready") == [(revision,)]


def test_two_histories_share_a_database(first: First) -> None:
    """The records are next to the version table, and each history has its own."""
    project = first(POSTGRESQL)
    project.query("CREATE SCHEMA meta")
    project.edit(
        "alembic.ini",
        "timezone = UTC",
        "timezone = UTC\nversion_table = mine\nversion_table_schema = meta",
    )
    project.commit("its own version table")
    project.add_revision("add", ADD)
    project.commit("newer")
    project.upgraded()
    found = "SELECT version_table, revision FROM meta.alembic_ready ORDER BY 2"
    assert project.query(found) == [("mine", HERO), ("mine", "add")]
    project.git("checkout", "--quiet", "HEAD~1")
    assert ready(project) == "ready: add"
    project.query("UPDATE meta.alembic_ready SET version_table = 'theirs'")
    line = ready(project, fails=True)
    assert "add has no row in alembic_ready" in line


def test_a_database_that_is_down_is_one_line(new: New) -> None:
    project = new(POSTGRESQL)
    url = SERVERS["postgresql"].set(port=1, drivername="postgresql+psycopg")
    line = ready(project.on(url), fails=True)
    assert line.startswith("cannot connect to postgresql+psycopg://")


STATEMENTS_OF_A_RUN = """
from sqlalchemy import Engine
from alembic import command
seen = []
def listen(_, __, statement, *___):
    if "alembic_ready" in statement: seen.append(statement.split()[0])
event.listen(Engine, "before_cursor_execute", listen)
config.attributes["connection"] = create_engine(URL)
for name in ("upgrade", "downgrade", "upgrade"):
    del seen[:]
    getattr(command, name)(config, {"upgrade": "head", "downgrade": "-1"}[name])
    print(seen)
"""


def test_a_run_looks_for_the_table_once(new: New) -> None:
    project = new(SQLITE)
    project.add_revision("one", "pass")
    project.add_revision("two", "pass", down_revision="one")
    first, back, again = project.program(STATEMENTS_OF_A_RUN).splitlines()[-3:]
    assert first.count("PRAGMA") == again.count("PRAGMA") + 1 > 1
    assert first.endswith("'CREATE', 'PRAGMA', 'SELECT', 'INSERT', 'INSERT', 'INSERT']")
    assert back.endswith("'SELECT', 'DELETE']")
    assert again.endswith("'SELECT', 'INSERT']")


def test_record_from_before_the_room_was_off_is_replaced(new: New) -> None:
    project = new(SQLITE).upgraded()
    project.query("UPDATE alembic_ready SET oldest_code = 'old', reason = 'old'")
    project.query("DROP TABLE heroes")
    project.query("DELETE FROM alembic_version")
    project.upgraded()
    assert project.query("SELECT oldest_code, reason FROM alembic_ready") == [
        (None, "")
    ]


def test_rollback_of_the_table_is_followed_by_another_one(new: New) -> None:
    """The next try of a run whose only transaction was rolled back creates it again."""
    project = new(POSTGRESQL)
    env = f"{project.migrations}/env.py"
    source = project.read(env)
    project.write(
        env, source.replace("package=", "transaction_per_migration=False, package=")
    )
    assert project.read(env) != source
    project.query("CREATE TABLE busy (id int)")
    project.add_revision("busy", 'op.execute("ALTER TABLE busy ADD COLUMN a int")')
    with connect(project.url) as other:
        other.execute(text("LOCK TABLE busy"))
        process = project.start(
            *("alembic", "-x", "ddl_lock_timeout=0.2", "upgrade", "head"), **project.env
        )
        process.wait_for("trying again in 0.2 s")
    process.finish()
    assert process.returncode == 0
    assert len(project.query("SELECT * FROM alembic_ready")) == 2


WITHOUT_ROOM = [["branches", "testing", "ready"], ["autogenerate", "testing", "ready"]]


@pytest.mark.parametrize("features", WITHOUT_ROOM, ids=lambda names: names[0])
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_table_of_the_records_is_no_table_of_yours(
    new: New, engine: Engine, features: list[str]
) -> None:
    project = new(engine, features=features)
    project.upgraded()
    assert "No new upgrade operations" in project.alembic("check")
    assert re.search(r"\d passed", project.own_tests("tests"))
    project.alembic("downgrade", "base")
    assert project.query("SELECT * FROM alembic_ready") == []
