"""HEAD names the newest revision: two branches conflict in git, and rebase mends it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.commands import run, script
from support.damage import two_heads
from support.projects import New, Project, last_line
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


def test_hook_of_an_older_release_writes_head(new: New) -> None:
    """An alembic.ini of 2.4 that somebody edited keeps it, if a conflict is resolved so."""
    project = new()
    project.edit("alembic.ini", " written REVISION", " head REVISION")
    path = new_revision(project, "first")
    assert project.head() == f"{revision_of(path)}\n"
    assert "FILE" not in project.kit("head", "--help")


def test_hook_says_nothing_where_no_room_follows_a_revision(new: New) -> None:
    """Without branches alembic.ini names no such hook; one that is left does no harm."""
    project = new(features=["autogenerate"])
    assert "'kit'" not in project.alembic("revision", "-m", "first")
    assert project.kit("written", str(project.revision("first"))) == ""
    assert not (project / "migrations/HEAD").exists()


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
    names = sorted(path.name for path in project.versions.glob("*.py"))[-3:]
    revisions = [name.split("-")[1].split("_")[0] for name in names]
    assert [
        name.split(f"{revision}_")[1]
        for name, revision in zip(names, revisions, strict=True)
    ] == [
        "theirs.py",
        "ours.py",
        "ours_too.py",
    ]
    assert revisions[0] == revision_of(theirs)
    assert {revision_of(first), revision_of(second)}.isdisjoint(revisions)
    assert project.head() == f"{revisions[2]}\n"
    source = (theirs.parent / names[1]).read_text()
    assert f"Revision ID: {revisions[1]}\nRevises: {revisions[0]}\n" in source
    assert f"# Rebased: before, it was {revision_of(first)} and came after " in source
    assert f'revision: str = "{revisions[1]}"\n' in source
    assert f' = "{revisions[0]}"\n' in source
    assert f"`alembic downgrade {revisions[0]}`" in output
    run(script("ruff"), "format", "--check", cwd=project)
    assert "7 passed" in project.own_tests()
    project.alembic("upgrade", "head")


@pytest.mark.parametrize("ran", [1, 2])
def test_database_that_ran_the_old_order_does_not_pass_for_up_to_date(
    new: New, ran: int
) -> None:
    """Each command names what brings it into the new order, also when half of it was run."""
    project = new()
    create = 'op.create_table("{0}", sa.Column("id", sa.Integer()))'
    drop = 'op.drop_table("{0}")'
    for name, before in (("theirs", HERO), ("ours", HERO), ("more", "ours")):
        project.add_revision(name, create.format(name), drop.format(name), before)
    project.alembic("upgrade", ["ours", "more"][ran - 1])
    printed = project.rebase("more").splitlines()[-1]
    for command in (["upgrade", "head"], ["current"], ["check"], ["downgrade", "-1"]):
        line = last_line(project.alembic(*command, fails=True))
        assert "Can't locate revision identified by" in line
        assert "it was rebased and is" in line
    assert ran == 1 or line.split(" now. ", 1)[1] in printed
    commands = re.findall(r"`alembic ([^`]+)`", line)
    project.alembic_each([command.split() for command in commands])
    assert project.tables() == {"heroes", "theirs", "ours", "more"}
    assert project.version() == project.head().split()
    project.alembic("downgrade", "base")


def test_rebase_of_a_rebased_revision_knows_every_name_that_it_had(new: New) -> None:
    project = new()
    for name in ("theirs", "ours"):
        project.add_revision(name, 'op.execute("SELECT 1")', '"""Nothing was done."""')
    project.alembic("upgrade", "ours")
    project.rebase("ours")
    once = project.head().strip()
    project.add_revision("third", 'op.execute("SELECT 1")', down_revision="theirs")
    project.rebase(once)
    for old in ("ours", once):
        project.query(f"UPDATE alembic_version SET version_num = '{old}'")
        line = last_line(project.alembic("current", fails=True))
        assert f"it was rebased and is {project.head().strip()} now" in line


def test_rebase_refuses_a_revision_that_it_cannot_read(new: New) -> None:
    """Nothing is half done: the first of the two could have been moved."""
    project = new()
    project.add_revision("theirs", "pass")
    project.add_revision("ours", "pass")
    path = project.add_revision("more", "pass", down_revision="ours")
    source = path.read_text()
    one_line = 'revision, down_revision = "more", "ours"\n'
    source = source.replace('revision = "more"\n', one_line)
    path.write_text(source.replace("down_revision = 'ours'\n", ""))
    before = {file: file.read_text() for file in project.revisions}
    output = project.rebase("more", fails=True)
    assert "more.py: `revision` and `down_revision` need a line each" in output
    assert {file: file.read_text() for file in project.revisions} == before


def test_rebase_refuses_what_has_no_one_way(new: New) -> None:
    project = new()
    assert "FAILED: " in project.rebase(HERO, fails=True)
    assert "nothing to rebase" in project.rebase(HERO, fails=True)
    line = last_line(project.rebase("nonsense", fails=True))
    assert "Can't locate revision" in line
    assert ". Use the release that has it; " in line
    two_heads(project)
    before = sorted(project.versions.iterdir())
    assert "nothing to rebase" in project.rebase(HERO, fails=True)
    project.add_revision("three", "pass")
    assert "`alembic merge one three two`" in project.rebase("one", fails=True)
    (project / "migrations/versions/three.py").unlink()
    path = project.add_revision("four", "pass", down_revision="one")
    path.write_text(path.read_text() + '\ndepends_on = "two"\n')
    assert "`alembic merge four two`" in project.rebase("four", fails=True)
    path.unlink()
    assert sorted(project.versions.iterdir()) == before
