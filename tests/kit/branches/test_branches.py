"""Several lines of revisions in one database, each with a branch label, set up by hand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from support.projects import New, Project, last_line
from support.revisions import HERO, add_revision, revision_of, write_downgrades
from support.variants import ENGINES, POSTGRESQL, Engine, Variant

SHELVES = "migrations/versions/shelves"

SHELF = """\
from sqlalchemy.orm import Mapped, mapped_column

from my_app.models import Base


class Shelf(Base):
    __tablename__ = "shelves"

    id: Mapped[int] = mapped_column(primary_key=True)
"""

CREATE = 'op.create_table("{0}", sa.Column("id", sa.Integer(), primary_key=True))'
DROP = 'op.drop_table("{0}")'
UNSAFE = 'op.create_index("ix_age", "heroes", ["age"])'


def read_folders(project: Project, *folders: str) -> None:
    """Let Alembic read several folders."""
    locations = ":".join(f"%(here)s/{folder}" for folder in folders)
    separator = "path_separator = os\n"
    setting = f"{separator}version_locations = {locations}\n"
    project.edit("alembic.ini", separator, setting)


def add(
    project: Project,
    name: str,
    before: str | None = None,
    label: str | None = None,
    depends_on: str | None = None,
    folder: str = SHELVES,
) -> Path:
    """Write a revision that makes a table of its name."""
    (project / folder).mkdir(exist_ok=True)
    create, drop = CREATE.format(name), DROP.format(name)
    path = add_revision(project / folder, name, create, drop, before)
    further = f"branch_labels = {label!r}\ndepends_on = {depends_on!r}\n"
    path.write_text(path.read_text().replace("\n\n\n", f"\n{further}\n\n", 1))
    return path


def two_lines(project: Project) -> Project:
    """Let shelves stand beside the heroes; their second revision needs the heroes' first."""
    read_folders(project, "migrations/versions", SHELVES)
    add(project, "shelf1", label="shelves")
    add(project, "shelf2", "shelf1", depends_on=HERO)
    project.kit("head")
    return project


def test_line_of_its_own_is_written_and_migrated(new: New) -> None:
    """By what docs/migrations.md says."""
    project = new(POSTGRESQL)
    page = project.read("docs/migrations.md").replace("\\\n", "")
    [setting] = re.findall(r"(?m)^version_locations = .*\n", page)
    first, second = re.findall(r"(?m)^uv run alembic (revision .*--head .*)$", page)
    separator = "path_separator = os\n"
    project.edit("alembic.ini", separator, separator + setting)
    project.upgraded()
    project.write("src/my_app/models/shelf.py", SHELF)
    for command in (first, second):
        project.alembic(*shlex.split(command))
    write_downgrades(project / SHELVES)
    [path] = (project / SHELVES).glob("*_place_heroes.py")
    newest = revision_of(path)
    assert project.head().split() == sorted([HERO, newest])
    assert last_line(project.alembic("check", fails=True)).endswith(
        ". Run `alembic upgrade heads`"
    )
    line = last_line(project.alembic("upgrade", "head", fails=True))
    assert line.endswith("or 'heads' for all heads")
    project.alembic_each(
        [
            ["upgrade", "heads"],
            ["check"],
            ["downgrade", "shelves@base"],
            ["upgrade", "shelves@head"],
            ["downgrade", "base"],
            ["upgrade", "heads"],
            ["upgrade", "heads"],
            ["check"],
        ]
    )
    assert project.version() == [newest]  # which says that its dependency has run
    assert project.tables() == {"heroes", "shelves"}
    assert "7 passed" in project.own_tests()
    project.kit("draw")
    assert f"r{HERO} -.-> r{newest}\n" in project.read("docs/schema.md")


def test_only_heads_of_one_line_are_too_many(new: New) -> None:
    project = two_lines(new())
    add(project, "shelf3", "shelf1")
    project.kit("head")
    only = ("tests/test_migrations.py", "-k", "one_head or head_file or up_down")
    output = project.own_tests(*only, fails=True)
    assert "1 failed, 2 passed" in output
    remedy = "run `alembic merge shelf2 shelf3` instead"
    assert "Multiple head revisions: two branches each added one. Run" in output
    assert remedy in output
    assert remedy in project.alembic("upgrade", "shelves@head", fails=True)


def test_rebase_stays_in_its_line(new: New) -> None:
    """The heroes' head is none of the shelves' business, nor the other way round."""
    project = two_lines(new())
    for head in (HERO, "shelf2"):
        output = last_line(project.rebase(head, fails=True))
        assert output.startswith(
            f"nothing to rebase: {head} is not one of several heads ({head}). "
        )
    add(project, "theirs", "shelf2")
    add(project, "ours", "shelf2")
    project.rebase("ours")
    assert len(project.head().split()) == 2
    assert "6 passed" in project.own_tests("-k", "not models_equal")


