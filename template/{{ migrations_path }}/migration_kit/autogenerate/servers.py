"""The order of a revision's operations on a server, where each foreign key is a statement."""

from collections.abc import Iterator
from typing import TypeGuard

from alembic.operations import ops
from sqlalchemy import ForeignKeyConstraint

from ..tables import full_name


def put_foreign_keys_in_order(container: ops.OpContainer) -> None:
    """Drop foreign keys before what they need, and create them after it."""
    container.ops = open_circles(container.ops)
    for table in container.ops:
        if isinstance(table, ops.ModifyTableOps):
            table.ops.sort(key=lambda op: not drops_foreign_key(op))


def drops_foreign_key(op: ops.MigrateOperation) -> TypeGuard[ops.DropConstraintOp]:
    return isinstance(op, ops.DropConstraintOp) and op.constraint_type == "foreignkey"


def open_circles(operations: list[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
    """Create foreign keys of new tables that refer to a later one last, and drop such ones first.

    Alembic writes them into the first table, where `use_alter` loses them.
    """
    first: list[ops.MigrateOperation] = []
    last: list[ops.MigrateOperation] = []
    creates = [op for op in operations if isinstance(op, ops.CreateTableOp)]
    drops = [op for op in operations if isinstance(op, ops.DropTableOp)]
    for op in operations:
        if isinstance(op, ops.CreateTableOp):
            keys = [*open_keys(op, creates[creates.index(op) + 1 :])]
            op.columns = [
                item for item in op.columns if all(item is not key for key in keys)
            ]
            last += [ops.CreateForeignKeyOp.from_constraint(key) for key in keys]
        elif isinstance(op, ops.DropTableOp) and op._reverse:
            keys = [*open_keys(op._reverse, drops[: drops.index(op)])]
            first += [ops.DropConstraintOp.from_constraint(key) for key in keys]
    return [*first, *operations, *last]


def open_keys(
    table: ops.CreateTableOp, others: list[ops.CreateTableOp] | list[ops.DropTableOp]
) -> Iterator[ForeignKeyConstraint]:
    """Yield the keys that wait for others, or go before them; a drop takes their names."""
    names = {full_name(op.schema, op.table_name) for op in others}
    for key in table.columns:
        if isinstance(key, ForeignKeyConstraint) and key.name is not None:
            target = key.elements[0].target_fullname.rpartition(".")[0]
            if key.use_alter or target in names:
                yield key
