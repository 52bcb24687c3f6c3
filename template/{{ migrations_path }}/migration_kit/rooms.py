"""The rooms of the kit: folders that each bring a feature, and that may be missing.

The `room.py` of each ends with `room = ...`, an instance of `Room`. Every run asks all rooms, so
`room.py` and `__init__.py` import nothing outside of functions.
"""

import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alembic import context
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection

from .paths import setting, update_command

# In the order in which they are asked, each with those that it needs.
ROOMS: dict[str, tuple[str, ...]] = {
    "adopted": (),
    "tenants": (),
    "databases": (),
    "squash": ("autogenerate", "testing"),
    "branches": (),
    "online": ("autogenerate",),  # the last one is called first: `options.call_both`
    "renames": ("autogenerate",),
    "security": ("autogenerate",),
    "autogenerate": (),
    "lint": (),
    "backfill": (),
    "testing": (),
    "diagram": (),
    "ready": (),  # its remedy is the last
}

# Rooms that an answer of their own brings.
ANSWERS = {
    "adopted": "base_location=existing",
    "databases": "'more_databases={NAME: URL}'",
    "tenants": "tenants=database",
}

# Tables of the kit in the user's database; they outlive their rooms.
LOCK_TABLE = "alembic_lock"
BACKFILL_TABLE = "alembic_backfill"
READY_TABLE = "alembic_ready"
TABLES = (LOCK_TABLE, BACKFILL_TABLE, READY_TABLE)

# Settings that nothing would heed without their room.
PROMISES = {
    "tenant": "tenants",
    "protected": "lint",
    "rename": "renames",
    "online": "online",
}


class Room:
    """What a room may do in a run, with a revision, and on the command line."""

    def url(self) -> tuple[URL, str] | None:
        """Return where the run goes, and in words where that is written."""
        return None

    def schema(self) -> str | None:
        """Return the schema that the run keeps to."""
        return None

    def check_history(self, script: ScriptDirectory) -> None:
        """Refuse a history, even with `--sql` and for commands without a run."""

    def options(self, connection: Connection) -> dict[str, Any]:
        """Return options of `context.configure()`, which `options.RULES` combines."""
        return {}

    def before(self, connection: Connection, options: dict[str, Any]) -> None:
        """Prepare or warn, before the lock is taken."""

    def around(self, connection: Connection) -> AbstractContextManager[None]:
        """Return what the run is within, after the lock is taken: the schema of a tenant."""
        return nullcontext()

    def refuse(self, connection: Connection) -> None:
        """Refuse the run, after the lock is taken."""

    def after_revision(self, **step: Any) -> None:
        """Follow a revision in its transaction, as `on_version_apply` of Alembic."""

    def remedy(self, script: ScriptDirectory, message: str) -> str:
        """Return what fixes an error of Alembic's, or nothing."""
        return ""

    def not_migrated(self, config: Config, packages: Sequence[str]) -> list[str]:
        """Return the modules within packages whose tables other migrations make."""
        return []

    def revision_written(self, config: Config, file: str) -> None:
        """Follow `alembic revision`, which has written a file."""

    def add_commands(self, add_parser: Callable[..., Any]) -> None:
        """Add commands to `python migrations`, with `add_parser` of argparse."""


@cache
def is_module(name: str) -> bool:
    """Return whether the kit has a module, such as `lint.room`."""
    parent, _, _ = name.rpartition(".")
    found = not parent or is_module(parent)
    return found and find_spec(f".{name}", __package__) is not None


def is_on(room: str) -> bool:
    """Return whether a room, and those that it needs, are there and not switched off."""
    named = named_rooms()
    return all(
        (named is None or one in named) and is_module(f"{one}.room")
        for one in (room, *ROOMS[room])
    )


def named_rooms() -> list[str] | None:
    """Return the rooms that alembic.ini names: an installed kit has all, but not all are on."""
    names = setting("rooms")
    return None if names is None else re.findall(r"\w+", str(names))


def rooms() -> list[Room]:
    """Return the rooms that are on, in their order."""
    modules = (f".{name}.room" for name in ROOMS if is_on(name))
    return [import_module(module, __package__).room for module in modules]


def part(room: str, dialect: str) -> Any:
    """Return the module that a room, or the kit if it is "", has for a dialect, or None."""
    kind = "mysql" if dialect == "mariadb" else dialect
    name = f"{room}.{kind}" if room else kind
    return import_module(f".{name}", __package__) if is_module(name) else None


def checks(config_file: Path) -> dict[str, Any]:
    """Return the tests and fixtures of all rooms, for tests/test_migrations.py.

    Args:
        config_file: path of alembic.ini.
    """
    from .sections import read_config

    read_config(config_file)
    names = [name for name in ROOMS if is_on(name) and is_module(f"{name}.checks")]
    if "testing" not in names:  # it has the fixtures
        return {}
    loaded = sys.modules.get(f"{__package__}.testing.checks")
    if loaded and loaded.CONFIG.config_file_name != str(config_file):
        raise CommandError(
            "pytest has loaded the checks of another project. "
            f"Run `pytest {os.path.relpath(config_file.parent)}` alone"
        )
    modules = [import_module(f".{name}.checks", __package__) for name in names]
    found = (item for module in modules for item in vars(module).items())
    return {name: value for name, value in found if not name.startswith("__")}


def refuse_broken_promises() -> None:
    """Refuse a setting, such as `protected`, whose room is gone.

    Raises:
        CommandError: naming the setting, and the answer that brings the room back.
    """
    asked = [("rooms", name, name) for name in named_rooms() or []]
    given = context.get_x_argument(as_dictionary=True)
    for name, room in PROMISES.items():
        value = (
            given.get(name)
            or context.config.attributes.get(name)
            or os.environ.get(f"MIGRATIONS_{name}".upper())
            or context.config.get_main_option(name, "")
        )
        asked.append((name, value, room))
    for name, value, room in asked:
        if value not in {"", "false"} and (room not in ROOMS or not is_on(room)):
            raise CommandError(
                f"{name} is {value!r}, but this project has no {room}. "
                f"{how_to_add(room)}, or remove the setting"
            )


def how_to_add(room: str) -> str:
    """Return the command that adds a room to the project."""
    if room not in ROOMS:
        return f"Use {', '.join(ROOMS)}"
    names = [*(name for name in ROOMS if is_on(name)), *ROOMS[room], room]
    features = ", ".join(dict.fromkeys(one for one in names if one not in ANSWERS))
    answer = ANSWERS.get(room, f"'features=[{features}]'")
    return f"Run `{update_command(answer)}`, or restore its deleted folder"
