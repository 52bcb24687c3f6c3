"""Migrate all tenants, several at a time and each on its own.

The names come from `tenants()` in `tenants.py`. Tenants that are up to date are skipped, so the
next run does what this one has left.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from zlib import crc32

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.util import CommandError
from sqlalchemy import Connection

from ..paths import invocation
from ..settings import version_table_options
from . import tenant
from .commands import Order, Outcome, read_history, run_env, target_of
from .workers import Death, Stop, hand_out, stop_gently

PAUSE = 10  # seconds between two lines that show the progress, if no terminal does

DONE = {
    "upgrade": "upgraded",
    "downgrade": "downgraded",
    "check": "like the models",
    "create": "created",
}

# ----------------------------------------------------------------------- Command line


def add_commands(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `tenants` to the command line."""
    parser = add_parser("tenants", help="upgrade, check or create tenants")
    parser.set_defaults(run=run)
    commands = parser.add_subparsers(
        title="commands", dest="verb", metavar="COMMAND", required=True
    )
    every = argparse.ArgumentParser(add_help=False)
    every.add_argument(
        "-n", "--name", default="alembic", help="section of alembic.ini, as in Alembic"
    )
    every.add_argument(
        "-x", action="append", default=[], metavar="NAME=VALUE", help="as in Alembic"
    )
    every.add_argument(
        *("--jobs", "-j"),
        type=positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="how many at the same time; by default, one per processor",
    )
    some = argparse.ArgumentParser(add_help=False)
    some.add_argument("--only", nargs="+", metavar="TENANT", help="only these")
    some.add_argument(
        "--shard",
        metavar="I/N",
        help="part I of N, from 0; for N alone, I is JOB_COMPLETION_INDEX",
    )
    careful = argparse.ArgumentParser(add_help=False)
    careful.add_argument(
        "--canary",
        type=positive,
        metavar="N",
        help="begin with N of them; if one fails, leave the others alone",
    )
    changing = [every, some, careful]
    upgrade = commands.add_parser(
        "upgrade", parents=changing, help="upgrade them to a revision"
    )
    upgrade.add_argument("revision", nargs="?", default="head", help="default: head")
    downgrade = commands.add_parser(
        "downgrade", parents=changing, help="downgrade them to a revision"
    )
    downgrade.add_argument("revision")
    current = commands.add_parser(
        "current", parents=[every, some], help="list those that are not at the head"
    )
    current.add_argument(
        "--check-heads", action="store_true", help="fail if there are any"
    )
    commands.add_parser(
        "check", parents=[every, some], help="compare them with the models"
    )
    create = commands.add_parser(
        "create", parents=[every], help="create new ones at the head, from the models"
    )
    create.add_argument("tenants", nargs="+", metavar="TENANT")


def positive(value: str) -> int:
    """Return a number from 1 on, which `argparse` asks for."""
    number = int(value)
    if number < 1:
        raise ValueError(value)
    return number


def run(config: Config, given: argparse.Namespace) -> None:
    """Run what the command line asks for.

    Raises:
        CommandError: if a tenant failed, or is left.
    """
    assert config.config_file_name is not None
    if any(value.partition("=")[0] == "tenant" for value in given.x):
        raise CommandError("`-x tenant=` is for `alembic`. Use `--only NAME` instead")
    revision = getattr(given, "revision", "head")
    order = Order(
        given.verb, revision, config.config_file_name, given.name, tuple(given.x)
    )
    fleet = Fleet(order, given.jobs)
    match given.verb:
        case "create":
            fleet.create(given.tenants)
        case "current":
            fleet.current(chosen(fleet, given), given.check_heads)
        case "check":
            fleet.run(chosen(fleet, given))
        case _:
            fleet.migrate(chosen(fleet, given), given.canary or 0)


def chosen(fleet: "Fleet", given: argparse.Namespace) -> list[str]:
    """Return the names that `--only` and `--shard` leave.

    Raises:
        CommandError: if no tenant has a name of `--only`, or the shard is none.
    """
    names = fleet.names()
    if given.only:
        if unknown := [name for name in given.only if name not in names]:
            raise CommandError(
                f"tenants() of tenants.py does not name {', '.join(unknown)}. Correct `--only`"
            )
        names = [name for name in names if name in given.only]
    if given.shard:
        index, count = shard(given.shard)
        names = [name for name in names if crc32(name.encode()) % count == index]
    return names


