"""`lint` names what new revisions destroy, break or block, on every database."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from support.commands import UV_RUNS_HERE, run, script
from support.databases import execute
from support.findings import CASES, SQL, SQL_BY_SQLGLOT, START
from support.projects import New, Project
from support.revisions import HERO
from support.variants import ENGINES, POSTGRESQL, Engine, Variant

UNSAFE = """\
op.create_index("ix_age", "heroes", ["age"])
op.add_column("heroes", sa.Column("power", sa.Integer(), nullable=False))
"""
DROP = "op.drop_column('heroes', 'age')"
ACCEPT = "# lint-accept: drop-column heroes.age\n# No release has used it since 2.3.\n"

# Reads each revision as the only new one, for each dialect of a kind of database, in one process.
EXAMINE = """
import json, os, sys
if os.environ.get("NO_SQLGLOT"):
    sys.modules["sqlglot"] = None
sys.path.append("migrations")
from alembic.config import Config
from alembic.script import ScriptDirectory
from migration_kit.lint.changes import unaccepted
from migration_kit.lint.reading import plain_dialect
config = Config("alembic.ini")
script = ScriptDirectory.from_config(config)
print(json.dumps({
    f"{name} {revision.revision}": [
        f"{one.rule} {one.name}".strip() + f" line {one.line} destroys {one.destroys}"
        for one in unaccepted(script, [revision], plain_dialect(name))
    ]
    for name in json.loads(os.environ["NAMES"])
    for revision in script.walk_revisions()
    if revision.revision.startswith("case")
}))
"""


# A project of each kind, and the dialects that it can lint for.
KINDS = {
    "sqlite": (ENGINES[0], ["sqlite"]),
    "postgresql": (POSTGRESQL, ["postgresql"]),
    "mysql": (ENGINES[8], ["mysql", "mariadb"]),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def examine(
    project: Project, names: Sequence[str], bodies: Sequence[str], **env: str
) -> dict[str, list[str]]:
    """Return what is found in revisions that all come after the one of `START`."""
    project.add_revision("start", START)
    for number, body in enumerate(bodies):
        project.add_revision(f"case{number}", body, down_revision="start")
    output = project.python(EXAMINE, NAMES=json.dumps(names), **env)
    found: dict[str, list[str]] = json.loads(output)
    return found


def assert_found(
    found: dict[str, list[str]],
    names: Sequence[str],
    cases: Sequence[tuple[str, str | dict[str, str]]],
) -> None:
    """See that each case has its findings on each database, and no other."""
    wrong = []
    for number, (body, expected) in enumerate(cases):
        for name in names:
            text = expected if isinstance(expected, str) else expected.get(name, "")
            rules = [one.split(" line ")[0] for one in found[f"{name} case{number}"]]
            if sorted(rules) != sorted(filter(None, text.split(", "))):
                wrong.append((name, body, rules, text))
    assert wrong == []


@each_kind
def test_each_operation_is_found_on_each_database(new: New, kind: str) -> None:
    engine, names = KINDS[kind]
    project = new(engine)
    found = examine(project, names, [body for body, _ in CASES])
    assert_found(found, names, CASES)
    assert not (project / "own.db").exists()
    [dropped] = found[f"{names[0]} case1"]
    assert dropped == "drop-column capes.age line 13 destroys True"
    batch = [one.split(" line ")[1] for one in found[f"{names[0]} case4"]]
    assert batch == ["14 destroys True", "15 destroys True"]
    unique = next(
        one for one in found[f"{names[0]} case35"] if one.startswith("unique")
    )
    assert unique.endswith("destroys False")


@each_kind
@pytest.mark.parametrize("sqlglot", [True, False], ids=["sqlglot", "pattern"])
def test_own_sql_is_read_also_without_sqlglot(
    new: New, kind: str, sqlglot: bool
) -> None:
    engine, names = KINDS[kind]
    cases = [*SQL, *SQL_BY_SQLGLOT] if sqlglot else SQL
    bodies = [f'op.execute("{sql}")' for sql, _ in cases]
    env = {} if sqlglot else {"NO_SQLGLOT": "1"}
    assert_found(examine(new(engine), names, bodies, **env), names, cases)


# Calls the command, and says what stands in its log, as in a project without sqlglot.
WITHOUT_SQLGLOT = """
import sys
sys.modules["sqlglot"] = None
sys.path.append("migrations")
sys.argv = ["migrations", "lint"]
sys.stderr = sys.stdout
from migration_kit.__main__ import main
main("alembic.ini")
"""


def test_lint_says_that_sqlglot_would_read_more(new: New) -> None:
    project = new()
    project.commit()
    sql = "op.execute('ALTER TABLE heroes ADD COLUMN power INT NOT NULL')"
    project.add_revision("one", sql)
    assert "required-column heroes.power" in project.lint(fails=True)
    lines = project.python(WITHOUT_SQLGLOT).splitlines()
    assert lines[0].startswith("migrations/versions/one.py: in its own SQL only DROP, ")
    assert "`uv add --dev sqlglot`" in lines[0]
    assert lines[1] == "1 new revision: nothing found"


def test_history_before_it_is_known_and_its_tables_are_filled(new: New) -> None:
    """Types that an earlier revision changed, tables that it renamed; its siblings do not count."""
    project = new(POSTGRESQL)
    project.add_revision("start", START)
    project.add_revision(
        "before",
        "op.alter_column('capes', 'name', type_=sa.String(40))\n"
        "op.alter_column('capes', 'big', new_column_name='large')\n"
        "op.execute('ALTER TABLE masks RENAME TO hoods')",
        down_revision="start",
    )
    drop = "op.drop_table('capes')"
    project.add_revision("aside", drop, down_revision="start")
    path = project.add_revision(
        "case0",
        "op.alter_column('capes', 'name', type_=sa.String(60))\n"
        "op.alter_column('capes', 'name', type_=sa.String(50))\n"
        "op.alter_column('capes', 'large', type_=sa.Integer())\n"
        "op.drop_table('hoods')\n"
        "forget('capes')",
        down_revision="before",
    )
    helper = "def forget(table, column='age'):\n    op.drop_column(table, column)\n"
    path.write_text(f"{path.read_text()}\n\n{helper}")
    project.add_revision("zebra", drop, down_revision="start")
    found = json.loads(project.python(EXAMINE, NAMES='["postgresql"]'))
    assert found["postgresql case0"] == [
        "narrow-type capes.name line 14 destroys True",
        "narrow-type capes.large line 15 destroys True",
        "drop-table hoods line 16 destroys True",
        "drop-column capes.age line 25 destroys True",
    ]


# ------------------------------------------------------------------------ The command


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        (ENGINES[0], "sqlite3 FILE '.dump heroes'"),
        (POSTGRESQL, "pg_dump --table heroes"),
        (ENGINES[7], "mysqldump DATABASE heroes"),
        (ENGINES[9], "mariadb-dump DATABASE heroes"),
    ],
    ids=str,
)
def test_lint_says_what_where_and_the_safe_way(
    new: New, engine: Engine, words: str
) -> None:
    in_package = engine.database == "mariadb"
    variant = Variant(engine, example="tour", migrations_in_package=in_package)
    project = new(variant)
    assert project.lint() == "4 new revisions: nothing found\n"  # nothing is committed
    project.write(
        "src/my_app/main.py",
        "from my_app.models import Hero\n\n\n"
        "def main(hero: Hero) -> object:\n"
        '    return hero.age, Hero(name="x", age=3), "SELECT age FROM heroes"\n',
    )
    project.write("src/my_app/other.py", "def main(dog): return dog.age\n")
    project.commit()
    assert project.lint() == "0 new revisions: nothing found\n"
    sql = "op.execute('UPDATE heroes SET age = 1')"
    path = project.add_revision("one", f"{DROP}\n{sql}", down_revision="e5a6027c9f18")
    for arguments in ([], ["HEAD"]):
        output = project.lint(*arguments, fails=True)
        assert output.startswith(
            f"{project.migrations}/versions/one.py:13: drop-column heroes.age\n"
            "  drops the column with its values: "
        )
        assert f"drop it one release later; `{words}` keeps its values\n" in output
        [used] = [line for line in output.splitlines() if "used by" in line]
        hero = "src/my_app/models/hero.py"
        line = project.read(hero).splitlines().index("    age: Mapped[int | None]") + 1
        assert used == f"  used by: {hero}:{line}, src/my_app/main.py:5"
        assert output.splitlines()[-1].startswith("FAILED: the revisions lose data or ")

    source = path.read_text()
    path.write_text(ACCEPT.splitlines()[0] + "\n\n" + source)
    assert "write the reason in a comment below" in project.lint(fails=True)
    path.write_text(ACCEPT.replace("heroes.age", "heroes.name") + source)
    assert "drop-column heroes.age" in project.lint(fails=True)
    path.write_text(ACCEPT.replace(" heroes.age", "") + source)
    assert project.lint() == "1 new revision: nothing found\n"
    path.write_text(ACCEPT + source)
    assert project.lint() == "1 new revision: nothing found\n"
    path.write_text(source)
    project.commit("one")
    assert project.lint() == "0 new revisions: nothing found\n"
    assert "drop-column heroes.age" in project.lint("HEAD^", fails=True)


def test_one_reason_may_stand_for_several_findings(new: New) -> None:
    project = new()
    project.commit()
    drops = f"{DROP}\nop.drop_column('heroes', 'name')"
    path = project.add_revision("one", drops)
    source = path.read_text()
    path.write_text(ACCEPT.replace(" heroes.age", "") + source)
    assert (
        project.lint(fails=True).count(": drop-column ") == 2
    )  # which one is not said
    path.write_text("# lint-accept: drop-column heroes.name\n" + ACCEPT + source)
    assert project.lint() == "1 new revision: nothing found\n"


def test_lint_names_revisions_that_were_edited_or_deleted(new: New) -> None:
    project = new(Variant(example="tour"))
    project.commit()
    hero = project.revision("create_heroes")
    source = hero.read_text()
    hero.write_text(source.replace('"""create heroes', '"""make heroes') + "# Ready.\n")
    assert "nothing found" in project.lint()  # nothing but words
    hero.write_text(source.replace("length=100", "length=99"))
    output = project.lint(fails=True)
    assert f"{hero.name}:1: edited-revision {HERO}\n" in output
    hero.write_text(
        "# lint-accept: edited-revision\n# Nobody ran it.\n" + hero.read_text()
    )
    assert "nothing found" in project.lint()

    hero.write_text(source)
    users = project.revision("create_users")
    users.unlink()
    output = project.lint(fails=True)
    assert f"{users.name}: deleted-revision e5a6027c9f18\n" in output
    assert f" -- migrations/versions/{users.name}`" in output
    # A squashed revision keeps the newest identifier, and names those that it replaces.
    squashed = 'replaces = ["e5a6027c9f18"]\n'
    hero.write_text(source + squashed)
    assert "nothing found" in project.lint()


def test_revision_that_was_rebased_or_came_from_main_is_no_deletion(new: New) -> None:
    project = new()
    project.commit()
    for name in ("theirs", "ours"):
        project.add_revision(
            name, f"op.create_table({name!r}, sa.Column('id', sa.Integer()))"
        )
    project.commit("both")
    project.rebase("ours")
    assert project.lint() == "1 new revision: nothing found\n"
    project.git("checkout", "--quiet", "--force", "HEAD")
    project.git("clean", "--quiet", "--force")
    project.git("checkout", "--quiet", "-b", "branch", "HEAD^")
    assert project.lint("main") == "0 new revisions: nothing found\n"  # it lacks two


def test_each_database_has_its_part_of_the_report(new: New) -> None:
    project = new(Variant(POSTGRESQL, more=(ENGINES[0],)))
    project.commit()
    project.add_revision("one", "op.drop_index('ix_heroes_name', 'heroes')")
    assert "require-concurrent-index-deletion" in project.lint(fails=True)
    folder = project / "migrations/analytics/versions"
    sql = "op.drop_table('visits')\nop.drop_index('ix_visits', 'visits')"
    path = project.add_revision("two", sql, down_revision=None)
    path.rename(folder / path.name)
    lines = project.lint(fails=True).splitlines()
    first, second = lines.index("[alembic]"), lines.index("[analytics]")
    assert first < second
    [rest] = [line for line in lines[second:] if line.startswith("migrations/")]
    assert rest == "migrations/analytics/versions/two.py:13: drop-table visits"


# ------------------------------------------------------------------------- PostgreSQL


def test_squawk_says_what_locks_and_nothing_is_said_twice(new: New) -> None:
    project = new(POSTGRESQL)
    project.commit()
    rules = (
        "op.drop_column('heroes', 'age')\n"
        "op.rename_table('heroes', 'people')\n"
        "op.add_column('people', sa.Column('power', sa.Integer(), nullable=False))\n"
        "op.alter_column('people', 'name', type_=sa.String(3))\n"
        "op.create_unique_constraint('uq', 'people', ['name'])\n"
        "op.create_index('ix', 'people', ['name'])\n"
        "op.create_table('capes', sa.Column('id', sa.Integer()))\n"
        "op.create_index('ix_capes', 'capes', ['id'])\n"
        "for row in op.get_bind().execute(sa.text('SELECT 1')): row.nothing()\n"
        "op.create_index('ix_2', 'people', ['name'])"
    )
    project.add_revision("one", rules)
    index = "op.create_index('ix_3', 'capes', ['id'])"  # of a table that is new too
    project.add_revision("two", index, down_revision="one")
    lines = project.lint(fails=True).splitlines()
    found = [line.split(":", 1)[1] for line in lines if line.startswith("migrations/")]
    assert found == [
        "13: drop-column heroes.age",
        "14: rename-table heroes",
        "15: required-column people.power",
        "16: narrow-type people.name",
        "17: unique uq",
        "18: require-concurrent-index-creation people",
        "22: require-concurrent-index-creation people",
    ]
    online = "`alembic -x online=true revision --autogenerate` writes it"
    remedy = f"Use `concurrently` to avoid blocking writes; {online} (feature online)"
    assert f"  safe: {remedy}" in lines


def test_index_of_a_new_materialized_view_blocks_nobody(new: New) -> None:
    project = new(POSTGRESQL)
    project.commit()
    project.add_revision(
        "one",
        "op.execute('CREATE MATERIALIZED VIEW one AS SELECT id, name FROM heroes')\n"
        "select = sa.select(sa.literal(1).label('id'))\n"
        "op.execute(sa.schema.CreateView(select, 'two', materialized=True))\n"
        "op.create_index('ix_one', 'one', ['id'], unique=True)\n"
        "op.create_index('ix_two', 'two', ['id'])\n"
        "op.execute('CREATE INDEX ix_name ON one (name)')\n"
        "op.create_index('ix', 'heroes', ['name'])",
    )
    lines = project.lint(fails=True).splitlines()
    found = [line.split(":", 1)[1] for line in lines if line.startswith("migrations/")]
    assert found == ["19: require-concurrent-index-creation heroes"]


def test_comments_for_squawk_go_on_to_accept(new: New) -> None:
    project = new(POSTGRESQL)
    project.commit()
    path = project.add_revision("one", UNSAFE + DROP)
    source = path.read_text()
    one = "# squawk-ignore: require-concurrent-index-creation, ban-drop-column\n"
    path.write_text(one + source)
    output = project.lint(fails=True)
    assert "required-column" in output
    assert "concurrent" not in output
    assert "drop-column" not in output
    path.write_text(one + "# squawk-ignore: adding-required-field\n" + source)
    assert "nothing found" in project.lint()


def test_lint_is_silent_where_the_safe_way_was_taken(new: New) -> None:
    project = new(POSTGRESQL)
    project.commit()
    project.add_revision(
        "one",
        "op.add_column('heroes', sa.Column('power', sa.Integer()))\n"
        "with op.get_context().autocommit_block():\n"
        "    op.create_index('ix_age', 'heroes', ['age'], postgresql_concurrently=True)",
    )
    assert project.lint() == "1 new revision: nothing found\n"


# Changes of a type, and SQL that says how; the server tells whether it writes the rows again.
RETYPED: list[tuple[Any, Any, str]] = [
    (sa.String(50), sa.String(100), ""),
    (sa.String(50), sa.String(100), "c{}::varchar(100)"),
    (sa.String(50), sa.String(), ""),
    (sa.String(50), sa.Text(), ""),
    (sa.Text(), sa.String(), ""),
    (sa.Numeric(10, 2), sa.Numeric(12, 2), ""),
    (sa.Numeric(10, 2), sa.Numeric(), ""),
    (sa.String(50), sa.String(100), "left(c{}, 60)"),
    (sa.String(50), sa.String(100), "c{}::varchar(40)"),
    (sa.String(50), sa.String(40), ""),
    (sa.Text(), sa.String(50), ""),
    (sa.CHAR(3), sa.CHAR(5), ""),
    (sa.CHAR(3), sa.Text(), ""),
    (sa.Numeric(10, 2), sa.Numeric(12, 3), ""),
    (sa.Numeric(), sa.Numeric(12, 2), ""),
    (sa.Integer(), sa.BigInteger(), ""),
    (sa.REAL(), sa.Double(), ""),
]


def test_type_that_needs_no_row_is_not_reported(new: New) -> None:
    project = new(POSTGRESQL)
    columns = [f"sa.Column('c{n}', sa.{old!r})" for n, (old, *_) in enumerate(RETYPED)]
    create = f"op.create_table('t', {', '.join(columns)})"
    project.add_revision("start", create, "op.drop_table('t')")
    project.commit()
    project.alembic("upgrade", "start")
    changes, rewritten = [], []
    for number, (_, type_, using) in enumerate(RETYPED):
        using = using.format(number)
        name = type_.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
        sql = f"ALTER TABLE t ALTER c{number} TYPE {name}"
        sql += f" USING {using}" if using else ""
        changes.append(f"op.alter_column('t', 'c{number}', type_=sa.{type_!r})")
        if using:
            changes[-1] = f"op.execute('{sql}')"
        file = "SELECT pg_relation_filenode('t')"
        before = project.query(file)
        execute(project.url, sql)
        rewritten.append(project.query(file) != before)
    assert rewritten == [number > 6 for number in range(len(RETYPED))]
    project.add_revision("one", "\n".join(changes), down_revision="start")
    rules = "changing-column-type|narrow-type"
    found = re.findall(rf"(?m)^\S+one.py:(\d+): ({rules})\b", project.lint(fails=True))
    first = int(found[0][0]) - 7
    assert [int(line) - first for line, _ in found] == [
        number for number, one in enumerate(rewritten) if one
    ]


def test_type_with_another_collation_is_reported(new: New) -> None:
    """Its indexes are built again."""
    project = new(POSTGRESQL)
    project.commit()
    collated = "op.alter_column('heroes', 'name', type_=sa.String(200, 'C'))"
    project.add_revision("one", collated)
    assert "changing-column-type heroes" in project.lint(fails=True)


def test_column_is_added_and_required_by_two_releases(new: New) -> None:
    project = new()
    project.commit()
    add = "op.add_column('heroes', sa.Column('power', sa.Integer()))"
    project.add_revision("one", add)
    require = """
