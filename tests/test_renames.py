"""A renamed table or column keeps its rows, and all that belongs to it gets its names."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, create_engine

from support.commands import run, script
from support.databases import url_text
from support.projects import Database, New, Project, last_line
from support.roundtrip import difference, snapshot
from support.variants import ENGINE_OF, ONE_OF_EACH, Engine

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
ROWS = [
    "INSERT INTO teams (id) VALUES (1)",
    "INSERT INTO heroes (id, age, nick, active, mood, team_id, mentor_id) "
    "VALUES (1, 30, 'a', true, 'bad', 1, 1)",
    "INSERT INTO capes (id, length, colour, hero_id, lining_id) "
    "VALUES (3, 2, 'red', 1, 3)",
    "INSERT INTO loans (hero_id, cape_id) VALUES (1, 3)",
    "INSERT INTO sums (id, one) VALUES (1, 4)",
]
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
    return {path: re.sub(r"nextval\S+", "nextval", str(one)) for path, one in found.items()}


def sync(url: URL) -> URL:
    return url.set(drivername=url.drivername.replace("aiosqlite", "pysqlite"))


def values(project: Project, models: str) -> list[Any]:
    """Return the rows, in the order of the models' columns."""
    found: list[Any] = []
    for source in models.split("class ")[1:]:
        table = re.findall(r'__tablename__ = "(\w+)"', source)[0]
        columns = re.findall(r"(?m)^    (\w+): ", source)
        found += project.query(f"SELECT {', '.join(columns)} FROM {table}")
    return found


def renamed() -> str:
    """Return the models with all new names."""
    models = MODELS
    for changes in RENAMES.values():
        for old, new in changes:
            models, count = re.subn(old, new, models, count=0, flags=re.DOTALL)
            assert count, old
    return models


@pytest.mark.parametrize("engine", [*ONE_OF_EACH, MYSQL], ids=str)
def test_rename_keeps_rows_and_names_what_belongs_to_it(
    new: New, engine: Engine, database: Database
) -> None:
    project = new(engine, example="none")
    model = project / "src/my_app/models/everything.py"
    model.write_text(MODELS)
    project.alembic("revision", "--autogenerate", "-m", "first")
    project.alembic("upgrade", "head")
    for row in ROWS:
        project.query(row)
    before = seen(project)
    rows = values(project, MODELS)

    model.write_text(renamed())
    options = [word for one in RENAMES for word in ("-x", f"rename={one}")]
    project.alembic(*options, "revision", "--autogenerate", "-m", "rename")
    [revision] = project.versions.glob("*_rename.py")
    print(revision.read_text())
    for words in (["format", "--check"], ["check"]):
        run(script("ruff"), *words, str(revision), cwd=project.path)
    project.alembic_each([["upgrade", "head"], ["check"]])
    assert values(project, renamed()) == rows
    after = seen(project)
    project.alembic("downgrade", "-1")
    assert not difference(before, seen(project))
    project.alembic_each([["upgrade", "head"], ["check"]])
    assert values(project, renamed()) == rows

    other = project.on(database(engine.database, engine.driver))
    other.python(CREATE_ALL, URL=url_text(sync(other.url)))
    assert not difference(seen(other), after)
