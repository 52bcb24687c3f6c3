"""Whether models and database differ, where Alembic's own comparison errs."""

import re
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import Column, DefaultClause, Identity


def skip_equal_defaults(
    context: AutogenContext,
    alter_column: ops.AlterColumnOp,
    schema: str | None,
    table: str,
    column: str,
    inspected: Column[Any],
    modelled: Column[Any],
) -> PriorityDispatchResult:
    """End the comparison of server defaults that Alembic takes for different, and are equal."""
    assert context.dialect is not None
    ours, theirs = modelled.server_default, inspected.server_default
    if isinstance(ours, Identity) and not context.dialect.supports_identity_columns:
        return PriorityDispatchResult.STOP
    if not isinstance(ours, DefaultClause) or not isinstance(theirs, DefaultClause):
        return PriorityDispatchResult.CONTINUE
    expected, found = str(ours.arg), str(theirs.arg)
    mysql = context.dialect.name in {"mysql", "mariadb"}
    now = mysql and expected == "now()"
    if now and found.lower().removesuffix("()") == "current_timestamp":
        return PriorityDispatchResult.STOP
    if isinstance(ours.arg, str) and unquote(found, mysql) == expected:
        return PriorityDispatchResult.STOP
    return PriorityDispatchResult.CONTINUE


def unquote(default: str, mysql: bool) -> str | None:
    """Return the text of a quoted literal, as the database shows a default; else None."""
    literal = re.fullmatch(r"\(?'(.*)'(?:::[\w .()]+)?\)?", default, re.DOTALL)
    if literal is None:
        return None
    quoted = r"''|\\(['\\])" if mysql else "''"
    return re.sub(quoted, lambda match: match[0][-1], literal[1])


plugin = Plugin(__name__)
plugin.add_autogenerate_comparator(
    skip_equal_defaults,
    "column",
    "server_default",
    priority=DispatchPriority.FIRST,
)
