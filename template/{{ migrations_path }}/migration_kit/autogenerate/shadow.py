"""The shadow: the models as the database itself makes them, in a place apart.

Both catalogs are then in the database's own words, and text is compared with text. The shadow is
cast before Alembic compares: its operations put copies of a constraint on tables of the models.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, MetaData, Table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.ddl import SchemaGenerator
from sqlalchemy.types import SchemaType

from ..catalogs import Catalog


@dataclass
class Models:
    """The part of the models that is compared.

    Attributes:
        tables: of all MetaData, views included, without those that env.py leaves out.
        schemas: the server's name of each schema that the models name; of None, the default one.
        renamed: shows the catalog of the database with new names.
    """

    tables: Sequence[Table]
    schemas: dict[str | None, str]
    renamed: Callable[[Catalog], Catalog] = lambda catalog: catalog

    def shown(self) -> dict[str, str]:
        """Return the schemas by the server's name, each with its name in a catalog."""
        default = self.schemas[None]
        return {real: "" if real == default else real for real in self.schemas.values()}

    def key(self, table: Table) -> tuple[str, str]:
        """Return the place of a table in a catalog."""
        return self.shown()[self.schemas[table.schema]], table.name


@dataclass
class Shadow:
    """Two catalogs: that of the database, and that of the models.

    Attributes:
        not_made: the reason for each table that the database refuses to make in a place apart.
        note: the reason why there is no shadow, or not all of it; Alembic compares the rest.
    """

    real: Catalog
    made: Catalog
    not_made: dict[Table, str] = field(default_factory=dict)
    note: str = ""


class Maker(SchemaGenerator):
    """Makes tables as `create_all` does, but calls no listener of the models: no seeding.

    Types come by listeners of their own.
    """

    @contextmanager
    def with_ddl_events(self, target: Any, **options: Any) -> Iterator[None]:
        """Call the listeners of types."""
        for listener in target.dispatch.before_create:
            # SQLAlchemy 2.1 has a partial.
            function = getattr(listener, "func", listener)
            owner = getattr(function, "__self__", getattr(function, "target", None))
            if isinstance(owner, SchemaType):
                listener(target, self.connection, _ddl_runner=self, **options)
        yield


def make(connection: Connection, tables: Sequence[Table]) -> dict[Table, str]:
    """Make tables; return the reasons of those that the database refuses.

    Args:
        connection: with savepoints, and with a `schema_translate_map` to the place apart.
        tables: in any order.
    """
    refused: dict[Table, str] = {}
    for metadata in dict.fromkeys(table.metadata for table in tables):
        some = [table for table in tables if table.metadata is metadata]
        if not try_to_make(connection, metadata, some):
            continue
        for table in (one for one in metadata.sorted_tables if one in set(some)):
            if reason := try_to_make(connection, metadata, [table], checkfirst=True):
                refused[table] = reason
    return refused


def try_to_make(
    connection: Connection,
    metadata: MetaData,
    tables: list[Table],
    checkfirst: bool = False,
) -> str:
    """Make tables, all or none; return the reason why not, or nothing."""
    untyped: Any = Maker
    maker = untyped(connection.dialect, connection, checkfirst, tables)
    try:
        with connection.begin_nested():
            maker.traverse_single(metadata)
    except SQLAlchemyError as error:
        return reason_of(error)
    return ""


def reason_of(error: Exception) -> str:
    """Return the first line of an error."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0]


@contextmanager
def translated(
    connection: Connection, schemas: dict[str | None, str]
) -> Iterator[None]:
    """Make tables of some schemas in others: in place, as the connection is the caller's."""
    before = connection._execution_options
    connection._execution_options = before.union({"schema_translate_map": schemas})
    try:
        yield
    finally:
        connection._execution_options = before
