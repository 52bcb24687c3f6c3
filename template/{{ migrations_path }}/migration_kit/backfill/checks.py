"""Checks of the backfills, for tests/test_migrations.py."""

import pytest
from alembic.script import ScriptDirectory

from .declaration import declarations, unfinished


def test_every_backfill_has_its_value(script: ScriptDirectory) -> None:
    """Autogenerate cannot know it, and no test of an empty table needs it."""
    for known, _ in declarations(script).values():
        if unfinished(known):
            pytest.fail(unfinished(known), pytrace=False)
