"""Let squawk read the SQL of a new revision: what PostgreSQL locks, and for how long."""

import io
import json
import re
import subprocess
from typing import Any

from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Delete, Insert, Update

from .changes import SAME_AS_SQUAWK, Examined, Finding
from .reading import plain_dialect

# Of a rule of squawk's, those that say as much about the same operation.
SAME = {rule: {same} for rule, same in SAME_AS_SQUAWK.items()} | {
    "constraint-missing-not-valid": {"unique", "adding-foreign-key-constraint"}
}

# What `changes` says on every database.
OURS = {
    *("ban-drop-table", "ban-drop-column", "ban-truncate-cascade"),
    *("renaming-table", "renaming-column", "adding-required-field"),
}

ROWS = re.compile(r"\s*(INSERT|UPDATE|DELETE|SELECT|WITH|EXPLAIN)\b", re.IGNORECASE)


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
    for found in sorted(run_squawk(sql), key=lambda found: found["rule_name"] in SAME):
        rule = found["rule_name"]
        index = operations[min(found["line"], len(operations) - 1)]
        if index is None or index in examined.on_new_tables or rule in OURS:
            continue
        recorded = examined.recorded[index]
        if said & {(recorded.line, same) for same in SAME.get(rule, ())}:
            continue
        finding = Finding(
            revision=examined.revision,
            line=recorded.line,
            rule=rule,
            name=table_of(recorded.operation),
            message=found["message"],
            remedy=found["help"] or "",
            destroys=False,
        )
        if finding not in findings:
            findings.append(finding)
            said.add((finding.line, rule))
    return findings


def run_squawk(sql: str) -> list[dict[str, Any]]:
    """Return what squawk finds in SQL."""
    squawk = ["squawk", "--reporter", "json", "--stdin-filepath", "revision.sql"]
    try:
        run = subprocess.run(
            squawk, input=sql, capture_output=True, encoding="utf-8", check=False
        )
    except FileNotFoundError as error:
        raise CommandError(
            f"{error.filename} is not installed; "
            "squawk comes with `uv add --dev squawk-cli`"
        ) from error
    try:
        found: list[dict[str, Any]] = json.loads(run.stdout or "[]")
    except ValueError:
        found = []
    if run.returncode and not found:
        reason = next(iter(run.stderr.strip().splitlines()), "it says nothing")
        raise CommandError(f"squawk stopped: {reason}")
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
                    remedy="see for yourself what it locks",
                    destroys=False,
                )
            )
            continue
        text += buffer.getvalue()
        lines += [index] * buffer.getvalue().count("\n")
    return text + "COMMIT;\n", [*lines, None], unread


def is_about_rows(operation: ops.MigrateOperation) -> bool:
    """Tell whether an operation changes no table."""
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
