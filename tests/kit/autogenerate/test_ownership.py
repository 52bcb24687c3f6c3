"""Autogenerate drops what this history made, and nothing of anybody else's."""

from __future__ import annotations

import json
import re

import pytest

from support.projects import UP_AND_DOWN, Database, New, Project
from support.variants import ENGINE_OF, ONE_OF_EACH, Engine

POSTGRESQL = ENGINE_OF["postgresql-psycopg-sync"]

FILTER = """\
def ours(item, name, kind, reflected, compare_to):
    return not (kind == "table" and reflected and str(name).startswith("queue_"))


"""

AUDIT = """\
from sqlalchemy import Enum, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Event(Base):
    __tablename__ = "events"
    __table_args__ = {"schema": "audit"}

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Enum("in", "out", name="kind", schema="audit"))


class Detail(Base):
    __tablename__ = "details"
    __table_args__ = {"schema": "audit"}

    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("audit.events.id"), index=True)
"""


def autogenerate(project: Project, message: str) -> tuple[str, str]:
    """Let Alembic write a revision; return what it printed, and the revision."""
    output = project.alembic("revision", "--autogenerate", "-m", message)
    return output, project.revision(message).read_text()


def add_a_column(project: Project) -> None:
    project.edit(
        "src/my_app/models/hero.py",
        "    age: Mapped[int | None]\n",
        "    age: Mapped[int | None]\n    weight: Mapped[int | None]\n",
    )


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_tables_of_others_are_left_alone(new: New, engine: Engine) -> None:
    """Nobody knows whose they are: the log says so each time, and the revision asks."""
    project = new(engine).upgraded()
    project.query("CREATE TABLE queue_jobs (id int PRIMARY KEY, name varchar(20))")
    project.query("CREATE INDEX ix_name ON queue_jobs (name)")
    project.query("CREATE INDEX by_hand ON heroes (name)")
    project.query("CREATE TABLE other_version (version_num varchar(32) PRIMARY KEY)")
    output = project.alembic("check")
    assert "left alone, because no model and no revision has them" in output
    assert "queue_jobs, heroes.by_hand. Leave them" in output
    assert "other_version" not in output

    add_a_column(project)
    _, source = autogenerate(project, "add a weight")
    assert source.count("queue_jobs") == 1
    for name in ("queue_jobs", "heroes.by_hand"):
        assert f"# REVIEW: {name} is left alone" in source.split("def downgrade")[0]
    project.alembic_each(UP_AND_DOWN)
    assert project.query("SELECT * FROM queue_jobs") == []

    env = f"{project.migrations}/env.py"
    run = 'run(target_metadata, package="my_app")'
    project.edit(env, run, f"{FILTER}{run[:-1]}, include_object=ours)")
    assert "queue_jobs" not in project.alembic("check")


def test_no_revision_is_written_for_tables_of_others_alone(new: New) -> None:
    project = new().upgraded()
    project.query("CREATE TABLE queue_jobs (id int PRIMARY KEY)")
    output = project.alembic("revision", "--autogenerate", "-m", "nothing")
    assert "no revision is written" in output
    assert len(project.revisions) == 1


@pytest.mark.parametrize(
    ("upgrade", "made"),
    [
        ('op.create_table("capes", sa.Column("id", sa.Integer))', True),
        ('op.create_table("capes", sa.Column("id", sa.Integer), schema=None)', True),
        (
            """
            op.create_table("cloaks", sa.Column("id", sa.Integer))
            op.rename_table("cloaks", new_table_name="capes")
            """,
            True,
        ),
        (
            """
            op.create_table("capes", sa.Column("id", sa.Integer))
            op.drop_table(table_name="capes")
            op.execute("CREATE TABLE capes (id int)")
            """,
            False,
        ),
        ('op.execute("CREATE TABLE capes (id int)")', False),
        (
            'name = "capes"\nop.create_table(name, sa.Column("id", sa.Integer))',
            False,
        ),
    ],
    ids=["create", "schema", "rename", "dropped", "sql", "variable"],
)
def test_a_table_is_dropped_only_if_a_revision_made_it(
    new: New, upgrade: str, made: bool
) -> None:
    project = new()
    project.add_revision("c1", upgrade, 'op.drop_table("capes")')
    project.upgraded()
    output = project.alembic("check", fails=made)
    line = "capes table: none in the models, present in the database"
    assert (line in output) == made
    assert ("left alone" in output) != made


def test_a_downgrade_makes_no_table(new: New) -> None:
    """It brings a table back that another program has made."""
    project = new()
    project.add_revision(
        "c1",
        'op.drop_table("capes", if_exists=True)',
        'op.create_table("capes", sa.Column("id", sa.Integer))',
    )
    project.upgraded()
    project.query("CREATE TABLE capes (id int)")
    assert "left alone" in project.alembic("check")


def test_parts_of_other_tables_are_no_tables_of_their_own(new: New) -> None:
    project = new(POSTGRESQL).upgraded()
    project.query("CREATE EXTENSION pg_stat_statements")  # its views are no tables
    project.query("CREATE TABLE days (id int) PARTITION BY RANGE (id)")
    project.query("CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM (1) TO (9)")
    project.query("CREATE SCHEMA other CREATE TABLE elsewhere (id int)")
    project.query("CREATE TABLE of_extension (id int)")
    project.query("ALTER EXTENSION pg_stat_statements ADD TABLE of_extension")
    assert ": days. Leave them out" in project.alembic("check")

    project = new().upgraded()
    project.query("CREATE VIRTUAL TABLE words USING fts5(word)")
    assert "left alone" not in project.alembic("check")


