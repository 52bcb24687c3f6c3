"""Renamed tables and columns, which autogenerate takes for dropped and added ones.

Once it is known what was renamed, autogenerate compares again, and is shown the database with
the new names. So all other differences come out by themselves: the names of indexes, say.
"""

import logging
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, update_wrapper
from typing import Any

from alembic import context as alembic_context
from alembic.autogenerate import produce_migrations, render_op_text, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import CommandError, DispatchPriority, PriorityDispatchResult
from sqlalchemy import ClauseElement, Column, Computed, Inspector, Table, table

from .command import get_command
from .compare import plain, try_column
from .models import full_name
from .ownership import is_made_by_revision

log = logging.getLogger(f"alembic.{__name__}")

QUESTION = "Was {old} renamed to {new}? [y/N] "
ADVICE = (
    "(Where code that knows the old name still runs, say no: add the new one, copy the rows, "
    "and drop the old one a release later.)"
)

# Whose values, or whose keys, are names of columns, in what an Inspector returns.
NAMES = {
    "column_names",
    "column_sorting",
    "constrained_columns",
    "include_columns",
    "mariadb_length",
    "mysql_length",
    "postgresql_include",
    "postgresql_ops",
    "referred_columns",
}
EXPRESSIONS = {"expressions", "postgresql_where", "sqltext"}


@dataclass(frozen=True)
class Rename:
    """A new name for a table, or for a column.

    Attributes:
        schema: of the table; None is the default one.
        old, new: the names.
        table: of a column, by its new name; None where the table is renamed.
        old_table: by the name that it has in the database.
    """

    schema: str | None
    old: str
    new: str
    table: str | None = None
    old_table: str | None = None

    @property
    def before(self) -> str:
        """The full name that is no more."""
        if self.table is None:
            return full_name(self.schema, self.old)
        return f"{full_name(self.schema, self.table)}.{self.old}"

    def __str__(self) -> str:
        """Write it like `-x rename=`."""
        return f"{self.before}:{self.new}"

    def is_called(self, given: str) -> bool:
        """Tell whether `-x rename=` means this one; a renamed table may have either name."""
        older = f"{full_name(self.schema, self.old_table or '')}.{self.old}:{self.new}"
        return given == str(self) or (self.table is not None and given == older)

    def clashes(self, others: Iterable["Rename"]) -> bool:
        """Tell whether one of others takes the old or the new name already."""
        return any(
            (self.schema, self.table) == (other.schema, other.table)
            and (self.old == other.old or self.new == other.new)
            for other in others
        )


class RenameOp(ops.MigrateOperation):
    """Renames a table or a column."""

    def __init__(self, rename: Rename) -> None:
        self.rename = rename

    def reverse(self) -> "RenameOp":
        """Return the way back; columns take it before their table."""
        one = self.rename
        return RenameOp(Rename(one.schema, one.new, one.old, one.table))


class RenameKeyOp(ops.MigrateOperation):
    """Renames an index or a constraint in place; `kind` is INDEX or CONSTRAINT."""

    def __init__(
        self, kind: str, schema: str | None, table: str, old: str, new: str
    ) -> None:
        self.kind, self.schema, self.table_name = kind, schema, table
        self.old, self.new = old, new

    def reverse(self) -> "RenameKeyOp":
        """Return the way back."""
        return RenameKeyOp(self.kind, self.schema, self.table_name, self.new, self.old)


class EitherOp(ops.MigrateOperation):
    """What a revision would do instead, if names that look like it had changed; a comment."""

    def __init__(
        self, renames: Sequence[Rename], container: ops.OpContainer, upgrades: bool
    ) -> None:
        self.renames, self.container, self.upgrades = renames, container, upgrades

    def reverse(self) -> "EitherOp":
        """Return what the downgrade would do instead."""
        container = ops.DowngradeOps([])
        ops.UpgradeOps(self.container.ops).reverse_into(container)
        return EitherOp(self.renames, container, not self.upgrades)


