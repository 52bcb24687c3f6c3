"""What the database records of each revision: the oldest code that can run on it."""

from typing import Any

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext, MigrationInfo
from sqlalchemy.schema import CreateTable

from ..rooms import READY_TABLE
from .statements import first_risk

LENGTH = 100  # of a statement


def table_of(migration: MigrationContext) -> sa.Table:
    """Return the table of the records; it is where the version table is.

    Its `oldest_code` is NULL if the code of each earlier release can run on the revision; else
    `reason` says why.
    """
    return sa.Table(
        READY_TABLE,
        sa.MetaData(),
        sa.Column("version_table", sa.String(255), primary_key=True),
        sa.Column("revision", sa.String(255), primary_key=True),
        sa.Column("down_revisions", sa.Text, nullable=False),
        sa.Column("oldest_code", sa.String(255)),
        sa.Column("reason", sa.Text, nullable=False),
        schema=migration.version_table_schema,
    )


def record(ctx: MigrationContext, step: MigrationInfo, statements: list[str]) -> None:
    """Record a revision that was applied, or forget one that was reverted.

    Alembic calls it after each revision, in its transaction; for `--sql`, it writes SQL.
    """
    table = table_of(ctx)
    if ctx.as_sql:
        statements = [printed(ctx)]
        ctx.execute(CreateTable(table, if_not_exists=True))
    elif ctx.connection is not None:
        table.create(ctx.connection, checkfirst=True)
    own = table.c.version_table == ctx.version_table
    for name in step.up_revision_ids:
        ctx.execute(table.delete().where(own, table.c.revision == name))
        if step.is_upgrade:
            revision: Any = step.revision_map.get_revision(name)
            found = {"version_table": ctx.version_table, "revision": name}
            found["down_revisions"] = " ".join(revision._all_down_revisions)
            judged = judge(revision, None if step.is_stamp else ";".join(statements))
            ctx.execute(table.insert().values(found | judged))
    if ctx.as_sql:
        printed(ctx)


def printed(ctx: MigrationContext) -> str:
    """Return the SQL that was written since the last call."""
    sql: str = getattr(ctx.impl.output_buffer, "getvalue", str)()
    start = ctx.opts.get(READY_TABLE, 0)
    ctx.opts[READY_TABLE] = len(sql)
    return sql[start:]


def judge(revision: Any, sql: str | None) -> dict[str, str | None]:
    """Return the oldest code that can run on a revision, and why no other one can.

    Args:
        revision: which may name it; in doubt, it is its own.
        sql: that it ran; None if it was stamped.
    """
    declared = getattr(revision.module, "oldest_code", None)
    if declared is not None:
        reason = f"declares oldest_code = {declared}"
        return {"oldest_code": str(declared), "reason": reason}
    if sql is None:
        return {"oldest_code": revision.revision, "reason": "was stamped, not run"}
    risk = first_risk(sql)
    oldest, reason = (revision.revision, f"ran {risk[:LENGTH]}") if risk else (None, "")
    return {"oldest_code": oldest, "reason": reason}
