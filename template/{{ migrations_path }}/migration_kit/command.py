"""Which Alembic command runs, and what it does."""

from collections.abc import Callable

from alembic import context

READ_ONLY_COMMANDS = {
    "check",
    "current",
    "edit",
    "history",
    "merge",
    "revision",
    "show",
}


def get_command() -> str:
    """Return the name of the Alembic command that runs, such as `upgrade`.

    Alembic hands env.py no name; but each command brings a function of its own
    (`MigrationContext.opts["fn"]`), which is defined in it.
    """
    function = context.get_context().opts.get("fn")
    return getattr(function, "__qualname__", "").partition(".")[0]


def is_read_only() -> bool:
    """Tell whether the command leaves the database as it is."""
    return get_command() in READ_ONLY_COMMANDS


def is_up_to_date() -> bool:
    """Tell whether an upgrade would find nothing to do."""
    heads = set(context.get_context().get_current_heads())
    return get_command() == "upgrade" and heads == set(context.script.get_heads())


def is_first_upgrade() -> bool:
    """Tell whether an upgrade to the one head begins in a database without any revision."""
    if get_command() != "upgrade":
        return False
    heads, asked = context.script.get_heads(), context.get_revision_argument()
    return (
        len(heads) == 1
        and asked in (heads[0], tuple(heads))
        and not context.get_context().get_current_heads()
    )


def after_each_revision(callback: Callable[..., None]) -> None:
    """Call back after each revision, before its commit, like `on_version_apply`."""
    migration = context.get_context()
    callbacks = migration.on_version_apply_callbacks
    migration.on_version_apply_callbacks = (*callbacks, callback)
