"""What autogenerate compares, and what it must never write."""

import logging
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from alembic import context
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import CheckConstraint, Column, Connection, Table, inspect
from sqlalchemy.schema import SchemaItem

from ..command import get_command
from ..rooms import part
from ..tables import full_name, schemas_of, tables_of
from . import compare
from .order import drop_indexes_of_keys, put_in_working_order
from .ownership import (
    is_made_by_other_history,
    is_made_by_revision,
    is_named_by_revision,
    is_part_or_version_table,
    schemas_of_history,
)
from .render import (
    leave_checks_to_types,
    render_item,
    write_checks_of_columns,
    write_percents_once,
)

log = logging.getLogger(f"alembic.{__name__}")

ENUM_PLUGIN = "alembic_postgresql_enum"


def autogenerate_options(connection: Connection) -> dict[str, Any]:
    """Return the options of `context.configure` that autogenerate heeds."""
    return {
        # SQLite cannot alter a table in place: batch mode copies it.
        "render_as_batch": connection.dialect.name == "sqlite",
        "compare_server_default": True,
        "include_schemas": True,
        "include_name": include_name,
        "include_object": include_object,
        "render_item": render_item,
        "autogenerate_plugins": [
            "alembic.autogenerate.*",
            "alembic.ext.checkconstraint_byname",
            compare.plugin.name,
        ],
        "process_revision_directives": process_revision_directives,
    }


def load_plugins(connection: Connection) -> None:
    """Let autogenerate create, alter and drop PostgreSQL's ENUM types; the import does it.

    In a process that migrates another database before or after, it must not speak of that one.
    """
    postgresql = connection.dialect.name == "postgresql"
    level = logging.NOTSET if postgresql else logging.ERROR
    logging.getLogger(f"alembic.{ENUM_PLUGIN}").setLevel(level)
    if not postgresql:
        return
    if get_command() in {"check", "revision"} and find_spec(ENUM_PLUGIN):
        part("autogenerate", "postgresql")


def include_name(name: str | None, kind: str, parents: Mapping[str, Any]) -> bool:
    """Look into the schemas that the models name, or a revision: no others are ours."""
    if kind != "schema" or name is None:
        return True
    models = schemas_of(context.get_context().opts["target_metadata"])
    return name in models or name in schemas_of_history(context.script)


def include_object(
    item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any
) -> bool:
    """Leave out tables and views of something else, and CHECKs that cannot be compared."""
    migration = context.get_context()
    if isinstance(item, CheckConstraint) and not compare.is_comparable(migration, item):
        return False
    if not reflected or compare_to is not None:
        return True
    if isinstance(item, Table):
        assert migration.connection is not None
        return not (
            is_part_or_version_table(migration.connection, item)
            or is_made_by_other_history(item.name, item.schema)
        )
    if not isinstance(item, SchemaItem):  # of alembic_utils: a view, a function, ...
        return is_named_by_revision(context.script, item.signature)
    if not isinstance(item, CheckConstraint):
        return True
    # The model's CHECK has no name either, so the two cannot be compared.
    models = tables_of(migration.opts["target_metadata"])
    return all(
        constraint.name
        for constraint in models[item.table.key].constraints
        if isinstance(constraint, CheckConstraint)
    )


def process_revision_directives(
    migration: MigrationContext,
    revision: str | Iterable[str | None] | Iterable[str],
    directives: list[ops.MigrationScript],
) -> None:
    """Refuse a disaster, drop no table of others, and let the revision run both ways.

    A function of env.py may have emptied `directives` before.

    Raises:
        CommandError: if no model is imported, which would drop every table.
    """
    script = next(iter(directives), None)
    if not script or script.upgrade_ops is None or script.downgrade_ops is None:
        return
    models = tables_of(migration.opts["target_metadata"])
    upgrade, downgrade = script.upgrade_ops, script.downgrade_ops
    others = [take_other_way(container) for container in (upgrade, downgrade)]
    kept = leave_tables_of_others(upgrade, downgrade)
    drops_table = any(isinstance(op, ops.DropTableOp) for op in upgrade.ops)
    if drops_table and not models:
        raise CommandError(
            "no models are imported, so this would drop every table of the database; "
            "see that the import of Base in env.py imports the models"
        )
    make_run(migration, upgrade, downgrade)
    write_percents_once(migration)
    if get_command() == "revision":
        if upgrade.is_empty():
            log.info("Models and database agree: no revision is written")
            directives.clear()
        create_schemas(migration, upgrade)
        ask_for_review(upgrade)
        upgrade.ops[:0] = kept
    if others[0] and others[1]:
        leave_tables_of_others(others[0].container, others[1].container)
        make_run(migration, others[0].container, others[1].container)
        upgrade.ops.insert(0, others[0])
        downgrade.ops.insert(0, others[1])


