"""Backfills as a revision declares and requires them."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import context, op
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from ..errors import where
from ..paths import invocation
from ..settings import FIRST
from .kinds import Condition
from .records import Backfill, Change, Records, State, declared_by, records_of


def backfill(
    table: sa.TableClause, *, where: Condition | None = None
) -> Callable[[Change], Backfill]:
    """Declare a backfill in a revision; its name is that of the function.

    The function is called for one batch after the other, with a connection in a transaction and
    the condition for the rows of the batch. It changes them with any statements, and neither
    commits nor changes the primary key.

    Args:
        table: through whose rows to go, as `sa.table()` has it at this revision. The database
            knows its primary key.
        where: which rows need it, and no longer do once they are changed. Without it, each row
            there is changed exactly once.
    """
    return lambda change: Backfill(change.__name__, table, where, change)


def require_backfill(name: str) -> None:
    """Let a revision run only if no row needs a backfill any longer; call it in `upgrade()`.

    An empty table needs none. With `--sql` it writes a comment.

    Args:
        name: of the backfill, which a revision before this one declares.

    Raises:
        CommandError: if rows need it, with the command that changes them.
    """
    migration = op.get_context()
    connection = migration.connection
    if migration.as_sql:
        if migration.impl.output_buffer:
            migration.impl.static_output(f"-- First: {command_for(name)}")
        return
    assert migration.script is not None and connection is not None
    known, revision = declared(migration.script, name)
    if not needs(connection, known, records_of(migration)):
        return
    remedy = f"`{command_for(name)}`, then `{alembic()} upgrade head`"
    if connection.dialect.name == "sqlite":  # which rolls the whole upgrade back
        remedy = f"`{alembic()} upgrade {revision}`, {remedy}"
    raise CommandError(
        f"rows of {known.table.name} still need the backfill {name}. Run {remedy}"
    )


def needs(connection: sa.Connection, known: Backfill, records: Records) -> bool:
    """Return whether rows still need a backfill."""
    if known.where is None and records.states().get(known.name, State()).complete:
        return False
    row = sa.select(sa.literal(1)).select_from(known.table).limit(1)
    if known.where is not None:
        row = row.where(known.where)
    return connection.execute(row).first() is not None


def declarations(script: ScriptDirectory) -> dict[str, tuple[Backfill, str]]:
    """Return the backfills of a history by their names, each with its revision, oldest first.

    Raises:
        CommandError: if two have the same name.
    """
    found: dict[str, tuple[Backfill, str]] = {}
    for revision in reversed(list(script.walk_revisions())):
        for value in declared_by(revision):
            if value.name in found:
                raise CommandError(
                    f"{found[value.name][1]} and {revision.revision} both declare the backfill "
                    f"{value.name}. Rename one of them"
                )
            found[value.name] = value, revision.revision
    return found


def declared(script: ScriptDirectory, name: str) -> tuple[Backfill, str]:
    """Return a backfill, and the revision that declares it.

    Raises:
        CommandError: if none does.
    """
    found = declarations(script)
    if name not in found:
        raise CommandError(
            f"no revision declares the backfill {name}, only {', '.join(found) or 'none'}. Correct "
            "the name, or delete the line that requires it if its revision was squashed"
        )
    return found[name]


def unfinished(known: Backfill) -> str:
    """Return what is left to write of a backfill that autogenerate declared, or nothing."""
    code = getattr(known.change, "__code__", None)
    if code is None or ... not in code.co_consts:
        return ""
    place = where(code.co_filename, code.co_firstlineno)
    return (
        f"{place}: the backfill {known.name} has `...` in place of a value. "
        "Write the value for existing rows there"
    )


def alembic() -> str:
    """Return how to call Alembic for the database of the run."""
    section = context.config.config_ini_section
    given = context.get_x_argument(as_dictionary=True).get("tenant")
    tenant = context.config.attributes.get("tenant", given)
    words = ["alembic", *(["-n", section] if section != FIRST else [])]
    return " ".join([*words, *(["-x", f"tenant={tenant}"] if tenant else [])])


def command_for(name: str) -> str:
    """Return the command that runs a backfill on the database of the run."""
    options = alembic().removeprefix("alembic")
    return f"{invocation()} backfill {name}{options}"
