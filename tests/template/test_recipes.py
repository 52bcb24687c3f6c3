"""The page of recipes is right: its own revisions run, keep rows, and lint says what its table says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import URL, Inspector, inspect

from support.commands import run, script
from support.databases import connect, sync_url
from support.heroes import CHANGES
from support.projects import New
from support.releases import ROOT
from support.variants import ENGINE_OF, POSTGRESQL

# By the names that the page has for them; MySQL's dialect is MariaDB's as well.
ENGINES = {
    "SQLite": ENGINE_OF["sqlite-pysqlite-sync"],
    "PostgreSQL": POSTGRESQL,
    "MariaDB": ENGINE_OF["mariadb-pymysql-sync"],
}

# What the recipes find: tables with rows.
START = """
op.create_table("teams", sa.Column("id", sa.Integer(), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_teams")))
op.create_table("retired", sa.Column("id", sa.Integer(), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("secret_name", sa.String(100), nullable=False),
    sa.Column("age", sa.Integer(), nullable=True),
    sa.PrimaryKeyConstraint("id", name=op.f("pk_retired")))
level = sa.Enum("rookie", "hero", name="hero_level")
level.create(op.get_bind())
op.add_column("heroes", sa.Column("team_id", sa.Integer(), nullable=True))
op.add_column("heroes", sa.Column("level", level, nullable=True))
"""
ROWS = [
    "INSERT INTO teams (id, name) VALUES (1, 'Alpha'), (2, 'Beta')",
    """
    INSERT INTO heroes (id, name, secret_name, age, team_id, level) VALUES
    (1, 'Ada', 'Countess', 36, 1, 'hero'), (2, 'Bob', 'Builder', NULL, NULL, NULL),
    (3, 'Cleo', 'Queen', 70, 2, 'rookie')
    """,
]

RENAMED = (
    "+squads +squads.id +squads.id:required +squads.name +squads.name:required "
    "-teams.id -teams.id:required -teams.name -teams.name:required"
)

# What autogenerate splits with `online`: by the names of test_online.py, which runs each of them.
ONLINE = {
    "Make a column NOT NULL": "not null",
    "Add an index": "an index",
    "Add a unique constraint": "a unique constraint",
    "Add a foreign key": "a foreign key",
    "Add a CHECK": "a check",
    "Change a type": "another type",
}
STAGES = {"e": "expand", "c": "concurrently", "f": "finish"}

# What a recipe adds to the catalog, takes out of it, and changes in it.
EFFECTS = {
    "Add a column": "+heroes.email",
    "Add a column with a default": "+heroes.active +heroes.active:default +heroes.active:required",
    "Add a required column": "+heroes.city +heroes.city:required",
    "Make a column NOT NULL": "+heroes.age:required",
    "Add an index": "+heroes:ix_heroes_age",
    "Add a unique constraint": "+heroes:uq_heroes_secret_name",
    "Add a foreign key": "+heroes:fk_heroes_team_id_teams",
    "Add a CHECK": "+heroes:ck_heroes_age",
    "Add a value to an ENUM": "~heroes.level",
    "Make a VARCHAR longer": "~heroes.name",
    "Change a type": "~heroes.age",
    "Drop a column": "-heroes.age",
    "Drop a table": "-teams -teams.id -teams.id:required -teams.name -teams.name:required",
    "Rename a column": "+heroes.years -heroes.age",
    "Rename a table": f"-teams {RENAMED}",
    "Rename a table 2": f"~teams {RENAMED}",
    "Move rows": "",
}


@dataclass(frozen=True)
class Recipe:
    """A revision of the page, for one database."""

    heading: str
    database: str
    source: str
    # What lint says of it, where nothing in it accepts that.
    rules: frozenset[str]
    number: int

    def __str__(self) -> str:
        return f"{self.heading} {self.number} on {self.database}".replace(" ", "-")


@cache
def page() -> str:
    return (ROOT / "docs/how-to/recipes.md").read_text(encoding="utf-8")


def rules_of(cell: str, database: str) -> frozenset[str]:
    """Return the rules that a cell names for a database: for it, or else for all."""
    every, *others = cell.split(";")
    found = {name: text for other in others for name, _, text in [other.partition(":")]}
    [text] = [text for names, text in found.items() if database in names] or [every]
    return frozenset(re.findall(r"`(.+?)`", text))


def recipes() -> list[Recipe]:
    """Return the page's revisions for each database; a block below "On ...:" is for those alone.

    The table has what lint says of the first one of a heading; the others are there because it says
    nothing of them.
    """
    found = []
    rows = re.findall(r"^\| \[.+?\]\(#(.+?)\).*\| (.+?) \|$", page(), re.MULTILINE)
    cells = dict(rows)
    for section in page().split("\n## ")[1:]:
        heading, _, text = section.partition("\n")
        cell = cells.pop(heading.lower().replace(" ", "-"))
        blocks = re.findall(
            r"^(?:On ([^\n]+):\n\n)?```python\n(.*?)^```",
            text,
            re.DOTALL | re.MULTILINE,
        )
        for database in ENGINES:
            sources = [source for on, source in blocks if not on or database in on]
            for number, source in enumerate(sources, 1):
                rules = frozenset() if number > 1 else rules_of(cell, database)
                found.append(Recipe(heading, database, source, rules, number))
    assert not cells
    return found


def facts(url: URL) -> dict[str, str]:
    """Return what the catalog says, by its name."""
    with connect(sync_url(url)) as connection:
        catalog: Inspector = inspect(connection)
        found = dict.fromkeys(catalog.get_view_names(), "view")
        for table in catalog.get_table_names():
            found[table] = "table"
            for column in catalog.get_columns(table):
                name = f"{table}.{column['name']}"
                found[name] = repr(column["type"])
                if not column["nullable"]:
                    found[f"{name}:required"] = ""
                if not re.match("None|NULL|nextval", str(column["default"])):
                    found[f"{name}:default"] = ""
            for items in (
                catalog.get_indexes(table),
                catalog.get_unique_constraints(table),
                catalog.get_foreign_keys(table),
                catalog.get_check_constraints(table),
            ):
                found |= {f"{table}:{item['name']}": "" for item in items}
        return found


def difference(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Return what is new, gone, or another one, with a sign."""
    return {
        ("+" if name not in before else "-" if name not in after else "~") + name
        for name in {*before, *after}
        if before.get(name) != after.get(name)
    }


def rows(url: URL, tables: dict[str, str]) -> list[tuple[object, ...]]:
    """Return heroes and teams, in whichever table they are."""
    teams = "squads" if "squads" in tables else "teams"
    query = " UNION ALL ".join(
        f"SELECT '{kind}' AS kind, id, name FROM {table}"
        for kind, table in [("hero", "heroes"), ("hero", "retired"), ("team", teams)]
        if table in tables
    )
    with connect(sync_url(url)) as connection:
        found = connection.exec_driver_sql(f"{query} ORDER BY kind, id")
        return [tuple(row) for row in found]


def revision(recipe: Recipe) -> str:
    """Return the file of a revision."""
    return (
        f'"""{recipe.heading.lower()}"""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
        'revision: str = "recipe"\ndown_revision: str | None = "start"\n\n'
        + ("\n" if recipe.source.startswith("def") else "")
        + recipe.source
    )


@pytest.mark.parametrize("recipe", recipes(), ids=str)
def test_recipe_runs_both_ways_and_lint_says_what_the_table_says(
    new: New, recipe: Recipe
) -> None:
    project = new(ENGINES[recipe.database])
    project.add_revision("start", START)
    project.commit()
    project.upgraded()
    for statement in ROWS:
        project.query(statement)
    before = facts(project.url)
    kept = rows(project.url, before)
    if recipe.heading == "Drop a table":
        kept = [row for row in kept if row[0] == "hero"]

    path = project.versions / "recipe.py"
    path.write_text(revision(recipe), encoding="utf-8")
    project.alembic("upgrade", "head")
    after = facts(project.url)
    wanted = EFFECTS.get(f"{recipe.heading} {recipe.number}", EFFECTS[recipe.heading])
    assert difference(before, after) == set(wanted.split())
    assert rows(project.url, after) == kept
    project.alembic("downgrade", "-1")
    assert facts(project.url) == before
    assert rows(project.url, before) == kept
    project.alembic("upgrade", "head")
    assert facts(project.url) == after
    assert rows(project.url, after) == kept

    source = path.read_text(encoding="utf-8")
    if "# lint-accept: " in source:
        project.lint()
        path.write_text(source.replace("# lint-accept: ", "# "), encoding="utf-8")
    output = project.lint(fails=bool(recipe.rules))
    found = re.findall(r"^\S+:\d+: (\S+)", output, re.MULTILINE)
    assert set(found) == recipe.rules


def test_recipes_are_formatted_as_a_projects_revisions_are(tmp_path: Path) -> None:
    for number, recipe in enumerate(recipes()):
        (tmp_path / f"{number}.py").write_text(revision(recipe), encoding="utf-8")
    width = ("--no-cache", "--line-length=88")
    run(script("ruff"), "format", "--check", *width, ".", cwd=tmp_path)
    run(script("ruff"), "check", *width, "--ignore=F401", ".", cwd=tmp_path)


@pytest.mark.parametrize("heading", ONLINE)
def test_table_names_the_revisions_that_online_writes(heading: str) -> None:
    anchor = heading.lower().replace(" ", "-")
    [cell] = re.findall(rf"\(#{anchor}\).*`online`: (.*?) \|", page())
    wanted = [STAGES[letter] for letter in CHANGES[ONLINE[heading]][0]]
    assert re.findall("`([a-z]+)`", cell) == wanted
