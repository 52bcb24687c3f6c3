"""Autogenerate on MySQL and MariaDB: the indexes of foreign keys, and brackets around defaults."""

from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import Column, DefaultClause, Dialect, Integer

from .compare import TRIAL, plugin
from .kinds import Kind
from .servers import drops_foreign_key, put_foreign_keys_in_order


class MySQL(Kind):
    """MySQL and MariaDB make an index for each foreign key that has none."""

    after_trial = f"DROP TEMPORARY TABLE IF EXISTS {TRIAL}"

    def default_sql(self, default: DefaultClause, sql: str, dialect: Dialect) -> str:
        """Write brackets, as SQLAlchemy does in CREATE TABLE, but in no ALTER TABLE."""
        make_compiler: Any = dialect.ddl_compiler  # of a whole statement, says its type
        column = Column("x", Integer, server_default=default)
        created = make_compiler(dialect, None).get_column_specification(column)
        lacks_brackets = " DEFAULT (" in created and not sql.startswith("(")
        return f"({sql})" if lacks_brackets else sql

    def complete(self, migration: MigrationContext, container: ops.OpContainer) -> None:
        """Drop no index that a foreign key needs (error 1553): it goes with its table."""
        put_foreign_keys_in_order(container)
        drops = [op for op in container.ops if isinstance(op, ops.DropTableOp)]
        dropped = {(op.schema, op.table_name) for op in drops}
        container.ops = [
            op
            for op in container.ops
            if not isinstance(op, ops.ModifyTableOps)
            or (op.schema, op.table_name) not in dropped
        ]


kind = MySQL()


def drop_indexes_of_keys(
    context: AutogenContext, upgrade: ops.UpgradeOps
) -> PriorityDispatchResult:
    """Let the index that the database made for a foreign key go with it."""
    for table in upgrade.ops:
        if not isinstance(table, ops.ModifyTableOps):
            continue
        place, schema = table.table_name, table.schema
        keys = {op.constraint_name for op in table.ops if drops_foreign_key(op)}
        keys -= {op.index_name for op in table.ops if isinstance(op, ops.DropIndexOp)}
        for index in context.inspector.get_indexes(place, schema) if keys else ():
            name, columns = str(index["name"]), [*filter(None, index["column_names"])]
            if name in keys:
                back = ops.CreateIndexOp(name, place, columns, schema=schema)
                drop = ops.DropIndexOp(name, place, schema=schema, _reverse=back)
                table.ops.append(drop)
    return PriorityDispatchResult.CONTINUE


for dialect in ("mysql", "mariadb"):
    plugin.add_autogenerate_comparator(
        drop_indexes_of_keys,
        "autogenerate",
        qualifier=dialect,
        priority=DispatchPriority.LAST,
    )
