"""The catalog of SQLite, which keeps the statement that made a table: it is read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection

from . import Catalog, Objects

TOKEN = re.compile(
    r"""\s+|--[^\n]*|/\*.*?\*/|(?P<string>[xX]?'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    |(?P<word>(?:generated\s+always\s+as|(?:foreign|primary)\s+key|set\s+(?:null|default)
        |not\s+(?:null|deferrable)|default\s+null)\b|[^\W\d][\w$]*)
    |(?P<number>0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<sign>\|\||->>|->|<<|>>|<=|>=|==|!=|<>|.)""",
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
SAME = {"==": "=", "!=": "<>"}
TYPES = {"bool": "boolean", "decimal": "numeric", "int": "integer"}

KEYS = {
    "primary key": "primary",
    "unique": "unique",
    "foreign key": "foreignkey",
    "references": "foreignkey",
}
CONSTRAINTS = {"check", *KEYS.values()}
# Words that begin a clause of a column.
CLAUSES = {"as", "check", "collate", "constraint", "default", "default null", *KEYS}
CLAUSES |= {"generated always as", "not null", "null"}
# What is so without saying it.
IMPLIED = re.compile(
    r" (on (delete|update) no action|match simple|not deferrable( initially \w+)?"
    r"|initially immediate|asc|autoincrement)(?= |$)"
)
ACTIONS = re.compile(r" (?=on (?:delete|update) |(?:not )?deferrable|match )")
OBJECTS = """
SELECT type, name, tbl_name, sql FROM {} WHERE sql IS NOT NULL
AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid
"""


class Token(NamedTuple):
    """A token; its `value` has small letters and no quotes if it is a name or words."""

    kind: str
    value: str
    name: str
    start: int
    end: int
    depth: int  # of brackets around it

    def is_(self, *values: str) -> bool:
        """Return whether it is one of some words or signs, and no name in quotes."""
        return self.value in values and self.kind in {"word", "sign"}


class Clause(NamedTuple):
    """An aspect of a column (type, nullable, default, ...), or a constraint.

    A constraint of the table has no column. Definitions have one spelling.
    """

    column: str
    kind: str
    name: str
    definition: str
    source: str


class Statement:
    """A CREATE TABLE statement: the aspects of its columns, and its constraints."""

    def __init__(self, sql: str) -> None:
        items = tokens(sql)
        start = next(i for i, one in enumerate(items) if one.is_("("))
        end = max(i for i, one in enumerate(items) if one.is_(")"))
        self.sql, self.tail = sql, sql[items[end].end :]
        self.options = {spelled(part) for part in split(items[end + 1 :]) if part}
        if any(one.is_("autoincrement") for one in items):
            self.options.add("autoincrement")
        self.columns: dict[str, dict[str, Clause]] = {}
        self.constraints: list[Clause] = []
        for part in split(items[start + 1 : end]):
            for one in self.clauses_of(part):
                if one.kind in CONSTRAINTS:
                    self.constraints.append(one)
                else:
                    self.columns.setdefault(one.column, {})[one.kind] = one

    def clauses_of(self, items: Sequence[Token]) -> Iterator[Clause]:
        """Yield the clauses of a column, or a constraint of the table."""
        column, rest = "", [[*items]]
        if not items[0].is_("constraint", *CONSTRAINTS, *KEYS):
            column, (first, *rest) = items[0].name, clauses(items)
            words = " ".join(one.value for one in first[1:])
            kind = re.sub(r" ?([(),]) ?", r"\1", words)
            yield Clause(column, "type", "", kind, self.source(first))
        for clause in rest:
            name, source = "", self.source(clause)
            if clause[0].is_("constraint"):
                name, clause = clause[1].name, clause[2:]
            if found := defined(column, clause):
                yield Clause(column, found[0], name, found[1], source)

    def source(self, items: Sequence[Token]) -> str:
        return self.sql[items[0].start : items[-1].end]

    def objects(self) -> Objects:
        """Return the objects of the table."""
        found: Objects = {("table", "", "sql"): self.sql}
        if self.options:
            found["table", "", "options"] = ", ".join(sorted(self.options))
        keys = {one.definition for one in self.constraints}
        for name, aspects in self.columns.items():
            key = f"primary key ( {name.lower()} )" in keys
            for aspect, (*_, value, _) in aspects.items():
                if aspect == "type" and not key:
                    value = re.sub(
                        r"^\w+", lambda one: TYPES.get(one[0], one[0]), value
                    )
                found["column", name, aspect] = value
            if key and aspects["type"].definition == "integer":
                found["column", name, "nullable"] = "not null"
        for one in self.constraints:
            found[one.kind, one.name or one.definition, "definition"] = one.definition
        return found


# The database and the models share most of their statements.
parse = lru_cache(maxsize=4096)(Statement)


def tokens(sql: str) -> list[Token]:
    """Return the tokens of a statement, without spaces and comments."""
    found: list[Token] = []
    depth = 0
    for match in TOKEN.finditer(sql):
        kind, name = match.lastgroup, match[0]
        value = SAME.get(name, name)
        if kind == "quoted":
            name = name[1:-1].replace(name[-1] * 2, name[-1])
            value = name.lower()
        elif kind == "word":
            value = " ".join(name.lower().split())
        if kind:
            depth -= match[0] == ")"
            found.append(Token(kind, value, name, *match.span(), depth))
            depth += match[0] == "("
    return found


def split(items: Sequence[Token]) -> list[list[Token]]:
    """Return what is between commas that are in no brackets."""
    parts: list[list[Token]] = [[]]
    for one in items:
        if one.is_(",") and one.depth == items[0].depth:
            parts.append([])
        else:
            parts[-1].append(one)
    return parts


def clauses(items: Sequence[Token]) -> list[list[Token]]:
    """Return the clauses of a column, first its name and type."""
    found: list[list[Token]] = [[items[0]]]
    for one in items[1:]:
        is_named = found[-1][0].is_("constraint") and len(found[-1]) == 2
        if one.is_(*CLAUSES) and one.depth == items[0].depth and not is_named:
            found.append([])
        found[-1].append(one)
    return found


def spelled(items: Sequence[Token]) -> str:
    """Return an expression in one spelling, without brackets around all of it."""
    while (
        items
        and items[0].is_("(")
        and all(one.depth > items[0].depth for one in items[1:-1])
    ):
        items = items[1:-1]
    return " ".join(one.value for one in items)


def defined(column: str, clause: Sequence[Token]) -> tuple[str, str] | None:
    """Return the kind of a clause, and its definition; a key is as one of the table."""
    word = clause[0].value if clause else ""
    match word:
        case "not null":
            return "nullable", word
        case "default null":
            return "default", "null"
        case "collate" | "default" | "check":
            return "collation" if word == "collate" else word, spelled(clause[1:])
        case "generated always as" | "as":
            kind = "stored" if clause[-1].is_("stored") else "virtual"
            inner = [one for one in clause if one.depth > clause[0].depth]
            return "computed", f"{spelled(inner)} {kind}"
    if word not in KEYS:
        return None
    words = IMPLIED.sub("", " ".join(one.value for one in clause))
    if column:
        start = "foreign key" if word == "references" else word
        words = f"{start} ( {column.lower()} ) {words.removeprefix(start).strip()}"
    start, *actions = re.split(ACTIONS, words.strip())
    # They may come in any order.
    return KEYS[word], " ".join([start, *sorted(actions)])


def index_words(items: Sequence[Token]) -> str:
    """Return an index in one spelling, without its name and that of its table."""
    on = next(i for i, one in enumerate(items) if one.is_("on"))
    ends = (i for i, one in enumerate(items) if one.is_("where") and not one.depth)
    end = next(ends, len(items))
    columns = [
        spelled([one for one in part if not one.is_("asc")])
        for part in split(items[on + 3 : end - 1])
    ]
    where = f" where {spelled(items[end + 1 :])}" if items[end:] else ""
    unique = "unique " if any(one.is_("unique") for one in items[:on]) else ""
    return f"{unique}({', '.join(columns)}){where}"


def read(connection: Connection, schemas: Mapping[str, str]) -> Catalog:
    """Read databases: `main`, `temp`, or an attached one."""
    quote = connection.dialect.identifier_preparer.quote
    found: Catalog = {}
    for schema, shown in schemas.items():
        query = OBJECTS.format(f"{quote(schema)}.sqlite_master")
        for kind, name, table, sql in connection.exec_driver_sql(query):
            if schema == "temp":
                sql = re.sub(r"""('(?:[^']|'')*')|(?:\btemp|"temp")\.""", r"\1", sql)
            found.setdefault((shown, table), {}).update(objects_of(kind, name, sql))
    return found


def objects_of(kind: str, name: str, sql: str) -> Objects:
    """Return the objects that a statement makes."""
    if kind == "table" and not re.match(r"(?i)\s*create\s+virtual", sql):
        return parse(sql).objects()
    items = tokens(sql)
    if kind in {"index", "trigger"}:
        definition = index_words(items) if kind == "index" else spelled(items)
        return {(kind, name, "definition"): definition, (kind, name, "sql"): sql}
    body = next((i for i, one in enumerate(items) if one.is_("as")), -1)
    return {("table", "", kind): spelled(items[body + 1 :]), ("table", "", "sql"): sql}
