"""Models of two tables in use, and changes of them that `online` splits.

A change replaces parts of the models; its rows are those of `ROWS`.
"""

from __future__ import annotations

from typing import Any

from support.databases import execute, query, sync_url
from support.projects import Database, New, Project
from support.variants import POSTGRESQL, Engine

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
AND c.relnamespace = 'public'::regnamespace AND c.relname !~ '^alembic_'
UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
AND conrelid::regclass::text !~ '^alembic_'
UNION ALL SELECT concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid)
FROM pg_index JOIN pg_class c ON c.oid = indrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relname !~ '^alembic_'
UNION ALL SELECT concat_ws(' ', 'enum', enumlabel) FROM pg_enum
) AS lines ORDER BY 1
"""
CREATE_ALL = """
import os
import sqlalchemy as sa
from my_app.models import Base
Base.metadata.create_all(sa.create_engine(os.environ["DATABASE_URL"]))
"""
# The first revision, which autogenerate writes once.
FIRST: list[str] = []

MODELS = '''"""Models."""

import datetime
import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models.base import Base


class Team(Base):
    __tablename__ = "teams"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100){team_name})


class Hero(Base):
    __tablename__ = "heroes"
    __table_args__ = (
        {note_index}
        sa.CheckConstraint("{full}", name="code_full"),
        {args}
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String({name}))
    email: Mapped[str] = mapped_column(sa.String(100){email})
    code: Mapped[str] = mapped_column(sa.String(20), index={code})
    age: Mapped[int{optional}] = mapped_column(sa.{age})
    team_id: Mapped[int | None] = mapped_column({team})
    leader_id: Mapped[int | None] = mapped_column(sa.ForeignKey("teams.id"{leader}))
    mood: Mapped[str] = mapped_column(sa.Enum({moods}, name="mood"))
    nick: Mapped[str | None] = mapped_column(sa.String(20){nick})
    note: Mapped[str | None] = mapped_column(sa.Text())
    {more}
{tables}
'''

NOTE = 'sa.Index("ix_heroes_note", "note", postgresql_where=sa.text("age > {}")),'

PLAIN = {
    "note_index": NOTE.format(3),
    "full": "length(code) > 0",
    "args": "",
    "name": "100",
    "email": "",
    "code": "True",
    "optional": " | None",
    "age": "Integer()",
    "team": "sa.Integer()",
    "leader": "",
    "moods": '"ok", "sad"',
    "nick": ", unique=True",
    "more": "",
    "tables": "",
    "team_name": "",
}

ROWS = """
INSERT INTO teams (name) SELECT 'team ' || n FROM generate_series(1, 10) n;
INSERT INTO heroes (name, email, code, age, team_id, mood)
SELECT 'hero ' || n, 'hero' || n, 'c1' || n, n % 90, n % 10 + 1, 'ok'
FROM generate_series(1, 200) n
"""

CAPES = """

class Cape(Base):
    __tablename__ = "capes"
    id: Mapped[int] = mapped_column(primary_key=True)
    hero_id: Mapped[int] = mapped_column(sa.ForeignKey("heroes.id"), index=True)
