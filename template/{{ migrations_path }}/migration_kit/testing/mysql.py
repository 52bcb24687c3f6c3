"""Scratch databases of MySQL and MariaDB, which have no statement that copies one."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ..catalogs.mysql import PLACES, SQL, quote, read, run, views_of
from .scratch import ScratchDatabase
from .servers import on_server

# Is in statements where the name of the copy belongs.
COPY = "\0"

# By the name of a template, the statements that make a copy of it.
copies: dict[str, list[str]] = {}

USERS = "SELECT id FROM information_schema.processlist WHERE db = :database"


def create(scratch: ScratchDatabase, template: ScratchDatabase | None) -> None:
    """Create a database that is empty, or a copy of a template, which is read once."""
    name = quote(scratch.name)

    def statements(connection: Connection) -> list[str]:
        if template is None:
            return [f"CREATE DATABASE {name}"]
        if template.name not in copies:
            copies[template.name] = list(copy_of(template.name, connection))
        return [each.replace(COPY, name) for each in copies[template.name]]

    on_server(scratch, statements)


def drop(scratch: ScratchDatabase, name: str) -> None:
    """Drop a database; a transaction that a test left open would keep it for a day."""

    def statements(connection: Connection) -> list[str]:
        for user in connection.scalars(text(USERS), {"database": name}).all():
            with suppress(DBAPIError):  # it is gone by now
                connection.exec_driver_sql(f"KILL {user}")
        return [f"DROP DATABASE IF EXISTS {quote(name)}"]

    on_server(scratch, statements)


def copy_of(database: str, connection: Connection) -> Iterator[str]:
    """Yield the statements that copy a database: its objects as they are, and its rows.

    The history of system-versioned tables starts again.

    Args:
        connection: to the server, without a database, so that views name theirs.
    """
    source = quote(database)
    run(connection, "SET sql_mode = ''")
    catalog = read(connection, {database: ""})
    items = [(item[0].upper(), item[1]) for each in catalog.values() for item in each]
    items += [("VIEW", name) for _, name in views_of(catalog)]

    def shown(*kinds: str) -> Iterator[str]:
        """Yield what makes objects, with the `sql_mode` in which each was written."""
        for kind, name in items:
            if kind in kinds:
                show = f"SHOW CREATE {kind} {source}.{quote(name)}"
                row: Any = run(connection, show).one()
                yield f"SET sql_mode = '{row[1] if PLACES[kind] > 1 else ''}'"
                yield row[PLACES[kind]].replace(source, COPY)

    row: Any = run(connection, f"SHOW CREATE DATABASE {source}").one()
    yield row[1].replace(source, COPY)
    yield f"USE {COPY}"
    yield "SET foreign_key_checks = 0, unique_checks = 0"
    yield from shown("SEQUENCE")  # of which the defaults of columns take values
    for name in [name for kind, name in items if kind == "SEQUENCE"]:
        query = f"SELECT next_not_cached_value FROM {source}.{quote(name)}"
        yield f"DO SETVAL({quote(name)}, {run(connection, query).scalar()}, 0)"
    # Otherwise a row with number 0 would get another one.
    yield "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"
    for (_, table), objects in catalog.items():
        if SQL in objects:
            yield objects[SQL]
            columns = ", ".join(
                quote(name)
                for kind, name, aspect in objects
                if kind == "column" and aspect == "type"
                if ("column", name, "computed") not in objects
            )
            rows = f"FROM {source}.{quote(table)}"
            if run(connection, f"SELECT 1 {rows} LIMIT 1").first():
                yield f"INSERT INTO {quote(table)} ({columns}) SELECT {columns} {rows}"
    # Views and triggers call functions; a trigger comes after older ones of its event.
    yield from shown("FUNCTION", "PROCEDURE")
    yield from shown("VIEW")
    yield from shown("TRIGGER", "EVENT")
