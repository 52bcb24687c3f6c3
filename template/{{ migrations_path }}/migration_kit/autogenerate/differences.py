"""Differences between what the models make and what the database has."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..catalogs import Object, Objects

# Kinds that a database may name as it likes: those without a name in the models.
NAMED_BY_DATABASE = {"check", "exclude", "foreignkey", "index", "primary", "unique"}

# Kinds that no model has: left alone, but compared by the tests of each revision.
NOT_IN_MODELS = {"event", "function", "materialized", "procedure", "trigger"}


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
        return f"{what}: {model} in the models, {real} in the database"


def differences(
    place: tuple[str, str], real: Objects, made: Objects
) -> Iterator[Difference]:
    """Yield what differs in a table, or in the objects of a schema."""
    for kind, name, aspect in dict.fromkeys([*made, *real]):
        item: Object = kind, name, aspect
        if aspect != "sql" and real.get(item) != made.get(item):
            yield Difference(
                *place, kind, name, aspect, real.get(item), made.get(item)
            )
