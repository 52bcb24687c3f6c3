"""Names of indexes and constraints after a rename: those that the models say."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy import ClauseElement, Table
from sqlalchemy.schema import conv

from .new_names import Rename, RenameKeyOp, RenameOp


def finish(
    context: AutogenContext, upgrade: ops.UpgradeOps, renames: Sequence[Rename]
) -> None:
    """Give keys and indexes the names that the models say, and put the renames first."""
    touched = {(one.schema, one.table or one.new) for one in renames}
    changes = {
        (op.schema, op.table_name): op
        for op in upgrade.ops
        if isinstance(op, ops.ModifyTableOps)
    }
    freed: list[ops.MigrateOperation] = []
    comparison = context.migration_context.opts["comparison"]
    is_copied = context.dialect.name == "sqlite"  # with all names
    for model in context.sorted_tables:
        place = (schema_of(context, model), model.name)
        keys = {key.referred_table for key in model.foreign_key_constraints}
        others = {(schema_of(context, other), other.name) for other in keys}
        if not touched & {place, *others} or not is_there(context, *place):
            continue
        change = changes.get(place) or ops.ModifyTableOps(
            model.name, [], schema=place[0]
        )
        columns = {
            one.old: one.new for one in renames if (one.schema, one.table) == place
        }
        change.ops = rename_indexes(context, change, columns)
        if columns:
            freed += free_of_checks(context, change)
        if not (is_copied and (place[0] or "", place[1]) in comparison.unsaid):
            rename_constraints(context, change, model)
        if change.ops and place not in changes:
            upgrade.ops.append(change)
    first = [RenameOp(one) for one in sorted(renames, key=str)]
    tables = [op for op in first if op.rename.table is None]
    upgrade.ops[:0] = [*tables, *freed, *(op for op in first if op not in tables)]


def free_of_checks(
    context: AutogenContext, change: ops.ModifyTableOps
) -> list[ops.MigrateOperation]:
    """Return what drops the CHECKs that name a renamed column; `change` brings them back.

    MySQL renames no such column (its error 3959); the others write the CHECK again.
    """
    if context.dialect.name != "mysql" or getattr(context.dialect, "is_mariadb", False):
        return []
    schema, table = change.schema, change.table_name
    inspector: Any = context.inspector
    freed: list[ops.MigrateOperation] = []
    found = inspector.get_check_constraints(table, schema)
    for before, after in zip(
        inspector.checks_before(table, schema), found, strict=True
    ):
        name, sql = conv(before["name"]), before["sqltext"]
        if sql == after["sqltext"]:
            continue
        back = ops.CreateCheckConstraintOp(name, table, sql, schema=schema)
        freed.append(
            ops.DropConstraintOp(
                name, table, type_="check", schema=schema, _reverse=back
            )
        )
        kept = [
            op
            for op in change.ops
            if not isinstance(op, ops.DropConstraintOp) or name_of(op) != name
        ]
        if kept == change.ops:
            kept.append(
                ops.CreateCheckConstraintOp(
                    name, table, after["sqltext"], schema=schema
                )
            )
        change.ops = kept
    return freed


def plain(sql: str) -> str:
    """Return an expression without what means nothing in it, unless it holds a text."""
    return sql if "'" in sql else re.sub(r"[()\s]", "", sql).lower()


def schema_of(context: AutogenContext, model: Table) -> str | None:
    default = model.schema == context.dialect.default_schema_name
    return None if default else model.schema


def is_there(context: AutogenContext, schema: str | None, name: str) -> bool:
    return name in context.inspector.get_table_names(schema)


def rename_indexes(
    context: AutogenContext, change: ops.ModifyTableOps, columns: Mapping[str, str]
) -> list[ops.MigrateOperation]:
    """Return a table's changes; a key that only has another name is not built again.

    SQLite cannot do that.
    """
    if context.dialect.name == "sqlite":
        return change.ops
    makes_indexes = context.dialect.name != "postgresql"  # for foreign keys
    created = {key: op for op in change.ops if (key := definition(context, op))}
    renamed: dict[int, ops.MigrateOperation] = {}
    for op in change.ops:
        if not isinstance(op, ops.DropIndexOp | ops.DropConstraintOp):
            continue
        twin = created.get(definition(context, op.reverse()))
        if twin is not None:
            renamed[id(op)] = rename_key(context, change, name_of(op), name_of(twin))
            renamed[id(twin)] = renamed[id(op)]
        elif (
            makes_indexes and isinstance(op, ops.DropIndexOp) and name_of(op) in columns
        ):
            # MySQL and MariaDB gave it the column's name.
            new = columns[name_of(op)]
            renamed[id(op)] = rename_key(context, change, name_of(op), new)
    return list(dict.fromkeys(renamed.get(id(op), op) for op in change.ops))


def definition(context: AutogenContext, op: ops.MigrateOperation) -> Any:
    """Return what an operation creates, except for its name; None if it cannot be renamed."""
    dialect = context.dialect

    def sql(item: Any) -> str:
        if isinstance(item, ClauseElement):
            arguments = {"literal_binds": True, "include_table": False}
            item = item.compile(dialect=dialect, compile_kwargs=arguments)
        return plain(str(item))

    def options(given: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
        texts = {name: sql(value) for name, value in given.items() if value is not None}
        without = {"false", "[]", "{}"}
        return frozenset(item for item in texts.items() if item[1] not in without)

    match op:
        case ops.CreateIndexOp():
            return "INDEX", bool(op.unique), *map(sql, op.columns), options(op.kw)
        case ops.CreateUniqueConstraintOp():
            return "UNIQUE", *op.columns, options(op.kw)
        case ops.CreateCheckConstraintOp() if dialect.name == "postgresql":
            return "CHECK", sql(op.condition)
    return None


def name_of(op: ops.MigrateOperation) -> str:
    return str(getattr(op, "index_name", getattr(op, "constraint_name", "")))


def rename_key(
    context: AutogenContext, change: ops.ModifyTableOps, old: str, new: str
) -> RenameKeyOp:
    """Return what renames an index or a constraint: to MySQL and MariaDB all are indexes."""
    indexes = {
        index["name"]
        for index in context.inspector.get_indexes(change.table_name, change.schema)
        if not index.get("duplicates_constraint")
    }
    kind = "INDEX" if old in indexes else "CONSTRAINT"
    return RenameKeyOp(kind, change.schema, change.table_name, old, new)


def rename_constraints(
    context: AutogenContext, change: ops.ModifyTableOps, model: Table
) -> None:
    """Give primary and foreign keys their names, which Alembic does not compare."""
    inspector = context.inspector
    keys: list[tuple[str | None, Any]] = []
    if context.dialect.name == "postgresql":
        primary = inspector.get_pk_constraint(change.table_name, change.schema)
        keys = [(primary["name"], model.primary_key)]
    dropped = {name_of(op) for op in change.ops}
    for found in inspector.get_foreign_keys(change.table_name, change.schema):
        place = (
            found["constrained_columns"],
            (found["referred_schema"], found["referred_table"]),
            found["referred_columns"],
        )
        if found["name"] in dropped:
            continue
        keys += [
            (found["name"], key)
            for key in model.foreign_key_constraints
            if place
            == (
                [column.name for column in key.columns],
                (schema_of(context, key.referred_table), key.referred_table.name),
                [element.column.name for element in key.elements],
            )
        ]
    for old, key in keys:
        longest = context.dialect.max_identifier_length
        if old and isinstance(key.name, str) and old != key.name[:longest] == key.name:
            change.ops += rename_constraint(context, change, old, key)


def rename_constraint(
    context: AutogenContext, change: ops.ModifyTableOps, old: str, key: Any
) -> list[ops.MigrateOperation]:
    """Return what gives a primary or foreign key the model's name."""
    place = (change.schema, change.table_name)
    if context.dialect.name == "postgresql":
        return [RenameKeyOp("CONSTRAINT", *place, old, key.name)]
    old = conv(old)  # complete: no naming convention makes another of it
    create = ops.CreateForeignKeyOp.from_constraint(key)
    back = ops.CreateForeignKeyOp(
        old,
        create.source_table,
        create.referent_table,
        create.local_cols,
        create.remote_cols,
        **create.kw,
    )
    drop = ops.DropConstraintOp(
        old, place[1], type_="foreignkey", schema=place[0], _reverse=back
    )
    # MySQL and MariaDB made an index with the key, by its name.
    indexes = context.inspector.get_indexes(place[1], place[0])
    if context.dialect.name != "sqlite" and old in {one["name"] for one in indexes}:
        return [drop, RenameKeyOp("INDEX", *place, old, key.name), create]
    return [drop, create]
