"""Autogenerate compares what the database has with what it makes of the models.

Tables that are equal are hidden from Alembic. Of the others, Alembic's operations are kept where
they say each difference as it is; the others are written in plain SQL.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from alembic import context as alembic_context
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import CheckConstraint, Connection, Table
from sqlalchemy.schema import SchemaItem

from ..catalogs import Catalog, Objects
from ..tables import schemas_of, tables_of
from . import ownership
from .differences import (
    NAMED_BY_DATABASE,
    NOT_IN_MODELS,
    Difference,
    differences,
)
from .kinds import kind_of
from .shadow import Models
from .statements import StatementsOp, put_around

log = logging.getLogger(f"alembic.{__name__}")

Place = tuple[str, str]

# Aspects of a column, each with the attribute of Alembic's operation, and its value for no change.
ALTERED = {
    "type": ("modify_type", None),
    "nullable": ("modify_nullable", None),
    "default": ("modify_server_default", False),
    "comment": ("modify_comment", False),
}
FILTERS = {
    "check": "check_constraint",
    "foreignkey": "foreign_key_constraint",
    "unique": "unique_constraint",
}


class Comparison:
    """The shadow of a run, and the differences that count.

    Attributes:
        equal: tables without a difference.
        kept: objects that no model has and that no revision made: they are left alone.
        inspected: tables as Alembic sees them, with its operations.
        unsaid: tables whose differences are written in plain SQL.
    """

    def __init__(
        self,
        context: AutogenContext,
        renamed: Callable[[Catalog], Catalog] = lambda catalog: catalog,
    ) -> None:
        connection, self.kind = context.connection, kind_of(context.dialect)
        assert connection is not None
        self.context = context
        options = context.migration_context.opts
        options["comparison"] = None  # that of a run before would hide its tables
        self.models = models_of(context, connection)
        shadow = self.kind.cast(connection, self.models)
        self.real, self.made = renamed(shadow.real), shadow.made
        self.equal: set[Place] = set()
        self.kept: list[str] = []
        self.inspected: dict[Place, tuple[Table, ops.ModifyTableOps]] = {}
        self.unsaid: set[Place] = set()
        for table, reason in shadow.not_made.items():
            self.made.pop(self.models.key(table), None)
            log.warning("%s: only Alembic's own comparison: %s", table.key, reason)
        if shadow.note:
            log.warning("only Alembic's own comparison: %s", shadow.note)
        self.tables = {self.models.key(table): table for table in self.models.tables}
        for schema in self.models.shown().values() if self.made else ():
            for catalog in (self.real, self.made):
                catalog.setdefault((schema, ""), {})
        for place in self.made.keys() & self.real.keys():
            table = self.tables.get(place)
            real, made = self.real[place], self.made[place]
            pair(real, made, names_of(table, connection))
            self.leave_alone(place, self.is_of_others)
            if not self.found(place):
                self.equal.add(place)
            elif table is None or table.is_view:
                self.unsaid.add(place)

    def hides(self, table: Table) -> bool:
        """Return whether Alembic need not see a table: it is equal, or a view."""
        return table.is_view or self.models.key(table) in self.equal

    def found(self, place: Place) -> list[Difference]:
        """Return the differences of a table, or of a schema's own objects."""
        return [*differences(place, self.real.get(place, {}), self.made.get(place, {}))]

    def differences_of(self, op: ops.MigrateOperation) -> Sequence[Difference]:
        """Return what an operation ends: statements, or those of a table."""
        if isinstance(op, ops.ModifyTableOps):
            place = op.schema or "", op.table_name
            return self.found(place) if place in self.inspected else ()
        return op.found if isinstance(op, StatementsOp) else ()

    def leave_alone(self, place: Place, is_left: Callable[[Difference], bool]) -> None:
        """Show objects of the models as the database has them."""
        real, made = self.real[place], self.made[place]
        left = {(one.kind, one.name) for one in self.found(place) if is_left(one)}
        for item in [one for one in (*made, *real) if one[:2] in left]:
            if item in real:
                made[item] = real[item]
            else:
                made.pop(item, None)

    def is_of_others(self, one: Difference) -> bool:
        """Return whether no model has an object, and no revision made it."""
        if one.kind in NOT_IN_MODELS:
            return True
        if one.model is not None or (one.kind, one.name) in {
            item[:2] for item in self.made[one.schema, one.table]
        }:
            return False
        if ownership.is_object_of_history(alembic_context.script, one.name):
            return False
        if one.table:
            self.kept.append(".".join(filter(None, [one.schema, one.table, one.name])))
        return True

    def settle(
        self, place: Place, inspected: Table, table_ops: ops.ModifyTableOps
    ) -> None:
        """Keep the operations that say the differences of a table, or write it in SQL."""
        table = self.tables[place]

        def is_left_out(one: Difference) -> bool:
            name, kind = one.name, FILTERS.get(one.kind, one.kind)
            ours, theirs = item_of(table, one), item_of(inspected, one)
            item = theirs if ours is None else ours
            return item is not None and not self.context.run_object_filters(
                item, name, kind, ours is None, None if ours is None else theirs
            )

        self.leave_alone(place, is_left_out)
        found = self.found(place)
        for one in found:
            log.info("Detected %s", one)
        said: list[Difference] = []
        kept: list[ops.MigrateOperation] = []
        for op in table_ops.ops:
            ends = [one for one in found if self.is_ended(one, op)]
            if isinstance(op, ops.AlterColumnOp):
                for aspect, (attribute, nothing) in ALTERED.items():
                    if aspect not in {one.aspect for one in ends}:
                        setattr(op, attribute, nothing)
            if ends:
                said += ends
                kept.append(op)
        for one in (one for one in found if one not in said):
            old, new = item_of(inspected, one), item_of(table, one)
            if isinstance(old, CheckConstraint) and isinstance(new, CheckConstraint):
                kept.append(ops.DropConstraintOp.from_constraint(old))
                kept.append(ops.CreateCheckConstraintOp.from_constraint(new))
                said.append(one)
        if all(one in said and self.kind.is_said(one) for one in found):
            table_ops.ops = kept
        else:
            table_ops.ops = []
            self.unsaid.add(place)

    def is_ended(self, one: Difference, op: ops.MigrateOperation) -> bool:
        """Return whether an operation is about a difference."""
        kind, name = object_of(op)
        if isinstance(op, ops.AlterColumnOp) and one.aspect in ALTERED:
            attribute, nothing = ALTERED[one.aspect]
            if getattr(op, attribute) is nothing:
                return False
        elif isinstance(op, ops.AlterColumnOp):
            return False
        alike = {"index", "unique"}  # MySQL has one for both
        return (one.kind == kind or {one.kind, kind} == alike) and (
            one.name.lower() == shown(name, self.context).lower()
        )

    def write(self, upgrade: ops.UpgradeOps) -> None:
        """Write what no operation of Alembic's says, around those that there are."""
        of_schema = any(not table for _, table in self.unsaid)
        for place, (inspected, table_ops) in self.inspected.items():
            self.settle(place, inspected, table_ops)
            if of_schema and table_ops.ops:
                table_ops.ops = []
                self.unsaid.add(place)
        upgrade.ops = [
            op
            for op in upgrade.ops
            if not isinstance(op, ops.ModifyTableOps) or not op.is_empty()
        ]
        views = {
            place for place, table in self.tables.items() if table.is_view
        } - self.equal
        places = sorted(self.unsaid | views & self.made.keys())
        found = [one for place in places for one in self.found(place)]
        if not found:
            return
        dialect = self.context.dialect
        assert dialect is not None
        changed = {place: self.made[place] for place in places}
        new: Catalog = {**self.real, **changed}
        statements = self.kind.statements
        up, down = (
            statements(self.real, new, dialect),
            statements(new, self.real, dialect),
        )
        put_around(upgrade.ops, up, down, found)


