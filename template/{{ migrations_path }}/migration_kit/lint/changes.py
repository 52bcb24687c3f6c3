"""Name what new revisions destroy, break or block, in words of their database.

The operations of the whole history are followed in memory first, so that the types of columns are
known, and which tables are filled: one that is made in the same set of revisions is empty.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from alembic.operations import ops
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Column, Delete, Dialect, Update, types
from sqlalchemy.schema import CreateView, PrimaryKeyConstraint, UniqueConstraint

from .raw_sql import (
    CreateViewOp,
    DeleteAllOp,
    FillOp,
    UnknownOp,
    new_view,
    operations_of,
)
from .reading import Reading, Recorded, read_revision, table_key
from .rules import Rules, rules_of

ACCEPT = re.compile(r"\s*# lint-accept: *([\w-]+) *(\S*)$")

# Rows or values are lost for good, or the previous release stops working.
DESTROYS = {
    "drop-table",
    "drop-column",
    "rename-table",
    "rename-column",
    "narrow-type",
    "required-column",
    "delete-all",
}


@dataclass(frozen=True)
class Finding:
    """What an operation of a revision destroys, breaks or blocks."""

    revision: Script
    line: int
    rule: str
    name: str
    message: str
    remedy: str
    destroys: bool


@dataclass
class Examined:
    """A new revision: its operations, and its findings.

    Attributes:
        on_new_tables: operations that touch only empty tables, by their index.
        in_catalog: those whose new types need no look at a row.
    """

    revision: Script
    recorded: list[Recorded] = field(default_factory=list)
    on_new_tables: set[int] = field(default_factory=set)
    in_catalog: set[int] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)

    @property
    def has_raw_sql(self) -> bool:
        """Whether it writes its own SQL."""
        return any(
            isinstance(one.operation, ops.ExecuteSQLOp)
            and isinstance(one.operation.sqltext, str)
            and one.operation.sqltext
            not in {"BEGIN", "COMMIT"}  # of an autocommit block
            for one in self.recorded
        )


def unaccepted(
    script: ScriptDirectory,
    revisions: Sequence[Script],
    dialect: Dialect,
) -> list[Finding]:
    """Return the findings in the upgrades of revisions that no comment accepts.

    Args:
        script: the history.
        revisions: those that are to run; the tables of all before them hold rows.
        dialect: of the database.

    Returns:
        The findings, in the order of the history. No database is asked.
    """
    rules = rules_of(dialect)
    return [
        finding
        for one in examine(script, revisions, rules)
        for finding in not_accepted(one.findings, rules)
    ]


def examine(
    script: ScriptDirectory,
    revisions: Sequence[Script],
    rules: Rules,
) -> list[Examined]:
    """Return all findings in revisions; see `unaccepted`."""
    wanted = {revision.revision for revision in revisions}
    if not wanted:
        return []
    schema = Schema(rules)
    found = []
    # What none of them builds on is of another line of revisions.
    needed, history = set(wanted), []
    for revision in script.walk_revisions():
        if revision.revision in needed:
            needed.update(revision._all_down_revisions)
            history.append(revision)
    for revision in reversed(history):
        is_new = revision.revision in wanted
        reading = read_revision(revision, rules.dialect)
        examined = schema.take(revision, reading, is_new)
        if is_new:
            found.append(examined)
    return found


# ------------------------------------------------------------------------- Acceptance


def not_accepted(findings: Sequence[Finding], rules: Rules) -> list[Finding]:
    """Return the findings of one revision that no comment in it accepts."""
    if not findings:
        return []
    source = Path(findings[0].revision.path).read_text(encoding="utf-8")
    ignored = rules.ignored(source)
    accepted, bare = acceptances(source)
    left = []
    for finding in findings:
        names = {one.name for one in findings if one.rule == finding.rule}
        keys = {(finding.rule, finding.name.lower())}
        if len(names) == 1:
            keys.add((finding.rule, ""))
        if finding.rule in ignored or keys & accepted:
            continue
        if keys & bare:
            remedy = "write the reason in a comment below `# lint-accept`"
            finding = replace(finding, remedy=remedy)
        left.append(finding)
    return left


def acceptances(source: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Return the rules, each with a name or none, that a revision's comments accept.

    Args:
        source: of the revision; several such comments may share the reason that follows them.

    Returns:
        Those with a reason, and those without.
    """
    accepted: set[tuple[str, str]] = set()
    bare: set[tuple[str, str]] = set()
    waiting: set[tuple[str, str]] = set()
    for line in [*source.splitlines(), ""]:
        if found := ACCEPT.match(line):
            waiting.add((found[1], found[2].lower()))
        else:
            has_reason = re.match(r"\s*#\s*\w", line)
            (accepted if has_reason else bare).update(waiting)
            waiting.clear()
    return accepted, bare


