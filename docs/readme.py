"""Write the tables of README.md that come from elsewhere.

``uv run python docs/readme.py`` renders projects, counts their lines, and replaces everything between
``<!-- NAME -->`` and ``<!-- /NAME -->``. Figures are those of docs/explanation/figures.md; README shows
some of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from _ext import features, figures, questions
from _ext.markdown import table
from support.releases import ROOT

README = ROOT / "README.md"

# What every project has.
CORE = "a lock, transactions, retries, one-line errors"

# Rows of the page of figures: table and row, each as README says it, with what it is compared with.
SPEED = {
    ("everyday", "a test on its own data, PostgreSQL"): (
        "a test on its own data",
        "migrating 50 revisions",
    ),
    ("everyday", "100 revisions up, down and up, PostgreSQL"): (
        "100 revisions up, down and up",
        "pytest-alembic",
    ),
    ("everyday", "`upgrade head`, 1,000 revisions, PostgreSQL"): (
        "`upgrade head`, 1,000 revisions",
        "`alembic init`",
    ),
    ("tenants", "1,000 schemas, PostgreSQL"): (
        "1,000 tenant schemas",
        "a process each, projected",
    ),
}

# Seconds that an application notices.
LONG = 3


def features_table() -> str:
    """Return what each feature does and how many lines it adds, from the least to the most."""
    rows = [("the core", CORE, core_lines())]
    default = questions.ask({})["features"]["answer"]
    for room in [*features.features(), *features.brought()]:
        name = f"[`{room}`](docs/how-to/{features.PAGES.get(room, room)}.md)"
        name += " (default)" if room in default else ""
        lines = [features.lines_of(room, database) for database in features.KINDS]
        rows.append((name, features.purpose(room), between(lines)))
    return table(("feature", "what it does", "lines"), *rows)


def core_lines() -> str:
    """Return how many lines the core has, with one kind of database."""
    kinds = [{"database": kind, "features": []} for kind in features.KINDS]
    return between([features.kit_lines(answers) for answers in kinds])


def between(lines: list[int]) -> str:
    """Return the least and the most of some lines."""
    return " to ".join(f"{count:,}" for count in sorted({min(lines), max(lines)}))


def speed_table() -> str:
    """Return some figures of PostgreSQL, with the release that each was measured on."""
    found = []
    for (name, wanted), (title, other) in SPEED.items():
        rows = figures.rows(name)
        _, first, second, *_ = figures.named(rows, wanted)
        here, without = (second, first) if name == "tenants" else (first, second)
        measured = rows[0][0].removeprefix("release ")
        found.append((title, here, f"{without}, {other}", measured))
    return table(("PostgreSQL", "here", "without", "release"), *found)


def online_table() -> str:
    """Return the longest waits of writers; the page has the others, and those of readers."""
    head, *rows = figures.rows("online")
    long = [row for row in rows if float(row[1].split()[0]) > LONG]
    return table(*(tuple(row[:3]) for row in [head, *long]))


BLOCKS: dict[str, Callable[[], str]] = {
    "features": features_table,
    "crashes": lambda: figures.markdown("crashes"),
    "speed": speed_table,
    "online": online_table,
}


def written(text: str) -> str:
    """Return a text with its blocks written again.

    Raises:
        LookupError: if it does not have one of them.
    """
    for name, markdown in BLOCKS.items():
        block = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
        found = block.search(text)
        if not found:
            raise LookupError(f"{README.name} has no <!-- {name} -->")
        text = f"{text[: found.start()]}{markdown()}\n{text[found.end() :]}"
    return text


def main() -> None:
    """Write README.md again."""
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
