"""The migrations: one head; up, no drift, down and up again."""

import os
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import make_url


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Settings that lead to an empty database: TEST_DATABASE_URL, or a file for SQLite."""
    config = Config(Path(__file__).parents[1] / "alembic.ini")
    url = make_url(
        os.environ.get("TEST_DATABASE_URL")
        or config.get_main_option("sqlalchemy.url", "sqlite://")
    )
    if "TEST_DATABASE_URL" not in os.environ:
        if url.get_backend_name() != "sqlite":
            pytest.skip("set TEST_DATABASE_URL to a database that may be emptied")
        url = url.set(database=str(tmp_path / "test.db"), query={})
    monkeypatch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))
    return config


def test_history_has_one_head(config: Config) -> None:
    heads = ScriptDirectory.from_config(config).get_heads()
    assert len(heads) < 2, "join them with `alembic merge heads`"


def test_migrate_up_and_down(config: Config) -> None:
    command.upgrade(config, "head")
    command.check(config)
    command.downgrade(config, "base")
    command.upgrade(config, "head")
