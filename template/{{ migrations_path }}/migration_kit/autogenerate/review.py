"""Comments in a revision: what loses data, and what rows may stop."""

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy import Column


class ReviewOp(ops.MigrateOperation):
    """A comment for the person who reviews a revision."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines


@renderers.dispatch_for(ReviewOp)
def render_review(context: AutogenContext, op: ReviewOp) -> list[str]:
    """Render the comment."""
    return [f"# {line}" for line in op.lines]


def ask_for_review(container: ops.OpContainer) -> None:
    """Write a comment before each operation that loses data, or that rows may stop."""
    commented: list[ops.MigrateOperation] = []
    for op in container.ops:
        if isinstance(op, ops.ModifyTableOps):
            ask_for_review(op)
        elif lines := review(op):
            commented.append(ReviewOp(*lines))
        commented.append(op)
    container.ops = commented


def review(op: ops.MigrateOperation) -> list[str]:
    """Return what to look at in an operation, in lines of a comment."""
    match op:
        case ops.DropTableOp():
            return [f"REVIEW: loses the rows of {op.table_name}."]
        case ops.DropColumnOp():
            return [
                f"REVIEW: loses {op.table_name}.{op.column_name}; or has it a new name?"
            ]
        case ops.AddColumnOp(column=Column(nullable=False, server_default=None)):
            return [
                f"REVIEW: rows that are there have no value for {op.table_name}.{op.column.name}.",
                "Three steps: add it with nullable=True, fill it with op.execute(sa.update(...)),",
                "then alter_column(..., nullable=False). Or give it a server_default.",
            ]
        case ops.AlterColumnOp() if op.modify_nullable is False:
            return [
                f"REVIEW: rows may have no value for {op.table_name}.{op.column_name}:",
                "fill it first, with op.execute(sa.update(...)).",
            ]
    return []
