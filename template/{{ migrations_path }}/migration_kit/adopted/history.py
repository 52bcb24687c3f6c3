"""A history that Alembic would treat as a new one, because its settings are lost."""

import os
import re
from functools import wraps
from pathlib import Path
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, column, inspect, select, table, text

from ..command import get_command
from ..histories import other_histories
from ..rooms import part
from ..settings import run_schema
from ..tables import tables_of


def refuse_lost_history(connection: Connection) -> None:
    """Refuse to start again if a history has begun already.

    Raises:
        CommandError: if revisions are not found, or what records them; it names the setting.
    """
    migration = context.get_context()
    run: Any = migration._migrations_fn

    @wraps(run)
    def run_known(recorded: tuple[str, ...], migration: MigrationContext) -> Any:
        # The version tables of other schemas are those of other tenants.
        is_first = not recorded and get_command() != "stamp"
        if is_first and not run_schema():
            refuse_lost_version_table(connection)
        return run(recorded, migration)

    migration._migrations_fn = run_known  # where Alembic has read what is recorded


def refuse_lost_revisions() -> None:
    """Stop if Alembic finds no revision, but files elsewhere below the migrations are some.

    Raises:
        CommandError: naming their folders; without it an upgrade would do nothing, and exit 0.
    """
    script = context.script
    locations = script._version_locations
    missing = [folder for folder in locations if not folder.exists()]
    if not missing and (script.version_locations or script.get_heads()):
        return
    if folders := folders_of_revisions():
        empty = " and ".join(map(from_config_file, missing or locations))
        raise CommandError(
            f"there is no revision in {empty}, but in {' and '.join(folders)}. "
            f"{version_locations_remedy(folders[0])}"
        )


def folders_of_revisions(revision: str = "") -> list[str]:
    """Return the folders in and below the migrations with revisions that Alembic does not read.

    Args:
        revision: how the identifier of the one to look for begins; by default all.
    """
    script = context.script
    read = {folder.resolve() for folder in script._version_locations}
    assignment = re.compile(rf"(?m)^revision\b[^=\n]*= *[\"']{re.escape(revision)}")
    own = Path(context.script.dir)
    others = [Path(script.dir) for _, script in other_histories(context.config)]
    folders = {
        path.parent
        for path in own.rglob("*.py")
        if not any(own in other.parents and other in path.parents for other in others)
        and b"down_revision" in (source := path.read_bytes())
        and assignment.search(source.decode(errors="replace"))
    }
    return sorted(
        from_config_file(folder)
        for folder in folders
        if folder not in read
        and not (
            script.recursive_version_locations and read.intersection(folder.parents)
        )
    )


def from_config_file(folder: Path) -> str:
    """Return where a folder is, seen from alembic.ini."""
    start = os.path.dirname(os.path.abspath(context.config.config_file_name or ""))
    return Path(os.path.relpath(folder, start)).as_posix()


def version_locations_remedy(folder: str) -> str:
    """Return how to let Alembic read a folder, seen from alembic.ini."""
    remedy = f"Add the folder to alembic.ini: `version_locations = %(here)s/{folder}`"
    if context.script.get_heads():
        remedy += ", next to those that it has"
    return remedy


def refuse_lost_version_table(connection: Connection) -> None:
    """Stop before a first migration if another table records this history.

    Other schemas may have this history with their own tables, one for each tenant; so this one
    must have tables of the models as well.

    Raises:
        CommandError: naming that table.
    """
    migration = context.get_context()
    kind = part("adopted", connection.dialect.name)
    if kind is None or not has_tables_of_models(connection):
        return
    known = {revision.revision for revision in context.script.walk_revisions()}
    own = (migration.version_table_schema, migration.version_table)
    for row in connection.execute(text(kind.VERSION_TABLES)).all():
        schema, name = row[0], row[1]
        version = table(name, column("version_num"), schema=schema)
        if (schema, name) == own:
            continue
        recorded: set[str] = set(connection.scalars(select(version.c.version_num)))
        if recorded & known:
            setting = f"`version_table = {name}`"
            if schema:
                setting += f" and `version_table_schema = {schema}`"
            raise CommandError(
                f"{'.'.join(filter(None, own))} records no revision, but {version.fullname} "
                f"has {' '.join(sorted(recorded))} of this history. Add {setting} to "
                "alembic.ini"
            )


def has_tables_of_models(connection: Connection) -> bool:
    """Return whether the database has any of the tables that are migrated."""
    inspector = inspect(connection)
    models = tables_of(context.get_context().opts["target_metadata"]).values()
    return any(inspector.has_table(model.name, schema=model.schema) for model in models)
