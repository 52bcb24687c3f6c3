"""Read what a revision does from its source, without running any of it.

The statements of upgrade() are followed in their order. What they call of `op` becomes an operation;
what they ask of the database is unknown, and an `if` that depends on it is followed both ways. So
nothing else that a revision does, such as a request to another service, happens.
"""

import ast
import builtins
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from inspect import isclass
from types import ModuleType, SimpleNamespace
from typing import Any

import alembic.context
import alembic.op
from alembic.operations import BatchOperations, Operations, ops
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy import Dialect, Table, make_url, text
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import NULLTYPE, TypeEngine

from ..histories import source_of

# What a statement calls that changes tables.
OPERATIONS = {
    *("add_column", "alter_column", "drop_column", "execute"),
    *("create_table", "drop_table", "rename_table"),
    *("create_index", "create_unique_constraint", "create_foreign_key"),
}
# Arguments without which an operation cannot be known.
ESSENTIAL = {
    "column_name",
    "new_column_name",
    "nullable",
    "schema",
    "table_name",
    "type_",
}

EXECUTE = {"execute", "exec_driver_sql", "scalar", "scalars"}

# Modules of classes and functions that only describe something, and may be called.
HARMLESS = (
    *("sqlalchemy.sql", "sqlalchemy.types", "sqlalchemy.dialects", "sqlalchemy.schema"),
    *("alembic.operations", "sqlalchemy.util", "sqlmodel.sql", "datetime", "decimal"),
)
BUILTINS = {
    *("bool", "dict", "enumerate", "float", "frozenset", "int", "len", "list", "range"),
    *("reversed", "set", "sorted", "str", "tuple", "zip"),
}
PLAIN = (str, bytes, int, float, tuple, list, dict, set, frozenset)

DEPTH = 5  # of functions of a revision that call each other
TIMES = 1000  # that the body of a loop is followed


class Unknown:
    """A value that only the database, or other code, can give."""


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Recorded:
    """An operation, and the line of the revision's file that calls it."""

    operation: ops.MigrateOperation
    line: int


@dataclass(frozen=True)
class Unread:
    """A call of operations whose arguments are unknown."""

    line: int
    calls: frozenset[str]


@dataclass
class Reading:
    """What was read of a revision's upgrade()."""

    recorded: list[Recorded] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


class Bind:
    """What `op.get_bind()` returns: of the database, only the dialect is known."""

    def __init__(self, dialect: Dialect) -> None:
        """Take the dialect."""
        self.dialect = SimpleNamespace(name=dialect.name)
        self.engine = SimpleNamespace(dialect=self.dialect, name=dialect.name)


def table_key(name: str, schema: str | None = None) -> str:
    """Return what a table is known by: `heroes`, or `sales.heroes` with a schema."""
    return f"{schema}.{name}".lower() if schema else str(name).lower()


def plain_dialect(name: str) -> Dialect:
    """Return a dialect of SQLAlchemy without a driver.

    Args:
        name: as SQLAlchemy has it.
    """
    return make_url(f"{name}://").get_dialect()()


def read_revision(revision: Script, dialect: Dialect) -> Reading:
    """Return what a revision's upgrade() does, as far as its source tells.

    Args:
        revision: of the history.
        dialect: of the database that it is for.
    """
    source = source_of(revision).read_bytes()
    reader = Reader(vars(revision.module), ast.parse(source), dialect)
    if upgrade := reader.functions.get("upgrade"):
        reader.follow_all(upgrade.body, {})
    else:
        reader.look_into(getattr(revision.module, "upgrade", None))
    return reader.reading


