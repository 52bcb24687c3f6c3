"""PostgreSQL: squawk reads the SQL of a new revision, and says what it locks, and for how long."""

import io
import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Delete, Insert, Update, types

from .changes import Examined, Finding
from .raw_sql import TYPES, type_of
from .reading import plain_dialect
from .rules import Rules
from .servers import Server, kind_of_time

# Rules of squawk, each with the kit's that says the same: always, or of some operations only.
OURS = {
    "ban-drop-table": "drop-table",
    "ban-drop-column": "drop-column",
    "ban-truncate-cascade": "delete-all",
    "renaming-table": "rename-table",
    "renaming-column": "rename-column",
    "adding-required-field": "required-column",
}
SAME = OURS | {
    "changing-column-type": "narrow-type",
    "adding-not-nullable-field": "not-null",
    "disallowed-unique-constraint": "unique",
}

IGNORE = re.compile(r"^\s*# squawk-ignore: *([\w, -]+)", re.MULTILINE)

# Of squawk's rules, those whose operations autogenerate can write without long locks.
ONLINE = "`alembic -x online=true revision --autogenerate` writes it (feature online)"
SPLIT = {
    "adding-foreign-key-constraint",
    "adding-not-nullable-field",
    "constraint-missing-not-valid",
    "disallowed-unique-constraint",
    "require-concurrent-index-creation",
    "require-concurrent-index-deletion",
}

ROWS = re.compile(r"\s*(INSERT|UPDATE|DELETE|SELECT|WITH|EXPLAIN)\b", re.IGNORECASE)


class PostgreSQL(Server):
    """PostgreSQL."""

    dump = "pg_dump --table {table}"
    not_null = (
        "NOT NULL fails while a row has NULL, and blocks reads and writes while it scans "
        "all rows"
    )
    remedies = {
        **Rules.remedies,
        "rename-table": "CREATE VIEW {table} AS SELECT * FROM the new name, and drop the "
        "view one release later: PostgreSQL writes through it",
        "not-null": "fill the rows, add CHECK ({column} IS NOT NULL) NOT VALID, then "
        f"VALIDATE CONSTRAINT; NOT NULL then scans nothing; {ONLINE}",
        "unique": "remove duplicate rows first; CREATE UNIQUE INDEX CONCURRENTLY "
        f"in an autocommit_block(), then ADD CONSTRAINT ... USING INDEX; {ONLINE}",
    }
    refused = "stop it, or are cut by a cast"
    number = (100_000, 16_383)
    grammar = "postgres"
    sql_types = TYPES | {
        "BPCHAR": types.CHAR,
        "SMALLSERIAL": types.SmallInteger,
        "SERIAL": types.Integer,
        "BIGSERIAL": types.BigInteger,
        "UUID": types.Uuid,
        "JSONB": types.JSON,
    }

    def between_times(self, old: Any, new: Any, using: str) -> str:
        if kind_of_time(old) == kind_of_time(new) == "datetime":
            if old.timezone == new.timezone or "at time zone" in using.lower():
                return ""
            return (
                "each value is treated as one in the time zone of the session: "
                "use postgresql_using=\"... AT TIME ZONE 'UTC'\""
            )
        return super().between_times(old, new, using)

    def is_in_catalog(self, old: Any, new: Any) -> bool:
        names = {re.split(r"\W", self.ddl(one))[0] for one in (old, new)}
        old, new = self.plain(old), self.plain(new)
        if names <= {"VARCHAR", "TEXT"}:
            is_same = old.collation == new.collation
            return bool(is_same and self.length(old) <= self.length(new))
        if names <= {"NUMERIC", "DECIMAL"}:
            (precision, scale), (most, new_scale) = map(self.digits, (old, new))
            return new.precision is None or (precision <= most and scale == new_scale)
        return False

    def findings_of(self, examined: Examined) -> list[Finding]:
        return findings_of(examined)

    def ignored(self, source: str) -> set[str]:
        rules = ",".join(IGNORE.findall(source)).split(",")
        return {SAME.get(rule.strip(), rule.strip()) for rule in rules}

    def of_action(
        self, action: Any, table: str, schema: str | None
    ) -> Iterator[ops.MigrateOperation]:
        yield from super().of_action(action, table, schema)
        if type(action).__name__ == "AlterColumn":
            type_, using = action.args.get("dtype"), action.args.get("using")
            given: dict[str, Any] = {}
            if type_:
                given["modify_type"] = type_of(type_, self.sql_types)
                if using and not is_plain_cast(using, action.name, type_):
                    given["postgresql_using"] = using.sql()
            if (nullable := action.args.get("allow_null")) is not None:
                given["modify_nullable"] = nullable
            yield ops.AlterColumnOp(table, action.name, schema=schema, **given)