def shard(value: str) -> tuple[int, int]:
    """Return which part of how many, such as 0 and 4 for `0/4`.

    Raises:
        CommandError: if there is no such part.
    """
    found = re.fullmatch(r"(?:(\d+)/)?(\d+)", value)
    if not found:
        raise CommandError(f"{value!r} is no shard. Use, for example, `--shard 0/3`")
    index, count = found.groups()
    index = index or os.environ.get("JOB_COMPLETION_INDEX")
    if index is None:
        raise CommandError(
            f"--shard {count} needs JOB_COMPLETION_INDEX, which is not set. "
            f"Set it, or use `--shard 0/{count}`"
        )
    if not index.isdecimal() or int(index) >= int(count):
        raise CommandError(
            f"there is no shard {index} of {count}. The first is `--shard 0/{count}`"
        )
    return int(index), int(count)


# ------------------------------------------------------------------------------ Tenants


class Fleet:
    """The tenants of a history.

    Args:
        order: what to do with each.
        jobs: how many at a time.
    """

    def __init__(self, order: Order, jobs: int) -> None:
        self.order = order
        self.jobs = jobs
        self.stop = Stop()
        self.config = order.config()
        self.script = read_history(self.config)
        self.target = target_of(self.script, order)
        with EnvironmentContext(self.config, self.script):
            self.has_databases = tenant.has_databases()

    def names(self) -> list[str]:
        """Return the names of all tenants."""
        with EnvironmentContext(self.config, self.script):
            return tenant.names()

    def create(self, names: Sequence[str]) -> None:
        """Create tenants."""
        with EnvironmentContext(self.config, self.script):
            names = [tenant.checked_name(name) for name in names]
        self.run(list(dict.fromkeys(names)))

    def migrate(self, names: list[str], canary: int) -> None:
        """Migrate tenants, except those that are known to be up to date."""
        there = 0
        if self.target is not None and (canary or not self.has_databases):
            found = self.recorded(names)
            behind = [
                name
                for name in names
                if name not in found
                or found[name].error
                or found[name].heads != self.target
            ]
            there = len(names) - len(behind)
            names = behind
        self.run(names, canary, there)

    def current(self, names: list[str], check_heads: bool) -> None:
        """Print which tenants are not at the heads.

        Raises:
            CommandError: if a tenant cannot be read, or is behind and may not be.
        """
        heads = frozenset(self.script.get_heads())
        found = self.recorded(names)
        failed = {name: each for name, each in found.items() if each.error}
        behind = {
            name: " ".join(sorted(each.heads)) or "no revision"
            for name, each in found.items()
            if not each.error and each.heads != heads
        }
        at_head = len(found) - len(failed) - len(behind)
        named = " ".join(sorted(heads)) or "no revision"
        print(
            f"{tenants(len(names))}: {at_head} at the head, {named}; {len(behind)} not"
        )
        for name in names:
            if name in behind:
                print(f"{name}  {behind[name]}")
        finish(found, len(names))
        if check_heads and behind:
            raise CommandError(
                f"{tenants(len(behind))} not at the head. Run `{invocation()} tenants upgrade`"
            )

    def recorded(self, names: list[str]) -> dict[str, Outcome]:
        """Return what each tenant records."""
        if self.has_databases:
            return self.work_through(names, replace(self.order, command="current"))
        found: dict[str, Outcome] = {}

        def read(connection: Connection, options: dict[str, Any]) -> None:
            kind = tenant.kind_with_schemas(connection.dialect.name)
            version_table = (version_table_options() | options)["version_table"]
            found.update(kind.read_schemas(connection, version_table, names))

        self.config.attributes["do_run"] = read
        run_env(self.config, self.script)
        return found

    def run(self, names: list[str], canary: int = 0, there: int = 0) -> None:
        """Let processes do what is ordered.

        Args:
            names: of the tenants.
            canary: with how many of them to begin; if one fails, the others are left alone.
            there: how many others are up to date.

        Raises:
            CommandError: if a tenant failed, or is left.
        """
        start = time.monotonic()
        total = len(names) + there
        outcomes = self.work_through(names[: canary or None], self.order)
        is_sound = not any(outcome.error for outcome in outcomes.values())
        if canary and is_sound:
            outcomes |= self.work_through(names[canary:], self.order)
        values = outcomes.values()
        failed = sum(bool(outcome.error) for outcome in values)
        there += sum(not outcome.changed for outcome in values)
        parts = [
            f"{sum(each.changed for each in values) - failed} {DONE[self.order.command]}"
        ]
        if there:
            parts.append(f"{there} there already")
        if failed:
            parts.append(f"{failed} failed")
        seconds = time.monotonic() - start
        print(f"{tenants(total)}: {', '.join(parts)}, in {seconds:.1f} s")
        finish(outcomes, len(names), is_canary=bool(canary) and not is_sound)

    def work_through(self, names: list[str], order: Order) -> dict[str, Outcome]:
        """Let processes work on tenants, and show the progress.

        Returns:
            The outcome of each; the missing ones are left, because a signal asked to stop.
        """
        outcomes: dict[str, Outcome] = {}
        failed = 0
        with stop_gently(self.stop), progress(order.command, len(names)) as show:
            for answer in hand_out(names, order, self.jobs, self.stop):
                if answer:
                    name, outcome = answer
                    if isinstance(outcome, Death):
                        outcome = Outcome(error=f"{outcome.cause}. Run it again")
                    outcomes[name] = outcome
                    failed += bool(outcome.error)
                show(len(outcomes), failed, self.stop.asked)
        return outcomes


