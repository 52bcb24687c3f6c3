"""Whole ENUM types: alembic-postgresql-enum creates and drops them, `statements` changes them."""

import logging
from collections.abc import Iterable

from alembic import context
from alembic.autogenerate import comparators
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import DispatchPriority
from alembic_postgresql_enum import Config, set_configuration
from alembic_postgresql_enum.operations.add_enum_values import AddEnumValuesOp
from alembic_postgresql_enum.operations.create_enum import CreateEnumOp
from alembic_postgresql_enum.operations.drop_enum import DropEnumOp
from alembic_postgresql_enum.operations.sync_enum_values import SyncEnumValuesOp

from ...tables import tables_of
from ..ownership import is_named_by_revision
from ..shadow import Shadow

# It says so of each other database that the process compares.
logging.getLogger("alembic.alembic_postgresql_enum.compare_dispatch").addFilter(
    lambda record: "only supports postgresql" not in record.getMessage()
)


def is_ours(name: str) -> bool:
    """Return whether an ENUM type is in the models or in a revision."""
    tables = tables_of(context.get_context().opts["target_metadata"]).values()
    types = (column.type for table in tables for column in table.columns)
    models = {getattr(getattr(kind, "item_type", kind), "name", None) for kind in types}
    return name in models or is_named_by_revision(context.script, name)


set_configuration(Config(include_name=is_ours))


@comparators.dispatch_for("schema", priority=DispatchPriority.LAST)
def leave_values_to_statements(
    context: AutogenContext, upgrade: ops.UpgradeOps, _: Iterable[str | None]
) -> None:
    """Take out changes of values that the shadow shows as well."""
    comparison = context.migration_context.opts.get("comparison")

    def is_shown(op: ops.MigrateOperation) -> bool:
        if not comparison or not isinstance(op, AddEnumValuesOp | SyncEnumValuesOp):
            return False
        place = comparison.models.shown().get(op.schema, ""), ""
        return ("enum", op.name, "definition") in comparison.made.get(place, {})

    upgrade.ops = [op for op in upgrade.ops if not is_shown(op)]


def position(op: ops.MigrateOperation) -> int:
    """Return where an operation must be: types come before all else, and go last."""
    return isinstance(op, DropEnumOp) - isinstance(op, CreateEnumOp)


def show_on_both_sides(shadow: Shadow) -> None:
    """Show types of one side on the other one: operations of the library make or drop them."""
    for place in [one for one in (*shadow.real, *shadow.made) if not one[1]]:
        sides = [one.setdefault(place, {}) for one in (shadow.real, shadow.made)]
        for one, two in (sides, sides[::-1]):
            for item in [item for item in one if item[0] == "enum" and item not in two]:
                two[item] = one[item]
