"""What a process of `tenants` does with one tenant after the other."""

import logging
import os
import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from alembic import command, context
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, StampStep
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, inspect, text

from ..environment import do_run_migrations
from ..errors import describe, one_line, where
from ..paths import invocation
from ..rooms import part
from ..sections import read_config
from ..settings import get_url, run_schema, version_table_options
from ..tables import make_tables_of_listeners, tables_of
from . import tenant as tenancy
from .tenant import get_tenant
from .workers import Serve

LENGTH = 300  # of a message: what `check` found may fill pages


@dataclass(frozen=True)
class Outcome:
    """What has become of a tenant.

    Attributes:
        heads: the revisions that it records, if that was asked.
        changed: whether there was anything to do.
        error: what went wrong, in one line.
        revision: the one that failed.
        place: where in its file.
        warnings: what was logged.
    """

    heads: frozenset[str] = frozenset()
    changed: bool = True
    error: str = ""
    revision: str = ""
    place: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """What to do with each tenant; calling it, in a process, returns what does it.

    Attributes:
        command: `upgrade`, `downgrade`, `current`, `check` or `create`.
        revision: where to, for the first two.
        config_file: path of alembic.ini.
        section: of alembic.ini, which says where the revisions are.
        x: what `-x` gave.
    """

    command: str
    revision: str
    config_file: str
    section: str
    x: tuple[str, ...]

    def config(self) -> Config:
        """Return the configuration; Alembic's commands print nothing with it."""
        return read_config(
            self.config_file,
            self.section,
            stdout=open(os.devnull, "w", encoding="utf-8"),
            cmd_opts=Namespace(x=list(self.x)),
        )

    def __call__(self, serve: Serve[Outcome]) -> None:
        """Do it for each tenant that `serve` gives."""
        if mysql := part("tenants", "mysql"):
            mysql.share_certificates()
        TenantCommands(self).work(serve)


