"""Renames of tables and columns: how a revision writes them, and the database as it will be."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, update_wrapper
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy import Inspector

from ..autogenerate.render import execute
from ..catalogs import Catalog
from ..tables import full_name

# Expand and contract, for a rename that old code would not survive.
ADVICE = "If old code still runs: add the new one, copy, and drop the old one a release later."

# Whose values, or whose keys, are names of columns, in what an Inspector returns.
NAMES = {
    "column_names",
    "column_sorting",
    "constrained_columns",
    "include_columns",
    "mariadb_length",
    "mysql_length",
    "postgresql_include",
    "postgresql_ops",
    "referred_columns",
}
REFERENCE = re.compile(
    r"""(?i)( references (?:[\w"`]+\.)?["`]?(\w+)["`]? ?)(\([^()]*\))"""
)
EXPRESSIONS = {"expressions", "postgresql_where", "sqltext"}


@dataclass(frozen=True)
class Rename:
    """A new name for a table, or for a column.

    Attributes:
        schema: of the table; None is the default one.
        old, new: the names.
        table: of a column, by its new name; None if the table is renamed.
        old_table: by the name that it has in the database.
    """

    schema: str | None
    old: str
    new: str
    table: str | None = None
    old_table: str | None = None

    @property
    def before(self) -> str:
        """The full name that is gone."""
        if self.table is None:
            return full_name(self.schema, self.old)
        return f"{full_name(self.schema, self.table)}.{self.old}"

    def __str__(self) -> str:
        """Write it like `-x rename=`."""
        return f"{self.before}:{self.new}"

    def is_called(self, given: str) -> bool:
        """Return whether `-x rename=` means this one; a renamed table may have either name."""
        older = f"{full_name(self.schema, self.old_table or '')}.{self.old}:{self.new}"
        return given == str(self) or (self.table is not None and given == older)

    def clashes(self, others: Iterable["Rename"]) -> bool:
        """Return whether one of others takes the old or the new name already."""
        return any(
            (self.schema, self.table) == (other.schema, other.table)
            and (self.old == other.old or self.new == other.new)
            for other in others
        )


class RenameOp(ops.MigrateOperation):
    """Renames a table or a column."""

    def __init__(self, rename: Rename) -> None:
        self.rename = rename

    def reverse(self) -> "RenameOp":
        """Return the downgrade; that of columns comes before that of their table."""
        one = self.rename
        return RenameOp(Rename(one.schema, one.new, one.old, one.table))


class RenameKeyOp(ops.MigrateOperation):
    """Renames an index or a constraint in place; `kind` is INDEX or CONSTRAINT."""

    def __init__(
        self, kind: str, schema: str | None, table: str, old: str, new: str
    ) -> None:
        self.kind, self.schema, self.table_name = kind, schema, table
        self.old, self.new = old, new

    def reverse(self) -> "RenameKeyOp":
        """Return the downgrade."""
        return RenameKeyOp(self.kind, self.schema, self.table_name, self.new, self.old)


@renderers.dispatch_for(RenameOp)
def render_rename(context: AutogenContext, op: RenameOp) -> str:
    """Write what renames, and leaves all else as it is."""
    one = op.rename
    schema = f", schema={one.schema!r}" if one.schema else ""
    if one.table is None:
        return f"op.rename_table({one.old!r}, {one.new!r}{schema})"
    if context.dialect.name in {"mysql", "mariadb"}:
        # op.alter_column() would write the column again, without ON UPDATE, CHECK and the like.
        old, new = quoted(context, one.old), quoted(context, one.new)
        place = quoted_table(context, one.schema, one.table)
        return execute(f"ALTER TABLE {place} RENAME COLUMN {old} TO {new}")
    names = f"{one.table!r}, {one.old!r}, new_column_name={one.new!r}"
    return f"op.alter_column({names}{schema})"


@renderers.dispatch_for(RenameKeyOp)
def render_renamed_key(context: AutogenContext, op: RenameKeyOp) -> str:
    """Write what renames an index or a constraint; nothing is built again."""
    old, new = quoted(context, op.old), quoted(context, op.new)
    place = quoted_table(context, op.schema, op.table_name)
    if op.kind == "INDEX" and context.dialect.name == "postgresql":
        place = quoted_table(context, op.schema, op.old)
        return execute(f"ALTER INDEX {place} RENAME TO {new}")
    return execute(f"ALTER TABLE {place} RENAME {op.kind} {old} TO {new}")


def quoted(context: AutogenContext, name: str) -> str:
    return context.dialect.identifier_preparer.quote(name).replace("%%", "%")


def quoted_table(context: AutogenContext, schema: str | None, name: str) -> str:
    return ".".join(quoted(context, part) for part in (schema, name) if part)


class NewNames:
    """An Inspector that shows tables and columns by their new names.

    Args:
        context: of autogenerate.
        renames: of tables, and of columns in tables by their new names.
    """

    def __init__(self, context: AutogenContext, renames: Sequence[Rename]) -> None:
        self._context = context
        self._inspector: Inspector = context.inspector
        tables = [one for one in renames if one.table is None]
        self._new = {(one.schema, one.old): one.new for one in tables}
        self._old = {(one.schema, one.new): one.old for one in tables}
        self._columns: dict[tuple[str | None, str], dict[str, str]] = {}
        for one in renames:
            if one.table is not None:
                names = self._columns.setdefault((one.schema, one.table), {})
                names[one.old] = one.new

    def __getattr__(self, name: str) -> Any:
        """Return a method of the Inspector; what it finds has the new names."""
        found = getattr(self._inspector, name)
        if name.startswith("get_multi_"):
            return update_wrapper(partial(self._several, found), found)
        if name in {
            f"get_{method.__name__.removeprefix('get_multi_')}"
            for method in vars(Inspector).values()
            if getattr(method, "__name__", "").startswith("get_multi_")
        }:
            return update_wrapper(partial(self._one, found), found)
        return found

    def get_table_names(self, schema: str | None = None) -> list[str]:
        """Return the names of tables."""
        names = self._inspector.get_table_names(schema)
        return [self._new_name(schema, name) for name in names]

    def catalog(self, found: Catalog) -> Catalog:
        """Return a catalog with the new names, in definitions as well."""
        renamed: Catalog = {}
        for (schema, old), objects in found.items():
            table = self._new_name(schema or None, old)
            names = self._columns.get((schema or None, table), {})
            renamed[schema, table] = {
                (kind, self._name(kind, name, old, table, names), aspect): (
                    value if aspect == "comment" else self._defined(value, names)
                )
                for (kind, name, aspect), value in objects.items()
            }
        return renamed

    def _name(
        self, kind: str, name: str, old: str, table: str, names: Mapping[str, str]
    ) -> str:
        """Return the name of an object; the server renames keys that it named itself."""
        if kind == "column":
            return names.get(name, name)
        return re.sub(rf"^{re.escape(old)}(?=_ibfk_\d+$)", lambda _: table, name)

    def _defined(self, sql: str, names: Mapping[str, str]) -> str:
        pieces = REFERENCE.split(
            sql
        )  # own words, a reference, its table, its columns, ...
        for number, piece in enumerate(pieces):
            if number % 4 in {0, 3}:
                columns = self._columns_of(pieces[number - 1]) if number % 4 else names
                for old, new in columns.items():
                    piece = in_expression(piece, old, new, quoted(self._context, new))
                pieces[number] = piece
        del pieces[2::4]
        sql = "".join(pieces)
        for (_, old), new in self._new.items():
            place = rf'(\b(?:REFERENCES|ON|FROM|JOIN|TABLE) (?:\w+\.)?["`]?){re.escape(old)}'
            sql = re.sub(rf'(?i){place}(?=["`]?(?:[ (]|$))', rf"\g<1>{new}", sql)
        return sql

    def _columns_of(self, old: str) -> dict[str, str]:
        """Return the new names of columns of a table that the database calls so."""
        for (schema, new), columns in self._columns.items():
            if self._old.get((schema, new), new) == old:
                return columns
        return {}

    def checks_before(self, table_name: str, schema: str | None) -> list[Any]:
        """Return the CHECKs of a table as the database has them."""
        name = self._old.get((schema, table_name), table_name)
        return [*self._inspector.get_check_constraints(name, schema=schema)]

    def _new_name(self, schema: str | None, table_name: str) -> str:
        return self._new.get((schema, table_name), table_name)

    def _several(
        self,
        method: Any,
        schema: str | None = None,
        filter_names: Sequence[str] | None = None,
        **options: Any,
    ) -> dict[tuple[str | None, str], Any]:
        if filter_names is not None:
            filter_names = [self._old.get((schema, one), one) for one in filter_names]
        items: dict[Any, Any] = method(
            schema=schema, filter_names=filter_names, **options
        )
        return {
            (place, self._new_name(place, one)): self._renamed(
                found, place, self._new_name(place, one)
            )
            for (place, one), found in items.items()
        }

    def _one(
        self, method: Any, table_name: str, schema: str | None = None, **options: Any
    ) -> Any:
        old = self._old.get((schema, table_name), table_name)
        return self._renamed(method(old, schema=schema, **options), schema, table_name)

    def _renamed(self, found: Any, schema: str | None, name: str) -> Any:
        """Return what was found of a table, with the new names of all that it refers to."""
        names = self._columns.get((schema, name), {})
        if isinstance(found, list):
            return [self._renamed(item, schema, name) for item in found]
        if not found:
            return found
        item = dict(found)
        if "referred_table" in item:
            place: Any = item["referred_schema"]
            other: Any = item["referred_table"]
            other = item["referred_table"] = self._new.get((place, other), other)
            columns = self._columns.get((place, other), {})
            item["referred_columns"] = [
                columns.get(one, one) for one in item["referred_columns"]
            ]
        elif item.get("name") in names and "nullable" in item:
            item["name"] = names[item["name"]]
        rewritten: dict[str, Any] = self._rewritten(item, names)
        return rewritten

    def _rewritten(self, item: Any, names: Mapping[str, str], key: str = "") -> Any:
        if key in EXPRESSIONS and isinstance(item, str):
            for old, new in names.items():
                item = in_expression(item, old, new, quoted(self._context, new))
        elif isinstance(item, list):
            if key in NAMES and key != "referred_columns":
                return [names.get(one, one) for one in item]
            return [self._rewritten(one, names, key) for one in item]
        elif isinstance(item, dict):
            return {
                names.get(name, name) if key in NAMES else name: self._rewritten(
                    value, names, name
                )
                for name, value in item.items()
            }
        return item


def in_expression(sql: str, old: str, new: str, bare: str) -> str:
    """Return SQL with a column's new name; what is in apostrophes stays.

    Args:
        sql: an expression, in the words of the database.
        old: the name that the column has.
        new: the name that it gets.
        bare: the same, with quotes where it needs them.
    """

    def replace(found: re.Match[str]) -> str:
        if found["mark"]:
            return found["mark"] + new + found["mark"]
        return bare if found["bare"] else found[0]

    name = re.escape(old)
    pattern = rf"'(?:[^']|'')*'|(?P<mark>[\"`]){name}(?P=mark)|(?P<bare>(?<![\w\"`.]){name}(?![\w\"`(]))"
    return re.sub(pattern, replace, sql)
