"""From one catalog of PostgreSQL to another, in statements, with all that depends on a change."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter

from sqlalchemy import Dialect

from ...catalogs import Catalog

Place = tuple[str, str]
Aspects = dict[str, str]
Statements = Iterator[tuple[int, str]]

# The phases in which a kind goes and comes.
PHASES = {"primary": (1, 4), "unique": (1, 4), "foreignkey": (0, 6), "trigger": (0, 7)}
PHASES |= dict.fromkeys(["check", "exclude", "index"], (1, 5))

LABEL = re.compile(r"'(?:[^']|'')*'")
TABLE = [("partition", " PARTITION BY {}"), ("options", " WITH ({})")]


def grouped(catalog: Catalog) -> dict[Place, dict[tuple[str, str], Aspects]]:
    """Return the aspects of each object."""
    found: dict[Place, dict[tuple[str, str], Aspects]] = defaultdict(dict)
    for place, objects in catalog.items():
        for (kind, name, aspect), sql in objects.items():
            found[place].setdefault((kind, name), {})[aspect] = sql
    return found


def mentions(sql: str, names: Iterable[str]) -> bool:
    """Return whether SQL has one of some names."""
    return any(re.search(rf"(?<!\w){re.escape(one)}(?!\w)", sql) for one in names)


def literal(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def number_of(column: Aspects) -> tuple[str, str]:
    """Return SERIAL, or when an identity is generated, and its sequence."""
    number = column.get("identity", column.get("default", ""))
    kind, _, sequence = number.partition(" AS ")
    numbered = "identity" in column or number.startswith("SERIAL AS ")
    return (kind, f"AS {sequence}") if numbered else ("", "")


def identity(kind: str, sequence: str) -> str:
    """Return what generates numbers; the type of the sequence is the column's."""
    return f"GENERATED {kind} AS IDENTITY ({sequence[sequence.find('START ') :]})"