def models_of(context: AutogenContext, connection: Connection) -> Models:
    """Return the tables to compare: without those that env.py leaves out."""
    metadata = context.migration_context.opts["target_metadata"]
    default = connection.dialect.default_schema_name or "main"
    tables = [
        table
        for table in tables_of(metadata).values()
        if context.run_name_filters(table.name, "table", {"schema_name": table.schema})
        and context.run_object_filters(table, table.name, "table", False, None)
    ]
    given = connection.get_execution_options().get("schema_translate_map") or {}
    named = {None, *schemas_of(metadata)}
    return Models(tables, {name: given.get(name, name) or default for name in named})


def names_of(table: Table | None, connection: Connection) -> set[str]:
    """Return the names that constraints and indexes of a table have in the models."""
    if table is None:
        return set()
    preparer: Any = connection.dialect.identifier_preparer
    names = [preparer.format_index(index) for index in table.indexes]
    names += [preparer.format_constraint(one) for one in table.constraints if one.name]
    return {name.strip('"`').lower() for name in names if name}


def pair(real: Objects, made: Objects, named: set[str]) -> None:
    """Give objects the name that the database has, where the models do not name them.

    Names of primary and foreign keys do not count, as with Alembic.
    """
    for item, definition in list(made.items()):
        kind, name, aspect = item
        if kind not in NAMED_BY_DATABASE or aspect != "definition" or item in real:
            continue
        by_definition = kind in {"primary", "foreignkey"}
        if name.lower() in named and not by_definition:
            continue
        for other in real:
            free = other not in made and (by_definition or other[1] not in named)
            if other[0] == kind and real[other] == definition and free:
                for one in [one for one in made if one[:2] == (kind, name)]:
                    made[kind, other[1], one[2]] = made.pop(one)
                break


