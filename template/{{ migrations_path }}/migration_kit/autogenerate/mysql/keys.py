"""Foreign keys of MySQL and MariaDB, and the indexes that they need."""

import re
from collections.abc import Iterator
from itertools import count

from sqlalchemy import Dialect, Table

from ...catalogs import Catalog, Objects
from ...catalogs.mysql import NAME, NO_ACTION, quote, unquoted
from ...tables import is_view
from ..shadow import Models

INDEXES = {"index", "primary", "unique"}
ENDS = re.compile(rf"\((.*?)\) REFERENCES (?:{NAME}\.)?{NAME} \((.*?)\)")


def columns_of(words: str) -> list[str]:
    """Return the columns of a definition, up to the first one of which it has a part."""
    return [unquoted(name) for name in re.findall(NAME, words.partition(")")[0])]


def ends_of(
    place: tuple[str, str], words: str
) -> Iterator[tuple[tuple[str, str], list[str]]]:
    """Yield both tables of a foreign key, each with its columns."""
    if match := ENDS.match(words):
        target = unquoted(match[2] or place[0]), unquoted(match[3])
        yield place, columns_of(match[1])
        yield target, columns_of(match[4])


def columns_of_keys(catalog: Catalog, table: tuple[str, str]) -> set[str]:
    """Return the columns of a table that foreign keys use, also those of other tables."""
    return {
        name
        for place, objects in catalog.items()
        for (kind, *_), words in objects.items()
        if kind == "foreignkey"
        for end, names in ends_of(place, words)
        if end == table
        for name in names
    }


def covers(words: str, columns: list[str]) -> bool:
    """Return whether an index begins with columns."""
    return columns_of(words)[: len(columns)] == columns


def add_foreign_keys(
    table: Table, models: Models, dialect: Dialect, real: Objects, made: Objects
) -> None:
    """Add those of a model, which a temporary table cannot have, in the server's words."""
    schema, _ = models.key(table)
    unnamed = count(1)
    keys = () if is_view(table) else table.foreign_key_constraints
    for key in sorted(keys, key=lambda key: [*key.column_keys]):
        target, name = models.key(key.referred_table)
        other = f"{quote(target)}." if target not in {"", schema} else ""
        columns, referred = (
            ", ".join(quote(column.name) for column in each)
            for each in (key.columns, [element.column for element in key.elements])
        )
        words = f"({columns}) REFERENCES {other}{quote(name)} ({referred})"
        words += f" ON DELETE {key.ondelete.upper()}" if key.ondelete else ""
        words += f" ON UPDATE {key.onupdate.upper()}" if key.onupdate else ""
        words = NO_ACTION.sub("", words)
        # A server may not tell capital letters.
        same = [each for each in real.values() if each.lower() == words.lower()]
        preparer = dialect.identifier_preparer
        shown = key.name and preparer.format_constraint(key, _alembic_quote=False)
        item = "foreignkey", str(shown or ""), "definition"
        while not item[1] or item in made or not shown and item in real:
            item = "foreignkey", f"{table.name}_ibfk_{next(unnamed)}", "definition"
        made[item] = same[0] if same else words
        if real:
            index = f"KEY ({columns.replace('`, `', '`,`')})"
            add_index(item[1], index, real, made)


def add_index(key: str, words: str, real: Objects, made: Objects) -> None:
    """Add the index that the server makes for a foreign key, unless there is another one."""
    names = columns_of(words)
    covering = {
        item: each
        for item, each in made.items()
        if item[0] in INDEXES and covers(each, names)
    }
    if not covering.items() <= real.items():
        return
    implied = {item: real[item] for item in real if real[item] == words}
    made.update(implied)
    has_key = any(
        item[0] == "foreignkey" and columns_of(real[item]) == names for item in real
    )
    is_new = not any(("column", name, "type") in real for name in names)
    if not (implied or covering or has_key or is_new):
        made["index", key, "definition"] = words
