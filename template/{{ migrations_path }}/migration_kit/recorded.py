"""The revision that the database records after a migration is the one that was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection

from .command import after_each_revision, is_read_only


@contextmanager
def recorded_revision(connection: Connection) -> Iterator[None]:
    """Compare what the database records after the migration with what was asked for.

    Raises:
        CommandError: if they differ; Alembic itself would exit with 0.
    """
    migration = context.get_context()
    asked: set[str] | None = None

    def remember(*, heads: set[str], **_: object) -> None:
        nonlocal asked
        asked = set(heads)

    after_each_revision(remember)
    callers_transaction = connection.in_transaction()
    yield
    if is_read_only():
        return
    if not callers_transaction:
        connection.commit()  # what ran outside a revision: `ensure_version`, `stamp --purge`
    recorded = set(migration.get_current_heads())
    if not callers_transaction:
        connection.rollback()
    if asked is not None and recorded != asked:
        raise CommandError(
            f"the database records {' '.join(recorded) or 'no revision'} instead of "
            f"{' '.join(asked) or 'none'}: the migration was rolled back or overwritten"
        )
