"""Declarations of backfills, for columns that are filled apart from their revision."""

import re
from collections.abc import Mapping

from alembic.script import ScriptDirectory

from ...autogenerate.differences import Place
from ...autogenerate.ownership import sources_of
from ...rooms import is_on

TABLE = """
{name} = sa.table({table!r}, {columns}, schema={schema!r})
"""
FILL = '''

@backfill({name}, where={name}.c[{column!r}].is_(None))
def {function}(connection: sa.Connection, batch: sa.ColumnElement[bool]) -> None:
    """Give rows that were there before a value for {column}."""
    value = {value}
    connection.execute(sa.update({name}).where(batch).values({{{column!r}: value}}))
'''


def source_of(fills: Mapping[Place, Mapping[str, str]]) -> str:
    """Return the source that declares backfills.

    Args:
        fills: Python's source of a value, by table and column.
    """
    source = "\n"
    for place, values in fills.items():
        schema, table = place
        columns = ", ".join(f"sa.column({column!r})" for column in values)
        table = TABLE.format(
            name=identifier(*place), table=table, columns=columns, schema=schema or None
        )
        source += table.replace(", schema=None", "")
        for column, value in values.items():
            source += FILL.format(
                name=identifier(*place),
                column=column,
                function=function_of(place, column),
                value=value,
            )
    return source.rstrip()


def identifier(*names: str) -> str:
    """Return names as one of Python."""
    return re.sub(r"\W", "_", "_".join(filter(None, names)))


def function_of(place: Place, column: str) -> str:
    """Return the name of the backfill of a column."""
    return f"fill_{identifier(*place, column)}"


def is_declared(script: ScriptDirectory, function: str) -> bool:
    """Return whether a revision declares a backfill."""
    sources = sources_of(script, rf"(?m)^def {function}\(")
    return is_on("backfill") and any(True for _ in sources)
