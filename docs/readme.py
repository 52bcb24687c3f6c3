"""Write the tables of README.md that come from elsewhere: ``uv run python docs/readme.py``.

Everything between ``<!-- NAME -->`` and ``<!-- /NAME -->`` is written again: lines are counted in rendered
projects, figures are those of docs/explanation/figures.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from _ext import features, figures
from _ext.markdown import table
from support.releases import ROOT

README = ROOT / "README.md"

# What every project has.
CORE = "a lock, transactions, retries, one-line errors"

SPEED = """\
| PostgreSQL | here | without | measured on |
| --- | --- | --- | --- |
| a test on its own data | {{ everyday / a test on its own data, PostgreSQL / 1 }} | {{ everyday / a test on its own data, PostgreSQL / 2 }}, migrating 50 revisions | {{ everyday / release / 0 }} |
| 100 revisions up, down and up | {{ everyday / 100 revisions up, down and up, PostgreSQL / 1 }} | {{ everyday / 100 revisions up, down and up, PostgreSQL / 2 }}, pytest-alembic | {{ everyday / release / 0 }} |
| relative CPU time of `upgrade head`, 1,000 revisions | {{ everyday / `upgrade head`, 1,000 revisions, PostgreSQL / 1 }} | {{ everyday / `upgrade head`, 1,000 revisions, PostgreSQL / 2 }}, `alembic init` | {{ everyday / release / 0 }} |
| 1,000 tenant schemas | {{ tenants / 1,000 schemas, PostgreSQL / 2 }} | {{ tenants / 1,000 schemas, PostgreSQL / 1 }}, a process each, projected | {{ tenants / release / 0 }} |"""

# Seconds that an application notices.
LONG = 1


def features_table() -> str:
    """Return what each feature does and how many lines it adds, from the least to the most."""
    kinds = [{"database": kind, "features": []} for kind in features.KINDS]
    core = between(features.kit_lines(answers) for answers in kinds)
    rows = [("feature", "what it does", "lines"), ("the core", CORE, core)]
    for room in [*features.features(), *features.brought()]:
        name = f"[`{room}`](docs/how-to/{features.PAGES.get(room, room)}.md)"
        name += " (default)" if room in features.proposed() else ""
        lines = between(features.lines_of(room, kind) for kind in features.KINDS)
        rows.append((name, features.purpose(room), lines))
    return table(*rows)


def between(counts: Iterable[int]) -> str:
    """Return the least and the most of some lines."""
    known = sorted(counts)
    return " to ".join(f"{count:,}" for count in dict.fromkeys([known[0], known[-1]]))


def online_table() -> str:
    """Return the longest waits of writers; the page has the others, and those of readers."""
    head, *rows = figures.rows("online").values()
    long = [row for row in rows if float(row[1].split()[0]) > LONG]
    return table(*(tuple(row[:3]) for row in [head, *long]))


BLOCKS: dict[str, Callable[[], str]] = {
    "features": features_table,
    "crashes": lambda: figures.markdown("crashes"),
    "speed": lambda: figures.quote(SPEED),
    "online": online_table,
}


def written(text: str) -> str:
    """Return a text with its blocks written again, or raise LookupError."""
    for name, markdown in BLOCKS.items():
        block = rf"(?s)(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        found = re.search(block, text)
        if not found:
            raise LookupError(f"{README.name} has no <!-- {name} -->")
        text = text.replace(found[0], f"{found[1]}{markdown()}\n{found[2]}")
    return text


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
