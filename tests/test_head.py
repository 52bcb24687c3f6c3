"""HEAD names the newest revision: two branches conflict in git, and rebase mends it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.commands import run, script
from support.damage import two_heads
from support.projects import New, Project
from support.revisions import HERO, revision_of, write_downgrades
from support.variants import Variant


def new_revision(project: Project, message: str) -> Path:
    """Let Alembic write a revision, with a way back, and return its path."""
    project.alembic("revision", "-m", message)
    write_downgrades(project.versions)
    return project.revision(message)


def test_revision_writes_head(new: New) -> None:
    project = new(Variant(example="none"))
    assert not (project / "migrations/HEAD").exists()
    for message in ("first", "second"):
        path = new_revision(project, message)
        assert project.head() == f"{revision_of(path)}\n"


def test_merge_writes_head(new: New) -> None:
    project = new()
    two_heads(project)
    assert project.head() == "one\ntwo\n"
    project.alembic("merge", "heads", "-m", "join")
    assert project.head() == f"{revision_of(project.revision('join'))}\n"
    assert "7 passed" in project.own_tests()


def test_head_is_written_before_a_tool_is_missed(new: New) -> None:
    """Alembic stops at a hook whose tool is missing, when the revision is there already."""
    project = new()
    ini = project / "alembic.ini"
    ini.write_text(ini.read_text().replace("lint.module = ruff", "lint.module = none"))
    project.alembic("revision", "-m", "first", fails=True)
    assert project.head() == f"{revision_of(project.revision('first'))}\n"


def branches(project: Project) -> tuple[Path, list[Path]]:
    """Let main and a branch both add revisions; return main's, and the branch's two."""
    project.commit()
    project.git("switch", "--quiet", "--create", "branch")
    ours = [new_revision(project, "ours"), new_revision(project, "ours too")]
    project.commit("ours")
    project.git("switch", "--quiet", "main")
    theirs = new_revision(project, "theirs")
    project.commit("theirs")
    return theirs, ours


@pytest.mark.parametrize("example", ["none", "hero"])
def test_two_branches_conflict_in_git_and_rebase_mends_it(
    new: New, example: str
) -> None:
    project = new(Variant(example=example))
    theirs, (first, second) = branches(project)
    run("git", "merge", "branch", cwd=project, fails=True)
    assert project.git("diff", "--name-only", "--diff-filter=U").split() == [
        "migrations/HEAD"
    ]

    output = project.rebase(revision_of(second))
    assert project.head() == f"{revision_of(second)}\n"
    assert not first.exists()
    names = sorted(path.name for path in theirs.parent.glob("*.py"))[-3:]
    assert [name.split("-")[1] for name in names] == [
        path.name.split("-")[1] for path in (theirs, first, second)
    ]
    source = (theirs.parent / names[1]).read_text()
    assert f"Revises: {revision_of(theirs)}\n" in source
    assert f' = "{revision_of(theirs)}"\n' in source
    assert f"`alembic downgrade {revision_of(theirs)}`" in output
    run(script("ruff"), "format", "--check", cwd=project)
    assert "7 passed" in project.own_tests()
    project.alembic("upgrade", "head")


def test_rebase_says_what_a_database_needs(new: New) -> None:
    """Whoever ran the branch's revisions has to take them back, and run main's first."""
    project = new()
    create = 'op.create_table("{0}", sa.Column("id", sa.Integer()))'
    drop = 'op.drop_table("{0}")'
    project.add_revision("theirs", create.format("theirs"), drop.format("theirs"))
    project.add_revision("ours", create.format("ours"), drop.format("ours"))
    project.alembic("upgrade", "ours")
    output = project.rebase("ours")
    commands = re.findall(r"`alembic ([\w ]+)`", output.splitlines()[-1])
    project.alembic_each([command.split() for command in commands])
    assert project.tables() == {"heroes", "theirs", "ours"}
    assert project.query("SELECT version_num FROM alembic_version") == [("ours",)]


def test_rebase_refuses_what_has_no_one_way(new: New) -> None:
    project = new()
    assert "FAILED: " in project.rebase(HERO, fails=True)
    assert "nothing to rebase" in project.rebase(HERO, fails=True)
    assert "Can't locate revision" in project.rebase("nonsense", fails=True)
    two_heads(project)
    before = sorted(project.versions.iterdir())
    assert "nothing to rebase" in project.rebase(HERO, fails=True)
    project.add_revision("three", "pass")
    assert "join them first" in project.rebase("one", fails=True)
    (project / "migrations/versions/three.py").unlink()
    path = project.add_revision("four", "pass", down_revision="one")
    path.write_text(path.read_text() + '\ndepends_on = "two"\n')
    assert "`alembic merge heads`" in project.rebase("four", fails=True)
    path.unlink()
    assert sorted(project.versions.iterdir()) == before
