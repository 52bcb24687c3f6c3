"""Differences between what the models make and what the database has."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Table

from ..catalogs import Object, Objects

# Kinds of objects that the database names, where the models do not.
NAMED = {"check", "exclude", "foreignkey", "index", "primary", "unique"}

# Kinds that models cannot have; they are for the roundtrip.
NOT_IN_MODELS = {"event", "function", "materialized", "procedure", "trigger"}

# Those whose names do not count, as with Alembic.
BY_DEFINITION = {"foreignkey", "primary"}

Place = tuple[str, str]  # schema and table, as in a catalog


@dataclass(frozen=True)
class Difference:
    """One property of one object."""

    schema: str
    table: str
    kind: str
    name: str
    aspect: str
    real: str | None
    model: str | None

    def __str__(self) -> str:
        """Name the object, the words of the models, and those of the database."""
        place = ".".join(filter(None, [self.schema, self.table]))
        aspect = "" if self.aspect == "definition" else self.aspect
        what = " ".join(filter(None, [place, self.kind, self.name, aspect]))
        model, real = (value or "none" for value in (self.model, self.real))
        line = f"{what}: {model} in the models, {real} in the database"
        return " ".join(line.split())


def differences(place: Place, real: Objects, made: Objects) -> Iterator[Difference]:
    """Yield what differs in a table, or in the objects of a schema."""
    for item in dict.fromkeys([*made, *real]):
        if item[2] != "sql" and real.get(item) != made.get(item):
            yield Difference(*place, *item, real.get(item), made.get(item))


def pair(real: Objects, made: Objects, table: Table | None, dialect: Dialect) -> None:
    """Give constraints the name that the database has, where the models do not name them."""
    named: set[str] = set()
    preparer: Any = dialect.identifier_preparer
    items: Any = (*table.indexes, *table.constraints) if table is not None else ()
    for one in items:
        shown = preparer.format_constraint(one) if one.name else None
        named.add(str(shown).strip('"`').lower())
    loose = [
        item
        for item, definition in made.items()
        if item[2] == "definition" and item[0] in NAMED and real.get(item) != definition
        if item[0] in BY_DEFINITION or item[1].lower() not in named
    ]
    parts = {
        item: {one[2]: made.pop(one) for one in [*made] if one[:2] == item[:2]}
        for item in loose
    }

    def give(item: Object, name: str) -> None:
        for aspect, text in parts.pop(item).items():
            made[item[0], name, aspect] = text

    for item in loose:
        for other, definition in real.items():
            counts = item[0] in BY_DEFINITION or other[1] not in named
            alike = other[::2] == item[::2] and definition == parts[item][item[2]]
            if alike and counts and other not in made:
                give(item, other[1])
                break
    for item in [*parts]:
        # A server counts constraints without a name: another one may have its number now.
        names = (one[1] for one in (item, *loose) if one[0] == item[0])
        give(item, next(one for one in names if (item[0], one, item[2]) not in made))