class Reader:
    """Follows the statements of a revision."""

    def __init__(
        self, module: Mapping[str, Any], tree: ast.Module, dialect: Dialect
    ) -> None:
        """Take a revision.

        Args:
            module: the values of its names.
            tree: its source.
            dialect: of the database.
        """
        self.module = module
        self.functions = {
            node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)
        }
        self.reading = Reading()
        self.line = 1
        self.depth = 0
        self.in_sql = False
        self.bind = Bind(dialect)
        migration: Any = SimpleNamespace(
            dialect=dialect, impl=None, opts={"target_metadata": None}, connection=None
        )
        self.migration: MigrationContext = migration
        self.operations = Operations(migration)
        vars(self.operations)["invoke"] = self.record

    def record(self, operation: ops.MigrateOperation) -> Any:
        """Take the place of `Operations.invoke`."""
        self.reading.recorded.append(Recorded(operation, self.line))
        if isinstance(operation, ops.CreateTableOp):
            return operation.to_table(self.migration)
        return UNKNOWN

    # -------------------------------------------------------------------- Statements

    def follow_all(self, statements: Iterable[ast.stmt], names: dict[str, Any]) -> None:
        """Follow statements that share their names."""
        for statement in statements:
            self.follow(statement, names)

    def follow(self, statement: ast.stmt, names: dict[str, Any]) -> None:
        """Follow one statement; of one that decides or repeats, every way that it may go."""
        match statement:
            case ast.If(test, body, orelse):
                decided = self.value(test, names)
                if decided is UNKNOWN:
                    self.follow_all([*body, *orelse], names)
                else:
                    self.follow_all(body if decided else orelse, names)
            case ast.For(target, iterable, body, orelse):
                items = self.value(iterable, names)
                for item in [items] if items is UNKNOWN else list(items)[:TIMES]:
                    self.assign(target, item, names)
                    self.follow_all(body, names)
                self.follow_all(orelse, names)
            case ast.With([ast.withitem(ast.Call(ast.Attribute(_, name)))], body) if (
                name == "autocommit_block"
            ):
                self.record(ops.ExecuteSQLOp("COMMIT"))
                self.follow_all(body, names)
                self.record(ops.ExecuteSQLOp("BEGIN"))
            case ast.With(items, body):
                for item in items:
                    value = self.value(item.context_expr, names)
                    if item.optional_vars:
                        self.assign(item.optional_vars, value, names)
                self.follow_all(body, names)
            case ast.Try(body, _, orelse, finalbody):
                self.follow_all([*body, *orelse, *finalbody], names)
            case ast.While(_, body, _):
                self.follow_all(body, names)
            case ast.Assign(targets, expression):
                value = self.value(expression, names)
                for target in targets:
                    self.assign(target, value, names)
            case ast.AnnAssign(target, _, ast.expr() as expression):
                self.assign(target, self.value(expression, names), names)
            case ast.AugAssign(target):
                self.value(statement.value, names)
                self.assign(target, UNKNOWN, names)
            case ast.Expr(expression) | ast.Return(ast.expr() as expression):
                self.value(expression, names)

    def assign(self, target: ast.expr, value: Any, names: dict[str, Any]) -> None:
        """Give a value to what a statement names."""
        match target:
            case ast.Name(name):
                names[name] = value
            case ast.Tuple(parts) | ast.List(parts):
                known = isinstance(value, Sequence) and len(value) == len(parts)
                for index, part in enumerate(parts):
                    self.assign(part, value[index] if known else UNKNOWN, names)

    # ------------------------------------------------------------------- Expressions

    def value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """Return the value of an expression, as far as it is known."""
        try:
            return self.evaluate(node, names)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, running it will tell
            return UNKNOWN

    def values(self, nodes: Iterable[ast.expr], names: dict[str, Any]) -> list[Any]:
        """Return the values of several, of which each must be known, else UNKNOWN is among them."""
        found: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                many = self.value(node.value, names)
                found.extend([many] if many is UNKNOWN else many)
            else:
                found.append(self.value(node, names))
        return found

    def evaluate(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """Return the value of an expression; an exception is as good as UNKNOWN."""
        match node:
            case ast.Constant(value):
                return value
            case ast.Name(name):
                return self.lookup(name, names)
            case ast.Attribute(owner, name):
                return self.attribute(self.value(owner, names), name)
            case ast.Call():
                return self.call(node, names)
            case ast.Tuple(parts):
                return known(tuple(self.values(parts, names)))
            case ast.List(parts):
                return known(self.values(parts, names))
            case ast.Set(parts):
                return set(known(self.values(parts, names)))
            case ast.Dict(keys, values):
                pairs = known(self.values([key for key in keys if key], names))
                return dict(zip(pairs, self.values(values, names), strict=True))
            case ast.JoinedStr(parts):
                return "".join(map(str, self.known_or_unnamed(parts, names)))
            case ast.FormattedValue(value, -1, None):
                return self.value(value, names)
            case ast.BinOp(left, ast.Add(), right):
                return operator.add(*known(self.values([left, right], names)))
            case ast.BinOp(left, ast.Mod(), right):
                return operator.mod(*known(self.values([left, right], names)))
            case ast.UnaryOp(ast.Not(), operand):
                value = self.value(operand, names)
                return UNKNOWN if value is UNKNOWN else not value
            case ast.UnaryOp(ast.USub(), operand):
                return -self.value(operand, names)
            case ast.BoolOp(kind, operands):
                return decide(isinstance(kind, ast.And), self.values(operands, names))
            case ast.Compare(left, [kind], [right]):
                compare = COMPARISONS[type(kind)]
                return compare(*known(self.values([left, right], names)))
            case ast.IfExp(test, body, orelse):
                [decided] = known([self.value(test, names)])
                return self.value(body if decided else orelse, names)
            case ast.Subscript(owner, index):
                owner_, index_ = known(self.values([owner, index], names))
                is_plain = isinstance(owner_, str | tuple | list | dict)
                return owner_[index_] if is_plain else UNKNOWN
            case ast.ListComp(element, [each]) | ast.GeneratorExp(element, [each]):
                return [self.value(element, own) for own in self.rounds(each, names)]
            case ast.Lambda():
                return UNKNOWN
        return UNKNOWN

    def known_or_unnamed(
        self, nodes: Iterable[ast.expr], names: dict[str, Any]
    ) -> list[Any]:
        """Return values; in SQL, one that is unknown is as good as some name."""
        values = self.values(nodes, names)
        if self.in_sql:
            return ["unknown" if value is UNKNOWN else value for value in values]
        return list(known(values))

    def rounds(
        self, each: ast.comprehension, names: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Yield the names in each round of a comprehension."""
        [items] = known([self.value(each.iter, names)])
        for item in list(items)[:TIMES]:
            own = dict(names)
            self.assign(each.target, item, own)
            if all(known([self.value(test, own) for test in each.ifs])):
                yield own

    def lookup(self, name: str, names: dict[str, Any]) -> Any:
        """Return what a name stands for."""
        if name in names:
            return names[name]
        if name in self.module:
            return self.module[name]
        return getattr(builtins, name) if name in BUILTINS else UNKNOWN

    def attribute(self, owner: Any, name: str) -> Any:
        """Return an attribute of what only describes something."""
        if owner is alembic.op:
            return getattr(self.operations, name)
        if owner is alembic.context:
            return UNKNOWN
        plain = isinstance(
            owner, (*PLAIN, ModuleType, Bind, SimpleNamespace, Operations)
        )
        if plain or isclass(owner) or is_harmless(type(owner)):
            return getattr(owner, name)
        return UNKNOWN

    # ------------------------------------------------------------------------- Calls

    def call(self, node: ast.Call, names: dict[str, Any]) -> Any:
        """Return what a call returns, if it only describes something, or record an operation."""
        function = self.value(node.func, names)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        outside, self.in_sql = self.in_sql, self.in_sql or name in EXECUTE
        arguments = self.values(node.args, names)
        self.in_sql = outside
        keywords: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value, names)
            if keyword.arg:
                keywords[keyword.arg] = value
            elif isinstance(value, dict):
                keywords |= value
            else:
                arguments.append(UNKNOWN)
        owner = self.value(node.func.value, names) if name else None  # type: ignore[attr-defined]
        self.line = node.lineno
        if isinstance(node.func, ast.Name) and node.func.id in self.functions:
            return self.follow_function(
                self.functions[node.func.id], arguments, keywords
            )
        if name == "batch_alter_table" and owner is alembic.op:
            return self.batch(*arguments, **keywords)
        if name in ("get_bind", "get_context") and owner is alembic.op:
            return self.bind
        if isinstance(
            getattr(function, "__self__", None), Operations | BatchOperations
        ):
            return self.operate(function, name, arguments, keywords)
        if name in EXECUTE and arguments and owner_may_execute(owner):
            sql = arguments[0]
            if sql is UNKNOWN:
                return UNKNOWN
            return self.record(ops.ExecuteSQLOp(sql))
        if isinstance(owner, Table) and name == "drop":
            return self.record(ops.DropTableOp.from_table(owner))
        if not may_call(function):
            self.look_into(function)
            return UNKNOWN
        if isclass(function) and issubclass(function, SchemaItem):
            keywords = without_unknown(keywords)
            # The name of a column or a table must be known; its type or a column need not.
            arguments[1:] = [NULLTYPE if a is UNKNOWN else a for a in arguments[1:]]
        known(keywords.values())
        return function(*known(arguments), **keywords)

    def look_into(self, function: Any) -> None:
        """Say so where a function of another module calls operations."""
        called = getattr(getattr(function, "__code__", None), "co_names", ())
        calls = OPERATIONS.intersection(called)
        if calls and "op" in called:
            self.reading.unread.append(Unread(self.line, frozenset(calls)))

    def operate(
        self,
        function: Callable[..., Any],
        name: str,
        arguments: list[Any],
        keywords: dict[str, Any],
    ) -> Any:
        """Record an operation; one whose table or column is unknown could not be read."""
        if name == "f":
            return function(*known(arguments))
        before = len(self.reading.recorded)
        with suppress(Exception):
            known([value for key, value in keywords.items() if key in ESSENTIAL])
            if name == "create_table":
                arguments[1:] = [each for each in arguments[1:] if each is not UNKNOWN]
            return function(*known(arguments), **without_unknown(keywords))
        if name in OPERATIONS and len(self.reading.recorded) == before:
            self.reading.unread.append(Unread(self.line, frozenset([name])))
        return UNKNOWN

    def batch(
        self, table_name: Any, schema: str | None = None, **_: Any
    ) -> BatchOperations:
        """Return what `op.batch_alter_table` gives to the body of `with`."""
        table: Any = SimpleNamespace(table_name=table_name, schema=schema)
        known([table_name, schema])
        operations = BatchOperations(self.migration, impl=table)
        vars(operations)["invoke"] = self.record
        return operations

    def follow_function(
        self,
        function: ast.FunctionDef,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
    ) -> Any:
        """Follow a function of the revision, with what is known of its arguments."""
        if self.depth >= DEPTH:
            return UNKNOWN
        given = function.args
        parameters = [each.arg for each in given.args]
        names: dict[str, Any] = dict.fromkeys(parameters, UNKNOWN)
        last = parameters[len(parameters) - len(given.defaults) :]
        names |= zip(last, self.values(given.defaults, {}), strict=True)
        names |= {
            each.arg: self.value(default, {}) if default else UNKNOWN
            for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
        }
        names |= zip(parameters, arguments, strict=False)
        names |= keywords
        self.depth += 1
        self.follow_all(function.body, names)
        self.depth -= 1
        return UNKNOWN


def known(values: Any) -> Any:
    """Return values that are all known.

    Raises:
        LookupError: if one is not.
    """
    if any(value is UNKNOWN for value in values):
        raise LookupError
    return values


def without_unknown(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords whose values are known; a default is one, whatever it is."""
    given = {key: value for key, value in keywords.items() if value is not UNKNOWN}
    if keywords.get("server_default") is UNKNOWN:
        given["server_default"] = text("unknown")
    return given


def decide(is_and: bool, values: Sequence[Any]) -> Any:
    """Return what `and` or `or` gives, where one that is unknown may not matter."""
    for value in values:
        if value is not UNKNOWN and bool(value) is not is_and:
            return value
    unknown = any(value is UNKNOWN for value in values)
    return UNKNOWN if unknown else values[-1]


COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}


def is_harmless(of: Any) -> bool:
    """Return whether a class or function only describes something."""
    return str(getattr(of, "__module__", "")).startswith(HARMLESS)


def owner_may_execute(owner: Any) -> bool:
    """Return whether it may be a connection or a session that executes."""
    return owner is UNKNOWN or isinstance(owner, Bind)


def may_call(function: Any) -> bool:
    """Return whether a call does nothing but return a value."""
    if isclass(function) and issubclass(function, TypeEngine):
        return True
    owner = getattr(function, "__self__", None)
    if owner is None or isclass(owner) or isinstance(owner, ModuleType):
        return is_harmless(function) or function in map(
            vars(builtins).__getitem__, BUILTINS
        )
    return isinstance(owner, PLAIN) or is_harmless(type(owner))
