"""Autogenerate writes revisions that block nobody: up to three, which run both ways."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support import heroes
from support.databases import SERVERS, execute, query
from support.heroes import CHANGES, ROWS
from support.projects import Database, New, Project
from support.variants import ENGINE_OF, POSTGRESQL, Engine

FEATURES = ["autogenerate", "branches", "testing", "lint", "backfill", "online"]
STAGES = {"e": "expand", "c": "concurrently", "f": "finish"}

# Everything that a change is about, whether it is valid included.
SCHEMA = """
SELECT line FROM (
SELECT concat_ws(' ', 'column', c.relname, attname, format_type(atttypid, atttypmod), attnotnull,
    pg_get_expr(adbin, adrelid)) AS line
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped AND c.relkind = 'r'
AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version'
UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
AND conrelid::regclass::text <> 'alembic_version'
UNION ALL SELECT concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid)
FROM pg_index JOIN pg_class c ON c.oid = indrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> 'alembic_version'
UNION ALL SELECT concat_ws(' ', 'enum', enumlabel) FROM pg_enum
) AS lines ORDER BY 1
"""
CREATE_ALL = """
import os
import sqlalchemy as sa
from my_app.models import Base
Base.metadata.create_all(sa.create_engine(os.environ["DATABASE_URL"]))
"""
BASE: list[str] = []

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


def started(new: New, engine: Engine = POSTGRESQL, **answers: Any) -> Project:
    """Return a project with tables that have rows."""
    project = new(engine, example="none", **{"features": FEATURES} | answers)
    project.write("src/my_app/models/hero.py", heroes.models())
    if not BASE:
        project.alembic(
            "revision", "--autogenerate", "--rev-id", "first", "-m", "first"
        )
        BASE.append(project.revision("first").read_text())
    for old in project.revisions:
        old.unlink()
    project.write(
        f"{project.migrations}/versions/2026_01_01_0000-first_first.py", BASE[0]
    )
    project.write(f"{project.migrations}/HEAD", "first\n")
    project.alembic("upgrade", "head")
    for statement in ROWS.split(";"):
        execute(project.url, statement)
    return project


def change(project: Project, *arguments: str, **parts: str) -> list[str]:
    """Change the models, write revisions, and return the first letters of their stages."""
    before = set(project.revisions)
    project.write("src/my_app/models/hero.py", heroes.models(**parts))
    given = arguments or ("-m", "change")
    project.alembic("-x", "online=true", "revision", "--autogenerate", *given)
    return [
        stage_of(path.read_text()) for path in project.revisions if path not in before
    ]


def stage_of(source: str) -> str:
    return next((one for one in STAGES if f'"""{STAGES[one]}' in source), "-")


def schema(project: Project) -> list[str]:
    return [line for (line,) in query(project.url, SCHEMA)]


def modelled(project: Project, database: Database) -> list[str]:
    """Return the schema that `create_all` makes."""
    other = project.on(database("postgresql", "psycopg"))
    other.python(CREATE_ALL)
    return schema(other)


def new_sources(project: Project) -> str:
    """Return the sources of all revisions but the first."""
    return "\n".join(path.read_text() for path in project.revisions[1:])


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
    assert schema(project) == modelled(project, database)
    project.alembic_each([["check"], ["downgrade", "first"]])
    assert schema(project) == start
    project.alembic("upgrade", "head")
    assert schema(project) == modelled(project, database)
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
        number, *failed = kills(project, top, 7, "upgrade", "head")
        assert (number > 8, failed) == (True, [])
        number, *failed = kills(other, start, 7, "downgrade", "first")
        assert (number > 8, failed) == (True, [])
    finally:
        execute(
            SERVERS["postgresql"], f"DROP DATABASE {other.url.database} WITH (FORCE)"
        )
