"""One revision takes the place of many: nothing that they made is lost, and no database is."""

from __future__ import annotations

import re
import shutil
from datetime import datetime

import pytest

from support.databases import url_text
from support.projects import New, Project, last_line
from support.revisions import HERO, add_revision
from support.variants import Engine, Variant

ENGINES = [
    Engine("sqlite", False, "pysqlite"),
    Engine("postgresql", True, "asyncpg"),
    Engine("mysql", False, "pymysql"),
    Engine("mariadb", True, "aiomysql"),
]

# What the first revision makes, for each database: what reflection has no word for.
RICH = {
    "sqlite": r"""
op.create_table("teams", sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("kind", sa.String(9), sa.CheckConstraint("kind IN ('a', 'b')", name="ck_kind")),
    sa.Column("at", sa.DateTime(), server_default=sa.func.current_timestamp()), sqlite_autoincrement=True)
op.execute("CREATE TABLE odd (name TEXT COLLATE NOCASE PRIMARY KEY, twice TEXT AS (name || name)) WITHOUT ROWID")
op.create_index("ix_part", "teams", ["kind"], sqlite_where=sa.text("kind = 'a'"))
op.execute("CREATE INDEX ix_words ON teams (lower(kind) DESC)")
op.execute("CREATE VIEW a_teams AS SELECT * FROM teams WHERE kind = 'a'")
op.execute("CREATE TRIGGER mark AFTER INSERT ON teams BEGIN UPDATE teams SET kind = 'b' WHERE id < 0; END")
op.execute("CREATE VIRTUAL TABLE words USING fts5(word)")
op.execute("CREATE TABLE late (id INTEGER PRIMARY KEY, team INTEGER REFERENCES teams (id) DEFERRABLE INITIALLY DEFERRED)")
""",
    "postgresql": r"""
op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
op.execute("CREATE SCHEMA other")
op.execute("CREATE TYPE mood AS ENUM ('sad', 'it''s \\:ok')")
op.execute("CREATE DOMAIN positive AS integer CHECK (VALUE > 0)")
op.execute("CREATE TYPE pair AS (a integer, b text)")
op.execute("CREATE SEQUENCE numbers START WITH 5 INCREMENT BY 7 CYCLE MAXVALUE 99")
op.execute('''CREATE FUNCTION upper_of(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  -- 50% of \d+
  RETURN upper(x);
END $$''')
op.create_table("teams", sa.Column("id", sa.Integer(), sa.Identity(always=True), primary_key=True),
    sa.Column("kind", sa.String(9), sa.CheckConstraint("kind IN ('a', 'b')", name="ck_kind"), comment="what 'it' is"),
    sa.Column("number", sa.Integer(), server_default=sa.text("nextval('numbers')")),
    sa.Column("mood", sa.dialects.postgresql.ENUM(name="mood", create_type=False), server_default="sad"),
    sa.Column("moods", sa.dialects.postgresql.ARRAY(sa.dialects.postgresql.ENUM(name="mood", create_type=False))),
    sa.Column("data", sa.dialects.postgresql.JSONB(), server_default="{}"),
    sa.Column("name", sa.Text(collation="C"), server_default=sa.text("upper_of('x')")),
    sa.Column("span", sa.dialects.postgresql.INT4RANGE()),
    sa.Column("shout", sa.Text(), sa.Computed("upper_of(name)", persisted=True)))
op.execute("CREATE FUNCTION of_kind(k text) RETURNS SETOF teams LANGUAGE sql AS 'SELECT * FROM teams WHERE kind = k'")
op.execute("ALTER TABLE teams ADD CONSTRAINT apart EXCLUDE USING gist (kind WITH =, span WITH &&)")
op.execute("ALTER TABLE teams ADD COLUMN lucky positive, ADD COLUMN \"both\" pair")
op.create_table("rows", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("team", sa.Integer()))
op.execute("ALTER TABLE rows RENAME TO members")
op.create_foreign_key("fk_team", "members", "teams", ["team"], ["id"], ondelete="CASCADE", deferrable=True, initially="DEFERRED")
op.create_index("ix_part", "teams", ["kind"], postgresql_where=sa.text("kind IN ('a', 'b')"))
op.execute("CREATE INDEX ix_words ON teams (lower(name) DESC NULLS LAST)")
op.execute("CREATE INDEX ix_data ON teams USING gin (data jsonb_path_ops)")
op.execute("COMMENT ON INDEX ix_part IS 'a part'")
op.execute("CREATE VIEW second AS SELECT id, kind FROM teams WHERE kind IN ('a', 'b')")
op.execute("CREATE VIEW first AS SELECT id FROM second")
op.execute("CREATE MATERIALIZED VIEW counted AS SELECT kind, count(*) FROM first JOIN second USING (id) GROUP BY kind")
op.execute("CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.kind := ''a''; RETURN NEW; END'")
op.execute("CREATE TRIGGER touched BEFORE UPDATE OF kind ON teams FOR EACH ROW WHEN (NEW.kind IS NULL) EXECUTE FUNCTION touch()")
op.execute("CREATE TABLE parts (id integer NOT NULL, at date NOT NULL) PARTITION BY RANGE (at)")
op.execute("CREATE TABLE parts_old PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')")
op.execute("ALTER TABLE parts ADD PRIMARY KEY (id, at)")
op.execute("CREATE UNLOGGED TABLE other.fast (id serial PRIMARY KEY, team integer REFERENCES teams) WITH (fillfactor=70)")
op.execute("ALTER TABLE members ENABLE ROW LEVEL SECURITY")
op.execute("CREATE POLICY own ON members FOR SELECT USING (team > 0)")
op.execute("CREATE STATISTICS linked (dependencies) ON kind, number FROM teams")
op.create_table("left_one", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("right_id", sa.Integer()))
op.create_table("right_one", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("left_id", sa.Integer(), sa.ForeignKey("left_one.id", name="fk_left")))
op.create_foreign_key("fk_right", "left_one", "right_one", ["right_id"], ["id"])
""",
    "mariadb": r"""
op.create_table("teams", sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("kind", sa.String(9, collation="latin1_bin"), comment="what 'it' is: 100%"),
    sa.Column("mood", sa.Enum("sad", "it's", name="mood"), server_default="sad"),
    sa.Column("at", sa.TIMESTAMP(), server_default=sa.text("CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP")),
    sa.Column("twice", sa.Integer(), sa.Computed("id * 2", persisted=False)),
    sa.Column("flag", sa.Boolean(), server_default=sa.text("0")),
    sa.Column("raw", sa.LargeBinary()),
    sa.CheckConstraint("kind <> 'c'", name="ck_kind"),
    mysql_engine="MyISAM", mariadb_engine="MyISAM", comment="Teams")
op.create_table("left_one", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("right_id", sa.Integer()))
op.create_table("right_one", sa.Column("id", sa.Integer(), primary_key=True),
    sa.Column("left_id", sa.Integer(), sa.ForeignKey("left_one.id", name="fk_left")))
op.create_foreign_key("fk_right", "left_one", "right_one", ["right_id"], ["id"], ondelete="SET NULL")
op.execute("CREATE FULLTEXT INDEX ix_words ON teams (kind)")
op.execute("CREATE INDEX ix_start ON teams (kind(3))")
op.execute("CREATE VIEW second AS SELECT id, kind FROM teams")
op.execute("CREATE VIEW first AS SELECT id FROM second")
op.execute("CREATE FUNCTION plus(x integer) RETURNS integer DETERMINISTIC RETURN x + 1")
op.execute("CREATE PROCEDURE nothing() BEGIN SELECT 1; SELECT '\\:x'; END")
op.execute("CREATE TRIGGER mark BEFORE INSERT ON teams FOR EACH ROW SET NEW.kind = concat(NEW.kind, '%')")
""",
}
RICH["mysql"] = RICH["mariadb"]

