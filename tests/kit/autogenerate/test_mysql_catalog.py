"""MariaDB makes the models in a place apart, of which nothing is left."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import URL

from support.databases import execute, url_text
from support.projects import New, Project
from support.variants import ENGINE_OF

MARIADB = ENGINE_OF["mariadb-pymysql-sync"]
MODELS = r"""
import asyncio, json, os, signal, sys
sys.path.append("migrations")
from sqlalchemy import *
from sqlalchemy.ext.asyncio import create_async_engine
from migration_kit.autogenerate.differences import differences
from migration_kit.autogenerate.kinds import kind_of
from migration_kit.autogenerate.shadow import Models

later, url = os.environ["LATER"] == "yes", os.environ["ROOT_URL"]
def tables(later=later):
    metadata = MetaData()
    def table(name, *columns, **options):
        Table(name, metadata, Column("id", Integer, primary_key=True), *columns, **options)
    table("a", Column("n", String(9)))
    action = {"ondelete": "CASCADE"} if later else {"ondelete": "RESTRICT"}
    table("b", Column("a", ForeignKey("a.id", name="fk_a", **action)), Column("x", Integer),
          ForeignKeyConstraint(["x"], ["b.id"], name="fk_b"),
          *[ForeignKeyConstraint(["a", "x"], ["c.y", "c.x"], name="fk_c")] * later)
    table("c", Column("y", Integer), Column("x", Integer), Index("ix_c", "y", "x"))
    table("50% `of` :x", Column("it's :y %", String(30), server_default="it's \\ 5% :z",
          comment=":c % \\ `" + "!" * later), Index("ix % :i`", "it's :y %"),
          Column("x", Integer), CheckConstraint("x > 0", name="c % :k`"))
    table(os.environ["MARK"], Column("t", Text), Index("ft", "t", mariadb_prefix="FULLTEXT"))
    return metadata
def cast(connection):
    default = connection.dialect.default_schema_name
    kind = kind_of(connection.dialect)
    shadow = kind.cast(connection, Models([*tables().tables.values()], {None: default}))
    found = [str(one) for place in shadow.made for one in
             differences(place, shadow.real.get(place, {}), shadow.made[place])]
    steps = lambda *sides: [sql for _, sql in sorted(
        kind.statements(*sides, connection.dialect), key=lambda step: step[0])]
    return {"found": found, "note": shadow.note, "not made": [*map(str, shadow.not_made)],
            "up": steps(shadow.real, shadow.made), "down": steps(shadow.made, shadow.real)}
"""
CAST = """
async def main():
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        print(json.dumps(await connection.run_sync(cast)))
    await engine.dispose()
if "asyncmy" in url:
    asyncio.run(main())
else:
    engine = create_engine(url, poolclass=StaticPool)
    with engine.connect() as connection:
        print(json.dumps(cast(connection)))
"""
CREATE = "tables().create_all(create_engine(url))"
KILL = """
from migration_kit.autogenerate.mysql import shadow
read = shadow.read
def kill(connection, schemas):
    if any(name.startswith("alembic_shadow_") for name in schemas):
        os.kill(os.getpid(), signal.SIGKILL)
    return read(connection, schemas)
shadow.read = kill
if not (child := os.fork()):
    with create_engine(url).connect() as connection:
        cast(connection)
assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
"""
LEFT = """
SELECT table_schema FROM information_schema.tables
WHERE table_name = '{}' AND table_schema LIKE 'alembic_shadow_%'
"""


def run(project: Project, code: str, url: URL | None = None, **env: str) -> Any:
    """Run code with the models in a project, and return what it prints."""
    env = {"LATER": "no", "MARK": f"ft_{project.url.database}"} | env
    printed = project.python(
        MODELS.replace("StaticPool", "pool.StaticPool") + code,
        ROOT_URL=url_text(url or project.url),
        **env,
    )
    found = [line for line in printed.splitlines() if line.startswith("{")]
    return json.loads(found[0]) if found else None


def test_what_create_all_makes_has_no_differences(new: New) -> None:
    """Nor have foreign keys, or the indexes that the server makes for them."""
    project = new(MARIADB)
    run(project, CREATE)
    for driver in ("mariadb+pymysql", "mariadb+asyncmy"):
        found = run(project, CAST, project.url.set(drivername=driver))
        assert found == {"found": [], "note": "", "not made": [], "up": [], "down": []}


def test_changes_are_seen_and_written_both_ways(new: New) -> None:
    """A foreign key, one with an index, and names with what drivers and SQLAlchemy take."""
    project = new(MARIADB)
    run(project, CREATE)
    before = run(project, CAST, LATER="yes")
    assert [one.partition(": ")[0] for one in before["found"]] == [
        "b foreignkey fk_a",
        "b foreignkey fk_c",
        "b index fk_c",
        "50% `of` :x column it's :y % comment",
    ]
    for step in before["up"]:
        execute(project.url, step.replace(":", "\\:"))
    assert run(project, CAST, LATER="yes")["found"] == []
    for step in before["down"]:
        execute(project.url, step.replace(":", "\\:"))
    assert run(project, CAST)["found"] == []


def test_a_killed_run_leaves_nothing_behind(new: New) -> None:
    """Its scratch database goes with the next run that needs one."""
    project = new(MARIADB)
    left = LEFT.format(f"ft_{project.url.database}")
    run(project, CREATE)
    run(project, KILL)
    assert len(project.query(left)) == 1
    for _ in range(50):
        run(project, CAST)
        if not project.query(left):
            break
    assert project.query(left) == []


def test_without_rights_the_rest_is_compared(new: New) -> None:
    """Temporary tables need one right, a scratch database another one."""
    project = new(MARIADB)
    run(project, CREATE)
    name = project.url.database
    execute(project.url, f"CREATE USER {name} IDENTIFIED BY 'x'")
    url = project.url.set(username=name, password="x")
    try:
        execute(project.url, f"GRANT SELECT ON {name}.* TO {name}")
        found = run(project, CAST, url, LATER="yes")
        assert "Access denied" in found["note"]
        assert (found["found"], found["not made"]) == ([], [])
        execute(project.url, f"GRANT CREATE TEMPORARY TABLES ON {name}.* TO {name}")
        found = run(project, CAST, url, LATER="yes")
        assert "Access denied" in found["note"]
        assert (len(found["found"]), found["not made"]) == (4, [f"ft_{name}"])
    finally:
        execute(project.url, f"DROP USER {name}")


NUMBERS = """
import sys
sys.path.append("migrations")
from migration_kit.autogenerate.differences import pair
from sqlalchemy.dialects import mysql

def checks(*texts):
    return {("check", f"CONSTRAINT_{n}", "definition"): one for n, one in enumerate(texts, 1)}

real, made = checks("x < 9", "x > 0"), checks("x > 0", "x < 9")
pair(real, made, None, mysql.dialect())
assert made == real, made
made = checks("x > 1", "x < 9", "y > 0")
pair(real, made, None, mysql.dialect())
assert made == checks("x < 9", "x > 1", "y > 0"), made
"""


def test_number_of_a_check_without_a_name_does_not_count(new: New) -> None:
    new(MARIADB).python(NUMBERS)
