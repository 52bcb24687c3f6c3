"""Whether models and database differ, where Alembic's own comparison errs.

A database shows a column in words of its own: `now()` as `current_timestamp()`, `'0'` as `0`, a
REAL as DOUBLE. So what reads otherwise in the models is tried: the database creates a temporary
table with it, and shows what it makes of that.
"""

import logging
import re
from typing import Any, cast

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
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


def compare_types(
    context: AutogenContext,
    alter_column: ops.AlterColumnOp,
    schema: str | None,
    table: str,
    column: str,
    inspected: Column[Any],
    modelled: Column[Any],
) -> PriorityDispatchResult:
    """End the comparison of types that differ in name only: MariaDB's REAL is a DOUBLE."""
    differ = context.migration_context.impl.compare_type
    if differ(inspected, modelled):
        tried = try_column(context, modelled)
        if tried is not None and not differ(inspected, tried):
            return PriorityDispatchResult.STOP
    return PriorityDispatchResult.CONTINUE


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
    comparable = isinstance(ours, DefaultClause) and isinstance(
        theirs, DefaultClause | None
    )
    if not comparable and not (ours is None and isinstance(theirs, DefaultClause)):
        return PriorityDispatchResult.CONTINUE
    found = text_of(inspected)
    if reads_alike(context, ours, found):
        return PriorityDispatchResult.STOP
    tried = try_column(context, modelled)
    if ours is None and (tried is None or text_of(tried) != found):
        return PriorityDispatchResult.CONTINUE  # Alembic knows SERIAL
    expected = default_clause(context, modelled) if tried is None else text_of(tried)
    if expected != found and not means_alike(context, modelled, expected, found):
        alter_column.modify_server_default = ours
        log.info("Detected server default on column '%s.%s'", table, column)
    return PriorityDispatchResult.STOP


def text_of(column: Column[Any]) -> str | None:
    """Return a reflected default."""
    default = column.server_default
    return default.arg.text if isinstance(default, DefaultClause) else None  # type: ignore[union-attr]


def reads_alike(context: AutogenContext, ours: Any, found: str | None) -> bool:
    """Tell whether a default is what the database shows, without asking."""
    if ours is None or found is None:
        return ours is found
    if not isinstance(ours.arg, str):
        return str(ours.arg.compile(dialect=context.dialect)) == found
    literal = re.fullmatch(r"\(?'(.*)'(?:::[\w .()]+)?\)?", found, re.DOTALL)
    if literal and "\\" not in found:
        return literal[1].replace("''", "'") == ours.arg
    return bool(re.fullmatch(r"-?\d+", found)) and found == ours.arg


def try_column(context: AutogenContext, modelled: Column[Any]) -> Column[Any] | None:
    """Return what the database makes of a column, in its own words.

    It creates a temporary table, of which nothing is left. Where it may not, as on a standby,
    None is returned.
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
    tried = context.migration_context.opts.setdefault("tried_columns", {})
    statement = str(create.compile(dialect=connection.dialect))
    if statement in tried:
        return cast(Column[Any] | None, tried[statement])
    tried[statement] = None
    savepoint = None
    try:
        savepoint = connection.begin_nested()
        connection.execute(create)
        listeners = [("column_reflect", impl.autogen_column_reflect)]
        shown = Table(TRIAL, MetaData(), autoload_with=connection, listeners=listeners)
        tried[statement] = shown.c.x
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        log.info("Column '%s' cannot be tried: %s", modelled, reason)
    finally:
        if savepoint is not None:
            savepoint.rollback()
        if connection.dialect.name in {"mysql", "mariadb"}:
            connection.exec_driver_sql(f"DROP TEMPORARY TABLE IF EXISTS {TRIAL}")
    return cast(Column[Any] | None, tried[statement])


def default_clause(context: AutogenContext, modelled: Column[Any]) -> str | None:
    """Return a default as CREATE TABLE has it."""
    assert context.dialect is not None
    compiler = context.dialect.ddl_compiler(context.dialect, None)  # type: ignore[arg-type]
    return compiler.get_column_default_string(modelled)


def means_alike(
    context: AutogenContext,
    modelled: Column[Any],
    expected: str | None,
    found: str | None,
) -> bool:
    """Tell whether PostgreSQL finds equal values; a change of the type leaves other words.

    On a standby, where no column can be tried, a function's name may differ in case.
    """
    connection = context.connection
    assert connection is not None
    if expected is None or found is None:
        return False
    if plain(expected) == plain(found):
        return True
    if connection.dialect.name != "postgresql":
        return False
    kind = connection.dialect.type_compiler_instance.process(modelled.type)
    ours, theirs = (
        f"CAST(CAST(({value}) AS {kind}) AS text)" for value in (expected, found)
    )
    equal: ColumnElement[bool] = literal_column(f"{ours} IS NOT DISTINCT FROM {theirs}")
    try:
        with connection.begin_nested():
            return bool(connection.scalar(select(equal)))
    except SQLAlchemyError:
        return False


def is_comparable(migration: MigrationContext, check: CheckConstraint) -> bool:
    """Tell whether the database has such a CHECK at all, and shows its name as it is."""
    rule = check._create_rule  # of a Boolean, say, that needs no CHECK on PostgreSQL
    shown = migration.dialect.name != "sqlite" or '"' not in str(check.name)
    # A longer name is cut, and ends in a hash.
    dialect = migration.dialect
    length = dialect.max_constraint_name_length or dialect.max_identifier_length
    shown &= len(str(check.name)) < length - 3
    return shown and (rule is None or bool(rule(migration.impl)))


def plain(sql: str) -> str:
    """Return an expression without what means nothing in it, unless it holds a text."""
    return sql if "'" in sql else re.sub(r"[()\s]", "", sql).lower()


plugin = Plugin(__name__)
plugin.add_autogenerate_comparator(
    take_identity_for_autoincrement,
    "column",
    "server_default",
    priority=DispatchPriority.FIRST,
)
# After what Alembic decides of Computed, Identity and autoincrement, before its own comparison.
plugin.add_autogenerate_comparator(compare_defaults, "column", "server_default")
plugin.add_autogenerate_comparator(compare_types, "column", "types")
