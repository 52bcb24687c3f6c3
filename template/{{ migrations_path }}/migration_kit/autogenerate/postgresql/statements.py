"""From one catalog of PostgreSQL to another, in statements, with all that depends on a change."""

import re
from collections import defaultdict
from functools import partial
from graphlib import TopologicalSorter

from sqlalchemy import Dialect

from ...catalogs import Catalog
from ...catalogs.postgresql import quote
from ..kinds import Statements

Place = tuple[str, str]
Item = tuple[Place, str, str]  # place, kind and name
Aspects = dict[str, str]

# The phases in which a kind goes and comes.
PHASES = {"primary": (1, 4), "unique": (1, 4), "foreignkey": (0, 6), "trigger": (0, 7)}
PHASES |= dict.fromkeys(["check", "exclude", "index"], (1, 5))

# The aspect in which an object names others.
ASPECTS = {"column": "computed", "table": "view", **dict.fromkeys(PHASES, "definition")}

LEAST = re.compile(r"MINVALUE (-?\d+)")

# What PostgreSQL itself makes again when a column gets another type.
MADE_AGAIN = r" (PRIMARY|UNIQUE|CREATE (UNIQUE )?INDEX)(?!.*(\(.*\(| WHERE ))"

LABEL = re.compile(r"'(?:[^']|'')*'")
TABLE = [("partition", " PARTITION BY {}"), ("options", " WITH ({})")]


def grouped(catalog: Catalog) -> dict[Item, Aspects]:
    """Return the aspects of each object."""
    found: dict[Item, Aspects] = defaultdict(dict)
    for place, objects in catalog.items():
        for (kind, name, aspect), sql in objects.items():
            found[place, kind, name][aspect] = sql
    return found


def mentions(sql: str, *names: str) -> bool:
    """Return whether SQL has all of some names."""
    return all(
        one in sql and re.search(rf"(?<!\w){re.escape(one)}(?!\w)", sql)
        for one in names
    )


