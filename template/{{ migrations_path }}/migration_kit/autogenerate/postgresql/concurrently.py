"""Indexes with `postgresql_concurrently`, which PostgreSQL builds outside of a transaction only."""

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _add_index, _drop_index
from alembic.operations import ops


@renderers.dispatch_for(ops.CreateIndexOp, replace=True)
@renderers.dispatch_for(ops.DropIndexOp, replace=True)
def render_index(
    context: AutogenContext, op: ops.CreateIndexOp | ops.DropIndexOp
) -> list[str]:
    """Write an operation in an autocommit block if it takes one."""
    if isinstance(op, ops.CreateIndexOp):
        line = _add_index(context, op)
    else:
        line = _drop_index(context, op)
    if not op.kw.get("postgresql_concurrently"):
        return [line]
    return ["with op.get_context().autocommit_block():", line, ""]