# ------------------------------------------------------------------------- The schema


@dataclass
class ColumnState:
    """What the revisions say of a column."""

    type: Any
    nullable: bool | None
    has_default: bool
    is_new: bool
    added_by: str = ""


@dataclass
class TableState:
    """What the revisions say of a table."""

    is_new: bool
    columns: dict[str, ColumnState] = field(default_factory=dict)
    # Sets of columns that no two rows have the same values of.
    unique: list[frozenset[str]] = field(default_factory=list)
    is_filled: bool = False  # by an UPDATE of the new revisions


class Schema:
    """The tables that the revisions so far have made, and what the next one does to them."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.tables: dict[str, TableState] = {}
        self.is_new = False
        self.revision = ""
        self.found: list[tuple[str, str, str, dict[str, str]]] = []
        self.on_new_table = False
        self.types: list[bool] = []
        self.served: set[tuple[str, str]] = set()

    def take(self, revision: Script, reading: Reading, is_new: bool) -> Examined:
        """Follow what a revision does, and return its findings.

        Args:
            revision: the next one.
            reading: its operations.
            is_new: whether its findings are asked for.
        """
        self.is_new, self.revision = is_new, revision.revision
        examined = Examined(revision, reading.recorded)
        self.served = set()
        for index, recorded in enumerate(reading.recorded):
            self.found, self.types, touched = [], [], []
            try:
                for operation in self.operations_of(recorded.operation):
                    self.on_new_table = False
                    self.follow(operation)
                    touched.append(self.on_new_table)
            except Exception as error:  # noqa: BLE001 # what no parser or plugin foresaw
                reason = f"{type(error).__name__}: {error}"
                self.find("unread", "", "it cannot be read: {reason}", reason=reason)
            if touched and all(touched):
                examined.on_new_tables.add(index)
            if self.types and all(self.types):
                examined.in_catalog.add(index)
            for found in self.found if is_new else ():
                finding = self.finding(revision, recorded.line, *found)
                if finding not in examined.findings:
                    examined.findings.append(finding)
        examined.findings = [
            finding
            for finding in examined.findings
            if (finding.rule, finding.name) not in self.served
        ]
        for unread in reading.unread if is_new else ():
            destroys = bool(
                unread.calls & {"drop_table", "drop_column", "rename_table"}
            )
            calls = ", ".join(sorted(unread.calls))
            message = f"{calls} of names that only the database or other code knows"
            finding = self.finding(revision, unread.line, "unread", "", message, {})
            finding = replace(finding, destroys=destroys)
            if finding not in examined.findings:
                examined.findings.append(finding)
        examined.findings.sort(key=lambda finding: finding.line)
        return examined

    def operations_of(
        self, operation: ops.MigrateOperation
    ) -> Sequence[ops.MigrateOperation]:
        """Return an operation, or those that its SQL stands for."""
        if not isinstance(operation, ops.ExecuteSQLOp):
            return [operation]
        sql: Any = operation.sqltext
        if isinstance(sql, CreateView) and sql.materialized:
            return [new_view(sql.table.name, sql.table.schema)]
        if isinstance(sql, Delete | Update):
            table: Any = sql.table
            if isinstance(sql, Update):
                return [FillOp(table.name, table.schema)]
            all_rows = sql.whereclause is None
            return [DeleteAllOp(table.name, table.schema)] if all_rows else []
        text = getattr(sql, "text", getattr(sql, "statement", sql))
        if not isinstance(text, str):
            return []
        return operations_of(text, self.rules)

    def finding(
        self,
        revision: Script,
        line: int,
        rule: str,
        name: str,
        message: str,
        words: dict[str, str],
    ) -> Finding:
        """Put a finding into the words of the database."""
        table, _, column = name.rpartition(".") if "column" in words else (name, "", "")
        table = words.get("table", table or name)
        values = {"table": table, "column": column, "columns": column, **words}
        values["dump"] = self.rules.dump.format(table=table)
        remedy = self.rules.remedies[rule]
        return Finding(
            *(revision, line, rule, name, put_in(message, values)),
            *(put_in(remedy, values), rule in DESTROYS),
        )

    # ---------------------------------------------------------------- What happens

    def find(self, rule: str, name: str, message: str, **words: str) -> None:
        """Remember a finding about the operation at hand."""
        self.found.append((rule, name, message, words))

    def table(self, name: str, schema: str | None) -> TableState:
        """Return what is known of a table; one that nothing made was there before."""
        state = self.tables.setdefault(table_key(name, schema), TableState(False))
        self.on_new_table = state.is_new and self.is_new
        return state

    def column(self, table: TableState, name: str) -> ColumnState:
        """Return what is known of a column."""
        return table.columns.setdefault(
            name.lower(), ColumnState(None, None, False, table.is_new)
        )

    def option(self, operation: Any, name: str) -> Any:
        """Return an option of one database, such as `sqlite_where`."""
        return operation.kw.get(f"{self.rules.dialect.name}_{name}")

    def follow(self, operation: ops.MigrateOperation) -> None:
        """Do in memory what an operation does, and remember its findings."""
        for kind, follow in FOLLOW.items():
            if isinstance(operation, kind):
                follow(self, operation)
        if not self.on_new_table:
            for found in self.rules.blocks(operation):
                self.find(*found)

    def create_table(self, operation: ops.CreateTableOp) -> None:
        """Add a new table."""
        state = TableState(self.is_new)
        self.tables[table_key(operation.table_name, operation.schema)] = state
        self.on_new_table = self.is_new
        for item in operation.columns:
            if isinstance(item, Column):
                self.add(state, item)
                if item.primary_key or item.unique:
                    state.unique.append(frozenset([str(item.name).lower()]))
            elif isinstance(item, PrimaryKeyConstraint | UniqueConstraint):
                names = getattr(item, "_pending_colargs", ()) or item.columns.keys()
                state.unique.append(keys(names))

    def add(self, table: TableState, column: "Column[Any]") -> None:
        """Add a new column."""
        has_default = column.server_default is not None or bool(
            column.computed or column.identity
        )
        table.columns[str(column.name).lower()] = ColumnState(
            column.type, column.nullable, has_default, self.is_new, self.revision
        )

    def drop_table(self, operation: ops.DropTableOp) -> None:
        """Forget a table."""
        state = self.table(operation.table_name, operation.schema)
        name = shown(operation.table_name, operation.schema)
        if not self.on_new_table:
            self.find("drop-table", name, "drops the table with all its rows")
        del self.tables[table_key(operation.table_name, operation.schema)], state

    def rename_table(self, operation: ops.RenameTableOp) -> None:
        """Give a table another name."""
        state = self.table(operation.table_name, operation.schema)
        name = shown(operation.table_name, operation.schema)
        new = operation.new_table_name
        if not self.on_new_table:
            message = f"renames it to {new}: the previous release uses the old name"
            self.find("rename-table", name, message)
        del self.tables[table_key(operation.table_name, operation.schema)]
        self.tables[table_key(new, operation.schema)] = state

    def add_column(self, operation: ops.AddColumnOp) -> None:
        """Add a new column of a table."""
        table = self.table(operation.table_name, operation.schema)
        column = operation.column
        self.add(table, column)
        state = table.columns[str(column.name).lower()]
        name = shown(operation.table_name, operation.schema, str(column.name))
        if not self.on_new_table and state.nullable is False and not state.has_default:
            message = (
                f"NOT NULL without a default: {self.rules.without_value}; "
                "the previous release writes none"
            )
            self.find("required-column", name, message, column=str(column.name))
        if column.unique and not self.on_new_table and state.has_default:
            self.add_unique(operation.table_name, operation.schema, [column.name], name)

    def drop_column(self, operation: ops.DropColumnOp) -> None:
        """Forget a column."""
        table = self.table(operation.table_name, operation.schema)
        state = self.column(table, operation.column_name)
        name = shown(operation.table_name, operation.schema, operation.column_name)
        if not self.on_new_table and not (state.is_new and self.is_new):
            message = "drops the column with its values: the previous release uses it"
            table_name = shown(operation.table_name, operation.schema)
            self.find("drop-column", name, message, table=table_name)
        del table.columns[operation.column_name.lower()]

    def alter_column(self, operation: ops.AlterColumnOp) -> None:
        """Change a column."""
        table = self.table(operation.table_name, operation.schema)
        state = self.column(table, operation.column_name)
        name = shown(operation.table_name, operation.schema, operation.column_name)
        table_name = shown(operation.table_name, operation.schema)
        words = {"column": operation.column_name, "table": table_name}
        is_new = self.on_new_table or (state.is_new and self.is_new)
        was_required = state.nullable is False and not state.has_default
        if new_type := operation.modify_type:
            old_type = state.type
            if old_type is None or isinstance(old_type, types.NullType):
                old_type = operation.existing_type
            self.types.append(
                not is_new
                and old_type is not None
                and self.change_type(operation, name, old_type, words)
            )
            state.type = new_type() if isinstance(new_type, type) else new_type
        if operation.modify_server_default is not False:
            state.has_default = operation.modify_server_default is not None
        if operation.modify_nullable is not None:
            was_nullable = state.nullable is not False
            if operation.existing_nullable is not None and state.nullable is None:
                was_nullable = operation.existing_nullable
            state.nullable = operation.modify_nullable
            is_quiet = is_new or table.is_filled
            if was_nullable and not operation.modify_nullable and not is_quiet:
                self.find("not-null", name, self.rules.not_null, **words)
        is_required = state.nullable is False and not state.has_default
        if is_required and not was_required and is_new and not self.on_new_table:
            message = "required immediately: the previous release writes no value"
            if state.added_by != self.revision:
                message = (
                    "required in the same release as {added_by} adds it: the previous release "
                    "writes no value. If {added_by} is released, give lint its commit or tag"
                )
            words["added_by"] = state.added_by
            self.find("required-column", name, message, **words)
        new_name = operation.modify_name
        if new_name and new_name != operation.column_name:
            if not is_new:
                message = (
                    f"renames it to {new_name}: the previous release uses the old name"
                )
                self.find("rename-column", name, message, **words)
            before, after = operation.column_name.lower(), new_name.lower()
            table.columns[after] = table.columns.pop(before)
            table.unique = [
                columns - {before} | {after} if before in columns else columns
                for columns in table.unique
            ]

    def change_type(
        self, operation: ops.AlterColumnOp, name: str, old: Any, words: dict[str, str]
    ) -> bool:
        """Look at a column's new type, and return whether only the catalog changes."""
        new = operation.modify_type
        if self.rules.ddl(old) == self.rules.ddl(new):
            return True
        using = str(self.option(operation, "using") or "")
        if message := self.rules.narrows(old, new, using):
            self.find("narrow-type", name, message, **words)
        elif message := self.rules.copies(old, new):
            self.find("table-copy", name, message, **words)
        return not using and self.rules.is_in_catalog(old, new)

    # ------------------------------------------------------- Constraints and indexes

    def add_unique(
        self, table_name: str, schema: str | None, columns: Sequence[Any], name: str
    ) -> None:
        """Look at a new promise that no two rows have the same values."""
        table = self.table(table_name, schema)
        names = [str(getattr(column, "name", column)) for column in columns]
        promised = any(known <= keys(names) for known in table.unique)
        table.unique.append(keys(names))
        for column in names:
            state = table.columns.get(column.lower())
            if state and state.is_new and self.is_new and not state.has_default:
                return  # NULL in each row, which equals nothing
        if self.on_new_table or promised:
            return
        message = "fails if two rows have the same {columns}"
        words = {"table": shown(table_name, schema), "columns": ", ".join(names)}
        self.find("unique", name or f"{table_name}.{'_'.join(names)}", message, **words)

    def create_unique_constraint(self, operation: ops.CreateUniqueConstraintOp) -> None:
        """Add a unique constraint."""
        name = str(operation.constraint_name or "")
        columns = list(operation.columns)
        if self.option(operation, "using_index"):
            return
        self.add_unique(operation.table_name, operation.schema, columns, name)

    def create_primary_key(self, operation: ops.CreatePrimaryKeyOp) -> None:
        """Add a primary key."""
        table = self.table(operation.table_name, operation.schema)
        table.unique.append(keys(operation.columns))

    def create_index(self, operation: ops.CreateIndexOp) -> None:
        """Add an index."""
        name = str(operation.index_name or "")
        columns = list(operation.columns)
        table_name = str(operation.table_name)
        if operation.unique and self.option(operation, "where") is None:
            self.add_unique(table_name, operation.schema, columns, name)
            return
        self.table(table_name, operation.schema)

    def create_foreign_key(self, operation: ops.CreateForeignKeyOp) -> None:
        """Look which table gets a foreign key."""
        self.table(operation.source_table, operation.kw.get("source_schema"))

    def touch(
        self,
        operation: ops.CreateCheckConstraintOp | ops.DropConstraintOp | ops.DropIndexOp,
    ) -> None:
        """Look which table gets a CHECK, or loses a constraint or an index."""
        if operation.table_name:
            self.table(str(operation.table_name), operation.schema)

    # ------------------------------------------------------------------------- Rows

    def delete_all(self, operation: DeleteAllOp) -> None:
        """Look at TRUNCATE, or DELETE without WHERE."""
        self.table(operation.table_name, operation.schema)
        name = shown(operation.table_name, operation.schema)
        if not self.on_new_table:
            self.find("delete-all", name, "deletes all rows")

    def fill(self, operation: FillOp) -> None:
        """Assume that rows have values after an UPDATE."""
        if self.is_new:
            self.table(operation.table_name, operation.schema).is_filled = True

    def create_view(self, operation: CreateViewOp) -> None:
        """Assume that a view of a table's old name serves code that uses it."""
        name = shown(operation.table_name, operation.schema)
        self.served.add(("rename-table", name))

    def unknown(self, _: UnknownOp) -> None:
        """Say that SQL could not be read."""
        self.find("unread", "", "SQL that cannot be read")


