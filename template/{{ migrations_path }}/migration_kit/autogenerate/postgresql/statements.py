"""From one catalog of PostgreSQL to another, in statements, with all that depends on a change."""

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Dialect

from ...catalogs import Catalog, Objects

Place = tuple[str, str]
Statements = Iterator[tuple[int, str]]

# The phases in which constraints, indexes and triggers go and come.
GOES = dict.fromkeys(["check", "exclude", "index", "primary", "unique"], 1)
GOES |= {"foreignkey": 0, "trigger": 0}
COMES = dict.fromkeys(["primary", "unique"], 4)
COMES |= dict.fromkeys(["check", "exclude", "index"], 5)
COMES |= {"foreignkey": 6, "trigger": 7}

KEY = re.compile(r"\(([^)]*)\)(?: REFERENCES (.*?)\((.*?)\))?")
LABEL = re.compile(r"'(?:[^']|'')*'")
WORD_OF_SEQUENCE = re.compile(
    r"START WITH|INCREMENT BY|MINVALUE|MAXVALUE|CACHE|(?:NO )?CYCLE"
)


def mentions(sql: str, names: Any) -> bool:
    """Return whether SQL has one of some names."""
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sql) for name in names)


def literal(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def set_or_drop(aspect: str, value: str | None) -> str:
    """Return what sets or drops a default, or NOT NULL."""
    if aspect == "default":
        return f"SET DEFAULT {value}" if value else "DROP DEFAULT"
    return f"{'SET' if value else 'DROP'} NOT NULL"


def number_of(column: dict[str, str]) -> tuple[str, str]:
    """Return SERIAL or how an identity is generated, and the words of its sequence."""
    number = column.get("identity", column.get("default", ""))
    kind, _, words = number.partition(" AS ")
    is_number = "identity" in column or number.startswith("SERIAL AS ")
    return (kind, f"AS {words}") if is_number else ("", "")


def identity_words(sequence: str) -> str:
    """Return the words of a sequence without its type, which is that of the column."""
    return sequence[max(sequence.find("START "), 0) :]


def aspects(objects: Objects, kind: str, name: str) -> dict[str, str]:
    """Return what a catalog says of an object."""
    return {item[2]: sql for item, sql in objects.items() if item[:2] == (kind, name)}


class Change:
    """A change from one catalog to another.

    Attributes:
        replaced: types that another one takes the place of, as SQL names them.
        touched: columns of each table that get another type, or are made again.
        again: columns that are dropped and added: those of an expression.
    """

    def __init__(self, old: Catalog, new: Catalog, dialect: Dialect) -> None:
        self.old, self.new = old, new
        self.quote = dialect.identifier_preparer.quote
        self.places = [place for place in dict.fromkeys([*old, *new]) if place[1]]
        self.types = {
            self.name(place[0], item[1])
            for place, objects in (*old.items(), *new.items())
            for item in objects
            if item[0] in {"enum", "domain"}
        }
        self.replaced = {
            self.name(place[0], name)
            for place, kind, name in self.schema_objects()
            if self.is_replaced(place, kind, name)
        }
        self.again: dict[Place, set[str]] = {}
        self.touched = {place: self.touched_columns(place) for place in self.places}
        self.views = self.views_that_go()

    def name(self, schema: str, name: str) -> str:
        """Return a name as SQL has it; the default schema goes without saying."""
        return f"{self.quote(schema)}.{self.quote(name)}" if schema else self.quote(name)

    def both(self, place: Place) -> tuple[Objects, Objects]:
        return self.old.get(place, {}), self.new.get(place, {})

    def statements(self) -> Statements:
        """Yield all statements; those of one phase are in their order."""
        for view in reversed(self.views):
            if view in self.old:
                kind = self.old[view]["table", "", "kind"]
                yield 0, f"DROP {kind} {self.name(*view)}"
        for place in self.places:
            yield from self.go(place)
        for place, kind, name in self.schema_objects():
            objects = (aspects(side, kind, name) for side in self.both(place))
            yield from getattr(self, f"alter_{kind}")(place, name, *objects)
        for place in self.places:
            if ("table", "", "view") not in {**self.old, **self.new}[place]:
                yield from self.alter_table(place, *self.both(place))
        for view in self.views:
            yield from self.create_view(view)
        for place in self.places:
            yield from self.come(place)

    # What a change touches

    def schema_objects(self) -> Iterator[tuple[Place, str, str]]:
        """Yield the types and sequences that differ."""
        for place in dict.fromkeys([*self.old, *self.new]):
            old, new = self.both(place)
            names = [one[:2] for one in (*new, *old) if old.get(one) != new.get(one)]
            for kind, name in dict.fromkeys(names if not place[1] else ()):
                if kind in {"enum", "domain", "sequence"}:
                    yield place, kind, name

    def is_replaced(self, place: Place, kind: str, name: str) -> bool:
        """Return whether no ALTER TYPE is enough."""
        old, new = (aspects(side, kind, name) for side in self.both(place))
        if not old or not new or kind == "sequence":
            return False
        if kind == "domain":
            return any(old.get(one) != new.get(one) for one in ("type", "collation"))
        labels, others = (LABEL.findall(one["definition"]) for one in (old, new))
        added = [label for label in others if label not in labels]
        if [label for label in others if label in labels] != labels:
            return True
        # A transaction that adds a value cannot use it.
        type_ = self.name(place[0], name)
        return any(
            self.old.get(where, {}).get(item) != sql
            and mentions(sql, [f"{label}::{type_}" for label in added])
            for where, objects in self.new.items()
            for item, sql in objects.items()
        )

    def touched_columns(self, place: Place) -> set[str]:
        """Return the columns that get another type, and the computed ones made of them."""
        old, new = self.both(place)
        computed = {
            name: (old.get(("column", name, "computed")), sql)
            for (kind, name, aspect), sql in new.items()
            if aspect == "computed" and ("column", name, "type") in old
        }
        touched = {
            name
            for (kind, name, aspect), sql in old.items()
            if kind == "column" and aspect == "type" and ("column", name, "type") in new
            if sql.removesuffix("[]") in self.replaced
            or any(
                old.get(("column", name, one)) != new.get(("column", name, one))
                for one in ("type", "collation")
            )
        }
        self.again[place] = {
            name
            for name, (before, sql) in computed.items()
            if before != sql or name in touched or mentions(sql, touched)
        }
        return touched | self.again[place]

    def views_that_go(self) -> list[Place]:
        """Return the views that go or come, each after those that it selects from."""
        text = {
            place: objects["table", "", "view"]
            for place, objects in (*self.old.items(), *self.new.items())
            if ("table", "", "view") in objects
        }
        ordered: list[Place] = []

        def visit(view: Place) -> None:
            if view not in ordered:
                for other in text:
                    if other != view and mentions(text[view], [other[1]]):
                        visit(other)
                ordered.append(view)

        for view in text:
            visit(view)
        going: list[Place] = []
        for view in ordered:
            of_table = any(
                mentions(text[view], [table[1]]) and mentions(text[view], columns)
                for table, columns in self.touched.items()
            )
            of_view = mentions(text[view], [other[1] for other in going])
            if of_table or of_view or self.old.get(view) != self.new.get(view):
                going.append(view)
        return going

    def goes(self, place: Place, item: tuple[str, str, str]) -> bool:
        """Return whether a constraint, index or trigger must go, for the time being at least."""
        sql, kind = self.old[place][item], item[0]
        if place not in self.new:
            return kind == "foreignkey"
        if place in self.views:
            return False  # with the view
        if self.new[place].get(item) != sql:
            return True
        touched = self.touched[place]
        if kind == "foreignkey":
            key = KEY.search(sql)
            return key is not None and (
                mentions(key[1], touched) or self.loses_key(key[2], key[3])
            )
        if kind in {"primary", "unique"} or (
            kind == "index" and not re.search(r"\(.*\(| WHERE ", sql)
        ):
            touched = self.again[place]  # PostgreSQL itself makes the others again
        return mentions(sql.partition(" EXECUTE ")[0], touched)

    def loses_key(self, name: str, columns: str) -> bool:
        """Return whether the key that a foreign key refers to changes."""
        for place in self.places:
            if self.name(*place) == name:
                wanted = set(columns.split(", "))
                return mentions(columns, self.touched[place]) or any(
                    item[0] in {"primary", "unique"}
                    and item[2] == "definition"
                    and (key := KEY.search(sql)) is not None
                    and set(key[1].split(", ")) == wanted
                    and self.new.get(place, {}).get(item) != sql
                    for item, sql in self.old.get(place, {}).items()
                )
        return False

    # Constraints, indexes, triggers, views

    def go(self, place: Place) -> Statements:
        """Yield what drops constraints, indexes and triggers."""
        table = self.name(*place)
        for item in self.old.get(place, {}):
            kind, name, aspect = item
            if kind not in GOES or aspect != "definition" or not self.goes(place, item):
                continue
            if kind == "index":
                yield 1, f"DROP INDEX {self.name(place[0], name)}"
            elif kind == "trigger":
                yield 0, f"DROP TRIGGER {self.quote(name)} ON {table}"
            else:
                drop = f"ALTER TABLE {table} DROP CONSTRAINT {self.quote(name)}"
                yield GOES[kind], drop

    def come(self, place: Place) -> Statements:
        """Yield what creates constraints, indexes and triggers, and their comments."""
        table, (old, new) = self.name(*place), self.both(place)
        for item, sql in new.items():
            kind, name, aspect = item
            if kind not in COMES or aspect != "definition":
                continue
            phase = 7 if place in self.views else COMES[kind]
            comes = item not in old or place in self.views or self.goes(place, item)
            one, two = (aspects(side, kind, name) for side in (old, new))
            if comes and kind in {"index", "trigger"}:
                yield phase, sql.removesuffix(" INVALID")
            elif comes:
                yield phase, f"ALTER TABLE {table} ADD CONSTRAINT {self.quote(name)} {sql}"
            comment, space = two.get("comment"), two.get("tablespace")
            if comment != (None if comes else one.get("comment")):
                words = f"CONSTRAINT {self.quote(name)} ON {table}"
                yield phase, f"COMMENT ON {words} IS {literal(comment)}"
            if space != (None if comes else one.get("tablespace")):
                index = self.name(place[0], name)
                yield phase, f"ALTER INDEX {index} SET TABLESPACE {space or 'pg_default'}"

    def create_view(self, place: Place) -> Statements:
        new = aspects(self.new.get(place, {}), "table", "")
        if new:
            sql = new["view"].strip().removesuffix(";")
            options = f" WITH ({new['options']})" if "options" in new else ""
            yield 7, f"CREATE {new['kind']} {self.name(*place)}{options} AS {sql}"
            if comment := new.get("comment"):
                name = f"{new['kind']} {self.name(*place)}"
                yield 7, f"COMMENT ON {name} IS {literal(comment)}"

    # Types and sequences

    def alter_sequence(
        self, place: Place, name: str, old: dict[str, str], new: dict[str, str]
    ) -> Statements:
        if not new:
            yield 8, f"DROP SEQUENCE {self.name(place[0], name)}"
        else:
            verb = "ALTER" if old else "CREATE"
            yield 2, f"{verb} SEQUENCE {self.name(place[0], name)} {new['definition']}"

    def alter_enum(
        self, place: Place, name: str, old: dict[str, str], new: dict[str, str]
    ) -> Statements:
        type_ = self.name(place[0], name)
        labels, others = (
            LABEL.findall(one.get("definition", "")) for one in (old, new)
        )
        if gone := [label for label in labels if label not in others and new]:
            yield from self.review_of(type_, gone)
        if old and new and type_ not in self.replaced:
            where = f" BEFORE {labels[0]}" if labels else ""
            for label in others:
                if label not in labels:
                    yield 2, f"ALTER TYPE {type_} ADD VALUE IF NOT EXISTS {label}{where}"
                where = f" AFTER {label}"
        else:
            create = f"CREATE TYPE {type_} AS ENUM ({new.get('definition')})"
            yield from self.replace("TYPE", place, name, create, old, new)

    def replace(
        self,
        kind: str,
        place: Place,
        name: str,
        create: str,
        old: dict[str, str],
        new: dict[str, str],
    ) -> Statements:
        """Yield what creates a type, drops it, or lets another one take its place."""
        gone = self.name(place[0], name)
        if old and new:
            aside = f"{name[:59]}_old"
            yield 2, f"ALTER {kind} {gone} RENAME TO {self.quote(aside)}"
            gone = self.name(place[0], aside)
        if new:
            yield 2, create
        if old:
            yield 8, f"DROP {kind} {gone}"

    def review_of(self, type_: str, gone: list[str]) -> Statements:
        """Yield how to find the rows of each column that has a value which goes."""
        for place in self.places:
            for (kind, column, aspect), sql in self.old.get(place, {}).items():
                if kind == "column" and aspect == "type":
                    if sql.removesuffix("[]") == type_:
                        name, values = self.quote(column), ", ".join(gone)
                        test = f"{name}::text IN ({values})"
                        if sql != type_:
                            test = f"{name}::text[] && ARRAY[{values}]"
                        table = self.name(*place)
                        yield 2, f"-- REVIEW: {type_} loses {values}, and rows with it stop"
                        yield 2, f"-- this: SELECT count(*) FROM {table} WHERE {test}"
                        yield 2, "-- Change such rows first, with op.execute(sa.update(...))."

    def alter_domain(
        self, place: Place, name: str, old: dict[str, str], new: dict[str, str]
    ) -> Statements:
        domain = self.name(place[0], name)
        if not old or not new or domain in self.replaced:
            words = self.column_words(new) if new else ""
            for aspect, sql in new.items():
                if aspect.startswith("check "):
                    words += f" CONSTRAINT {self.quote(aspect[6:])} {sql}"
            create = f"CREATE DOMAIN {domain} AS {words}"
            yield from self.replace("DOMAIN", place, name, create, old, new)
            return
        for aspect in dict.fromkeys([*old, *new]):
            before, after = old.get(aspect), new.get(aspect)
            alter, check = f"ALTER DOMAIN {domain}", self.quote(aspect[6:])
            if before == after:
                continue
            if aspect.startswith("check "):
                if before:
                    yield 2, f"{alter} DROP CONSTRAINT {check}"
                if after:
                    yield 2, f"{alter} ADD CONSTRAINT {check} {after}"
            else:
                yield 2, f"{alter} {set_or_drop(aspect, after)}"

    # Tables and columns

    def column_words(self, column: dict[str, str]) -> str:
        """Return the definition of a column or domain."""
        words, default = column["type"], column.get("default", "")
        kind, sequence = number_of(column)
        if kind == "SERIAL":
            default = f"nextval({literal(column['sql'])})"
        if "collation" in column:
            words += f" COLLATE {column['collation']}"
        if "computed" in column:
            words += f" GENERATED ALWAYS AS {column['computed']}"
        if "identity" in column:
            words += f" GENERATED {kind} AS IDENTITY ({identity_words(sequence)})"
        elif default:
            words += f" DEFAULT {default}"
        return words + (" NOT NULL" if "nullable" in column else "")

    def alter_table(self, place: Place, old: Objects, new: Objects) -> Statements:
        """Yield what creates, drops or alters a table."""
        table = self.name(*place)
        one, two = (aspects(side, "table", "") for side in (old, new))
        columns = [
            name for kind, name, aspect in new if (kind, aspect) == ("column", "type")
        ]
        if not new:
            yield 8, f"DROP {one['kind'].removeprefix('UNLOGGED ')} {table}"
            return
        if not old:
            yield 3, self.create_table(table, two, new, columns)
        else:
            yield from self.alter_properties(table, one, two)
            dropped = [
                name
                for kind, name, aspect in old
                if aspect == "type" and ("column", name, "type") not in new
            ]
            for name in dropped:
                yield 3, f"ALTER TABLE {table} DROP COLUMN {self.quote(name)}"
        if one.get("comment") != two.get("comment"):
            yield 3, f"COMMENT ON TABLE {table} IS {literal(two.get('comment'))}"
        for name in sorted(columns, key=lambda one: one in self.again[place]):
            before, after = (aspects(side, "column", name) for side in (old, new))
            if before != after or name in self.touched[place]:
                yield from self.alter_column(place, name, before, after)

    def create_table(
        self, table: str, own: dict[str, str], new: Objects, columns: list[str]
    ) -> str:
        words = [
            f"{self.quote(name)} {self.column_words(aspects(new, 'column', name))}"
            for name in columns
        ]
        sql = f"CREATE {own['kind']} {table} ({', '.join(words)})"
        forms = {
            "partition": " PARTITION BY {}",
            "method": " USING {}",
            "options": " WITH ({})",
            "tablespace": " TABLESPACE {}",
        }
        return sql + "".join(
            form.format(own[aspect]) for aspect, form in forms.items() if aspect in own
        )

    def alter_properties(
        self, table: str, old: dict[str, str], new: dict[str, str]
    ) -> Statements:
        """Yield what changes the properties of a table."""
        for aspect in dict.fromkeys([*old, *new]):
            before, after = old.get(aspect, ""), new.get(aspect, "")
            alter = f"ALTER TABLE {table}"
            if before == after or aspect == "comment":
                continue
            if aspect == "options":
                names = [one.partition("=")[0] for one in before.split(", ") if one]
                if names:
                    yield 3, f"{alter} RESET ({', '.join(names)})"
                if after:
                    yield 3, f"{alter} SET ({after})"
            elif aspect == "tablespace":
                yield 3, f"{alter} SET TABLESPACE {after or 'pg_default'}"
            elif {before, after} == {"TABLE", "UNLOGGED TABLE"}:
                logged = "LOGGED" if after == "TABLE" else "UNLOGGED"
                yield 3, f"{alter} SET {logged}"
            else:
                words = f"{aspect} {before or 'none'} cannot become {after or 'none'}"
                yield 3, f"-- REVIEW: {table}: {words}."
                yield 3, "-- Create another table, copy the rows, and rename it."

    def alter_column(
        self, place: Place, name: str, old: dict[str, str], new: dict[str, str]
    ) -> Statements:
        """Yield what adds or alters a column."""
        table, column = self.name(*place), self.quote(name)
        alter = f"ALTER TABLE {table} ALTER COLUMN {column}"
        if not old or name in self.again[place]:
            if old and "computed" not in old:
                where = f"{table}.{column}"
                yield 1, f"-- REVIEW: {where} is computed from now on: its values go."
            if old:
                yield 1, f"ALTER TABLE {table} DROP COLUMN {column}"
            if place in self.old:
                words = f"{column} {self.column_words(new)}"
                yield 3, f"ALTER TABLE {table} ADD COLUMN {words}"
            kind, words = number_of(new)
            if kind == "SERIAL":
                yield 2, f"CREATE SEQUENCE {new['sql']} {words}"
                yield 3, f"ALTER SEQUENCE {new['sql']} OWNED BY {table}.{column}"
        else:
            if "computed" in old and "computed" not in new:
                yield 1, f"{alter} DROP EXPRESSION"
            first, last = self.numbers(place, name, old, new)
            statements = [*first, *self.retype(alter, column, old, new), *last]
            yield from ((3, sql) for sql in statements)
        if old.get("comment") != new.get("comment") or name in self.again[place]:
            comment = literal(new.get("comment"))
            yield 3, f"COMMENT ON COLUMN {table}.{column} IS {comment}"

    def retype(
        self, alter: str, column: str, old: dict[str, str], new: dict[str, str]
    ) -> Iterator[str]:
        """Yield what changes type, collation, default and NOT NULL of a column."""
        before, after = (
            None if number_of(one)[0] else one.get("default") for one in (old, new)
        )
        types = old["type"], new["type"]
        collations = old.get("collation"), new.get("collation")
        if (
            types[0] != types[1]
            or collations[0] != collations[1]
            or types[1].removesuffix("[]") in self.replaced
        ):
            if before:
                yield f"{alter} DROP DEFAULT"
            before = None
            collate = f" COLLATE {collations[1]}" if collations[1] else ""
            using = self.using(column, *types)
            yield f"{alter} TYPE {types[1]}{collate} USING {using}"
        if before != after:
            yield f"{alter} {set_or_drop('default', after)}"
        if old.get("nullable") != new.get("nullable"):
            yield f"{alter} {set_or_drop('nullable', new.get('nullable'))}"

    def using(self, column: str, old: str, new: str) -> str:
        """Return how a value becomes one of another type."""
        if old.endswith("[]") and new == "jsonb":
            return f"to_jsonb({column})"
        if old == "jsonb" and new.endswith("[]"):
            return f"translate({column}::text, '[]', '{{}}')::{new}"
        array = "[]" if old.endswith("[]") and new.endswith("[]") else ""
        if {old.removesuffix("[]"), new.removesuffix("[]")} & self.types:
            return f"{column}::text{array}::{new}"
        return f"{column}::{new}"

    def numbers(
        self,
        place: Place,
        name: str,
        old: dict[str, str],
        new: dict[str, str],
    ) -> tuple[list[str], list[str]]:
        """Return what changes SERIAL or an identity, before the type changes and after it.

        The counter goes on where it was.
        """
        table, column = self.name(*place), self.quote(name)
        alter = f"ALTER TABLE {table} ALTER COLUMN {column}"
        (was, before), (is_, after) = number_of(old), number_of(new)
        if (was, before) == (is_, after):
            return [], []
        words = identity_words(after)
        if was and is_ and (was == "SERIAL") == (is_ == "SERIAL"):
            if is_ == "SERIAL":
                return [], [f"ALTER SEQUENCE {new['sql']} {after}"]
            sets = WORD_OF_SEQUENCE.sub(r"SET \g<0>", words)
            return [], [f"{alter} SET GENERATED {is_} {sets}"]
        first: list[str] = []
        last: list[str] = []
        counter, drop = f"coalesce(max({column}), 0) + 1", f"{alter} DROP IDENTITY"
        source = f" FROM {table}"
        if was == "SERIAL":
            first.append(f"{alter} DROP DEFAULT")
            drop = f"DROP SEQUENCE {old['sql']}"
        if was and is_:
            schema, _, own = old["sql"].rpartition(".")
            aside = self.quote(f"{own.strip(chr(34))[:59]}_old")
            first.append(f"ALTER SEQUENCE {old['sql']} RENAME TO {aside}")
            aside = f"{schema}.{aside}" if schema else aside
            counter, source = f"nextval({literal(aside)})", ""
            drop = drop if was != "SERIAL" else f"DROP SEQUENCE {aside}"
        elif was:
            first.append(drop)
        if is_ == "SERIAL":
            last.append(f"CREATE SEQUENCE {new['sql']} {after}")
            sequence = literal(new["sql"])
        elif is_:
            last.append(f"{alter} ADD GENERATED {is_} AS IDENTITY ({words})")
            sequence = f"pg_get_serial_sequence({literal(table)}, {literal(name)})"
        if is_:
            last.append(f"SELECT setval({sequence}, {counter}, false){source}")
        if was and is_:
            last.append(drop)
        if is_ == "SERIAL":
            last.append(f"{alter} SET DEFAULT nextval({sequence})")
            last.append(f"ALTER SEQUENCE {new['sql']} OWNED BY {table}.{column}")
        return first, last