def object_of(op: ops.MigrateOperation) -> tuple[str, Any]:
    """Return kind and name of the object that an operation is about."""
    match op:
        case ops.AddColumnOp():
            return "column", op.column.name
        case ops.AlterColumnOp() | ops.DropColumnOp():
            return "column", op.column_name
        case ops.CreateIndexOp() | ops.DropIndexOp():
            return "index", op.index_name
        case ops.DropConstraintOp() | ops.AddConstraintOp():
            kind = op.constraint_type or ""  # type: ignore[union-attr]
            return kind, op.constraint_name  # type: ignore[union-attr]
        case ops.CreateTableCommentOp() | ops.DropTableCommentOp():
            return "table", ""
    return "", ""


def shown(name: Any, context: AutogenContext) -> str:
    """Return a name as the database shows it: a long one is cut."""
    assert context.dialect is not None
    preparer: Any = context.dialect.identifier_preparer
    rendered = preparer.truncate_and_render_constraint_name(name) if name else ""
    return str(rendered).strip('"`')


def item_of(table: Table, one: Difference) -> SchemaItem | None:
    """Return the column, index or constraint of a table that a difference is about."""
    items: Iterable[Any] = (*table.columns, *table.indexes, *table.constraints)
    found = (each for each in items if str(each.name).lower() == one.name.lower())
    return next(found, None) if one.name else None


def comparisons(context: AutogenContext) -> Iterator[Comparison]:
    """Yield the comparison of this run, if there is a database to compare with."""
    comparison = context.migration_context.opts.get("comparison")
    if comparison is not None and context.connection is not None:
        yield comparison


def compare_catalogs(
    context: AutogenContext, upgrade: ops.UpgradeOps, schemas: Any
) -> PriorityDispatchResult:
    """Cast the shadow, before Alembic puts copies of constraints on tables of the models."""
    context.migration_context.opts["comparison"] = Comparison(context)
    return PriorityDispatchResult.CONTINUE


def remember(
    context: AutogenContext,
    table_ops: ops.ModifyTableOps,
    schema: str | None,
    name: str,
    inspected: Table | None,
    modelled: Table | None,
) -> PriorityDispatchResult:
    """Remember the operations of a table; Alembic adds those that drop columns later."""
    place = schema or "", str(name)
    if modelled is not None and inspected is None:
        there = {object_of(op) for op in table_ops.ops}
        table_ops.ops += [  # Alembic leaves those of expressions out on SQLite
            ops.CreateIndexOp.from_index(index)
            for index in sorted(modelled.indexes, key=lambda one: str(one.name))
            if ("index", index.name) not in there
        ]
    for comparison in comparisons(context):
        if modelled is not None and inspected is not None and place in comparison.made:
            comparison.inspected[place] = inspected, table_ops
    return PriorityDispatchResult.CONTINUE


def write_the_rest(
    context: AutogenContext, upgrade: ops.UpgradeOps, schemas: Any
) -> PriorityDispatchResult:
    """Write in SQL what Alembic's operations do not say."""
    for comparison in comparisons(context):
        comparison.write(upgrade)
    return PriorityDispatchResult.CONTINUE


plugin = Plugin(__name__)
plugin.add_autogenerate_comparator(
    compare_catalogs, "schema", priority=DispatchPriority.FIRST
)
plugin.add_autogenerate_comparator(remember, "table", priority=DispatchPriority.LAST)
plugin.add_autogenerate_comparator(
    write_the_rest, "schema", priority=DispatchPriority.LAST
)
