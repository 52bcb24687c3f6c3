"""Split what autogenerate found into stages, each a revision: expand, concurrently, finish."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
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
from ...catalogs.postgresql import quote, undone
from ...paths import invocation
from ...rooms import is_on
from .fill import declaration, identifier, is_declared

BLOCK = "with op.get_context().autocommit_block():"
AGAIN = "# A killed build leaves an invalid index."
NOTHING = '"""Nothing to undo: valid constraints stay valid."""'

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


def line(sql: str) -> str:
    """Return a line that executes a statement, or is a comment or an operation."""
    return sql if sql.startswith(("#", "op.")) else execute(sql)


def source(lines: Iterable[str]) -> list[ops.MigrateOperation]:
    found = list(lines)
    return [SourceOp(found)] if found else []


def block(lines: Sequence[str]) -> list[ops.MigrateOperation]:
    """Return what runs outside a transaction; an empty line ends it."""
    return source([BLOCK, *lines, ""] if lines else ())


@dataclass
class Stage:
    """A revision, in lines in the order in which they run.

    Attributes:
        name: begins its message.
        calls: what it calls before all else: room, function, arguments.
        up: its upgrade.
        down: its downgrade.
        builds: an autocommit block with which the downgrade begins: behind the rest, a crash would
            leave that half done.
        locked: tables in use that it locks.
    """

    name: str
    calls: list[tuple[str, ...]] = field(default_factory=list)
    up: list[str] = field(default_factory=list)
    down: list[str] = field(default_factory=list)
    builds: list[str] = field(default_factory=list)
    locked: set[str] = field(default_factory=set)

    def add(self, up: Iterable[str], down: Iterable[str]) -> None:
        """Add statements, or comments, and what undoes them, before what is undone already."""
        self.up += map(line, up)
        self.down[:0] = map(line, down)

    def called(self) -> list[str]:
        """Return the lines of the calls; several tables are locked in one go."""
        if len(self.locked) > 2:
            self.calls.append(("online", "lock_tables", *sorted(self.locked)))
        return [
            f"{name}({', '.join(map(repr, given))})" for _, name, *given in self.calls
        ]

    def imports(self) -> set[str]:
        """Return the lines that import what it calls."""
        return {
            f"from migration_kit.{room} import "
            + ", ".join(
                sorted({name for other, name, *_ in self.calls if other == room})
            )
            for room, *_ in self.calls
        }


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
        types = {"type", "collation", "computed"}
        columns = [one for one in self.found if one.kind == "column"]
        columns = [one for one in columns if one.aspect in types]
        self.new = {e.name for e in columns if e.aspect == "type" and not e.real}
        self.touched = {one.name for one in columns} - self.new

    def replace(self, one: Difference, new: str) -> tuple[list[str], list[str]]:
        """Return what gives a constraint another definition, and what undoes it."""
        name = f"CONSTRAINT {quoted(one.name)}"
        drop, add = (f"ALTER TABLE {self.name} {do} {name}" for do in ("DROP", "ADD"))
        if not one.real:
            return [f"{add} {new}"], [drop]
        accept = [
            "# lint-accept: ban-drop-constraint",
            "# A new constraint replaces it in the same transaction.",
        ]
        return [*accept, drop, f"{add} {new}"], [drop, f"{add} {one.real}"]

    def validate(self, name: str) -> list[str]:
        """Return what looks at all rows while others write."""
        return [f"ALTER TABLE {self.name} VALIDATE CONSTRAINT {quoted(name)}"]

    def index(self, name: str) -> str:
        """Return the name of an index in SQL."""
        return ".".join(quoted(one) for one in (self.place[0], name) if one)

    def drop(self, name: str) -> list[str]:
        """Return what drops an index while others use the table.

        Autogenerate leaves an index of expressions alone that no operation names.
        """
        schema, table = self.place
        given = f"table_name={table!r}{f', schema={schema!r}' if schema else ''}"
        how = "if_exists=True, postgresql_concurrently=True"
        return [f"op.drop_index(op.f({name!r}), {given}, {how})"]

    def build(self, definition: str, name: str) -> list[str]:
        """Return what builds an index under a name while others use the table."""
        words = f"INDEX CONCURRENTLY {quoted(name)} ON"
        sql = INDEX.sub(lambda _: words, definition.removesuffix(" INVALID"), count=1)
        return [AGAIN, *self.drop(name), sql]

    def rename(self, old: str, new: str) -> list[str]:
        return [f"ALTER INDEX {self.index(old)} RENAME TO {quoted(new)}"]


def quoted(name: str) -> str:
    """Return a name in SQL."""
    return quote(context.get_context().dialect, name)


def split(
    migration: MigrationContext, revision: Any, directives: list[ops.MigrationScript]
) -> None:
    """Put what blocks others into revisions that do not.

    New, dropped, renamed and partitioned tables stay as they are.
    """
    if len(directives) == 1 and migration.opts.get("comparison"):
        splitter = Splitter(migration, directives[0])
        splitter.split()
        directives[:] = splitter.revisions(migration.opts["template_args"])


class Splitter:
    """Splits a revision.

    Attributes:
        left: what plain SQL brings about, where Alembic's operations do not say it.
        notes: comments of the first revision.
        known: differences of which they say nothing.
        labels: lines that give an ENUM type values, for the rest of the first revision.
        declarations: source of backfills.
    """

    def __init__(
        self, migration: MigrationContext, script: ops.MigrationScript
    ) -> None:
        assert migration.connection is not None
        assert script.upgrade_ops is not None and script.downgrade_ops is not None
        self.script, self.connection = script, migration.connection
        self.up, self.down = script.upgrade_ops, script.downgrade_ops
        self.comparison = migration.opts["comparison"]
        self.real, self.made = self.comparison.real, self.comparison.made
        unsaid = self.comparison.unsaid
        self.left = {place: dict(self.made.get(place, {})) for place in unsaid}
        self.expand = Stage("expand")
        self.concurrently, self.finish = Stage("concurrently"), Stage("finish")
        self.notes: list[str] = []
        self.known: list[Difference] = []
        self.labels: list[str] = []
        self.declarations: list[str] = []

    def split(self) -> None:
        """Split the differences of all tables in use."""
        found = (self.comparison.found(place) for place in self.made)
        keys = (KEY.match(str(one.model)) for some in found for one in some)
        self.referred = {(key[2], *sorted(key[3].split(", "))) for key in keys if key}
        both = [*self.up.ops, *self.down.ops]
        altered = [op for op in both if isinstance(op, ops.ModifyTableOps)]
        places = [(op.schema or "", op.table_name) for op in altered]
        for place in dict.fromkeys([*places, *sorted(self.left)]):
            if not place[1] or place not in self.real.keys() & self.made.keys():
                continue
            pairs = zip(altered, places, strict=True)
            sides = [op for op, other in pairs if other == place]
            name = ".".join(quoted(one) for one in place if one)
            table = Table(place, name, self.comparison.found(place), sides)
            renames = (getattr(op, "modify_name", 0) for one in sides for op in one.ops)
            relkind = None if any(renames) else self.relkind(name)
            for one in table.found if relkind == "r" else ():
                self.split_difference(table, one)
            if relkind in {"r", "p"}:
                self.take_out(table)
                self.review(table)
        if self.left:
            self.write_statements()

    def relkind(self, name: str) -> Any:
        """Return what a table in the database is, or None."""
        return self.connection.scalar(RELKIND, {"name": name})

    def split_difference(self, table: Table, one: Difference) -> None:
        """Give a difference to stages, if they can have it."""
        aspects = [e for e in table.found if (e.kind, e.name) == (one.kind, one.name)]
        is_whole = len(aspects) == 1 and not has_any(one.real or "", table.touched)
        match one.kind, one.aspect:
            case "index", _ if is_whole:
                self.index(table, one)
            case "unique", _ if one.model and is_whole:
                self.unique(table, one)
            case "check" | "foreignkey", _ if one.model and is_whole:
                self.constraint(table, one)
            case "column", "nullable" if one.model and one.name not in table.new:
                self.not_null(table, one)
            case "column", "type" if one.name in table.new:
                self.add_column(table, one)
            case "column", "type" if one.model:
                self.retype(table, one)

    # ------------------------------------------------------------ Indexes, constraints

    def index(self, table: Table, one: Difference) -> None:
        """Build and drop indexes concurrently; one that changes is never missing."""
        table.taken.append(one)
        old, new, name = one.real, one.model, one.name
        if not old or not new or old.removesuffix(" INVALID") == new:
            sides = [
                table.build(side, name) if side else table.drop(name)
                for side in (new, old)
            ]
            self.concurrently.add(*sides)
            return
        aside, before = f"{name[:59]}_new", f"{name[:59]}_old"
        self.concurrently.add(table.build(new, aside), table.drop(aside))
        drop = [
            "# lint-accept: require-concurrent-index-deletion",
            "# lint-accept: renaming-object",
            "# The new index replaces it in the same transaction.",
            f"DROP INDEX {table.index(name)}",
        ]
        self.finish.locked.add(table.name)
        self.finish.builds += map(line, table.build(old, before))
        self.finish.add(
            [*drop, *table.rename(aside, name)],
            [*table.rename(name, aside), *table.rename(before, name)],
        )

    def unique(self, table: Table, one: Difference) -> None:
        """Build the index of a constraint concurrently, under another name."""
        words = UNIQUE.fullmatch(one.model or "")
        nulls, columns, include, defer = words.groups("") if words else [""] * 4
        unique = table.name, *sorted(columns[1:-1].split(", "))
        needed = one.real and table.place in self.left  # by a key that is there
        if (
            not words or needed or unique in self.referred
        ):  # or comes in the first stage
            return
        table.taken.append(one)
        aside = f"{one.name[:59]}_new"
        index = f"CREATE UNIQUE INDEX x ON {table.name} {columns}{include}{nulls}"
        build = table.build(index, aside)
        self.concurrently.add(build, table.drop(aside))
        self.finish.locked.add(table.name)
        self.finish.builds += map(line, build)
        using = f"UNIQUE USING INDEX {quoted(aside)}{defer}"
        self.finish.add(*table.replace(one, using))

    def constraint(self, table: Table, one: Difference) -> None:
        """Add a constraint for new rows, and look at the others while anybody writes."""
        table.taken.append(one)
        condition = self.broken_by(table, str(one.model))
        if condition and not has_any(str(one.model), table.new | table.touched):
            self.expand.calls.append(
                ("online", "require_no_row", table.name, condition)
            )
        self.expand.add(*table.replace(one, f"{one.model} NOT VALID"))
        self.expand.locked.add(table.name)
        self.concurrently.add(table.validate(one.name), [])

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
        column, fill = quoted(one.name), f"fill_{identifier(table.place, one.name)}"
        call: tuple[str, ...] = ("backfill", "require_backfill", fill)
        if not is_declared(context.script, fill):
            call = ("online", "require_no_row", table.name, f"{column} IS NULL")
        self.expand.calls.append(call)
        name = f"ck_{table.place[1]}_{one.name}_not_null"[:63]
        check = Difference(*table.place, "check", name, "definition", None, None)
        lines = table.replace(check, f"CHECK ({column} IS NOT NULL) NOT VALID")
        self.expand.add(*lines)
        self.expand.locked.add(table.name)
        self.concurrently.add(table.validate(name), [])
        alter = f"ALTER TABLE {table.name} ALTER COLUMN {column}"
        accept = [
            f"# lint-accept: not-null {'.'.join(filter(None, table.place))}.{one.name}",
            "# lint-accept: ban-drop-constraint",
            "# The CHECK is valid, so PostgreSQL scans no row; then it can go.",
        ]
        self.finish.locked.add(table.name)
        self.finish.add(
            [*accept, f"{alter} SET NOT NULL", *lines[1]],
            [f"{alter} DROP NOT NULL", *lines[0]],
        )

    # ------------------------------------------------------------------------ Columns

    def add_column(self, table: Table, one: Difference) -> None:
        """Add a column that rewrites nothing, and that the previous release may leave out."""
        made = self.made[table.place].items()
        own = {item[2]: sql for item, sql in made if item[:2] == ("column", one.name)}
        default, is_required = own.get("default", ""), "nullable" in own
        if {"computed", "identity"} & {*own} or default.startswith("SERIAL "):
            self.rewritten(table, one)
            return
        is_slow = bool(default) and not CONSTANT.fullmatch(default)
        change = f"ADD COLUMN y {own['type']} DEFAULT {default}"
        is_slow = is_slow and self.rewrites("integer", change)
        if not is_slow and (default or not is_required):
            return
        aspects = [each for each in table.found if each.name == one.name]
        table.taken += [e for e in aspects if e.aspect in {"default", "nullable"}]
        value = "...  # REVIEW: the value for existing rows"
        if is_slow:
            alter = f"ALTER TABLE {table.name} ALTER COLUMN {quoted(one.name)}"
            self.expand.add([f"{alter} SET DEFAULT {default}"], [])
            value = f"sa.text({default!r})"
        how = "a script that updates a few rows at a time"
        template = Path(context.script.dir, "script.py.mako").read_text("utf-8")
        if is_on("backfill") and "declarations" in template:
            self.declarations.append(declaration(table.place, one.name, value))
            fill = f"fill_{identifier(table.place, one.name)}"
            how = f"`{invocation()} backfill {fill}`"
        self.notes.append(f"REVIEW: fill all {table.name}.{one.name} with {how}.")
        if is_required:
            self.notes += [
                "Until every row has a value, set nullable=True in the model. Make it NOT NULL in a",
                "later revision, when no release that leaves it out is running.",
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
            f"Tried on PostgreSQL: {table.name}.{one.name} becomes {one.model} without scanning rows.",
        ]

    def rewritten(self, table: Table, one: Difference) -> None:
        self.notes += [
            f"REVIEW: PostgreSQL rewrites all rows of {table.name} for {one.name}, and blocks reads",
            "and writes until it ends. On a big table, add a new column, release code that writes",
            "both, fill it with a backfill, read from it, and drop the old one a release later.",
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
                    new: Column[Any] = Column(op.column.name, op.column.type)
                    op.column, new.comment = new, op.column.comment
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
        # A unique index alone meets rows only when it is built.
        rest = {"index", "unique"}
        self.known += [one for one in table.taken if one.kind not in rest]
        if table.sides:
            self.notes += self.rows_decide(table.found)
        for side in table.sides:
            side.ops = [op for op in side.ops if not isinstance(op, ReviewOp)]
        left = [one for one in table.found if one not in table.taken]
        heavy = [
            f"{one.kind} {one.name}"
            for one in left
            if one.model and one.name not in table.new
            if one.kind in HEAVY or one.aspect in {"collation", "nullable"}
        ]
        if heavy:
            self.notes += [
                f"REVIEW: not split, so {table.name} is blocked while PostgreSQL scans its rows:",
                f"{', '.join(heavy)}.",
            ]
        if left:
            self.expand.locked.add(table.name)

    def rows_decide(self, found: Iterable[Difference]) -> list[str]:
        """Return what rows may stop, without what the revision looks for itself."""
        return rows_decide([one for one in found if one not in self.known])

    def write_statements(self) -> None:
        """Write in plain SQL what is left to it; new labels first, if the rest needs them."""
        dialect, real = self.connection.dialect, self.real
        statements = kind_of(dialect).statements
        wanted = {place: one for place, one in (real | self.left).items() if one}
        grown = {place: dict(objects) for place, objects in real.items()}
        for place, objects in grown.items():
            for item in [item for item in objects if item[0] == "enum"]:
                new = wanted.get(place, {}).get(item, "")
                labels = LABEL.findall(objects[item])
                if [one for one in LABEL.findall(new) if one in labels] == labels:
                    objects[item] = new
        up = list(statements(real, wanted, dialect))
        added = [sql for _, sql in statements(real, grown, dialect)]
        if not {*added} <= {sql for _, sql in up}:
            up = list(statements(grown, wanted, dialect))
            self.labels = [execute(sql) for sql in added]
        found = [e for place in sorted(self.left) for e in self.comparison.found(place)]
        for op in self.up.ops:
            if isinstance(op, ReviewOp) and [*op.lines] == rows_decide(found):
                op.lines = (*self.rows_decide(found),)
        pair: list[ops.MigrateOperation] = []
        put_around(pair, up, statements(wanted, real, dialect), ())
        for container in (self.up, self.down):
            olds = [op for op in container.ops if isinstance(op, StatementsOp)]
            news = pair[: len(olds)]
            if container is self.down:
                news = [op.reverse() for op in reversed(news)]
            for old, new in zip(olds, news, strict=True):
                container.ops[container.ops.index(old)] = new

    def revisions(self, template: dict[str, Any]) -> list[ops.MigrationScript]:
        """Return a revision for each stage that does something, each after the one before."""
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
        stages = [
            (
                expand,
                [*block(self.labels), *source(expand.called()), *others]
                + source(expand.up),
                [*source(expand.down), *self.down.ops],
            ),
            (
                concurrently,
                block(concurrently.up),
                block(concurrently.down) or source([NOTHING]),
            ),
            (
                finish,
                source([*finish.called(), *finish.up]),
                [*block(finish.builds), *source(finish.down)],
            ),
        ]
        stages = [one for one in stages if one[1]]
        script, first = self.script, stages[0][0]
        ids = identifiers(str(script.rev_id), len(stages))
        stages[0][1][:0] = [*notes, *([ReviewOp(*self.notes)] if self.notes else [])]
        template["declarations"] = {
            ids[0]: "\n".join(["", *self.declarations]).rstrip()
        }
        if self.declarations:
            first.calls.append(("backfill", "backfill"))
        revisions = []
        for (stage, up, down), own, head in zip(
            stages, ids, [script.head, *ids], strict=False
        ):
            message = script.message
            if len(stages) > 1:
                message = ": ".join(filter(None, [stage.name, message]))
            revisions.append(
                ops.MigrationScript(
                    own,
                    ops.UpgradeOps(up),
                    ops.DowngradeOps(down),
                    message=message,
                    imports=stage.imports() | script.imports,
                    head=head,
                    splice=script.splice if stage is first else None,
                    branch_label=script.branch_label if stage is first else None,
                    version_path=script.version_path,
                    depends_on=script.depends_on if stage is first else None,
                )
            )
        return revisions


def has_any(sql: str, names: Iterable[str]) -> bool:
    """Return whether SQL has one of some names."""
    return any(mentions(sql, one) for one in names)


def identifiers(given: str, count: int) -> list[str]:
    """Return identifiers in the order in which their files sort; one that was given is the last."""
    asked = getattr(context.config.cmd_opts, "rev_id", None)
    if asked or not re.fullmatch("[0-9a-f]{12}", given):
        return [*(f"{given[:30]}_{number}" for number in range(1, count)), given]
    return sorted([given, *(rev_id() for _ in range(count - 1))])