# Rows with what is hard to write.
ROWS = {
    "sqlite": """
op.execute("INSERT INTO teams (id, kind) VALUES (7, 'a'), (8, NULL)")
op.execute("INSERT INTO odd (name) VALUES ('it''s \\"é\\" 50% \\\\:x \\\\ ' || char(10))")
""",
    "postgresql": """
op.execute("INSERT INTO teams (kind, span, moods) VALUES ('a', '[1,3)', '{sad}'), ('b', '[1,3)', NULL)")
op.execute("INSERT INTO members (id, team) VALUES (99, 2)")
op.execute("INSERT INTO parts VALUES (1, '2020-02-29')")
op.execute("UPDATE teams SET name = E'it''s \\"é\\" 50% \\\\:x \\\\\\\\ \\n' WHERE id = 1")
""",
    "mariadb": """
op.execute("INSERT INTO teams (id, kind, at, raw) VALUES (7, 'a', '2020-02-29 12:00:00', x'00ff27')")
op.execute("INSERT INTO right_one (id, left_id) VALUES (1, NULL)")
op.execute("INSERT INTO heroes VALUES (1, 'it''s \\"é\\" 50% \\\\:x \\\\\\\\ \\\\n', '', NULL)")
""",
}
ROWS["mysql"] = ROWS["mariadb"]