@renderers.dispatch_for(RenameOp)
def render_rename(context: AutogenContext, op: RenameOp) -> str:
    """Write what renames, and leaves all else as it is."""
    one = op.rename
    schema = f", schema={one.schema!r}" if one.schema else ""
    if one.table is None:
        return f"op.rename_table({one.old!r}, {one.new!r}{schema})"
    if context.dialect.name in {"mysql", "mariadb"}:
        # op.alter_column() would write the column anew, without ON UPDATE, CHECK and the like.
        old, new = quoted(context, one.old), quoted(context, one.new)
        place = quoted_table(context, one.schema, one.table)
        return execute(f"ALTER TABLE {place} RENAME COLUMN {old} TO {new}")
    names = f"{one.table!r}, {one.old!r}, new_column_name={one.new!r}"
    return f"op.alter_column({names}{schema})"


@renderers.dispatch_for(RenameKeyOp)
def render_renamed_key(context: AutogenContext, op: RenameKeyOp) -> str:
    """Write what renames an index or a constraint; nothing is built again."""
    old, new = quoted(context, op.old), quoted(context, op.new)
    place = quoted_table(context, op.schema, op.table_name)
    if op.kind == "INDEX" and context.dialect.name == "postgresql":
        place = quoted_table(context, op.schema, op.old)
        return execute(f"ALTER INDEX {place} RENAME TO {new}")
    return execute(f"ALTER TABLE {place} RENAME {op.kind} {old} TO {new}")


@renderers.dispatch_for(EitherOp)
def render_either(context: AutogenContext, op: EitherOp) -> list[str]:
    """Write the other way in comments, ready for use."""
    if op.upgrades:
        lines = [
            f"REVIEW: has {one.before} the new name {one.new}? What follows loses it."
            for one in op.renames
        ]
        options = " ".join(f"-x rename={one}" for one in op.renames)
        lines += [
            f"Then write this revision again with {options},",
            "or put these lines in place of the others, here and in downgrade().",
            "Where code that knows the old name still runs: add the new one, copy the rows,",
            "and drop the old one a release later.",
        ]
    else:
        lines = ["REVIEW: the way back, if names have changed."]
    rendered = [render_op_text(context, one) for one in op.container.ops]
    lines += [line for text in rendered for line in text.splitlines() if line.strip()]
    return [*(f"# {line}" for line in lines), "# Else:"]


def execute(statement: str) -> str:
    escaped = statement.replace(":", r"\:")  # or text() takes it for a parameter
    return f"op.execute({escaped!r})"


def quoted(context: AutogenContext, name: str) -> str:
    return context.dialect.identifier_preparer.quote(name)


def quoted_table(context: AutogenContext, schema: str | None, name: str) -> str:
    return ".".join(quoted(context, part) for part in (schema, name) if part)


# ------------------------------------------------------------------------ What was renamed


def find_renames(
    context: AutogenContext, upgrade: ops.UpgradeOps
) -> PriorityDispatchResult:
    """Let autogenerate compare again, where a drop and an addition are a new name.

    Only for the command `revision`. `-x rename=` answers, else whoever sits at the terminal.
    Without an answer the revision drops and adds, as stock Alembic's does, and says in comments
    how to rename: read by nobody, the other way round would show an old column's values, a
    password's say, under the name of a new one.

    Raises:
        CommandError: if `-x rename=` names nothing that could be renamed.
    """
    options = context.migration_context.opts
    if get_command() != "revision":
        return PriorityDispatchResult.CONTINUE
    if "renames" in options:
        finish(context, upgrade, options["renames"])
        return PriorityDispatchResult.CONTINUE
    answers = Answers()
    for find in (find_tables, find_columns):
        found = answers.choose(context, list(find(upgrade.ops, answers.renames)))
        if found:
            upgrade.ops = compare(context, answers.renames).ops
    answers.refuse_unknown()
    if answers.open:
        renames = [*answers.renames, *answers.open]
        with quiet():
            other = compare(context, renames)
        upgrade.ops.insert(0, EitherOp(answers.open, other, upgrades=True))
    return PriorityDispatchResult.CONTINUE


