"""The catalogue of messages, docs/messages.toml, and the messages in the kit's syntax trees."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.arrows import KIT
from support.releases import ROOT

CATALOGUE = ROOT / "docs" / "messages.toml"

# Calls whose first argument you read: exceptions, the log, a failed test, an error's first words.
SAY = {"CommandError", "ImportError", "OSError", "RuntimeError", "AssertionError"}
SAY |= {"info", "warning", "fail", "one_line"}

# Functions whose values, and attributes of a database that, become part of a message.
PARTS = re.compile(r"remedy|^hint$|^how_to_add$")
ATTRIBUTES = {"aftermath", "remedies", "hints", "TAKEN"}

# Functions that only pass an error on.
PASS_ON = {"errors.one_line", "testing.scratch.__exit__"}

HOLE = "{}"


@dataclass(frozen=True)
class Entry:
    """A message of the catalogue.

    Attributes:
        title: the heading: the words that a person searches.
        text: the message, or the part that the kit adds to another one's; values are in braces.
        by: who says it, if not the kit.
        when: when you see it.
        fix: what to do, with the command.
        state: of the database.
    """

    title: str
    text: str
    by: str
    when: str
    fix: str
    state: str


def groups() -> Iterator[tuple[str, list[Entry]]]:
    """Yield the groups of the catalogue: a title and its entries."""
    for group in tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))["group"]:
        yield group["title"], [entry_of(one, group) for one in group["message"]]


def entry_of(given: dict[str, Any], group: dict[str, Any]) -> Entry:
    """Return an entry; its group says the state of the database unless it does."""
    text = str(given["text"])
    start: str = re.split(r"(?<=[^.])\. |: ", text)[0]
    return Entry(
        title=given.get("title", start),
        text=text,
        by=given.get("by", ""),
        when=given["when"],
        fix=given["fix"],
        state=given.get("state", group["state"]),
    )


def pattern(text: str) -> str:
    """Return a text with holes for its values; the kit and the catalogue name them otherwise."""
    holes = re.sub(r"\{\w*\}|%[sg]", HOLE, text)
    return re.sub(r"(\{\})+", HOLE, " ".join(holes.split()))


def messages() -> dict[str, str]:
    """Return each message of the kit, as a pattern, with the place that says it."""
    found: dict[str, str] = {}
    for path in sorted(KIT.rglob("*.py")):
        for line, text in Module(path).messages():
            place = f"{path.relative_to(KIT).as_posix()}:{line}"
            found.setdefault(pattern(text), place)
    return found


@dataclass
class Module:
    """A module of the kit, of which every message is looked for."""

    path: Path

    def __post_init__(self) -> None:
        self.name = ".".join(self.path.relative_to(KIT).with_suffix("").parts)
        self.tree = ast.parse(self.path.read_text(encoding="utf-8"))
        self.scopes: list[ast.AST] = [self.tree]
        self.open: set[str] = set()

    def messages(self) -> Iterator[tuple[int, str]]:
        """Yield the line and the text of each message."""
        yield from self.of(self.tree)

    def of(self, node: ast.AST) -> Iterator[tuple[int, str]]:
        """Yield what a part of the module says."""
        for child in ast.iter_child_nodes(node):
            is_scope = isinstance(child, ast.FunctionDef)
            if is_scope:
                self.scopes.append(child)
            yield from self.said_by(child)
            yield from self.of(child)
            if is_scope:
                self.scopes.pop()

    def said_by(self, node: ast.AST) -> Iterator[tuple[int, str]]:
        """Yield what one node says, without those below it."""
        match node:
            case ast.Call(func=ast.Name(name) | ast.Attribute(attr=name)) if (
                name in SAY
            ):
                yield from self.said_in_call(node, name)
            case ast.Return(value=ast.expr() as value) if self.is_part():
                yield from self.literal(value)
            case ast.Assign(targets=[ast.Name(name)], value=value) if (
                name in ATTRIBUTES
            ):
                if "lint" not in self.name:  # docs/reference/lint.md has those
                    yield from self.literal(value)
            case ast.Call(func=ast.Attribute(ast.Name("said"), "append"), args=[value]):
                yield from self.literal(value)
            case ast.keyword(arg="error", value=value):
                yield from self.literal(value)

    def said_in_call(self, call: ast.Call, name: str) -> Iterator[tuple[int, str]]:
        """Yield what a call says.

        Raises:
            AssertionError: if it cannot be read: then no catalogue could have it.
        """
        place = f"{self.name}.{getattr(self.scopes[-1], 'name', '')}"
        arguments = call.args[: 2 if name == "one_line" else 1]
        for index, argument in enumerate(arguments):
            if place in PASS_ON:
                continue
            texts = [*self.literal(argument)]
            assert texts or index, f"{place} says what no literal has"
            for line, text in texts:
                is_cause = name == "one_line" and not index
                yield line, f"{text}: {HOLE}" if is_cause else text

    def is_part(self) -> bool:
        """Return whether the values of this function become part of a message."""
        return bool(PARTS.search(getattr(self.scopes[-1], "name", "")))

    def literal(self, node: ast.expr) -> Iterator[tuple[int, str]]:
        """Yield the texts of an expression, with those of its variables; without words, none."""
        for text in self.texts(node):
            if re.search(r"[a-z]{2}", text):
                yield node.lineno, text

    def texts(self, node: ast.expr, is_within: bool = False) -> list[str]:
        """Return what an expression may be, with holes for values."""
        match node:
            case ast.Constant(str(value)):
                return [value]
            case ast.JoinedStr(values):
                texts = [""]
                for value in values:
                    texts = [a + b for a in texts for b in self.texts(value, True)]
                return texts
            case ast.FormattedValue(value=ast.Name() as value):
                found = [one for one in self.texts(value, True) if one]
                return [*{one if " " in one else HOLE: 0 for one in found}] or [HOLE]
            case ast.BinOp(left, ast.BitOr(), right):  # of dictionaries
                return [*self.texts(left), *self.texts(right)]
            case ast.BinOp(left, ast.Add(), right):
                lefts, rights = self.texts(left), self.texts(right)
                return [a + b for a in lefts for b in rights]
            case ast.IfExp(body=body, orelse=orelse):
                return [*self.texts(body), *self.texts(orelse)]
            case ast.Dict(values=values):
                return [one for value in values if value for one in self.texts(value)]
            case ast.BoolOp(values=values) if not is_within:
                return [one for value in values for one in self.texts(value)]
            case ast.Name(name):
                return self.variable(name)
            case ast.Call(func=ast.Attribute(value=value, attr="format")) if (
                not is_within
            ):
                return self.texts(value)
            case ast.Call(func=ast.Name("commands_for" | "say"), args=[*_, last]):
                return self.texts(last)
            case ast.Call(func=ast.Name(name) | ast.Attribute(attr=name)) if (
                not is_within
            ):
                return self.returned(name)
        return [HOLE]

    def variable(self, name: str) -> list[str]:
        """Return what is assigned to a name in this function or module, or a hole."""
        key = f"{id(self.scopes[-1])} {name}"
        if key in self.open:  # it is made of itself
            return []
        self.open.add(key)
        found: list[str] = []
        for scope in (self.scopes[-1], self.tree):
            for node in ast.walk(scope) if not found else ():
                targets = getattr(node, "targets", [getattr(node, "target", None)])
                if isinstance(node, ast.Assign | ast.NamedExpr) and any(
                    isinstance(one, ast.Name) and one.id == name for one in targets
                ):
                    found += self.texts(node.value)
        self.open.remove(key)
        return found or [CONSTANTS.get(name, HOLE)]

    def returned(self, name: str) -> list[str]:
        """Return what a function of this module, or else of another one, may return, or a hole."""
        if f"{name}()" in self.open:
            return [HOLE]
        self.open.add(f"{name}()")
        texts: list[str] = []
        for node in [*ast.walk(self.tree), *FUNCTIONS.get(name, ())]:
            if isinstance(node, ast.FunctionDef) and node.name == name and not texts:
                self.scopes.append(node)
                for one in ast.walk(node):
                    if isinstance(one, ast.Return) and one.value:
                        texts += self.texts(one.value)
                self.scopes.pop()
        self.open.remove(f"{name}()")
        return texts or [HOLE]


# What other modules import: constants and functions.
CONSTANTS: dict[str, str] = {}
FUNCTIONS: dict[str, list[ast.AST]] = {}
for path in KIT.rglob("*.py"):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=ast.Constant(str(value))):
                CONSTANTS[name] = value
            case ast.FunctionDef(name):
                FUNCTIONS.setdefault(name, []).append(node)