# Each with what it gives after the squash.
PROBES = {
    "sqlite": {
        "SELECT id FROM a_teams": [(7,)],
        "SELECT twice = name || name, hex(name) FROM odd": [
            (1, 'it\'s "é" 50% :x \\ \n'.encode().hex().upper())
        ],
    },
    "postgresql": {
        "SELECT id, name FROM teams WHERE shout <> 'X' AND 'sad' = ANY (moods)": [
            (1, 'it\'s "é" 50% :x \\ \n')
        ],
        "INSERT INTO teams (kind) VALUES ('b') RETURNING id, number, shout": [
            (3, 19, "X")
        ],
        "SELECT count(*) FROM of_kind('b')": [(2,)],
        "SELECT id FROM members": [(99,)],
        "SELECT * FROM counted ORDER BY 1": [("a", 1), ("b", 1)],
        "SELECT count(*) FROM parts_old": [(1,)],
    },
    "mariadb": {
        "SELECT kind, twice, at FROM teams JOIN first USING (id)": [
            ("a%", 14, datetime(2020, 2, 29, 12))
        ],
        "SELECT name FROM heroes": [('it\'s "é" 50% :x \\ \n',)],
        "SELECT hex(raw) FROM teams": [("00FF27",)],
        "SELECT plus(1)": [(2,)],
    },
}
PROBES["mysql"] = PROBES["mariadb"]

LATER = 'op.add_column("teams", sa.Column("later", sa.Integer(), nullable=True))'
REFUSED = 'raise NotImplementedError("no way back")'


def history(project: Project) -> None:
    """Add three revisions to the first one; the third one comes after the point."""
    database = project.url.get_backend_name()
    made = RICH[database] + ROWS[database]
    project.add_revision("rich", made, REFUSED)
    project.add_revision("point", 'op.drop_column("heroes", "age")', REFUSED, "rich")
    project.add_revision("later", LATER, 'op.drop_column("teams", "later")', "point")


def squash(project: Project, *arguments: str, fails: bool = False) -> str:
    """Squash; scratch databases are made beside the project's."""
    variables = {"TEST_DATABASE_URL": url_text(project.url)}
    return project.kit("squash", *arguments, fails=fails, **variables)


def files(project: Project) -> dict[str, str]:
    """Return the revisions that there are."""
    return {path.name: path.read_text() for path in project.revisions}


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_nothing_is_lost(new: New, engine: Engine) -> None:
    project = new(engine)
    database = engine.database
    history(project)
    output = squash(project, "point", "--rows")
    assert "replaces 3 revisions" in output
    assert len(project.revisions) == 2
    project.alembic("upgrade", "head")
    assert project.version() == ["later"]
    for statement, rows in PROBES[database].items():
        assert project.query(statement) == rows


def test_nobody_loses_rows_unasked(new: New) -> None:
    project = new()
    insert = """op.execute("INSERT INTO heroes VALUES (1, 'a', 'b', 2)")"""
    project.add_revision("one", insert)
    before = files(project)
    line = last_line(squash(project, "one", fails=True))
    assert "the old revisions insert rows: heroes (1). Run again with `--rows`" in line
    assert files(project) == before
    assert "Rows left out: heroes (1)" in squash(project, "one", "--no-rows")
    assert project.upgraded().query("SELECT * FROM heroes") == []


def tables(project: Project, *names: str) -> None:
    """Add a revision for each name, which makes a table, one after the other."""
    before = project.head().strip()
    for name in names:
        create = f'op.create_table("{name}", sa.Column("id", sa.Integer()))'
        project.add_revision(name, create, f'op.drop_table("{name}")', before)
        before = name
    project.write(f"{project.migrations}/HEAD", f"{before}\n")


