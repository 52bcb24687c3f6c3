"""Writes the code of a revision that makes what a database has.

Tables become `op.create_table`, as autogenerate writes it. What a database made of that code lacks,
or has otherwise, is written as a statement of the database's own.
"""

import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from alembic.autogenerate import render_op_text
from alembic.autogenerate.api import AutogenContext
from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import (
    Connection,
    Constraint,
    Index,
    MetaData,
    Table,
    event,
    func,
    select,
    text,
)
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from sqlalchemy.sql.elements import conv

from ..autogenerate.render import BOUND, write_texts
from ..tables import full_name
from .definitions import Definition, Definitions, Kind, kind_of

LONG = 70  # characters of a statement that go into a line of a revision


@dataclass(frozen=True)
class Step:
    """A part of a revision.

    Attributes:
        name: what it makes, for a person.
        table: the table that it makes with an operation; empty for a plain statement.
        upgrade: code that makes it.
        downgrade: code that removes it; empty where it goes with something else.
    """

    name: str
    table: str
    upgrade: str
    downgrade: str


class Rebuild:
    """Code that makes what a database has; it learns from what a trial lacks.

    Args:
        kind: that of the database.
        expected: what the database has.
        tables: its tables, as `reflect_tables` found them.
    """

    def __init__(self, kind: Kind, expected: Definitions, tables: list[Table]) -> None:
        self.kind = kind
        self.expected = expected
        self.tables = tables
        # Written as a statement of the database's own: these tables, and these objects.
        self.plain_tables = {
            definition.table
            for definition in expected.values()
            if definition.kind == "partition" or " PARTITION BY " in definition.create
        }
        self.plain = {
            definition.key
            for definition in expected.values()
            if definition.kind not in self.kind.of_tables
            or (definition.kind == "sequence" and not definition.table)
        }
        known = {full_name(table.schema, table.name) for table in tables}
        named = {name for type_, name in expected if type_ == "table"}
        self.plain_tables |= named - known

    def is_plain(self, definition: Definition) -> bool:
        """Return whether an object is made by a statement of the database's own."""
        return definition.key in self.plain or definition.table in self.plain_tables

    def steps(self, context: AutogenContext) -> list[Step]:
        """Return the parts of the revision, in an order in which most of them can run."""
        found: dict[str, list[Step]] = defaultdict(list)
        for definition in self.expected.values():
            if self.is_plain(definition) and definition.kind != "table":
                found[definition.kind].append(statement_step(definition))
        waits = any(" DEFERR" in one.create for one in self.expected.values())
        if found["rows"] and waits and self.kind.after_rows:
            check = render_statement(self.kind.after_rows)
            found["rows"].append(Step("checks of rows", "", check, ""))
        creates: list[ops.MigrateOperation] = [
            ops.CreateTableOp.from_table(table)
            for table in self.tables
            if full_name(table.schema, table.name) not in self.plain_tables
        ]
        creates = self.kind.open_circles(creates)
        by_table = {
            full_name(op.schema, op.table_name): op
            for op in creates
            if isinstance(op, ops.CreateTableOp)
        }
        for table in self.tables:
            name = full_name(table.schema, table.name)
            if name in by_table:
                found["table"].append(operation_step(context, by_table[name], name))
                found["table"] += self.index_steps(context, table)
        for kind, name in self.expected:
            if kind == "table" and name in self.plain_tables:
                found["table"].append(statement_step(self.expected[kind, name]))
        for op in creates:
            if isinstance(op, ops.CreateForeignKeyOp):
                name = full_name(op.kw.get("source_schema"), op.source_table)
                found["foreign key"].append(operation_step(context, op, name))
        return [step for kind in self.kind.objects for step in found[kind]]

    def index_steps(self, context: AutogenContext, table: Table) -> Iterator[Step]:
        """Yield the indexes of a table, without those that a statement makes."""
        name = full_name(table.schema, table.name)
        plain = {key.rpartition(".")[2] for kind, key in self.plain if kind == "index"}
        if self.kind.has_index_of_key:
            plain |= {str(key.name) for key in table.foreign_key_constraints}
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            if index.name not in plain:
                op = ops.CreateIndexOp.from_index(index)
                yield Step(f"index {index.name}", name, render_op_text(context, op), "")

    def learn(self, missing: list[Definition], beside: list[Definition]) -> None:
        """Write as statements what a trial did not make, or made otherwise.

        Args:
            missing: what a trial lacks, or has otherwise.
            beside: what a trial has, and the database has not.

        Raises:
            CommandError: naming what a statement does not make, either.
        """
        lost = [
            definition
            for definition in missing
            if not definition.create or self.is_plain(definition)
        ]
        lost += [
            definition
            for definition in beside
            if not definition.table or definition.table in self.plain_tables
        ]
        if lost:
            names = ", ".join(sorted({str(definition) for definition in lost})[:9])
            raise CommandError(
                f"nothing was squashed: the new revision would differ in {names}. "
                "Squash up to an earlier revision"
            )
        for definition in missing:
            if definition.kind in {"table", "foreign key"}:
                self.plain_tables.add(definition.table)
            else:
                self.plain.add(definition.key)
        self.plain_tables |= {definition.table for definition in beside}
        same = [one for one in missing if one.kind == "constraint" and one.table]
        self.plain_tables |= {one.table for one in same if self.has_constraint(one)}

    def learn_of_errors(self, errors: dict[str, Exception]) -> None:
        """Write as statements the tables that no operation could make.

        Args:
            errors: those of a trial, by the name of a table or another object.

        Raises:
            CommandError: with the first error, if a statement of the database's own fails.
        """
        tables = {name for name in errors if ("table", name) in self.expected}
        if tables <= self.plain_tables:
            name, error = next(iter(errors.items()))
            reason = str(getattr(error, "orig", error)).partition("\n")[0]
            raise CommandError(
                f"nothing was squashed: {name} failed with {reason}. "
                "Squash up to an earlier revision"
            )
        # A table that refers to another one fails where that one does.
        self.plain_tables |= {
            name
            for name in tables
            if not any(other in tables for other in self.referred(name))
        }

    def referred(self, name: str) -> set[str]:
        """Return the names of the other tables that a table refers to."""
        found = {
            full_name(key.referred_table.schema, key.referred_table.name)
            for table in self.tables
            if full_name(table.schema, table.name) == name
            for key in table.foreign_key_constraints
        }
        return found - {name}

    def has_constraint(self, definition: Definition) -> bool:
        """Return whether `op.create_table` makes a constraint, though not rightly."""
        return any(
            f"{definition.table}.{constraint.name}" == definition.name
            for table in self.tables
            if full_name(table.schema, table.name) == definition.table
            for constraint in table.constraints
        )


