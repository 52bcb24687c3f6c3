"""The rooms of the kit: what each does, the lines that it adds, and what it depends on."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Any

from _ext import questions, renders
from _ext.markdown import table
from _ext.settings import constant

# MySQL's modules are MariaDB's.
KINDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MySQL, MariaDB"}
COLUMNS = [f"lines on {title}" for title in KINDS.values()]

# What the rooms do that are no features: the question that brings them asks something else.
BROUGHT = {
    "tenants": "a schema or a database for each tenant, migrated several at a time",
    "databases": "multiple databases, each with its own history",
    "adopted": "migrations in an existing project, with its history and settings",
}

# The packages that a room adds to a project.
ADDS = {
    "autogenerate": "`alembic-postgresql-enum` (PostgreSQL)",
    "testing": "`pytest`",
    "lint": "`sqlglot`, `squawk-cli` (PostgreSQL)",
    "diagram": "`paracelsus`",
    "tenants": "`rich`",
}

# The answers that bring the rooms that are no features.
ANSWERS: dict[str, dict[str, Any]] = {
    "tenants": {"tenants": "database"},
    "databases": questions.ANALYTICS | {"features": []},
    "adopted": questions.EXISTING
    | {"base_import": "my_app.models:Base", "features": []},
}

# The page of a room has its name, except for this one.
PAGES = {"adopted": "adopt", "security": "row-level-security"}


def features() -> dict[str, str]:
    """Return what each feature does, as the question says it, in its order."""
    labels = (choice["label"] for choice in questions.ask({})["features"]["choices"])
    return dict(label.split(": ", 1) for label in labels)


def proposed() -> list[str]:
    """Return the features that a new project has by default."""
    return list(questions.ask({})["features"]["answer"])


@cache
def needs() -> dict[str, tuple[str, ...]]:
    """Return the rooms that each room needs, as the kit says it."""
    rooms: dict[str, tuple[str, ...]] = ast.literal_eval(constant("ROOMS", "rooms.py"))
    return rooms


@cache
def brought() -> dict[str, str]:
    """Return the question that brings each room that is no feature."""
    answers: dict[str, str] = ast.literal_eval(constant("ANSWERS", "rooms.py"))
    return {
        room: re.split("[='\"]+", answer.strip("'"))[0]
        for room, answer in answers.items()
    }


def purpose(room: str) -> str:
    """Return what a room does."""
    return (features() | BROUGHT)[room]


def kit_lines(answers: dict[str, Any], folder: str = "") -> int:
    """Return how many lines the kit of a project has, or a folder of it."""
    place = f"migrations/migration_kit/{folder}"
    files = renders.render(answers)["files"]
    return sum(f["text"].count("\n") for f in files if f["path"].startswith(place))


def lines_of(room: str, database: str) -> int:
    """Return how many lines a room adds to a project on a kind of database."""
    answers = {"database": database, "features": list(features())}
    return kit_lines(answers | ANSWERS.get(room, {}), f"{room}/")


def markdown() -> str:
    """Return a table of the rooms, for a page of the reference."""
    rows = [("feature", "what it does", *COLUMNS, "dependencies")]
    for room in [*features(), *brought()]:
        name = f"[`{room}`](../how-to/{PAGES.get(room, room)}.md)"
        if room in brought():
            name += f", by `{brought()[room]}`"
        what = purpose(room)
        if needed := " and ".join(f"`{other}`" for other in needs()[room]):
            what += f"; needs {needed}"
        lines = [f"{lines_of(room, database):,}" for database in KINDS]
        rows.append((name, what, *lines, ADDS.get(room, "")))
    return table(*rows)


def room_markdown(room: str) -> str:
    """Return which answer brings a room, and how many lines come with it."""
    counts = {title: lines_of(room, database) for database, title in KINDS.items()}
    usual = min(counts.values())
    others = [f"{n:,} on {title}" for title, n in counts.items() if n != usual]
    lines = ", ".join([f"{usual:,} lines", *others])
    if room in brought():
        return f"Your answer to `{brought()[room]}` brings it ({lines})."
    chosen = {*proposed(), *needs()[room], room}
    names = ", ".join(name for name in features() if name in chosen)
    how = (
        "A new project has it, unless your answer to `features` leaves it out."
        if room in proposed()
        else "Choose it when you start a project, or [add it later]"
        f"(switch.md#add-a-feature) with `--data 'features=[{names}]'`."
    )
    return f"The feature `{room}` brings it ({lines}). {how}"


def sizes_markdown() -> str:
    """Return a table of how many lines of the kit a project has."""
    default = ", ".join(f"`{name}`" for name in proposed())
    chosen = {
        "no feature": [],
        f"the default: {default}": proposed(),
        "all features": list(features()),
    }
    rows = [
        (name, *(f"{kit_lines({'database': d, 'features': f}):,}" for d in KINDS))
        for name, f in chosen.items()
    ]
    return table(("the kit with", *COLUMNS), *rows)
