"""Troubleshooting: each message of the catalogue under a heading that is its text."""

from __future__ import annotations

import re

from _ext.markdown import escape
from support import messages


def markdown() -> str:
    """Return the catalogue, with a heading for each group and each message."""
    return "\n\n".join(
        "\n\n".join([f"## {title}", *map(of_entry, entries)])
        for title, entries in messages.groups()
    )


def of_entry(entry: messages.Entry) -> str:
    """Return one message: its heading, its text, when you see it, the fix, the database."""
    title = escape(re.sub(r"\{\w*\}|%\w", "…", entry.title))
    said = "" if entry.text in entry.title else f"\n\n```text\n{shown(entry.text)}\n```"
    by = f" Said by {entry.by}." if entry.by else ""
    return (
        f"### {title}{said}\n\n- **When**: {entry.when}{by}\n"
        f"- **Fix**: {entry.fix}\n- **Database**: {entry.state}"
    )


def shown(text: str) -> str:
    """Return a text with its values as a reader knows them."""
    text = text.replace("{kit}", "python migrations").replace("{alembic}", "alembic")
    return re.sub(r"\{(\w+)\}", lambda value: f"<{value[1]}>", text)
