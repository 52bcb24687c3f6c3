"""Checks of the models, for tests/test_migrations.py."""

from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from ..sections import commands_for
from .models import unloaded_models


def test_models_equal_the_migrated_schema(config: Config, database: Any) -> None:
    database.upgrade()
    try:
        command.check(database.config())
    except CommandError as error:
        remedy = 'Run `alembic revision --autogenerate -m "..."`'
        remedy = commands_for(config.config_ini_section, remedy)
        raise AssertionError(f"{error}. {remedy}") from None


def test_every_model_is_loaded(options: dict[str, Any]) -> None:
    unloaded = unloaded_models(options["packages"], options["not_migrated"])
    assert not unloaded, unloaded