# ------------------------------------------------------------------------------- Report

Show = Callable[[int, int, bool], None]


def is_terminal(stream: Any) -> bool:
    """Return whether a person is watching; a log of CI is no terminal, even with colours."""
    return stream.isatty() and not os.environ.get("CI")


@contextmanager
def progress(command: str, total: int) -> Iterator[Show]:
    """Show the progress: a bar on a terminal, else a line now and then.

    Yields:
        What takes how many are done, how many of them failed, and whether to stop.
    """
    if not is_terminal(sys.stderr):
        yield in_lines(command, total)
        return
    from rich.console import Console
    from rich.progress import Progress

    # Without its own thread, which would be in the way of forks and signals.
    with Progress(
        console=Console(stderr=True), auto_refresh=False, transient=True
    ) as bar:
        task = bar.add_task(command, total=total)

        def show(done: int, failed: int, stopping: bool) -> None:
            doing = "stopping" if stopping else command
            description = f"{doing}, {done} of {total}, {failed} failed"
            bar.update(task, completed=done, description=description, refresh=True)

        yield show


def in_lines(command: str, total: int) -> Show:
    """Return what prints a line from time to time, and one where it is to stop."""
    last, told = time.monotonic(), False

    def show(done: int, failed: int, stopping: bool) -> None:
        nonlocal last, told
        due = time.monotonic() - last >= PAUSE or (stopping and not told)
        if due and done < total:
            last, told = time.monotonic(), stopping
            doing = (
                "stopping as soon as the running ones are done" if stopping else command
            )
            print(f"{doing}: {done} of {total}, {failed} failed", file=sys.stderr)

    return show


def finish(outcomes: dict[str, Outcome], asked: int, is_canary: bool = False) -> None:
    """Print warnings and failures.

    Raises:
        CommandError: if there are failures, or tenants are left.
    """
    warned: dict[str, list[str]] = {}
    for name, outcome in outcomes.items():
        for warning in dict.fromkeys(outcome.warnings):
            warned.setdefault(warning, []).append(name)
    for warning, names in warned.items():
        others = f" and {len(names) - 3} more" if len(names) > 3 else ""
        print(f"WARNING {', '.join(names[:3])}{others}: {warning}")
    failed = {name: each for name, each in sorted(outcomes.items()) if each.error}
    print_failures(failed)
    left = asked - len(outcomes)
    if is_canary:
        raise CommandError(f"a canary failed: {tenants(left)} left untouched. Fix it")
    reasons = []
    if failed:
        reasons.append(f"{tenants(len(failed))} failed")
    if left:
        reasons.append(f"{tenants(left)} left, because you stopped it")
    if reasons:
        raise CommandError(f"{', '.join(reasons)}. Run it again: it tries only these")


def print_failures(failed: dict[str, Outcome]) -> None:
    """Print a table on a terminal, else lines that a program can cut."""
    rows = [
        (name, each.revision or "-", each.place or "-", each.error)
        for name, each in failed.items()
    ]
    if not rows or not is_terminal(sys.stdout):
        for row in rows:
            print("  ".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = Table("tenant", "revision", "where", "error")
    for row in rows:
        found.add_row(*map(Text, row))
    Console().print(found)


def tenants(number: int) -> str:
    """Return how many tenants, in words."""
    return f"{number} tenant{'' if number == 1 else 's'}"
