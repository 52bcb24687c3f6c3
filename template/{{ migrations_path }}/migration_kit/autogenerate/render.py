"""How a revision writes types, defaults and CHECKs, where Alembic would write what does not run."""

import re
from copy import copy
from importlib import import_module
from typing import Any, Literal

import sqlalchemy
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _repr_type
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import (
    CheckConstraint,
    Column,
    DefaultClause,
    Dialect,
    TextClause,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlalchemy.util import generic_repr

BOUND = re.compile(r"(?<![:\w\\]):(?=\w+(?!:))")  # what text() takes for a parameter


def render_item(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """Render what Alembic would render wrong; False leaves the rest to it."""
    if kind == "type":
        return render_type(item, context)
    if kind == "server_default" and isinstance(item, DefaultClause):
        return render_default(item, context)
    return False


def write_checks_of_columns(container: ops.OpContainer) -> None:
    """Write the CHECKs of columns as those of their table: Alembic leaves them out."""
    for table in container.ops:
        if isinstance(table, ops.CreateTableOp):
            checks = [
                CheckConstraint(check.sqltext, name=check.name)
                for column in table.columns
                if isinstance(column, Column)
                for check in column.constraints
                if isinstance(check, CheckConstraint)
            ]
            table.columns = [*table.columns, *checks]


def write_texts(migration: MigrationContext) -> None:
    """Write SQL so that op reads it as it is: a percent once, and a colon that is no parameter."""
    render = migration.impl.render_ddl_sql_expr
    doubled = migration.dialect.identifier_preparer._double_percents

    def rendered(*items: Any, **options: Any) -> str:
        sql = render(*items, **options)
        sql = sql.replace("%%", "%") if doubled else sql
        return sql if options.get("is_index") else unbound(sql)  # that is no text()

    migration.impl.render_ddl_sql_expr = rendered  # type: ignore[method-assign]


def render_default(item: DefaultClause, context: AutogenContext) -> str:
    """Render a server default: Alembic takes apostrophes away, and binds what has a colon."""
    if isinstance(item.arg, str):
        return repr(item.arg)
    if isinstance(item.arg, TextClause) and item.reflected:
        sql = item.arg.text
    else:
        sql = context.migration_context.impl.render_ddl_sql_expr(
            item.arg, is_server_default=True
        )
    return f"sa.text({unbound(sql)!r})"


def execute(statement: str) -> str:
    """Write a statement for a revision, one of several lines as such."""
    statement = unbound(statement)
    # Alembic indents each line, also within a literal.
    broken = any(line.count("'") % 2 for line in statement.split("\n"))
    if "\n" in statement and not (broken or re.search(r'\\|"""|"$', statement)):
        return f'op.execute(\n    """{statement.expandtabs(4)}"""\n)'
    return f"op.execute({statement!r})"


def unbound(sql: str) -> str:
    """Escape what text() would treat as a parameter."""
    return BOUND.sub(r"\\:", sql)


def render_type(item: Any, context: AutogenContext) -> str | Literal[False]:
    """Render a type in such a way that the revision runs, even when the models have changed since.

    A TypeDecorator becomes what it stores: its class stays with the models, and Alembic would
    write it with the arguments of its `impl`. Another type of the project's is imported, which
    Alembic leaves to the reader.
    """
    assert context.dialect is not None
    module = type(item).__module__
    if module.startswith("sqlalchemy."):
        if isinstance(item, postgresql.JSON) and context.dialect.name != "postgresql":
            context.imports.add("from sqlalchemy import Text")  # for its `astext_type`
        if isinstance(item, postgresql.DOMAIN):  # a statement of its own creates it
            context.imports.add("from sqlalchemy.dialects import postgresql")
            base = _repr_type(item.data_type, context)
            where = f"schema={item.schema!r}, create_type=False"
            return f"postgresql.DOMAIN({item.name!r}, {base}, {where})"
        if isinstance(item, sqlalchemy.Interval):
            return f"sa.{generic_repr(item)}"  # SQLAlchemy's own lacks the precision
        return False
    if isinstance(item, TypeDecorator) and not item._variant_mapping:
        stored = item.load_dialect_impl(context.dialect)
        while isinstance(stored, TypeDecorator):
            stored = stored.load_dialect_impl(context.dialect)
        return _repr_type(public_type(stored, context.dialect), context)
    context.imports.add(f"import {module}")
    if getattr(item, "spatial_index", False):  # GeoAlchemy's would make it once more
        item = copy(item)
        item.spatial_index = False
        return _repr_type(item, context)
    return False


def public_type(item: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    """Return a type by a name that can be imported: a driver has classes of its own."""
    package = import_module(".".join(dialect.__module__.split(".")[:3]))
    for kind in type(item).__mro__:
        for module in (sqlalchemy, package):
            if getattr(module, kind.__name__, None) is kind:
                return item.adapt(kind)
    return item
