"""Renamed tables and columns, which autogenerate takes for dropped and added ones.

Once it is known what was renamed, autogenerate compares again, and is shown the database with
the new names. So all other differences come out automatically, such as names of indexes.
"""

import logging
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from alembic import context as alembic_context
from alembic.autogenerate import produce_migrations, render_op_text, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.runtime.plugins import Plugin
from alembic.util import CommandError, DispatchPriority, PriorityDispatchResult
from sqlalchemy import Column, Computed

from ..autogenerate.compare import Comparison
from ..autogenerate.operations import make_run
from ..autogenerate.ownership import is_made_by_revision
from ..autogenerate.review import ReviewOp
from .key_names import finish
from .new_names import ADVICE, NewNames, Rename, RenameOp

log = logging.getLogger(f"alembic.{__name__}")


class OtherWayOp(ops.MigrateOperation):
    """What a revision would do instead, if names that look like it had changed; a comment.

    Args:
        container: the operations.
        lines: the comment before them.
    """

    def __init__(self, container: ops.OpContainer, *lines: str) -> None:
        self.container, self.lines = container, lines


@renderers.dispatch_for(OtherWayOp)
def render_other_way(context: AutogenContext, op: OtherWayOp) -> list[str]:
    """Write the operations in comments, ready for use."""
    lines = [*op.lines]
    for one in op.container.ops:
        first, *others = render_op_text(context, one).splitlines() or [""]
        indent = "    " if first.startswith("with ") else ""
        lines += [first, *(f"{indent}{line}" for line in others if line)]
    return [*(f"# {line}" for line in lines if line), "# Otherwise:"]


def find_renames(
    context: AutogenContext, upgrade: ops.UpgradeOps
) -> PriorityDispatchResult:
    """Let autogenerate compare again, where a drop and an addition are a new name.

    `-x rename=` answers, else the person at the terminal. Without an answer the revision drops
    and adds, as stock Alembic's does, and shows in comments how to rename: the other way round
    would, unread, show an old column's values, such as a password's, under a new name.

    Raises:
        CommandError: if `-x rename=` names nothing that could be renamed.
    """
    options = context.migration_context.opts
    if "renames" in options:
        finish(context, upgrade, options["renames"])
        return PriorityDispatchResult.CONTINUE
    answers = Answers()
    for find in (find_tables, find_columns):
        operations = options["comparison"].operations
        pairs = sorted(find(operations, answers.renames), key=str)
        if answers.choose(context, pairs):
            script = compare(context.migration_context, answers.renames)
            assert script.upgrade_ops is not None
            upgrade.ops = script.upgrade_ops.ops
    answers.refuse_unknown()
    options["answers"] = answers
    return PriorityDispatchResult.CONTINUE


def process_revision_directives(
    migration: MigrationContext,
    revision: str | Iterable[str | None] | Iterable[str],
    directives: list[ops.MigrationScript],
) -> None:
    """Comment what was renamed, and show in comments what a revision would do instead."""
    script = next(iter(directives), None)
    answers: Answers | None = migration.opts.get("answers")
    if not answers or not script or not script.upgrade_ops or not script.downgrade_ops:
        return
    upgrade, downgrade = script.upgrade_ops, script.downgrade_ops
    renamed = [op for op in upgrade.ops if isinstance(op, RenameOp)]
    if renamed:
        comment = ReviewOp("REVIEW: renamed; rows are kept.", ADVICE)
        upgrade.ops.insert(upgrade.ops.index(renamed[0]), comment)
    if answers.open:
        with quiet():
            other = compare(migration, [*answers.renames, *answers.open])
            make_run(migration, other)
        assert other.upgrade_ops is not None
        assert other.downgrade_ops is not None
        options = " ".join(f"-x rename={one}" for one in answers.open)
        up = OtherWayOp(
            other.upgrade_ops,
            *(
                f"REVIEW: was {one.before} renamed to {one.new}?"
                for one in answers.open
            ),
            f"If so, write the revision again with `{options}`,",
            "or replace the other lines by those below, here and in downgrade().",
            ADVICE,
        )
        way_back = "REVIEW: the downgrade, if names have changed:"
        upgrade.ops.insert(0, up)
        downgrade.ops.insert(0, OtherWayOp(other.downgrade_ops, way_back))


class Answers:
    """What is known of renames.

    Attributes:
        renames: those that are certain.
        open: those that look like it, but were not asked about.
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
        advice = "" if self.advised else f"({ADVICE})\n"
        self.advised = True
        question = f"Was {rename.before} renamed to {rename.new}? [y/N] "
        print(advice + question, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def refuse_unknown(self) -> None:
        """Refuse what is left of `-x rename=`."""
        if self.given:
            possible = ", ".join(sorted(map(str, self.possible))) or "nothing"
            raise CommandError(
                f"-x rename={self.given[0]} names nothing that is dropped and added. "
                f"These could be renamed: {possible}"
            )


def is_interactive() -> bool:
    """Return whether a person runs `alembic` at a terminal: no program, no CI."""
    is_command = hasattr(alembic_context.config.cmd_opts, "cmd")
    terminal = sys.stdin.isatty() and sys.stderr.isatty()
    return is_command and terminal and not os.environ.get("CI")


@dataclass(frozen=True)
class Pair:
    """Something dropped and something added, and their columns."""

    rename: Rename
    dropped: Sequence[Column[Any]]
    added: Sequence[Column[Any]]

    def __str__(self) -> str:
        """Write what it would be called."""
        return str(self.rename)

    def is_alike(self, context: AutogenContext) -> bool:
        """Return whether they look like one thing: the database shows equal types."""
        one = self.rename
        if one.table is not None:
            return has_type(context, self.dropped[0], self.added[0], one)
        script = alembic_context.script
        added = {column.name: column for column in self.added}
        return (
            added.keys() == {column.name for column in self.dropped}
            and is_made_by_revision(script, one.old, one.schema)
            and all(
                has_type(context, column, added[column.name], one)
                for column in self.dropped
            )
        )


def has_type(
    context: AutogenContext, dropped: Column[Any], added: Column[Any], rename: Rename
) -> bool:
    """Return whether the database shows the same type for a column of it and a model's."""
    computed = [isinstance(one.server_default, Computed) for one in (dropped, added)]
    comparison = context.migration_context.opts["comparison"]
    old, new = rename.table or rename.old, rename.table or rename.new
    schema = rename.schema or ""
    shown = [
        catalog.get((schema, table), {}).get(("column", column.name, "type"))
        for catalog, table, column in (
            (comparison.real, old, dropped),
            (comparison.made, new, added),
        )
    ]
    differ = context.migration_context.impl.compare_type
    alike = not differ(dropped, added) if None in shown else shown[0] == shown[1]
    return computed[0] == computed[1] and alike


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


def compare(
    migration: MigrationContext, renames: Sequence[Rename]
) -> ops.MigrationScript:
    """Return what autogenerate finds where the database has the new names."""
    migration.opts["renames"] = list(renames)
    try:
        metadata: Any = migration.opts["target_metadata"]  # or several
        return produce_migrations(migration, metadata)
    finally:
        del migration.opts["renames"]


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
        names = NewNames(context, renames)
        context.__dict__["inspector"] = names
        comparison = Comparison(context, names.catalog)
        context.migration_context.opts["comparison"] = comparison
    return PriorityDispatchResult.CONTINUE


plugin = Plugin(__name__)
plugin.add_autogenerate_comparator(
    find_renames, "autogenerate", priority=DispatchPriority.LAST
)
plugin.add_autogenerate_comparator(
    show_new_names, "schema", priority=DispatchPriority.FIRST
)
