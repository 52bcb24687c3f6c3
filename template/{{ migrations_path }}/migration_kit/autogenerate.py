"""What autogenerate compares, and what it must never write."""

import logging
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from alembic import context
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import CheckConstraint, Connection
from sqlalchemy.schema import SchemaItem

from . import compare
from .command import get_command
from .models import tables_of
from .render import render_item

log = logging.getLogger(f"alembic.{__name__}")

ENUM_PLUGIN = "alembic_postgresql_enum"


def autogenerate_options(connection: Connection) -> dict[str, Any]:
    """Return the options of `context.configure` that autogenerate heeds."""
    return {
        # SQLite cannot alter a table in place: batch mode copies it.
        "render_as_batch": connection.dialect.name == "sqlite",
        "compare_server_default": True,
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
    """Let autogenerate create, alter and drop PostgreSQL's ENUM types; the import does it."""
    compares = get_command() in {"check", "revision"}
    if connection.dialect.name == "postgresql" and compares and find_spec(ENUM_PLUGIN):
        import_module(ENUM_PLUGIN)


def include_object(
    item: SchemaItem, name: str | None, kind: str, reflected: bool, compare_to: Any
) -> bool:
    """Leave out a CHECK that the database named itself: the model's has no name to compare.

    And one of a type, such as Boolean, which this database does without.
    """
    if not isinstance(item, CheckConstraint) or compare_to is not None:
        return True
    if not reflected:
        rule = item._create_rule
        return rule is None or bool(rule(context.get_context().impl))
    models = tables_of(context.get_context().opts["target_metadata"])
    return all(
        constraint.name
        for constraint in models[item.table.key].constraints
        if isinstance(constraint, CheckConstraint)
    )


def process_revision_directives(
    context: MigrationContext,
    revision: str | Iterable[str | None] | Iterable[str],
    directives: list[ops.MigrationScript],
) -> None:
    """Refuse a disaster, make the downgrade run, and write no empty revision.

    A function of env.py may have emptied `directives` before.

    Raises:
        CommandError: if no model is imported, which would drop every table.
    """
    script = next(iter(directives), None)
    if not script or script.upgrade_ops is None or script.downgrade_ops is None:
        return
    drops_table = any(isinstance(op, ops.DropTableOp) for op in script.upgrade_ops.ops)
    if drops_table and not tables_of(context.opts["target_metadata"]):
        raise CommandError(
            "no models are imported, so this would drop every table of the database; "
            "see that the import of Base in env.py imports the models"
        )
    for container in (script.upgrade_ops, script.downgrade_ops):
        put_in_working_order(container)
    if get_command() == "revision":
        if script.upgrade_ops.is_empty():
            log.info("Models and database agree: no revision is written")
            directives.clear()
        ask_for_review(script.upgrade_ops)


def put_in_working_order(container: ops.OpContainer) -> None:
    """Order operations so that MariaDB and MySQL can run them.

    They refuse to drop an index that a foreign key needs (error 1553): a table's indexes go with
    the table, and a foreign key goes before its index.
    """
    drops = [op for op in container.ops if isinstance(op, ops.DropTableOp)]
    dropped = {(op.schema, op.table_name) for op in drops}
    for table in container.ops:
        if not isinstance(table, ops.ModifyTableOps):
            continue
        if (table.schema, table.table_name) in dropped:
            table.ops = [op for op in table.ops if not isinstance(op, ops.DropIndexOp)]
        table.ops.sort(key=is_no_dropped_foreign_key)
    container.ops = [
        op for op in container.ops if not isinstance(op, ops.ModifyTableOps) or op.ops
    ]


def is_no_dropped_foreign_key(op: ops.MigrateOperation) -> bool:
    return (
        not isinstance(op, ops.DropConstraintOp) or op.constraint_type != "foreignkey"
    )


class ReviewOp(ops.MigrateOperation):
    """A comment in a revision, for whoever reviews it."""

    def __init__(self, comment: str) -> None:
        self.comment = comment


@renderers.dispatch_for(ReviewOp)
def render_review(context: AutogenContext, op: ReviewOp) -> str:
    """Render the comment."""
    return f"# {op.comment}"


def ask_for_review(container: ops.OpContainer) -> None:
    """Write a comment before each operation that loses data."""
    commented: list[ops.MigrateOperation] = []
    for op in container.ops:
        if isinstance(op, ops.DropTableOp):
            commented.append(ReviewOp(f"REVIEW: loses the rows of {op.table_name}."))
        elif isinstance(op, ops.DropColumnOp):
            column = f"{op.table_name}.{op.column_name}"
            commented.append(ReviewOp(f"REVIEW: loses {column}; or has it a new name?"))
        elif isinstance(op, ops.ModifyTableOps):
            ask_for_review(op)
        commented.append(op)
    container.ops = commented
