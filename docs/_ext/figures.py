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


def rows(name: str) -> list[list[str]]:
    """Return the cells of a table of figures, its head first."""
    lines = markdown(name).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [cells[0], *cells[2:]]


def proof_markdown() -> str:
    """Return the figures of the home page, each with what it is compared with and its release."""
    crashes, everyday, tenants = map(rows, ("crashes", "everyday", "tenants"))
    _, failed, fails, *_ = named(crashes, "PostgreSQL")
    _, here, without, *_ = named(everyday, "a test on its own data, PostgreSQL")
    _, each, together, *_ = named(tenants, "1,000 schemas, PostgreSQL")
    return f"""\
{fails} processes fail
: Eight run `alembic upgrade head` together on an empty database, three times. With `alembic init`, {failed}
  fail ({crashes[0][0]}).

{here} for a test
: on its own data in PostgreSQL. Migrating 50 revisions for it takes {without} ({everyday[0][0]}).

{together} for 1,000 tenants
: in PostgreSQL schemas, four revisions each. A process for each tenant takes a projected {each}
  ({tenants[0][0]})."""


def named(table: list[list[str]], name: str) -> list[str]:
    """Return the row of a name."""
    [row] = [row for row in table if row[0] == name]
    return row
