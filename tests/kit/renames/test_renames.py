"""A renamed table or column keeps its rows, and all that belongs to it gets its names."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest
from sqlalchemy import URL, create_engine

from support.commands import environment, run, script
from support.databases import url_text
from support.projects import Database, New, Project, last_line
from support.roundtrip import difference, snapshot
from support.variants import ENGINE_OF, ONE_OF_EACH, POSTGRESQL, Engine

MYSQL = ENGINE_OF["mysql-pymysql-sync"]

# Whatever may hold a column, or speak of it.
MODELS = """\
from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, Computed, Enum, ForeignKey, Index
from sqlalchemy import String, func
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Team(Base):
    __tablename__ = "teams"

    id: Mapped[int] = mapped_column(primary_key=True)


class Hero(Base):
    __tablename__ = "heroes"
    __table_args__ = (
        CheckConstraint("age > 0 AND nick <> 'age'", name="positive_age"),
        Index("ix_heroes_nick_age", "nick", "age"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    age: Mapped[int] = mapped_column(index=True, server_default="7", comment="in age")
    nick: Mapped[str | None] = mapped_column(String(20), unique=True)
    active: Mapped[bool] = mapped_column(Boolean(create_constraint=True, name="active"))
    mood: Mapped[str] = mapped_column(
        Enum("good", "bad", name="moods"), server_default="good"
    )
    team_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id"), index=True)
    mentor_id: Mapped[int | None] = mapped_column(ForeignKey("heroes.id"))
    born: Mapped[datetime] = mapped_column(server_default=func.now())


class Cape(Base):
    __tablename__ = "capes"
    __table_args__ = (CheckConstraint("length > 0", name="length"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    length: Mapped[int]
    colour: Mapped[str] = mapped_column(String(20), unique=True)
    hero_id: Mapped[int] = mapped_column(ForeignKey("heroes.id"))
    lining_id: Mapped[int | None] = mapped_column(ForeignKey("capes.id"), index=True)


class Loan(Base):
    __tablename__ = "loans"

    hero_id: Mapped[int] = mapped_column(ForeignKey("heroes.id"), primary_key=True)
    cape_id: Mapped[int] = mapped_column(ForeignKey("capes.id"), primary_key=True)


class Sum(Base):
    __tablename__ = "sums"

    id: Mapped[int] = mapped_column(primary_key=True)
    one: Mapped[int]
    two: Mapped[int | None] = mapped_column(Computed("one * 2"))
"""
# PostgreSQL alone has schemas.
TOOL = """

class Tool(Base):
    __tablename__ = "tools"
    __table_args__ = {"schema": "other"}

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), index=True)
    hero_id: Mapped[int] = mapped_column(ForeignKey("heroes.id"))
    part_id: Mapped[int | None] = mapped_column(ForeignKey("other.tools.id"))
"""
HERO = (
    "INSERT INTO heroes (id, age, nick, active, mood, team_id, mentor_id)"
    " VALUES (1, 30, 'a', true, 'bad', 1, 1)"
)
ROWS = [
    "INSERT INTO teams (id) VALUES (1)",
    HERO,
    "INSERT INTO capes (id, length, colour, hero_id, lining_id) VALUES (3, 2, 'red', 1, 3)",
    "INSERT INTO loans (hero_id, cape_id) VALUES (1, 3)",
    "INSERT INTO sums (id, one) VALUES (1, 4)",
]
TOOLS = "INSERT INTO other.tools (id, name, hero_id, part_id) VALUES (2, 'saw', 1, 2)"
# What is written after `-x rename=`, and the names of what becomes of it.
RENAMES = {
    "heroes.id:number": [(r'"heroes\.id', '"heroes.number'), (r"(Hero\b.*?) id:", r"\1 number:")],
    "heroes.age:years": [(r"\bage:", "years:"), ("age >", "years >"), ("nick_age", "alias_years"),
                         ('"age"', '"years"'), ("positive_age", "positive_years")],
    "heroes.nick:alias": [(r"\bnick:", "alias:"), ("nick <>", "alias <>"), ('"nick"', '"alias"')],
    "heroes.active:enabled": [(r"\bactive:", "enabled:"), ('"active"', '"enabled"')],
    "heroes.mood:temper": [(r"\bmood:", "temper:")],
    "heroes.team_id:squad_id": [(r"\bteam_id:", "squad_id:")],
    "capes:cloaks": [('"capes', '"cloaks')],
    "capes.length:size": [(r"\blength", "size")],
    "cloaks.hero_id:owner_id": [(r"(Cape\b.*?) hero_id:", r"\1 owner_id:")],
    "loans.hero_id:borrower_id": [(r"(Loan\b.*?) hero_id:", r"\1 borrower_id:")],
    "sums.one:first": [(r"\bone:", "first:"), ("one [*]", "first *")],
    "sums.two:second": [(r"\btwo:", "second:")],
}  # fmt: skip
RENAMES_OF_TOOLS = {
    "other.tools:devices": [('"tools"', '"devices"'), ("other.tools", "other.devices")],
    "other.tools.name:title": [(r"\bname:", "title:")],
}


CREATE_ALL = """
import os
from sqlalchemy import create_engine
from my_app.models import Base

Base.metadata.create_all(create_engine(os.environ["URL"]))
"""


def seen(project: Project) -> dict[str, Any]:
    """Return what the database has; a sequence keeps the name of its table or column."""
    engine = create_engine(sync(project.url))
    with engine.connect() as connection:
        found = snapshot(connection)
    engine.dispose()
    return {
        path: re.sub(r"nextval\S+", "nextval", str(one))
        for path, one in found.items()
        # SQLite cannot rename a primary key, and needs its name for nothing.
        if not (engine.name == "sqlite" and path.endswith(" pk"))
        and not path.startswith(".alembic_ready")
    }


def sync(url: URL) -> URL:
    return url.set(drivername=url.drivername.replace("aiosqlite", "pysqlite"))


def values(project: Project, models: str) -> list[Any]:
    """Return the rows, in the order of the models' columns."""
    found: list[Any] = []
    for source in models.split("class ")[1:]:
        table = re.findall(r'__tablename__ = "(\w+)"', source)[0]
        table = f"other.{table}" if '"schema"' in source else table
        columns = re.findall(r"(?m)^    (\w+): ", source)
        found += project.query(f"SELECT {', '.join(columns)} FROM {table}")
    return found


def renamed(models: str, renames: dict[str, list[tuple[str, str]]]) -> str:
    """Return models with new names."""
    for changes in renames.values():
        for old, new in changes:
            models, count = re.subn(old, new, models, count=0, flags=re.DOTALL)
            assert count, old
    return models


def without_naming_convention(base: Path) -> None:
    """Leave names of keys to the database; MySQL calls a key's index after its column."""
    source, count = re.subn(
        r"naming_convention=\{.*?\}", "", base.read_text(), flags=re.DOTALL
    )
    assert count == 1
    base.write_text(source)


@pytest.mark.parametrize("engine", [*ONE_OF_EACH, MYSQL], ids=str)
def test_rename_keeps_rows_and_names_what_belongs_to_it(
    new: New, engine: Engine, database: Database
) -> None:
    schemas = engine.database == "postgresql"
    first = MODELS + TOOL * schemas
    renames = RENAMES | (RENAMES_OF_TOOLS if schemas else {})
    second = renamed(first, renames)
    project = new(engine, example="none")
    if not (named := engine != MYSQL):
        without_naming_convention(project / "src/my_app/models/base.py")
    model = project / "src/my_app/models/everything.py"
    model.write_text(first)
    project.alembic("revision", "--autogenerate", "-m", "first")
    project.alembic("upgrade", "head")
    for row in [*ROWS, *([TOOLS] if schemas else [])]:
        project.query(row)
    before, rows = seen(project), values(project, first)

    model.write_text(second)
    options = [word for one in renames for word in ("-x", f"rename={one}")]
    project.alembic(*options, "revision", "--autogenerate", "-m", "rename")
    [revision] = project.versions.glob("*_rename.py")
    for words in (["format", "--check"], ["check"]):
        run(script("ruff"), *words, str(revision), cwd=project.path)
    project.alembic_each([["upgrade", "head"], ["check"]])
    assert values(project, second) == rows
    after = seen(project)
    project.alembic("downgrade", "-1")
    assert not difference(before, seen(project))
    project.alembic_each([["upgrade", "head"], ["check"]])
    assert values(project, second) == rows

    if named:  # otherwise the database's own names tell of the old ones
        other = project.on(database(engine.database, engine.driver))
        if schemas:
            other.query("CREATE SCHEMA other")
        other.python(CREATE_ALL, URL=url_text(sync(other.url)))
        assert not difference(seen(other), after)


REVISION = ("revision", "--autogenerate", "-m", "change")


def changed(project: Project, *changes: tuple[str, str]) -> Project:
    """Change the model of a project whose database has the one before."""
    project.upgraded()
    model = project / "src/my_app/models/hero.py"
    source = model.read_text()
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    model.write_text(source)
    return project


def body(project: Project) -> str:
    """Return what the new revision does."""
    [revision] = project.versions.glob("*_change.py")
    return revision.read_text().partition("def upgrade")[2]


AGE = (" age:", " years:")
NAME = (" name:", " alias:")


def in_terminal(project: Project, *command: str) -> Any:
    """Start a command in a terminal of its own, as a person would."""
    variables = project.env | {"DATABASE_URL": url_text(project.url), "CI": ""}
    return pexpect.spawn(
        command[0],
        list(command[1:]),
        cwd=project.path,
        dimensions=(60, 200),
        encoding="utf-8",
        timeout=60,
        env=environment(**variables),
    )


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect needs a pseudo-terminal")
def test_terminal_asks_about_each_candidate_once(new: New) -> None:
    project = changed(new(), AGE, NAME, (" secret_name:", " civil_name:"))
    child = in_terminal(project, str(script("alembic")), *REVISION)
    for question, answer in {
        "heroes.age renamed to years": "y",
        "heroes.name renamed to alias": "n",
        "heroes.name renamed to civil_name": "yes",
        "heroes.secret_name renamed to alias": "",
    }.items():
        child.expect(r"Was (.*)\? \[y/N\] ")
        assert child.match[1] == question
        # Of expand and contract it speaks once.
        assert ("a release later" in child.before) == ("age" in question)
        child.sendline(answer)
    child.expect(pexpect.EOF)
    upgrade = body(project).partition("def downgrade")[0]
    assert RENAMED.findall(upgrade) == [("age", "years"), ("name", "civil_name")]
    assert "renamed to" not in body(project)


RENAMED = re.compile(r'op\.alter_column\("heroes", "(\w+)", new_column_name="(\w+)"\)')


def test_revision_shows_both_ways_where_nobody_answers(new: New) -> None:
    project = changed(new(), AGE, NAME)
    project.query("INSERT INTO heroes VALUES (1, 'a', 'b', 30)")
    project.alembic(*REVISION)
    [revision] = project.versions.glob("*_change.py")
    source = revision.read_text()
    project.ruff()
    assert "# REVIEW: was heroes.age renamed to years?" in source
    assert "-x rename=heroes.age:years -x rename=heroes.name:alias" in source
    assert "drop the old one a release later" in source
    upgrade, downgrade = body(project).split("def downgrade")
    for drop in ("age", "name"):
        assert f'batch_op.drop_column("{drop}")' in upgrade

    # The comments are a revision that runs.
    ways = [
        re.findall(r"(?ms)^    # ((?:op|with)\b.*?)^    # Otherwise:", function)[0]
        for function in (upgrade, downgrade)
    ]
    head = source.partition("def upgrade")[0]
    up, down = (re.sub(r"(?m)^    # ", "    ", f"    {way}") for way in ways)
    revision.write_text(
        f"{head}def upgrade() -> None:\n{up}\n\ndef downgrade() -> None:\n{down}"
    )
    project.alembic_each([["upgrade", "head"], ["check"]])
    assert project.query("SELECT alias, years FROM heroes") == [("a", 30)]
    project.alembic_each([["downgrade", "-1"], ["upgrade", "head"], ["check"]])
    assert project.query("SELECT alias, years FROM heroes") == [("a", 30)]


def test_wrong_answer_is_refused_with_what_could_be_renamed(new: New) -> None:
    project = changed(new(), ('"heroes"', '"champions"'), AGE)
    for given, possible in {
        "heroes.agee:years": "heroes:champions",
        "heroes.age:years": "heroes:champions",
        "heroes": "heroes:champions",
    }.items():
        output = project.alembic("-x", f"rename={given}", *REVISION, fails=True)
        assert last_line(output) == (
            f"-x rename={given} names nothing that is dropped and added. "
            f"These could be renamed: {possible}"
        )
    table = ("-x", "rename=heroes:champions")
    output = project.alembic(*table, "-x", "rename=age:years", *REVISION, fails=True)
    assert last_line(output).endswith("champions.age:years, heroes:champions")
    assert len([*project.versions.glob("*.py")]) == 1

    # A renamed table may have either name.
    project.alembic(*table, "-x", "rename=heroes.age:years", *REVISION)
    assert "drop" not in body(project).replace("drop_index", "").replace(
        "drop the old one", ""
    )


def test_rename_may_change_the_type_as_well(new: New) -> None:
    project = changed(new(), (" age: Mapped[int | None]", " years: Mapped[str | None]"))
    project.query("INSERT INTO heroes VALUES (1, 'a', 'b', 30)")
    project.alembic(*REVISION)
    assert "renamed" not in body(project)
    [revision] = project.versions.glob("*_change.py")
    revision.unlink()
    project.alembic("-x", "rename=heroes.age:years", *REVISION)
    project.alembic_each([["upgrade", "head"], ["check"]])
    assert project.query("SELECT years FROM heroes") == [("30",)]
    project.alembic("downgrade", "-1")
    assert project.query("SELECT age FROM heroes") == [(30,)]


def test_check_whose_new_name_cannot_be_compared_is_kept(new: New) -> None:
    project = new(POSTGRESQL)
    long = "x" * 48
    table = f'__table_args__ = (CheckConstraint("age > 0", name="{long}"),)'
    changed(
        project,
        ("import String", "import CheckConstraint, String"),
        ('"heroes"\n', f'"heroes"\n    {table}\n'),
    )
    project.alembic(*REVISION)
    changed(project, ('"heroes"', '"champions"'))
    words = ("revision", "--autogenerate", "-m", "rename")
    project.alembic("-x", "rename=heroes:champions", *words)
    project.alembic_each([["upgrade", "head"], ["check"]])
    checks = (
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conname LIKE 'ck%'"
    )
    assert project.query(checks) == [(f"ck_champions_{long}",)]
    project.alembic("downgrade", "-1")
    assert project.query(checks) == [(f"ck_heroes_{long}",)]


IN_A_TERMINAL = """
import os, sys
from alembic import command
from alembic.config import Config, main
from alembic.util import CommandError

assert sys.stdin.isatty() and sys.stderr.isatty()
config = Config("alembic.ini")
try:
    command.check(config)
except CommandError:
    command.revision(config, "change", autogenerate=True)
os.environ["CI"] = "true"
main(["revision", "--autogenerate", "-m", "change"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="pexpect needs a pseudo-terminal")
def test_no_question_in_a_program_nor_in_ci(new: New) -> None:
    project = changed(new(), AGE)
    child = in_terminal(project, sys.executable, "-c", IN_A_TERMINAL)
    child.expect(pexpect.EOF)
    child.close()
    assert "[y/N]" not in child.before
    revisions = [*project.versions.glob("*_change.py")]
    assert "was heroes.age renamed" in revisions[0].read_text()
