"""Comments in a revision: what loses data, and what rows may stop."""

import re
from collections.abc import Callable, Iterator, Sequence

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops

from ..tables import full_name
from .differences import Difference

# Types that take all values of those before them.
WIDER = (
    ("tinyint", "smallint", "mediumint", "int", "integer", "bigint", "numeric"),
    ("float", "real", "double", "double precision"),
    ("char", "varchar", "character varying", "text", "mediumtext", "longtext"),
    ("date", "datetime", "timestamp without time zone"),
)

VALUE = r"'(?:[^'\\]|''|\\.)*'"  # MySQL escapes by backslash

# Aspects that give existing rows a value.
FILLED = {"default", "computed", "identity", "increment"}


class ReviewOp(ops.MigrateOperation):
    """A comment for the person who reviews a revision."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines


@renderers.dispatch_for(ReviewOp)
def render_review(context: AutogenContext, op: ReviewOp) -> list[str]:
    """Render the comment."""
    return [f"# {' '.join(line.split())}" for line in op.lines]  # or it ends too early


def ask_for_review(
    container: ops.OpContainer, copies: Callable[[Difference], str]
) -> None:
    """Write a comment before each operation that loses data, or that rows may stop.

    Args:
        container: the operations.
        copies: returns why the server copies the table for a difference.
    """
    commented: list[ops.MigrateOperation] = []
    for op in container.ops:
        found = getattr(op, "info", {}).get("found", ())
        lines = rows_decide(found)
        lines += [f"REVIEW: {why}." for why in map(copies, found) if why]
        if isinstance(op, ops.DropTableOp):
            lines = [f"REVIEW: loses the rows of {op.table_name}."]
        if isinstance(op, ops.ModifyTableOps) and lines:
            op.ops.insert(0, ReviewOp(*lines))
        elif lines:
            commented.append(ReviewOp(*lines))
        commented.append(op)
    container.ops = commented


def rows_decide(found: Sequence[Difference]) -> list[str]:
    """Return what loses data, and the queries of the rows that can stop a revision."""
    new = {
        (one.table, one.name)
        for one in found
        if (one.kind, one.aspect, one.real) == ("column", "type", None)
    }
    there = {(one.schema, one.table, one.kind, one.real) for one in found if one.real}
    filled = {(one.table, one.name) for one in found if one.aspect in FILLED}
    lines: list[str] = []
    for one in found:
        place = one.schema, one.table
        table = full_name(*place)
        if one.kind != "column" and (*place, one.kind, one.model) in there:
            continue  # it only has another name
        words = {one.name, *re.findall(r"\w+", one.model or "")}
        if (one.kind, one.aspect, one.model) == ("column", "type", None):
            lines.append(f"REVIEW: loses {table}.{one.name}; or has it a new name?")
        elif new.isdisjoint((one.table, word) for word in words):
            lines += [f"REVIEW: {why}." for why in may_stop(one, table)]
        elif one.aspect == "nullable" and (one.table, one.name) not in filled:
            lines += [
                f"REVIEW: existing rows have no value for {table}.{one.name}.",
                "Three steps: add it with nullable=True, fill it with op.execute(sa.update(...)),",
                "then alter_column(..., nullable=False). Or give it a server_default.",
            ]
    return lines


def may_stop(one: Difference, table: str) -> Iterator[str]:
    """Yield what may be wrong with rows of a table, and the query that shows them."""
    name, model = one.name, one.model or ""
    columns = brackets(model)[1:-1]
    match one.kind, one.aspect:
        case "column", "nullable" if model:
            yield (
                f"rows may have NULL in {table}.{name}: fill it first. "
                f"SELECT count(*) FROM {table} WHERE {name} IS NULL"
            )
        case "column", "type" if one.real and not is_wider(one.real, model):
            yield (
                f"values of {table}.{name} may not fit into {model}, or be cut: "
                f"SELECT DISTINCT {name} FROM {table}"
            )
        case "check", "definition" if model and not takes_more(one.real or "", model):
            broken = f"NOT ({model.removeprefix('CHECK ')})"
            yield f"rows may break {name}: SELECT count(*) FROM {table} WHERE {broken}"
        case "foreignkey", "definition" if model and one.real is None:
            yield f"rows of {table} may point to missing rows: {model}"
        case (("unique" | "index" | "primary"), "definition") if model:
            if one.kind != "index" or "UNIQUE" in model.upper():
                yield (
                    f"rows may be duplicates: SELECT {columns}, count(*) FROM {table} "
                    f"GROUP BY {columns} HAVING count(*) > 1"
                )


def brackets(definition: str) -> str:
    """Return what a definition has in its first brackets, with them."""
    start, depth = max(definition.find("("), 0), 0
    for end in range(start, len(definition)):
        depth += {"(": 1, ")": -1}.get(definition[end], 0)
        if not depth:
            return definition[start : end + 1]
    return definition


def takes_more(old: str, new: str) -> bool:
    """Return whether a CHECK is `x IN (...)`, with more values in its list."""
    rests = {re.sub(rf"{VALUE}|::[a-z ]+|[(),\s]", "", sql) for sql in (old, new)}
    is_list = re.fullmatch(r"""(?i)[`"\w]+(in|=ANYARRAY\[\])""", rests.pop())
    values = [{*re.findall(VALUE, sql)} for sql in (old, new)]
    is_not = re.search(r"(?i)\bnot\b", new)
    return bool(is_list) and not (rests or is_not) and values[0] <= values[1]


def is_wider(old: str, new: str) -> bool:
    """Return whether a type takes each value of another one."""
    (before, sizes), (after, more) = parts(old), parts(new)
    return any(
        before in family
        and after in family[family.index(before) :]
        and (not more or bool(sizes) and sizes <= more and sizes[-1] <= more[-1])
        for family in WIDER
    )


def parts(kind: str) -> tuple[str, list[int]]:
    """Return the name of a type, and its sizes: the digits before and after a point."""
    found = re.fullmatch(r"([a-z ]+?)(?:\((\d+)(?:,\s*(\d+))?\))?", kind.lower())
    if not found:
        return "", []
    sizes = [int(size) for size in found.groups()[1:] if size]
    return found[1], [sizes[0] - sizes[1], sizes[1]] if len(sizes) > 1 else sizes
