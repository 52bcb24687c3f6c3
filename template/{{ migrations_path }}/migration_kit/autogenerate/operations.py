"""What autogenerate compares, and what it must never write."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from alembic import context
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, Table
from sqlalchemy.schema import SchemaItem

from ..command import get_command, refuse_long_identifier
from ..tables import full_name, make_tables_of_listeners, schemas_of, tables_of
from . import ownership, render
from .compare import plugin
from .kinds import kind_of
from .review import ReviewOp, ask_for_review
from .statements import explained

log = logging.getLogger(f"alembic.{__name__}")


def autogenerate_options(connection: Connection) -> dict[str, Any]:
    """Return the options of `context.configure` that autogenerate heeds."""
    make_tables_of_listeners()
    kind_of(connection.dialect)  # its module may have comparators
    return {
        # SQLite cannot alter a table in place: batch mode copies it.
        "render_as_batch": not connection.dialect.supports_alter,
        "compare_server_default": True,
        "include_schemas": True,
        "include_name": include_name,
        "include_object": include_object,
        "render_item": render.render_item,
        "autogenerate_plugins": [
            "alembic.autogenerate.*",
            "alembic.ext.checkconstraint_byname",
            plugin.name,
        ],
        "process_revision_directives": process_revision_directives,
    }


def include_name(name: str | None, kind: str, parents: Mapping[str, Any]) -> bool:
    """Look into the schemas that the models name, or a revision: no others belong to it.

    Tables that are equal need not be looked at.
    """
    migration = context.get_context()
    if kind == "table":
        comparison = migration.opts.get("comparison")
        place = parents["schema_name"] or "", name
        return comparison is None or place not in comparison.hidden
    if kind != "schema" or name is None:
        return True
    models = schemas_of(migration.opts["target_metadata"])
    operations = ownership.operations_of(context.script)
    return name in models or any(name == schema for *_, schema in operations)


def include_object(
    item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any
) -> bool:
    """Leave out tables that are equal, and tables and views of something else."""
    migration = context.get_context()
    comparison = migration.opts.get("comparison")
    if kind == "check_constraint" and comparison and comparison.made:
        # Of a table that is not made Alembic takes names of the server for dropped CHECKs.
        table = getattr(item.parent, "table", item.parent)  # it may be in a column
        return (table.schema or "", table.name) in comparison.made
    if isinstance(item, Table) and not reflected and comparison:
        return comparison.models.key(item) not in comparison.hidden
    if not reflected or compare_to is not None:
        return True
    if isinstance(item, Table):
        assert migration.connection is not None
        return not ownership.is_of_something_else(migration.connection, item)
    if not isinstance(item, SchemaItem):  # of alembic_utils: a view, a function, ...
        return ownership.is_named_by_revision(context.script, item.signature)
    return True


def process_revision_directives(
    migration: MigrationContext,
    revision: str | Iterable[str | None] | Iterable[str],
    directives: list[ops.MigrationScript],
) -> None:
    """Refuse a disaster, drop no table that others made, and make the revision run both ways.

    A function of env.py may have emptied `directives` before.

    Raises:
        CommandError: if no model is imported, which would drop every table.
    """
    script = next(iter(directives), None)
    comparison = migration.opts.get("comparison")
    if not script or script.upgrade_ops is None or comparison is None:
        return
    refuse_long_identifier(script.rev_id or "", "--rev-id")
    upgrade = script.upgrade_ops
    kept = [*make_run(migration, script), *comparison.kept]
    if kept:
        log.warning(
            "left alone, because no model and no revision has them: %s. "
            "Leave them out with include_object in env.py",
            ", ".join(kept),
        )
    drops_table = any(isinstance(op, ops.DropTableOp) for op in upgrade.ops)
    if drops_table and not tables_of(migration.opts["target_metadata"]):
        raise CommandError(
            "refused to drop every table: no models are loaded. "
            "Import them in the module that env.py imports Base from"
        )
    render.write_texts(migration)
    if get_command() == "check":
        upgrade.ops = [one for op in upgrade.ops for one in explained(op)]
    if get_command() == "revision":
        if upgrade.is_empty():
            log.info("Models and database agree: no revision is written")
            directives.clear()
        ask_for_review(upgrade, kind_of(migration.dialect).copies)
        alone = "is left alone: no model and no revision has it."
        upgrade.ops[:0] = [ReviewOp(f"REVIEW: {name} {alone}") for name in kept]


def make_run(migration: MigrationContext, script: ops.MigrationScript) -> list[str]:
    """Let the operations run both ways, and return the names of tables that they leave alone.

    Those are the ones that no revision makes.
    """
    upgrade, downgrade = script.upgrade_ops, script.downgrade_ops
    assert upgrade is not None
    assert downgrade is not None
    others = {
        (op.schema, op.table_name)
        for op in upgrade.ops
        if isinstance(op, ops.DropTableOp)
        and not ownership.is_made_by_revision(context.script, op.table_name, op.schema)
    }
    for container in (upgrade, downgrade):
        container.ops = [
            op
            for op in container.ops
            if (getattr(op, "schema", None), getattr(op, "table_name", None))
            not in others
        ]
        kind_of(migration.dialect).complete(migration, container)
        render.write_checks_of_columns(container)
    return sorted(full_name(schema, table) for schema, table in others)
