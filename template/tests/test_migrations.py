"""The kit's checks of every revision; a failure names the revision, and how to fix it."""

from pathlib import Path

from migration_kit.rooms import checks  # found by `pythonpath`

globals().update(checks(Path(__file__).parents[1] / "alembic.ini"))
