"""Find in new revisions what destroys data, breaks the previous release, or stops a database in use.

A revision that does it on purpose says so, and why:

    # lint-accept: drop-column heroes.age
    # No release has used the column since 2.3.
"""

import argparse
import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from ..histories import histories, source_of
from ..paths import migrations
from ..rooms import part
from ..sections import databases
from ..settings import url_variable
from .changes import Finding, examine, not_accepted
from .raw_sql import has_sqlglot
from .reading import plain_dialect
from .rules import Rules, rules_of
from .usage import Usage

# How many places in the source are named for a finding.
MOST_PLACES = 8

# Of a revision that others were squashed into.
REPLACES = re.compile(r"^replaces\b", re.MULTILINE)

GONE = {"drop-table", "drop-column", "rename-table", "rename-column"}


def add_commands(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `lint` to the command line."""
    parser = add_parser(
        "lint",
        help="find in new revisions what destroys data or stops a database in use",
    )
    parser.add_argument(
        "commit", nargs="?", default="HEAD", help="git commit that has the old ones"
    )
    parser.set_defaults(run=lambda config, given: lint(config, given.commit))


def lint(config: Config, commit: str) -> None:
    """Print what is found in new revisions, and in old ones that were changed.

    Args:
        config: of alembic.ini.
        commit: a commit of git; the revisions that it has are not new.

    Raises:
        CommandError: if anything was found that no comment accepts, or a tool is missing.
    """
    usage = Usage(Path(str(config.config_file_name)).parent)
    several = len(databases(config.config_file_name)) > 1
    count, found = 0, False
    for one, script in histories(config):
        new = new_revisions(script, commit)
        count += len(new)
        rules = rules_of(plain_dialect(database_of(one)))
        lines = [
            *report(rules, script, new, usage),
            *report_changed(rules, script, commit, usage),
        ]
        if lines and several:
            print(f"[{one.config_ini_section}]")
        for line in lines:
            print(line)
        found = found or bool(lines)
    if found:
        raise CommandError(
            "the revisions lose data or block a database. Fix them, or add "
            "`# lint-accept: RULE NAME`, and below it a comment with the reason"
        )
    print(f"{count} new revision{'' if count == 1 else 's'}: nothing found")


def report(
    rules: Rules, script: ScriptDirectory, new: Sequence[Script], usage: Usage
) -> Iterator[str]:
    """Yield the lines about the new revisions of one history.

    Raises:
        CommandError: if a tool that is needed is missing.
    """
    for one in examine(script, new, rules):
        findings = sorted(
            [*one.findings, *rules.findings_of(one)], key=lambda one: one.line
        )
        for finding in not_accepted(findings, rules):
            yield from describe(finding, usage)
        if one.has_raw_sql and not has_sqlglot():
            print(
                f"{relative(one.revision.path)}: in its own SQL only DROP, RENAME and TRUNCATE "
                "were looked for. Run `uv add --dev sqlglot`, which reads the rest",
                file=sys.stderr,
            )


def describe(finding: Finding, usage: Usage) -> Iterator[str]:
    """Yield the lines about one finding."""
    path = relative(finding.revision.path)
    yield f"{path}:{finding.line}: {finding.rule} {finding.name}".rstrip()
    yield f"  {finding.message}"
    if finding.remedy:
        yield f"  safe: {finding.remedy}"
    if finding.rule in GONE:
        places = usage.places(finding.name, is_column="column" in finding.rule)
        shown = [f"{relative(file)}:{line}" for file, line in places[:MOST_PLACES]]
        if more := places[MOST_PLACES:]:
            shown.append(f"and {len(more)} more")
        if shown:
            yield f"  used by: {', '.join(shown)}"


def relative(path: str | Path) -> str:
    """Return a path as it is seen from the current folder."""
    return Path(os.path.relpath(path)).as_posix()


def database_of(config: Config) -> str:
    """Return which database a section of alembic.ini is for, by the name of its dialect."""
    url = config.get_main_option("sqlalchemy.url") or os.environ.get(
        url_variable(config.config_ini_section), ""
    )
    try:
        return make_url(url).get_backend_name()
    except (ArgumentError, ValueError):
        # env.py gives it one, of a kind that the kit has.
        return next(
            kind for kind in ("postgresql", "mysql", "sqlite") if part("lint", kind)
        )


# ------------------------------------------------------------------------------- git


def git(*arguments: str) -> str:
    """Return what git prints; nothing where it fails, as before the first commit."""
    run = subprocess.run(
        ["git", *arguments],
        cwd=migrations(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return "" if run.returncode else run.stdout


def new_revisions(script: ScriptDirectory, commit: str) -> list[Script]:
    """Return the revisions whose file a git commit does not have, oldest first.

    A merge changes nothing and is left out. If there is no such commit, as before
    the first one, every revision is new.
    """
    listed = git("ls-tree", "--name-only", "-z", "-r", commit)
    known = {Path(name).name for name in listed.split("\0")}
    return [
        revision
        for revision in reversed(list(script.walk_revisions()))
        if Path(revision.path).name not in known and not revision.is_merge_point
    ]


def report_changed(
    rules: Rules, script: ScriptDirectory, commit: str, usage: Usage
) -> Iterator[str]:
    """Yield the lines about revisions of a git commit that were edited or deleted since.

    A database that ran one does not run it again, so it and a new database differ from then on.
    What counts is the code: comments and docstrings may change. A revision whose identifier is
    in another one's file, because it was rebased or squashed, is not deleted.
    """
    commit = git("merge-base", commit, "HEAD").strip() or commit
    folders = [str(folder) for folder in script._version_locations]
    status = git("diff", "--name-status", "--no-renames", "-z", commit, "--", *folders)
    root = git("rev-parse", "--show-toplevel").strip()
    revisions = {source_of(one): one for one in script.walk_revisions()}
    sources = {path: path.read_text(encoding="utf-8") for path in revisions}
    fields = status.split("\0")
    for kind, name in zip(fields[::2], fields[1::2], strict=False):
        path = Path(root, name)
        if kind not in ("M", "D") or path.suffix != ".py":
            continue
        before = git("show", f"{commit}:{name}")
        identifier = identifier_of(before)
        if not identifier:
            continue
        by_name = {one.revision: file for file, one in revisions.items()}
        now = by_name.get(identifier)
        squashed = now and REPLACES.search(sources[now]) and not REPLACES.search(before)
        if now and not squashed and code_of(before) != code_of(sources[now]):
            finding = Finding(
                revisions[now],
                1,
                "edited-revision",
                identifier,
                f"{commit[:12]} has it with other code: a database that ran it skips this",
                "restore it, and write the change into a new revision",
                False,
            )
            for left in not_accepted([finding], rules):
                yield from describe(left, usage)
        names = re.compile(rf"(?<!\w){re.escape(identifier)}(?!\w)")
        if not now and not any(map(names.search, sources.values())):
            yield f"{relative(path)}: deleted-revision {identifier}"
            yield "  a database that ran it stops with `Can't locate revision`"
            yield (
                f"  safe: `git checkout {commit[:12]} -- {relative(path)}`, and a new revision "
                "that undoes it"
            )


def code_of(source: str) -> str:
    """Return what a revision does, without its comments and docstrings."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
            match node.body:
                case [ast.Expr(ast.Constant(str())), *rest]:
                    node.body = rest
    return ast.dump(tree)


def identifier_of(source: str) -> str:
    """Return the identifier that the file of a revision assigns, or nothing."""
    found = re.search(
        r"^revision\b[^=\n]*= *[\"']([^\"'\n]+)[\"']", source, re.MULTILINE
    )
    return found[1] if found else ""