def test_databases_go_on(new: New) -> None:
    """At the point, past it, empty: as if nothing had happened. Before it: what to do."""
    project = new()
    tables(project, "one", "two", "three")
    for revision in ("one", "two", "three"):
        project.alembic("upgrade", revision, DATABASE_URL=f"sqlite:///{revision}.db")
    squash(project, "two")
    assert project.head() == "three\n"
    for name in ("two", "three", "new"):
        url = f"sqlite:///{name}.db"
        output = project.alembic("upgrade", "head", DATABASE_URL=url)
        assert ("-> two" in output, "-> three" in output) == (
            name == "new",
            name != "three",
        )
        assert "three" in project.alembic("current", DATABASE_URL=url)
    for command in (["upgrade", "head"], ["current"], ["downgrade", "base"]):
        line = last_line(
            project.alembic(*command, fails=True, DATABASE_URL="sqlite:///one.db")
        )
        assert ": it was squashed into two. Run `alembic upgrade two` with the" in line


def test_squashed_history_needs_no_room(new: New) -> None:
    """Without the room a database before the point only gets a less telling line."""
    project = new()
    tables(project, "one", "two", "three")
    project.alembic("upgrade", "one", DATABASE_URL="sqlite:///one.db")
    squash(project, "two")
    shutil.rmtree(project / "migrations/migration_kit/squash")
    project.upgraded()
    project.alembic("check", fails=True)  # for tables without models
    line = last_line(
        project.alembic("upgrade", "head", fails=True, DATABASE_URL="sqlite:///one.db")
    )
    assert ". Use the release that has it" in line


def test_everything_else_goes_on(new: New) -> None:
    """Own tests, drawing, HEAD, linters, rebase; and squashing what was squashed."""
    project = new(Variant(example="tour", migrations_in_package=True))
    project.commit()
    squash(project, "b90e43d51a7c")
    head = project.head()
    project.kit("draw")
    project.commit("squash")
    squash(project, "e5a6027c9f18")
    [path] = project.revisions
    for old in ("4f1c8a2d7b3e", "8d27b61f0c94", "b90e43d51a7c"):
        assert f'    "{old}",\n' in path.read_text()
    assert path.name == "2026_02_16_1015-e5a6027c9f18_squash_of_2_revisions.py"
    project.kit("head")
    assert project.head() == head
    project.kit("draw")
    assert "e5a6027c9f18" in project.read("docs/schema.md")
    assert "b90e43d51a7c" not in project.read("docs/schema.md")
    project.ruff()
    for name in ("ours", "theirs"):
        project.add_revision(name, "pass", '"""Nothing."""', "e5a6027c9f18")
    project.rebase("ours")
    (project / "tests/test_data_migrations.py").unlink()  # of revisions that are gone
    assert " passed" in project.own_tests()


def test_what_cannot_be_squashed_is_refused(new: New) -> None:
    project = new()
    tables(project, "one", "two")
    before = files(project)
    for revision, words in {
        "nonsense": "Can't locate revision",
        HERO: "nothing to squash",
    }.items():
        assert words in last_line(squash(project, revision, fails=True))
    beside = project.add_revision("beside", "pass", down_revision="one")
    assert "cannot squash one: beside builds on it, too" in squash(
        project, "two", fails=True
    )
    source = beside.read_text().replace("= 'one'", "= None")
    beside.write_text(f'{source}\ndepends_on = "one"\n')
    assert "cannot squash one: beside builds on it, too" in squash(
        project, "two", fails=True
    )
    beside.write_text(f'{source}\nbranch_labels = "line"\n')
    path = project.versions / "two.py"
    path.write_text(f'{before[path.name]}\ndepends_on = "beside"\n')
    assert "cannot squash beside: it is the head of another line" in squash(
        project, "two", fails=True
    )
    beside.unlink()
    path.write_text(before[path.name])
    project.commit()
    path.write_text(path.read_text() + "\n")
    assert "versions/two.py is not committed, and squash" in squash(
        project, "two", fails=True
    )
    path.write_text(before[path.name])
    assert files(project) == before