def literal(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


class Change:
    """A change from one catalog to another.

    Attributes:
        pairs: what both catalogs say of each object: tables go before their types.
        types: ENUM types and domains, as SQL names them.
        replaced: those of them that another one takes the place of.
        retyped: tables, as SQL names them, each with a column that gets another type.
        going: what goes or comes, if only for a time, with its SQL.
        gone: tables, each with a word that nothing that stays can have.
        views: those that go or come, each after what it selects from.
    """

    def __init__(self, old: Catalog, new: Catalog, dialect: Dialect) -> None:
        self.old, self.new = old, new
        self.quote = partial(quote, dialect)
        before, after = grouped(old), grouped(new)
        items = sorted(dict.fromkeys([*after, *before]), key=lambda one: not one[0][1])
        self.pairs = {
            item: (before.get(item, {}), after.get(item, {})) for item in items
        }
        self.types = {
            self.name(place[0], name): pair
            for (place, kind, name), pair in self.pairs.items()
            if kind in {"enum", "domain"}
        }
        self.replaced = {one for one in self.types if self.is_replaced(one)}
        self.retyped = {
            (self.name(*place), name)
            for (place, kind, name), (one, two) in self.pairs.items()
            if kind == "column" and one and two
            if two["type"].removesuffix("[]") in self.replaced
            or any(one.get(each) != two.get(each) for each in ("type", "collation"))
        }
        self.going: dict[Item, str] = {}
        self.gone: set[tuple[str, str]] = set()
        while sum(self.lets_go(item) for item in items):
            pass
        views = {item[0]: sql for item, sql in self.going.items() if item[1] == "table"}
        reads = {
            view: [one for one in views if one != view and mentions(sql, one[1])]
            for view, sql in views.items()
        }
        self.views = [*TopologicalSorter(reads).static_order()]

    def name(self, schema: str, name: str) -> str:
        """Return a name as SQL has it; the default schema goes without saying."""
        return ".".join(self.quote(one) for one in (schema, name) if one)

    def statements(self) -> Statements:
        """Yield all statements; those of one phase are in their order."""
        sides = {view: self.pairs[view, "table", ""] for view in self.views}
        for view, (one, _) in reversed(sides.items()):
            if one:
                yield 0, f"DROP {one['kind']} {self.name(*view)}"
        yield from ((7, two["view"]) for _, two in sides.values() if two)
        for item, (one, two) in self.pairs.items():
            place, kind, name = item
            if kind in PHASES and item in self.going:
                yield from self.alter_part(item, one, two)
            elif kind == "column":
                yield from self.alter_column(item, one, two)
            elif kind == "table" and "view" not in {**one, **two}:
                yield from self.alter_table(place, one, two)
            elif kind in {"enum", "domain", "sequence"} and one != two:
                alter = getattr(self, f"alter_{kind}")
                yield from alter(self.name(place[0], name), one, two)
            before = None if item in self.going else one.get("comment")
            if two and (words := two.get("comment")) != before:
                yield 7, f"COMMENT ON {self.what(item, two)} IS {literal(words)}"

    def what(self, item: Item, two: Aspects) -> str:
        """Return how a comment names an object."""
        place, kind, name = item
        if kind == "table":
            return f"{two['kind'].removeprefix('UNLOGGED ')} {self.name(*place)}"
        if kind == "column":
            return f"COLUMN {self.name(*place)}.{self.quote(name)}"
        return f"CONSTRAINT {self.quote(name)} ON {self.name(*place)}"

    # What a change touches

    def is_replaced(self, type_: str) -> bool:
        """Return whether no ALTER TYPE is enough."""
        one, two = self.types[type_]
        if not one or not two or "type" in one:  # of a domain
            return bool(one and two and one != two)
        old, new = (LABEL.findall(each["definition"]) for each in (one, two))
        # A transaction that adds a value cannot use it.
        return [label for label in new if label in old] != old or any(
            mentions(sql, f"{label}::{type_}") and sql != before.get(aspect)
            for label in {*new} - {*old}
            for before, after in self.pairs.values()
            for aspect, sql in after.items()
        )

    def lets_go(self, item: Item) -> bool:
        """Let go what changes, or names something that goes; return whether it stayed so far."""
        (place, kind, name), (one, two) = item, self.pairs[item]
        table, aspect = self.name(*place), ASPECTS.get(kind, "")
        before, after = one.get(aspect, ""), two.get(aspect, "")
        if item in self.going or not (after if kind == "column" else before or after):
            return False
        sql = f"{table} {before} {after}"
        gone = self.gone if re.search(MADE_AGAIN, sql) else self.gone | self.retyped
        if before == after and not any(mentions(sql, *words) for words in gone):
            return False
        self.going[item] = sql
        if one:
            key = f"REFERENCES {table}" if kind in {"primary", "unique"} else ""
            self.gone.add((table, key or name or place[1]))
        return True

    # What goes, comes and changes

    def alter_part(self, item: Item, one: Aspects, two: Aspects) -> Statements:
        """Yield what drops and creates a constraint, an index or a trigger."""
        place, kind, name = item
        table, quoted = self.name(*place), self.quote(name)
        create = two.get("definition", "").removesuffix(" INVALID")
        drop = f"DROP INDEX {self.name(place[0], name)}"
        if kind == "trigger":
            drop = f"DROP TRIGGER {quoted} ON {table}"
        elif kind != "index":
            drop = f"ALTER TABLE {table} DROP CONSTRAINT {quoted}"
            create = f"ALTER TABLE {table} ADD CONSTRAINT {quoted} {create}"
        (gone, come), of_view = PHASES[kind], place in self.views
        if one and not of_view and (place in self.new or kind == "foreignkey"):
            yield gone, drop
        if two:
            yield 7 if of_view else come, create

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
                for (where, kind, name), (_, column) in self.pairs.items()
                if (where, kind) == (place, "column")
            )
            words = [form.format(two[each]) for each, form in TABLE if each in two]
            yield 3, f"CREATE {two['kind']} {table} ({columns}){''.join(words)}"
            return
        if {one["kind"], two["kind"]} == {"TABLE", "UNLOGGED TABLE"}:
            logged = "LOGGED" if two["kind"] == "TABLE" else "UNLOGGED"
            yield 3, f"ALTER TABLE {table} SET {logged}"
        elif any(one.get(each) != two.get(each) for each in ("kind", "partition")):
            line = f"-- REVIEW: create {table} again: no ALTER TABLE changes its kind."
            yield 3, line
        before, after = one.get("options", ""), two.get("options", "")
        if before and before != after:
            names = ", ".join(re.findall(r"(\w+)=", before))
            yield 3, f"ALTER TABLE {table} RESET ({names})"
        if after and before != after:
            yield 3, f"ALTER TABLE {table} SET ({after})"

    def words(self, column: Aspects) -> str:
        """Return the definition of a column or domain."""
        words, kind = column["type"], column.get("identity")
        if "collation" in column:
            words += f" COLLATE {column['collation']}"
        if "computed" in column:
            words += f" GENERATED ALWAYS AS {column['computed']}"
        elif kind == "SERIAL":
            words += f" DEFAULT nextval({literal(column['sql'])})"
        elif kind:
            words += f" GENERATED {kind} AS IDENTITY ({column['sequence']})"
        elif "default" in column:
            words += f" DEFAULT {column['default']}"
        return words + (" NOT NULL" if "nullable" in column else "")

    def alter_column(self, item: Item, one: Aspects, two: Aspects) -> Statements:
        """Yield what adds, drops or alters a column."""
        place, _, name = item
        if place not in self.new:
            return
        table, column = self.name(*place), self.quote(name)
        again = one and item in self.going
        if again and "computed" not in one:
            lost = f"{table}.{column} is computed from now on: its values are lost."
            yield 2, f"-- REVIEW: {lost}"
        if again or not two:
            yield 2 if again else 3, f"ALTER TABLE {table} DROP COLUMN {column}"
        if not two:
            return
        one = {} if again else one
        yield from self.number(table, name, one, two)
        if one:
            yield from self.retype(table, name, one, two)
        elif place in self.old:
            add = f"ALTER TABLE {table} ADD COLUMN {column} {self.words(two)}"
            yield 4 if again else 3, add

    def retype(self, table: str, name: str, one: Aspects, two: Aspects) -> Statements:
        """Yield what changes type, collation, default and NOT NULL of a column."""
        column = self.quote(name)
        alter = f"ALTER TABLE {table} ALTER {column}"
        before, after = one.get("default"), two.get("default")
        if "computed" in one and "computed" not in two:
            yield 2, f"{alter} DROP EXPRESSION"
        if (table, name) in self.retyped:
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
        if old.endswith("[]") and new in {"json", "jsonb"}:
            return f"to_{new}({column})"
        if old in {"json", "jsonb"} and new.endswith("[]"):
            return f"translate({column}::text, '[]', '{{}}')::{new}"
        array = "[]" if old.endswith("[]") and new.endswith("[]") else ""
        if {old.removesuffix("[]"), new.removesuffix("[]")} & self.types.keys():
            return f"{column}::text{array}::{new}"
        through = "::text" if "range" in old else ""  # ranges have no casts
        if "boolean" in {old, new} and not {"text", "character varying"} & {old, new}:
            through = "::integer"  # the only number that has casts
        return f"{column}{through}::{new}"

    def number(self, table: str, name: str, one: Aspects, two: Aspects) -> Statements:
        """Yield what makes SERIAL or an identity, alters it, or drops it."""
        was, kind = one.get("identity"), two.get("identity")
        old, new, column = one.get("sequence"), two.get("sequence"), self.quote(name)
        alter = f"ALTER TABLE {table} ALTER {column}"
        if was and kind and (was == "SERIAL") == (kind == "SERIAL"):
            if was != kind:
                yield 3, f"{alter} SET GENERATED {kind}"
            if old != new:
                sequence = one["sql"]
                before, least = (int(LEAST.findall(str(e))[0]) for e in (old, new))
                if least > before:
                    value = f"greatest(last_value, {least}), is_called"
                    call = f"setval({literal(sequence)}, {value})"
                    yield 4, f"SELECT {call} FROM {sequence}"
                yield 4, f"ALTER SEQUENCE {sequence} {new}"
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
            made = f"ADD GENERATED {kind} AS IDENTITY ({new})"
            made = default if kind == "SERIAL" else made
            yield 4, f"{alter} {made}"
            sequence = f"pg_get_serial_sequence({literal(table)}, {literal(name)}) AS s"
            number = f"setval(s, greatest(nextval(s), max({column}) + 1), false)"
            yield 4, f"SELECT {number} FROM {table}, {sequence} GROUP BY s"
