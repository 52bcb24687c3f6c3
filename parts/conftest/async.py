"""Fixtures for tests on a database that the migrations created.

`async_session` is for most tests: it rolls everything back. `fresh_database` is for a test that
needs its own database, because tasks, threads or several connections commit. `Session` uses it then.

The folder `testing` of migration_kit creates the databases; if you delete it, delete this file too.
"""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from migration_kit.testing import ScratchDatabase{{ other_imports }}
from migration_kit.testing.sharing import (
    explain_sharing,
    refuse_sharing,
    wait_for_tasks,
)
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

ALEMBIC_INI = Path(__file__).parents[1] / "alembic.ini"

# All code under test connects to this database, which the `database` fixture creates.
scratch = ScratchDatabase(ALEMBIC_INI)
os.environ["DATABASE_URL"] = scratch.url.render_as_string(hide_password=False){{ other_fixtures }}

from {{ package_name }}.engine import Session, engine, make_engine


def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> None:
    """Say what to do if tasks or threads share a session."""
    if call.excinfo:
        explain_sharing(call.excinfo.value)


@pytest.fixture(scope="session")
def template() -> Iterator[ScratchDatabase]:
    """The migrated database that others are copied from; nothing connects to it."""
    with ScratchDatabase(ALEMBIC_INI).create() as template:
        template.upgrade()
        yield template


@pytest.fixture(scope="session")
async def database(template: ScratchDatabase) -> AsyncIterator[AsyncEngine]:
    """The application's engine, on the one database of this test run."""
    with scratch.create(template):
        yield engine
        await engine.dispose()


@pytest.fixture
async def async_session(database: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """A session whose work is rolled back after the test, even what it commits.

    Sessions that the code under test opens join the transaction.
    """
    async with database.connect() as connection:
        await connection.begin()
        await connection.run_sync(refuse_sharing)
        Session.configure(bind=connection, join_transaction_mode="create_savepoint")
        async with Session() as session:
            yield session
            await wait_for_tasks(connection)
        Session.configure(bind=database, join_transaction_mode="conditional_savepoint")


@pytest.fixture
async def fresh_database(template: ScratchDatabase) -> AsyncIterator[AsyncEngine]:
    """An engine on the test's own migrated database, which `Session` uses too."""
    with ScratchDatabase(ALEMBIC_INI).create(template) as fresh:
        engine = make_engine(fresh.url)
        shared = Session.kw["bind"]
        Session.configure(bind=engine)
        yield engine
        Session.configure(bind=shared)
        await engine.dispose()
