"""The databases of the project: each section of alembic.ini with its own history."""

import re
from pathlib import Path
from typing import Any

from alembic.config import Config

from .paths import use
from .settings import FIRST


def read_config(
    config_file: str | Path | None, section: str = FIRST, **options: Any
) -> Config:
    """Return the configuration of a database, as the `alembic` command reads it.

    Args:
        config_file: path of alembic.ini; settings may also be in the table `[tool.alembic]` of
            a pyproject.toml next to it.
        section: of alembic.ini.
        options: of `Config`.
    """
    beside = Path(config_file).with_name("pyproject.toml") if config_file else None
    return use(Config(config_file, toml_file=beside, ini_section=section, **options))


def databases(config_file: str | Path | None) -> list[str]:
    """Return the sections of alembic.ini that have a history, as `alembic -n` takes them.

    If none has `script_location`, it is the first one, of which Alembic then complains.
    """
    parser = Config(config_file).file_config
    sections = parser.sections()
    found = [name for name in sections if parser.has_option(name, "script_location")]
    return found or [FIRST]


def commands_for(section: str, text: str) -> str:
    """Return a text whose commands of `alembic` work on the database of a section."""
    option = "" if section == FIRST else f"-n {section} "
    return re.sub("`alembic (?!-n )", f"`alembic {option}", text)
