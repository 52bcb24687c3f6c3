"""The declaration of a backfill, for a column that is filled apart from its revision."""

import re

from alembic.script import ScriptDirectory

from ...rooms import is_on

DECLARATION = '''
{name} = sa.table({table!r}, sa.column({column!r}){schema})


@backfill({name}, where={name}.c[{column!r}].is_(None))
def fill_{name}(connection: sa.Connection, batch: sa.ColumnElement[bool]) -> None:
    """Give existing rows a value for {column}."""
    value = {value}
    connection.execute(sa.update({name}).where(batch).values({{{column!r}: value}}))
'''


def declaration(place: tuple[str, str], column: str, value: str) -> str:
    """Return the source that declares the backfill of a column.

    Args:
        place: schema and table.
        column: its name.
        value: Python's source of it.
    """
    schema, table = place
    return DECLARATION.format(
        name=identifier(place, column),
        table=table,
        schema=f", schema={schema!r}" if schema else "",
        column=column,
        value=value,
    )


def identifier(place: tuple[str, str], column: str) -> str:
    """Return the name of a column as one of Python; its backfill is `fill_` with that."""
    return re.sub(r"\W", "_", "_".join(filter(None, (*place, column))))


def is_declared(script: ScriptDirectory, function: str) -> bool:
    """Return whether a revision declares a backfill."""
    revisions = script.walk_revisions() if is_on("backfill") else ()
    return any(hasattr(revision.module, function) for revision in revisions)
