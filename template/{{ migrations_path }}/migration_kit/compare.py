"""Whether models and database differ, where Alembic's own comparison errs.

A database shows a default in words of its own: `now()` as `current_timestamp()`, `'0'` as `0`. So
a default that reads otherwise in the models is tried: the database creates a temporary table with
it, and shows what it makes of that.
"""

import logging
import re
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import (
    Column,
    Connection,
    DefaultClause,
    Identity,
    MetaData,
    Table,
    literal_column,
    select,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateTable

log = logging.getLogger(f"alembic.{__name__}")

TRIAL = "migration_kit_trial"


def take_identity_for_autoincrement(
    context: AutogenContext,
    alter_column: ops.AlterColumnOp,
    schema: str | None,
    table: str,
    column: str,
    inspected: Column[Any],
    modelled: Column[Any],
) -> PriorityDispatchResult:
    """End the comparison of an Identity on a database that numbers rows in a way of its own."""
    assert context.dialect is not None
    supported = context.dialect.supports_identity_columns
    if supported or not isinstance(modelled.server_default, Identity):
        return PriorityDispatchResult.CONTINUE
    if modelled.table.autoincrement_column is modelled:
        alter_column.kw["autoincrement"] = True
    return PriorityDispatchResult.STOP


def compare_defaults(
    context: AutogenContext,
    alter_column: ops.AlterColumnOp,
    schema: str | None,
    table: str,
    column: str,
    inspected: Column[Any],
    modelled: Column[Any],
) -> PriorityDispatchResult:
    """Compare server defaults, in place of Alembic, which takes equal ones for different."""
    ours, theirs = modelled.server_default, inspected.server_default
    if not isinstance(ours, DefaultClause) or not isinstance(
        theirs, DefaultClause | None
    ):
        return PriorityDispatchResult.CONTINUE
    found = None if theirs is None else str(theirs.arg)
    if reads_alike(ours, found):
        return PriorityDispatchResult.STOP
    assert context.connection is not None
    try:
        tried = try_default(context, modelled)
    except SQLAlchemyError as error:  # a standby, say, or no right to do so
        log.info("The default of %s.%s cannot be tried: %s", table, column, error)
        tried = default_clause(context, modelled)
    if tried != found and not means_alike(context.connection, modelled, tried, found):
        alter_column.modify_server_default = ours
        log.info("Detected server default on column '%s.%s'", table, column)
    return PriorityDispatchResult.STOP


def reads_alike(ours: DefaultClause, found: str | None) -> bool:
    """Tell whether a default is what the database shows, without asking."""
    if found is None or not isinstance(ours.arg, str):
        return str(ours.arg) == found
    literal = re.fullmatch(r"\(?'(.*)'(?:::[\w .()]+)?\)?", found, re.DOTALL)
    if literal and "\\" not in found:
        return literal[1].replace("''", "'") == ours.arg
    return bool(re.fullmatch(r"-?\d+", found)) and found == ours.arg


def try_default(context: AutogenContext, modelled: Column[Any]) -> str | None:
    """Return what the database makes of a default, in its own words.

    It creates a temporary table, of which nothing is left.

    Raises:
        SQLAlchemyError: if it may not.
    """
    connection, impl = context.connection, context.migration_context.impl
    assert connection is not None
    column = Column(
        "x",
        modelled.type,
        server_default=modelled.server_default,
        nullable=modelled.nullable,
    )
    create = CreateTable(Table(TRIAL, MetaData(), column, prefixes=["TEMPORARY"]))
    tried = context.migration_context.opts.setdefault("tried_defaults", {})
    statement = str(create.compile(dialect=connection.dialect))
    if statement not in tried:
        savepoint = connection.begin_nested()
        try:
            connection.execute(create)
            listeners = [("column_reflect", impl.autogen_column_reflect)]
            shown = Table(
                TRIAL, MetaData(), autoload_with=connection, listeners=listeners
            ).c.x.server_default
            tried[statement] = (
                str(shown.arg) if isinstance(shown, DefaultClause) else None
            )
        finally:
            savepoint.rollback()
            if connection.dialect.name in {"mysql", "mariadb"}:
                drop = f"DROP TEMPORARY TABLE IF EXISTS {TRIAL}"
                connection.exec_driver_sql(drop)
    shown_as: str | None = tried[statement]
    return shown_as


def default_clause(context: AutogenContext, modelled: Column[Any]) -> str | None:
    """Return a default as CREATE TABLE has it."""
    assert context.dialect is not None
    compiler = context.dialect.ddl_compiler(context.dialect, None)
    return compiler.get_column_default_string(modelled)


def means_alike(
    connection: Connection, modelled: Column[Any], tried: str | None, found: str | None
) -> bool:
    """Tell whether PostgreSQL finds equal values; a change of the type leaves other words."""
    if connection.dialect.name != "postgresql" or tried is None or found is None:
        return False
    kind = connection.dialect.type_compiler_instance.process(modelled.type)
    value = f"CAST(CAST(({{}}) AS {kind}) AS text)"
    equal = literal_column(
        f"{value.format(tried)} IS NOT DISTINCT FROM {value.format(found)}"
    )
    try:
        with connection.begin_nested():
            return bool(connection.scalar(select(equal)))
    except SQLAlchemyError:
        return False


plugin = Plugin(__name__)
plugin.add_autogenerate_comparator(
    take_identity_for_autoincrement,
    "column",
    "server_default",
    priority=DispatchPriority.FIRST,
)
# After what Alembic decides of Computed, Identity and autoincrement, before its own comparison.
plugin.add_autogenerate_comparator(compare_defaults, "column", "server_default")
