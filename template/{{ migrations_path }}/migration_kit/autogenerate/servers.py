"""The order of a revision's operations on a server, where each foreign key is a statement."""

from collections.abc import Iterator

from alembic.operations import ops
from sqlalchemy import ForeignKeyConstraint

from ..tables import full_name


def put_foreign_keys_in_order(container: ops.OpContainer) -> None:
    """Drop foreign keys before what they need, and create them after it."""
    container.ops = open_circles(container.ops)
    for table in container.ops:
        if isinstance(table, ops.ModifyTableOps):
            table.ops.sort(key=lambda op: not drops_foreign_key(op))


def drops_foreign_key(op: ops.MigrateOperation) -> bool:
    return isinstance(op, ops.DropConstraintOp) and op.constraint_type == "foreignkey"


def open_circles(operations: list[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
    """Create foreign keys of new tables that refer to a later one last, and drop such ones first.

    Alembic writes them into the first table, where `use_alter` loses them.
    """
    creates = [op for op in operations if isinstance(op, ops.CreateTableOp)]
    drops = [op._reverse for op in operations if isinstance(op, ops.DropTableOp)]
    keys = list(open_keys(creates))
    for op in creates:
        op.columns = [
            item for item in op.columns if all(item is not key for key in keys)
        ]
    gone = open_keys([op for op in reversed(drops) if op])
    first = [ops.DropConstraintOp.from_constraint(key) for key in gone]
    last = [ops.CreateForeignKeyOp.from_constraint(key) for key in keys]
    return [*first, *operations, *last]


def open_keys(tables: list[ops.CreateTableOp]) -> Iterator[ForeignKeyConstraint]:
    """Yield the keys that wait for a later table; a drop takes their names."""
    later = [full_name(op.schema, op.table_name) for op in tables]
    for op in tables:
        later = later[1:]
        for key in op.columns:
            if isinstance(key, ForeignKeyConstraint) and key.name is not None:
                target = key.elements[0].target_fullname.rpartition(".")[0]
                if key.use_alter or target in later:
                    yield key