op.execute("UPDATE heroes SET power = 1 WHERE power IS NULL")
with op.batch_alter_table("heroes") as batch:
    batch.alter_column("power", existing_type=sa.Integer(), nullable=False)
"""
    project.add_revision("two", require, down_revision="one")
    output = project.lint(fails=True)
    assert "two.py:15: required-column heroes.power\n" in output
    assert "one adds it: the previous release writes no value. If one is " in output
    (project.versions / "two.py").rename(project / "two")
    project.commit()
    (project / "two").rename(project.versions / "two.py")
    assert project.lint() == "1 new revision: nothing found\n"


def test_lint_says_when_squawk_is_missing(new: New) -> None:
    project = new(POSTGRESQL)
    output = project.kit("lint", fails=True, PATH="/usr/bin:/bin")
    assert output.startswith("FAILED: squawk is not installed. Run `uv add ")


def test_commit_hook_lints_new_revisions(new: New) -> None:
    project = new()
    project.commit()
    project.add_revision("one", DROP)
    project.git("add", "--all")
    hook = ("run", "lint-revisions")
    env = UV_RUNS_HERE | {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    output = run(script("pre-commit"), *hook, cwd=project, env=env, fails=True)
    assert "drop-column heroes.age" in output
    path = project / "migrations/versions/one.py"
    path.write_text(ACCEPT + path.read_text())
    project.git("add", "--all")
    run(script("pre-commit"), *hook, cwd=project, env=env)