FOLLOW: dict[type[ops.MigrateOperation], Callable[[Schema, Any], None]] = {
    ops.CreateTableOp: Schema.create_table,
    ops.DropTableOp: Schema.drop_table,
    ops.RenameTableOp: Schema.rename_table,
    ops.AddColumnOp: Schema.add_column,
    ops.DropColumnOp: Schema.drop_column,
    ops.AlterColumnOp: Schema.alter_column,
    ops.CreateUniqueConstraintOp: Schema.create_unique_constraint,
    ops.CreatePrimaryKeyOp: Schema.create_primary_key,
    ops.CreateForeignKeyOp: Schema.create_foreign_key,
    ops.CreateCheckConstraintOp: Schema.touch,
    ops.CreateIndexOp: Schema.create_index,
    ops.DropConstraintOp: Schema.touch,
    ops.DropIndexOp: Schema.touch,
    DeleteAllOp: Schema.delete_all,
    FillOp: Schema.fill,
    CreateViewOp: Schema.create_view,
    UnknownOp: Schema.unknown,
}


def put_in(text: str, values: Mapping[str, str]) -> str:
    """Return a text with values in place of their names in braces; a name may have braces too."""
    parts = re.split(r"\{(\w+)\}", text)
    parts[1::2] = [values.get(name, name) for name in parts[1::2]]
    return "".join(parts)


def keys(names: Any) -> frozenset[str]:
    """Return the names of columns, to compare them."""
    return frozenset(str(getattr(name, "name", name)).lower() for name in names)


def shown(table: str, schema: str | None, column: str = "") -> str:
    """Return a name as a person reads it: `heroes.age`, `sales.heroes.age`."""
    return ".".join(str(part) for part in (schema, table, column) if part)
