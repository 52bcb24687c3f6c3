"""Read what a revision does without doing it: its upgrade() runs against operations that record.

The connection that it gets is one of SQLAlchemy's, over a driver that remembers SQL and answers
with no rows, so that a revision that changes rows runs to its end. One that looks at the database
would take the way of an empty one; its statements are then run one by one, on every way.
"""

import ast
import io
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import (
    contextmanager,
    nullcontext,
    redirect_stderr,
    redirect_stdout,
)
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import get_ident
from types import CodeType, FrameType, FunctionType, SimpleNamespace
from typing import Any

from alembic import context
from alembic.config import Config
from alembic.operations import BatchOperations, Operations, ops
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Dialect, Engine, StaticPool, event, make_url
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import NoSuchTableError

# What returns rows; the number of them is 0.
ROWS = re.compile(
    r"\s*(SELECT|WITH|SHOW|PRAGMA|VALUES)\b|.*\bRETURNING\b", re.IGNORECASE | re.DOTALL
)
COUNTS = re.compile(r"\s*SELECT\s+(COUNT|EXISTS)\b", re.IGNORECASE)

# A version that no condition of a revision takes for an old one.
SERVER_VERSION = (99, 0, 0)

# A revision that runs more statements changes rows, and they tell nothing more.
MOST_STATEMENTS = 300

BATCH = "batch_alter_table"

# What a statement calls that changes tables.
OPERATIONS = {
    *("add_column", "alter_column", "drop_column"),
    *("create_table", "drop_table", "rename_table", BATCH),
    *("create_index", "create_unique_constraint", "create_foreign_key"),
}

# Name of a table, with its schema, to what has its `columns`: each name with its `type`.
Tables = Mapping[str, Any]


@dataclass(frozen=True)
class Recorded:
    """An operation, and the line of the revision's file that calls it."""

    operation: ops.MigrateOperation
    line: int


@dataclass(frozen=True)
class Unread:
    """A statement that calls operations, and cannot be run without its database."""

    line: int
    calls: frozenset[str]
    reason: str


@dataclass
class Reading:
    """What was read of a revision's upgrade()."""

    recorded: list[Recorded] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


class Cursor:
    """A driver's cursor, and its connection, that remembers SQL and has no rows."""

    arraysize = 1
    rowcount = 0
    lastrowid = 0

    def __init__(self, record: Callable[[str], None]) -> None:
        """Take what remembers a statement."""
        self.record = record
        self.description: list[tuple[Any, ...]] | None = None
        self.rows: list[tuple[Any, ...]] = []

    def cursor(self, *_: Any, **__: Any) -> "Cursor":
        """Return another cursor."""
        return Cursor(self.record)

    def execute(self, statement: str, *_: Any) -> None:
        """Remember a statement."""
        self.record(str(statement))
        has_rows = ROWS.match(str(statement))
        self.description = [("anon", *[None] * 6)] if has_rows else None
        self.rows = [(0,)] if COUNTS.match(str(statement)) else []

    executemany = execute

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""
        rows, self.rows = self.rows, []
        return rows

    def fetchmany(self, _: int | None = None) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""
        return self.fetchall()

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row."""
        return self.rows.pop(0) if self.rows else None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


class Answers:
    """What a dialect becomes that knows the tables of the revisions before, and who asked for them."""

    supports_statement_cache = True
    tables: Tables = {}
    was_asked = False

    def has_table(self, _: Any, table_name: str, schema: Any = None, **__: Any) -> bool:
        """Tell whether a revision made a table."""
        self.was_asked = True
        return table_key(table_name, schema) in self.tables

    def get_table_names(self, _: Any, schema: Any = None, **__: Any) -> list[str]:
        """Return the tables of a schema."""
        self.was_asked = True
        names = (name.rpartition(".") for name in self.tables)
        return [name for own, _, name in names if own == (schema or "").lower()]

    def get_columns(
        self, _: Any, table_name: str, schema: Any = None, **__: Any
    ) -> list[Any]:
        """Return the columns of a table."""
        self.was_asked = True
        if (key := table_key(table_name, schema)) not in self.tables:
            raise NoSuchTableError(table_name)
        return [
            {"name": name, "type": column.type, "nullable": True, "default": None}
            for name, column in self.tables[key].columns.items()
        ]

    def get_pk_constraint(self, *_: Any, **__: Any) -> Any:
        """Return no primary key."""
        self.was_asked = True
        return {"constrained_columns": [], "name": None}

    def get_table_comment(self, *_: Any, **__: Any) -> Any:
        """Return no comment."""
        return {"text": None}

    def nothing(self, *_: Any, **__: Any) -> list[Any]:
        """Return no constraints, indexes, views and the like."""
        self.was_asked = True
        return []

    get_indexes = get_foreign_keys = get_unique_constraints = nothing
    get_check_constraints = get_view_names = get_schema_names = nothing
    get_enums = get_sequence_names = nothing

    def get_table_options(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Return no options."""
        return {}

    get_multi_columns = DefaultDialect.get_multi_columns
    get_multi_indexes = DefaultDialect.get_multi_indexes
    get_multi_pk_constraint = DefaultDialect.get_multi_pk_constraint
    get_multi_foreign_keys = DefaultDialect.get_multi_foreign_keys
    get_multi_unique_constraints = DefaultDialect.get_multi_unique_constraints
    get_multi_check_constraints = DefaultDialect.get_multi_check_constraints
    get_multi_table_comment = DefaultDialect.get_multi_table_comment
    get_multi_table_options = DefaultDialect.get_multi_table_options


