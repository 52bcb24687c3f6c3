"""Autogenerate writes revisions that keep a table usable: up to three, which run both ways."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support import heroes
from support.databases import SERVERS, execute
from support.heroes import (
    CHANGES,
    SCHEMA,
    change,
    modelled,
    new_sources,
    schema,
    started,
)
from support.projects import Database, New, Project
from support.variants import ENGINE_OF, POSTGRESQL, Engine

# What lint finds in a change: rows that may be equal, or a type that needs all rows written.
LOOK: dict[str, set[str]] = {
    "an index with further columns, and a unique one": {"unique"},
    "a unique constraint": {"unique"},
    "a unique constraint with options": {"unique"},
    "a dropped unique constraint": {"ban-drop-constraint"},
    "a foreign key to a unique constraint that is new": {"unique"},
    "a new column with the time as default": {"prefer-timestamp-tz"},
    "a new column that is computed": {"adding-field-with-default"},
    "another type": {"changing-column-type"},
    "a value of an ENUM less": {
        *("ban-drop-type", "changing-column-type", "renaming-object")
    },
    "several tables": {"unique"},
    "several, where operations do not say all": {"unique"},
}


KILLS = Path(heroes.__file__).with_name("kills.py")


@pytest.mark.parametrize("name", CHANGES)
def test_change_runs_both_ways_and_brings_what_the_models_say(
    new: New, database: Database, name: str
) -> None:
    """Lint asks for nothing but a look at rows, and at types that need all rows written."""
    wanted, parts = CHANGES[name]
    project = started(new)
    project.commit()
    start = schema(project)
    stages = change(project, **parts)
    assert "".join(stages) == (wanted if len(wanted) > 1 else "-"), new_sources(project)
    only = {"e": "op.", "c": "CONCURRENTLY"}[wanted] if len(wanted) == 1 else ""
    assert only in new_sources(project)
    project.alembic("upgrade", "head")
    assert schema(project) == (created := modelled(project, database))
    project.alembic_each([["check"], ["downgrade", "first"]])
    assert schema(project) == start
    project.alembic("upgrade", "head")
    assert schema(project) == created
    output = project.lint(fails=name in LOOK)
    found = set(re.findall(r"^\S+:\d+: (\S+)", output, re.MULTILINE))
    assert found == LOOK.get(name, set())


# ---------------------------------------------------------------------------- Kills


def kills(project: Project, wanted: list[str], every: int, *command: str) -> list[Any]:
    """Kill a command at some of its statements; return how many, and what was not repaired."""
    given = {
        "template": project.url.database,
        "schema": SCHEMA,
        "wanted": wanted,
        "every": every,
        "command": command,
    }
    output = project.python(KILLS.read_text(), KILLS=json.dumps(given))
    found: list[Any] = json.loads(output.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    "engine", [POSTGRESQL, ENGINE_OF["postgresql-asyncpg-async"]], ids=str
)
def test_kill_at_any_statement_is_repaired_by_the_next_run(
    new: New, engine: Engine
) -> None:
    """Up and down; `benchmarks/online.py` kills at each statement."""
    project = started(new, engine)
    start = schema(project)
    change(project, **CHANGES["several tables"][1])
    other = project.on(project.url.set(database=f"{project.url.database}_top"))
    execute(
        SERVERS["postgresql"],
        f"CREATE DATABASE {other.url.database} TEMPLATE {project.url.database}",
    )
    try:
        other.alembic("upgrade", "head")
        top = schema(other)
        number, *failed = kills(project, top, 11, "upgrade", "head")
        assert (number > 5, failed) == (True, [])
        number, *failed = kills(other, start, 11, "downgrade", "first")
        assert (number > 5, failed) == (True, [])
    finally:
        execute(
            SERVERS["postgresql"], f"DROP DATABASE {other.url.database} WITH (FORCE)"
        )
