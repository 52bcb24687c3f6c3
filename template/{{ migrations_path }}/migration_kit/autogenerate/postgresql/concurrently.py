"""Indexes with `postgresql_concurrently`, which PostgreSQL builds outside of a transaction only."""

from collections.abc import Callable
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _add_index, _drop_index
from alembic.operations import ops


def outside_transaction(
    render: Callable[[AutogenContext, Any], str],
) -> Callable[[AutogenContext, Any], list[str]]:
    """Return what renders an operation in an autocommit block if it takes one."""

    def rendered(context: AutogenContext, op: Any) -> list[str]:
        line = render(context, op)
        if not op.kw.get("postgresql_concurrently"):
            return [line]
        return ["with op.get_context().autocommit_block():", line, ""]

    return rendered


for kind, render in ((ops.CreateIndexOp, _add_index), (ops.DropIndexOp, _drop_index)):
    renderers.dispatch_for(kind, replace=True)(outside_transaction(render))
