"""Squawk lints the SQL of new revisions."""

from __future__ import annotations

import sys
from pathlib import Path

from support.commands import UV_RUNS_HERE, run, script
from support.projects import New
from support.variants import POSTGRESQL, Variant

UNSAFE = """\
op.create_index("ix_age", "heroes", ["age"])
op.add_column("heroes", sa.Column("power", sa.Integer(), nullable=False))
"""


def test_lint_sees_new_revisions_only(new: New) -> None:
    project = new(Variant(POSTGRESQL, example="tour"))
    assert project.lint().count("Found 0 issues") == 4  # nothing is committed
    project.git("init", "--quiet")
    project.add_revision("one", UNSAFE, down_revision="e5a6027c9f18")
    project.commit()
    assert project.lint() == ""

    project.add_revision("two", UNSAFE.replace("ix_", "ix_2"), down_revision="one")
    for arguments in ([], ["HEAD"]):
        output = project.lint(*arguments, fails=True)
        assert "migrations/versions/two.py" in output
        assert "versions/one.py" not in output
        assert "Use `concurrently` to avoid blocking writes" in output
        assert "Make the field nullable or add a non-VOLATILE DEFAULT" in output
        assert "# squawk-ignore: RULE" in output
    project.commit("two")
    assert project.lint() == ""
    assert "migrations/versions/two.py" in project.lint("HEAD^", fails=True)


def test_lint_lets_a_revision_say_why(new: New) -> None:
    project = new(POSTGRESQL)
    project.commit()
    path = project.add_revision("one", UNSAFE)
    source = path.read_text()
    one = "# squawk-ignore: require-concurrent-index-creation\n# The table is small.\n"
    path.write_text(one + source)
    output = project.lint(fails=True)
    assert "adding-required-field" in output
    assert "concurrently" not in output
    path.write_text(one + "# squawk-ignore: adding-required-field\n" + source)
    assert "Found 0 issues" in project.lint()


def test_lint_is_silent_where_the_safe_way_was_taken(new: New) -> None:
    project = new(POSTGRESQL)
    project.commit()
    project.add_revision(
        "one",
        "op.add_column('heroes', sa.Column('power', sa.Integer()))\n"
        "with op.get_context().autocommit_block():\n"
        "    op.create_index('ix_age', 'heroes', ['age'], postgresql_concurrently=True)",
    )
    assert "Found 0 issues" in project.lint()


def test_lint_says_when_a_revision_has_no_sql_or_squawk_is_missing(
    new: New,
) -> None:
    project = new(POSTGRESQL)
    path = project.add_revision("one", "op.get_bind().execute(None).all()")
    output = project.lint(fails=True)
    assert "FAILED: no SQL was printed: migrations/versions/one.py, line " in output
    path.unlink()
    output = project.kit("lint", fails=True, PATH="/usr/bin:/bin")
    assert output.startswith("FAILED: squawk is not installed; squawk comes with `uv ")


def test_commit_hook_lints_new_revisions(new: New) -> None:
    project = new(POSTGRESQL)
    project.commit()
    project.add_revision("one", UNSAFE)
    project.git("add", "--all")
    hook = ("run", "squawk")
    env = UV_RUNS_HERE | {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    output = run(script("pre-commit"), *hook, cwd=project, env=env, fails=True)
    assert "Use `concurrently`" in output
    project.add_revision("one", "op.drop_index('ix_heroes_name')")
    path = project / "migrations/versions/one.py"
    reason = "# squawk-ignore: require-concurrent-index-deletion\n"
    path.write_text(reason + path.read_text())
    project.git("add", "--all")
    run(script("pre-commit"), *hook, cwd=project, env=env)
