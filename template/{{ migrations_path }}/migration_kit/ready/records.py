"""What the database records of each revision: the oldest code that can run on it."""

from typing import Any

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext, MigrationInfo
from sqlalchemy.schema import CreateTable

from ..rooms import READY_TABLE

LENGTH = 100  # of a statement


def table_of(ctx: MigrationContext) -> sa.Table:
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
        schema=ctx.version_table_schema,
    )


def record(ctx: MigrationContext, step: MigrationInfo, statements: list[str]) -> None:
    """Record a revision that was applied, or forget one that was reverted.

    Alembic calls it after each revision, in its transaction; for `--sql`, it writes SQL.
    """
    table = table_of(ctx)
    if not ctx.as_sql:
        assert ctx.connection is not None
        table.create(ctx.connection, checkfirst=True)
    elif READY_TABLE not in ctx.opts:
        ctx.execute(CreateTable(table, if_not_exists=True))
    sql = printed(ctx) if ctx.as_sql else ";".join(statements)
    for name in step.up_revision_ids:
        key = {"version_table": ctx.version_table, "revision": name}
        ctx.execute(table.delete().filter_by(**key))
        if step.is_upgrade:
            revision: Any = step.revision_map.get_revision(name)
            down = " ".join(revision._all_down_revisions)
            judged = judge(revision, None if step.is_stamp else sql)
            values = key | {"down_revisions": down} | judged
            ctx.execute(table.insert().values(values))
    if ctx.as_sql:
        printed(ctx)


def printed(ctx: MigrationContext) -> str:
    """Return the SQL that was written since the last call."""
    text = str(ctx.impl.output_buffer.getvalue())  # type: ignore[union-attr]
    start = ctx.opts.get(READY_TABLE, 0)
    ctx.opts[READY_TABLE] = len(text)
    return text[start:]


def judge(revision: Any, sql: str | None) -> dict[str, str | None]:
    """Return the oldest code that can run on a revision, and why no older one can.

    Args:
        revision: which may name that code; in doubt, it is the code that has the revision.
        sql: that it ran; None if it was stamped.
    """
    from .statements import first_risk  # a probe need not wait for it

    if (declared := getattr(revision.module, "oldest_code", None)) is not None:
        return {"oldest_code": declared, "reason": f"has oldest_code = {declared}"}
    if sql is None:
        return {"oldest_code": revision.revision, "reason": "was stamped, not run"}
    if risk := first_risk(sql):
        reason = f"ran {risk[:LENGTH]}"
        return {"oldest_code": revision.revision, "reason": reason}
    return {"oldest_code": None, "reason": ""}
