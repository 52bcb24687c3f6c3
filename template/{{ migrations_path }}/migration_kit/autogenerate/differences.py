"""Differences between what the models make and what the database has."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Table

from ..catalogs import Objects

# Kinds of objects that the database names, where the models do not.
NAMED = {"check", "exclude", "foreignkey", "index", "primary", "unique"}

# Kinds that models cannot have; they are for the roundtrip.
NOT_IN_MODELS = {"event", "function", "materialized", "procedure", "trigger"}

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
    """Give constraints the name that the database has, where the models do not name them.

    Names of primary and foreign keys do not count, as with Alembic.
    """
    named: set[str] = set()
    preparer: Any = dialect.identifier_preparer
    items: Any = (*table.indexes, *table.constraints) if table is not None else ()
    for one in items:
        shown = preparer.format_constraint(one) if one.name else None
        named.add(str(shown).strip('"`').lower())
    for item, definition in list(made.items()):
        kind, name, aspect = item
        by_definition = kind in {"primary", "foreignkey"}
        if aspect != "definition" or item in real or kind not in NAMED:
            continue
        if name.lower() in named and not by_definition:
            continue
        for other in real:
            free = other not in made and (by_definition or other[1] not in named)
            if other[0] == kind and real[other] == definition and free:
                for old in [old for old in made if old[:2] == (kind, name)]:
                    made[kind, other[1], old[2]] = made.pop(old)
                break