def table_key(name: str, schema: str | None = None) -> str:
    """Return what a table is known by: `heroes`, or `sales.heroes` with a schema."""
    return f"{schema}.{name}".lower() if schema else str(name).lower()


def plain_dialect(name: str) -> Dialect:
    """Return a dialect of SQLAlchemy without a driver.

    Args:
        name: `sqlite`, `postgresql`, `mysql`, `mariadb` or one that is installed.
    """
    return make_url(f"{name}://").get_dialect()()


class Replay:
    """Reads revisions, one after the other, without a database."""

    def __init__(
        self, config: Config, script: ScriptDirectory, dialect: Dialect
    ) -> None:
        """Take a history.

        Args:
            config: of alembic.ini.
            script: the history.
            dialect: of the database that the revisions are for.
        """
        self.config = config
        self.script = script
        kind = type(plain_dialect(dialect.name))
        self.dialect: Any = type("Recorded", (Answers, kind), {})()
        self.dialect.server_version_info = SERVER_VERSION
        self.reading = Reading()
        self.statements = 0
        self.thread = get_ident()
        self.path = ""
        pool = StaticPool(lambda: Cursor(self.record_sql))  # type: ignore[arg-type]
        self.engine = Engine(pool, self.dialect, make_url(f"{dialect.name}://"))

    def read(self, revision: Script, tables: Tables) -> Reading:
        """Return what a revision's upgrade() does.

        Args:
            revision: of the history.
            tables: what the revisions before it made.
        """
        self.dialect.tables = tables
        upgrade = getattr(revision.module, "upgrade", None)
        if not isinstance(upgrade, FunctionType):
            return Reading()
        self.path = upgrade.__code__.co_filename
        with self.engine.connect() as connection, self.recording(connection):
            error = self.attempt(upgrade)
            if error is None and not self.dialect.was_asked:
                return self.reading
            self.reading = Reading()
            statements = Statements(self, upgrade)
            statements.run()
        return self.reading

    def attempt(self, call: Callable[[], object]) -> BaseException | None:
        """Return what a call raised, if anything."""
        try:
            call()
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return error
        return None

    # ------------------------------------------------------------------- What it gets

    @contextmanager
    def recording(self, connection: Connection) -> Iterator[None]:
        """Let `op` and `context` of Alembic record, and nothing reach another database."""
        self.reading, self.dialect.was_asked = Reading(), False
        self.statements = 0
        running = getattr(context, "_proxy", None)
        outer = (
            nullcontext() if running else EnvironmentContext(self.config, self.script)
        )
        with self.quiet(), outer:
            migration: Any = MigrationContext.configure(connection=connection)
            migration.autocommit_block = self.autocommit_block
            migration.begin_transaction = lambda *_, **__: nullcontext()
            proxy: Any = context._proxy  # type: ignore[attr-defined]
            its_own, proxy._migration_context = proxy._migration_context, migration
            event.listen(Engine, "engine_connect", self.refuse)
            event.listen(Engine, "do_connect", self.refuse_to_connect)
            try:
                with Operations.context(migration) as operations:
                    for name in ("invoke", BATCH):
                        vars(operations)[name] = getattr(self, name)
                    yield
            finally:
                event.remove(Engine, "engine_connect", self.refuse)
                event.remove(Engine, "do_connect", self.refuse_to_connect)
                proxy._migration_context = its_own

    def refuse(self, connection: Connection) -> None:
        """Refuse a connection of another pool: a revision may import the project's engine."""
        if connection.engine is not self.engine:
            self.refuse_to_connect()

    def refuse_to_connect(self, *_: object) -> None:
        """Let no revision reach a database; other threads of the program go on."""
        if get_ident() == self.thread:
            raise RuntimeError("it connects to a database by itself")

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Swallow what revisions print and log: none of it happens."""
        handlers = list(logging.root.handlers)
        for handler in handlers:
            handler.addFilter(self.is_of_others)
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                yield
        finally:
            for handler in handlers:
                handler.removeFilter(self.is_of_others)

    def is_of_others(self, record: logging.LogRecord) -> bool:
        """Tell whether another thread of the program logs something."""
        return record.thread != self.thread

    @contextmanager
    def autocommit_block(self) -> Iterator[None]:
        """Remember that no transaction is open meanwhile."""
        self.record_sql("COMMIT")
        yield
        self.record_sql("BEGIN")

    @contextmanager
    def batch_alter_table(
        self, table_name: str, schema: str | None = None, **_: Any
    ) -> Iterator[BatchOperations]:
        """Take the place of Operations.batch_alter_table, which wants the table."""
        migration = context.get_context()
        table: Any = SimpleNamespace(table_name=table_name, schema=schema)
        operations = BatchOperations(migration, impl=table)
        vars(operations)["invoke"] = self.invoke
        yield operations

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        """Take the place of Operations.invoke: record."""
        self.reading.recorded.append(Recorded(operation, self.line()))
        if isinstance(operation, ops.CreateTableOp):
            return operation.to_table(context.get_context())
        return None

    @property
    def is_exhausted(self) -> bool:
        """Whether a revision has run as many statements as it may."""
        return self.statements > MOST_STATEMENTS

    def record_sql(self, statement: str) -> None:
        """Remember SQL that a revision runs on its connection."""
        self.statements += 1
        if self.is_exhausted:
            raise RuntimeError("it runs too many statements")
        self.invoke(ops.ExecuteSQLOp(statement))

    def line(self) -> int:
        """Return the line of the revision that is being run."""
        frame: FrameType | None = sys._getframe(1)
        while frame and frame.f_code.co_filename != self.path:
            frame = frame.f_back
        return frame.f_lineno if frame else 1


class Statements:
    """Runs the statements of upgrade() one by one, so that one that fails hides no other."""

    def __init__(self, replay: Replay, upgrade: FunctionType) -> None:
        """Take a function of a revision."""
        self.replay = replay
        self.upgrade = upgrade
        self.names: dict[str, Any] = dict(upgrade.__globals__)

    def run(self) -> None:
        """Run its body."""
        source = Path(self.replay.path).read_text(encoding="utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name == "upgrade":
                self.run_all(node.body)

    def run_all(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self.run_one(statement)

    def run_one(self, statement: ast.stmt) -> None:
        """Run one statement; of one that decides or repeats, every way."""
        match statement:
            case ast.If(test, body, orelse):
                self.run_if(test, body, orelse)
            case ast.For(target, iterable, body, _):
                self.run_for(target, iterable, body)
            case ast.With(items, body):
                entered = [self.enter(item) for item in items]
                self.run_all(body)
                for manager in reversed(entered):
                    self.replay.attempt(lambda m=manager: m.__exit__(None, None, None))  # type: ignore[misc]
            case ast.Try(body, _, orelse, finalbody):
                self.run_all([*body, *orelse, *finalbody])
            case ast.While(_, body, _):
                self.run_all(body)
            case ast.Return() | ast.Raise() | ast.Break() | ast.Continue():
                pass
            case _:
                self.execute(statement)

    def run_if(
        self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]
    ) -> None:
        """Take the one way where the database was not asked, else both."""
        dialect = self.replay.dialect
        dialect.was_asked = False
        found: list[Any] = []
        error = self.replay.attempt(lambda: found.append(self.evaluate(test)))
        depends = any(
            self.names.get(node.id) is not self.upgrade.__globals__.get(node.id)
            for node in ast.walk(test)
            if isinstance(node, ast.Name)
        )
        if error or dialect.was_asked or (depends and not names_dialect(test)):
            self.run_all([*body, *orelse])
        else:
            self.run_all(body if found[0] else orelse)

    def run_for(
        self, target: ast.expr, iterable: ast.expr, body: list[ast.stmt]
    ) -> None:
        """Run the body for each item; once, where they are not known."""
        items: list[Any] = []
        error = self.replay.attempt(lambda: items.extend(self.evaluate(iterable)))
        for item in items:
            if self.replay.is_exhausted:
                break
            self.assign(target, item)
            self.run_all(body)
        if error:
            self.run_all(body)

    def enter(self, item: ast.withitem) -> Any:
        """Enter a context manager, and give its value the name that it has."""
        entered: list[Any] = []

        def enter() -> None:
            manager = self.evaluate(item.context_expr)
            entered.append(manager)
            value = manager.__enter__()
            if item.optional_vars:
                self.assign(item.optional_vars, value)

        if error := self.replay.attempt(enter):
            self.not_read(item.context_expr, error)
        return entered[0] if entered else nullcontext()

    def assign(self, target: ast.expr, value: Any) -> None:
        """Assign a value to what a statement names."""
        self.names["__value"] = value
        name = ast.copy_location(ast.Name("__value", ast.Load()), target)
        assignment = ast.copy_location(ast.Assign([target], name), target)
        exec(self.compile(assignment), self.names)  # noqa: S102

    def evaluate(self, expression: ast.expr) -> Any:
        """Return the value of an expression."""
        code = compile(ast.Expression(expression), self.replay.path, "eval")
        return eval(code, self.names)

    def execute(self, statement: ast.stmt) -> None:
        """Run a statement, and remember where it cannot be."""
        code = self.compile(statement)
        run = partial(exec, code, self.names)
        if error := self.replay.attempt(run):
            self.not_read(statement, error)

    def compile(self, statement: ast.stmt) -> CodeType:
        module = ast.fix_missing_locations(ast.Module([statement], []))
        return compile(module, self.replay.path, "exec")

    def not_read(self, node: ast.AST, error: BaseException) -> None:
        """Remember a statement that calls operations, itself or in a function of the revision."""
        calls = frozenset(self.operations_in(node))
        if calls:
            reason = next(iter(str(error).splitlines()), "")
            line = getattr(node, "lineno", 1)
            reason = f"{type(error).__name__}: {reason}"
            self.replay.reading.unread.append(Unread(line, calls, reason))

    def operations_in(self, node: ast.AST) -> Iterator[str]:
        """Yield the names of the operations that a statement calls."""
        for part in ast.walk(node):
            match part:
                case ast.Call(ast.Attribute(_, name)) if name in OPERATIONS:
                    yield name
                case ast.Call(ast.Attribute(ast.Name("op"), "execute")):
                    yield "execute"
                case ast.Call(ast.Name(name)):
                    function = self.names.get(name)
                    if isinstance(function, FunctionType):
                        yield from OPERATIONS.intersection(function.__code__.co_names)


def names_dialect(test: ast.expr) -> bool:
    """Tell whether a condition asks only which database it is."""
    return "dialect" in ast.unparse(test)
