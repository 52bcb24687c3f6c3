"""A migration never succeeds silently."""

from __future__ import annotations

import pytest

from support.projects import New, last_line
from support.revisions import HERO
from support.variants import ONE_OF_EACH, Engine


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_statement_before_the_migration_does_not_swallow_it(
    new: New, engine: Engine
) -> None:
    """Alembic takes the transaction that it begins for a caller's and never commits it."""
    project = new(engine)
    env = project / "migrations/migration_kit/environment.py"
    body = '    """Run the migrations on an open connection; a transaction on it stays the caller\'s."""\n'
    assert body in env.read_text()
    env.write_text(
        env.read_text().replace(
            body, body + '    connection.exec_driver_sql("SELECT 1")\n'
        )
    )
    project.alembic("upgrade", "head")
    assert project.version() == [HERO]
    assert project.tables() == {"heroes"}


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize("direction", ["upgrade", "downgrade"])
def test_revision_that_is_not_recorded_fails(
    new: New, engine: Engine, direction: str
) -> None:
    project = new(engine)
    forge = (
        "@sa.event.listens_for(op.get_bind(), 'commit', once=True)\n"
        "def forge(connection):\n"
        "    connection.exec_driver_sql(\"UPDATE alembic_version SET version_num = 'forged'\")\n"
    )
    project.add_revision("silent", forge, forge)
    if direction == "downgrade":
        project.alembic("stamp", "silent")
    target = "head" if direction == "upgrade" else HERO
    line = last_line(project.alembic(direction, target, fails=True))
    asked = "silent" if direction == "upgrade" else HERO
    assert f"the database is at forged, expected {asked}: " in line


@pytest.mark.parametrize("engine", ONE_OF_EACH, ids=str)
def test_commands_outside_a_revision_take_effect(new: New, engine: Engine) -> None:
    project = new(engine)
    project.alembic("ensure_version")
    assert project.version() == []
    project.alembic("stamp", "head")
    assert project.version() == [HERO]
    project.alembic("stamp", "--purge", "base")
    assert project.version() == []
