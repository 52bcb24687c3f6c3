"""Whether models and database differ, where Alembic's own comparison errs.

A database shows a column in words of its own: `now()` as `current_timestamp()`, `'0'` as `0`. So
a model's column is tried: the database creates a temporary table with it, and
shows what it makes of that.
"""

import logging
import re
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import CheckConstraint, Column, DefaultClause, Identity, MetaData, Table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateTable

from .kinds import kind_of

log = logging.getLogger(f"alembic.{__name__}")

TRIAL = "migration_kit_trial"


def compare_types(
    context: AutogenContext, _: ops.AlterColumnOp, *of_column: Any
) -> PriorityDispatchResult:
    """End the comparison of types that differ in name only: MariaDB's REAL is a DOUBLE."""
    inspected, modelled = of_column[-2:]
    differ = context.migration_context.impl.compare_type
    if differ(inspected, modelled):
        tried = try_column(context, modelled)
        if tried is not None and not differ(inspected, tried):
            return PriorityDispatchResult.STOP
    return PriorityDispatchResult.CONTINUE


def compare_defaults(
    context: AutogenContext, alter_column: ops.AlterColumnOp, *of_column: Any
) -> PriorityDispatchResult:
    """Compare server defaults, in place of Alembic, which takes equal ones for different."""
    inspected, modelled = of_column[-2:]
    ours, theirs = modelled.server_default, inspected.server_default
    assert context.dialect is not None
    if isinstance(ours, Identity) and not context.dialect.supports_identity_columns:
        if modelled.table.autoincrement_column is modelled:
            alter_column.kw["autoincrement"] = True
        return PriorityDispatchResult.STOP
    kinds = (DefaultClause, type(None))
    if not (isinstance(ours, kinds) and isinstance(theirs, kinds)) or ours is theirs:
        return PriorityDispatchResult.CONTINUE
    tried = try_column(context, modelled)
    expected = default_sql(context, modelled) if tried is None else text_of(tried)
    found, noise = text_of(inspected), kind_of(context.dialect).noise
    if ours is None and expected != found:
        return PriorityDispatchResult.CONTINUE  # Alembic knows SERIAL
    texts = {text and re.sub(noise, "", text) for text in (expected, found)}
    if len(texts) > 1:
        alter_column.modify_server_default = ours
        log.info("Detected server default on column '%s'", modelled)
    return PriorityDispatchResult.STOP


def text_of(column: Column[Any]) -> str | None:
    """Return a reflected default."""
    default = column.server_default
    return default.arg.text if isinstance(default, DefaultClause) else None  # type: ignore[union-attr]


def default_sql(context: AutogenContext, modelled: Column[Any]) -> str | None:
    """Return a default as CREATE TABLE has it."""
    assert context.dialect is not None
    compiler = context.dialect.ddl_compiler(context.dialect, None)  # type: ignore[arg-type]
    return compiler.get_column_default_string(modelled)


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
    opts = context.migration_context.opts
    tried: dict[str, Column[Any] | None] = opts.setdefault("tried_columns", {})
    statement = str(create.compile(dialect=connection.dialect))
    if statement in tried:
        return tried[statement]
    tried[statement] = None
    savepoint = connection.begin_nested()
    try:
        connection.execute(create)
        listeners = [("column_reflect", impl.autogen_column_reflect)]
        shown = Table(TRIAL, MetaData(), autoload_with=connection, listeners=listeners)
        tried[statement] = shown.c.x
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        log.info("Column '%s' cannot be tried: %s", modelled, reason)
    finally:
        savepoint.rollback()
        if after := kind_of(connection.dialect).after_trial:
            connection.exec_driver_sql(after)
    return tried[statement]


def is_comparable(migration: MigrationContext, check: CheckConstraint) -> bool:
    """Return whether the database has such a CHECK at all, and shows its name as it is."""
    rule = check._create_rule  # of a Boolean, for example: PostgreSQL needs no CHECK
    dialect, name = migration.dialect, str(check.name)
    # A longer name is cut, and ends in a hash; SQLite shows none with quotes.
    length = dialect.max_constraint_name_length or dialect.max_identifier_length
    shown = len(name) < length - 3 and '"' not in name
    return shown and (rule is None or bool(rule(migration.impl)))


plugin = Plugin(__name__)
plugin.add_autogenerate_comparator(
    compare_defaults, "column", "server_default", priority=DispatchPriority.FIRST
)
plugin.add_autogenerate_comparator(compare_types, "column", "types")
