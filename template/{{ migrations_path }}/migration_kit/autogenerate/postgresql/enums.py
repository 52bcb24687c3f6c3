"""Whole ENUM types: alembic-postgresql-enum creates and drops them, `statements` changes them."""

import logging

from alembic import context
from alembic.operations import ops
from alembic_postgresql_enum import Config, set_configuration
from alembic_postgresql_enum.operations.create_enum import CreateEnumOp
from alembic_postgresql_enum.operations.drop_enum import DropEnumOp

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


set_configuration(Config(include_name=is_ours, detect_enum_values_changes=False))


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
