"""A copy of a migrated database for MySQL and MariaDB, which have no statement for that."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter

from sqlalchemy import Connection, text

# Stands in the statements where the name of the copy belongs.
COPY = "\0"

CHARACTERS = """
SELECT default_character_set_name, default_collation_name FROM information_schema.schemata
WHERE schema_name = :database
"""
OBJECTS = """
SELECT table_type, table_name FROM information_schema.tables WHERE table_schema = :database
UNION ALL
SELECT routine_type, routine_name FROM information_schema.routines
WHERE routine_schema = :database
UNION ALL
SELECT 'EVENT', event_name FROM information_schema.events WHERE event_schema = :database
"""
# A new trigger comes after those for the same event.
TRIGGERS = """
SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = :database
ORDER BY action_order
"""
# A generated column takes no values.
COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = :database AND coalesce(generation_expression, '') = ''
ORDER BY table_name, ordinal_position
"""


class Reader:
    """Reads what makes a copy of a database: its objects as they are, and its rows.

    The history of system-versioned tables begins anew.

    Args:
        connection: to the server, without a database, so that views name theirs.
        database: the name of the database.
    """

    def __init__(self, connection: Connection, database: str) -> None:
        # No parameters: a name may have a percent sign.
        self.connection = connection.execution_options(no_parameters=True)
        self.values = {"database": database}
        self.source = quote(database)

    def statements(self) -> Iterator[str]:
        """Yield the statements that make the copy, each of them for `exec_driver_sql`."""
        self.connection.exec_driver_sql("SET sql_mode = ''")
        [(characters, collation)] = self.connection.execute(
            text(CHARACTERS), self.values
        )
        yield f"CREATE DATABASE {COPY} CHARACTER SET {characters} COLLATE {collation}"
        yield f"USE {COPY}"
        yield "SET foreign_key_checks = 0, unique_checks = 0"
        # Otherwise a row with number 0 would get another one.
        yield "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"
        names: dict[str, list[str]] = defaultdict(list)
        for row in self.connection.execute(text(OBJECTS), self.values):
            names[row[0]].append(row[1])
        tables = [*names["BASE TABLE"], *names["SYSTEM VERSIONED"]]
        for name in names["SEQUENCE"]:  # of which the defaults of columns take values
            yield self.show("SEQUENCE", name)[1]
            query = f"SELECT next_not_cached_value FROM {self.of(name)}"
            value = self.connection.exec_driver_sql(query).scalar()
            yield f"DO SETVAL({quote(name)}, {value}, 0)"
        for name in tables:
            yield self.show("TABLE", name)[1]
        yield from self.rows(tables)
        for kind in ("FUNCTION", "PROCEDURE"):  # which views and triggers call
            yield from self.programs(kind, names[kind])
        yield "SET sql_mode = ''"
        yield from self.views(names["VIEW"])
        triggers = self.connection.scalars(text(TRIGGERS), self.values).all()
        yield from self.programs("TRIGGER", triggers)
        yield from self.programs("EVENT", names["EVENT"])

    def of(self, name: str) -> str:
        return f"{self.source}.{quote(name)}"

    def show(self, kind: str, name: str) -> list[str]:
        statement = f"SHOW CREATE {kind} {self.of(name)}"
        row = self.connection.exec_driver_sql(statement).one()
        return [str(value).replace(self.source, COPY) for value in row]

    def rows(self, tables: list[str]) -> Iterator[str]:
        columns: dict[str, list[str]] = defaultdict(list)
        for row in self.connection.execute(text(COLUMNS), self.values):
            columns[row[0]].append(quote(row[1]))
        for name in tables:
            query = f"SELECT 1 FROM {self.of(name)} LIMIT 1"
            if self.connection.exec_driver_sql(query).first():
                listed = ", ".join(columns[name])
                select = f"SELECT {listed} FROM {self.of(name)}"
                yield f"INSERT INTO {quote(name)} ({listed}) {select}"

    def views(self, names: list[str]) -> Iterator[str]:
        """Yield each view after those that it reads."""
        made = {name: self.show("VIEW", name)[1] for name in names}
        reads = {
            name: [
                other
                for other in names
                if other != name and f"{COPY}.{quote(other)}" in made[name]
            ]
            for name in names
        }
        for name in TopologicalSorter(reads).static_order():
            yield made[name]

    def programs(self, kind: str, names: Iterable[str]) -> Iterator[str]:
        """Yield what keeps the `sql_mode` in which it was written."""
        for name in names:
            _, mode, *others = self.show(kind, name)
            yield f"SET sql_mode = '{mode}'"
            yield others[1] if kind == "EVENT" else others[0]


def quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
