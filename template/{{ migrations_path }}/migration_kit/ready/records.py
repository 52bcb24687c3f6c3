"""What the database records of each revision: the oldest code that can run on it."""

from functools import cache
from typing import Any

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext, MigrationInfo
from sqlalchemy.schema import CreateTable

from ..rooms import READY_TABLE


@cache  # so that SQLAlchemy compiles each statement once
def table_in(schema: str | None) -> sa.Table:
    """Return the table of the records; it is where the version table is.

    If `oldest_code` is NULL, the code of each earlier release can run on the revision; else
    `reason` says why not.
    """
    return sa.Table(
        READY_TABLE,
        sa.MetaData(),
        sa.Column("version_table", sa.String(255), primary_key=True),
        sa.Column("revision", sa.String(255), primary_key=True),
        sa.Column("down_revisions", sa.Text, nullable=False),
        sa.Column("oldest_code", sa.String(255)),
        sa.Column("reason", sa.Text, nullable=False),
        schema=schema,
    )


def recorded(ctx: MigrationContext) -> dict[str, sa.Row[Any]]:
    """Return the records of the revisions of a history."""
    table, connection = table_in(ctx.version_table_schema), ctx.connection
    assert connection is not None
    if not sa.inspect(connection).has_table(table.name, table.schema):
        return {}
    query = table.select().filter_by(version_table=ctx.version_table)
    return {row.revision: row for row in connection.execute(query)}


def record(ctx: MigrationContext, step: MigrationInfo, statements: list[str]) -> None:
    """Record a revision that was applied, or forget one that was reverted.

    Alembic calls it after each revision, in its transaction; for `--sql`, it writes SQL.
    """
    table = table_in(ctx.version_table_schema)
    known = ctx.opts.get(READY_TABLE)  # which a rollback removes
    if ctx.as_sql:
        if known is None:
            ctx.execute(CreateTable(table, if_not_exists=True))
        sql = str(ctx.impl.output_buffer.getvalue())  # type: ignore[union-attr]
        statements, ctx.opts[READY_TABLE] = [sql[known or 0 :]], len(sql)
    elif known is None:
        assert ctx.connection is not None
        table.create(ctx.connection, checkfirst=True)
        known = ctx.opts[READY_TABLE] = recorded(ctx)
    for name in step.up_revision_ids:
        key = {"version_table": ctx.version_table, "revision": name}
        if ctx.as_sql or not step.is_upgrade or name in (known or ()):
            ctx.execute(table.delete().filter_by(**key))
        if step.is_upgrade:
            revision: Any = step.revision_map.get_revision(name)
            down = " ".join(revision._all_down_revisions)
            code, why = judge(revision, None if step.is_stamp else ";".join(statements))
            others = {"down_revisions": down, "oldest_code": code, "reason": why}
            ctx.execute(table.insert().values(key | others))


def judge(revision: Any, sql: str | None) -> tuple[str | None, str]:
    """Return the oldest code that can run on a revision, and why no older one can.

    Args:
        revision: which may name that code; in doubt, it is the code that has the revision.
        sql: that it ran; None if it was stamped.
    """
    from .statements import first_risk  # a probe need not wait for it

    if (declared := getattr(revision.module, "oldest_code", None)) is not None:
        return declared, f"has oldest_code = {declared}"
    if sql is None:
        return revision.revision, "was stamped, not run"
    risk = first_risk(sql)
    return (revision.revision, f"ran {risk[:100]}") if risk else (None, "")
