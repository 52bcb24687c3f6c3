"""Draws which module of a project imports which, and which rooms the kit has, as the files say it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import fsum, inf
from pathlib import PurePosixPath
from xml.etree import ElementTree

KIT = "migration_kit"

# What the kit has for a kind of database, in its own folder.
KINDS = {"sqlite", "servers", "postgresql", "mysql"}

# Packages that every project imports; they are not what the picture is about.
LIBRARIES = {
    "alembic",
    "pytest",
    "pytest_asyncio",
    "sqlalchemy",
    *sys.stdlib_module_names,
}

# Sizes in pixels of a picture that is not scaled. A letter of the label takes 7.3.
LETTER = 7.3
HEIGHT = 48
GAP = 28
BETWEEN = 56  # two rows
CHIP = 22
CHIPS = 4  # side by side


@dataclass
class Box:
    """A module of the project, or several that one folder holds.

    Attributes:
        label: its path, as its owner thinks of it.
        ours: whether it is the template's.
        names: what others import from it.
        imports: the boxes that it imports.
        parts: what is in it, in rows; the kit has its core, then its rooms.
    """

    label: str
    ours: bool = False
    names: set[str] = field(default_factory=set)
    imports: list[Box] = field(default_factory=list)
    parts: list[list[str]] = field(default_factory=list)

    @property
    def caption(self) -> str:
        """The names that others import, as many as there is room for, short ones first."""
        names = sorted(self.names, key=lambda name: (len(name), name))
        text = ", ".join(names)
        while len(text) > 30:
            names.pop()
            text = ", ".join([*names, "…"])
        return text

    @property
    def width(self) -> float:
        """How wide it is, in pixels; a bend of an arrow, which has no label, takes little."""
        if not self.label:
            return 8
        text = LETTER * max(len(self.label), 0.85 * len(self.caption), 12) + 24
        return max(text, *(width_of(row) + 20 for row in self.parts), 0)

    @property
    def height(self) -> float:
        """How high it is, in pixels."""
        return HEIGHT + len(self.parts) * (CHIP + 6) + (4 if self.parts else 0)


def width_of(chips: list[str]) -> float:
    """Return how wide chips are, side by side."""
    return LETTER * len("".join(chips)) + 20 * len(chips) - 6


def picture(files: Mapping[str, str]) -> str:
    """Draw a project: an arrow goes from a module to one that it imports.

    Args:
        files: the texts of the project's files by their paths.

    Returns:
        An SVG document in the colour of the text around it, so that it is at home in light and
        dark.
    """
    return ElementTree.tostring(draw(layers(boxes(files))), encoding="unicode")


def boxes(files: Mapping[str, str]) -> list[Box]:
    """Return the boxes of a project, in the order of their files."""
    found: dict[str, Box] = {}
    modules: dict[str, Box] = {}
    members: list[tuple[Box, str]] = []
    for path in sorted(files):
        if box := box_of(PurePosixPath(path), found):
            modules[module_name(path)] = box
            members.append((box, path))
    for box, path in members:
        if box.ours:
            continue
        for module, name in imported(files[path]):
            target = modules.get(f"{module}.{name}") or modules.get(module)
            if not target and module.split(".")[0] == KIT:
                target = found.setdefault(KIT, Box(KIT, ours=True))
            elif (
                not target
                and path.endswith("env.py")
                and module.split(".")[0] not in LIBRARIES
            ):
                # The models of a project that was there before.
                target = found.setdefault(module, Box(module))
            if not target or target is box:
                continue
            if f"{module}.{name}" not in modules:
                target.names.add(name)
            if target not in box.imports:
                box.imports.append(target)
        if "import_module" in files[path]:
            folder = f"{module_name(path)}."
            inside = {
                id(box): box for name, box in modules.items() if name.startswith(folder)
            }
            box.imports += [
                other for other in inside.values() if other not in box.imports
            ]
    if KIT in found:
        found[KIT].parts = parts_of_kit(files)
    return list(found.values())


def parts_of_kit(files: Mapping[str, str]) -> list[list[str]]:
    """Return the core and the kinds of databases in a row, then the rooms in rows.

    Of a kit that is installed, alembic.ini says which rooms are on.
    """
    inside = {path.partition(f"{KIT}/")[2] for path in files if f"{KIT}/" in path}
    rooms = sorted(path.split("/")[0] for path in inside if path.endswith("/room.py"))
    kinds = sorted({re.split(r"[./]", path)[0] for path in inside} & KINDS)
    if not inside:
        named = re.search(r"^rooms = (.+)$", files.get("alembic.ini", ""), re.MULTILINE)
        rooms = re.findall(r"\w+", named[1]) if named else []
    rows = [rooms[index : index + CHIPS] for index in range(0, len(rooms), CHIPS)]
    return [["core", *kinds] if inside else ["installed"], *rows]


def box_of(path: PurePosixPath, found: dict[str, Box]) -> Box | None:
    """Return the box of a file, which is made where it is the first of its box."""
    if KIT in path.parts:
        return found.setdefault(KIT, Box(f"{KIT}/", ours=True))
    in_source = path.parts[0] == "src"
    label = "/".join(path.parts[2:]) if in_source else str(path)
    if path.suffix != ".py" or "versions" in path.parts or path.name == "__main__.py":
        return None
    if path.name == "__init__.py":
        return (
            found.setdefault(label, Box(label))
            if path.parent.name == "models"
            else None
        )
    if in_source and path.parent.name == "models" and path.name != "base.py":
        folder = label.rpartition("/")[0]
        box = found.setdefault(f"{folder}/*", Box(f"{folder}/*.py"))
        box.names.add(path.stem)
        return box
    if path.parts[0] == "tests" and path.name.startswith("test_"):
        return None
    return found.setdefault(label, Box(label))


def module_name(path: str) -> str:
    """Return the dotted name by which a file of the project is imported."""
    parts = PurePosixPath(path).with_suffix("").parts
    parts = parts[1:] if parts[0] == "src" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(text: str) -> Iterator[tuple[str, str]]:
    """Return the module and the name of each `from module import name`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield node.module, alias.name


