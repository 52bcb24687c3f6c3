"""Which Alembic command runs, and what it does."""

from collections.abc import Callable

from alembic import context
from alembic.util import to_tuple

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

    Alembic hands env.py no name; but each command brings a function of its own (`fn` of the
    EnvironmentContext, whose methods `context` has), which is defined in it.
    """
    function = vars(context)["_proxy"].context_opts.get("fn")
    return getattr(function, "__qualname__", "").partition(".")[0]


def is_read_only() -> bool:
    """Tell whether the command leaves the database as it is."""
    return get_command() in READ_ONLY_COMMANDS


def newest_revisions() -> set[str]:
    """Return what a database records that has run everything: the heads that none depends on."""
    return set(context.script.get_heads(consider_depends_on=True))


def is_up_to_date() -> bool:
    """Tell whether an upgrade would find nothing to do."""
    recorded = set(context.get_context().get_current_heads())
    return get_command() == "upgrade" and recorded == newest_revisions()


def is_first_upgrade() -> bool:
    """Tell whether an upgrade to all heads begins in a database without any revision."""
    if get_command() != "upgrade":
        return False
    asked = set(to_tuple(context.get_revision_argument(), default=()))
    return (
        asked != set()
        and asked == newest_revisions()
        and not context.get_context().get_current_heads()
    )


def after_each_revision(callback: Callable[..., None]) -> None:
    """Call back after each revision, before its commit, like `on_version_apply`."""
    migration = context.get_context()
    callbacks = migration.on_version_apply_callbacks
    migration.on_version_apply_callbacks = (*callbacks, callback)
