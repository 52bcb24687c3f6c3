"""MySQL and MariaDB: SHOW CREATE has an object of a table in each line, in one spelling."""

import re
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from typing import Any

from sqlalchemy import Connection, CursorResult, bindparam, text

from . import Catalog, Object, Objects

SQL, VIEW = ("table", "", "sql"), ("table", "", "view")

LISTS = text("""
SELECT table_schema, table_type, table_name, table_name, 0 AS place
FROM information_schema.tables WHERE table_schema IN :schemas
UNION ALL SELECT routine_schema, routine_type, routine_name, '', 0
FROM information_schema.routines WHERE routine_schema IN :schemas
UNION ALL SELECT event_schema, 'EVENT', event_name, '', 0
FROM information_schema.events WHERE event_schema IN :schemas
UNION ALL SELECT trigger_schema, 'TRIGGER', trigger_name, event_object_table, action_order
FROM information_schema.triggers WHERE trigger_schema IN :schemas
ORDER BY place
""").bindparams(bindparam("schemas", expanding=True))
KINDS = {"BASE TABLE": "TABLE", "SYSTEM VERSIONED": "TABLE"}
# Where the statement is among the values of SHOW CREATE.
PLACES = {"TABLE": 1, "VIEW": 1, "SEQUENCE": 1, "EVENT": 3}
PLACES |= dict.fromkeys(["FUNCTION", "PROCEDURE", "TRIGGER"], 2)

STRING = r"'(?:[^'\\]|''|\\.)*'"
NAME = r"`((?:[^`]|``)*)`"
TOKEN = re.compile(rf"{STRING}|{NAME}\.?|/\*M?!\d+ ?| ?\*/", re.DOTALL)
TIME = re.compile(rf" (STARTS|ENDS|AT) {STRING}")
LINE = re.compile(rf"(?:CONSTRAINT |((?:\w+ )?KEY) )?{NAME} (CHECK |FOREIGN KEY )?(.*)")
KIND_OF_LINE = {"CHECK ": "check", "FOREIGN KEY ": "foreignkey", "UNIQUE KEY": "unique"}
# What a foreign key does in any case.
NO_ACTION = re.compile(r" ON (DELETE|UPDATE) (RESTRICT|NO ACTION)")
# The groups are aspects, in the order of the server's words.
COLUMN = re.compile(
    r"(?P<type>.*?)"
    r"(?: (?P<collation>CHARACTER SET \w+(?: COLLATE \w+)?|COLLATE \w+))?"
    r"(?: (?P<computed>GENERATED ALWAYS AS .*\) (?:VIRTUAL|STORED)))?"
    r"(?: (?P<nullable>NOT NULL)| NULL)?(?: (?P<visibility>INVISIBLE))?"
    r"(?: DEFAULT (?P<default>.*?))?(?: ON UPDATE (?P<update>\S+))?"
    r"(?: (?P<increment>AUTO_INCREMENT))?(?: COMMENT (?P<comment>'x*'))?"
    r"(?: CHECK (?P<check>\(.*\)))?"
)
OPTIONS = {
    "noise": r" ((?:AUTO_INCREMENT|PAGE_CHECKSUM)=\d+)",
    "comment": rf" COMMENT=({STRING})",
    "charset": r" (DEFAULT CHARSET=\w+(?: COLLATE=\w+)?)",
    "versioning": r" (WITH SYSTEM VERSIONING)",
    "partitions": r"\n(\(PARTITION [\s\S]*)",
    "partition": r"\n ?(PARTITION BY [\s\S]*)",
    "options": r"\) ?(.+)",
}


def read(connection: Connection, schemas: Mapping[str, str]) -> Catalog:
    """Return the objects of some databases: see `read_catalog`."""
    found: Catalog = {(shown, ""): {} for shown in schemas.values()}
    current = connection.scalar(text("SELECT DATABASE()"))
    others = {real: shown for real, shown in schemas.items() if real != current}
    rows = connection.execute(LISTS, {"schemas": [*schemas]}).all()
    for schema, given, name, table, _ in rows:
        if (kind := KINDS.get(given, given)) in PLACES:
            # A view does not name the current database, and a table may have its name.
            names = others if kind == "VIEW" else schemas
            objects = objects_of(connection, kind, schema, name, names)
            place = schemas[schema], "" if kind == "SEQUENCE" else table
            found.setdefault(place, {}).update(objects)
    return found