def is_plain_cast(using: Any, column: str, type_: Any) -> bool:
    """Return whether USING says no more than the new type."""
    is_cast = type(using).__name__ == "Cast" and using.this.name == column
    return is_cast and using.args["to"] == type_


def findings_of(examined: Examined) -> list[Finding]:
    """Return squawk's findings in the upgrade of a revision.

    Args:
        examined: the revision; what touches only tables that are new, or was said already, is
            left out.

    Raises:
        CommandError: if squawk is not installed, or cannot read .squawk.toml.
    """
    sql, operations, findings = print_sql(examined)
    said = {(finding.line, finding.rule) for finding in examined.findings}
    # The more telling of two rules comes first.
    for found in sorted(
        run_squawk(sql), key=lambda found: bool(same_as(found["rule_name"]))
    ):
        rule = found["rule_name"]
        index = operations[min(found["line"], len(operations) - 1)]
        if index is None or index in examined.on_new_tables or rule in OURS:
            continue
        if rule == "changing-column-type" and index in examined.in_catalog:
            continue
        recorded = examined.recorded[index]
        if said & {(recorded.line, same) for same in same_as(rule)}:
            continue
        finding = Finding(
            revision=examined.revision,
            line=recorded.line,
            rule=rule,
            name=table_of(recorded.operation),
            message=found["message"],
            remedy=remedy_of(rule, found["help"] or ""),
            destroys=False,
        )
        if finding not in findings:
            findings.append(finding)
            said.add((finding.line, rule))
    return findings


def remedy_of(rule: str, remedy: str) -> str:
    """Return squawk's words, and ours if autogenerate can write it so."""
    ours = [remedy.rstrip("."), ONLINE] if rule in SPLIT else [remedy]
    return "; ".join(filter(None, ours))


def same_as(rule: str) -> set[str]:
    """Return the rules that say as much about the same operation as one of squawk's."""
    if rule == "constraint-missing-not-valid":
        return {"unique", "adding-foreign-key-constraint"}
    return {SAME[rule]} if rule in SAME else set()


def run_squawk(sql: str) -> list[dict[str, Any]]:
    """Return what squawk finds in SQL."""
    squawk = ["squawk", "--reporter", "json", "--stdin-filepath", "revision.sql"]
    try:
        run = subprocess.run(
            squawk, input=sql, capture_output=True, encoding="utf-8", check=False
        )
    except FileNotFoundError as error:
        raise CommandError(
            f"{error.filename} is not installed. Run `uv add --dev squawk-cli`"
        ) from error
    try:
        found: list[dict[str, Any]] = json.loads(run.stdout or "[]")
    except ValueError:
        found = []
    if run.returncode and not found:
        reason = next(iter(run.stderr.strip().splitlines()), "it says nothing")
        raise CommandError(
            f"squawk stopped: {reason}. Run `uv add --dev -U squawk-cli`"
        )
    return found


def print_sql(examined: Examined) -> tuple[str, list[int | None], list[Finding]]:
    """Return the SQL of a revision, for each line of it the index of its operation, and what it lacks."""
    buffer = io.StringIO()
    context = MigrationContext.configure(
        dialect=plain_dialect("postgresql"),
        opts={"as_sql": True, "output_buffer": buffer, "literal_binds": True},
    )
    operations = Operations(context)
    # A run has a timeout too.
    text = "BEGIN;\nSET LOCAL lock_timeout = '5s';\n"
    lines: list[int | None] = [None, None]
    unread: list[Finding] = []
    for index, recorded in enumerate(examined.recorded):
        if is_about_rows(recorded.operation):
            continue
        buffer.seek(0)
        buffer.truncate()
        try:
            operations.invoke(recorded.operation)
        except Exception as error:  # noqa: BLE001 # of any plugin's operation
            unread.append(
                Finding(
                    revision=examined.revision,
                    line=recorded.line,
                    rule="unread",
                    name=table_of(recorded.operation),
                    message=f"squawk did not see its SQL: {type(error).__name__}: {error}",
                    remedy="check yourself what it locks",
                    destroys=False,
                )
            )
            continue
        text += buffer.getvalue()
        lines += [index] * buffer.getvalue().count("\n")
    return text + "COMMIT;\n", [*lines, None], unread


def is_about_rows(operation: ops.MigrateOperation) -> bool:
    """Return whether an operation changes no table."""
    if isinstance(operation, ops.ExecuteSQLOp):
        sql: Any = operation.sqltext
        return isinstance(sql, Insert | Update | Delete) or bool(ROWS.match(str(sql)))
    return isinstance(operation, ops.BulkInsertOp)


def table_of(operation: Any) -> str:
    """Return the table that an operation changes, if it names one."""
    for name in ("table_name", "source_table"):
        if table := getattr(operation, name, None):
            return str(table)
    return ""


rules = PostgreSQL
