"""Each revision up, down and up again, with the schema compared at every step."""

import os
from collections.abc import Iterator
from typing import Any

from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Inspector, inspect, text

from ..rooms import part
from ..tables import full_name, tables_of
from .scratch import ScratchDatabase

# A table by its schema (None: the default one) and its name.
Table = tuple[str | None, str]
Schema = dict[Table, frozenset[str]]

ASPECTS = [
    "columns",
    "pk_constraint",
    "foreign_keys",
    "unique_constraints",
    "check_constraints",
    "indexes",
]


def roundtrip(database: ScratchDatabase) -> list[str]:
    """Take each revision up, down and up again; it must bring the same schema each time.

    Args:
        database: an empty one; it is at the heads afterwards.

    Returns:
        For each step that brings another schema than it must: the revision's file, and the
        differences. Last, the error of a revision that fails; those after it are not tried.
    """
    config = database.config()
    script = ScriptDirectory.from_config(config)
    findings: list[str] = []

    def steps(_: object, context: MigrationContext) -> Iterator[MigrationStep]:
        """Alembic runs each step before it asks for the next one."""
        connection = context.connection
        assert connection is not None
        tables = tables_of(context.opts["target_metadata"]).values()
        reader = SchemaReader(connection, {None, *(table.schema for table in tables)})
        before = reader.read()
        for revision in reversed(list(script.walk_revisions())):
            up = MigrationStep.upgrade_from_script(script.revision_map, revision)
            down = MigrationStep.downgrade_from_script(script.revision_map, revision)
            yield up
            after = reader.read()
            yield down
            findings.extend(report(revision, "downgrade", before, reader.read()))
            yield up
            again = reader.read()
            findings.extend(report(revision, "second upgrade", after, again))
            before = again

    try:
        with EnvironmentContext(config, script, fn=steps):
            script.run_env()
    except CommandError as error:
        findings.append(str(error))
    return findings


def report(
    revision: Script, step: str, expected: Schema, found: Schema
) -> Iterator[str]:
    """Yield what a step has left, or has not brought back."""
    if expected == found:
        return
    old, new = (frozenset().union(*schema.values()) for schema in (expected, found))
    lines = [f"    missing: {line}" for line in sorted(old - new)]
    lines += [f"    left: {line}" for line in sorted(new - old)]
    yield "\n".join([f"{os.path.relpath(revision.path)}: {step}", *lines])


class SchemaReader:
    """Reads the schema of a database again and again, but each state of a table only once.

    Args:
        connection: to the database.
        schemas: names of the schemas to read; None is the default one.
    """

    def __init__(self, connection: Connection, schemas: set[str | None]) -> None:
        self.connection = connection
        self.schemas = schemas
        self.known: dict[tuple[str | None, str, str | None], frozenset[str]] = {}

    def read(self) -> Schema:
        """Return a line for each column, constraint, index, view and type, by table."""
        # Alembic would take a transaction that a query leaves open for one of the caller.
        own_transaction = not self.connection.in_transaction()
        inspector = inspect(self.connection)
        found: Schema = {}
        for schema in self.schemas:
            for name, mark in self.read_marks(inspector, schema).items():
                key = (schema, name, mark)
                if mark is None or key not in self.known:
                    function = reflect if name else reflect_others
                    self.known[key] = function(inspector, name, schema)
                found[schema, name] = self.known[key]
        if own_transaction:
            self.connection.rollback()
        return found

    def read_marks(
        self, inspector: Inspector, schema: str | None
    ) -> dict[str, str | None]:
        """Return a mark of each table's state, or None where the database has none for less.

        The name of views and types is empty: they have one mark together.
        """
        kind = part("testing", self.connection.dialect.name)
        if not (marks := getattr(kind, "MARKS", "")):
            return dict.fromkeys([*inspector.get_table_names(schema=schema), ""])
        values = {"schema": schema} if ":schema" in marks else {}
        rows = self.connection.execute(text(marks), values)
        return {row[0]: row[1] for row in rows}


def reflect(inspector: Inspector, table: str, schema: str | None) -> frozenset[str]:
    """Return a line for each column, constraint and index of a table."""
    name = full_name(schema, table)
    lines = []
    for aspect in ASPECTS:
        items = getattr(inspector, f"get_{aspect}")(table, schema=schema)
        for item in items if isinstance(items, list) else [items]:
            lines.append(f"{aspect} of {name}: {describe(item)}")
    return frozenset(lines)


def reflect_others(inspector: Inspector, _: str, schema: str | None) -> frozenset[str]:
    """Return a line for each view, and for each ENUM type of PostgreSQL."""
    lines = []
    for view in inspector.get_view_names(schema=schema):
        definition = inspector.get_view_definition(view, schema=schema)
        lines.append(f"view {view}: {definition}")
    for enum in getattr(inspector, "get_enums", lambda **_: [])(schema=schema):
        lines.append(f"type {enum['name']}: {', '.join(enum['labels'])}")
    return frozenset(lines)


def describe(item: dict[str, Any]) -> str:
    """Return in one line what reflection found."""
    values = {
        key: shown(value)
        for key, value in sorted(item.items())
        if value not in (None, {})
    }
    # SQLite keeps the brackets that somebody wrote around it, and copying adds others.
    while (default := values.get("default", "")).startswith("("):
        values["default"] = default.removeprefix("(").removesuffix(")").strip()
    return ", ".join(f"{key} {value}" for key, value in values.items())


def shown(value: Any) -> str:
    """Return a value as text; in options, an expression shows its own by `str` only."""
    if isinstance(value, dict):
        return str({name: str(each) for name, each in value.items()})
    return str(value)