"""

MAD = '"ok", "sad", "mad"'

# The changes, each with the stages that it is split into, as first letters.
CHANGES: dict[str, tuple[str, dict[str, str]]] = {
    "an index": ("c", {"email": ", index=True"}),
    "an index of an expression": (
        "c",
        {
            "args": 'sa.Index("ix_heroes_lower", sa.text("lower(name)"), '
            'postgresql_where=sa.text("age > 5")),'
        },
    ),
    "an index with further columns, and a unique one": (
        "c",
        {
            "args": 'sa.Index("ix_heroes_age", "age", postgresql_include=["name"]), '
            'sa.Index("uq_heroes_low", sa.text("lower(email)"), unique=True),'
        },
    ),
    "an index of an expression that decides": (
        "ec",
        {
            "args": "sa.Index('ix_heroes_case', sa.text('(CASE WHEN age > 3 THEN 1 ELSE 2 END)')), "
            "sa.CheckConstraint(\"CASE WHEN age > 3 THEN true ELSE code <> 'a:b%' END\", "
            "name='case'),"
        },
    ),
    "an index that changes": ("cf", {"note_index": NOTE.format(4)}),
    "an index that changes, of columns": (
        "cf",
        {"args": 'sa.Index("ix_heroes_code", "code", "age"),', "code": "False"},
    ),
    "a dropped index": ("c", {"code": "False"}),
    "a dropped index with a condition": ("c", {"note_index": ""}),
    "a unique constraint": ("cf", {"email": ", unique=True"}),
    "a unique constraint with options": (
        "cf",
        {
            "args": 'sa.UniqueConstraint("email", "age", name="uq_heroes_two", '
            'postgresql_include=["name"], deferrable=True, initially="DEFERRED"),'
        },
    ),
    "a dropped unique constraint": ("e", {"nick": ""}),
    "a foreign key": ("ec", {"team": 'sa.ForeignKey("teams.id")'}),
    "a foreign key with options": (
        "ec",
        {
            "team": 'sa.ForeignKey("teams.id", deferrable=True, initially="DEFERRED")',
            "leader": ', ondelete="SET NULL"',
        },
    ),
    "a foreign key to the same table": ("ec", {"team": 'sa.ForeignKey("heroes.id")'}),
    "a foreign key to a unique constraint that is new": (
        "ec",
        {
            "team_name": ", unique=True",
            "more": "team_name: Mapped[str | None] = mapped_column("
            'sa.ForeignKey("teams.name"))',
        },
    ),
    "a check": (
        "ec",
        {"args": 'sa.CheckConstraint("age >= 0", name="age_positive"),'},
    ),
    "a check that changes": ("ec", {"full": "length(code) > 1"}),
    "not null": ("ecf", {"optional": ""}),
    "a new column": ("e", {"more": "joined: Mapped[datetime.date | None]"}),
    "a new column with a constant default": (
        "e",
        {"more": 'level: Mapped[int] = mapped_column(server_default="1")'},
    ),
    "a new column with the time as default": (
        "e",
        {
            "more": "at: Mapped[datetime.datetime] = mapped_column("
            "server_default=sa.func.now())"
        },
    ),
    "a new column with a volatile default": (
        "e",
        {
            "more": "token: Mapped[uuid.UUID | None] = mapped_column("
            "server_default=sa.func.gen_random_uuid())"
        },
    ),
    "a new column that is computed": (
        "e",
        {
            "more": "twice: Mapped[int | None] = mapped_column("
            'sa.Computed("age * 2", persisted=True))'
        },
    ),
    "a new column with an odd name and an index": (
        "ec",
        {
            "more": "odd: Mapped[str | None] = mapped_column("
            "'Odd \"name', sa.Text(), index=True)"
        },
    ),
    "a new column with a key": (
        "ec",
        {
            "more": 'boss: Mapped[int | None] = mapped_column(sa.ForeignKey("heroes.id"))'
        },
    ),
    "a wider type": ("e", {"name": "200"}),
    "another type": ("e", {"age": "BigInteger()"}),
    "a new value of an ENUM": ("e", {"moods": MAD}),
    "a new value of an ENUM that is a default": (
        "ec",
        {
            "moods": MAD,
            "email": ", index=True",
            "more": "other: Mapped[str] = mapped_column("
            f'sa.Enum({MAD}, name="mood"), server_default="mad")',
        },
    ),
    "a value of an ENUM less": ("e", {"moods": '"ok"'}),
    "a new table": ("e", {"tables": CAPES}),
    "several tables": (
        "ecf",
        {
            "email": ", unique=True",
            "team": 'sa.ForeignKey("teams.id")',
            "args": 'sa.CheckConstraint("age >= 0", name="age_positive"),',
            "optional": "",
            "more": "joined: Mapped[datetime.date | None] = mapped_column(index=True)",
            "code": "False",
            "team_name": ", unique=True",
            "tables": CAPES,
        },
    ),
    "several, where operations do not say all": (
        "ecf",
        {
            "note_index": NOTE.format(4),
            "email": ", unique=True",
            "team": 'sa.ForeignKey("teams.id")',
            "optional": "",
            "more": 'level: Mapped[int] = mapped_column(server_default="1")',
        },
    ),
}


def models(**change: str) -> str:
    """Return the source of the models, with parts replaced."""
    return MODELS.format(**PLAIN | change)


def started(new: New, engine: Engine = POSTGRESQL, **answers: Any) -> Project:
    """Return a project with tables that have rows."""
    project = new(engine, example="none", **{"features": FEATURES} | answers)
    project.write("src/my_app/models/hero.py", models())
    if not FIRST:
        project.alembic(
            "revision", "--autogenerate", "--rev-id", "first", "-m", "first"
        )
        FIRST.append(project.revision("first").read_text())
    for old in project.revisions:
        old.unlink()
    project.write(
        f"{project.migrations}/versions/2026_01_01_0000-first_first.py", FIRST[0]
    )
    project.write(f"{project.migrations}/HEAD", "first\n")
    project.alembic("upgrade", "head")
    for statement in ROWS.split(";"):
        execute(sync_url(project.url), statement)
    return project


def change(project: Project, *arguments: str, **parts: str) -> list[str]:
    """Change the models, write revisions, and return the first letters of their stages."""
    before = set(project.revisions)
    project.write("src/my_app/models/hero.py", models(**parts))
    given = arguments or ("-m", "change")
    project.alembic("-x", "online=true", "revision", "--autogenerate", *given)
    return [
        stage_of(path.read_text()) for path in project.revisions if path not in before
    ]


def stage_of(source: str) -> str:
    """Return the first letter of a revision's stage, or a dash."""
    return next((one for one in STAGES if f'"""{STAGES[one]}' in source), "-")


def schema(project: Project) -> list[str]:
    """Return the schema of the project's database, in lines."""
    return [line for (line,) in query(project.url, SCHEMA)]


def modelled(project: Project, database: Database) -> list[str]:
    """Return the schema that `create_all` makes."""
    other = project.on(database("postgresql", "psycopg"))
    other.python(CREATE_ALL)
    return schema(other)


def new_sources(project: Project) -> str:
    """Return the sources of all revisions but the first."""
    return "\n".join(path.read_text() for path in project.revisions[1:])
