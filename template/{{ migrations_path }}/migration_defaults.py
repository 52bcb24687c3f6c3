"""Server defaults that Alembic takes for changed though they are the same."""

from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column


def compare_server_default(
    context: MigrationContext,
    inspected_column: Column[Any],
    metadata_column: Column[Any],
    inspected_default: str | None,
    metadata_default: Any,
    rendered_metadata_default: str | None,
) -> bool | None:
    """Take SQLite's `''` for an empty string, and leave the rest to Alembic."""
    if rendered_metadata_default == "" and inspected_default == "''":
        return False
    return None
