"""Split what autogenerate found into stages, each a revision: expand, concurrently, finish."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from alembic import context
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from alembic.util import rev_id
from sqlalchemy import Column, text
from sqlalchemy.exc import SQLAlchemyError

from ...autogenerate.differences import Difference
from ...autogenerate.kinds import kind_of
from ...autogenerate.postgresql.statements import LABEL, mentions
from ...autogenerate.render import execute
from ...autogenerate.review import ReviewOp, brackets, rows_decide
from ...autogenerate.statements import StatementsOp, put_around
from ...catalogs import plain
from ...catalogs.postgresql import undone
from ...paths import invocation
from ...rooms import is_on
from .fill import function_of, is_declared, source_of

NAMES = ("expand", "concurrently", "finish")
BLOCK = "with op.get_context().autocommit_block():"
NOTHING = '"""Nothing to undo: constraints that are valid stay so."""'
AGAIN = "# A build that was killed leaves an index that is not valid."

RELKIND = text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(:name)")
TRIAL = "migration_kit_trial"
FILE = text(f"SELECT pg_relation_filenode('{TRIAL}')")

INDEX = re.compile(r'INDEX (?:"(?:[^"]|"")+"|\S+) ON')
UNIQUE = re.compile(
    r"UNIQUE( NULLS NOT DISTINCT)? (\(.*?\))( INCLUDE \(.*?\))?( DEFERRABLE.*)?"
)
KEY = re.compile(r"FOREIGN KEY \((.*?)\) REFERENCES (.*?)\((.*?)\)")
# The same for all rows, and perhaps a value that an ENUM type is yet to get.
CONSTANT = re.compile(rf"{LABEL.pattern}(::[\w .\"\[\](),]+)?")

# For these PostgreSQL looks at all rows.
HEAVY = {"check", "exclude", "foreignkey", "index", "primary", "unique"}


class SourceOp(ops.MigrateOperation):
    """Lines of a revision."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines


@renderers.dispatch_for(SourceOp)
def render_source(_: AutogenContext, op: SourceOp) -> Sequence[str]:
    """Write the lines."""
    return op.lines


@dataclass
class Stage:
    """The lines of a revision, and those of its downgrade, each in the order in which they run.

    Attributes:
        builds: lines of an autocommit block, with which the downgrade begins: behind the rest, a
            crash would leave that half done.
        locked: tables in use.
    """

    up: list[str] = field(default_factory=list)
    down: list[str] = field(default_factory=list)
    builds: list[str] = field(default_factory=list)
    locked: set[str] = field(default_factory=set)

    def add(self, up: Iterable[str], down: Iterable[str]) -> None:
        """Add statements, or comments; those that were there before are undone after them."""
        self.up += map(line, up)
        self.down[:0] = map(line, down)


def line(sql: str) -> str:
    """Return a line that executes a statement, or is a comment."""
    return sql if sql.startswith("#") else execute(sql)


@dataclass
class Table:
    """A table in use.

    Attributes:
        place: its schema and name.
        name: in SQL.
        found: its differences.
        sides: Alembic's operations on it, of both ways.
        taken: differences that are in stages; the rest stays as it is.
    """

    place: tuple[str, str]
    name: str
    found: list[Difference]
    sides: list[ops.ModifyTableOps]
    taken: list[Difference] = field(default_factory=list)

    def __post_init__(self) -> None:
        types = [one for one in self.found if one.kind == "column"]
        types = [
            one for one in types if one.aspect in {"type", "collation", "computed"}
        ]
        self.new = {one.name for one in types if one.aspect == "type" and not one.real}
        self.touched = {one.name for one in types} - self.new


def split(
    migration: MigrationContext, revision: Any, directives: list[ops.MigrationScript]
) -> None:
    """Put what blocks others into revisions that do not.

    New, dropped, renamed and partitioned tables stay as they are.
    """
    if len(directives) == 1 and migration.opts.get("comparison"):
        splitter = Splitter(migration, directives[0])
        splitter.split()
        splitter.chain(directives)


