"""Autogenerate compares the database with what the database makes of the models.

Tables that are equal are hidden from Alembic. Of the others, Alembic's operations are kept where
they say each difference as it is; else the table is written in plain SQL.
"""

import logging
import re
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

from alembic import context as alembic_context
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Constraint,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)

from ..catalogs import Catalog
from ..tables import is_view, schemas_of, tables_of
from . import ownership
from .differences import NOT_IN_MODELS, Difference, Place, differences, pair
from .kinds import kind_of
from .render import BOUND
from .shadow import Models
from .statements import put_around

log = logging.getLogger(f"alembic.{__name__}")

# What a difference is about; MySQL has one kind for indexes and UNIQUE.
CLASSES: dict[str, Any] = {
    "column": Column,
    "index": (Index, UniqueConstraint),
    "unique": (Index, UniqueConstraint),
    "check": CheckConstraint,
    "foreignkey": ForeignKeyConstraint,
    "primary": PrimaryKeyConstraint,
}

REFERENCES = re.compile(r"REFERENCES (?:\S+\.)?\W?([\w$]+)\W*(\(.*?\))")

# Aspects of a column that env.py may compare itself.
USERS = {"type": "types", "default": "server_default"}


class Comparison:
    """The shadow of a run, and the differences that count.

    Args:
        context: of autogenerate.
        renamed: shows the database with new names.

    Attributes:
        real, made: the catalogs of the database and of the models.
        tables: those of the models, by their place in a catalog.
        hidden: tables that Alembic need not see: they are equal, or views.
        inspected: tables with differences as Alembic sees them, and its operations.
        operations: all those of Alembic's, also of what is written in plain SQL.
        unsaid: places whose differences are written in plain SQL.
        asked: columns of which Alembic left a comparison to the kit.
        kept: objects that are left alone, as no model has them and no revision made them.
    """

    def __init__(
        self,
        context: AutogenContext,
        renamed: Callable[[Catalog], Catalog] = lambda catalog: catalog,
    ) -> None:
        connection, options = context.connection, context.migration_context.opts
        assert connection is not None
        options["comparison"] = None  # that of a run before would hide its tables
        self.context, self.dialect = context, connection.dialect
        self.models = models_of(context, connection)
        self.models.renamed = renamed
        self.tables = {self.models.key(table): table for table in self.models.tables}
        shadow = kind_of(self.dialect).cast(connection, self.models)
        self.real, self.made = shadow.real, shadow.made
        self.operations: list[ops.MigrateOperation] = []
        self.inspected: dict[Place, tuple[Table, ops.ModifyTableOps]] = {}
        self.kept: list[str] = []
        self.asked: set[tuple[str, str, str]] = set()
        for table, reason in shadow.not_made.items():
            self.made.pop(self.models.key(table), None)
            log.warning("compared by Alembic alone: %s, because %s", table.key, reason)
        if shadow.note:
            log.warning("compared by Alembic alone: %s", shadow.note)
        if self.made:
            for schema in self.models.shown().values():
                for catalog in (self.real, self.made):
                    catalog.setdefault((schema, ""), {})
            for place in self.real.keys() - self.made.keys():
                view = self.real[place]
                if ownership.is_view_of_autogenerate(alembic_context.script, view):
                    self.made[place] = {}  # its model is gone
        places = self.made.keys() & self.real.keys()
        for place in places:
            modelled = self.tables.get(place)
            pair(self.real[place], self.made[place], modelled, self.dialect)
            self.leave_alone(place, self.is_of_others)
        functions = map(options.get, ("compare_type", "compare_server_default"))
        asks_user = any(map(callable, functions))
        equal = {place for place in places if not (asks_user or self.found(place))}
        views = {place for place, table in self.tables.items() if is_view(table)}
        self.hidden = equal | views
        self.unsaid = self.made.keys() - equal - (self.tables.keys() - views)

    def found(self, place: Place) -> list[Difference]:
        """Return the differences of a table, or of the objects of a schema."""
        real, made = self.real.get(place, {}), self.made.get(place, {})
        return [*differences(place, real, made)]

    def leave_alone(self, place: Place, is_left: Callable[[Difference], bool]) -> None:
        """Take objects from the models that are left alone, and give them those there are."""
        real, made = self.real[place], self.made[place]
        left = {(one.kind, one.name) for one in self.found(place) if is_left(one)}
        for item in [one for one in made if one[:2] in left]:
            del made[item]
        made |= {item: value for item, value in real.items() if item[:2] in left}

    def is_of_others(self, one: Difference) -> bool:
        """Return whether no model has an object, and no revision made it."""
        place = one.schema, one.table
        if one.kind in NOT_IN_MODELS:
            return True
        if any(item[:2] == (one.kind, one.name) for item in self.made[place]):
            return False
        script, table = alembic_context.script, self.tables.get(place)
        convention = table.metadata.naming_convention if table is not None else {}
        if one.kind == "index" and re.search(r"(?i)\(.*\(| where ", one.real or ""):
            # Models often cannot say an index of expressions that a revision made by SQL.
            made = ownership.is_named_by_revision(script, one.name)
        else:
            made = ownership.is_made(script, one.table, one.kind, one.name, convention)
        if made:
            return False
        name = ".".join(filter(None, [one.schema, one.table, one.name]))
        if one.table and name not in self.kept:
            self.kept.append(name)
        return True

    def settle(
        self, place: Place, inspected: Table, table_ops: ops.ModifyTableOps
    ) -> None:
        """Keep the operations that say the differences of a table, or write it in SQL."""
        table, kind = self.tables[place], kind_of(self.dialect)
        self.leave_alone(place, lambda one: self.is_left_out(one, table, inspected))
        found = self.found(place)
        drops: list[ops.MigrateOperation] = []
        creates: list[ops.MigrateOperation] = []
        is_said = True
        for one in found:
            log.info("Detected %s", one)
            old, new = (self.item_of(side, one) for side in (inspected, table))
            if one.aspect == "definition" and not getattr(new, "_type_bound", False):
                is_said &= (old is not None) == (one.real is not None)
                is_said &= (new is not None) == (one.model is not None)
                if old is not None:
                    drops.append(drop(old))
                if new is not None:
                    creates.append(drop(new).reverse())
            else:
                is_said &= any(is_about(op, one) for op in table_ops.ops)
            # Reflection takes what follows a colon for a parameter.
            is_said &= kind.is_said(one) and not BOUND.search(one.real or "")
        others = [
            op
            for op in table_ops.ops
            if any(is_about(op, one) for one in found) or self.is_of_user(op)
        ]
        table_ops.ops = [*drops, *others, *creates] if is_said else []
        table_ops.info["found"] = found  # for `alembic check`, and what rows decide
        if not is_said:
            self.unsaid.add(place)

    def depends(self, place: Place) -> bool:
        """Return whether SQL changes a type, or a key refers to what changes as well."""
        changed = {one.kind for each in self.unsaid for one in self.found(each)}
        tables = {table for _, table in self.unsaid}
        return bool(changed & {"domain", "enum"} or self.bases(place)) or any(
            table in tables for table, _ in self.keys(place)
        )

    def keys(self, place: Place) -> set[tuple[str, str]]:
        """Return table and columns to which each foreign key that differs refers."""
        keys = [one for one in self.found(place) if one.kind == "foreignkey"]
        return {
            *REFERENCES.findall(" ".join(f"{one.real} {one.model}" for one in keys))
        }

    def bases(self, place: Place) -> set[Place]:
        """Return tables whose unique constraints change, and to which new keys refer."""
        return {
            other
            for other in (self.inspected if self.dialect.supports_alter else ())
            for one in self.found(other)
            if one.kind in {"index", "primary", "unique"}
            for table, columns in self.keys(place)
            if table == one.table and columns in f"{one.real} {one.model}"
        }

    def is_left_out(self, one: Difference, table: Table, inspected: Table) -> bool:
        """Return whether env.py leaves an object out, as Alembic asks for it."""
        ours, theirs = self.item_of(table, one), self.item_of(inspected, one)
        if isinstance(ours, Column) and theirs is not None and one.aspect in USERS:
            # A function of env.py that compares has found nothing.
            return (one.table, one.name, one.aspect) not in self.asked
        item, kind = theirs if ours is None else ours, one.kind
        context: Any = self.context  # its type names no other kinds
        if kind not in {"column", "index"}:
            kind = f"{kind.replace('foreign', 'foreign_')}_constraint"
        return item is not None and not context.run_object_filters(
            item, one.name, kind, ours is None, None if ours is None else theirs
        )

    def is_of_user(self, op: ops.MigrateOperation) -> bool:
        """Return whether a function of env.py says that a column differs."""
        return isinstance(op, ops.AlterColumnOp) and any(
            (op.table_name, op.column_name, aspect) not in self.asked
            for aspect in altered_by(op) & USERS.keys()
        )

    def item_of(self, table: Table, one: Difference) -> Any:
        """Return the column, index or constraint of a table that a difference is about, or None."""
        items: Any = (*table.columns, *table.indexes, *table.constraints)
        if one.kind == "unique":  # reflection shows its index as well
            items = reversed(items)
        preparer: Any = self.dialect.identifier_preparer
        for item in items:
            if item.name and isinstance(item, CLASSES.get(one.kind, Constraint)):
                column = isinstance(item, Column)
                shown = item.name if column else preparer.format_constraint(item)
                if str(shown).strip('"`').lower() == one.name.lower():
                    return item
        return None

    def write(self, upgrade: ops.UpgradeOps) -> None:
        """Write what no operation of Alembic's says, around those that there are."""
        self.operations = [copy(op) for op in upgrade.ops]
        kind = kind_of(self.dialect)
        for op in upgrade.ops:
            if isinstance(op, ops.DropTableOp) and ownership.is_made_by_revision(
                alembic_context.script, op.table_name, op.schema
            ):  # its keys go with it, before what they refer to
                objects = self.real.get((op.schema or "", op.table_name), {})
                for item in [one for one in objects if one[0] == "foreignkey"]:
                    del objects[item]
        for place, (inspected, table_ops) in self.inspected.items():
            self.settle(place, inspected, table_ops)
        created = self.made.keys() - self.real.keys()
        for place in created:  # its operation has its keys, and comes first
            self.unsaid |= self.bases(place)
        said = self.inspected.keys() - self.unsaid
        while depends := {place for place in said if self.depends(place)}:
            said -= depends
            self.unsaid |= depends
        for place in self.inspected.keys() - said:
            self.inspected[place][1].ops = []
        new = {place for place in created if not kind.creates(self.made[place])}
        self.unsaid |= new
        upgrade.ops = [
            op
            for op in upgrade.ops
            if not isinstance(op, ops.CreateTableOp | ops.ModifyTableOps)
            or ((op.schema or "", op.table_name) not in new | self.inspected.keys())
        ]
        upgrade.ops += [one for _, one in self.inspected.values() if one.ops]
        found = [one for place in sorted(self.unsaid) for one in self.found(place)]
        if found:
            wanted = self.real | {place: self.made[place] for place in self.unsaid}
            wanted = {place: objects for place, objects in wanted.items() if objects}
            up = kind.statements(self.real, wanted, self.dialect)
            down = kind.statements(wanted, self.real, self.dialect)
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
    schemas = {name: given.get(name, name) or default for name in named}
    return Models(tables, schemas)