@pytest.mark.parametrize("example", ["none", "hero"])
def test_database_that_ran_the_old_order_keeps_its_other_lines(
    new: New, example: str
) -> None:
    """Also where the moved revision was the first one of its line."""
    project = new(Variant(example=example))
    read_folders(project, "migrations/versions", SHELVES)
    fork = None if example == "none" else HERO
    add(project, "shelf1", label="shelves", depends_on=fork)
    for name in ("theirs", "ours"):
        add(project, name, fork, folder="migrations/versions")
    project.alembic_each([["upgrade", "ours"], ["upgrade", "shelf1"]])
    project.commit()
    printed = project.rebase("ours")
    line = last_line(project.alembic("current", fails=True))
    assert line.split(" now. ", 1)[1] in printed
    [downgrade] = re.findall(r"`alembic ([^`]+)` on the commit before that", line)
    project.git("stash", "--quiet", "--include-untracked")
    project.alembic(*downgrade.split())
    project.git("stash", "pop", "--quiet")
    project.alembic("upgrade", "heads")
    assert project.tables() - {"heroes"} == {"shelf1", "theirs", "ours"}
    assert sorted(project.version()) == project.head().split()
    project.alembic("downgrade", "base")


def test_rebase_moves_nothing_that_another_line_depends_on(new: New) -> None:
    project = two_lines(new())
    for name in ("theirs", "ours"):
        add(project, name, HERO, folder="migrations/versions")
    add(project, "shelf3", "shelf2", depends_on="ours")
    line = last_line(project.rebase("ours", fails=True))
    assert line.startswith("ours, theirs have no one order: there is ")
    assert line.endswith(". Run `alembic merge ours theirs`")
    assert (project / "migrations/versions/ours.py").exists()


def test_lint_prints_no_revision_that_a_new_one_depends_on(new: New) -> None:
    project = new(POSTGRESQL)
    add(project, "unsafe", HERO, folder="migrations/versions")
    path = project / "migrations/versions/unsafe.py"
    path.write_text(path.read_text().replace(CREATE.format("unsafe"), UNSAFE))
    project.commit()
    read_folders(project, "migrations/versions", SHELVES)
    add(project, "shelf1", label="shelves", depends_on="unsafe")
    add(project, "shelf2", "shelf1", depends_on=HERO)
    assert project.lint() == "2 new revisions: nothing found\n"


def test_revision_that_stops_is_named_wherever_it_lies(new: New) -> None:
    project = new()
    read_folders(project, "migrations/versions", "migrations/shelves")
    path = add(project, "shelf1", label="shelves", folder="migrations/shelves")
    project.write("src/my_app/rows.py", "def fill() -> None:\n    1 / 0\n")
    call = "__import__('my_app.rows').rows.fill()"
    path.write_text(path.read_text().replace(CREATE.format("shelf1"), call))
    line = last_line(project.alembic("upgrade", "heads", fails=True))
    assert line.startswith("upgrade stopped: migrations/shelves/shelf1.py, line 1")


def test_recursive_folders_are_read(new: New) -> None:
    project = new()
    path = add(project, "shelf1", HERO)
    project.edit(
        "alembic.ini",
        "path_separator",
        "recursive_version_locations = true\npath_separator",
    )
    project.kit("head")
    assert project.upgraded().version() == ["shelf1"]
    path.rename(path.parents[1] / path.name)


# Prints how many transactions of PostgreSQL wrote something, and how often SQLite looked for lost
# foreign keys.
WATCH = """
engine, seen = create_engine(URL), []
config.attributes["connection"] = engine
def commits(connection):
    if engine.dialect.name == "postgresql":
        if connection.exec_driver_sql("SELECT pg_current_xact_id_if_assigned()").scalar():
            seen.append("commit")
def executes(connection, cursor, statement, *others):
    if statement == "PRAGMA foreign_key_check":
        seen.append("check")
event.listen(engine, "commit", commits)
event.listen(engine, "before_cursor_execute", executes)
for target in "heads", "heads":
    command.upgrade(config, target)
    print(*seen)
    seen.clear()
"""


@pytest.mark.parametrize(
    ("engine", "first"),
    [(ENGINES[0], "check check"), (POSTGRESQL, "commit commit commit commit")],
    ids=str,
)
def test_all_lines_count_where_an_upgrade_has_nothing_to_do(
    new: New, engine: Engine, first: str
) -> None:
    """The version table lacks the heroes' head, as the shelves' depends on it."""
    output = two_lines(new(engine)).program(WATCH)
    assert output.splitlines() == [first, ""]
