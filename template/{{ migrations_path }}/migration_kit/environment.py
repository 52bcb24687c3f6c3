"""Runs the migrations, in the shape of Alembic's own env.py; `run` is what env.py calls."""

import io
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from inspect import getattr_static
from logging.config import fileConfig
from types import ModuleType
from typing import TYPE_CHECKING, Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, MetaData

from .command import after_each_revision, is_read_only, recorded_revision
from .connect import create_connectable, run_on
from .dialects import database_of
from .errors import migration_errors, one_line
from .options import put_together
from .paths import use
from .rooms import refuse_broken_promises, rooms
from .settings import get_url, version_table_options

if TYPE_CHECKING:  # importing it takes greenlet, which a sync project need not install
    from sqlalchemy.ext.asyncio import AsyncEngine

    CreateEngine = Callable[[URL], Engine | AsyncEngine]


def run(
    target_metadata: MetaData | Sequence[MetaData],
    *,
    package: str | Sequence[str] = (),
    not_migrated: Sequence[str] = (),
    create_engine: "CreateEngine" = create_connectable,
    prepare: Callable[[Connection], None] | None = None,
    **options: Any,
) -> None:
    """Run the migrations: online, or offline for `--sql`.

    Args:
        target_metadata: what autogenerate compares with the database: a MetaData or several.
        package: its name, or several; autogenerate looks there for models that nothing imports.
        not_migrated: modules, with all below them, whose tables are not migrated: a plugin.
        create_engine: makes an engine, sync or async, of the URL: for TLS, tokens, connectors.
        prepare: makes what only a new database of the tests lacks, such as schemas, extensions.
        options: of `EnvironmentContext.configure`; `options.RULES` adds them to the kit's.

    Raises:
        CommandError: with one line that says what is wrong, and how to fix it.
    """
    config = use(context.config)
    # Without its sources, Alembic would find no revision, and exit with 0.
    context.script.sourceless |= not os.path.exists(f"{context.script.dir}/env.py")
    # Only the `alembic` command sets up logging; a program that calls Alembic has its own.
    is_command = hasattr(config.cmd_opts, "cmd")
    if is_command and os.path.exists(config.config_file_name or ""):
        fileConfig(config.config_file_name or "", disable_existing_loggers=False)
    packages = [package] if isinstance(package, str) else list(package)
    others = [name for room in rooms() for name in room.not_migrated(config, packages)]
    options |= {
        "target_metadata": target_metadata,
        "packages": packages,
        "not_migrated": [*not_migrated, *others],
        "prepare": prepare,
    }
    refuse_broken_promises()
    if context.is_offline_mode():
        run_migrations_offline(options)
    else:
        run_migrations_online(options, create_engine)


def metadata_of(owner: Any) -> Any:
    """Return the MetaData of a module, a Base, a registry, `db.Model`; of a list, a list.

    Raises:
        CommandError: if it has none, or a module several with tables.
    """
    if isinstance(owner, list | tuple):
        return [metadata_of(one) for one in owner]
    get, groups = getattr, [[owner]]
    if isinstance(owner, ModuleType):  # and those below it, else those that it imports
        get = getattr_static
        groups = [values_in(owner, [owner]), values_in(owner, vars(owner).values())]
    used: list[MetaData] = []
    for values in groups:
        found = (get(one, "metadata", one) for one in values)
        known = {one for one in found if isinstance(one, MetaData)}
        used = used or [one for one in known if one.tables] or [*known]
    if len(used) == 1:
        return used[0]
    raise CommandError(
        f"{getattr(owner, '__name__', owner)} has no MetaData, or several. Import your Base, or its MetaData, in env.py"
    )


def values_in(owner: ModuleType, modules: Iterable[Any]) -> list[Any]:
    """Return what modules of the owner's package have, and those below them."""
    package = f"{owner.__name__.partition('.')[0]}."
    names = [f"{one.__name__}." for one in modules if isinstance(one, ModuleType)]
    below = tuple(name for name in names if name.startswith(package))
    loaded = [sys.modules[n] for n in sys.modules if f"{n}.".startswith(below)]
    return [one for module in loaded for one in vars(module).values()]


def run_migrations_offline(options: dict[str, Any]) -> None:
    """Print the migrations as SQL, for `--sql`: all of it, or after an error nothing."""
    kits = version_table_options() | {
        "literal_binds": True,
        "dialect_opts": {"paramstyle": "named"},
    }
    with one_line("no SQL was printed"):
        context.configure(url=get_url()[0], **put_together(kits, options))
        for room in rooms():
            room.check_history(context.script)
            after_each_revision(room.after_revision)
        impl = context.get_context().impl
        output, impl.output_buffer = impl.output_buffer, io.StringIO()
        with context.begin_transaction():
            database_of(impl.dialect.name).before_sql()
            context.run_migrations()
        sql = impl.output_buffer.getvalue()
    print(sql, end="", file=output, flush=True)


def do_run_migrations(connection: Connection, options: dict[str, Any]) -> None:
    """Run the migrations on an open connection; a transaction on it stays the caller's."""
    if connection is not context.config.attributes.get("connection"):
        # Alembic would treat what an earlier statement began as a caller's transaction,
        # which is never committed.
        connection.rollback()
    database = database_of(connection.dialect.name)
    kits = version_table_options() | database.options()
    for room in rooms():
        kits = put_together(kits, room.options(connection))
    context.configure(connection=connection, **put_together(kits, options))
    if is_read_only():
        # Or Alembic would make its version table, which a standby refuses.
        context.get_context().opts["dont_mutate"] = True
    for room in rooms():
        room.before(connection, options)
    with ExitStack() as stack:
        stack.enter_context(migration_errors(database, connection))
        stack.enter_context(database.around(connection))
        stack.enter_context(database.lock(connection))
        for room in rooms():
            stack.enter_context(room.around(connection))
        stack.enter_context(recorded_revision(connection))
        attempts = stack.enter_context(database.patience(connection))
        for room in rooms():
            room.check_history(context.script)
            room.refuse(connection)
            after_each_revision(room.after_revision)
        for attempt in attempts:
            with attempt, context.begin_transaction(), database.transaction(connection):
                context.run_migrations()


def run_migrations_online(
    options: dict[str, Any], create_engine: "CreateEngine"
) -> None:
    """Run the migrations on the caller's connection or engine, else on its own one."""
    # The kit's commands may need what env.py connects to, and do something else there.
    do_run = context.config.attributes.get("do_run", do_run_migrations)
    connectable, source = context.config.attributes.get("connection"), "the engine"
    if connectable is None:
        url, source = get_url()
        connectable = create_engine(url)
    if isinstance(connectable, Connection):
        do_run(connectable, options)
    else:
        run_on(connectable, source, lambda connection: do_run(connection, options))