def is_about(op: ops.MigrateOperation, one: Difference) -> bool:
    """Return whether an operation of Alembic's ends a difference of a column or a comment."""
    match op:
        case ops.AddColumnOp():
            return (one.kind, one.name.lower()) == ("column", op.column.name.lower())
        case ops.DropColumnOp():
            return (one.kind, one.name.lower()) == ("column", op.column_name.lower())
        case ops.AlterColumnOp():
            is_altered = one.aspect in altered_by(op)
            return is_altered and (one.kind, one.name) == ("column", op.column_name)
        case ops.CreateTableCommentOp() | ops.DropTableCommentOp():
            return (one.kind, one.aspect) == ("table", "comment")
    return False


def altered_by(op: ops.AlterColumnOp) -> set[str]:
    """Return the aspects of a column that an operation alters."""
    return {one[0].removeprefix("modify_") for one in op.to_diff_tuple()}


def drop(item: Any) -> ops.MigrateOperation:
    """Return what drops an index or a constraint, and creates it in the downgrade."""
    if isinstance(item, Index):
        return ops.DropIndexOp.from_index(item)
    return ops.DropConstraintOp.from_constraint(item)


def cast_shadow(
    context: AutogenContext, upgrade: ops.UpgradeOps, schemas: Any
) -> PriorityDispatchResult:
    """Compare the catalogs, before Alembic puts copies of constraints on tables of the models."""
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
    comparison: Comparison = context.migration_context.opts["comparison"]
    place = schema or "", str(name)
    if modelled is not None and inspected is None:
        # Alembic leaves those of expressions out on SQLite.
        indexes = sorted(modelled.indexes, key=lambda one: str(one.name))
        table_ops.ops = [
            op for op in table_ops.ops if not isinstance(op, ops.CreateIndexOp)
        ] + [ops.CreateIndexOp.from_index(index) for index in indexes]
    elif inspected is not None and place in comparison.made:
        comparison.inspected[place] = inspected, table_ops
    return PriorityDispatchResult.CONTINUE


