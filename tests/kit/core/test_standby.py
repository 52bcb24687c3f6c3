"""A real hot standby: it can be read, it refuses a migration, and takes over in the middle of one."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import URL

from support.databases import execute
from support.projects import New, Project, last_line
from support.revisions import HERO
from support.servers import Replicated, missing_package, replicated
from support.variants import ENGINE_OF, POSTGRESQL, Engine

ENGINES = [POSTGRESQL, ENGINE_OF["postgresql-asyncpg-async"]]
REFUSAL = "this server is a hot standby. Use the primary's URL"
READ_WRITE = {"target_session_attrs": "read-write"}


@pytest.fixture(scope="module")
def servers() -> Iterator[Replicated]:
    """A primary and its standby; both have what a test has waited for."""
    if reason := missing_package("postgresql"):
        pytest.skip(reason)
    with replicated() as servers:
        yield servers


def empty_database(servers: Replicated, engine: Engine) -> tuple[URL, URL]:
    """Make a database, and return its URLs on the primary and on the standby."""
    name = f"copier_alembic_{uuid4().hex[:12]}"
    execute(servers.primary, f"CREATE DATABASE {name}")
    primary, standby = (
        url.set(drivername=f"{engine.database}+{engine.driver}", database=name)
        for url in (servers.primary, servers.standby)
    )
    servers.catch_up()
    return primary, standby


def refusal(project: Project, *command: str) -> str:
    return last_line(project.alembic(*command, fails=True))


def test_every_command_ends_in_one_right_line(new: New, servers: Replicated) -> None:
    primary, standby = empty_database(servers, POSTGRESQL)
    project = new(POSTGRESQL).on(standby)
    for command in ("upgrade head", "downgrade base", "stamp head", "ensure_version"):
        assert refusal(project, *command.split()) == REFUSAL
    old = "Target database is not up to date. Run `alembic upgrade head`"
    for command in ("check", "revision --autogenerate -m x"):
        assert refusal(project, *command.split()) == old
    project.alembic_each([["current"], ["history", "-i"], ["show", "current"]])

    project.on(primary).upgraded()
    servers.catch_up()
    # Also where nothing is to be done: the next release would stop here.
    for command in ("upgrade head", "downgrade base", "stamp head", "ensure_version"):
        assert refusal(project, *command.split()) == REFUSAL
    output = project.alembic_each(
        [
            ["current", "--check-heads"],
            ["check"],
            ["revision", "--autogenerate", "-m", "x"],
            ["history", "--indicate-current"],
            ["show", "current"],
        ]
    )
    assert project.run("python", project.migrations, "ready") == f"ready: {HERO}\n"
    assert f"{HERO} (head)\n" in output
    assert "No new upgrade operations detected." in output
    assert "no revision is written" in output
    assert f"<base> -> {HERO} (head) (current), create" in output
    assert f"Rev: {HERO} (head)" in output
    assert project.version() == [HERO]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_failover_in_the_middle_goes_on_from_the_recorded_revision(
    new: New, servers: Replicated, engine: Engine
) -> None:
    primary, standby = empty_database(servers, engine)
    project = new(engine).on(
        primary.set(host=None, port=None)
        .update_query_dict(
            {"host": [f"127.0.0.1:{u.port}" for u in (primary, standby)]}
        )
        .update_query_dict(READ_WRITE)
    )
    cape = 'op.execute("CREATE TABLE capes (id int)")\n'
    slow = project.add_revision("slow", cape + 'op.execute("SELECT pg_sleep(60)")')
    process = project.start("alembic", "upgrade", "head")
    process.wait_for(f"{HERO} -> slow")
    servers.catch_up()
    # A standby alone is none that a URL for writing means.
    line = refusal(project.on(standby.update_query_dict(READ_WRITE)), "current")
    assert line.endswith(". Add the primary's host to DATABASE_URL")
    servers.fail_over()
    line = last_line(process.finish())
    assert line.startswith("upgrade stopped: migrations/versions/slow.py, line 14: ")
    assert line.endswith(". Its open transaction was rolled back")

    slow.unlink()
    project.add_revision("slow", cape)
    output = project.alembic("upgrade", "head")
    assert output.count("Running upgrade") == 1
    assert f"Running upgrade {HERO} -> slow" in output
    assert project.on(standby).version() == ["slow"]
