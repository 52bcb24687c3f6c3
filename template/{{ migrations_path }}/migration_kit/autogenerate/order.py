"""The order of a revision's operations, in which databases can run them."""

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import ForeignKeyConstraint, inspect

from ..tables import full_name


class NewNameOp(ops.MigrateOperation):
    """What a room writes to give a table, an index or a key another name.

    Attributes:
        old_table: a table's names, old and new, and before them its schema; else None.
        old_key: the old name of an index or a key.
        review: lines of a comment before it.
    """

    old_table: tuple[str | None, str, str] | None = None
    old_key = ""
    review: tuple[str, ...] = ()


def put_in_working_order(
    migration: MigrationContext, container: ops.OpContainer
) -> None:
    """Order operations so that the database can run them."""
    if migration.dialect.supports_alter:
        container.ops = open_circles(container.ops)
    drops = [op for op in container.ops if isinstance(op, ops.DropTableOp)]
    dropped = {(op.schema, op.table_name) for op in drops}
    for table in container.ops:
        if not isinstance(table, ops.ModifyTableOps):
            continue
        if (table.schema, table.table_name) in dropped:
            # MariaDB and MySQL refuse to drop an index that a foreign key needs (error 1553).
            table.ops = [op for op in table.ops if not isinstance(op, ops.DropIndexOp)]
        table.ops.sort(key=is_no_dropped_foreign_key)
    container.ops = [
        op for op in container.ops if not isinstance(op, ops.ModifyTableOps) or op.ops
    ]


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
            late = creates[creates.index(op) + 1 :]
            keys = [key for key in foreign_keys(op) if is_open(key, late)]
            op.columns = [
                item for item in op.columns if all(item is not key for key in keys)
            ]
            last += [ops.CreateForeignKeyOp.from_constraint(key) for key in keys]
        elif isinstance(op, ops.DropTableOp) and op._reverse:
            early = drops[: drops.index(op)]
            keys = [key for key in foreign_keys(op._reverse) if is_open(key, early)]
            first += [ops.DropConstraintOp.from_constraint(key) for key in keys]
    return [*first, *operations, *last]


def foreign_keys(table: ops.CreateTableOp) -> list[ForeignKeyConstraint]:
    return [item for item in table.columns if isinstance(item, ForeignKeyConstraint)]


def is_open(
    key: ForeignKeyConstraint, others: list[ops.CreateTableOp] | list[ops.DropTableOp]
) -> bool:
    """Tell whether a key must wait for others, or be gone before them; a drop takes its name."""
    names = {full_name(op.schema, op.table_name) for op in others}
    target = key.elements[0].target_fullname.rpartition(".")[0]
    return key.name is not None and (key.use_alter or target in names)


def is_no_dropped_foreign_key(op: ops.MigrateOperation) -> bool:
    return (
        not isinstance(op, ops.DropConstraintOp) or op.constraint_type != "foreignkey"
    )


def drop_indexes_of_keys(migration: MigrationContext, upgrade: ops.OpContainer) -> None:
    """Let the index that MariaDB and MySQL made for a foreign key go with it."""
    connection = migration.connection
    if migration.dialect.name not in {"mysql", "mariadb"} or connection is None:
        return
    inspector = inspect(connection)
    renamed = {
        (schema, new): old
        for op in upgrade.ops
        if isinstance(op, NewNameOp) and op.old_table
        for schema, old, new in [op.old_table]
    }
    for table in upgrade.ops:
        if not isinstance(table, ops.ModifyTableOps):
            continue
        keys = {
            str(op.constraint_name): op
            for op in table.ops
            if isinstance(op, ops.DropConstraintOp)
            and op.constraint_type == "foreignkey"
        }
        dropped = {op.index_name for op in table.ops if isinstance(op, ops.DropIndexOp)}
        dropped |= {op.old_key for op in table.ops if isinstance(op, NewNameOp)}
        if not keys:
            continue
        name = renamed.get((table.schema, table.table_name), table.table_name)
        for index in inspector.get_indexes(name, schema=table.schema):
            name = str(index["name"])
            if name in keys and name not in dropped:
                drop = ops.DropIndexOp(name, table.table_name, schema=table.schema)
                table.ops.insert(table.ops.index(keys[name]) + 1, drop)