def compare_column(
    aspect: str, context: AutogenContext, alter: ops.AlterColumnOp, *of_column: Any
) -> PriorityDispatchResult:
    """Say that a column differs if it differs in the catalogs, in place of Alembic."""
    schema, table, name, inspected, modelled = of_column
    comparison: Comparison = context.migration_context.opts["comparison"]
    place = schema or "", table
    real, made = comparison.real.get(place), comparison.made.get(place)
    if not real or not made:
        return PriorityDispatchResult.CONTINUE
    comparison.asked.add((table, name, aspect))
    item = "column", name, aspect
    differs = real.get(item) != made.get(item)
    if aspect == "type":
        alter.existing_type = inspected.type
        alter.modify_type = modelled.type if differs else None
    else:
        alter.existing_server_default = inspected.server_default
        alter.modify_server_default = modelled.server_default if differs else False
        if modelled.table.autoincrement_column is modelled:
            alter.kw["autoincrement"] = True
    return PriorityDispatchResult.STOP


def write_the_rest(
    context: AutogenContext, upgrade: ops.UpgradeOps, schemas: Any
) -> PriorityDispatchResult:
    """Write in SQL what Alembic's operations do not say."""
    context.migration_context.opts["comparison"].write(upgrade)
    return PriorityDispatchResult.CONTINUE


plugin = Plugin(__name__)
first = partial(plugin.add_autogenerate_comparator, priority=DispatchPriority.FIRST)
last = partial(plugin.add_autogenerate_comparator, priority=DispatchPriority.LAST)
first(cast_shadow, "schema")
for aspect, group in USERS.items():
    first(partial(compare_column, aspect), "column", group)
last(remember, "table")
last(write_the_rest, "schema")