def objects_of(
    connection: Connection,
    kind: str,
    schema: str,
    name: str,
    schemas: Mapping[str, str],
) -> Iterator[tuple[Object, str]]:
    """Yield what SHOW CREATE has of an object, but not for whom it was made, nor when."""
    row = run(connection, f"SHOW CREATE {kind} {quote(schema)}.{quote(name)}").one()

    def word(token: re.Match[str]) -> str:
        if token[0].lstrip()[:2] in {"/*", "*/"}:  # around what old versions lack
            return ""
        return shown.get(token[0], token[0])

    shown = {f"{quote(old)}.": new and f"{quote(new)}." for old, new in schemas.items()}
    sql = TOKEN.sub(word, str(row[PLACES[kind]]))
    if kind == "TABLE":
        yield SQL, sql
        yield from objects_of_table(sql)
        return
    head, words = re.split(f" {kind} ", sql, maxsplit=1, flags=re.IGNORECASE)
    if kind == "VIEW":
        yield VIEW, re.sub(rf"^({NAME}\.)?{NAME} ", "", words)
        if head.endswith(security := "SQL SECURITY INVOKER"):
            yield ("table", "", "security"), security
        return
    if kind == "SEQUENCE":
        words = re.sub(rf"^{NAME} | ENGINE=.*", "", words)
    yield (kind.lower(), name, "definition"), TIME.sub("", words)


def objects_of_table(sql: str) -> Iterator[tuple[Object, str]]:
    """Yield the objects of a table, each of which has a line."""
    lines, _, options = sql.partition("\n)")
    for line in lines.split("\n")[1:]:
        line = line.strip().removesuffix(",")
        match = LINE.match(line)
        if match and line.startswith("`"):
            yield from aspects_of(unquoted(match[2]), line[len(match[2]) + 3 :])
        elif match:
            key, name, kind, words = match.groups()
            words = NO_ACTION.sub("", f"{key} {words}" if key else words)
            kind = KIND_OF_LINE.get(key or kind, "index")
            yield (kind, unquoted(name), "definition"), words
        elif line.startswith("PRIMARY"):
            yield ("primary", "", "definition"), line
        else:
            yield ("table", "", "period"), line
    options = f"){options}"
    for aspect, pattern in OPTIONS.items():
        if option := re.search(pattern, options):
            options = re.sub(pattern, "", options)
            if aspect != "noise":
                yield ("table", "", aspect), option[1]


def aspects_of(column: str, words: str) -> Iterator[tuple[Object, str]]:
    """Yield the aspects of a column."""

    def masked(token: re.Match[str]) -> str:
        return token[0][0] + "x" * (len(token[0]) - 2) + token[0][-1]

    if match := COLUMN.fullmatch(re.sub(f"{STRING}|{NAME}", masked, words)):
        for aspect in COLUMN.groupindex:
            value = words[slice(*match.span(aspect))] if match[aspect] else "NULL"
            if value != "NULL":
                yield ("column", column, aspect), value


def words_of(column: str, table: Objects) -> str:
    """Return how a table defines a column, or nothing if it has none."""
    line = rf"\n  {re.escape(quote(column))} (.*?),?\n"
    match = re.search(line, table.get(SQL, ""))
    return match[1] if match else ""


def views_of(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield the places of views, those that others read first."""
    views = {place: each[VIEW] for place, each in catalog.items() if VIEW in each}
    source = rf"(?:from|join) \(*(?:{NAME}\.)?"
    reads = {
        view: [
            other
            for other in views
            if other != view and re.search(source + re.escape(quote(other[1])), words)
        ]
        for view, words in views.items()
    }
    yield from TopologicalSorter(reads).static_order()


def run(connection: Connection, sql: str) -> CursorResult[Any]:
    """Run a statement as it is: a name may have a percent sign."""
    return connection.exec_driver_sql(sql, execution_options={"no_parameters": True})


def quote(name: str) -> str:
    """Write a name; SQLAlchemy's would double a percent sign."""
    return "`" + name.replace("`", "``") + "`"


def unquoted(name: str) -> str:
    return name.replace("``", "`")
