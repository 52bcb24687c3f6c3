"""Figures that were measured: each is in explanation/figures.md, and other pages quote it from there."""

from __future__ import annotations

import re

from support.releases import ROOT

PAGE = ROOT / "docs" / "explanation" / "figures.md"


def markdown(name: str) -> str:
    """Return a table of figures; raise LookupError if the page has none of that name."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"(?ms)^% begin {name}\n(.*?)\n% end {name}$", text)
    if not found:
        raise LookupError(f"{PAGE.name} has no table {name}")
    return found[1]


def rows(name: str) -> dict[str, list[str]]:
    """Return the cells of a table by the first cell of their row; the head is the first."""
    lines = markdown(name).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row for row in [cells[0], *cells[2:]]}


def quote(text: str) -> str:
    """Replace each `{{ TABLE / ROW / COLUMN }}` by the figure; `release` is the row of the head."""

    def figure(found: re.Match[str]) -> str:
        table, row, column = found[1].split(" / ")
        cells = rows(table)
        return cells[next(iter(cells)) if row == "release" else row][int(column)]

    return re.sub(r"\{\{ (\w+ / [^}]+ / \d) \}\}", figure, text)
