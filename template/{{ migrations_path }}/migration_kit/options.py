"""Options of `context.configure()` from the kit and from env.py, combined."""

from collections.abc import Callable, Sequence
from operator import or_
from typing import Any

from alembic.util import CommandError

# Options that each run decides, and what to use instead.
TAKEN = {
    "connection": "Use `create_engine=`, or config.attributes['connection']",
    "url": "Use -x url=..., DATABASE_URL or sqlalchemy.url, and `create_engine=`",
}


def put_together(kits: dict[str, Any], users: dict[str, Any]) -> dict[str, Any]:
    """Return the kit's options with those of env.py.

    A plain value of env.py's wins; what both may judge, change or hear of is in `RULES`. None
    counts as not given.

    Raises:
        CommandError: if env.py gives what only a run can know.
    """
    for name, remedy in TAKEN.items():
        if name in users:
            raise CommandError(f"run() in env.py takes no {name}=. {remedy}")
    users = {name: value for name, value in users.items() if value is not None}
    both = kits.keys() & users.keys() & RULES.keys()
    return kits | users | {name: RULES[name](kits[name], users[name]) for name in both}


def agree(kits: Callable[..., bool], users: Callable[..., bool]) -> Any:
    """Include what both include."""
    return lambda *arguments: users(*arguments) and kits(*arguments)


def ask_users_first(kits: Callable[..., Any], users: Callable[..., Any]) -> Any:
    """Render what env.py's function renders; ask the kit's where it returns False."""
    return lambda *arguments: (
        kits(*arguments) if (found := users(*arguments)) is False else found
    )


def call_both(kits: Callable[..., Any], users: Callable[..., Any]) -> Any:
    """Call env.py's function, then the kit's, which has the last word."""
    return lambda *arguments: (users(*arguments), kits(*arguments))


def add_up(kits: Sequence[str], users: Sequence[str]) -> list[str]:
    """Append what the kit does not have."""
    return [*kits, *(name for name in users if name not in kits)]


RULES: dict[str, Callable[[Any, Any], Any]] = {
    "include_name": agree,
    "include_object": agree,
    "render_item": ask_users_first,
    "process_revision_directives": call_both,
    "autogenerate_plugins": add_up,
    "dialect_opts": or_,  # env.py's values win one by one
}