def layers(boxes: Iterable[Box]) -> list[list[Box]]:
    """Put each box below all that import it."""
    depths: dict[int, int] = {}
    boxes = list(boxes)

    def sink(box: Box, depth: int) -> None:
        # A circle of imports ends where a path would be longer than there are boxes.
        if depths.get(id(box), -1) < depth < len(boxes):
            depths[id(box)] = depth
            for other in box.imports:
                sink(other, depth + 1)

    imported = {id(other) for box in boxes for other in box.imports}
    for box in boxes:
        if id(box) not in imported:
            sink(box, 0)
    rows: list[list[Box]] = [[] for _ in range(max(depths.values(), default=0) + 1)]
    for box in boxes:
        rows[depths.get(id(box), 0)].append(box)
    return rows


def bent(rows: list[list[Box]]) -> list[list[Box]]:
    """Add a bend to each row that an arrow passes, so that it does not cross a box there."""
    rows = [list(row) for row in rows]
    depths = {id(box): depth for depth, row in enumerate(rows) for box in row}
    for depth, row in enumerate(rows):
        for box in row:
            for index, other in enumerate(box.imports):
                if depths[id(other)] > depth + 1:
                    box.imports[index] = Box("", imports=[other])
                    rows[depth + 1].append(box.imports[index])
    return rows


def place(rows: list[list[Box]]) -> dict[int, float]:
    """Return where the middle of each box is: below those that import it, as near as may be."""
    places: dict[int, float] = {}
    for row, above in zip(rows, [[], *rows], strict=False):
        wished = {
            id(box): mean(
                [places[id(other)] for other in above if box in other.imports]
            )
            for box in row
        }
        row.sort(key=lambda box: wished[id(box)])
        left = -inf
        for box in row:
            places[id(box)] = max(wished[id(box)], left + box.width / 2)
            left = places[id(box)] + box.width / 2 + GAP
        # What had to give way went to the right: the row goes back to the left by half of it.
        pushed = mean([places[id(box)] - wished[id(box)] for box in row])
        for box in row:
            places[id(box)] -= pushed
    return places


def mean(numbers: list[float]) -> float:
    """Return the mean; of nothing, the middle of the picture."""
    # The browser's Python adds floats in another way, and the pictures are the same.
    return fsum(numbers) / len(numbers) if numbers else 0