class TenantCommands:
    """Runs a command for tenants; the revisions are read once."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.config = order.config()
        self.script = read_history(self.config)
        self.target = target_of(self.script, order)
        self.outcome = Outcome()
        self.connection: Connection | None = None
        # Each command of Alembic's would read the files of the revisions again.
        commands: Any = command
        commands.ScriptDirectory = SimpleNamespace(from_config=lambda _: self.script)

    def work(self, serve: Serve[Outcome]) -> None:
        """Serve tenants: those with a schema on one connection, where the driver allows it.

        A statement that a driver prepared for one schema is wrong for the next one, where an
        ENUM is another type. psycopg forgets them at each rollback, and a run ends with one.
        """

        def serve_on(connection: Connection, _: object) -> None:
            if connection.dialect.driver != "psycopg":
                return
            self.connection = connection
            try:
                serve(self)
            finally:
                self.connection = None
                environment.__enter__()  # the commands have taken `context` away from it

        config = self.order.config()
        config.attributes["do_run"] = serve_on
        with EnvironmentContext(config, self.script) as environment:
            if not tenancy.has_databases():
                with suppress(CommandError):  # each tenant has its own
                    self.script.run_env()
        serve(self)

    def __call__(self, tenant: str) -> Outcome:
        """Run the command for a tenant; an error is an outcome as well."""
        self.outcome = Outcome()
        with collected_warnings() as warnings:
            try:
                with one_line(f"{self.order.command} stopped"):
                    getattr(self, self.order.command)(tenant)
            except CommandError as error:
                self.outcome = failure(error)
        return replace(self.outcome, warnings=tuple(warnings))

    def upgrade(self, tenant: str) -> None:
        """Upgrade a tenant, unless it is there already."""
        self.attend(tenant, do_run=self.unless_there)
        command.upgrade(self.config, self.order.revision)

    def downgrade(self, tenant: str) -> None:
        """Downgrade a tenant, unless it is there already."""
        self.attend(tenant, do_run=self.unless_there)
        command.downgrade(self.config, self.order.revision)

    def check(self, tenant: str) -> None:
        """Compare a tenant with the models."""
        self.attend(tenant)
        command.check(self.config)

    def current(self, tenant: str) -> None:
        """Find out which revisions a tenant records."""

        def read(connection: Connection, options: dict[str, Any]) -> None:
            self.outcome = Outcome(heads=recorded_heads(connection, options))

        self.attend(tenant, do_run=read)
        run_env(self.config, self.script)

    def create(self, tenant: str) -> None:
        """Create a tenant at the heads, without the history."""
        self.attend(tenant, creates=True)
        make_database(self.config, self.script)
        self.attend(tenant, creates=True, do_run=in_one_transaction)
        create(self.config, self.script)

    def attend(self, tenant: str, **attributes: Any) -> None:
        """Tell env.py and the kit of the tenant that comes."""
        self.config.attributes.clear()
        self.config.attributes.update(attributes, tenant=tenant)
        if self.connection:
            self.connection.rollback()
            self.config.attributes["connection"] = self.connection

    def unless_there(self, connection: Connection, options: dict[str, Any]) -> None:
        """Run the migrations if the tenant records something else than what is asked for."""
        if self.target is not None and not run_schema():
            there = recorded_heads(connection, options) == self.target
            self.outcome = Outcome(changed=not there)
        if self.outcome.changed:
            do_run_migrations(connection, options)


def read_history(config: Config) -> ScriptDirectory:
    """Return the history, of .pyc files if it has no sources: before env.py runs, as `run` does."""
    script = ScriptDirectory.from_config(config)
    script.sourceless |= not os.path.exists(f"{script.dir}/env.py")
    return script


def target_of(script: ScriptDirectory, order: Order) -> frozenset[str] | None:
    """Return what a tenant records that has nothing to do; None if that cannot be known."""
    if order.command not in {"upgrade", "downgrade"} or re.search(
        r"[+-]\d+$", order.revision
    ):
        return None
    revisions = script.get_revisions(order.revision)
    return frozenset(revision.revision for revision in revisions if revision)


def run_env(config: Config, script: ScriptDirectory) -> None:
    """Run env.py for what `do_run` does on its connection."""
    with EnvironmentContext(config, script):
        script.run_env()


def recorded_heads(connection: Connection, options: dict[str, Any]) -> frozenset[str]:
    """Return the revisions that a database records; no transaction is left open."""
    migration = MigrationContext.configure(
        connection, opts=version_table_options() | options
    )
    heads = frozenset(migration.get_current_heads())
    connection.rollback()
    return heads


# ------------------------------------------------------------------------- A new tenant


def make_database(config: Config, script: ScriptDirectory) -> None:
    """Create the database of a tenant, if it has one on a server, and it is missing."""
    with EnvironmentContext(config, script):
        url, _ = get_url()
        kind = part("tenants", url.get_backend_name())
        if run_schema() or kind is None:  # SQLite creates a file that is missing
            return
    name = url.database or ""

    def make(connection: Connection, _: object) -> None:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        if not connection.scalar(text(kind.EXISTS), {"name": name}):
            mark = connection.dialect.identifier_preparer.initial_quote
            quoted = mark + name.replace(mark, mark * 2) + mark
            connection.exec_driver_sql(
                f"CREATE DATABASE {quoted}", execution_options={"no_parameters": True}
            )

    config.attributes.update(url=url.set(database=kind.SERVER), do_run=make)
    run_env(config, script)


def in_one_transaction(connection: Connection, options: dict[str, Any]) -> None:
    """Run everything in one transaction, if the database can roll back DDL."""
    is_new = not recorded_heads(connection, options)
    if connection.dialect.name != "sqlite":  # where the lock begins one
        connection.begin()
        context.config.attributes["connection"] = connection
    prepare = options["prepare"]
    if is_new and prepare and not run_schema():
        with one_line("prepare() of env.py failed"):
            prepare(connection)
    do_run_migrations(connection, options)
    connection.commit()


def create(config: Config, script: ScriptDirectory) -> None:
    """Create the tables of the models, and record the heads."""

    def create_all(
        recorded: tuple[str, ...], migration: MigrationContext
    ) -> list[StampStep]:
        connection = migration.connection
        assert connection is not None
        if recorded:
            raise CommandError(
                f"it exists and records {' '.join(recorded)}. "
                f"Run `{invocation()} tenants upgrade --only {get_tenant()}`"
            )
        make_tables_of_listeners()
        metadata = migration.opts["target_metadata"]
        drop_unfinished(connection, metadata)
        for each in [metadata] if isinstance(metadata, MetaData) else metadata:
            each.create_all(connection)
        return script._stamp_revs("heads", recorded)

    with EnvironmentContext(config, script, fn=create_all):
        script.run_env()


def drop_unfinished(
    connection: Connection, metadata: MetaData | Sequence[MetaData]
) -> None:
    """Drop the tables of a `create` that was killed, if the database cannot roll back.

    Raises:
        CommandError: if it has tables of the models, and they are not from there.
    """
    inspector = inspect(connection)
    found = [
        table
        for table in tables_of(metadata).values()
        if inspector.has_table(table.name, schema=table.schema)
    ]
    kind = part("tenants", connection.dialect.name)
    drop = getattr(kind, "drop_unfinished", None)
    if found and not (drop and drop(connection, found)):
        raise CommandError(
            f"it has the table {found[0].name} but records no revision. If the table is yours, "
            f"run `alembic -x tenant={get_tenant()} stamp REVISION`"
        )


# ----------------------------------------------------------------------------- Failures


def failure(error: Exception) -> Outcome:
    """Return what is known of an error: its revision, if it arose in one, place and line."""
    known: BaseException | None = error
    while known:
        frames = known.__traceback__
        while frames:
            names, line = frames.tb_frame.f_globals, frames.tb_lineno
            if "down_revision" in names and "revision" in names:
                place = where(names["__file__"], line)
                message = one_line_of(error).partition(f"{place}: ")
                return Outcome(
                    error=message[2] or message[0],
                    revision=str(names["revision"]),
                    place=place,
                )
            frames = frames.tb_next
        known = known.__cause__
    return Outcome(error=one_line_of(error))


def one_line_of(error: Exception) -> str:
    line = str(error) if isinstance(error, CommandError) else describe(error)
    line = " ".join(line.split())
    return line if len(line) <= LENGTH else f"{line[:LENGTH]}…"


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect what is logged, from warnings upwards, and Python's own warnings."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(" ".join(record.getMessage().split()))

    collector = Collector(logging.WARNING)
    root = logging.getLogger()
    root.addHandler(collector)
    logging.captureWarnings(True)
    try:
        yield found
    finally:
        root.removeHandler(collector)
