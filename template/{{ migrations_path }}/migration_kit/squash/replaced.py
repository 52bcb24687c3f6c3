"""Revisions that were squashed: the one that replaces them names them in `replaces`."""

from alembic.script import ScriptDirectory
from alembic.util import CommandError

from ..paths import invocation


def replaced_by(script: ScriptDirectory) -> dict[str, str]:
    """Return the revisions that were squashed, each with the one that replaces it."""
    bases = [script.get_revision(base) for base in script.get_bases()]
    return {
        str(old): base.revision
        for base in bases
        for old in getattr(base.module, "replaces", ())
    }


def refuse_half_squashed(script: ScriptDirectory) -> None:
    """Stop if a revision is there as well as the one that replaces it.

    Raises:
        CommandError: with the command that finishes what was interrupted.
    """
    replaced = replaced_by(script)
    if not replaced:
        return
    known = {step.revision for step in script.walk_revisions()}
    if there := [old for old in replaced if old in known]:
        new = replaced[there[0]]
        raise CommandError(
            f"{new} replaces {there[0]}, which still has a file. "
            f"Run `{invocation()} squash {new}`, which deletes it"
        )


def remedy_for_replaced(script: ScriptDirectory, revision: str) -> str:
    """Return cause and fix for a database that records a squashed revision, or nothing."""
    new = replaced_by(script).get(revision)
    if new is None:
        return ""
    return (
        f"it was squashed into {new}. Run `alembic upgrade {new}` with the release that still "
        "has it, then upgrade with this one"
    )