class Change:
    """A change from one catalog to another.

    Attributes:
        types: ENUM types and domains, as SQL names them.
        replaced: those of them that another one takes the place of.
        again: computed columns of each table that are dropped and added.
        touched: these, and columns that get another type.
        views: those that go or come, each after what it selects from.
    """

    def __init__(self, old: Catalog, new: Catalog, dialect: Dialect) -> None:
        self.old, self.new = grouped(old), grouped(new)
        self.quote = dialect.identifier_preparer.quote
        # Tables go before their types, and the latter are below the table "".
        self.places = sorted(dict.fromkeys([*old, *new]), key=lambda one: not one[1])
        types = [
            (self.name(schema, name), kind, one, two)
            for schema, table in self.places
            for kind, name, one, two in self.pairs((schema, table))
            if kind in {"enum", "domain"}
        ]
        self.types = {type_ for type_, *_ in types}
        self.replaced = {each[0] for each in types if self.is_replaced(*each)}
        self.again: dict[Place, set[str]] = {}
        self.touched = {place: self.touched_columns(place) for place in self.places}
        self.views = self.views_that_go()

    def name(self, schema: str, name: str) -> str:
        """Return a name as SQL has it; the default schema goes without saying."""
        return (
            f"{self.quote(schema)}.{self.quote(name)}" if schema else self.quote(name)
        )

    def pairs(self, place: Place) -> Iterator[tuple[str, str, Aspects, Aspects]]:
        """Yield kind and name of each object, with what both catalogs say of it."""
        old, new = self.old[place], self.new[place]
        for item in dict.fromkeys([*new, *old]):
            yield *item, old.get(item, {}), new.get(item, {})

    def statements(self) -> Statements:
        """Yield all statements; those of one phase are in their order."""
        for view in reversed(self.views):
            if one := self.old[view].get(("table", "")):
                yield 0, f"DROP {one['kind']} {self.name(*view)}"
        for view in self.views:
            if two := self.new[view].get(("table", "")):
                sql = two["view"].strip().removesuffix(";")
                yield 7, f"CREATE {two['kind']} {self.name(*view)} AS {sql}"
                yield from self.comment(7, f"{two['kind']} {self.name(*view)}", {}, two)
        for place in self.places:
            for kind, name, one, two in self.pairs(place):
                if kind in PHASES:
                    yield from self.alter_part(place, kind, name, one, two)
                elif kind == "column":
                    yield from self.alter_column(place, name, one, two)
                elif kind == "table" and "view" not in {**one, **two}:
                    yield from self.alter_table(place, one, two)
                elif kind in {"enum", "domain", "sequence"} and one != two:
                    alter = getattr(self, f"alter_{kind}")
                    yield from alter(self.name(place[0], name), one, two)

    def comment(self, phase: int, what: str, one: Aspects, two: Aspects) -> Statements:
        if one.get("comment") != two.get("comment"):
            yield phase, f"COMMENT ON {what} IS {literal(two.get('comment'))}"

    # What a change touches

    def is_replaced(self, type_: str, kind: str, one: Aspects, two: Aspects) -> bool:
        """Return whether no ALTER TYPE is enough."""
        if not one or not two:
            return False
        if kind == "domain":
            return one != two
        old, new = (LABEL.findall(each["definition"]) for each in (one, two))
        added = [f"{label}::{type_}" for label in new if label not in old]
        # A transaction that adds a value cannot use it.
        return [label for label in new if label in old] != old or any(
            mentions(sql, added) and sql != before.get(aspect)
            for place in self.places
            for _, _, before, after in self.pairs(place)
            for aspect, sql in after.items()
        )

    def touched_columns(self, place: Place) -> set[str]:
        """Return the columns that get another type, and the computed ones made of them."""
        columns = [
            (name, one, two)
            for kind, name, one, two in self.pairs(place)
            if kind == "column" and one and two
        ]
        touched = {name for name, one, two in columns if self.is_retyped(one, two)}
        self.again[place] = {
            name
            for name, one, two in columns
            if (sql := two.get("computed"))
            and (
                sql != one.get("computed") or name in touched or mentions(sql, touched)
            )
        }
        return touched | self.again[place]

    def is_retyped(self, one: Aspects, two: Aspects) -> bool:
        replaced = two["type"].removesuffix("[]") in self.replaced
        return replaced or any(
            one.get(aspect) != two.get(aspect) for aspect in ("type", "collation")
        )

    def views_that_go(self) -> list[Place]:
        texts: dict[Place, str] = defaultdict(str)
        for place, objects in (*self.old.items(), *self.new.items()):
            texts[place] += objects.get(("table", ""), {}).get("view", "")
        views = {
            view: [one for one in texts if one != view and mentions(text, one[1:])]
            for view, text in texts.items()
            if text
        }
        going: list[Place] = []
        for view in TopologicalSorter(views).static_order():
            if view in views and (
                self.old[view].get(("table", "")) != self.new[view].get(("table", ""))
                or any(
                    one in going or mentions(texts[view], self.touched[one])
                    for one in views[view]
                )
            ):
                going.append(view)
        return going

    def goes(self, place: Place, kind: str, one: Aspects, two: Aspects) -> bool:
        """Return whether a constraint, index or trigger must go, if only for a time."""
        sql, touched = one["definition"], self.touched[place]
        if not self.new[place]:
            return kind == "foreignkey"
        if sql != two.get("definition"):
            return True
        own, _, other = sql.partition(" REFERENCES ")
        if kind in {"primary", "unique"} or (
            kind == "index" and not re.search(r"\(.*\(| WHERE ", sql)
        ):
            touched = self.again[place]  # PostgreSQL itself makes the others again
        return mentions(own.partition(" EXECUTE ")[0], touched) or any(
            other.startswith(f"{self.name(*each)}(")
            and (self.loses_key(each) or mentions(other, self.touched[each]))
            for each in (self.places if other else ())
        )

    def loses_key(self, place: Place) -> bool:
        """Return whether a key changes, to which a foreign key may refer."""
        return any(
            kind in {"primary", "unique"}
            and one
            and one["definition"] != two.get("definition")
            for kind, _, one, two in self.pairs(place)
        )

    # What goes, comes and changes

    def alter_part(
        self, place: Place, kind: str, name: str, one: Aspects, two: Aspects
    ) -> Statements:
        """Yield what drops and creates a constraint, an index or a trigger."""
        table, quoted = self.name(*place), self.quote(name)
        create = two.get("definition", "").removesuffix(" INVALID")
        drop = f"DROP INDEX {self.name(place[0], name)}"
        if kind == "trigger":
            drop = f"DROP TRIGGER {quoted} ON {table}"
        elif kind != "index":
            drop = f"ALTER TABLE {table} DROP CONSTRAINT {quoted}"
            create = f"ALTER TABLE {table} ADD CONSTRAINT {quoted} {create}"
        (gone, come), of_view = PHASES[kind], place in self.views
        if one and not of_view and self.goes(place, kind, one, two):
            yield gone, drop
            one = {}
        if two and (of_view or not one):
            yield 7 if of_view else come, create
        if two:
            yield from self.comment(come, f"CONSTRAINT {quoted} ON {table}", one, two)

    def alter_sequence(self, name: str, one: Aspects, two: Aspects) -> Statements:
        if two:
            phase, verb = (2, "ALTER") if one else (0, "CREATE")
            yield phase, f"{verb} SEQUENCE {name} {two['definition']}"
        else:
            yield 8, f"DROP SEQUENCE {name}"

    def alter_enum(self, name: str, one: Aspects, two: Aspects) -> Statements:
        old, new = (LABEL.findall(each.get("definition", "")) for each in (one, two))
        if gone := [label for label in old if two and label not in new]:
            yield 2, f"-- REVIEW: {name} loses {', '.join(gone)}: no row may have them."
        if not one or not two or name in self.replaced:
            yield from self.replace(
                "TYPE", name, f"AS ENUM ({', '.join(new)})", one, two
            )
            return
        where = f" BEFORE {old[0]}" if old else ""
        for label in new:
            if label not in old:
                yield 2, f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS {label}{where}"
            where = f" AFTER {label}"

    def alter_domain(self, name: str, one: Aspects, two: Aspects) -> Statements:
        words = [f"AS {self.words(two)}"] if two else []
        words += [
            f"CONSTRAINT {self.quote(aspect[6:])} {sql}"
            for aspect, sql in two.items()
            if aspect.startswith("check ")
        ]
        yield from self.replace("DOMAIN", name, " ".join(words), one, two)

    def replace(
        self, kind: str, name: str, words: str, one: Aspects, two: Aspects
    ) -> Statements:
        """Yield what creates a type, drops it, or lets another one take its place."""
        schema, dot, own = name.rpartition(".")
        aside = self.quote(own.strip('"')[:59] + "_old")
        if one and two:
            yield 2, f"ALTER {kind} {name} RENAME TO {aside}"
        if two:
            # Before operations of Alembic's that create tables with it, on both ways.
            yield 2 if one else 0, f"CREATE {kind} {name} {words}"
        if one:
            yield 8, f"DROP {kind} {schema}{dot}{aside if two else own}"

    def alter_table(self, place: Place, one: Aspects, two: Aspects) -> Statements:
        """Yield what creates a table, drops it, or changes its properties."""
        table = self.name(*place)
        if not two:
            yield 8, f"DROP {one['kind'].removeprefix('UNLOGGED ')} {table}"
            return
        if not one:
            columns = ", ".join(
                f"{self.quote(name)} {self.words(column)}"
                for (kind, name), column in self.new[place].items()
                if kind == "column"
            )
            words = [form.format(two[each]) for each, form in TABLE if each in two]
            yield 3, f"CREATE {two['kind']} {table} ({columns}){''.join(words)}"
        yield from self.comment(3, f"TABLE {table}", one, two)
        if not one:
            return
        if {one["kind"], two["kind"]} == {"TABLE", "UNLOGGED TABLE"}:
            logged = "LOGGED" if two["kind"] == "TABLE" else "UNLOGGED"
            yield 3, f"ALTER TABLE {table} SET {logged}"
        elif any(one.get(each) != two.get(each) for each in ("kind", "partition")):
            yield (
                3,
                f"-- REVIEW: make {table} again: no ALTER TABLE changes what it is.",
            )
        before, after = one.get("options", ""), two.get("options", "")
        if before and before != after:
            names = ", ".join(re.findall(r"(\w+)=", before))
            yield 3, f"ALTER TABLE {table} RESET ({names})"
        if after and before != after:
            yield 3, f"ALTER TABLE {table} SET ({after})"

    def words(self, column: Aspects) -> str:
        """Return the definition of a column or domain."""
        words, (kind, sequence) = column["type"], number_of(column)
        if "collation" in column:
            words += f" COLLATE {column['collation']}"
        if "computed" in column:
            words += f" GENERATED ALWAYS AS {column['computed']}"
        elif "identity" in column:
            words += f" {identity(kind, sequence)}"
        elif kind:
            words += f" DEFAULT nextval({literal(column['sql'])})"
        elif "default" in column:
            words += f" DEFAULT {column['default']}"
        return words + (" NOT NULL" if "nullable" in column else "")

    def alter_column(
        self, place: Place, name: str, one: Aspects, two: Aspects
    ) -> Statements:
        """Yield what adds, drops or alters a column."""
        if not self.new[place] or (one == two and name not in self.touched[place]):
            return
        table, column = self.name(*place), self.quote(name)
        again = name in self.again[place]
        if again and "computed" not in one:
            lost = f"{table}.{column} is computed from now on: its values go."
            yield 2, f"-- REVIEW: {lost}"
        if again or not two:
            yield 2 if again else 3, f"ALTER TABLE {table} DROP COLUMN {column}"
        if not two:
            return
        one = {} if again else one
        yield from self.number(table, name, one, two)
        if one:
            yield from self.retype(
                f"ALTER TABLE {table} ALTER {column}", column, one, two
            )
        elif self.old[place]:
            add = f"ALTER TABLE {table} ADD COLUMN {column} {self.words(two)}"
            yield 4 if again else 3, add
        yield from self.comment(4, f"COLUMN {table}.{column}", one, two)

    def retype(self, alter: str, column: str, one: Aspects, two: Aspects) -> Statements:
        """Yield what changes type, collation, default and NOT NULL of a column."""
        before, after = (
            None if number_of(each)[0] else each.get("default") for each in (one, two)
        )
        if "computed" in one and "computed" not in two:
            yield 2, f"{alter} DROP EXPRESSION"
        if self.is_retyped(one, two):
            if before:
                yield 3, f"{alter} DROP DEFAULT"
            before = None
            collate = f" COLLATE {two['collation']}" if "collation" in two else ""
            using = self.using(column, one["type"], two["type"])
            yield 3, f"{alter} TYPE {two['type']}{collate} USING {using}"
        if before != after:
            yield 3, f"{alter} {f'SET DEFAULT {after}' if after else 'DROP DEFAULT'}"
        if one.get("nullable") != two.get("nullable"):
            yield 3, f"{alter} {'SET' if 'nullable' in two else 'DROP'} NOT NULL"

    def using(self, column: str, old: str, new: str) -> str:
        """Return how a value becomes one of another type."""
        if old.endswith("[]") and new == "jsonb":
            return f"to_jsonb({column})"
        if old == "jsonb" and new.endswith("[]"):
            return f"translate({column}::text, '[]', '{{}}')::{new}"
        array = "[]" if old.endswith("[]") and new.endswith("[]") else ""
        if {old.removesuffix("[]"), new.removesuffix("[]")} & self.types:
            return f"{column}::text{array}::{new}"
        text = "::text" if "range" in old else ""  # ranges have no casts
        return f"{column}{text}::{new}"

    def number(self, table: str, name: str, one: Aspects, two: Aspects) -> Statements:
        """Yield what makes SERIAL or an identity, alters it, or drops it."""
        (was, old), (kind, new), column = (
            number_of(one),
            number_of(two),
            self.quote(name),
        )
        alter = f"ALTER TABLE {table} ALTER {column}"
        if was and kind and (was == "SERIAL") == (kind == "SERIAL"):
            if was != kind:
                yield 3, f"{alter} SET GENERATED {kind}"
            if old != new:
                yield 4, f"ALTER SEQUENCE {one['sql']} {new}"
            return
        if was == "SERIAL":
            yield 2, f"{alter} DROP DEFAULT"
            yield 2, f"DROP SEQUENCE {one['sql']}"
        elif was:
            yield 2, f"{alter} DROP IDENTITY"
        if kind == "SERIAL":
            yield 2, f"CREATE SEQUENCE {two['sql']} {new}"
            yield 4, f"ALTER SEQUENCE {two['sql']} OWNED BY {table}.{column}"
        if kind and one:
            default = f"SET DEFAULT nextval({literal(two.get('sql'))})"
            made = default if kind == "SERIAL" else f"ADD {identity(kind, new)}"
            yield 4, f"{alter} {made}"
            sequence = f"pg_get_serial_sequence({literal(table)}, {literal(name)}) AS s"
            number = f"greatest(nextval(s), max({column}) + 1)"
            yield (
                4,
                f"SELECT setval(s, {number}, false) FROM {table}, {sequence} GROUP BY s",
            )
