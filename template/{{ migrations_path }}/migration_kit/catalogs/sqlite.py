"""The catalog of SQLite, which keeps the statements of whoever made a table: they are read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection

from . import Catalog, Objects

TOKEN = re.compile(
    r"""\s+|--[^\n]*|/\*.*?\*/|(?P<string>[xX]?'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])|(?P<word>[^\W\d][\w$]*)
    |(?P<number>0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<sign>\|\||->>|->|<<|>>|<=|>=|==|!=|<>|.)""",
    re.DOTALL | re.VERBOSE,
)
SAME = {"==": "=", "!=": "<>"}
TYPES = {"bool": "boolean", "decimal": "numeric", "int": "integer"}

# Words that begin a clause of a column, unless they go on with one: SET NULL, NOT DEFERRABLE.
CLAUSES = {"as", "check", "collate", "constraint", "default", "foreign", "generated"}
CLAUSES |= {"not", "null", "primary", "references", "unique"}
ASPECTS = {"not": "nullable", "collate": "collation", "default": "default"}
KEYS = {
    "primary": ("primary", "primary key"),
    "unique": ("unique", "unique"),
    "foreign": ("foreignkey", "foreign key"),
    "references": ("foreignkey", "foreign key"),
}
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
    """A token; its `value` has small letters and no quotes if it is a word or a name."""

    kind: str
    value: str
    name: str
    start: int
    end: int
    depth: int  # of brackets around it

    def is_(self, *values: str) -> bool:
        """Return whether it is one of some words or signs, and no name in quotes."""
        return self.value in values and self.kind in {"word", "sign"}


class Constraint(NamedTuple):
    """A constraint; it is the same by its kind and definition, whatever its name."""

    kind: str
    name: str
    definition: str
    source: str


@dataclass
class Part:
    """A column, or a constraint of a table.

    Attributes:
        name: of the column; nothing for a constraint.
        aspects: type, nullable, default, ...: each in one spelling, and its source.
    """

    name: str
    source: str
    aspects: dict[str, tuple[str, str]]
    constraints: list[Constraint]


class Statement:
    """A CREATE TABLE statement, in its parts."""

    def __init__(self, sql: str) -> None:
        items = tokens(sql)
        start = next(i for i, one in enumerate(items) if one.is_("("))
        end = closing(items, start)
        self.sql, self.tail = sql, sql[items[end].end :]
        self.options = {spelled(part) for part in split(items[end + 1 :]) if part}
        if any(one.is_("autoincrement") for one in items):
            self.options.add("autoincrement")
        self.parts = [self.part(part) for part in split(items[start + 1 : end])]
        self.columns = {part.name: part for part in self.parts if part.name}
        self.constraints = [one for part in self.parts for one in part.constraints]

    def part(self, items: Sequence[Token]) -> Part:
        """Return a column with its clauses, or a constraint of the table."""
        part, rest = Part("", self.source(items), {}, []), clauses(items)
        if not items[0].is_("constraint", "primary", "unique", "check", "foreign"):
            first = rest.pop(0)
            words = " ".join(one.value for one in first[1:])
            kind = re.sub(r" ?([(),]) ?", r"\1", words)
            part.name, part.aspects["type"] = items[0].name, (kind, self.source(first))
        named: Sequence[Token] = ()
        for clause in rest:
            if clause[0].is_("constraint"):
                named = clause
            else:
                self.add(part, clause, named)
                named = ()
        return part

    def add(self, part: Part, clause: Sequence[Token], named: Sequence[Token]) -> None:
        """Add a clause to a part."""
        word, source = clause[0].value, self.source([*named, *clause])
        name = named[1].name if named else ""
        if word in ASPECTS:
            value = "not null" if word == "not" else spelled(clause[1:])
            part.aspects[ASPECTS[word]] = (value, source)
        elif word in {"generated", "as"}:
            kind = "stored" if clause[-1].is_("stored") else "virtual"
            inner = [one for one in clause if one.depth > clause[0].depth]
            part.aspects["computed"] = (f"{spelled(inner)} {kind}", source)
        elif word == "check":
            check = Constraint("check", name, spelled(clause[1:]), source)
            part.constraints.append(check)
        elif word != "null":
            kind, start = KEYS[word]
            definition = IMPLIED.sub("", " ".join(one.value for one in clause))
            if part.name:
                rest = definition.removeprefix(start).strip()
                definition = f"{start} ( {part.name.lower()} ) {rest}".strip()
            start, *actions = re.split(
                ACTIONS, definition
            )  # they may come in any order
            definition = " ".join([start, *sorted(actions)])
            part.constraints.append(Constraint(kind, name, definition, source))

    def source(self, items: Sequence[Token]) -> str:
        return self.sql[items[0].start : items[-1].end]

    def objects(self) -> Objects:
        """Return the objects of the table."""
        found: Objects = {("table", "", "sql"): self.sql}
        if self.options:
            found["table", "", "options"] = ", ".join(sorted(self.options))
        keys = {one.definition for one in self.constraints if one.kind == "primary"}
        for name, part in self.columns.items():
            key = f"primary key ( {name.lower()} )" in keys
            for aspect, (value, _) in part.aspects.items():
                if aspect == "type" and not key:
                    value = re.sub(
                        r"^\w+", lambda one: TYPES.get(one[0], one[0]), value
                    )
                found["column", name, aspect] = value
            if key and part.aspects["type"][0] == "integer":
                found["column", name, "nullable"] = "not null"
        for one in self.constraints:
            found[one.kind, one.name or one.definition, "definition"] = one.definition
        return found


@lru_cache(maxsize=4096)
def parse(sql: str) -> Statement:
    """Return a CREATE TABLE statement in its parts, which are not to be changed."""
    return Statement(sql)


def tokens(sql: str) -> list[Token]:
    """Return the tokens of a statement, without spaces and comments."""
    found: list[Token] = []
    depth = 0
    for match in TOKEN.finditer(sql):
        kind, name = match.lastgroup, match[0]
        value = SAME.get(name, name)
        if kind == "quoted":
            name = name[1:-1].replace(name[-1] * 2, name[-1])
        if kind in {"quoted", "word"}:
            value = name.lower()
        if kind:
            depth -= match[0] == ")"
            found.append(Token(kind, value, name, *match.span(), depth))
            depth += match[0] == "("
    return found


def closing(items: Sequence[Token], start: int = 0) -> int:
    """Return where brackets end that begin at a token."""
    ends = range(start + 1, len(items))
    return next(
        i for i in ends if items[i].is_(")") and items[i].depth == items[start].depth
    )


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
    """Return the clauses of a column, first its name and type, or those of a constraint."""
    found: list[list[Token]] = [[items[0]]]
    for index, one in enumerate(items[1:], 1):
        before, after = items[index - 1], items[index + 1 : index + 2]
        goes_on = (
            before.is_("set", "not", "default", "always")
            or (one.is_("not") and after and after[0].is_("deferrable"))
            or (one.is_("references") and found[-1][0].is_("foreign"))
        )
        if one.is_(*CLAUSES) and one.depth == items[0].depth and not goes_on:
            found.append([])
        found[-1].append(one)
    return found


def spelled(items: Sequence[Token]) -> str:
    """Return an expression in one spelling, without brackets around all of it."""
    while items and items[0].is_("(") and closing(items) == len(items) - 1:
        items = items[1:-1]
    return " ".join(one.value for one in items)


def index_words(items: Sequence[Token]) -> str:
    """Return an index in one spelling, without its name and that of its table."""
    on = next(i for i, one in enumerate(items) if one.is_("on"))
    end = closing(items, on + 2)
    columns = [
        spelled(part[:-1] if part[-1].is_("asc") else part)
        for part in split(items[on + 3 : end])
    ]
    where = f" where {spelled(items[end + 2 :])}" if items[end + 1 :] else ""
    unique = "unique " if any(one.is_("unique") for one in items[:on]) else ""
    return f"{unique}({', '.join(columns)}){where}"


def read(connection: Connection, schemas: Mapping[str, str]) -> Catalog:
    """Read databases: `main`, `temp`, or an attached one."""
    quote = connection.dialect.identifier_preparer.quote
    found: Catalog = {}
    for schema, shown in schemas.items():
        master = "temp_" if schema == "temp" else ""
        place = f"{quote(schema)}.sqlite_{master}master"
        for kind, name, table, sql in connection.exec_driver_sql(OBJECTS.format(place)):
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
