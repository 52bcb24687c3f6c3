"""An upgrade of PostgreSQL waits for the disk at its end, and then nothing of it can be lost."""

from __future__ import annotations

import pytest
from sqlalchemy import URL

from support.databases import execute
from support.projects import New, Project
from support.revisions import HERO
from support.servers import Replicated, missing_package, replicated
from support.variants import ENGINE_OF, POSTGRESQL, Engine

ENGINES = [POSTGRESQL, ENGINE_OF["postgresql-asyncpg-async"]]
SHOW = """
op.execute("CREATE TABLE shown AS SELECT current_setting('synchronous_commit') AS setting")
"""
FAIL = "op.execute('nonsense')"


def on(project: Project, servers: Replicated, engine: Engine) -> Project:
    """Let a project migrate the database of a server."""
    driver = f"{engine.database}+{engine.driver}"
    url: URL = servers.primary.set(drivername=driver, database="app")
    return project.on(url)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("fails", [False, True], ids=["succeeds", "fails"])
def test_server_that_crashes_after_an_upgrade_has_kept_it(
    new: New, engine: Engine, fails: bool
) -> None:
    if reason := missing_package("postgresql"):
        pytest.skip(reason)
    project = new(engine)
    project.add_revision("shows", SHOW)
    project.add_revision("last", FAIL if fails else "pass", down_revision="shows")
    # What nobody waits for stays in memory for as long as this.
    with replicated(wal_writer_delay="10s") as servers:
        execute(servers.primary, "CREATE DATABASE app")
        on(project, servers, engine).alembic("upgrade", "head", fails=fails)
        servers.crash()
        crashed = on(project, servers, engine)
        assert crashed.version() == ["shows" if fails else "last"]
        assert crashed.query("SELECT setting FROM shown") == [("off",)]


@pytest.mark.parametrize(
    "command", [("-x", "lock=none", "upgrade", "head"), ("downgrade", HERO)], ids=str
)
def test_other_commands_wait_for_each_revision(
    new: New, command: tuple[str, ...]
) -> None:
    project = new(POSTGRESQL).upgraded()
    project.add_revision("shows", SHOW, downgrade=SHOW)
    if "downgrade" in command:
        project.alembic("stamp", "shows")
    project.alembic(*command)
    assert project.query("SELECT setting FROM shown") == [("on",)]
