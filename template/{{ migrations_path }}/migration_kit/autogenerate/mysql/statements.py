"""From one catalog of MySQL or MariaDB to another one."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from ...catalogs import Catalog, Object, Objects
from ...catalogs.mysql import NAME, SQL, VIEW, quote, views_of, words_of
from ..differences import differences
from ..kinds import Statements
from .keys import INDEXES, covers, ends_of

Place = tuple[str, str]
PARTITIONS = [("table", "", "partition"), ("table", "", "partitions")]
TYPE = "type", "collation"
OPTION = r"(`[^`]+`|\w+)="
DEFAULT = "`|ROW|STATS|PACK"  # options that take this word
KEY = re.compile(rf",\n  CONSTRAINT {NAME} FOREIGN KEY .*")


def statements(old: Catalog, new: Catalog) -> Statements:
    """Yield statements, each with its phase: see `Kind.statements`."""
    changed = {
        place: [(one.kind, one.name, one.aspect) for one in differences(place, *sides)]
        for place in {**old, **new}
        if (sides := (old.get(place, {}), new.get(place, {}))) and sides[0] != sides[1]
    }
    for place in {**old, **new}:
        before, after = old.get(place, {}), new.get(place, {})
        found = [*changed.get(place, ()), *keys_anew(place, old, new, changed)]
        if not place[1]:
            yield from of_sequences(place[0], before, after, found)
        elif found and VIEW not in {**before, **after}:
            yield from of_table(full(place), before, after, found)
    yield from of_views(old, new)


def of_sequences(
    schema: str, before: Objects, after: Objects, found: list[Object]
) -> Statements:
    """Yield statements for the sequences of a schema."""
    for item in found:
        name, words = full((schema, item[1])), after.get(item)
        if item[0] == "sequence" and words:
            how = "ALTER" if item in before else "CREATE"
            yield 2, f"{how} SEQUENCE {name} {words}"
        elif item[0] == "sequence":
            yield 8, f"DROP SEQUENCE {name}"


def of_views(old: Catalog, new: Catalog) -> Statements:
    """Yield statements for views."""
    for place, objects in old.items():
        if VIEW in objects and objects[VIEW] != new.get(place, {}).get(VIEW):
            yield 0, f"DROP VIEW {full(place)}"
    for place in views_of(new):
        words = new[place][VIEW]
        if old.get(place, {}).get(VIEW) != words:
            security = new[place].get(("table", "", "security"), "SQL SECURITY DEFINER")
            yield 7, f"CREATE {security} VIEW {full(place)} {words}"


def keys_anew(
    place: Place, old: Catalog, new: Catalog, changed: Iterable[Place]
) -> Iterator[Object]:
    """Yield equal foreign keys that stop what is done to their columns, or to their index."""
    for item, words in old.get(place, {}).items():
        if item[0] == "foreignkey" and new.get(place, {}).get(item) == words:
            for end, columns in ends_of(place, words):
                if end in changed and is_disturbed(columns, old[end], new.get(end, {})):
                    yield item


def is_disturbed(columns: list[str], before: Objects, after: Objects) -> bool:
    """Return whether columns get another type, or lose their index."""
    kept = {item: words for item, words in before.items() if after.get(item) == words}
    types = (("column", name, aspect) for name in columns for aspect in TYPE)
    return any(before.get(item) != after.get(item) for item in types) or not any(
        item[0] in INDEXES and covers(words, columns) for item, words in kept.items()
    )


def of_table(
    name: str, before: Objects, after: Objects, found: list[Object]
) -> Statements:
    """Yield statements for a table, one for each phase."""
    if not (before and after):
        yield (3, KEY.sub("", after[SQL])) if after else (8, f"DROP TABLE {name}")
        found = [item for item in found if item[0] == "foreignkey"]
    clauses = (each for item in found for each in clauses_of(item, before, after))
    ordered = sorted(dict.fromkeys(clauses), key=lambda one: one[0])
    for phase, some in groupby(ordered, key=lambda one: int(one[0])):
        yield phase, f"ALTER TABLE {name} {', '.join(words for _, words in some)}"


def clauses_of(
    item: Object, before: Objects, after: Objects
) -> Iterator[tuple[float, str]]:
    """Yield clauses of ALTER TABLE, each with its phase, and its place in there."""
    kind, name, aspect = item
    old, new, own = before.get(item), after.get(item), quote(name)
    if kind == "foreignkey":
        if old:
            yield 0, f"DROP FOREIGN KEY {own}"
        if new:
            yield 6, f"ADD CONSTRAINT {own} FOREIGN KEY {new}"
    elif kind == "check":
        if old:
            yield 1, f"DROP CONSTRAINT {own}"
        if new:
            yield 5, f"ADD CONSTRAINT {own} CHECK {new}"
    elif kind in INDEXES:
        if old:
            yield 3, f"DROP INDEX {own}" if name else "DROP PRIMARY KEY"
        if new:
            yield 3.2, f"ADD {new.replace('KEY', f'KEY {own}', 1) if name else new}"
    elif kind == "column":
        yield from column_clauses(name, before, after)
    elif aspect == "comment":
        yield 3.2, f"COMMENT {new or repr('')}"
    elif aspect == "charset" and new:
        yield 3.2, new
        for _, column, _ in (each for each in after if each[::2] == ("column", "type")):
            if ("column", column, "collation") not in after:
                yield from column_clauses(column, before, after)
    elif aspect == "options":
        gone = {*re.findall(OPTION, old or "")} - {*re.findall(OPTION, new or "")}
        defaults = [
            f"{each}={'DEFAULT' if re.match(DEFAULT, each) else 0}" for each in gone
        ]
        yield 3.2, " ".join([new or "", *sorted(defaults)])
    elif item in PARTITIONS:
        if PARTITIONS[0] in before:
            yield 2, "REMOVE PARTITIONING"
        if PARTITIONS[0] in after:
            yield 4, "\n".join(after[each] for each in PARTITIONS if each in after)


def column_clauses(
    name: str, before: Objects, after: Objects
) -> Iterator[tuple[float, str]]:
    """Yield what is done to a column: none becomes VIRTUAL, or ceases to be it."""
    computed = [side.get(("column", name, "computed"), "") for side in (before, after)]
    here, there = (words_of(name, side) for side in (before, after))
    if here and there and len({each.endswith("VIRTUAL") for each in computed}) == 1:
        yield 3.1, f"MODIFY COLUMN {quote(name)} {there}"
        return
    if here:
        yield 3.1, f"DROP COLUMN {quote(name)}"
    if there:
        yield 3.1, f"ADD COLUMN {quote(name)} {there}"


def full(place: Place) -> str:
    """Return the name of an object with its schema, unless that goes without saying."""
    return ".".join(quote(name) for name in place if name)
