"""Markdown of the pages that are generated."""

from __future__ import annotations

import re


def table(*rows: tuple[str, ...]) -> str:
    """Return rows as a table, the first one as its head."""
    head, *others = [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        for row in rows
    ]
    return "\n".join([head, "| --- " * len(rows[0]) + "|", *others])


def escape(text: str) -> str:
    """Keep what is not in code from being markup."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([<*_\[])", r"\\\1", part)
        for part in parts
    )
