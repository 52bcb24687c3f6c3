"""The histories of all databases of alembic.ini, for the rooms that read them."""

import io
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from .sections import databases, read_config


def histories(config: Config) -> Iterator[tuple[Config, ScriptDirectory]]:
    """Yield the configuration of each database of alembic.ini, and its history."""
    for name in databases(config.config_file_name) if config.config_file_name else ():
        one = read_config(config.config_file_name, name)
        yield one, ScriptDirectory.from_config(one)


@lru_cache(maxsize=1)
def other_histories(config: Config) -> list[tuple[Config, ScriptDirectory]]:
    """Return the configurations and histories of the other databases than that of a section."""
    section = config.config_ini_section
    return [one for one in histories(config) if one[0].config_ini_section != section]


def config_of_revision(config: Config, revision: str) -> Config:
    """Return the configuration of the database whose history has a revision, else the first."""
    found = list(histories(config))
    for one, script in found:
        with suppress(CommandError):
            script.get_revision(revision)
            return one
    return found[0][0]


def load_options(config: Config) -> dict[str, Any]:
    """Run env.py without a database, as for `--sql`, and return its options and `dialect`."""
    found: dict[str, Any] = {}

    def remember(_: object, migration: Any) -> list[Any]:
        found.update(migration.opts, dialect=migration.dialect)
        return []

    silent = read_config(
        config.config_file_name,
        config.config_ini_section,
        output_buffer=io.StringIO(),
    )
    script = ScriptDirectory.from_config(silent)
    with EnvironmentContext(silent, script, fn=remember, as_sql=True):
        script.run_env()
    return found


def source_of(revision: Script) -> Path:
    """Return the file with a revision's source; refuse one that was shipped without it."""
    path = Path(revision.path)
    if path.suffix == ".pyc":
        raise CommandError(f"{path.name} has no source to read. Ship its .py file")
    return path
