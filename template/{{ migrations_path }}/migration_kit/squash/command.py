"""One revision in place of an old part of the history.

It is written from a database that the old revisions migrated, and keeps the identifier of the
newest of them: a database that has run that one continues as if nothing had happened.
"""

import argparse
import io
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory, write_hooks
from alembic.script.revision import RevisionMap
from alembic.util import (
    CommandError,
    format_as_comma,
    load_python_file,
    template_to_file,
)
from sqlalchemy import Table

from ..histories import config_of_revision, source_of
from ..paths import migrations
from ..rooms import TABLES
from ..tables import full_name
from ..testing.scratch import ScratchDatabase
from .definitions import Definitions, differences, kind_of, read_definitions
from .rebuild import (
    Rebuild,
    Step,
    connection_of,
    count_rows,
    indent,
    new_context,
    read_rows,
    reflect_tables,
    try_steps,
)

T = TypeVar("T")

# Alembic does not read files that begin so.
STAGED = ".#squash-"

REPLACES = """\
# Squashed: git has these revisions. Upgrade a database that records one of them with the
# release that still has them first.
replaces: tuple[str, ...] = (
{names}
)


"""


def add_commands(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `squash` to the command line."""
    parser = add_parser(
        "squash", help="replace all revisions up to one by a single revision"
    )
    parser.add_argument("revision", help="the newest one to replace")
    parser.add_argument(
        "--rows",
        action=argparse.BooleanOptionalAction,
        help="whether the new revision inserts the rows of the old ones",
    )
    parser.set_defaults(
        run=lambda config, given: squash(config, given.revision, given.rows)
    )


def squash(config: Config, revision: str, rows: bool | None = None) -> None:
    """Replace all revisions up to one by a single one, or finish what was interrupted.

    Args:
        config: of alembic.ini.
        revision: the newest one to replace, or the beginning of its identifier.
        rows: whether the new one inserts the rows that the old ones inserted; None refuses if
            there are any.

    Raises:
        CommandError: if it is not possible, or would not bring the same; all is as it was then.
    """
    config = config_of_revision(config, revision)
    script = ScriptDirectory.from_config(config)
    newest = script.get_revision(revision)
    old = revisions_before(script, newest)
    left = [
        step
        for step in script.walk_revisions()
        if step.revision in getattr(newest.module, "replaces", ())
    ]
    if left and not old:  # it was interrupted
        put_in_place(script, newest, left)
        print(f"Finished: deleted {len(left)} files that {newest.revision} replaces.")
        return
    refuse_others(script, newest, old)
    refuse_uncommitted([newest, *old])
    work = Squash(config, script, newest, old)
    staged = Path(newest.path).with_name(f"{STAGED}{newest.revision}.py")
    try:
        work.write(staged, rows)
        work.verify(staged)
        # All or nothing; what follows can be done again.
        os.replace(staged, newest.path)
    finally:
        staged.unlink(missing_ok=True)
    path = put_in_place(script, load(script, Path(newest.path)), old)
    print(f"{os.path.relpath(path)} replaces {len(old) + 1} revisions.")
    print(
        "On scratch databases it has the same result, and so have all later revisions. "
        f"A database before {newest.revision} needs the release that still has them."
    )


def revisions_before(script: ScriptDirectory, newest: Script) -> list[Script]:
    """Return all revisions that one builds or depends on, the newest first."""
    names = {newest.revision}
    found = []
    for step in script.walk_revisions():  # each before those that it builds on
        if step.revision in names:
            names.update(step._all_down_revisions)
            found.append(step)
    return [step for step in found if step is not newest]


def refuse_others(script: ScriptDirectory, newest: Script, old: list[Script]) -> None:
    """Stop if something builds on a revision that would be gone.

    Raises:
        CommandError: naming it.
    """
    if not old:
        raise CommandError(
            f"nothing to squash: {newest.revision} is the first one. Name a later revision"
        )
    names = {step.revision for step in old}
    kept = names | {newest.revision}
    for step in script.walk_revisions():
        used = sorted(names.intersection(step._all_down_revisions))
        if step.revision not in kept and used:
            raise CommandError(
                f"cannot squash {used[0]}: {step.revision} builds on it, too. "
                f"Squash up to {used[0]} at most, or from where they are merged"
            )
    if heads := [step.revision for step in old if step.is_head]:
        raise CommandError(
            f"cannot squash {heads[0]}: it is the head of another line, and databases record "
            f"it. Name a revision before {newest.revision}, which depends on it"
        )


def refuse_uncommitted(steps: Sequence[Script]) -> None:
    """Stop if git does not have a file that would be deleted.

    Raises:
        CommandError: naming it. Without git it says nothing.
    """
    paths = [step.path for step in steps]
    git = ["git", "status", "--porcelain", "-z", "--", *paths]
    try:
        result = subprocess.run(
            git, cwd=migrations(), capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return
    if changed := [line[3:] for line in result.stdout.split("\0") if line]:
        raise CommandError(
            f"{changed[0]} is not committed, and squash deletes it. Commit it first"
        )


def put_in_place(script: ScriptDirectory, new: Script, old: Sequence[Script]) -> Path:
    """Give the new revision its name, and delete what it replaces; return its path.

    After a crash all of this can be done again: until the last file is deleted, every command
    says that something was interrupted.
    """
    path = Path(new.path)
    final = script._rev_path(path.parent, new.revision, new.doc, created(new))
    path.rename(final)
    for step in old:
        Path(step.path).unlink(missing_ok=True)
    return final


def created(step: Script) -> datetime:
    """Return when a revision was made, as its text says."""
    found = re.search(r"(?m)^Create Date: (.+)$", step.longdoc)
    try:
        return datetime.fromisoformat(found[1].strip() if found else "")
    except ValueError:
        return datetime.now(UTC)


def load(script: ScriptDirectory, path: Path) -> Script:
    """Return a revision, also one whose file Alembic does not read."""
    module = load_python_file(path.parent, path.name)
    return Script(module, module.revision, path)


def future_history(
    config: Config, old: Sequence[Script], staged: Path
) -> ScriptDirectory:
    """Return a history as it will be.

    Args:
        config: of the history.
        old: the revisions that are replaced.
        staged: the file of the one that takes their place.
    """
    names = {step.revision for step in old}
    script = ScriptDirectory.from_config(config)
    steps = [step for step in script._load_revisions() if step.revision not in names]
    steps.append(load(script, staged))
    script.revision_map = RevisionMap(lambda: steps)
    return script


def on_scratch(
    scratch: ScratchDatabase,
    script: ScriptDirectory,
    function: Callable[[MigrationContext], T],
) -> T:
    """Call a function where env.py has connected, and return what it returns."""
    results: list[T] = []

    def read(_: object, migration: MigrationContext) -> list[Any]:
        results.append(function(migration))
        return []

    read.__qualname__ = "squash"  # as which an error names the command
    with EnvironmentContext(scratch.config(), script, fn=read):
        script.run_env()
    return results[-1]


def migrate(
    scratch: ScratchDatabase, script: ScriptDirectory, revision: str, down: bool = False
) -> None:
    """Migrate a scratch database, with a history that need not be the one on the disk."""
    steps = script._downgrade_revs if down else script._upgrade_revs

    def run(recorded: str, _: object) -> list[Any]:
        return steps(revision, recorded)

    run.__qualname__ = "squash"
    with EnvironmentContext(scratch.config(), script, fn=run, destination_rev=revision):
        script.run_env()


class Squash:
    """Writes one revision that brings the same as several, and shows that it does.

    Args:
        config: of the history's section in alembic.ini.
        script: the history.
        newest: the revision whose place the new one takes.
        old: those before it.
    """

    def __init__(
        self, config: Config, script: ScriptDirectory, newest: Script, old: list[Script]
    ) -> None:
        self.config = config
        self.script = script
        self.newest = newest
        self.old = old
        self.before: Definitions = {}  # in a new database, such as the version table
        self.expected: Definitions = {}
        self.at_heads: Definitions = {}
        self.tables: list[Table] = []
        self.rows = False

    def scratch(self) -> ScratchDatabase:
        """Return another scratch database, which is yet to be created."""
        file = Path(self.config.config_file_name or "").resolve()
        return ScratchDatabase(file, self.config.config_ini_section)

    def read_schema(self, migration: MigrationContext) -> Definitions:
        """Return what the migrations have made, without rows."""
        return {
            key: definition
            for key, definition in read_definitions(connection_of(migration)).items()
            if (key not in self.before or self.before[key].shape != definition.shape)
            and definition.table.rpartition(".")[2] not in TABLES
        }

    def read(self, migration: MigrationContext) -> Definitions:
        """Return what the migrations have made; also rows, if they count."""
        found = self.read_schema(migration)
        if self.rows:
            rows = read_rows(connection_of(migration), self.tables_with_rows())
            found |= {definition.key: definition for definition in rows}
        return found

    def tables_with_rows(self) -> list[Table]:
        """Return the tables that may have rows of their own."""
        return [
            table
            for table in self.tables
            if ("partition", full_name(table.schema, table.name)) not in self.expected
        ]

    def write(self, staged: Path, rows: bool | None) -> None:
        """Write the file of the new revision.

        Args:
            staged: where to write it.
            rows: whether it inserts rows; None refuses where there are any.

        Raises:
            CommandError: naming the tables with rows, or what cannot be carried over.
        """
        with self.scratch().create() as database:
            self.before = on_scratch(database, self.script, self.read_schema)
            migrate(database, self.script, self.newest.revision)
            rebuild = on_scratch(
                database, self.script, lambda found: self.learn(found, rows)
            )
            migrate(database, self.script, "heads")
            self.at_heads = on_scratch(database, self.script, self.read_schema)
        while True:
            with self.scratch().create() as trial:
                steps, imports = on_scratch(
                    trial, self.script, lambda found: self.attempt(found, rebuild)
                )
            if steps:
                break
        generate(self.script, self.newest, self.old, staged, steps, imports)

    def learn(self, migration: MigrationContext, rows: bool | None) -> Rebuild:
        """Read what the old revisions have made, and return what writes it.

        Raises:
            CommandError: if there are rows, and no option says whether to keep them.
        """
        connection = connection_of(migration)
        self.expected = self.read_schema(migration)
        source = "".join(
            source_of(one).read_text("utf-8") for one in (self.newest, *self.old)
        )
        self.tables = reflect_tables(migration, self.expected, source)
        counts = count_rows(connection, self.tables_with_rows())
        named = ", ".join(f"{name} ({count})" for name, count in counts.items())
        if counts and rows is None:
            raise CommandError(
                f"the old revisions insert rows: {named}. "
                "Run again with `--rows` to keep them, or with `--no-rows` to leave them out"
            )
        if counts:
            print(f"Rows {'inserted' if rows else 'left out'}: {named}")
        self.rows = bool(rows)
        self.expected = self.read(migration)
        return Rebuild(kind_of(connection), self.expected, self.tables)

    def attempt(
        self, migration: MigrationContext, rebuild: Rebuild
    ) -> tuple[list[Step], set[str]]:
        """Return the parts of the new revision, or nothing if there is something to learn.

        Raises:
            CommandError: naming what cannot be carried over.
        """
        context = new_context(migration)
        steps, errors = try_steps(migration, context, rebuild.steps(context))
        if errors:
            rebuild.learn_of_errors(errors)
            return [], set()
        missing, beside = differences(self.expected, self.read(migration))
        if missing or beside:
            rebuild.learn(missing, beside)
            return [], set()
        return steps, context.imports

    def verify(self, staged: Path) -> None:
        """Show that upgrade, downgrade and later revisions have the same result as before.

        Raises:
            CommandError: naming what differs.
        """
        future = future_history(self.config, [self.newest, *self.old], staged)
        newest = self.newest.revision
        with self.scratch().create() as database:
            migrate(database, future, newest)
            found = on_scratch(database, future, self.read)
            refuse_differences(self.expected, found, f"at {newest}")
            migrate(database, future, "base", down=True)
            left = on_scratch(database, future, self.read_schema)
            refuse_differences({}, without_shared(left), "after its downgrade")
            migrate(database, future, "heads")
            found = on_scratch(database, future, self.read_schema)
            refuse_differences(self.at_heads, found, "at the heads")


def without_shared(found: Definitions) -> Definitions:
    """Leave out what a downgrade leaves, as others may use it as well."""
    return {
        key: one
        for key, one in found.items()
        if one.kind not in {"schema", "extension"}
    }


def refuse_differences(expected: Definitions, found: Definitions, where: str) -> None:
    """Stop if two databases differ.

    Raises:
        CommandError: naming what differs.
    """
    missing, beside = differences(expected, found)
    if differ := sorted({str(one) for one in (*missing, *beside)}):
        raise CommandError(
            f"nothing was squashed: the new revision would differ {where} in "
            f"{', '.join(differ[:9])}. Squash up to an earlier revision"
        )


def generate(
    script: ScriptDirectory,
    newest: Script,
    old: Sequence[Script],
    path: Path,
    steps: Sequence[Step],
    imports: set[str],
) -> None:
    """Write the file of a revision from the history's own template, and run its hooks.

    Args:
        script: the history.
        newest: the revision whose place the new one takes.
        old: those before it.
        path: of the file.
        steps: the parts of the revision, in their order.
        imports: lines that these need.
    """
    labels = {label for step in (newest, *old) for label in step._orig_branch_labels}
    ups = [indent(step.upgrade) for step in steps]
    downs = [indent(step.downgrade) for step in reversed(steps) if step.downgrade]
    template_to_file(
        Path(script.dir, "script.py.mako"),
        path,
        script.output_encoding,
        message=f"Squash of {len(old) + 1} revisions",
        up_revision=newest.revision,
        down_revision=None,
        branch_labels=tuple(sorted(labels)) or None,
        depends_on=None,
        create_date=created(newest),
        comma=format_as_comma,
        imports="\n".join(sorted(imports)),
        upgrades="\n    ".join(ups),
        downgrades="\n    ".join(downs),
    )
    replaced = {
        str(name): None
        for step in reversed(old)
        for name in (*getattr(step.module, "replaces", ()), step.revision)
    }
    names = "\n".join(f'    "{name}",' for name in replaced)
    source = path.read_text(encoding="utf-8")
    replaces = REPLACES.format(names=names)
    before, upgrade, after = source.partition("def upgrade(")
    source = f"{before.rstrip()}\n\n{replaces}{upgrade}{after}"
    path.write_text(source, encoding="utf-8", newline="\n")
    with redirect_stdout(io.StringIO()):
        write_hooks._run_hooks(path, script.hooks)
