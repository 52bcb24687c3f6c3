"""Keep HEAD, the file that names the newest revision.

Two branches that both add a revision change its one line, so git reports a conflict, and nobody
finds two heads in production. `alembic revision` writes it by itself.

    python migration_head.py write              write it again
    python migration_head.py rebase REVISION    put your revisions behind the other head
"""

import argparse
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

HERE = Path(__file__).resolve().parent
HEAD = HERE / "HEAD"
ROOT = next(
    (folder for folder in HERE.parents if (folder / "alembic.ini").exists()),
    HERE.parent,
)


def get_config() -> Config:
    """Return the configuration in alembic.ini, whatever the current folder is."""
    return Config(ROOT / "alembic.ini")


def read_head() -> list[str]:
    """Return the revisions that the file names; a missing file names none."""
    return HEAD.read_text(encoding="utf-8").split() if HEAD.exists() else []


def write_head() -> None:
    """Write the newest revision, or each one of several heads, into the file."""
    heads = sorted(ScriptDirectory.from_config(get_config()).get_heads())
    lines = "".join(f"{head}\n" for head in heads)
    HEAD.write_text(lines, encoding="utf-8", newline="\n")


def rebase(revision: str) -> Iterator[str]:
    """Put a head, with the revisions that only it builds on, behind the other head.

    Changes `down_revision` of the first one, dates, file names and HEAD.

    Args:
        revision: one of two heads, or the beginning of its identifier.

    Yields:
        What was done, and what a database needs that has run the revisions before.

    Raises:
        CommandError: if there is nothing to rebase, or no one way to do it.
    """
    script = ScriptDirectory.from_config(get_config())
    mine = script.get_revision(revision)
    others = [head for head in script.get_heads() if head != mine.revision]
    if not mine.is_head or not others:
        raise CommandError(
            f"{mine.revision} is not one of several heads ({', '.join(script.get_heads())}): "
            "there is nothing to rebase"
        )
    if len(others) > 1:
        raise CommandError(
            f"there are several heads besides {mine.revision} ({', '.join(others)}): "
            "join them first with `alembic merge`"
        )
    onto = others[0]
    theirs = {step.revision for step in script.iterate_revisions(onto, "base")}
    branch = [
        step
        for step in script.iterate_revisions(mine.revision, "base")
        if step.revision not in theirs
    ]
    if any(step.is_merge_point or step.dependencies for step in branch):
        raise CommandError(
            f"the way to {mine.revision} holds a merge or depends_on, and no one order: "
            "use `alembic merge heads`"
        )
    fork = str(branch[-1].down_revision or "base")
    yield f"{branch[-1].revision} now comes after {onto} instead of {fork}."
    date = datetime.now(UTC).replace(microsecond=0)
    for step in reversed(branch):
        date += timedelta(minutes=1)  # file names sort in the order of the revisions
        path = move(step, date, onto if step is branch[-1] else None)
        yield f"  {path.relative_to(HERE)}"
    write_head()
    yield (
        f"A database that ran {branch[-1].revision} before it: `alembic downgrade {onto}`, "
        f"`alembic stamp {fork}`, `alembic upgrade head`."
    )


def move(step: Script, date: datetime, down_revision: str | None) -> Path:
    """Write date and `down_revision` into a revision, and the date into the name of its file."""
    path = Path(step.path)
    source = path.read_text(encoding="utf-8")
    source = re.sub(r"(?m)^(Create Date: ).*$", rf"\g<1>{date}", source, count=1)
    if down_revision:
        source = re.sub(
            r"(?m)^(Revises:).*$", rf"\g<1> {down_revision}", source, count=1
        )
        source = re.sub(
            r"(?m)^(down_revision\b[^=]*= ).*$",
            rf'\g<1>"{down_revision}"',
            source,
            count=1,
        )
    path.write_text(source, encoding="utf-8", newline="\n")
    dated = re.sub(r"^\d{4}_\d\d_\d\d_\d{4}", f"{date:%Y_%m_%d_%H%M}", path.name)
    return path.rename(path.with_name(dated))


def main() -> None:
    """Run the command that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write", help="name the newest revision")
    write.add_argument("revision_file", nargs="?", help="given by Alembic, not needed")
    rebased = commands.add_parser("rebase", help="put a revision behind the other head")
    rebased.add_argument("revision", help="one of the two heads: yours")
    arguments = parser.parse_args()
    try:
        if arguments.command == "rebase":
            print("\n".join(rebase(arguments.revision)))
        else:
            write_head()
    except CommandError as error:
        sys.exit(f"FAILED: {error}")


if __name__ == "__main__":
    main()
