"""Keep HEAD, the file that names the newest revision, and move one branch after another.

Two branches that both add a revision change the one line of HEAD, so git reports a conflict
before production has two heads. `alembic revision` writes it automatically.
"""

import argparse
import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError, rev_id

from ..histories import config_of_revision, histories, source_of
from ..paths import invocation
from ..rooms import rooms
from ..sections import commands_for

# What a rebase writes above `revision`. A database that ran the revision under its old name did
# not run those that now come before it.
MARK = "# Rebased: before, it was {} and came after {}.\n"

ASSIGNMENTS = [
    rf"(?m)^({name}(?:: [^=\n]+)? = )(.+)$" for name in ("revision", "down_revision")
]


def add_commands(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `head` and `rebase` to the command line."""
    parser = add_parser(
        "head", help="write the newest revision into HEAD, as `alembic revision` does"
    )
    # The hook of a 2.4 project's alembic.ini still names the file.
    parser.add_argument("file", nargs="?", help=argparse.SUPPRESS)
    parser.set_defaults(run=lambda config, given: write_heads(config, given.file))

    parser = add_parser("rebase", help="move your revisions after the other branch's")
    parser.add_argument("revision", help="your newest revision, one of two heads")
    parser.set_defaults(run=lambda config, given: rebase(config, given.revision))


def read_head(script: ScriptDirectory) -> list[str]:
    """Return the revisions that HEAD, next to env.py, names; a missing file names none."""
    file = Path(script.dir, "HEAD")
    return file.read_text(encoding="utf-8").split() if file.exists() else []


def write_heads(config: Config, revision_file: str | None = None) -> None:
    """Write HEAD of each database's history, or only of the one that has a new revision."""
    file = revision_file and Path(revision_file).resolve()
    for _, script in histories(config):
        folders = (Path(folder).resolve() for folder in script._version_locations)
        if not file or any(file.is_relative_to(folder) for folder in folders):
            write_head(script)


def write_head(script: ScriptDirectory) -> None:
    """Write the newest revision, or each one of several heads, into HEAD."""
    file = Path(script.dir, "HEAD")
    lines = "".join(f"{head}\n" for head in sorted(script.get_heads()))
    if lines or file.exists():
        file.write_text(lines, encoding="utf-8", newline="\n")


def heads_of_line(script: ScriptDirectory, revision: str) -> list[str]:
    """Return the heads with the branch labels of a revision: several lines may be on purpose."""
    labels = script.get_revision(revision).branch_labels
    return sorted(
        head
        for head in script.get_heads()
        if script.get_revision(head).branch_labels == labels
    )


def two_heads_remedy(script: ScriptDirectory) -> str:
    """Return cause and fix of two heads of the same line, or nothing if there are none."""
    for head in script.get_heads():
        heads = heads_of_line(script, head)
        if len(heads) > 1:
            return (
                f"two branches each added one. Run `{invocation()} rebase YOUR_REVISION`; if "
                f"both have run in production, run `alembic merge {' '.join(heads)}` instead"
            )
    return ""


def rebase(config: Config, revision: str) -> None:
    """Move a head, with the revisions that only it builds on, after the other head.

    They get new identifiers: a database that ran them before, and so lacks the revisions that now
    come first, records one that is gone, and cannot pass for up to date. Dates, file names and
    HEAD change as well. It prints what it did, and what such a database needs.

    Args:
        config: of alembic.ini.
        revision: one of two heads, or the beginning of its identifier.

    Raises:
        CommandError: if there is nothing to rebase, or no one way to do it.
    """
    config = config_of_revision(config, revision)
    say = partial(commands_for, config.config_ini_section)
    script = ScriptDirectory.from_config(config)
    for room in rooms():
        room.check_history(script)
    mine = script.get_revision(revision).revision
    heads = heads_of_line(script, mine)
    if mine not in heads or len(heads) < 2:
        raise CommandError(
            f"nothing to rebase: {mine} is not one of several heads ({', '.join(heads)}). "
            + say("Run `alembic heads`")
        )
    *_, onto = (head for head in heads if head != mine)
    theirs = {step.revision for step in script.iterate_revisions(onto, "base")}
    steps = reversed(list(script.iterate_revisions(mine, "base")))
    branch = [step for step in steps if step.revision not in theirs]
    if len(heads) > 2 or is_tangled(script, branch):
        raise CommandError(
            f"{', '.join(heads)} have no one order: there is another head, a merge or "
            + say(f"depends_on. Run `alembic merge {' '.join(heads)}`")
        )
    for step in branch:
        source = source_of(step).read_text(encoding="utf-8")
        if not all(re.search(line, source) for line in ASSIGNMENTS):
            raise CommandError(
                f"cannot read {step.path}: `revision` and `down_revision` need a line each. "
                "Write them so, then run it again"
            )
    print(f"{branch[0].revision} now comes after {onto}:")
    date = datetime.now(UTC).replace(microsecond=0)
    for step in branch:
        date += timedelta(minutes=1)  # file names sort in the order of the revisions
        path, onto = move(step, date, onto)
        print(f"  {os.path.relpath(path)}")
    script = ScriptDirectory.from_config(config)
    write_head(script)
    print(say(f"About {mine}: {rebased_remedy(script, mine)}"))


def is_tangled(script: ScriptDirectory, branch: Sequence[Script]) -> bool:
    """Return whether a branch has a merge or depends on others, or others depend on it."""
    names = {step.revision for step in branch}
    return any(step.is_merge_point or step.dependencies for step in branch) or any(
        step.revision not in names and names.intersection(step._all_down_revisions)
        for step in script.walk_revisions()
    )


def move(step: Script, date: datetime, down_revision: str) -> tuple[Path, str]:
    """Give a revision a new identifier, place and date; return its path and identifier."""
    path, new = source_of(step), rev_id()
    mark = MARK.format(step.revision, step.down_revision or "base")
    source = path.read_text(encoding="utf-8")
    for line, text in {
        r"(?m)^(Revision ID: ).*$": rf"\g<1>{new}",
        r"(?m)^(Revises:).*$": rf"\g<1> {down_revision}",
        r"(?m)^(Create Date: ).*$": rf"\g<1>{date}",
        ASSIGNMENTS[0]: rf'{mark}\g<1>"{new}"',
        ASSIGNMENTS[1]: rf'\g<1>"{down_revision}"',
    }.items():
        source = re.sub(line, text, source, count=1)
    path.write_text(source, encoding="utf-8", newline="\n")
    name = re.sub(rf"(?<![^\W_]){re.escape(step.revision)}(?![^\W_])", new, path.name)
    name = re.sub(r"^\d{4}_\d\d_\d\d_\d{4}", f"{date:%Y_%m_%d_%H%M}", name)
    return path.rename(path.with_name(name)), new


def rebased_remedy(script: ScriptDirectory, old: str) -> str:
    """Return how a database that ran a revision before its rebase gets up to date, or nothing."""
    mark = MARK.format(r"(\S+)", r"(\S+)")
    marks = {
        before: (step, fork)
        for step in script.walk_revisions()
        if step.path.endswith(".py")  # bytecode has no comments
        for before, fork in re.findall(mark, source_of(step).read_text("utf-8"))
    }
    if old not in marks:
        return ""
    step, fork = marks[old]
    new = step.revision
    while fork in marks:  # those before it moved along
        step, fork = marks[fork]
    steps = [f"stamp --purge {new}", f"downgrade {step.down_revision}"]
    commands = [*steps, f"stamp --purge {fork}", "upgrade head"]
    then = ", ".join(f"`alembic {command}`" for command in commands)
    if len(script.get_heads()) > 1:  # to stamp would forget other lines
        then = f"`alembic downgrade {fork}` on the commit before that, then upgrade"
    return f"it was rebased and is {new} now. In a database that ran it, run {then}"