def test_models_in_a_schema_go_up_down_and_away(new: New) -> None:
    """PostgreSQL gets the schema too; the last table of it is dropped as any other."""
    project = new(POSTGRESQL).upgraded()
    model = project.write("src/my_app/models/audit.py", AUDIT)
    _, source = autogenerate(project, "add")
    assert 'op.execute("CREATE SCHEMA IF NOT EXISTS audit")' in source
    project.alembic_each(UP_AND_DOWN)
    assert "7 passed" in project.own_tests("tests/test_migrations.py")
    project.ruff()

    model.unlink()
    _, source = autogenerate(project, "remove")
    assert "REVIEW: loses the rows of events" in source
    project.alembic_each([*UP_AND_DOWN, ["downgrade", "-1"], ["upgrade", "head"]])
    in_audit = "SELECT relname FROM pg_class WHERE relnamespace = 'audit'::regnamespace"
    assert project.query(in_audit) == []
    assert project.query("SELECT typname FROM pg_type WHERE typname = 'kind'") == []


def test_an_enum_of_others_is_left_alone(new: New) -> None:
    project = new(POSTGRESQL).upgraded()
    project.query("CREATE TYPE mood AS ENUM ('good', 'bad')")
    project.alembic("check")


def test_the_version_table_of_a_schema_is_no_table_of_others(new: New) -> None:
    project = new(POSTGRESQL)
    project.edit(
        "alembic.ini", "timezone = UTC", "timezone = UTC\nversion_table_schema = public"
    )
    project.upgraded()
    assert "left alone" not in project.alembic("check")


LINKED = """\
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Cape(Base):
    __tablename__ = "capes"
    __table_args__ = {"schema": "SCHEMA"}

    id: Mapped[int] = mapped_column(primary_key=True)
    next_id: Mapped[int | None] = mapped_column(ForeignKey("SCHEMA.capes.id"))
"""


def test_a_foreign_key_goes_with_its_index_in_another_database(
    new: New, database: Database
) -> None:
    """MariaDB's schemas are databases, and it made the index for the key."""
    project = new(ENGINE_OF["mariadb-pymysql-sync"])
    model = LINKED.replace("SCHEMA", database("mariadb", "pymysql").database or "")
    path = project.write("src/my_app/models/cape.py", model)
    project.upgraded()
    autogenerate(project, "add")
    project.upgraded()
    path.write_text(re.sub(r'ForeignKey\(".*"\)', "", model), encoding="utf-8")
    _, source = autogenerate(project, "unlink")
    assert "DROP INDEX" in source
    project.alembic_each([*UP_AND_DOWN[:2], ["downgrade", "-1"], *UP_AND_DOWN[:2]])


# What the database has below a table, and whether the revision below makes it.
MADE = {
    ("points", "column", "at"): True,
    ("spots", "column", "at"): False,
    ("points", "column", "weight"): False,
    ("points", "index", "points_at_idx"): True,  # in SQL
    ("points", "index", "by_at"): True,  # as a value
    ("points", "index", "weight_idx"): False,
    ("points", "index", "only_in_downgrade"): False,
    ("points", "check", "positive"): True,
    ("points", "check", "at_positive"): False,
    # Nothing names these.
    ("points", "index", "ix_points_at"): True,
    ("spots", "index", "ix_spots_at"): False,
    ("points", "unique", "points_at_key"): True,
    ("points", "primary", "points_pkey"): True,
    ("points", "foreignkey", "points_user_id_fkey"): True,
    ("points", "foreignkey", "points_ibfk_1"): True,
    ("points", "check", "CONSTRAINT_1"): True,
    ("points", "unique", "UNIQUE (at, b)"): True,
    ("points", "unique", "uq__points__at"): True,
    ("points", "unique", "uq_points_at"): False,
    ("places", "unique", "old_places_name_key"): True,
    ("others", "unique", "others_name_key"): False,
}
IS_MADE = """
import json, os, sys
sys.path.append("migrations")
from alembic.config import Config
from alembic.script import ScriptDirectory
from migration_kit.autogenerate.ownership import is_made

script = ScriptDirectory.from_config(Config("alembic.ini"))
convention = {"uq": "uq__%(table_name)s__%(column_0_name)s"}
asked = json.loads(os.environ["ASKED"])
print(json.dumps([is_made(script, *one, convention) for one in asked]))
"""


def test_what_a_revision_makes_below_a_table_is_known(new: New) -> None:
    project = new()
    project.add_revision(
        "points",
        "op.create_table('points', sa.Column('at', sa.Integer(), index=True))\n"
        "op.execute('''\nCREATE INDEX Points_At_Idx ON points (at)''')\n"
        "op.create_index('by_at', 'points', ['at'])\n"
        "op.create_check_constraint(op.f('positive'), 'points', 'at > 0')",
        "op.drop_index('only_in_downgrade')",
    )
    project.add_revision(
        "places",
        "op.create_table('old_places', sa.Column('name', sa.Text(), unique=True))\n"
        "op.create_table('spots', sa.Column('id', sa.Integer()))\n"
        "op.rename_table('old_places', 'places')",
        down_revision="points",
    )
    found = json.loads(project.python(IS_MADE, ASKED=json.dumps(list(MADE))))
    assert dict(zip(MADE, found, strict=True)) == MADE
