"""Figures that were measured: each table is in explanation/figures.md, and nowhere else."""

from __future__ import annotations

import re

from support.releases import ROOT

PAGE = ROOT / "docs" / "explanation" / "figures.md"


def markdown(name: str) -> str:
    """Return a table of figures.

    Raises:
        LookupError: if the page has no table of that name.
    """
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(
        rf"^% begin {name}\n(.*?)\n% end {name}$", text, re.DOTALL | re.MULTILINE
    )
    if not found:
        raise LookupError(f"{PAGE.name} has no table {name}")
    return found[1]