def statement_step(definition: Definition) -> Step:
    """Return what makes an object by a statement of the database's own."""
    drop = render_statement(definition.drop) if definition.drop else ""
    return Step(str(definition), "", render_statement(definition.create), drop)


def operation_step(context: AutogenContext, op: Any, table: str) -> Step:
    """Return what makes a table, or a foreign key of it, by an operation of Alembic's."""
    downgrade = render_op_text(context, op.reverse())
    return Step(f"table {table}", table, render_op_text(context, op), downgrade)


def render_statement(statement: str) -> str:
    """Write a statement for a revision; a colon before a word would begin a parameter."""
    escaped = BOUND.sub(r"\\:", statement)
    readable = re.sub(r"[\n\t]", "", escaped).isprintable() and '"""' not in escaped
    long = "\n" in escaped or len(escaped) > LONG
    if long and readable and not escaped.endswith(("\\", '"')):
        prefix = "r" if "\\" in escaped else ""
        return f'op.execute(\n    {prefix}"""\n{escaped}\n"""\n)'
    return f"op.execute({escaped!r})"


def indent(code: str) -> str:
    """Indent code for a function's body, but no line of a statement in it."""
    if not code.startswith("op.execute(\n"):
        return code.replace("\n", "\n    ")
    before, statement, after = code.split('"""')
    return '"""'.join([indent_lines(before), statement, indent_lines(after)])


def indent_lines(code: str) -> str:
    return code.replace("\n", "\n    ")


def new_context(migration: MigrationContext) -> AutogenContext:
    """Return what renders operations, with the options of env.py."""
    write_texts(migration)
    options = migration.opts | {"render_item": render_item(migration)}
    return AutogenContext(migration, opts=options)


def render_item(migration: MigrationContext) -> Callable[..., Any]:
    """Return the renderer of env.py, except for types that a statement makes before."""
    others, own = migration.opts["render_item"], kind_of(connection_of(migration))

    def render(kind: str, item: Any, context: AutogenContext) -> Any:
        code = own.render_type(item, context) if kind == "type" else ""
        return code or others(kind, item, context)

    return render