def draw(rows: list[list[Box]]) -> ElementTree.Element:
    """Return the SVG of boxes in rows."""
    text = " ".join(sentences(rows))
    rows = bent(rows)
    middles = place(rows)
    boxes = [box for row in rows for box in row]
    left = min((middles[id(box)] - box.width / 2 for box in boxes), default=0) - 2
    right = max((middles[id(box)] + box.width / 2 for box in boxes), default=0) + 2
    tops = [2.0]
    for row in rows:
        tops.append(tops[-1] + BETWEEN + max((box.height for box in row), default=0))
    width, height = right - left, tops[-1] - BETWEEN + 2
    svg = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "picture",
            "role": "img",
            "viewBox": f"0 0 {width:.0f} {height:.0f}",
            "width": f"{width:.0f}",
            "height": f"{height:.0f}",
            "aria-label": text,
        },
    )
    places = {
        id(box): (middles[id(box)] - left, top)
        for row, top in zip(rows, tops, strict=False)
        for box in row
    }
    deep = {id(box): max(other.height for other in row) for row in rows for box in row}
    for box in boxes:
        height = box.height if box.label else deep[id(box)]
        for other in box.imports:
            x, y = places[id(box)]
            draw_arrow(svg, (x, y + height), other, places[id(other)], deep[id(other)])
    for box in boxes:
        if box.label:
            draw_box(svg, box, *places[id(box)])
    return svg


def sentences(rows: list[list[Box]]) -> Iterator[str]:
    """Say what the picture shows, for those who do not see it."""
    for box in (box for row in rows for box in row):
        if box.imports:
            yield f"{box.label} imports {', '.join(other.label for other in box.imports)}."
        if box.parts:
            yield f"{box.label} has {', '.join(part for row in box.parts for part in row)}."


def draw_arrow(
    svg: ElementTree.Element,
    start: tuple[float, float],
    other: Box,
    end: tuple[float, float],
    height: float,
) -> None:
    """Draw an arrow, or a part of it, from below a box or a bend down to the next.

    Args:
        svg: the picture.
        start: below the box or the bend.
        other: the next one.
        end: above it.
        height: of its row, which a bend passes.
    """
    (x1, y1), (x2, y2) = start, end
    half = (y2 - y1) / 2
    line = f"M{x1:.1f},{y1:.1f} C{x1:.1f},{y1 + half:.1f} {x2:.1f},{y2 - half:.1f} {x2:.1f},{y2:.1f}"
    # A bend is passed straight; a box is reached with a head.
    line += " m-4,-7 l4,7 l4,-7" if other.label else f" v{height:.1f}"
    ElementTree.SubElement(
        svg,
        "path",
        {"d": line, "fill": "none", "stroke": "currentColor", "stroke-opacity": "0.55"},
    )


def draw_box(svg: ElementTree.Element, box: Box, x: float, y: float) -> None:
    """Draw a box around its label and its caption; the template's has a broken line."""
    ElementTree.SubElement(
        svg,
        "rect",
        {
            "x": f"{x - box.width / 2:.1f}",
            "y": f"{y:.1f}",
            "width": f"{box.width:.1f}",
            "height": f"{box.height:.1f}",
            "rx": "6",
            "fill": "currentColor",
            "fill-opacity": "0.04",
            "stroke": "currentColor",
            "stroke-opacity": "0.7",
            **({"stroke-dasharray": "5 3"} if box.ours else {}),
        },
    )
    label_y = y + (20 if box.caption else 29)
    write(svg, box.label, x, label_y, "12", "ui-monospace, monospace")
    if box.caption:
        write(svg, box.caption, x, y + 37, "11", "system-ui, sans-serif")
    for index, row in enumerate(box.parts):
        draw_chips(svg, row, x, y + HEIGHT + index * (CHIP + 6))


def draw_chips(svg: ElementTree.Element, chips: list[str], x: float, y: float) -> None:
    """Draw small boxes side by side, around a middle."""
    left = x - width_of(chips) / 2
    for chip in chips:
        width = LETTER * len(chip) + 14
        attributes = {
            "x": f"{left:.1f}",
            "y": f"{y:.1f}",
            "width": f"{width:.1f}",
            "height": str(CHIP),
            "rx": "4",
            "fill": "none",
            "stroke": "currentColor",
            "stroke-opacity": "0.4",
        }
        ElementTree.SubElement(svg, "rect", attributes)
        write(svg, chip, left + width / 2, y + 15, "11", "ui-monospace, monospace")
        left += width + 6


def write(
    svg: ElementTree.Element, text: str, x: float, y: float, size: str, family: str
) -> None:
    """Write a line of text, centred."""
    attributes = {
        "x": f"{x:.1f}",
        "y": f"{y:.1f}",
        "font-size": size,
        "font-family": family,
        "text-anchor": "middle",
        "fill": "currentColor",
    }
    ElementTree.SubElement(svg, "text", attributes).text = text