class Splitter:
    """Splits a revision.

    Attributes:
        left: what plain SQL brings about, where Alembic's operations do not say it.
        notes: comments of the first revision.
        first: what it does before all else.
        fills: Python's source of the values of new columns.
    """

    def __init__(
        self, migration: MigrationContext, script: ops.MigrationScript
    ) -> None:
        assert migration.connection is not None
        assert script.upgrade_ops is not None and script.downgrade_ops is not None
        self.script, self.migration = script, migration
        self.up, self.down = script.upgrade_ops, script.downgrade_ops
        self.connection = migration.connection
        self.comparison = migration.opts["comparison"]
        self.quote = migration.dialect.identifier_preparer.quote
        self.real, self.made = self.comparison.real, self.comparison.made
        unsaid = self.comparison.unsaid
        self.left = {place: dict(self.made.get(place, {})) for place in unsaid}
        self.expand, self.concurrently, self.finish = Stage(), Stage(), Stage()
        self.notes: list[str] = []
        self.first: list[str] = []
        self.calls: set[tuple[str, str]] = set()
        self.fills: dict[tuple[str, str], dict[str, str]] = {}
        self.referred: set[str] = set()

    def split(self) -> None:
        """Split the differences of all tables in use."""
        tables = []
        both = [
            op
            for op in (*self.up.ops, *self.down.ops)
            if isinstance(op, ops.ModifyTableOps)
        ]
        altered = [(op.schema or "", op.table_name) for op in both]
        for place in dict.fromkeys([*altered, *sorted(self.left)]):
            name = ".".join(self.quote(one) for one in place if one)
            sides = [op for op, one in zip(both, altered, strict=True) if one == place]
            is_known = bool(place[1]) and {place} <= self.real.keys() & self.made.keys()
            is_renamed = any(
                getattr(op, "modify_name", 0) for s in sides for op in s.ops
            )
            relkind = self.relkind(name) if is_known and not is_renamed else None
            if relkind in {"r", "p"}:
                table = Table(place, name, self.comparison.found(place), sides)
                tables.append((table, relkind))
        for table, _ in tables:
            keys = (KEY.match(str(one.model)) for one in table.found)
            self.referred |= {key[2] for key in keys if key}
        for table, relkind in tables:
            for one in table.found if relkind == "r" else ():
                self.split_difference(table, one)
            self.take_out(table)
            self.review(table)
        self.write_statements()

    def relkind(self, name: str) -> Any:
        """Return what a table in the database is, or None."""
        return self.connection.scalar(RELKIND, {"name": name})

    def split_difference(self, table: Table, one: Difference) -> None:
        """Give a difference to stages, if they can have it."""
        same = [each for each in table.found if each.kind == one.kind]
        if one.aspect == "definition" and (
            mentions(one.real or "", table.touched)
            or [each.name for each in same].count(one.name) > 1  # it has a comment
        ):
            return
        match one.kind, one.aspect:
            case "index", _:
                self.index(table, one)
            case "unique", _ if one.model:
                self.unique(table, one)
            case "check" | "foreignkey", _ if one.model:
                self.constraint(table, one)
            case "column", "nullable" if one.model and one.name not in table.new:
                self.not_null(table, one)
            case "column", "type" if one.name in table.new:
                self.add_column(table, one)
            case "column", "type" if one.model:
                self.retype(table, one)

    # ------------------------------------------------------------------------ Indexes

    def build(self, table: Table, definition: str, name: str) -> list[str]:
        """Return what builds an index under a name while others use its table."""
        words = f"INDEX CONCURRENTLY {self.quote(name)} ON"
        sql = INDEX.sub(lambda _: words, definition.removesuffix(" INVALID"), count=1)
        return [AGAIN, self.drop(table, name), sql]

    def drop(self, table: Table, name: str) -> str:
        return f"DROP INDEX CONCURRENTLY IF EXISTS {self.named(table, name)}"

    def named(self, table: Table, name: str) -> str:
        return ".".join(self.quote(one) for one in (table.place[0], name) if one)

    def index(self, table: Table, one: Difference) -> None:
        """Build and drop indexes concurrently; one that changes is never missing."""
        table.taken.append(one)
        old, new, name = one.real, one.model, one.name
        if new and old and old.removesuffix(" INVALID") != new:
            aside, before = f"{name[:59]}_new", f"{name[:59]}_old"
            build, drop = self.build(table, new, aside), self.drop(table, aside)
            self.concurrently.add(build, [drop])
            self.finish.locked.add(table.name)
            self.finish.builds += map(line, self.build(table, old, before))
            self.finish.add(
                [
                    "# lint-accept: require-concurrent-index-deletion",
                    "# The new index takes its place in the same transaction.",
                    f"DROP INDEX {self.named(table, name)}",
                    self.rename(table, aside, name),
                ],
                [self.rename(table, name, aside), self.rename(table, before, name)],
            )
            return
        sides = [
            self.build(table, side, name) if side else [self.drop(table, name)]
            for side in (new, old)
        ]
        self.concurrently.add(*sides)

    def rename(self, table: Table, old: str, new: str) -> str:
        return f"ALTER INDEX {self.named(table, old)} RENAME TO {self.quote(new)}"

    def unique(self, table: Table, one: Difference) -> None:
        """Build the index of a constraint concurrently, under another name."""
        words = UNIQUE.fullmatch(one.model or "")
        if not words or table.name in self.referred:  # by a key in the first stage
            return
        table.taken.append(one)
        nulls, columns, include, defer = (each or "" for each in words.groups())
        aside, name = f"{one.name[:59]}_new", self.quote(one.name)
        index = f"CREATE UNIQUE INDEX x ON {table.name} {columns}{include}{nulls}"
        build = self.build(table, index, aside)
        self.concurrently.add(build, [self.drop(table, aside)])
        self.finish.builds += map(line, build)
        self.finish.locked.add(table.name)
        alter = f"ALTER TABLE {table.name}"
        drop = f"{alter} DROP CONSTRAINT {name}"
        add = f"{alter} ADD CONSTRAINT {name}"
        using = f"{add} UNIQUE USING INDEX {self.quote(aside)}{defer}"
        old = f"{add} {one.real}"
        self.finish.add(
            [drop, using] if one.real else [using], [drop, old] if one.real else [drop]
        )

    # -------------------------------------------------------------------- Constraints

    def constraint(self, table: Table, one: Difference) -> None:
        """Add a constraint for new rows, and look at the others while anybody writes."""
        table.taken.append(one)
        condition = self.broken_by(table, str(one.model))
        if condition and not mentions(str(one.model), table.new | table.touched):
            self.call("online", "require_no_row", table.name, condition)
        alter, name = f"ALTER TABLE {table.name}", self.quote(one.name)
        drop, add = f"{alter} DROP CONSTRAINT {name}", f"{alter} ADD CONSTRAINT {name}"
        new, old = f"{add} {one.model} NOT VALID", f"{add} {one.real}"
        self.expand.add(
            [drop, new] if one.real else [new], [drop, old] if one.real else [drop]
        )
        self.expand.locked.add(table.name)
        self.concurrently.add([f"{alter} VALIDATE CONSTRAINT {name}"], [])

    def broken_by(self, table: Table, definition: str) -> str:
        """Return the condition for rows that break a constraint, as far as it can be asked."""
        key, own = KEY.match(definition), table.name
        if not key:
            condition = brackets(definition)[1:-1]
            return f"NOT {condition if condition[:1] == '(' else f'({condition})'}"
        if self.relkind(key[2]) is None:  # it comes with the revision
            return ""
        self.expand.locked.add(key[2])
        columns = key[1].split(", ")
        pairs = zip(columns, key[3].split(", "), strict=True)
        same = " AND ".join(f"other.{theirs} = {own}.{ours}" for ours, theirs in pairs)
        filled = [f"{own}.{column} IS NOT NULL" for column in columns]
        missing = f"NOT EXISTS (SELECT FROM {key[2]} AS other WHERE {same})"
        return " AND ".join([*filled, missing])

    def not_null(self, table: Table, one: Difference) -> None:
        """Let a CHECK look at the rows, so that SET NOT NULL need not."""
        table.taken.append(one)
        column, fill = self.quote(one.name), function_of(table.place, one.name)
        if is_declared(context.script, fill):
            self.call("backfill", "require_backfill", fill)
        else:
            self.call("online", "require_no_row", table.name, f"{column} IS NULL")
        alter = f"ALTER TABLE {table.name}"
        name = self.quote(f"ck_{table.place[1]}_{one.name}_not_null"[:63])
        check = f"{alter} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL) NOT VALID"
        drop = f"{alter} DROP CONSTRAINT {name}"
        self.expand.add([check], [drop])
        self.expand.locked.add(table.name)
        self.concurrently.add([f"{alter} VALIDATE CONSTRAINT {name}"], [])
        self.finish.add(
            [
                f"# lint-accept: not-null {'.'.join(filter(None, table.place))}.{one.name}",
                "# lint-accept: ban-drop-constraint",
                "# The CHECK is valid: PostgreSQL looks at no row, and then needs it no longer.",
                f"{alter} ALTER COLUMN {column} SET NOT NULL",
                drop,
            ],
            [f"{alter} ALTER COLUMN {column} DROP NOT NULL", check],
        )
        self.finish.locked.add(table.name)

    def call(self, room: str, function: str, *arguments: str) -> None:
        """Call a function before all else."""
        self.first.append(f"{function}({', '.join(map(repr, arguments))})")
        self.calls.add((room, function))

    # ------------------------------------------------------------------------ Columns

    def add_column(self, table: Table, one: Difference) -> None:
        """Add a column that rewrites nothing, and that the previous release may leave out."""
        made = self.made[table.place].items()
        own = {item[2]: sql for item, sql in made if item[:2] == ("column", one.name)}
        default, is_required = own.get("default"), "nullable" in own
        if {"computed", "identity"} & {*own} or str(default).startswith("SERIAL "):
            self.rewritten(table, one)
            return
        change = f"ADD COLUMN y {own['type']} DEFAULT {default}"
        is_slow = default and not CONSTANT.fullmatch(default)
        is_slow = is_slow and self.rewrites("integer", change)
        if not is_slow and (default or not is_required):
            return
        aspects = [each for each in table.found if each.name == one.name]
        table.taken += [e for e in aspects if e.aspect in {"default", "nullable"}]
        value = "...  # REVIEW: the value of a row"
        if is_slow:
            alter = f"ALTER TABLE {table.name} ALTER COLUMN {self.quote(one.name)}"
            self.expand.add([f"{alter} SET DEFAULT {default}"], [])
            value = f"sa.text({default!r})"
        how = "a program that updates a few rows at a time"
        if is_on("backfill"):
            self.fills.setdefault(table.place, {})[one.name] = value
            how = f"`{invocation()} backfill {function_of(table.place, one.name)}`"
        self.notes += [f"REVIEW: rows get their {table.name}.{one.name} by {how}."]
        if is_required:
            self.notes += [
                "Until all have one, say nullable=True in the model. The revision after that makes",
                "it NOT NULL, when no release that leaves it out runs any longer.",
            ]

    def retype(self, table: Table, one: Difference) -> None:
        """Ask the server what another type needs; the operation stays where it is."""
        change = f"ALTER COLUMN x TYPE {one.model} USING x::{one.model}"
        if self.rewrites(str(one.real), change):
            self.rewritten(table, one)
            return
        of = f" {table.place[1]}" if table.place not in self.left else ""
        self.notes += [
            f"lint-accept: changing-column-type{of}",
            f"PostgreSQL was asked: it makes {table.name}.{one.name} {one.model} and looks at no row.",
        ]

    def rewritten(self, table: Table, one: Difference) -> None:
        self.notes += [
            f"REVIEW: PostgreSQL writes all rows of {table.name} again for {one.name}, and nobody",
            "reads or writes them until then. On a big table: add another column, let a release",
            "write both, fill it with a backfill, read it, and drop the old one a release later.",
        ]

    def rewrites(self, type_: str, change: str) -> bool:
        """Let the server try it on an empty temporary table, of which nothing is left."""
        try:
            with undone(self.connection):
                create = f"CREATE TEMPORARY TABLE {TRIAL} (x {type_})"
                self.connection.execute(plain(create))
                before = self.connection.scalar(FILE)
                self.connection.execute(plain(f"ALTER TABLE {TRIAL} {change}"))
                return bool(before != self.connection.scalar(FILE))
        except SQLAlchemyError:
            return True

    # ---------------------------------------------------------------- What is left

    def take_out(self, table: Table) -> None:
        """Leave to Alembic's operations, and to plain SQL, what no stage has."""
        for one in table.taken if table.place in self.left else ():
            item = one.kind, one.name, one.aspect
            self.left[table.place].pop(item, None)
            if one.real:
                self.left[table.place][item] = one.real
        columns = {one.name for one in table.taken if one.kind == "column"}
        others = {
            (one.kind == "index", one.name.lower())
            for one in table.taken
            if one.kind != "column"
        }
        for side in table.sides:
            kept = []
            for op in side.ops:
                if isinstance(op, ops.AddColumnOp) and op.column.name in columns:
                    given = op.column.type, op.column.comment
                    op.column = Column(op.column.name, given[0], comment=given[1])
                elif isinstance(op, ops.AlterColumnOp) and op.column_name in columns:
                    op.modify_nullable = None
                name = getattr(op, "index_name", getattr(op, "constraint_name", None))
                is_index = isinstance(op, ops.CreateIndexOp | ops.DropIndexOp)
                is_left = (is_index, str(name).lower()) not in others
                if is_left and getattr(op, "has_changes", lambda: True)():
                    kept.append(op)
            side.ops = kept

    def review(self, table: Table) -> None:
        """Write what rows may stop, and what is not split, above the first revision."""
        later = [one for one in table.taken if one.name in table.new]
        if any(isinstance(op, ReviewOp) for side in table.sides for op in side.ops):
            self.notes += rows_decide([e for e in table.found if e not in later])
        for side in table.sides:
            side.ops = [op for op in side.ops if not isinstance(op, ReviewOp)]
        left = [one for one in table.found if one not in table.taken]
        heavy = [
            f"{one.kind} {one.name}"
            for one in left
            if one.model
            and (one.kind in HEAVY or one.aspect == "nullable")
            and one.name not in table.new
        ]
        if heavy:
            self.notes += [
                f"REVIEW: not split, so {table.name} is blocked while PostgreSQL looks at its rows:",
                f"{', '.join(heavy)}.",
            ]
        if left:
            self.expand.locked.add(table.name)

    def write_statements(self) -> None:
        """Write in plain SQL what is left to it."""
        dialect = self.connection.dialect
        statements = kind_of(dialect).statements
        wanted = {place: one for place, one in (self.real | self.left).items() if one}
        grown = {place: dict(objects) for place, objects in self.real.items()}
        for place, objects in grown.items():
            for item in [item for item in objects if item[0] == "enum"]:
                new = wanted.get(place, {}).get(item, "")
                labels, more = LABEL.findall(objects[item]), LABEL.findall(new)
                if labels == [label for label in more if label in labels]:
                    objects[item] = new
        up = list(statements(self.real, wanted, dialect))
        added = [sql for _, sql in statements(self.real, grown, dialect)]
        if not {*added} <= {sql for _, sql in up}:  # no transaction can use a new label
            up = list(statements(grown, wanted, dialect))
            self.first[:0] = [BLOCK, *map(execute, added), ""]
        pair: list[ops.MigrateOperation] = []
        put_around(pair, up, statements(wanted, self.real, dialect), ())
        pair.append(StatementsOp((), (), ()))
        for container in (self.up, self.down):
            olds = [op for op in container.ops if isinstance(op, StatementsOp)]
            news = pair[: len(olds)]
            if container is self.down:
                news = [op.reverse() for op in reversed(news)]
            for old, new in zip(olds, news, strict=True):
                container.ops[container.ops.index(old)] = new

    def chain(self, directives: list[ops.MigrationScript]) -> None:
        """Write a revision for each stage that has operations, each after the one before."""
        for container in (self.up, self.down):
            container.ops = [
                op
                for op in container.ops
                if not isinstance(op, ops.ModifyTableOps | StatementsOp)
                or getattr(op, "ops", getattr(op, "up", None))
            ]
        notes = [op for op in self.up.ops if isinstance(op, ReviewOp)]
        others = [op for op in self.up.ops if not isinstance(op, ReviewOp)]
        expand, concurrently, finish = self.expand, self.concurrently, self.finish
        calls = [self.calls, set(), set()]
        for number, lines in (0, self.first), (2, finish.up):
            if len(locked := (expand, concurrently, finish)[number].locked) > 2:
                call = f"lock_tables({', '.join(map(repr, sorted(locked)))})"
                lines.insert(0 if number else len(lines), call)
                calls[number].add(("online", "lock_tables"))
        ups = [
            [*source(self.first), *others, *source(expand.up)],
            block(concurrently.up),
            source(finish.up),
        ]
        downs = [
            [*source(expand.down), *self.down.ops],
            block(concurrently.down) or source([NOTHING]),
            [*block(finish.builds), *source(finish.down)],
        ]
        wanted = [number for number in range(3) if ups[number]]
        script, head, message = self.script, self.script.head, self.script.message
        ids = identifiers(str(script.rev_id), len(wanted))
        declared = self.migration.opts["template_args"].setdefault("declarations", {})
        directives.clear()
        for number, own in zip(wanted, ids, strict=True):
            is_first = number == wanted[0]
            if is_first:
                ups[number][:0] = [*notes, ReviewOp(*self.notes)]
            if is_first and self.fills:
                declared[own] = source_of(self.fills)
                calls[number].add(("backfill", "backfill"))
            if len(wanted) > 1:
                message = ": ".join(filter(None, [NAMES[number], script.message]))
            directives.append(
                ops.MigrationScript(
                    own,
                    ops.UpgradeOps(ups[number]),
                    ops.DowngradeOps(downs[number]),
                    message=message,
                    imports=imports_of(calls[number]) | script.imports,
                    head=head,
                    splice=script.splice if is_first else None,
                    branch_label=script.branch_label if is_first else None,
                    version_path=script.version_path,
                    depends_on=script.depends_on if is_first else None,
                )
            )
            head = own


def source(lines: list[str]) -> list[ops.MigrateOperation]:
    return [SourceOp(lines)] if lines else []


def block(lines: list[str]) -> list[ops.MigrateOperation]:
    """Return what runs outside a transaction; an empty line ends it."""
    return source([BLOCK, *lines, ""]) if lines else []


def imports_of(calls: set[tuple[str, str]]) -> set[str]:
    """Return the lines that import functions of rooms."""
    return {
        f"from migration_kit.{room} import "
        + ", ".join(sorted(function for other, function in calls if other == room))
        for room, _ in calls
    }


def identifiers(given: str, count: int) -> list[str]:
    """Return identifiers in the order in which their files sort; one that was given is the last."""
    asked = getattr(context.config.cmd_opts, "rev_id", None)
    if asked or not re.fullmatch("[0-9a-f]{12}", given):
        return [*(f"{given[:30]}_{number}" for number in range(1, count)), given]
    return sorted([given, *(rev_id() for _ in range(count - 1))])