def try_steps(
    migration: MigrationContext, context: AutogenContext, steps: list[Step]
) -> tuple[list[Step], dict[str, Exception]]:
    """Run parts of a revision, each as soon as the database takes it.

    Args:
        migration: on an empty database.
        context: that rendered the parts.
        steps: in an order in which most can run.

    Returns:
        The parts in an order in which all can run, and the errors of those that never could, by
        the table that an operation would make, else by the name of what a statement would.
    """
    connection = connection_of(migration)
    kind = kind_of(connection)
    names: dict[str, Any] = {"op": Operations(migration), "sa": sqlalchemy}
    run("\n".join(context.imports), names)
    done: list[Step] = []
    while steps:
        errors: dict[Step, Exception] = {}
        for step in steps:
            try:
                with kind.trial(connection):
                    run(step.upgrade, names)
            except (SQLAlchemyError, TypeError, AttributeError, NameError) as error:
                # Of the database, or of code for a type that has no name to import.
                errors[step] = error
                migration.impl.memo.clear()  # of types that it takes for made
            else:
                done.append(step)
        if len(errors) == len(steps):
            return done, {step.table or step.name: errors[step] for step in errors}
        steps = list(errors)
    return done, {}


def connection_of(migration: MigrationContext) -> Connection:
    """Return the connection of a run, which has one unless it prints SQL."""
    assert migration.connection is not None
    return migration.connection


def run(code: str, names: dict[str, Any]) -> None:
    """Run code as it will stand in the revision."""
    exec(code, names)  # noqa: S102 - we have written it ourselves


def reflect_tables(
    migration: MigrationContext, definitions: Definitions, source: str
) -> list[Table]:
    """Return the tables of a database, each after those that it refers to.

    Args:
        migration: on the database.
        definitions: what it has; other tables are left out.
        source: of the revisions that made it.
    """
    connection = connection_of(migration)
    kind = kind_of(connection)
    metadata = MetaData()
    event.listen(metadata, "column_reflect", migration.impl.autogen_column_reflect)
    defaults = kind.defaults(connection, source)
    with warnings.catch_warnings():
        # What cannot be reflected is missed in the trial, and carried over nevertheless.
        warnings.simplefilter("ignore", SAWarning)
        for schema in kind.schemas(connection):
            metadata.reflect(connection, schema=schema)
        ordered = metadata.sorted_tables
    names = {name for type_, name in definitions if type_ in {"table", "partition"}}
    tables = [
        table for table in ordered if full_name(table.schema, table.name) in names
    ]
    for table in tables:
        leave_defaults_out(table, defaults)
        items: list[Constraint | Index] = [*table.constraints, *table.indexes]
        for item in items:
            leave_defaults_out(item, defaults)
            if item.name is not None:
                item.name = conv(str(item.name))  # no naming convention changes it
        for column in table.columns:
            column.type = kind.plain_type(column.type, connection.dialect)
            alone = len(table.primary_key) == 1 and not column.foreign_keys
            if not column.primary_key or (alone and column.autoincrement is True):
                column.autoincrement = "auto"
    return tables


def leave_defaults_out(item: Any, defaults: set[str]) -> None:
    """Take options away that go without saying."""
    for name, value in list(item.dialect_kwargs.items()):
        empty = value is None or (isinstance(value, bool | list | dict) and not value)
        if empty or name.endswith("_comment") or str(value) in defaults:
            del item.dialect_kwargs[name]


# ------------------------------------------------------------------------------------------ Rows


def count_rows(connection: Connection, tables: Iterable[Table]) -> dict[str, int]:
    """Return how many rows a table has, for each that has any."""
    with kind_of(connection).all_rows(connection):
        counts = {
            full_name(table.schema, table.name): connection.scalar(
                select(func.count()).select_from(table)
            )
            for table in tables
        }
    return {name: count for name, count in counts.items() if count}


def read_rows(connection: Connection, tables: Iterable[Table]) -> Iterator[Definition]:
    """Yield the rows of each table that has any, as a statement with the database's literals."""
    kind = kind_of(connection)
    preparer = connection.dialect.identifier_preparer
    for table in tables:
        columns = [column for column in table.columns if column.computed is None]
        names = [preparer.quote(column.name) for column in columns]
        literals = ", ".join(
            kind.literal(name, column.type)
            for name, column in zip(names, columns, strict=True)
        )
        order = ", ".join(preparer.quote(column.name) for column in table.primary_key)
        name = preparer.format_table(table)
        query = f"SELECT {literals} FROM {name} ORDER BY {order or 1}"
        query = BOUND.sub(r"\\:", query)
        with kind.all_rows(connection):
            found = connection.execute(text(query))
            rows = [", ".join(map(str, row)) for row in found]
        if rows:
            values = ",\n".join(f"({row})" for row in rows)
            into = f"{name} ({', '.join(names)}){kind.overriding(columns)}"
            insert = f"INSERT INTO {into} VALUES\n{values}"
            full = full_name(table.schema, table.name)
            yield Definition("rows", full, "", insert, insert, "")
    yield from kind.read_values(connection)
