"""Keep HEAD, the file that names the newest revision, and put one branch behind another.

Two branches that both add a revision change the one line of HEAD, so git reports a conflict, and
nobody finds two heads in production. `alembic revision` writes it by itself.
"""

import argparse
import os
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError, rev_id

from ..histories import config_of_revision, histories
from ..paths import invocation
from ..rooms import rooms
from ..sections import commands_for

# What a rebase writes above `revision`. Whoever ran the revision under its old name did not run
# those that now come before it.
MARK = "# Rebased: before, it was {old} and came after {fork}.\n"

ASSIGNMENTS = [
    rf"(?m)^({name}(?:: [^=\n]+)? = )(.+)$" for name in ("revision", "down_revision")
]


def add_commands(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `head` and `rebase` to the command line."""
    parser = add_parser(
        "head", help="write the newest revision into HEAD, as `alembic revision` does"
    )
    parser.set_defaults(run=lambda config, _: write_heads(config))

    parser = add_parser("rebase", help="put your revisions behind the other branch's")
    parser.add_argument("revision", help="the newest one of yours, one of two heads")
    parser.set_defaults(
        run=lambda config, given: print(*rebase(config, given.revision), sep="\n")
    )


def head_file(script: ScriptDirectory) -> Path:
    """Return the path of a history's HEAD, beside its env.py."""
    return Path(script.dir, "HEAD")


def read_head(script: ScriptDirectory) -> list[str]:
    """Return the revisions that the file names; a missing file names none."""
    file = head_file(script)
    return file.read_text(encoding="utf-8").split() if file.exists() else []


def write_heads(config: Config, revision_file: str | None = None) -> None:
    """Write HEAD of each database's history, or only of the one that has a new revision."""
    for _, script in histories(config):
        if revision_file is None or is_of(script, Path(revision_file)):
            write_head(script)


def is_of(script: ScriptDirectory, revision_file: Path) -> bool:
    """Tell whether the file of a revision lies where a history has its revisions."""
    file = revision_file.resolve()
    folders = (Path(folder).resolve() for folder in script._version_locations)
    return any(file.is_relative_to(folder) for folder in folders)


def write_head(script: ScriptDirectory) -> None:
    """Write the newest revision, or each one of several heads, into the file."""
    lines = "".join(f"{head}\n" for head in sorted(script.get_heads()))
    if lines or head_file(script).exists():
        head_file(script).write_text(lines, encoding="utf-8", newline="\n")


def rival_heads(script: ScriptDirectory) -> list[str]:
    """Return heads that stand beside each other in one line of revisions, if there are any.

    A history may have several lines on purpose: each has branch labels of its own, one has none.
    """
    lines = [heads_of_line(script, head) for head in script.get_heads()]
    return next((heads for heads in lines if len(heads) > 1), [])


def heads_of_line(script: ScriptDirectory, revision: str) -> list[str]:
    """Return the heads that have the branch labels of a revision."""
    labels = script.get_revision(revision).branch_labels
    return sorted(
        head
        for head in script.get_heads()
        if script.get_revision(head).branch_labels == labels
    )


def two_heads_remedy(heads: Sequence[str]) -> str:
    """Return what to do about heads beside each other."""
    return (
        f"put yours behind the other one with `{invocation()} rebase YOURS`, or, where both "
        f"have run in production, join them with `alembic merge {' '.join(heads)}`"
    )


def rebase(config: Config, revision: str) -> Iterator[str]:
    """Put a head, with the revisions that only it builds on, behind the other head.

    They get new identifiers: a database that ran them before, and so lacks the revisions that now
    come first, records one that is gone, and cannot pass for up to date. Dates, file names and
    HEAD change as well.

    Args:
        config: of alembic.ini.
        revision: one of two heads, or the beginning of its identifier.

    Yields:
        What was done, and what a database needs that has run the revisions before.

    Raises:
        CommandError: if there is nothing to rebase, or no one way to do it.
    """
    config = config_of_revision(config, revision)
    say = partial(commands_for, config.config_ini_section)
    script = ScriptDirectory.from_config(config)
    for room in rooms():
        room.check_history(script)
    mine = script.get_revision(revision)
    heads = heads_of_line(script, mine.revision)
    others = [head for head in heads if head != mine.revision]
    if not mine.is_head or not others:
        raise CommandError(
            f"{mine.revision} is not one of several heads ({', '.join(heads)}): "
            "there is nothing to rebase"
        )
    if len(others) > 1:
        raise CommandError(
            f"there are several heads besides {mine.revision} ({', '.join(others)}): "
            + say(f"join them first with `alembic merge {' '.join(others)}`")
        )
    theirs = {step.revision for step in script.iterate_revisions(others[0], "base")}
    branch = [
        step
        for step in script.iterate_revisions(mine.revision, "base")
        if step.revision not in theirs
    ]
    if any(step.is_merge_point or step.dependencies for step in branch):
        raise CommandError(
            f"the way to {mine.revision} holds a merge or depends_on, and no one order: "
            + say(f"use `alembic merge {' '.join(heads)}`")
        )
    names = {step.revision for step in branch}
    for step in script.walk_revisions():
        if step.revision not in names and names.intersection(step._all_down_revisions):
            raise CommandError(
                f"{step.path} depends on what would get another identifier: "
                + say(f"use `alembic merge {' '.join(heads)}`")
            )
    for step in branch:
        if not all(re.search(line, source_of(step)) for line in ASSIGNMENTS):
            raise CommandError(
                f"{step.path} does not assign `revision` and `down_revision` on lines of their "
                "own: write them so, then try again"
            )
    fork = str(branch[-1].down_revision or "base")
    yield f"{branch[-1].revision} now comes after {others[0]} instead of {fork}:"
    down_revision = others[0]
    date = datetime.now(UTC).replace(microsecond=0)
    for step in reversed(branch):
        date += timedelta(minutes=1)  # file names sort in the order of the revisions
        path, down_revision = move(step, date, down_revision)
        yield f"  {os.path.relpath(path)}"
    other_lines = len(script.get_heads()) > len(heads)
    script = ScriptDirectory.from_config(config)
    write_head(script)
    if other_lines:
        yield f"A database that ran {mine.revision} says at its next command what mends it."
    else:
        commands = say(commands_after_rebase(script, mine.revision))
        yield f"About {mine.revision}: {commands}."


def source_of(step: Script) -> str:
    return Path(step.path).read_text(encoding="utf-8")


def move(step: Script, date: datetime, down_revision: str) -> tuple[Path, str]:
    """Give a revision a new identifier, place and date; return its path and identifier."""
    path, new = Path(step.path), rev_id()
    mark = MARK.format(old=step.revision, fork=step.down_revision or "base")
    source = source_of(step)
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


def commands_after_rebase(
    script: ScriptDirectory, revision: str, recorded: Sequence[str] = ()
) -> str:
    """Return what brings a database that ran a revision before its rebase into the new order.

    Args:
        script: the history.
        revision: the identifier that the database records.
        recorded: all that it records; what is of other lines stays.

    Returns:
        Commands in words; nothing if no rebase replaced that revision.
    """
    history = list(script.walk_revisions())
    sources = [source_of(step) for step in history]
    found = find_rebased(sources, revision)
    if not found:
        return ""
    name, onto, fork = found
    while found := find_rebased(sources, fork):  # those before it moved along
        _, onto, fork = found
    line = {step.revision for step in script.iterate_revisions(name, "base")}
    beside = [
        step.revision
        for step in history
        if step.revision in recorded and step.revision not in line
    ]
    implied = {"base", *beside} if beside else set()
    for step in history:  # the newest first
        if step.revision in implied:
            implied.update(step._all_down_revisions)
    before = beside if fork in implied else [fork, *beside]
    steps = [
        ["stamp", "--purge", name],
        ["downgrade", onto],
        ["stamp", "--purge", *before],
        ["upgrade", "heads" if beside else "head"],
    ]
    commands = ", ".join(f"`alembic {' '.join(step)}`" for step in steps)
    return (
        f"it was rebased and is {name} now; in a database that ran it, run {commands}"
    )


def find_rebased(sources: list[str], old: str) -> tuple[str, str, str] | None:
    """Find a rebased revision by its old identifier.

    Returns:
        Its new identifier, the revision before it, and the one that was before it once.
    """
    mark = re.escape(MARK.format(old=old, fork="?")).replace(r"\?", r"(\w+)")
    for source in sources:
        if fork := re.search(mark, source):
            new, onto = (re.search(line, source) for line in ASSIGNMENTS)
            if new and onto:
                return new[2].strip('"'), onto[2].strip('"'), fork[1]
    return None
