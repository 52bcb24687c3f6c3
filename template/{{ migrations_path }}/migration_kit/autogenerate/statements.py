"""Changes that no operation of Alembic's says: plain SQL, both ways."""

from collections.abc import Iterable, Sequence
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops

from .differences import Difference
from .render import execute

# Alembic's operations run after a phase: before foreign keys and views come, and, in the downgrade,
# after they went. `kinds.Kind.statements` has the phases.
BEFORE_OPERATIONS, BEFORE_OPERATIONS_BACK = 5, 0


class StatementsOp(ops.MigrateOperation):
    """Statements, those of the downgrade, and the differences that they end."""

    def __init__(
        self, up: Iterable[str], down: Iterable[str], found: Sequence[Difference]
    ) -> None:
        self.up, self.down = list(up), list(down)
        self.info["found"] = found

    def reverse(self) -> "StatementsOp":
        """Return the downgrade."""
        return StatementsOp(self.down, self.up, ())

    def to_diff_tuple(self) -> tuple[str, ...]:
        """Return a line for each difference, which `alembic check` shows."""
        return ("modify", *map(str, self.info["found"]))


def explained(op: ops.MigrateOperation) -> Sequence[ops.MigrateOperation]:
    """Return an operation for each difference, which `alembic check` shows in its words."""
    found = getattr(op, "info", {}).get("found", ())
    match op:
        case ops.CreateTableOp() | ops.DropTableOp():
            found = [whole(op, "table")]
        case ops.CreateIndexOp() | ops.DropIndexOp():
            found = [whole(op, "index", str(op.index_name))]
        case ops.ModifyTableOps() if not found:  # the indexes of a new table
            return [line for one in op.ops for line in explained(one)]
    lines = [StatementsOp((), (), [one]) for one in found]
    return lines if lines or isinstance(op, StatementsOp) else [op]


def whole(op: Any, kind: str, name: str = "") -> Difference:
    """Return the difference of a table or an index that one side lacks."""
    drops = isinstance(op, ops.DropTableOp | ops.DropIndexOp)
    sides = ("present", None) if drops else (None, "present")
    return Difference(op.schema or "", op.table_name, kind, name, "definition", *sides)


@renderers.dispatch_for(StatementsOp)
def render_statements(context: AutogenContext, op: StatementsOp) -> list[str]:
    """Write each statement, or a comment."""
    comments = [
        f"# {' '.join(line[3:].split())}" for line in op.up if line.startswith("-- ")
    ]
    others = [execute(line) for line in op.up if not line.startswith("-- ")]
    return [*comments, *(others or ["pass"])] if comments else others


def put_around(
    operations: list[ops.MigrateOperation],
    up: Iterable[tuple[int, str]],
    down: Iterable[tuple[int, str]],
    found: Sequence[Difference],
) -> None:
    """Put statements before and after Alembic's operations, by their phases."""
    early, late = split(up, BEFORE_OPERATIONS)
    late_back, early_back = split(down, BEFORE_OPERATIONS_BACK)
    operations.insert(0, StatementsOp(early, early_back, found))
    operations.append(StatementsOp(late, late_back, ()))


def split(
    statements: Iterable[tuple[int, str]], last: int
) -> tuple[list[str], list[str]]:
    """Return the statements up to a phase, and those after it, each in order and once."""
    ordered = dict.fromkeys(sorted(statements, key=lambda one: one[0]))
    return (
        [statement for phase, statement in ordered if phase <= last],
        [statement for phase, statement in ordered if phase > last],
    )
