"""Scratch databases of MySQL and MariaDB, which have no statement that copies one."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from graphlib import TopologicalSorter

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError

from ..catalogs.mysql import quote, run
from .scratch import ScratchDatabase
from .servers import on_server

# Stands in statements where the name of the copy belongs.
COPY = "\0"

# By the name of a template, the statements that make a copy of it.
copies: dict[str, list[str]] = {}

USERS = "SELECT id FROM information_schema.processlist WHERE db = :database"
OBJECTS = """
SELECT table_type, table_name, 0 AS place FROM information_schema.tables
WHERE table_schema = :database
UNION ALL SELECT routine_type, routine_name, 0 FROM information_schema.routines
WHERE routine_schema = :database
UNION ALL SELECT 'EVENT', event_name, 0 FROM information_schema.events
WHERE event_schema = :database
UNION ALL SELECT 'TRIGGER', trigger_name, action_order FROM information_schema.triggers
WHERE trigger_schema = :database
ORDER BY place
"""
# A generated column takes no values.
COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = :database AND coalesce(generation_expression, '') = ''
ORDER BY table_name, ordinal_position
"""


def url_of(beside: URL, name: str) -> URL:
    """Return the URL of a scratch database."""
    return beside.set(database=name)


def create(scratch: ScratchDatabase, template: ScratchDatabase | None) -> None:
    """Create a database that is empty, or a copy of a template, which is read once."""
    name = quote(scratch.name)

    def statements(connection: Connection) -> list[str]:
        if template is None:
            return [f"CREATE DATABASE {name}"]
        if template.name not in copies:
            copies[template.name] = list(Reader(connection, template.name).read())
        return [each.replace(COPY, name) for each in copies[template.name]]

    on_server(scratch, statements)


def drop(scratch: ScratchDatabase, name: str) -> None:
    """Drop a database; a transaction that a test left open would keep it for a day."""

    def statements(connection: Connection) -> list[str]:
        for user in connection.scalars(text(USERS), {"database": name}).all():
            with suppress(DBAPIError):  # it has gone meanwhile
                connection.exec_driver_sql(f"KILL {user}")
        return [f"DROP DATABASE IF EXISTS {quote(name)}"]

    on_server(scratch, statements)


class Reader:
    """Reads what makes a copy of a database: its objects as they are, and its rows.

    The history of system-versioned tables starts again.

    Args:
        connection: to the server, without a database, so that views name theirs. It takes no
            parameters, as a name may have a percent sign.
        database: the name of the database.
    """

    def __init__(self, connection: Connection, database: str) -> None:
        self.connection = connection
        self.values = {"database": database}
        self.source = quote(database)

    def read(self) -> Iterator[str]:
        """Yield the statements that make the copy, each of them for `exec_driver_sql`."""
        self.connection.exec_driver_sql("SET sql_mode = ''")
        yield self.show("DATABASE")[1]
        yield f"USE {COPY}"
        yield "SET foreign_key_checks = 0, unique_checks = 0"
        # Otherwise a row with number 0 would get another one.
        yield "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"
        names, columns = self.lists(OBJECTS), self.lists(COLUMNS)
        for name in names["SEQUENCE"]:  # of which the defaults of columns take values
            yield self.show("SEQUENCE", name)[1]
            query = f"SELECT next_not_cached_value FROM {self.source}.{quote(name)}"
            value = self.connection.exec_driver_sql(query).scalar()
            yield f"DO SETVAL({quote(name)}, {value}, 0)"
        for name in [*names["BASE TABLE"], *names["SYSTEM VERSIONED"]]:
            yield self.show("TABLE", name)[1]
            rows = f"FROM {self.source}.{quote(name)}"
            if self.connection.exec_driver_sql(f"SELECT 1 {rows} LIMIT 1").first():
                listed = ", ".join(map(quote, columns[name]))
                yield f"INSERT INTO {quote(name)} ({listed}) SELECT {listed} {rows}"
        # Views and triggers call functions; a trigger comes after older ones of its event.
        yield from self.programs(names, "FUNCTION", "PROCEDURE")
        yield "SET sql_mode = ''"
        views = {name: self.show("VIEW", name)[1] for name in names["VIEW"]}
        reads = {
            name: {each for each in views if f"{COPY}.{quote(each)}" in view} - {name}
            for name, view in views.items()
        }
        yield from (views[name] for name in TopologicalSorter(reads).static_order())
        yield from self.programs(names, "TRIGGER", "EVENT")

    def lists(self, query: str) -> dict[str, list[str]]:
        """Return the second values of rows by the first ones."""
        found: dict[str, list[str]] = defaultdict(list)
        for first, second, *_ in self.connection.execute(text(query), self.values):
            found[first].append(second)
        return found

    def show(self, kind: str, name: str = "") -> list[str]:
        of = f"{self.source}.{quote(name)}" if name else self.source
        row = run(self.connection, f"SHOW CREATE {kind} {of}").one()
        return [str(value).replace(self.source, COPY) for value in row]

    def programs(self, names: dict[str, list[str]], *kinds: str) -> Iterator[str]:
        """Yield what keeps the `sql_mode` in which it was written."""
        for kind in kinds:
            for name in names[kind]:
                _, mode, *others = self.show(kind, name)
                yield f"SET sql_mode = '{mode}'"
                yield others[1] if kind == "EVENT" else others[0]
