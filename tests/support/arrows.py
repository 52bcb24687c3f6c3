"""Who imports whom in the kit: its core, its rooms, and the modules for one kind of database."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.releases import ROOT

KIT = ROOT / "template/{{ migrations_path }}/migration_kit"

# Folders and modules of the kit, or of a room, that are for one kind of database, each with those
# that it may import: `servers` has what the two servers share.
KINDS = {
    "sqlite": {"sqlite"},
    "postgresql": {"postgresql", "servers"},
    "mysql": {"mysql", "servers"},
    "servers": {"servers"},
}


def rooms() -> dict[str, tuple[str, ...]]:
    """Return the rooms by their names, each with those that it needs, as rooms.py has them."""
    for node in tree(KIT / "rooms.py").body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "ROOMS":
            assert node.value
            found: dict[str, tuple[str, ...]] = ast.literal_eval(node.value)
            return found
    raise AssertionError("rooms.py has no ROOMS")


def tree(path: Path) -> ast.Module:
    """Return a module as Python parses it."""
    return ast.parse(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Place:
    """Where a module is: in a room or in the core, and for which kind of database."""

    room: str
    kind: str

    def __str__(self) -> str:
        return " ".join(filter(None, [self.room or "the core", self.kind]))


def place(names: tuple[str, ...]) -> Place:
    """Return the place of a module.

    Args:
        names: those of its folders in the kit and its own, without a suffix.
    """
    room = names[0] if names and names[0] in rooms() else ""
    inner = names[1:] if room or names[:1] == ("catalogs",) else names
    return Place(room, inner[0] if inner and inner[0] in KINDS else "")


def names_of(path: Path) -> tuple[str, ...]:
    """Return the names of a file's folders in the kit, and its own."""
    return path.relative_to(KIT).with_suffix("").parts


def imports(path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the line of each import from the kit, wherever it stands, and what it names."""
    folders = names_of(path)[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = folders[: len(folders) - node.level + 1]
            module = tuple(node.module.split(".")) if node.module else ()
            for name in node.names:
                yield node.lineno, (*base, *module, name.name)
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.startswith("migration_kit"):
                    yield node.lineno, tuple(name.name.split(".")[1:])
        elif isinstance(node, ast.ImportFrom) and node.module:
            first, *rest = node.module.split(".")
            if first == "migration_kit":
                for name in node.names:
                    yield node.lineno, (*rest, name.name)


def at_import(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line of each import that happens when the module is imported, and its module."""

    def walk(nodes: list[ast.stmt]) -> Iterator[tuple[int, str]]:
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from ((node.lineno, name.name) for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.lineno, "." * node.level + (node.module or "")
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from walk(node.orelse)
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for field in ("body", "orelse", "finalbody"):
                    yield from walk(getattr(node, field, []))

    return walk(tree(path).body)


def is_standard(module: str) -> bool:
    """Tell whether a module comes with Python."""
    return module.partition(".")[0] in sys.stdlib_module_names
