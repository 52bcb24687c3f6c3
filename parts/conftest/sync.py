"""Fixtures for tests on a database that the migrations created.

`session` is for most tests: it rolls everything back. `fresh_database` is for a test that needs
its own database, because tasks, threads or several connections commit. `Session` uses it then.

The folder `testing` of migration_kit creates the databases; if you delete it, delete this file too.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from migration_kit.testing import ScratchDatabase{{ other_imports }}
from migration_kit.testing.sharing import explain_sharing, refuse_sharing
from sqlalchemy import Engine, orm

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
def database(template: ScratchDatabase) -> Iterator[Engine]:
    """The application's engine, on the one database of this test run."""
    with scratch.create(template):
        yield engine
        engine.dispose()


@pytest.fixture
def session(database: Engine) -> Iterator[orm.Session]:
    """A session whose work is rolled back after the test, even what it commits.

    Sessions that the code under test opens join the transaction.
    """
    with database.connect() as connection:
        connection.begin()
        refuse_sharing(connection)
        Session.configure(bind=connection, join_transaction_mode="create_savepoint")
        with Session() as session:
            yield session
        Session.configure(bind=database, join_transaction_mode="conditional_savepoint")


@pytest.fixture
def fresh_database(template: ScratchDatabase) -> Iterator[Engine]:
    """An engine on the test's own migrated database, which `Session` uses too."""
    with ScratchDatabase(ALEMBIC_INI).create(template) as fresh:
        engine = make_engine(fresh.url)
        shared = Session.kw["bind"]
        Session.configure(bind=engine)
        yield engine
        Session.configure(bind=shared)
        engine.dispose()
