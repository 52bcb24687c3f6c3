"""On MySQL and MariaDB, lint and autogenerate name what copies a table in use."""

from __future__ import annotations

import re

from support.databases import execute
from support.projects import New
from support.variants import ENGINE_OF

MODELS = """
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Team(Base):
    __tablename__ = "teams"
    id: Mapped[int] = mapped_column(primary_key=True)


class Hero(Base):
    __tablename__ = "heroes"
    __table_args__ = ({args})
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String({name}))
    age: Mapped[int | None] = mapped_column(sa.{age}())
    team_id: Mapped[int | None] = mapped_column({key})
"""
OLD = {"args": "", "name": "20", "age": "Integer", "key": ""}
NEW = {
    "args": 'sa.CheckConstraint("age >= 0", name="age_positive"),',
    "name": "30",
    "age": "BigInteger",
    "key": 'sa.ForeignKey("teams.id")',
}


def test_what_copies_the_table_is_named_with_the_way_round(new: New) -> None:
    project = new(ENGINE_OF["mariadb-pymysql-sync"], example="none")
    model = "src/my_app/models/hero.py"
    project.write(model, MODELS.format(**OLD))
    project.alembic("revision", "--autogenerate", "-m", "old")
    project.alembic("upgrade", "head")
    project.commit()
    project.write(model, MODELS.format(**NEW))
    project.alembic("revision", "--autogenerate", "-m", "new")
    path = project.revision("new")
    copied = re.findall(r"REVIEW: the server copies heroes for (\w+)", path.read_text())
    assert sorted(copied) == [
        "age",
        "ck_heroes_age_positive",
        "fk_heroes_team_id_teams",
    ]
    found = re.findall(r":\d+: (\S+)", project.lint(fails=True))
    assert sorted(found) == ["check", "foreign-key", "table-copy"]
    off = 'op.execute("SET foreign_key_checks = 0")\n    # ### commands'
    path.write_text(path.read_text().replace("# ### commands", off, 1))
    project.alembic_each([["upgrade", "head"], ["check"]])


def test_server_adds_a_key_in_place_only_without_a_look_at_the_rows(new: New) -> None:
    """What the page about tables in use says of MariaDB."""
    project = new(ENGINE_OF["mariadb-pymysql-sync"], example="none")
    execute(project.url, "CREATE TABLE teams (id INT PRIMARY KEY)")
    execute(project.url, "CREATE TABLE heroes (id INT PRIMARY KEY, age INT, team INT)")
    key = "ADD FOREIGN KEY (team) REFERENCES teams (id)"
    check = "ADD CONSTRAINT positive CHECK (age >= 0)"
    big, required = "MODIFY age BIGINT", "MODIFY age INT NOT NULL"
    for off, change, is_in_place in (
        ("foreign_key_checks = 1", key, False),
        ("check_constraint_checks = 0", check, False),
        ("foreign_key_checks = 1", big, False),
        ("foreign_key_checks = 1", required, True),
        ("foreign_key_checks = 0", key, True),
    ):
        code = f"""
import os
from sqlalchemy import create_engine, text
with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    connection.execute(text("SET {off}"))
    try:
        connection.execute(text("ALTER TABLE heroes {change}, ALGORITHM=INPLACE, LOCK=NONE"))
        print("in place")
    except Exception as error:
        print(error)
"""
        assert ("in place" in project.python(code)) == is_in_place, change
