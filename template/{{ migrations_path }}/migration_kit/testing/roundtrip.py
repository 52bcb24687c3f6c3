"""Each revision up, down and up again, with the schema compared at every step."""

import os
from collections import deque
from collections.abc import Iterator

from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from ..catalogs import read_catalog
from ..rooms import TABLES, is_on, part
from ..tables import schemas_of
from .scratch import ScratchDatabase


def roundtrip(database: ScratchDatabase) -> tuple[str, list[str]]:
    """Take each revision up, down and up again; it must bring the same schema each time.

    Args:
        database: an empty one; it is at the heads afterwards.

    Returns:
        The step that failed, unless one before it left a difference. Then for each step that
        did, the revision's file and the differences; last, the error of the step that failed.
    """
    config = database.config()
    script = ScriptDirectory.from_config(config)
    doing, findings = "the history", list[str]()

    def steps(_: object, context: MigrationContext) -> Iterator[MigrationStep]:
        """Alembic runs each step before it asks for the next one."""
        nonlocal doing, findings
        connection = context.connection
        assert connection is not None
        default = connection.dialect.default_schema_name or "main"
        others = schemas_of(context.opts["target_metadata"])
        schemas = {name: name for name in others} | {default: ""}
        seen = deque([read(connection, schemas)], maxlen=3)
        for revision in reversed(list(script.walk_revisions())):
            up = MigrationStep.upgrade_from_script(script.revision_map, revision)
            down = MigrationStep.downgrade_from_script(script.revision_map, revision)
            ways = {"upgrade": up, "downgrade": down, "second upgrade": up}
            for name, step in ways.items():
                doing = f"{os.path.relpath(revision.path)}: {name}"
                yield step
                seen.append(read(connection, schemas))
                must, has = seen[0], seen[-1]
                if name != "upgrade" and must != has:
                    findings += [doing]
                    findings += [f"    missing: {line}" for line in sorted(must - has)]
                    findings += [f"    left: {line}" for line in sorted(has - must)]

    try:
        with EnvironmentContext(config, script, fn=steps):
            script.run_env()
    except CommandError as error:
        return "" if findings else doing, [*findings, str(error)]
    return "", findings


def read(connection: Connection, schemas: dict[str, str]) -> frozenset[str]:
    """Return a line for each property of each object of some schemas."""
    # Alembic would take a transaction that a query leaves open for one of the caller.
    own_transaction = not connection.in_transaction()
    catalogs = [read_catalog(connection, schemas)]
    if is_on("security") and (module := part("security", connection.dialect.name)):
        catalogs.append(module.read(connection, schemas))
    lines = frozenset(
        f"{' '.join(filter(None, [*place, *item]))}: {value}"
        for catalog in catalogs
        for place, objects in catalog.items()
        for item, value in objects.items()
        if item[2] != "sql" and place[1] not in TABLES
    )
    if own_transaction:
        connection.rollback()
    return lines
