"""A new revision looks as if somebody had written it."""

from __future__ import annotations

import pytest

from support.damage import change_model
from support.projects import New, last_line
from support.revisions import HERO
from support.variants import ONE_OF_EACH, Engine, Variant


def test_new_revision_has_a_dated_name_in_utc(new: New) -> None:
    project = new(Variant(example="none"))
    before = project.python(
        "import datetime as d; print(d.datetime.now(d.UTC).isoformat())"
    )
    project.alembic("revision", "-m", "Add Émile's cape", TZ="Pacific/Kiritimati")
    [revision] = project.versions.glob("*.py")
    assert revision.name.startswith(before[:10].replace("-", "_"))
    assert revision.name.endswith("_add_émile_s_cape.py")
    assert "import sqlalchemy as sa\nfrom alembic import op\n" in revision.read_text(
        "utf-8"
    )
    project.ruff()


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_empty_downgrade_refuses(new: New, engine: Engine) -> None:
    project = new(engine)
    project.alembic("revision", "-m", "by hand")
    project.alembic("upgrade", "head")
    output = project.alembic("downgrade", "-1", fails=True)
    assert "NotImplementedError: write the downgrade" in output
    assert project.query("SELECT version_num FROM alembic_version") != [(HERO,)]
    [path] = project.versions.glob("*_by_hand.py")
    assert path.read_text().count("    # ") == 3
    project.ruff()
    project.mypy()


LONG = "2026_12_01_0900_create_the_table_points"
POINTS = "op.create_table('points', sa.Column('id', sa.Integer(), primary_key=True))"
WIDER = {
    "postgresql": "ALTER TABLE alembic_version ALTER version_num TYPE text",
    "mariadb": "ALTER TABLE alembic_version MODIFY version_num varchar(64)",
}


@pytest.mark.parametrize("engine", [one for one in ONE_OF_EACH if one.server], ids=str)
def test_identifier_that_cannot_be_recorded_is_refused_before_its_ddl(
    new: New, engine: Engine
) -> None:
    project = new(engine)
    project.add_revision(LONG, POINTS, "op.drop_table('points')")
    for command in ("upgrade", "stamp"):
        line = last_line(project.alembic(command, "heads", fails=True))
        assert line.startswith(f"migrations/versions/{LONG}.py: the revision ID ")
        assert line.endswith("has room for 32 characters. Shorten it")
    assert project.tables() == set()

    project.alembic("ensure_version")
    project.query(WIDER[engine.database])
    project.upgraded()
    assert project.version() == [LONG]
    assert "points" in project.tables()
    project.alembic("downgrade", "base")


def test_sqlite_records_an_identifier_of_any_length(new: New) -> None:
    project = new()
    project.add_revision(LONG, POINTS, "op.drop_table('points')")
    assert project.upgraded().version() == [LONG]


def test_new_identifier_that_cannot_be_recorded_is_named(new: New) -> None:
    project = new().upgraded()
    change_model(project)
    written = len(project.revisions)
    command = ["revision", "-m", "x", "--rev-id", LONG]
    line = last_line(project.alembic(*command, "--autogenerate", fails=True))
    assert line.startswith("--rev-id: the revision ID ")
    assert "32" in line
    assert len(project.revisions) == written
