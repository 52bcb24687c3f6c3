"""`--sql` prints the SQL, and needs no database."""

from __future__ import annotations

import pytest

from support.projects import New, Render, alembic
from support.variants import DIFFERENT, POSTGRESQL, Engine, Variant


@pytest.mark.parametrize("engine", DIFFERENT, ids=str)
def test_sql_is_printed_without_a_database(new: New, engine: Engine) -> None:
    """On SQLite not of the tour: batch operations need a database to look at."""
    example = "tour" if engine.server else "hero"
    project = new(Variant(engine, example=example))
    up = project.alembic("-x", "seed=true", "upgrade", "head", "--sql")
    assert "CREATE TABLE heroes" in up
    assert ("ada@example.com" in up) == (example == "tour")
    down = project.alembic("downgrade", "head:base", "--sql")
    assert "DROP TABLE heroes" in down


def test_offline_sql_limits_its_waits_for_locks(render: Render) -> None:
    sql = alembic(render(Variant(POSTGRESQL)), "upgrade", "head", "--sql")
    assert "\nSET LOCAL lock_timeout = 5000;\n" in sql
    assert "lock_timeout" not in alembic(render(), "upgrade", "head", "--sql")