def test_a_revision_that_lacks_something_is_refused(new: New) -> None:
    """What is written is compared, and not what was meant."""
    project = new()
    create = """
op.create_table("t", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("a", sa.Text(), server_default="x"))
op.create_index("ix_a", "t", ["a"])
op.execute("CREATE VIEW v AS SELECT a FROM t")
op.execute("CREATE TRIGGER w AFTER INSERT ON t BEGIN DELETE FROM t WHERE id < 0; END")
op.execute("INSERT INTO t VALUES (1, 'a')")
"""
    project.add_revision("one", create, REFUSED)
    later = 'op.execute("CREATE TABLE u AS SELECT * FROM v")'
    project.add_revision("two", later, down_revision="one")
    before = files(project)
    changes = {
        "(1, 'a')": "(1, 'b')",
        '"t", ["a"]': '"t", ["id"]',
        "'x'": "'y'",
        "SELECT a FROM t": "SELECT a FROM t WHERE a <> ''",
        "WHERE id < 0": "WHERE id < 1",
        "DROP VIEW": "-- DROP VIEW",
    }
    # Each change of what was written is undone after it.
    output = project.python(f"""
import sys; sys.path.append("migrations")
from alembic.config import Config
from alembic.util import CommandError
from migration_kit.squash import command as squash
generate = squash.generate
for before, after in {changes!r}.items():
    def change(script, newest, old, path, steps, imports):
        generate(script, newest, old, path, steps, imports)
        source = path.read_text()
        assert before in source, source
        path.write_text(source.replace(before, after))
    squash.generate = change
    try:
        squash.squash(Config("alembic.ini"), "one", rows=True)
    except CommandError as error:
        print(error)
""")
    lines = re.findall(
        r"would differ (at one|after its downgrade) in (.*)\. Squash", output
    )
    assert lines == [
        ("at one", "rows t"),
        ("at one", "index ix_a"),
        ("at one", "table t"),
        ("at one", "view v"),
        ("at one", "trigger w"),
        ("after its downgrade", "view v"),
    ]
    assert files(project) == before


KILLED = """
import os, shutil, signal, sys; sys.path.append("migrations")
from pathlib import Path
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from migration_kit.squash import command as squash

config, versions = Config("alembic.ini"), Path("migrations/versions")
shutil.copytree(versions, "old")
squash.squash(config, "three")
shutil.copytree(versions, "new", ignore=shutil.ignore_patterns("__pycache__"))
[written] = Path("new").glob("*three*")
squash.Squash.write = lambda self, staged, rows: shutil.copy(written, staged)
squash.Squash.verify = lambda self, staged: None

def killed_before(number):
    counted = 0
    def count(event, arguments):
        nonlocal counted
        if event in {"os.rename", "os.remove"} and "versions" in str(arguments[0]):
            counted += 1
            if counted == number:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)
    squash.squash(config, "three")

def state(folder):
    return {path.name: path.read_text() for path in Path(folder).glob("*.py")}

for number in range(1, 99):
    shutil.rmtree(versions)
    shutil.copytree("old", versions)
    child = os.fork()
    if not child:
        killed_before(number)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    now = state(versions)
    now = {name: text for name, text in now.items() if not name.startswith(".#")}
    heads = Path("state.db")
    heads.unlink(missing_ok=True)
    os.environ["DATABASE_URL"] = "sqlite:///state.db"
    from alembic import command
    try:
        command.upgrade(config, "heads")
        runs = "old" if now == state("old") else "new"
    except CommandError as error:
        assert "`python migrations squash three`, which deletes it" in str(error), error
        assert not heads.exists() or heads.stat().st_size == 0
        runs = "refused"
    if now != state("new"):
        squash.squash(config, "three")
    assert state(versions) == state("new"), (number, sorted(state(versions)))
    print(number, os.WIFSIGNALED(status), runs)
    if not os.WIFSIGNALED(status):
        break
"""


def test_killed_at_any_moment(new: New) -> None:
    """Nothing is half done: old, new, or refused until the command has finished it."""
    project = new()
    tables(project, "one", "two", "three", "four")
    lines = project.python(KILLED).splitlines()
    states = [line.split()[1:] for line in lines if line[0].isdigit()]
    killed = ["True", "refused"]
    # Before the new file is there, until the last old one is gone, and not at all.
    assert states == [["True", "old"], *[killed] * 5, ["False", "new"]]


def test_several_databases(new: New) -> None:
    """The section is found by the revision, and only its history is squashed."""
    project = new(Variant(more=(Engine("sqlite", False, "pysqlite"),)))
    versions = project / "migrations/analytics/versions"
    for name, before in (("one", None), ("two", "one")):
        create = f'op.create_table("{name}", sa.Column("id", sa.Integer()))'
        add_revision(versions, name, create, f'op.drop_table("{name}")', before)
    others = files(project)
    squash(project, "two")
    [path] = versions.glob("*.py")
    assert '"one",' in path.read_text()
    assert files(project) == others
