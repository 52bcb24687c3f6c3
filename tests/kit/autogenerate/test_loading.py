"""A command that compares nothing loads no comparison, and what compares has all of it."""

from __future__ import annotations

import pytest

from support.projects import New, last_line
from support.variants import ENGINE_OF, POSTGRESQL, Engine

LOADED = """
import sys
config.attributes["connection"] = create_engine(URL)

def loaded():
    kit = [name.split(".")[1:] for name in sys.modules if name.startswith("migration_kit.")]
    return {".".join(name) for name in kit if name[0] in {"autogenerate", "renames"}}
"""
NOTHING = (
    LOADED
    + """
command.upgrade(config, "head")
command.current(config)
command.stamp(config, "head")
command.ensure_version(config)
command.downgrade(config, "base")
command.upgrade(config, "head")
rooms = {"autogenerate", "autogenerate.room", "renames", "renames.room"}
rooms |= {"autogenerate.sqlite", "autogenerate.sqlite.copy"}  # an upgrade may copy a table
assert loaded() == rooms, loaded()
command.check(config)
assert "autogenerate.compare" in loaded()
"""
)


def test_only_what_compares_loads_the_comparison(new: New) -> None:
    new().program(NOTHING)


# Stock Alembic takes the default for another, and the table of others for a dropped one.
PROGRAM = """
from alembic.autogenerate import compare_metadata
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from my_app.models import Base

engine = create_engine(URL)
config.attributes["connection"] = engine
command.upgrade(config, "head")
command.revision(config, "change", autogenerate=True)
command.upgrade(config, "head")
with engine.begin() as connection:
    connection.execute(text("CREATE TABLE alembic_lock (id int)"))

def compare(revision, context):
    print("found", compare_metadata(context, Base.metadata))
    return []

with EnvironmentContext(config, ScriptDirectory.from_config(config), fn=compare):
    ScriptDirectory.from_config(config).run_env()
"""


@pytest.mark.parametrize(
    "engine", [ENGINE_OF["sqlite-pysqlite-sync"], POSTGRESQL], ids=str
)
def test_a_program_that_compares_gets_the_same_answer(new: New, engine: Engine) -> None:
    project = new(engine)
    project.edit(
        "src/my_app/models/hero.py",
        "name: Mapped[str] = mapped_column(String(100), index=True)",
        'name: Mapped[str] = mapped_column(String(100), index=True, server_default="it\'s")',
    )
    assert "found []" in project.program(PROGRAM)


# As SQLAlchemy-Continuum makes its tables: once the models are used.
HISTORY = """

@event.listens_for(Mapper, "after_configured", once=True)
def history() -> None:
    Table("heroes_version", Base.metadata, Column("id", Integer, primary_key=True))
"""


def test_tables_that_listeners_make_are_compared_and_drawn(new: New) -> None:
    project = new().upgraded()
    hero = project.read("src/my_app/models/hero.py") + HISTORY
    imports = "from sqlalchemy import Column, Integer, String, Table, event\n"
    hero = hero.replace("from sqlalchemy import String\n", imports)
    hero = hero.replace("orm import Mapped,", "orm import Mapped, Mapper,")
    project.write("src/my_app/models/hero.py", hero)
    assert "heroes_version" in project.alembic("check", fails=True)
    assert "heroes_version" in project.own_tests(fails=True)
    project.alembic("revision", "--autogenerate", "-m", "history")
    assert '"heroes_version"' in project.revision("history").read_text()
    project.alembic_each([["upgrade", "head"], ["check"]])
    project.kit("draw")
    assert "heroes_version {" in project.read("docs/schema.md")
    project.own_tests()


def test_mapper_that_is_wrong_refuses_a_comparison_and_nothing_else(new: New) -> None:
    project = new().upgraded()
    project.edit(
        "src/my_app/models/hero.py",
        "    age: Mapped[int | None]\n",
        '    age: Mapped[int | None]\n    cape = relationship("Cape")\n',
    )
    project.edit(
        "src/my_app/models/hero.py", "mapped_column\n", "mapped_column, relationship\n"
    )
    project.alembic_each([["downgrade", "base"], ["upgrade", "head"], ["current"]])
    for command in ("check", "revision --autogenerate -m x"):
        line = last_line(project.alembic(*command.split(), fails=True))
        assert line.startswith("the models cannot be used: InvalidRequestError: ")
        assert "'Cape'" in line
    assert len(project.revisions) == 1