class Answers:
    """What is known of renames.

    Attributes:
        renames: those that are certain.
        open: those that look like it, and that nobody was asked for.
    """

    def __init__(self) -> None:
        given = (one.partition("=") for one in alembic_context.get_x_argument())
        self.given = [value for name, _, value in given if name == "rename"]
        self.renames: list[Rename] = []
        self.open: list[Rename] = []
        self.possible: list[Rename] = []
        self.asks = is_interactive()
        self.advised = False

    def choose(self, context: AutogenContext, pairs: list["Pair"]) -> list[Rename]:
        """Return what was renamed, of the pairs of something dropped and something added."""
        self.possible += [pair.rename for pair in pairs]
        chosen: list[Rename] = []
        for pair in pairs:
            names = [one for one in self.given if pair.rename.is_called(one)]
            if names and not pair.rename.clashes(chosen):
                chosen.append(pair.rename)
                self.given = [one for one in self.given if one not in names]
        for pair in pairs:
            one = pair.rename
            if one.clashes([*chosen, *self.open]) or not pair.is_alike(context):
                continue
            if not self.asks:
                self.open.append(one)
            elif self.ask(one):
                chosen.append(one)
        for one in chosen:
            log.info("Detected that '%s' was renamed to '%s'", one.before, one.new)
        self.renames += chosen
        return chosen

    def ask(self, rename: Rename) -> bool:
        """Ask at the terminal."""
        advice = "" if self.advised else f"{ADVICE}\n"
        self.advised = True
        question = QUESTION.format(old=rename.before, new=rename.new)
        print(advice + question, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def refuse_unknown(self) -> None:
        """Refuse what is left of `-x rename=`."""
        if self.given:
            possible = ", ".join(sorted(map(str, self.possible))) or "nothing"
            raise CommandError(
                f"-x rename={self.given[0]} names nothing that is dropped and added; "
                f"what could be renamed: {possible}"
            )


def is_interactive() -> bool:
    """Tell whether somebody sits at the terminal who runs `alembic`: no program, no CI."""
    is_command = hasattr(alembic_context.config.cmd_opts, "cmd")
    terminal = sys.stdin.isatty() and sys.stderr.isatty()
    return is_command and terminal and not os.environ.get("CI")


@dataclass(frozen=True)
class Pair:
    """Something dropped and something added, and their columns."""

    rename: Rename
    dropped: Sequence[Column[Any]]
    added: Sequence[Column[Any]]

    def is_alike(self, context: AutogenContext) -> bool:
        """Tell whether they look like one thing: the database shows equal types."""
        one = self.rename
        if one.table is None:
            script = alembic_context.script
            added = {column.name: column for column in self.added}
            return (
                added.keys() == {column.name for column in self.dropped}
                and is_made_by_revision(script, one.old, one.schema)
                and all(
                    has_type(context, column, added[column.name])
                    for column in self.dropped
                )
            )
        return has_type(context, self.dropped[0], self.added[0])


def has_type(context: AutogenContext, dropped: Column[Any], added: Column[Any]) -> bool:
    """Tell whether the database shows the same type for a column of it and a model's."""
    computed = [isinstance(one.server_default, Computed) for one in (dropped, added)]
    shown = try_column(context, added)
    differ = context.migration_context.impl.compare_type
    return computed[0] == computed[1] and not differ(
        dropped, added if shown is None else shown
    )


def find_tables(
    operations: Iterable[ops.MigrateOperation], _: Sequence[Rename]
) -> Iterator[Pair]:
    """Yield each dropped table with each added one of its schema."""
    operations = list(operations)
    for drop in operations:
        for add in operations:
            if (
                isinstance(drop, ops.DropTableOp)
                and isinstance(add, ops.CreateTableOp)
                and drop.schema == add.schema
                and drop._reverse is not None
            ):
                yield Pair(
                    Rename(drop.schema, drop.table_name, add.table_name),
                    columns_of(drop._reverse),
                    columns_of(add),
                )


def columns_of(create: ops.CreateTableOp) -> list[Column[Any]]:
    return [item for item in create.columns if isinstance(item, Column)]


def find_columns(
    operations: Iterable[ops.MigrateOperation], renames: Sequence[Rename]
) -> Iterator[Pair]:
    """Yield each dropped column with each added one of its table."""
    tables = {(one.schema, one.new): one.old for one in renames if one.table is None}
    for modify in operations:
        if not isinstance(modify, ops.ModifyTableOps):
            continue
        schema, name = modify.schema, modify.table_name
        for drop in modify.ops:
            for add in modify.ops:
                if isinstance(drop, ops.DropColumnOp) and isinstance(
                    add, ops.AddColumnOp
                ):
                    rename = Rename(
                        schema,
                        drop.column_name,
                        add.column.name,
                        name,
                        tables.get((schema, name), name),
                    )
                    yield Pair(rename, [drop.to_column()], [add.column])


# ------------------------------------------------------------------------ Comparing again


def compare(context: AutogenContext, renames: Sequence[Rename]) -> ops.UpgradeOps:
    """Return what autogenerate finds where the database has the new names."""
    migration = context.migration_context
    migration.opts["renames"] = list(renames)
    try:
        metadata: Any = context.metadata  # or several, says Alembic elsewhere
        found = produce_migrations(migration, metadata).upgrade_ops
    finally:
        del migration.opts["renames"]
    assert found is not None
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Keep a comparison that is only for a comment out of the log."""
    loggers = [logging.getLogger(name) for name in ("alembic.autogenerate", __name__)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def show_new_names(
    context: AutogenContext, upgrade: ops.UpgradeOps, schemas: Collection[str | None]
) -> PriorityDispatchResult:
    """Show autogenerate the database with new names, where it compares again."""
    if renames := context.opts.get("renames"):
        context.__dict__["inspector"] = NewNames(context, renames)
    return PriorityDispatchResult.CONTINUE


class NewNames:
    """An Inspector that shows tables and columns by their new names.

    Args:
        context: of autogenerate.
        renames: of tables, and of columns in tables by their new names.
    """

    def __init__(self, context: AutogenContext, renames: Sequence[Rename]) -> None:
        self._context = context
        self._inspector: Inspector = context.inspector
        tables = [one for one in renames if one.table is None]
        self._new = {(one.schema, one.old): one.new for one in tables}
        self._old = {(one.schema, one.new): one.old for one in tables}
        self._columns: dict[tuple[str | None, str], dict[str, str]] = {}
        for one in renames:
            if one.table is not None:
                names = self._columns.setdefault((one.schema, one.table), {})
                names[one.old] = one.new

    def __getattr__(self, name: str) -> Any:
        """Return a method of the Inspector; what it finds has the new names."""
        found = getattr(self._inspector, name)
        if name.startswith("get_multi_"):
            return update_wrapper(partial(self._several, found), found)
        if name in {
            f"get_{method.__name__.removeprefix('get_multi_')}"
            for method in vars(Inspector).values()
            if getattr(method, "__name__", "").startswith("get_multi_")
        }:
            return update_wrapper(partial(self._one, found), found)
        return found

    def get_table_names(self, schema: str | None = None) -> list[str]:
        """Return the names of tables."""
        names = self._inspector.get_table_names(schema)
        return [self._new.get((schema, name), name) for name in names]

    def _several(
        self,
        method: Any,
        schema: str | None = None,
        filter_names: Sequence[str] | None = None,
        **options: Any,
    ) -> dict[tuple[str | None, str], Any]:
        if filter_names is not None:
            filter_names = [
                self._old.get((schema, name), name) for name in filter_names
            ]
        found = method(schema=schema, filter_names=filter_names, **options)
        return {
            (place, self._new.get((place, name), name)): self._renamed(
                item, place, self._new.get((place, name), name)
            )
            for (place, name), item in found.items()
        }

    def _one(
        self, method: Any, table_name: str, schema: str | None = None, **options: Any
    ) -> Any:
        old = self._old.get((schema, table_name), table_name)
        return self._renamed(method(old, schema=schema, **options), schema, table_name)

    def _renamed(self, found: Any, schema: str | None, name: str) -> Any:
        """Return what was found of a table, with the new names of all that it speaks of."""
        names = self._columns.get((schema, name), {})
        if isinstance(found, list):
            return [self._renamed(item, schema, name) for item in found]
        if not found:
            return found
        item = dict(found)
        if "referred_table" in item:
            place, other = item["referred_schema"], item["referred_table"]
            other = item["referred_table"] = self._new.get((place, other), other)
            columns = self._columns.get((place, other), {})
            item["referred_columns"] = [
                columns.get(one, one) for one in item["referred_columns"]
            ]
        elif item.get("name") in names and "nullable" in item:
            # Alembic knows the sequence of a SERIAL by the name that the column has.
            impl: Any = self._context.migration_context.impl
            impl.autogen_column_reflect(self._inspector, table(name), item)
            item["name"] = names[item["name"]]
        rewritten: dict[str, Any] = self._rewritten(item, names)
        return rewritten

    def _rewritten(self, item: Any, names: Mapping[str, str], key: str = "") -> Any:
        if key in EXPRESSIONS and isinstance(item, str):
            for old, new in names.items():
                item = in_expression(item, old, new, quoted(self._context, new))
        elif isinstance(item, list):
            if key in NAMES and key != "referred_columns":
                return [names.get(one, one) for one in item]
            return [self._rewritten(one, names, key) for one in item]
        elif isinstance(item, dict):
            return {
                names.get(name, name) if key in NAMES else name: self._rewritten(
                    value, names, name
                )
                for name, value in item.items()
            }
        return item


def in_expression(sql: str, old: str, new: str, bare: str) -> str:
    """Return SQL that names a column anew; what is in apostrophes stays.

    Args:
        sql: an expression, in the words of the database.
        old: the name that the column has.
        new: the name that it gets.
        bare: the same, with quotes where it needs them.
    """

    def replace(found: re.Match[str]) -> str:
        if found["mark"]:
            return found["mark"] + new + found["mark"]
        return bare if found["bare"] else found[0]

    name = re.escape(old)
    pattern = rf"'(?:[^']|'')*'|(?P<mark>[\"`]){name}(?P=mark)|(?P<bare>(?<![\w\"`.]){name}(?![\w\"`(]))"
    return re.sub(pattern, replace, sql)


# ------------------------------------------------------------------------ Names of keys


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
        rename_constraints(context, change, model)
        if change.ops and place not in changes:
            upgrade.ops.append(change)
    first = sorted(renames, key=lambda one: (one.table is not None, str(one)))
    upgrade.ops[:0] = [RenameOp(one) for one in first]


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
    created = {key: op for op in change.ops if (key := definition(context, op))}
    renamed: dict[int, ops.MigrateOperation] = {}
    for op in change.ops:
        if not isinstance(op, ops.DropIndexOp | ops.DropConstraintOp):
            continue
        twin = created.get(definition(context, op.reverse()))
        if twin is not None:
            renamed[id(op)] = rename_key(context, change, name_of(op), name_of(twin))
            renamed[id(twin)] = renamed[id(op)]
        elif name_of(op) in columns and context.dialect.name != "postgresql":
            # The index that MySQL and MariaDB made for a foreign key, by the column's name.
            new = columns[name_of(op)]
            renamed[id(op)] = rename_key(context, change, name_of(op), new)
    return list(dict.fromkeys(renamed.get(id(op), op) for op in change.ops))


def definition(context: AutogenContext, op: ops.MigrateOperation) -> Any:
    """Return what an operation creates, but for its name; None if it cannot be renamed."""
    dialect = context.dialect

    def sql(item: Any) -> str:
        if isinstance(item, ClauseElement):
            arguments = {"literal_binds": True, "include_table": False}
            item = item.compile(dialect=dialect, compile_kwargs=arguments)
        return plain(str(item))

    match op:
        case ops.CreateIndexOp():
            options = {(name, sql(value)) for name, value in op.kw.items() if value}
            return "INDEX", bool(op.unique), *map(sql, op.columns), frozenset(options)
        case ops.CreateUniqueConstraintOp():
            options = {(name, sql(value)) for name, value in op.kw.items() if value}
            return "UNIQUE", *op.columns, frozenset(options)
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
        name = key.name if isinstance(key.name, str) else old
        if old and name != old and len(name) <= context.dialect.max_identifier_length:
            change.ops += rename_constraint(context, change, old, key)


def rename_constraint(
    context: AutogenContext, change: ops.ModifyTableOps, old: str, key: Any
) -> list[ops.MigrateOperation]:
    """Return what gives a primary or foreign key the model's name."""
    place = (change.schema, change.table_name)
    if context.dialect.name == "postgresql":
        return [RenameKeyOp("CONSTRAINT", *place, old, key.name)]
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


plugin = Plugin(__name__)
plugin.add_autogenerate_comparator(
    find_renames, "autogenerate", priority=DispatchPriority.LAST
)
plugin.add_autogenerate_comparator(
    show_new_names, "schema", priority=DispatchPriority.FIRST
)