def make_run(
    migration: MigrationContext, upgrade: ops.OpContainer, downgrade: ops.OpContainer
) -> None:
    """Order and complete the operations, so that both ways run."""
    models = tables_of(migration.opts["target_metadata"])
    for container in (upgrade, downgrade):
        put_in_working_order(migration, container)
        write_checks_of_columns(container)
    drop_indexes_of_keys(migration, upgrade)
    leave_checks_to_types(upgrade, models.values())


class EitherOp(ops.MigrateOperation):
    """What a revision would do instead, in comments.

    Args:
        container: the operations.
    """

    def __init__(self, container: ops.OpContainer) -> None:
        self.container = container


def take_other_way(container: ops.OpContainer) -> EitherOp | None:
    """Take out what a revision would do instead; a comment shows it."""
    found = [op for op in container.ops if isinstance(op, EitherOp)]
    container.ops = [op for op in container.ops if op not in found]
    return next(iter(found), None)


def leave_tables_of_others(
    upgrade: ops.OpContainer, downgrade: ops.OpContainer
) -> list["ReviewOp"]:
    """Take out what drops a table that no revision makes, and return a comment for each."""
    drops = [op for op in upgrade.ops if isinstance(op, ops.DropTableOp)]
    others = {
        (op.schema, op.table_name)
        for op in drops
        if not is_made_by_revision(context.script, op.table_name, op.schema)
    }
    if not others:
        return []
    names = sorted(full_name(schema, table) for schema, table in others)
    log.warning(
        "left alone, as no model has them and no revision makes them with op.create_table(): "
        "%s; include_object in env.py can leave them out",
        ", ".join(names),
    )
    for container in (upgrade, downgrade):
        container.ops = [
            op
            for op in container.ops
            if (getattr(op, "schema", None), getattr(op, "table_name", None))
            not in others
        ]
    return [
        ReviewOp(
            f"REVIEW: {name} is left alone: no model has it, no revision makes it."
        )
        for name in names
    ]


def create_schemas(migration: MigrationContext, upgrade: ops.UpgradeOps) -> None:
    """Create the schemas that PostgreSQL lacks; they stay, as others may use them as well."""
    connection = migration.connection
    assert connection is not None
    wanted = {op.schema for op in upgrade.ops if isinstance(op, ops.CreateTableOp)}
    if connection.dialect.name == "postgresql" and wanted - {None}:
        preparer = connection.dialect.identifier_preparer
        missing = wanted - {None, *inspect(connection).get_schema_names()}
        upgrade.ops[:0] = [
            ops.ExecuteSQLOp(f"CREATE SCHEMA IF NOT EXISTS {preparer.quote(schema)}")
            for schema in sorted(schema for schema in missing if schema)
        ]


class ReviewOp(ops.MigrateOperation):
    """A comment in a revision, for whoever reviews it."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines


@renderers.dispatch_for(ReviewOp)
def render_review(context: AutogenContext, op: ReviewOp) -> list[str]:
    """Render the comment."""
    return [f"# {line}" for line in op.lines]


def ask_for_review(container: ops.OpContainer) -> None:
    """Write a comment before each operation that loses data, or that rows may stop."""
    commented: list[ops.MigrateOperation] = []
    for op in container.ops:
        if isinstance(op, ops.ModifyTableOps):
            ask_for_review(op)
        elif lines := review(op):
            commented.append(ReviewOp(*lines))
        commented.append(op)
    container.ops = commented


def review(op: ops.MigrateOperation) -> list[str]:
    """Return what to look at in an operation, in lines of a comment."""
    if lines := getattr(op, "review", None):  # of another room's
        return list(lines)
    match op:
        case ops.DropTableOp():
            return [f"REVIEW: loses the rows of {op.table_name}."]
        case ops.DropColumnOp():
            return [
                f"REVIEW: loses {op.table_name}.{op.column_name}; or has it a new name?"
            ]
        case ops.AddColumnOp() if needs_value(op.column):
            return [
                f"REVIEW: rows that are there have no value for {op.table_name}.{op.column.name}.",
                "Three steps: add it with nullable=True, fill it with op.execute(sa.update(...)),",
                "then alter_column(..., nullable=False). Or give it a server_default.",
            ]
        case ops.AlterColumnOp() if op.modify_nullable is False:
            return [
                f"REVIEW: rows may have no value for {op.table_name}.{op.column_name}:",
                "fill it first, with op.execute(sa.update(...)).",
            ]
    return []


def needs_value(column: Column[Any]) -> bool:
    return not column.nullable and column.server_default is None
