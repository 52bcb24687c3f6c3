"""Tables of the models."""

import sys
from collections.abc import Sequence
from inspect import getattr_static
from types import ModuleType
from typing import Any

from sqlalchemy import MetaData, Table

from .errors import one_line


def make_tables_of_listeners() -> None:
    """Let the models be complete: listeners of mappers may make tables, for versions of rows.

    Raises:
        CommandError: if a mapper is wrong; it might hide tables.
    """
    if orm := sys.modules.get("sqlalchemy.orm"):  # else there are no mappers
        with one_line("the models cannot be used"):
            orm.configure_mappers()


def metadata_in(module: Any) -> MetaData | None:
    """Return the MetaData of a module and of those below it, if only one has tables.

    A module without any may import those of its package that have tables.
    """
    package = f"{module.__name__.partition('.')[0]}."
    used: list[MetaData] = []
    imported = [one for one in vars(module).values() if isinstance(one, ModuleType)]
    for modules in ([module], imported):
        below = tuple(f"{one.__name__}." for one in modules)
        names = [n for n in sys.modules if f"{n}.".startswith(below)]
        loaded = [sys.modules[n] for n in names if f"{n}.".startswith(package)]
        owners = [one for module in loaded for one in vars(module).values()]
        found = [getattr_static(one, "metadata", one) for one in owners]
        known = {one for one in found if isinstance(one, MetaData)}
        used = used or [one for one in known if one.tables] or [*known]
    return used[0] if len(used) == 1 else None


def tables_of(metadata: MetaData | Sequence[MetaData] | None) -> dict[str, Table]:
    """Return the tables of one MetaData, of several, or of none, by their keys."""
    several = [metadata] if isinstance(metadata, MetaData) else metadata or []
    return {key: table for one in several for key, table in one.tables.items()}


def selectable_of(table: Table) -> Any:
    """Return the query of a view, or of a table made by one, of SQLAlchemy 2.1; else None."""
    return getattr(getattr(table, "_creator_ddl", None), "selectable", None)


def is_view(table: Table) -> bool:
    """Return whether a table is a view."""
    return bool(getattr(table, "is_view", False))


def full_name(schema: str | None, table: str) -> str:
    """Return the name of a table with its schema, if it is not the default one."""
    return f"{schema}.{table}" if schema else table


def schemas_of(metadata: MetaData | Sequence[MetaData] | None) -> set[str]:
    """Return the names of the schemas in which tables are, or types such as an ENUM."""
    tables = tables_of(metadata).values()
    types = (column.type for table in tables for column in table.columns)
    schemas = {getattr(owner, "schema", None) for owner in (*tables, *types)}
    return {schema for schema in schemas if schema}
